"""What programs do to their shim, and what it makes of that."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from programs import PYTHON, becomes, server, spec
from waiting import eventually

from reconciler import proc
from reconciler.proc import HttpHealth


def cpu_seconds(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def exists(pid):
    return Path(f"/proc/{pid}").exists()


def test_a_healthy_program_is_ready_at_the_port_it_was_given(folder):
    proc.start(folder, server())
    state = becomes(folder, "ready")
    with socket.create_connection(("127.0.0.1", state.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert (state.restarts, state.exit_code, state.message) == (0, None, "")


def test_without_a_health_check_running_is_ready(folder):
    proc.start(folder, spec("import signal; signal.pause()"))
    state = becomes(folder, "ready")
    assert state.port is None
    assert exists(state.pid)


def test_the_program_sees_its_environment_and_nothing_else(folder, monkeypatch):
    monkeypatch.setenv("DAEMON_SECRET", "hunter2")
    once = spec("import os; print(dict(os.environ), os.getcwd())", env=(("PATH", "/bin"), ("A", "é")), restart=False)
    proc.start(folder, once)
    becomes(folder, "exited")
    own = f"{{'PATH': '/bin', 'A': 'é', 'PRODSPRINT_INSTANCE': 'test/one', 'PRODSPRINT_FOLDER': '{folder}'}} /"
    found = eval(proc.tail(folder).rpartition(" ")[0])
    found.pop("LC_CTYPE", None)  # Python's own
    assert found == eval(own.rpartition(" ")[0])
    assert "hunter2" not in proc.tail(folder)


def test_files_that_a_program_writes_are_readable_as_usual_though_those_of_the_daemon_are_not(folder):
    before = os.umask(0o077)
    try:
        proc.start(folder, spec("import os; print(oct(os.umask(0)))", restart=False))
    finally:
        os.umask(before)
    becomes(folder, "exited")
    assert proc.tail(folder).strip() == "0o22"


def test_the_shim_carries_no_secret_of_the_daemon(folder, monkeypatch):
    monkeypatch.setenv("DAEMON_SECRET", "hunter2")
    proc.start(folder, server())
    state = becomes(folder, "ready")
    for pid in (state.pid, state.shim_pid):
        assert b"DAEMON_SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_program_run_once_tells_how_it_ended(folder):
    proc.start(folder, spec("import sys; print('last words'); sys.exit(3)", restart=False))
    state = becomes(folder, "exited")
    assert (state.exit_code, state.message, state.restarts) == (3, "exited with status 3", 0)
    assert proc.tail(folder) == "last words"


def test_a_program_run_once_that_does_not_end_fails_at_its_deadline(folder):
    proc.start(folder, spec("import signal; signal.pause()", restart=False, start_deadline=0.2))
    state = becomes(folder, "failed")
    assert "did not end within 0.2 s" in state.message


def test_a_signal_is_told_by_name(folder):
    proc.start(folder, spec("import os; os.kill(os.getpid(), 9)", restart=False))
    state = becomes(folder, "exited")
    assert (state.exit_code, state.message) == (-9, "was killed by SIGKILL")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"argv": ("no-such-command",)}, "cannot run 'no-such-command': No such file or directory"),
        ({"argv": ("/etc/passwd",)}, "cannot run '/etc/passwd': Permission denied"),
        ({"cwd": "/no/such/folder"}, "cannot enter the folder '/no/such/folder': No such file or directory"),
    ],
)
def test_what_cannot_be_run_fails_at_once_with_the_reason(folder, change, reason):
    proc.start(folder, server(**change))
    state = becomes(folder, "failed")
    assert (state.message, state.pid) == (reason, None)


def test_a_program_that_always_exits_at_once_is_given_up_after_three_starts(folder):
    proc.start(folder, server(argv=(*PYTHON, "print('no config', flush=True); raise SystemExit(2)")))
    state = becomes(folder, "failed")
    assert state.message == "exited with status 2 before it was healthy"
    assert (state.exit_code, state.restarts) == (2, 3)
    assert proc.tail(folder).splitlines() == ["no config"] * 3


def test_a_program_that_is_never_healthy_is_given_up_after_two_deadlines(folder):
    proc.start(folder, spec("import signal; signal.pause()", port=True, health=HttpHealth("/"), start_deadline=0.6))
    state = becomes(folder, "failed")
    assert "was not healthy within 0.6 s of its start" in state.message
    assert state.restarts == 2


def test_a_patient_shim_never_gives_up(folder):
    proc.start(folder, server(argv=(*PYTHON, "raise SystemExit(2)"), patient=True, backoff_most=0.05))
    eventually(lambda: proc.look(folder).restarts > 5)
    assert proc.look(folder).status not in proc.FINAL


def test_what_was_ready_once_is_started_again_for_ever(folder, tmp_path):
    code = tmp_path / "code"
    proc.start(folder, server(str(code), backoff_most=0.05))
    becomes(folder, "ready")
    code.write_text("exit")
    eventually(lambda: proc.look(folder).restarts > 4)
    assert proc.look(folder).status not in proc.FINAL
    code.write_text("200")
    assert becomes(folder, "ready").exit_code is None


def test_back_off_doubles(folder):
    proc.start(folder, server(argv=(*PYTHON, "raise SystemExit(2)"), patient=True, backoff_base=0.1, backoff_most=60.0))
    eventually(lambda: proc.look(folder).restarts == 4)
    one = becomes(folder, "backing_off")
    eventually(lambda: proc.look(folder).restarts == 5)
    assert proc.look(folder).since - one.since > 0.8


def test_failing_health_checks_make_it_unhealthy_and_good_ones_ready_again(folder, tmp_path):
    code = tmp_path / "code"
    proc.start(folder, server(str(code)))
    first = becomes(folder, "ready")
    code.write_text("503")
    assert becomes(folder, "unhealthy").message == "health check: answered 'HTTP/1.1 503 Fine'"
    code.write_text("204")
    assert becomes(folder, "ready").pid == first.pid


def test_what_stays_unhealthy_is_started_again(folder, tmp_path):
    code = tmp_path / "code"
    proc.start(folder, server(str(code), start_deadline=0.5))
    first = becomes(folder, "ready")
    code.write_text("500")
    eventually(lambda: proc.look(folder).restarts == 1)
    code.write_text("200")
    assert becomes(folder, "ready").pid != first.pid


def test_a_server_that_answers_nothing_is_unhealthy_by_time(folder):
    mute = "import os, socket, signal; s = socket.create_server(('127.0.0.1', int(os.environ['PORT']))); signal.pause()"
    health = HttpHealth("/", interval=0.05, timeout=0.1)
    proc.start(folder, server(argv=(*PYTHON, mute), health=health, start_deadline=0.5))
    assert "no answer in time" in becomes(folder, "failed").message


def test_a_port_taken_while_it_was_down_is_replaced(folder, tmp_path):
    code = tmp_path / "code"
    proc.start(folder, server(str(code), backoff_base=0.5))
    first = becomes(folder, "ready")
    code.write_text("exit")
    becomes(folder, "backing_off")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", first.port))
        stranger.listen()
        code.write_text("200")
        assert becomes(folder, "ready").port != first.port


def test_the_port_is_kept_over_a_restart(folder):
    proc.start(folder, server())
    first = becomes(folder, "ready")
    os.kill(first.pid, 9)
    eventually(lambda: proc.look(folder).restarts == 1)
    assert becomes(folder, "ready").port == first.port


def test_a_flood_neither_blocks_the_program_nor_fills_the_disk(folder):
    flood = "import os\nfor n in range(2000): os.write(1, b'x' * 8191 + b'\\n')\nos.write(2, b'the end')"
    proc.start(folder, spec(flood, restart=False, log_bytes=500_000, log_files=3))
    assert becomes(folder, "exited").exit_code == 0
    sizes = {path.name: path.stat().st_size for path in folder.glob("log*")}
    assert sorted(sizes) == ["log", "log.1", "log.2"]
    assert max(sizes.values()) <= 500_000 + (1 << 18)
    assert proc.tail(folder, most=20).endswith("the end")


def test_a_log_that_cannot_be_written_does_not_block_the_program(folder):
    (folder / "log").mkdir(parents=True)
    proc.start(folder, spec("import os\nfor n in range(100): os.write(1, b'x' * 65536)", restart=False))
    assert becomes(folder, "exited").exit_code == 0


def test_a_health_check_costs_the_shim_next_to_nothing(folder):
    proc.start(folder, server(health=HttpHealth("/", interval=0.1)))
    state = becomes(folder, "ready")
    before, asked = cpu_seconds(state.shim_pid), proc.tail(folder, 1000).count("asked")
    eventually(lambda: proc.tail(folder, 1000).count("asked") >= asked + 10)
    assert cpu_seconds(state.shim_pid) - before < 10 * 0.005
    size = int(Path(f"/proc/{state.shim_pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert size < 20_000_000
