"""Group commit: writers that meet are run by one of them, in one transaction, with one fsync.

There is no thread behind it. The first writer to arrive leads; those who come while it waits for the disk line up, and one of
them leads all of the next group. A writer alone pays nothing for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from reconciler.core.outcome import TransientError

T = TypeVar("T")


class Job(Generic[T]):
    """One writer's work, and after its group what came of it."""

    __slots__ = ("_value", "committed", "done", "error", "work")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done = False
        self.committed = False
        self.error: Exception | None = None
        self._value: list[T] = []

    def run(self, connection: Connection) -> None:
        """Do the work. Raises what it raises."""
        self.error = None
        self._value = [self.work(connection)]

    def outcome(self) -> T:
        """The work's result. Raises its error, and TransientError when its group ended before the commit returned."""
        if self.error is not None:
            raise self.error
        if not self.committed:
            raise TransientError("the write was interrupted: whether it is on disk shows when it is read again")
        return self._value[0]


class GroupCommit:
    """Lines up writers. ``run`` gets every job of a group, runs them, and leaves an error on each that failed."""

    def __init__(self, run: Callable[[Sequence[Job[object]]], None]) -> None:
        self._run = run
        self._turn = threading.Condition()
        self._line: list[Job[object]] = []
        self._led = False

    def do(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` returned, once its transaction is on disk. Raises what it raised, or why it was not."""
        job = Job(work)
        with self._turn:
            self._line.append(job)  # type: ignore[arg-type] # the line does not look at results
            while self._led and not job.done:
                self._turn.wait()
            if job.done:
                return job.outcome()
            self._led = True
            group, self._line = self._line, []
        self._lead(group)
        return job.outcome()

    def _lead(self, group: Sequence[Job[object]]) -> None:
        try:
            self._run(group)
        finally:  # an interrupted leader leaves nobody waiting
            with self._turn:
                for job in group:
                    job.done = True
                self._led = False
                self._turn.notify_all()
