"""What the verbs that read print, on a small world."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from dataclasses import replace

import pytest
from api_world import PROD, STAGING, rolling, steady
from fakes.troubles import BROKEN, HELD
from prodsprint.v1 import Attempt, Environment, Pause, WhyResponse
from ruamel.yaml import YAML

from reconciler.api import convert
from reconciler.cli import why
from reconciler.cli.history import row
from reconciler.core import lastgood, state
from reconciler.core.desired import Instant
from reconciler.core.trouble import approval
from reconciler.core.view import summary
from reconciler.core.waiting import Waiting

READING = (
    ("status",), ("status", "acme/shop/prod"), ("history", "acme/shop/prod"), ("events", "list"), ("events", "dead"),
    ("audit", "verify"),
)  # fmt: skip
ACTING = (*(("release", verb) for verb in ("sync", "pause", "resume", "promote", "abort", "retire")), ("rollback",))
REASON = ("acme/shop/prod", "--reason", "a test")


def test_status_has_a_row_an_environment(ask, world):
    world.views[PROD] = rolling(PROD)
    assert ask("status").out.splitlines() == [
        "KEY                SERVES  WANTED  SYNC       HEALTH       READY  ROLLOUT             WAITING FOR",
        "acme/shop/prod     v1      v2      OutOfSync  Progressing  2/2    v2 step 1/2 at 5 %  -",
        "acme/shop/staging  v1      v1      Synced     Healthy      2/2    -                   -",
        "zoo/app/prod       v1      v1      Synced     Healthy      2/2    -                   -",
    ]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_verbs_print_in_every_form(words, ask, world):
    world.happen(PROD, "something")
    forms = {form: ask(*words, "-o", form) for form in ("table", "wide", "json", "yaml", "name")}
    assert {one.code for one in forms.values()} == {0}
    data = json.loads(forms["json"].out)
    assert YAML(typ="safe", pure=True).load(forms["yaml"].out) == data
    assert len(forms["name"].out.splitlines()) == len(data)
    assert ask(*words).out == forms["table"].out
    assert len(forms["wide"].out) >= len(forms["table"].out)


@pytest.mark.parametrize("words", ACTING, ids=" ".join)
def test_acting_verbs_send_the_reason_and_print_the_answer(words, ask, world):
    shown = ask(*words, *REASON)
    verb = words[-1]
    accepted = verb != "abort"
    assert shown.out == f"acme/shop/prod: {'accepted' if accepted else 'refused'}: {verb}: seen\n"
    ((key, asked, who, reason, until),) = world.submitted
    assert (key, asked.value, reason, until) == (PROD, verb, "a test", None)
    assert who.startswith("token:")
    answer = json.loads(ask(*words, *REASON, "-o", "json").out)
    assert answer["accepted"] is accepted
    assert answer["message"] == f"{verb}: seen"


def test_a_pause_has_an_end(ask, world):
    assert ask("release", "pause", *REASON, "--until", "2h").code == 0
    assert world.submitted[0][4] is not None


def test_names_are_what_other_verbs_take(ask, world):
    for name in ask("status", "-o", "name").out.split():
        assert ask("status", name).code == 0


def test_an_empty_answer_says_what_it_means(ask, world):
    world.views = {}
    assert ask("status").out == "no environment yet: commit a prodsprint.yaml to the config repo\n"
    assert ask("status", "--workspace", "nix").out == "no environment in workspace nix\n"
    assert ask("status", "-o", "name").out == ""
    assert json.loads(ask("status", "-o", "json").out) == []
    assert ask("events", "list", "--after", "1000000").out == "no such event yet\n"
    assert ask("events", "dead").out == "no notification has failed for good\n"


def test_status_tells_problems_once_with_their_place(ask, world):
    wrong = "a/prodsprint.yaml:6:1: `versoin` is not known"
    world.views[STAGING] = replace(steady(STAGING), problem=wrong)
    world.wrong = (wrong, "config repo: the server's name cannot be resolved")
    try:
        shown = ask("status").out
        assert shown.count(wrong) == 1
        assert f"\nacme/shop/staging: {wrong}\n" in shown
        assert "\nconfig repo: the server's name cannot be resolved\n" in shown
        assert "config repo" not in ask("status", "acme/shop/prod").out
    finally:
        world.wrong = ()


def test_status_says_that_an_environment_is_paused(ask, world):
    pause = state.Pause("ann", "lunch", 1000.0, 4_000_000_000.0)
    world.views[PROD] = replace(steady(PROD), state=replace(steady(PROD).state, pause=pause))
    assert ask("status", "acme/shop/prod").out.splitlines()[1].split()[-2:] == ["paused", "-"]
    assert "\npaused      by ann, until 2096-10-0" in ask("why", "acme/shop/prod").out
    world.views[PROD] = replace(rolling(PROD), state=replace(rolling(PROD).state, pause=pause))
    assert "v2 step 1/2 at 5 % (paused)" in ask("status", "acme/shop/prod").out


# --- why -------------------------------------------------------------------------------------------------------------


def test_why_says_what_is_waited_for_who_can_end_it_by_when_and_the_numbers(ask, world):
    wait = Waiting(
        "Analysis", "needs 12 more requests", "nobody: held at the deadline", 4_000_000_000.0, 3_999_999_990.0
    )
    world.views[PROD] = replace(rolling(PROD), waiting=(wait,))
    shown = ask("why", "acme/shop/prod").out
    blocks = [block.splitlines() for block in shown.split("\n\n")]
    assert blocks[0] == ["acme/shop/prod: v1 serves, git asks for v2 (OutOfSync, Progressing)"]
    assert blocks[1][:2] == [
        "waits for   Analysis: needs 12 more requests",
        "unblocked   by nobody: held at the deadline",
    ]
    assert [line.split("  ")[0] for line in blocks[1][2:]] == ["deadline", "next look"]
    assert blocks[2] == [
        "verdict     inconclusive: 2 of 40 requests failed",
        "canary      40 requests, 2 failed",
        "control     900 requests, 1 failed",
        "baked       12.5 s in this step",
    ]
    assert shown.count("needs 12 more requests") == 1


def test_why_says_that_nothing_is_waited_for(ask):
    assert ask("why", "acme/shop/prod").out == (
        "acme/shop/prod: v1 serves, git asks for v1\n\nnothing is waited for: Synced, Healthy\n"
    )


def test_why_tells_the_last_attempt_and_its_reason_once():
    last = Attempt(attempt=4, version="v4", result="rolled_back", reason="it fails", bad_requests=1)
    last.restore_time.FromMilliseconds(85)
    quarantined = WhyResponse(summary="release 12 is quarantined: it fails", environment=Environment(key="w/p/e"))
    quarantined.waiting.add(condition="Quarantine", message=quarantined.summary)
    lines = why.text(quarantined, last).splitlines()
    assert "last        attempt 4, v4 rolled back" in lines
    assert lines[-1] == "            1 request met it; all traffic was back 85 ms after the verdict"
    other = why.text(WhyResponse(summary="nothing", environment=Environment(key="w/p/e")), last)
    assert "last        attempt 4, v4 rolled back: it fails" in other
    assert "nothing serves, git asks for nothing" in other


def test_why_names_a_bad_manifest_beside_what_is_waited_for():
    answer = WhyResponse(
        summary="paused by ann: lunch", environment=Environment(key="w/p/e", problem="f.yaml:1:1: bad")
    )
    answer.waiting.add(condition="Paused", message=answer.summary)
    answer.environment.pause.CopyFrom(Pause(who="ann", reason="lunch"))
    shown = why.text(answer, None)
    assert "manifest    f.yaml:1:1: bad" in shown
    assert shown.count("paused by ann") == 1
    assert "\npaused " not in shown


def test_why_folds_under_its_labels():
    answer = WhyResponse(summary="x " * 60, environment=Environment(key="w/p/e"))
    answer.waiting.add(condition="Held", message=answer.summary)
    lines = why.text(answer, None, 60).splitlines()
    first = lines.index(next(line for line in lines if line.startswith("waits for   Held: x")))
    assert lines[first + 1].startswith(" " * why.LABEL + "x")
    assert max(map(len, lines)) <= 60


# --- history ---------------------------------------------------------------------------------------------------------


def test_history_shows_what_a_bad_version_cost_and_nothing_for_a_good_one():
    bad = Attempt(attempt=3, version="v3", result="rolled_back", bad_requests=1234, reason="it fails")
    bad.started_at.FromSeconds(1_700_000_000)
    bad.ended_at.FromSeconds(1_700_000_090)
    bad.restore_time.FromMilliseconds(85)
    cells = row(bad)
    assert {name: cells[name] for name in ("result", "took", "met it", "restored in", "why")} == {
        "result": "rolled back", "took": "1 min 30 s", "met it": "1,234", "restored in": "85 ms", "why": "it fails",
    }  # fmt: skip
    good = row(Attempt(attempt=2, version="v2", result="promoted"))
    assert (good["met it"], good["restored in"]) == ("", "")


# --- following -------------------------------------------------------------------------------------------------------


def following(folder, *words):
    """A command that goes on, and its first lines as they come."""
    command = [sys.executable, "-m", "reconciler", *words, "--data-dir", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def line_of(one, seconds=10.0):
    ready, _, _ = select.select([one.stdout], [], [], seconds)
    assert ready, "nothing was printed"
    return one.stdout.readline()


@pytest.mark.parametrize("form", ["table", "json", "yaml", "name"])
def test_events_are_followed_in_every_form(hall, world, ask, form):
    world.happen(PROD, "the one before")
    last = json.loads(ask("events", "list", "-o", "json").out)[-1]["id"]
    with following(hall[1], "events", "list", "-w", "--after", last, "-o", form) as one:
        try:
            world.happen(PROD, "the new one")
            expected = {"table": "the new one", "json": '"the new one"', "yaml": "---", "name": str(int(last) + 1)}
            assert expected[form] in line_of(one)
        finally:
            one.kill()
            one.communicate()


def test_status_is_printed_again_when_something_happens(hall, world):
    with following(hall[1], "status", "acme/shop/prod", "-w", "-o", "json") as one:
        try:
            assert json.loads(line_of(one))[0]["sync_status"] == "Synced"
            world.views[PROD] = rolling(PROD)
            world.happen(PROD, "a step")
            assert json.loads(line_of(one))[0]["sync_status"] == "OutOfSync"
        finally:
            one.kill()
            one.communicate()


# --- manifests that have a problem, and environments that ended -------------------------------------------------------


def shown(view):
    """A view as the API gives it to those who ask why."""
    return WhyResponse(
        summary=summary(view), waiting=map(convert.waiting, view.waiting), environment=convert.environment(view)
    )


def stalled(problem, reason):
    view = steady(PROD)
    marks = (state.Condition(state.ConditionType.STALLED, state.ConditionStatus.TRUE, reason, "m", 1, 1_700_000_000.0),)
    waits = lastgood.waiting(problem, view.desired)
    return replace(view, problem=problem, state=replace(view.state, conditions=marks), waiting=(waits,))


def test_a_broken_manifest_is_shown_where_people_look(ask, world):
    world.views[PROD] = stalled(BROKEN, "ManifestProblem")
    lines = ask("status", "acme/shop/prod").out.splitlines()
    assert re.split(r" {2,}", lines[1]) == [
        "acme/shop/prod", "v1", "v1", "Stalled", "Healthy", "2/2", "-", "manifest problem: shop/prodsprint.yaml:6:1",
    ]  # fmt: skip
    assert lines[3] == f"acme/shop/prod: {BROKEN}"
    assert ask("why", "acme/shop/prod").out == (
        "acme/shop/prod: v1 serves, git asks for v1 (Stalled, Healthy)\n\n"
        f"waits for   ManifestProblem: {BROKEN}\n"
        "unblocked   by whoever mends shop/prodsprint.yaml\n\n"
        "in force    commit cccccccccccc; nothing newer since 2023-11-14 22:13:20\n"
    )


def test_a_removal_that_is_held_is_called_that_and_its_approval_is_printed_once(ask, world):
    world.views[PROD] = stalled(HELD[2], "RemovalHeld")
    told = ask("status", "acme/shop/prod").out
    assert "Stalled" in told
    assert "removal held\n" in told
    assert "apiVersion" not in told
    lines = ask("why", "acme/shop/prod").out.splitlines()
    assert lines[-2] == "To approve the removal, commit this with a reason:"
    assert lines[-1] == approval(HELD[2])
    assert sum("apiVersion" in line for line in lines) == 1
    assert "not valid" not in "\n".join(lines)


def test_the_approval_is_never_folded():
    answer = shown(stalled(HELD[2], "RemovalHeld"))
    assert why.text(answer, None, 60).splitlines()[-1] == approval(HELD[2])


@pytest.mark.parametrize("reason", ["Retired", "Tombstone"])
def test_what_ended_says_who_ended_it_and_when(ask, world, reason):
    message = "retired by ann: sold" if reason == "Retired" else "a.yaml was removed; v1 goes on serving"
    kind = state.ConditionType.READY
    marks = (state.Condition(kind, state.ConditionStatus.FALSE, reason, message, 1, 1_700_000_000.0),)
    gone = state.Retirement("ann", message, Instant(1.0, 1.0, "boot"), None, 2.0) if reason == "Retired" else None
    view = steady(PROD)
    world.views[PROD] = replace(view, desired=None, state=replace(view.state, conditions=marks, retirement=gone))
    assert ask("history", "acme/shop/prod").out.endswith(f"\n{message}, 2023-11-14 22:13:20\n")
    assert "retired" not in ask("history", "acme/shop/prod", "-o", "json").out
    told = ask("why", "acme/shop/prod").out
    assert "\nsince       2023-11-14 22:13:20\n" in told
    assert told.count(message) == (reason == "Retired")
