"""The data directory: one daemon at a time works on it, and nobody else looks into it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reconciler.clock import SystemClock, within
from reconciler.core.outcome import TerminalError


@contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Hold the data directory against other daemons. Raises TerminalError when one has it, or it cannot be used."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(data)
        lock = (data / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise TerminalError(f"the data directory {data} cannot be used: {error.strerror}") from None
    with lock:
        # A command that looks whether a daemon lives holds the lock for microseconds: that is no other daemon.
        if not within(0.3, lambda: _locked(lock), SystemClock()):
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise TerminalError(
                f"another daemon (process {holder}) works on {data}: stop it, or give this one its own --data-dir"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close_to_others(data: Path) -> None:
    """Take away what a folder that was there before lets others do: it holds a token, and programs that are run."""
    found = data.stat()
    if found.st_uid != os.geteuid():
        raise TerminalError(f"the data directory {data} belongs to another user: give the daemon one of its own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        data.chmod(0o700)
