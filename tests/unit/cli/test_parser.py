from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import __version__
from reconciler.cli import GROUPS, VERBS, build_parser
from reconciler.cli.client import key, user
from reconciler.cli.completion import children
from reconciler.cli.demo import rate
from reconciler.cli.history import limit
from reconciler.cli.release import until
from reconciler.cli.run import duration
from reconciler.settings import Settings

TOP = children(build_parser())
INNER = {name: children(parser) for name, parser in TOP.items() if children(parser)}
EVERY = [(name,) for name in TOP if name not in INNER] + [(one, verb) for one, verbs in INNER.items() for verb in verbs]


def test_the_verbs_are_those_that_people_know_from_the_design():
    assert VERBS == ("run", "validate", "plan", "status", "why", "history", "rollback", "demo")
    assert set(TOP) == {*VERBS, *GROUPS}
    assert set(INNER["release"]) == {"sync", "pause", "resume", "promote", "abort", "retire"}
    assert set(INNER["events"]) == {"list", "dead", "replay"}
    assert set(INNER["audit"]) == {"verify"}


def test_the_first_help_screen_has_a_line_for_every_verb_and_fits_a_terminal(run):
    shown = run("--help")
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line.startswith("  ")}
    assert list(lines) == [*VERBS, *GROUPS]
    for group, verbs in INNER.items():
        assert all(verb in lines[group] for verb in verbs)
    assert max(map(len, shown.out.splitlines())) <= 100


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_verb_explains_itself_and_each_of_its_arguments(words, run):
    shown = run(*words, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"usage: prodsprint {' '.join(words)} ")
    parser = INNER[words[0]][words[1]] if len(words) == 2 else TOP[words[0]]
    assert parser.description
    assert [action.dest for action in parser._actions if not action.help] == []


def test_every_setting_of_the_daemon_is_an_option_of_run():
    options = {option for action in TOP["run"]._actions for option in action.option_strings}
    assert options == {"-h", "--help", *("--" + name.replace("_", "-") for name in Settings.model_fields)}


def test_the_version_is_printed(run):
    assert run("--version").out == f"prodsprint {__version__}\n"


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "reconciler", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"prodsprint {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "prodsprint: the following arguments are required: VERB"),
        (("release",), "prodsprint release: the following arguments are required: VERB"),
        (("stauts",), "prodsprint: argument VERB: invalid choice: 'stauts'"),
        (("why", "shop"), "prodsprint why: argument KEY: 'shop' is no key: expected PROJECT/ENVIRONMENT or"),
        (("rollback", "shop/prod"), "prodsprint rollback: the following arguments are required: --reason"),
        (("history", "shop/prod", "-n", "0"), "argument -n/--limit: expected a number from 1 to 1000, found '0'"),
        (("events", "replay", "x"), "argument ID: invalid int value: 'x'"),
        (("status", "-o", "xml"), "argument -o/--output: invalid choice: 'xml'"),
        (("status", "--out=json"), "unrecognized arguments: --out=json"),
        (("run", "--config-repo", "x", "--poll", "5x"), "argument --poll: expected a number of seconds or text such as"),
        (("run", "--config-repo", "x", "--log-level", "x"), "argument --log-level: invalid choice: 'x' (choose from 'debug'"),
        (("demo", "--rate", "nan"), "argument --rate: expected a number from 1 to 5000, found 'nan'"),
        (("completion", "tcsh"), "argument shell: invalid choice: 'tcsh' (choose from 'bash', 'zsh', 'fish')"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_says_what_is_wrong_and_where_to_read_on(words, message, run):
    shown = run(*words)
    assert (shown.code, shown.out) == (1, "")
    problem, hint = shown.err.splitlines()
    assert message in problem
    assert hint.startswith("Try: prodsprint")
    assert hint.endswith(" --help")


@pytest.mark.parametrize(
    ("text", "full"), [("shop/prod", "default/shop/prod"), ("acme/shop/prod", "acme/shop/prod"), ("a/b", "default/a/b")]
)
def test_a_key_without_a_workspace_is_in_the_default_one(text, full):
    assert key(text) == full


@pytest.mark.parametrize("text", ["", "shop", "a/b/c/d", "shop/", "/prod", "shop//prod"])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no key"):
        key(text)


def test_until_is_a_duration_from_now_or_a_time():
    before = datetime.now(UTC)
    assert before + timedelta(hours=2) <= until("2h").ToDatetime(UTC) <= datetime.now(UTC) + timedelta(hours=2)
    assert until("2026-12-24T18:00+01:00").ToJsonString() == "2026-12-24T17:00:00Z"
    assert until("2026-12-24T18:00:00Z").ToJsonString() == "2026-12-24T18:00:00Z"
    here = datetime(2026, 12, 24, 18, 0).astimezone()  # people write local times
    assert until("2026-12-24T18:00").ToDatetime(UTC) == here


@pytest.mark.parametrize("text", ["tomorrow", "", "2026-13-01", "5 parsecs", "-1h"])
def test_what_is_no_end_of_a_pause_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a duration like 2h or a time like"):
        until(text)


@pytest.mark.parametrize(
    ("parse", "good", "value", "wrong"),
    [
        (limit, "1000", 1000, ("0", "1001", "-1", "x", "1.5")),
        (rate, "0.5e3", 500.0, ("0", "nan", "inf", "-5", "x", "5001")),
        (duration, "1m30s", 90.0, ("", "x", "-1s")),
    ],
)
def test_numbers_are_read_and_bounded(parse, good, value, wrong):
    assert parse(good) == value
    for text in wrong:
        with pytest.raises(argparse.ArgumentTypeError):
            parse(text)


def test_the_person_is_the_one_who_became_root(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ann")
    assert user() == "ann"
    monkeypatch.delenv("SUDO_USER")
    assert user() not in {"", "ann"}
