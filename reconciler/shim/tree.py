"""What /proc says of processes, and signals that reach exactly the process that was meant."""

# ruff: noqa: PTH123, PTH208
# pathlib would cost every shim memory

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import NamedTuple


class Process(NamedTuple):
    """A line of /proc: its state letter, parent, and start time in clock ticks since boot."""

    letter: str
    parent: int
    start: int


def _raw(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def process(pid: int) -> Process | None:
    """Look at a process (or its zombie, letter Z); None when there is none."""
    try:
        fields = _raw(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    return Process(fields[0].decode(), int(fields[1]), int(fields[19]))


def pids() -> list[int]:
    """Every process that there is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def send(pid: int, start: int, number: int) -> None:
    """Signal the process of that id and start time; nobody else, ever: a pidfd stays with its process."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        found = process(pid)
        if found and found.start == start:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:  # it has ended, or is not ours to signal
        pass
    finally:
        os.close(descriptor)


def await_end(pid: int, seconds: float) -> None:
    """Wait until a process has ended, at most so long."""
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(int(seconds * 1000))
        os.close(descriptor)


def boot_id() -> str:
    """The kernel's id of this boot."""
    return _raw("/proc/sys/kernel/random/boot_id").decode().strip()


def descendants(root: int) -> list[tuple[int, Process]]:
    """Every process below ``root``, the nearest first."""
    table = {pid: found for pid in pids() if (found := process(pid))}
    below, parents = [], {root}
    while parents:
        layer = [(pid, found) for pid, found in table.items() if found.parent in parents]
        below += layer
        parents = {pid for pid, _ in layer}
    return below


def kill_marked(marks: set[bytes]) -> int:
    """Kill every process whose environment has these entries, wait a moment for the end; how many there were."""
    found = [(pid, seen) for pid in pids() if (seen := process(pid)) and marks <= _environment(pid)]
    for pid, seen in found:
        send(pid, seen.start, signal.SIGKILL)
    for pid, _ in found:
        await_end(pid, 0.5)
    return len(found)


def _environment(pid: int) -> set[bytes]:
    try:
        return set(_raw(f"/proc/{pid}/environ").split(b"\0"))
    except OSError:  # it has ended, or belongs to somebody else
        return set()
