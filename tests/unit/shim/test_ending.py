"""Nothing that a shim started outlives it, whatever it does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest
from programs import PYTHON, becomes, marked, server, spec
from waiting import eventually

from reconciler import proc
from reconciler.proc import ShimStatus
from reconciler.shim import tree

FAMILY = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:  # a daemon of the classic kind
        if "env" in sys.argv:
            os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"], {})
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True: signal.pause()
    os._exit(0)
os.wait()
print("ready", flush=True)
if "exit" in sys.argv: sys.exit(0)
signal.pause()
"""


def alive(pid):
    found = tree.process(pid)
    return found is not None and found.letter != "Z"


def test_sigterm_drains(folder):
    drain = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('drained', flush=True), sys.exit(0)))\n"
        "print('up', flush=True)\nwhile True: signal.pause()"
    )
    proc.start(folder, spec(drain))
    eventually(lambda: proc.tail(folder) == "up")
    proc.stop(folder)
    proc.stop(folder)
    state = becomes(folder, "stopped")
    assert state.pid is None
    assert proc.tail(folder).splitlines() == ["up", "drained"]


def test_what_ignores_sigterm_is_killed_at_its_deadline(folder):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    stubborn += "while True: signal.pause()"
    proc.start(folder, spec(stubborn, stop_deadline=0.3))
    eventually(lambda: proc.tail(folder) == "up")
    pid = proc.look(folder).pid
    proc.stop(folder)
    becomes(folder, "stopping")
    state = becomes(folder, "stopped")
    assert "did not end within 0.3 s of SIGTERM and was killed" in state.message
    assert not alive(pid)


@pytest.mark.parametrize("cleans_environment", [False, True])
def test_daemonised_descendants_die_with_the_program(folder, tmp_path, cleans_environment):
    proc.start(folder, spec(FAMILY, *(["env"] if cleans_environment else []), stop_deadline=0.3))
    eventually(lambda: "ready" in proc.tail(folder))
    state = proc.look(folder)
    family = [pid for pid, _ in tree.descendants(state.shim_pid)]
    assert len(family) == 2
    proc.stop(folder)
    becomes(folder, "stopped")
    assert not [pid for pid in family if alive(pid)]


def test_a_program_that_leaves_a_daemon_and_exits_leaves_nothing(folder, tmp_path):
    proc.start(folder, spec(FAMILY, "exit", restart=False))
    assert becomes(folder, "exited").exit_code == 0
    eventually(lambda: not marked(tmp_path))


def test_no_zombie_stays_below_a_shim(folder):
    orphans = (
        "import os, signal, time\nfor n in range(20):\n  if os.fork() == 0:\n    os.fork(); os._exit(0)\nsignal.pause()"
    )
    proc.start(folder, spec(orphans))
    state = becomes(folder, "ready")
    mine = lambda: [found for pid, found in tree.descendants(state.shim_pid) if found.parent == state.shim_pid]  # noqa: E731
    eventually(lambda: [one.letter != "Z" for one in mine()] == [True])


def test_the_shim_is_no_child_of_the_process_that_started_it(folder):
    proc.start(folder, server())
    assert tree.process(proc.look(folder).shim_pid).parent != os.getpid()


def test_kill_9_of_the_shim_takes_the_program_along(folder):
    proc.start(folder, server())
    state = becomes(folder, "ready")
    os.kill(state.shim_pid, signal.SIGKILL)
    eventually(lambda: not alive(state.pid))
    lost = becomes(folder, "lost")
    assert (lost.pid, lost.message) == (None, "its shim was killed")


def test_what_escapes_a_killed_shim_is_swept_by_the_next_start(folder, tmp_path):
    proc.start(folder, spec(FAMILY))
    eventually(lambda: "ready" in proc.tail(folder))
    state = proc.look(folder)
    family = [pid for pid, _ in tree.descendants(state.shim_pid)]
    os.kill(state.shim_pid, signal.SIGKILL)
    eventually(lambda: [pid for pid in family if alive(pid)] != family)
    assert [pid for pid in family if alive(pid)], "a daemonised descendant survives its shim"
    proc.start(folder, server())
    assert not [pid for pid in family if alive(pid)]
    becomes(folder, "ready")


def test_what_escapes_a_killed_shim_is_swept_by_remove(folder, tmp_path):
    proc.start(folder, spec(FAMILY))
    eventually(lambda: "ready" in proc.tail(folder))
    os.kill(proc.look(folder).shim_pid, signal.SIGKILL)
    becomes(folder, "lost")
    eventually(lambda: proc.remove(folder))
    assert not marked(tmp_path)
    assert proc.look(folder) is None
    assert "ready" in proc.tail(folder), "logs stay"


def test_a_lost_program_keeps_its_port_and_count_when_started_again(folder):
    proc.start(folder, server())
    first = becomes(folder, "ready")
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: (state := proc.look(folder)).restarts == 1 and state.status == "ready")
    os.kill(proc.look(folder).shim_pid, signal.SIGKILL)
    becomes(folder, "lost")
    proc.start(folder, server())
    again = becomes(folder, "ready")
    assert (again.port, again.restarts) == (first.port, 1)


def test_a_shim_outlives_the_process_that_started_it_and_is_adopted(folder):
    program = "import sys, signal; from pathlib import Path; from reconciler import proc\n"
    program += f"proc.start(Path({str(folder)!r}), proc.ShimSpec(**eval(sys.argv[1])))\n"
    program += "print('up', flush=True)\nsignal.pause()"
    known = asdict(server(health=None))
    with subprocess.Popen([sys.executable, "-c", program, repr(known)], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout.readline() == b"up\n"
        before = becomes(folder, "ready")
        daemon.kill()
    proc.start(folder, server())
    after = becomes(folder, "ready")
    assert (after.pid, after.shim_pid) == (before.pid, before.shim_pid)


def test_a_shim_whose_folder_is_gone_ends(folder, tmp_path, monkeypatch):
    proc.start(folder, server())
    becomes(folder, "ready")
    shutil.rmtree(folder)
    eventually(lambda: not marked(tmp_path), 20)


def test_after_another_boot_a_state_is_lost_and_nobody_is_signalled(folder):
    proc.start(folder, server())
    state = becomes(folder, "ready")
    path = folder / "state.json"
    text = path.read_text()
    path.write_text(text.replace(tree.boot_id(), "another-boot"))
    lost = proc.look(folder)
    assert (lost.status, lost.message) == (ShimStatus.LOST, "the machine was restarted")
    proc.stop(folder)
    assert alive(state.pid)
    path.write_text(text)


def test_a_reused_process_id_is_never_signalled(folder):
    with subprocess.Popen([*PYTHON, "import signal; signal.pause()"]) as stranger:
        found = tree.process(stranger.pid)
        tree.send(stranger.pid, found.start + 1, signal.SIGKILL)
        proc.start(folder, server())
        state = becomes(folder, "ready")
        path = folder / "state.json"
        text = path.read_text()
        path.write_text(text.replace(f'"shim": {state.shim_pid}', f'"shim": {stranger.pid}'))
        assert proc.look(folder).status is ShimStatus.LOST
        proc.stop(folder)
        path.write_text(text)
        assert stranger.poll() is None
        tree.send(stranger.pid, found.start, signal.SIGKILL)
        assert stranger.wait(10) == -signal.SIGKILL
