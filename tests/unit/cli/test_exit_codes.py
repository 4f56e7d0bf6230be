"""Each code of the table in docs/cli.md is what some command really ends with."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import gitrepos
import pytest
from api_world import PROD, steady
from manifest_samples import MINIMAL, edited

from reconciler.cli import client
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.reference import EXIT_CODES
from reconciler.core.state import Condition, ConditionStatus, ConditionType, Quarantine

NOT_PRODUCED_YET = {ExitCode.FROZEN}
PRODUCED: dict[ExitCode, list[str]] = {}


def produces(code: ExitCode):
    """Mark a test as one that shows where the code comes from."""

    def note(test):
        PRODUCED.setdefault(code, []).append(test.__name__)
        return test

    return note


@pytest.fixture
def manifests(tmp_path):
    """A folder with a valid manifest, and the service repo that it names."""
    service = gitrepos.Repo(tmp_path / "service.git")
    service.commit({"app.py": "pass\n"})
    folder = tmp_path / "config"
    folder.mkdir()
    changes = (("https://example.com/hello.git", service.path.as_uri()), ("version: v1", "version: main"))
    (folder / "prodsprint.yaml").write_text(edited(*changes))
    return folder


def test_the_page_documents_every_code_and_the_tests_show_each():
    assert {code for code, _ in EXIT_CODES} == {int(code) for code in ExitCode}
    assert PRODUCED.keys() | NOT_PRODUCED_YET == set(ExitCode)
    assert not PRODUCED.keys() & NOT_PRODUCED_YET
    words = dict(EXIT_CODES)
    assert all("nothing" in words[code] for code in NOT_PRODUCED_YET)


@produces(ExitCode.OK)
def test_0_for_what_is_fine(ask):
    assert ask("status").code == 0
    assert ask("release", "sync", "acme/shop/prod", "--reason", "to see").code == 0


@produces(ExitCode.ERROR)
def test_1_for_an_error_a_wrong_command_line_and_a_bad_manifest(ask, run, tmp_path):
    assert ask("status", "no/such").code == 1
    assert run("status", "--nonsense").code == 1
    (tmp_path / "prodsprint.yaml").write_text(edited(("version: v1\n", "")))
    assert run("validate", str(tmp_path)).code == 1
    assert run("plan", str(tmp_path)).code == 1


@produces(ExitCode.CHANGES)
def test_2_for_a_plan_that_would_change_something_when_asked_for(run, manifests, tmp_path):
    words = ("plan", str(manifests), "--data-dir", str(tmp_path))
    assert run(*words).code == 0
    assert run(*words, "--detailed-exitcode").code == 2


@produces(ExitCode.DENIED)
def test_3_for_what_the_daemon_refuses(ask):
    refused = ask("release", "abort", "acme/shop/prod", "--reason", "why not")
    assert (refused.code, refused.out) == (3, "acme/shop/prod: refused: abort: seen\n")


@produces(ExitCode.DENIED)
def test_3_for_a_plan_that_a_gate_denies(ask, run, world, manifests, tmp_path):
    planned = run("plan", str(manifests), "--data-dir", str(tmp_path), "-o", "json")
    digest = json.loads(planned.out)[0]["release_digest"]
    key = replace(PROD, workspace="default", project="hello")
    quarantined = (Quarantine(digest, "it failed", 1000.0, 1),)
    world.views[key] = replace(steady(key), state=replace(steady(key).state, quarantined=quarantined))
    denied = ask("plan", str(manifests), "--detailed-exitcode")
    assert denied.code == 3
    assert f"held by Quarantine: release {digest[:12]} is quarantined: it failed" in denied.out


@produces(ExitCode.TIMED_OUT)
def test_5_for_what_is_not_decided_on_in_time(ask, world, monkeypatch):
    monkeypatch.setattr(client, "DEADLINE", 0.7)
    world.answering = False
    pending = ask("release", "pause", "acme/shop/prod", "--reason", "lunch")
    assert pending.code == 5
    assert "acme/shop/prod: pending: " in pending.out


@produces(ExitCode.TIMED_OUT)
def test_5_for_a_daemon_that_does_not_answer(run, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        (tmp_path / "token").write_text("t" * 40)
        shown = run("status", "--data-dir", str(tmp_path), "--address", address)
    assert (shown.code, shown.err) == (5, f"prodsprint: the daemon at {address} did not answer in time\n")


@produces(ExitCode.DEGRADED)
def test_6_for_an_environment_that_is_degraded(ask, world):
    sick = Condition(ConditionType.HEALTHY, ConditionStatus.FALSE, "NotReady", "1 of 2 instances is ready", 1, 1000.0)
    world.views[PROD] = replace(steady(PROD), state=replace(steady(PROD).state, conditions=(sick,)))
    assert ask("status").code == 6
    assert ask("status", "acme/shop/prod").code == 6
    assert ask("status", "zoo/app/prod").code == 0


@produces(ExitCode.UNREACHABLE)
def test_20_when_no_daemon_can_be_reached(run, tmp_path):
    (tmp_path / "token").write_text("t" * 40)
    shown = run("status", "--data-dir", str(tmp_path), "--address", "127.0.0.1:1")
    assert (shown.code, shown.err) == (20, "prodsprint: no daemon answers at 127.0.0.1:1: is it running?\n")


@produces(ExitCode.INTERRUPTED)
def test_130_after_an_interrupt(hall, world):
    words = ["status", "-w", "--data-dir", str(hall[1])]
    with subprocess.Popen(
        [sys.executable, "-m", "reconciler", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as one:
        assert one.stdout.readline().startswith(b"KEY ")
        one.send_signal(signal.SIGINT)
        _, complaint = one.communicate(timeout=10)
    assert (one.returncode, complaint) == (130, b"")


def test_the_sample_manifest_of_these_tests_is_valid(run, manifests):
    assert "version: v1" in MINIMAL
    assert run("validate", str(manifests)).code == 0
