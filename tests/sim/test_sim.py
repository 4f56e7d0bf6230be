"""The core, the controller and a real store in a simulated world, under crashes, stalls and everybody's bad luck.

``PRODSPRINT_SIM_SEEDS=5000 pytest tests/sim`` runs more seeds, and a crash at every port call of the fixed story. A failure
names its seed: ``PRODSPRINT_SIM_SEED=N pytest tests/sim -k seed`` runs that one alone, always the same way.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes.values import KEY
from sim.replicas import Violated
from sim.story import CrashAt, Recorder, Story, fixed, outcome, removed

from reconciler import reconcile
from reconciler.core import attempt, decide, gate, lastgood, plan, retire, rollback, rollout
from reconciler.core.condition import true
from reconciler.core.desired import OnDelete
from reconciler.core.state import ConditionType, Retirement, retired

SEEDS = int(os.environ.get("PRODSPRINT_SIM_SEEDS", "100"))
ONE = os.environ.get("PRODSPRINT_SIM_SEED")
BATCH = 25
MANY = SEEDS > 1000
CHANGES = ("store.commit", "target.apply", "router.apply", "store.append")


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)  # simulated trouble fills no terminal


def run(seed: int) -> Story:
    story = Story(seed)
    try:
        story.run()
    except Violated as error:
        again = f"PRODSPRINT_SIM_SEED={seed} pytest tests/sim -k seed"
        pytest.fail("\n".join((f"seed {seed}: {error}", f"replay with: {again}", *story.log)), pytrace=False)
    return story


@pytest.mark.parametrize("first", [int(ONE)] if ONE else range(0, SEEDS, BATCH))
def test_every_seed_keeps_every_invariant(first):
    for seed in range(first, first + 1 if ONE else min(first + BATCH, SEEDS)):
        run(seed)


def test_a_seed_always_tells_the_same_story():
    one, same = Story(7), Story(7)
    found, again = one.run(), same.run()
    assert (one.log, found.looks, found.commits, found.states) == (same.log, again.looks, again.commits, again.states)
    assert found.scheduler.calls == again.scheduler.calls


# --- a crash anywhere ------------------------------------------------------------------------------------------------

STORY = [("good-1", "promoted"), ("good-2", "promoted"), ("bad-1", "rolled_back")]


def test_without_faults_no_request_is_lost():
    watch = fixed(Recorder())
    assert outcome(watch) == STORY
    assert watch.world.lost == 0


def test_a_crash_at_any_port_call_changes_nothing_in_the_end():
    recorder = Recorder()
    fixed(recorder)
    numbers = [number for number, call in enumerate(recorder.calls, 1) if MANY or call.endswith(CHANGES)]
    assert len(numbers) > 80
    for number in numbers if MANY else numbers[::3]:
        crash = CrashAt(number)
        watch = fixed(crash)
        assert crash.happened == recorder.calls[number - 1]
        assert outcome(watch) == STORY, f"after a crash {crash.happened}, call {number}"
        assert watch.world.lost == 0


def gone(watch: Any) -> bool:
    return (
        retired(watch.states[KEY]) and watch.world.router.in_force(KEY) is None and not watch.world.target.running(KEY)
    )


@pytest.mark.parametrize("back", [False, True])
def test_a_crash_at_any_port_call_while_a_service_is_destroyed_changes_nothing_in_the_end(back):
    recorder = Recorder()
    assert gone(removed(recorder, back=back)) != back
    numbers = [number for number, call in enumerate(recorder.calls, 1) if MANY or call.endswith(CHANGES)]
    assert len(numbers) > 60
    for number in numbers if MANY else numbers[::3]:
        crash = CrashAt(number)
        watch = removed(crash, back=back)
        assert gone(watch) != back, f"after a crash {crash.happened}, call {number}"
        if back:
            assert watch.states[KEY].stable.desired.artifact.version == "good-3", f"after a crash {crash.happened}"
        assert watch.world.lost == 0


# --- the invariants have teeth ---------------------------------------------------------------------------------------


def _restless(draft: Any) -> Any:
    return true(ConditionType.HEALTHY, "InstancesReady", f"ready at {draft.now.wall}")


def _unsaved(inputs: Any, decision: Any, ports: Any) -> None:
    if decision.changed and decision.state.revision != 2:
        ports.store.commit(reconcile.Transition(decision.state, decision.records, decision.answers, 0.0, "{}"))


def _reborn(draft: Any, digest: str, reason: str, attempt: int) -> None:
    draft.change(quarantined=())


SABOTAGE: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "actions wait for nothing": (plan, "_waits_for", lambda *_: "", "traffic is moved to|are stopped while"),
    "a step is left at once": (rollout, "_passed", lambda draft, _: "because" if draft.analysis else "", "is left"),
    "the quarantine is not kept": (rollback, "quarantine", _reborn, "a loop|never rests|not rolled back"),
    "the quarantine is ignored": (
        gate,
        "quarantine",
        lambda *_: gate.Verdict("quarantine", gate.Answer.ALLOW),
        "is quarantined",
    ),
    "a condition holds the time": (decide, "_healthy", _restless, "never rests"),
    "a decision is not saved": (reconcile, "commit", _unsaved, "whose saved plan is|followed by"),
    "a verdict is not needed": (
        rollout,
        "analyse",
        lambda *args: replace(_analyse(*args), verdict=rollout.Verdict.HEALTHY),
        "which is bad, passes",
    ),
    "an attempt never ends": (attempt, "finish", lambda _: None, "not settled|a loop"),
}
_analyse = rollout.analyse


def _hasty(draft: Any) -> None:
    if draft.inputs.desired is None and draft.state.retirement is None and draft.state.stable is not None:
        draft.change(retirement=Retirement("nobody", "", draft.now))


def _blind(draft: Any) -> None:
    draft.change(stable=None, rollout=None, retirement=Retirement("nobody", "", draft.now, None, draft.now.wall))


ENDINGS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "what is kept is destroyed": ("_begin", _hasty, "nobody asked for that"),
    "it is called gone while it runs": ("_end", _blind, "is called retired with|nobody asked"),
    "it is never called gone": ("_end", lambda _: None, "not settled"),
    "a manifest that comes back stops nothing": (
        "_come_back",
        lambda _: None,
        "its traffic is None",
    ),
}


def test_a_broken_manifest_that_is_told_of_at_every_look_is_noticed(monkeypatch):
    monkeypatch.setattr(lastgood, "notice", lambda draft: draft.say("manifest.broken", draft.inputs.problem))
    with pytest.raises(Violated, match="is recorded"):
        fixed(Recorder())


def test_stories_have_broken_manifests_in_them():
    told = [record for seed in range(10) for record in Story(seed).run().told]
    assert {"manifest.broken", "manifest.mended"} <= set(told)


@pytest.mark.parametrize("what", ENDINGS)
def test_a_sabotaged_end_is_noticed(monkeypatch, what):
    name, instead, complaint = ENDINGS[what]
    monkeypatch.setattr(retire, name, instead)
    with pytest.raises(Violated, match=complaint):
        removed(Recorder(), back="comes back" in what, on_delete=OnDelete.KEEP if "kept" in what else OnDelete.DESTROY)


@pytest.mark.parametrize("what", SABOTAGE)
def test_a_sabotaged_core_is_noticed(monkeypatch, what):
    module, name, instead, complaint = SABOTAGE[what]
    monkeypatch.setattr(module, name, instead)
    with pytest.raises(Violated, match=complaint):
        fixed(Recorder())
