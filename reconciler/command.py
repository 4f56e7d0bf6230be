"""The gateway for short commands: a deadline, bounded output, and the whole process group killed at the end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from reconciler.core.outcome import TerminalError
from reconciler.ports import Clock

PIPE_BYTES = 1 << 20
"""More than a pipe holds."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a short command ended. ``code`` is negative for a signal, and None when the deadline killed it."""

    code: int | None
    out: bytes
    err: bytes
    truncated: bool
    """Whether more was written than was kept."""


def run(
    argv: Sequence[str], *, timeout: float, cwd: Path, env: Mapping[str, str], clock: Clock, most: int = 1_000_000
) -> Completed:
    """Run a command for at most ``timeout`` seconds and keep the first ``most`` bytes each of its output and errors.

    Its whole process group is killed at the end. Raises TerminalError when it cannot be started.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - what to run is the caller's business
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise TerminalError(f"cannot run {argv[0]!r}: {error}") from error
    with child:
        output, ended = _collect(child, clock, timeout, most)
        os.killpg(child.pid, signal.SIGKILL)  # it is not reaped yet, so that the number is still this group's
        code = child.wait()
    return Completed(code if ended else None, bytes(output[0].kept), bytes(output[1].kept), any(o.cut for o in output))


class _Output:
    """One stream of a short command: its first ``most`` bytes; the rest is read and dropped, so that it never blocks."""

    def __init__(self, stream: IO[bytes] | None, most: int) -> None:
        self.descriptor = stream.fileno() if stream else -1
        self.kept = bytearray()
        self.cut = False
        self._most = most
        os.set_blocking(self.descriptor, False)

    def read(self) -> bool:
        """Take what is there. False at the end of the stream."""
        try:
            chunk = os.read(self.descriptor, PIPE_BYTES)
        except BlockingIOError:
            return True
        self.cut = self.cut or len(self.kept) + len(chunk) > self._most
        self.kept += chunk[: self._most - len(self.kept)]
        return bool(chunk)


def _collect(
    child: subprocess.Popen[bytes], clock: Clock, timeout: float, most: int
) -> tuple[tuple[_Output, _Output], bool]:
    """Read until the command has ended, or its time is up (then False)."""
    output = (_Output(child.stdout, most), _Output(child.stderr, most))
    end = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        for one in output:
            selector.register(one.descriptor, selectors.EVENT_READ, one)
        started, ended = clock.now(), False
        while not ended and (left := timeout - clock.now().since(started)) > 0:
            ready = selector.select(left)
            ended = any(key.fd == end for key, _ in ready)
            for one in (key.data for key, _ in ready if key.data):
                if not one.read():
                    selector.unregister(one.descriptor)
        # What was written just before the end is in the pipes still; one read each empties them.
        for one in output:
            one.read()
    os.close(end)
    return output, ended
