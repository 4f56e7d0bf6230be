from __future__ import annotations

import os

import pytest
from programs import PYTHON
from waiting import eventually

from reconciler.clock import SystemClock
from reconciler.command import run
from reconciler.core.outcome import TerminalError


def is_group(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def call(program, tmp_path, **more):
    return run(
        (*PYTHON, program), **{"timeout": 10, "cwd": tmp_path, "env": {"A": "1"}, "clock": SystemClock(), **more}
    )


def test_output_errors_code_folder_and_environment(tmp_path):
    done = call(
        "import os, sys; print(os.getcwd(), os.environ['A']); print('no', file=sys.stderr); sys.exit(3)", tmp_path
    )
    assert (done.code, done.out, done.err, done.truncated) == (3, f"{tmp_path} 1\n".encode(), b"no\n", False)


def test_a_flood_is_cut_and_does_not_block(tmp_path):
    done = call("import sys\nfor n in range(1000): sys.stdout.write('x' * 10000)", tmp_path, most=100)
    assert (done.code, done.out, done.truncated) == (0, b"x" * 100, True)


def test_the_deadline_kills_the_whole_group(tmp_path):
    program = "import os, signal\nif os.fork(): print(os.getpid(), flush=True)\nsignal.pause()"
    done = call(program, tmp_path, timeout=0.5)
    assert done.code is None
    eventually(lambda: not is_group(int(done.out)))


def test_a_child_that_holds_the_pipe_does_not_hold_the_caller(tmp_path):
    done = call("import os, signal\nif os.fork() == 0: signal.pause()\nprint('done', flush=True)", tmp_path)
    assert (done.code, done.out) == (0, b"done\n")


def test_closed_output_is_no_end(tmp_path):
    done = call(
        "import os, sys, select; os.close(1); os.close(2); select.select([], [], [], 0.2); os._exit(5)", tmp_path
    )
    assert done.code == 5


def test_what_cannot_be_started_is_terminal(tmp_path):
    with pytest.raises(TerminalError, match="cannot run 'no-such-command'"):
        run(("no-such-command",), timeout=1, cwd=tmp_path, env={}, clock=SystemClock())
