from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from programs import SERVER, becomes, marked
from releases import KEY, CopiedCheckouts, folder_of, release, settle
from waiting import eventually

from reconciler import proc
from reconciler.core.desired import Key
from reconciler.core.observed import InstanceStatus
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.targets import process
from reconciler.targets._process_files import exclusive

PYTHON = [sys.executable, "-I", "-S"]


def building(program):
    return {"build": [*PYTHON, "-c", program]}


# --- what an instance gets -------------------------------------------------------------------------------------------


def test_the_environment_is_made_from_scratch(target, host, commit, monkeypatch):
    monkeypatch.setenv("DAEMON_SECRET", "hunter2")
    wanted = release(commit, spec={"command": [*PYTHON, "show.py"], "env": {"MODE": "blue"}})
    (one,) = settle(target, wanted, 1, 1)
    folder = folder_of(host, one)
    text = (folder / "log").read_text().splitlines()[0]
    found, where = json.loads(text)
    found.pop("LC_CTYPE", None)  # Python's own
    assert found == {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "MODE": "blue",
        "PORT": one.endpoint.rpartition(":")[2],
        "PRODSPRINT_WORKSPACE": "shop",
        "PRODSPRINT_PROJECT": "cart",
        "PRODSPRINT_ENVIRONMENT": "prod",
        "PRODSPRINT_VERSION": "v1",
        "PRODSPRINT_REVISION": commit,
        "PRODSPRINT_INSTANCE": f"{KEY}/{one.id}",
        "PRODSPRINT_FOLDER": str(folder),
    }
    assert Path(where).name == "tree"


# --- artifacts -------------------------------------------------------------------------------------------------------


def test_a_commit_is_checked_out_once_for_all_instances_and_environments(target, checkouts, commit):
    staging = Key("shop", "cart", "staging")
    settle(target, release(commit), 2, 1)
    settle(target, release(commit, key=staging), 1, 1, key=staging)
    assert checkouts.calls == 1


def test_a_build_runs_once_before_the_first_instance(target, host, commit):
    program = "import os; os.rename('server.py', 'built.py'); open('count', 'a').write('x')"
    spec = {"command": [*PYTHON, "built.py"], **building(program)}
    settle(target, release(commit, spec=spec), 2, 1)
    staging = Key("shop", "cart", "staging")
    settle(target, release(commit, key=staging, spec=spec), 1, 1, key=staging)
    assert [path.read_text() for path in host.data.rglob("tree/count")] == ["x"]


def test_while_it_builds_instances_are_preparing(target, host, commit):
    wanted = release(commit, spec=building("import signal; signal.pause()"))
    target.apply(KEY, wanted, 2, 1)
    assert [(one.status, one.message) for one in target.observe(KEY)] == [
        (InstanceStatus.PREPARING, "it is being built")
    ] * 2
    settle(target, wanted, 0, 1)


@pytest.mark.parametrize(
    ("program", "deadline", "reason"),
    [
        ("print('no compiler'); raise SystemExit(4)", 20.0, "the build exited with status 4"),
        ("import signal; print('no compiler', flush=True); signal.pause()", 0.5, "the build did not end within 0.5 s"),
    ],
)
def test_a_build_that_fails_or_takes_too_long_fails_with_its_last_line(target, commit, program, deadline, reason):
    wanted = release(commit, spec=building(program), runtime={"build_deadline": deadline})
    (one,) = settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    said, _, log = one.message.rstrip(")").rpartition(" (in ")
    assert said == f"{reason}; its log ends: no compiler"
    assert Path(log).read_text() == "no compiler\n"


def test_a_build_command_that_does_not_exist_fails(target, commit):
    (one,) = settle(target, release(commit, spec={"build": ["no-such-compiler"]}), 1, 1, InstanceStatus.FAILED)
    assert "cannot run 'no-such-compiler': No such file or directory" in one.message


def test_a_failed_build_is_tried_again_only_for_a_newer_generation(target, commit, tmp_path):
    program = f"open({str(tmp_path / 'tries')!r}, 'a').write('x'); open({str(tmp_path / 'needed')!r})"
    wanted = release(commit, spec=building(program))
    settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    (tmp_path / "needed").touch()
    target.apply(KEY, wanted, 1, 1)
    assert target.observe(KEY)[0].status is InstanceStatus.FAILED
    settle(target, wanted, 1, 2)
    assert (tmp_path / "tries").read_text() == "xx"


def test_an_interrupted_build_begins_again_with_clean_files(target, host, commit, tmp_path):
    once = tmp_path / "once"
    program = (
        f"import os, signal\nassert not os.path.exists('half')\nopen('half', 'w')\n"
        f"if not os.path.exists({str(once)!r}): open({str(once)!r}, 'w'); signal.pause()"
    )
    wanted = release(commit, spec=building(program))
    target.apply(KEY, wanted, 1, 1)
    eventually(once.exists)
    (build,) = host.data.glob("artifacts/*/*/build")
    os.kill(proc.look(build).shim_pid, signal.SIGKILL)
    becomes(build, "lost")
    settle(target, wanted, 1, 1)


def test_an_unknown_commit_is_looked_for_again_only_for_a_newer_generation(target, checkouts):
    late = CopiedCheckouts(checkouts.folder.parent / "elsewhere").commit({"server.py": SERVER})
    wanted = release(late)
    settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    assert checkouts.calls == 1
    checkouts.commit({"server.py": SERVER})
    settle(target, wanted, 1, 2)


def test_a_checkout_that_may_work_later_is_not_remembered_as_failed(host, commit):
    class Flaky(CopiedCheckouts):
        def checkout(self, source, revision, into):
            if not self.calls:
                self.calls += 1
                into.mkdir()
                raise TransientError("the disk is full")
            super().checkout(source, revision, into)

    target = process.KIND.open(replace(host, checkouts=Flaky(host.checkouts.folder)))
    with pytest.raises(TransientError, match="the disk is full"):
        target.apply(KEY, release(commit), 1, 1)
    assert target.observe(KEY)[0].status is InstanceStatus.PREPARING
    settle(target, release(commit), 1, 1)


def test_what_is_kept_runs_again_when_the_repos_are_gone(target, checkouts, commit):
    old, new = release(commit), release(checkouts.commit({"server.py": SERVER, "new": ""}))
    settle(target, old, 1, 1)
    settle(target, new, 1, 2)
    settle(target, old, 0, 2)
    target.keep(KEY, frozenset({old.digest, new.digest}))
    shutil.rmtree(checkouts.folder)
    settle(target, old, 1, 3)


def test_artifacts_of_releases_that_are_not_kept_are_dropped(target, host, checkouts, commit):
    old, new = release(commit), release(checkouts.commit({"server.py": SERVER, "new": ""}))
    settle(target, old, 1, 1)
    settle(target, new, 1, 2)
    target.keep(KEY, frozenset({new.digest}))
    assert len(list(host.data.glob("artifacts/*/*/tree"))) == 2, "it still runs"
    settle(target, old, 0, 2)
    target.keep(KEY, frozenset({new.digest}))
    (tree,) = host.data.glob("artifacts/*/*/tree")
    assert (tree / "new").exists()


def test_an_artifact_that_another_environment_uses_is_not_dropped(target, host, commit):
    staging = Key("shop", "cart", "staging")
    settle(target, release(commit), 1, 1)
    settle(target, release(commit, key=staging), 1, 1, key=staging)
    settle(target, release(commit), 0, 2)
    target.keep(KEY, frozenset())
    assert len(list(host.data.glob("artifacts/*/*/tree"))) == 1


def test_dropping_a_release_ends_its_build(target, commit, tmp_path):
    wanted = release(commit, spec=building("import signal; signal.pause()"))
    target.apply(KEY, wanted, 1, 1)
    settle(target, wanted, 0, 2)

    def dropped():
        target.keep(KEY, frozenset())
        return not marked(tmp_path / "data")

    eventually(dropped)


# --- instances that end ----------------------------------------------------------------------------------------------


def test_an_instance_that_exits_at_once_fails_with_reason_and_last_line(target, host, commit):
    wanted = release(commit, spec={"command": [*PYTHON, "-c", "print('no config'); raise SystemExit(2)"]})
    (one,) = settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    log = folder_of(host, one) / "log"
    assert one.message == f"exited with status 2 before it was healthy; its log ends: no config (in {log})"
    assert one.endpoint == ""


def test_a_failed_instance_is_started_again_only_for_a_newer_generation(target, commit, tmp_path):
    program = f"open({str(tmp_path / 'config')!r}); exec(open('server.py').read())"
    wanted = release(commit, spec={"command": [*PYTHON, "-c", program]})
    settle(target, wanted, 1, 1, InstanceStatus.FAILED)
    (tmp_path / "config").touch()
    target.apply(KEY, wanted, 1, 1)
    assert target.observe(KEY)[0].status is InstanceStatus.FAILED
    settle(target, wanted, 1, 2)


def test_a_release_that_has_worked_is_never_given_up(target, commit, tmp_path):
    program = f"open({str(tmp_path / 'config')!r}); exec(open('server.py').read())"
    (tmp_path / "config").touch()
    wanted = release(commit, spec={"command": [*PYTHON, "-c", program]})
    settle(target, wanted, 1, 1)
    settle(target, wanted, 0, 2)
    (tmp_path / "config").unlink()
    target.apply(KEY, wanted, 1, 3)
    eventually(lambda: target.observe(KEY)[0].restarts == 3, 20)
    settle(target, wanted, 1, 3, InstanceStatus.BACKING_OFF)
    (tmp_path / "config").touch()
    settle(target, wanted, 1, 3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_instance_whose_shim_was_killed_is_down_and_started_by_the_next_apply(target, host, commit, number):
    wanted = release(commit)
    (one,) = settle(target, wanted, 1, 1)
    os.kill(proc.look(folder_of(host, one)).shim_pid, number)
    (down,) = eventually(lambda: [x for x in target.observe(KEY) if x.status is InstanceStatus.BACKING_OFF])
    assert "about to be started again" in down.message
    assert down.endpoint == ""
    (again,) = settle(target, wanted, 1, 1)
    assert again.endpoint == one.endpoint


def test_a_removed_instance_is_stopping_until_it_is_gone_and_its_log_is_kept(target, host, commit):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); exec(open('server.py').read())"
    wanted = release(commit, spec={"command": [*PYTHON, "-c", stubborn]}, runtime={"stop_deadline": 0.5})
    (one,) = settle(target, wanted, 1, 1)
    target.apply(KEY, wanted, 0, 2)
    assert target.observe(KEY)[0].status is InstanceStatus.STOPPING
    settle(target, wanted, 0, 2)
    kept = host.data / "instances" / "shop" / "cart" / "prod" / "logs" / one.id / "log"
    assert kept.read_text().startswith("listening")


def test_an_instance_asked_for_again_while_it_stops_comes_back(target, commit):
    wanted = release(commit)
    settle(target, wanted, 1, 1)
    target.apply(KEY, wanted, 0, 2)
    settle(target, wanted, 1, 3)


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_spec_that_this_version_does_not_understand_is_terminal(target, commit):
    with pytest.raises(TerminalError, match="warp_drive"):
        target.apply(KEY, release(commit, spec={"warp_drive": True}), 1, 1)


def test_a_key_that_somebody_else_works_on_is_transient(target, host, commit):
    with (
        exclusive(host.data / "instances" / "shop" / "cart" / "prod"),
        pytest.raises(TransientError, match="is being worked on"),
    ):
        target.apply(KEY, release(commit), 1, 1)


def test_a_project_that_is_being_checked_out_elsewhere_is_waited_for(target, commit):
    with exclusive(target._artifacts.project(KEY)):
        target.apply(KEY, release(commit), 1, 1)
        assert target.observe(KEY)[0].status is InstanceStatus.PREPARING
    settle(target, release(commit), 1, 1)
