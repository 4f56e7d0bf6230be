"""The program itself, from fork to exec."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import NoReturn

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """From now on every orphaned descendant becomes a child of this process. Raises OSError."""
    if _libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


def words(code: int) -> str:
    """An exit code (negative for a signal) for people."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def spawn(argv: list[str], env: dict[str, str], cwd: str, output: int) -> tuple[int, str]:
    """Start a program in a session and process group of its own, which dies with this process.

    Returns its process id and why it cannot be run, or "". Raises OSError when the machine has no room for it now.
    """
    reader, writer = os.pipe()
    mine, child = os.getpid(), os.fork()
    if not child:
        _become(argv, env, cwd, output, mine, writer)
    os.close(writer)
    problem = os.read(reader, 1000).decode(errors="replace")  # its end closes when the program takes over
    os.close(reader)
    return child, problem


def _become(argv: list[str], env: dict[str, str], cwd: str, output: int, parent: int, writer: int) -> NoReturn:
    what = "be started"
    try:
        os.setsid()
        os.umask(0o022)  # the daemon's own files are nobody else's business; what a program writes is its own
        _libc.prctl(SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
            os.dup2(source, descriptor)
        what = f"enter the folder {cwd!r}"
        os.chdir(cwd)
        what = f"run {argv[0]!r}"
        os.execvpe(argv[0], argv, env)  # noqa: S606 - that no shell is used is the point
    except Exception as error:  # noqa: BLE001 - told to the shim, whatever it is
        os.write(writer, f"cannot {what}: {getattr(error, 'strerror', None) or error}".encode())
    os._exit(127)
