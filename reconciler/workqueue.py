"""A queue of keys: no duplicates, delays, one worker per key at a time. It holds names, never events."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys with the time at which each is due.

    A key that is added again while it waits keeps the earlier of the two times. A key that is added while a worker has it is
    handed out again when that worker is done. ``clock`` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0
        self._working: set[K] = set()
        self._again: dict[K, float] = {}
        self._closed = False

    def add(self, key: K, delay: float = 0.0) -> None:
        """Have ``key`` handed out after ``delay`` seconds at the latest."""
        with self._changed:
            due = self._clock() + delay
            if key in self._working:
                self._again[key] = min(due, self._again.get(key, due))
            elif due < self._due.get(key, float("inf")):
                self._push(key, due)
                self._changed.notify()

    def _push(self, key: K, due: float) -> None:
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, key))

    def take(self) -> K | None:
        """Wait for a key that is due, and keep it from other workers until ``done``. None once the queue is closed."""
        with self._changed:
            while not self._closed:
                key = self._pop()
                if key is not None:
                    return key
                self._changed.wait(self._heap[0][0] - self._clock() if self._heap else None)
            return None

    def take_due(self) -> K | None:
        """A key that is due now, or None: ``take`` for those who don't wait."""
        with self._changed:
            return self._pop()

    def _pop(self) -> K | None:
        while self._heap and self._heap[0][0] <= self._clock():
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:  # else an earlier time replaced this one
                del self._due[key]
                self._working.add(key)
                return key
        return None

    def done(self, key: K, again: float | None = None) -> None:
        """Give a key back; ``again`` is the delay after which it is due, None for not by itself."""
        with self._changed:
            self._working.discard(key)
            due = self._again.pop(key, None)
            if again is not None:
                later = self._clock() + again
                due = later if due is None else min(due, later)
            if due is not None:
                self._push(key, due)
                self._changed.notify()

    def next_due(self) -> float | None:
        """When the earliest waiting key is due, on the queue's clock; None when nothing waits."""
        with self._changed:
            return min(self._due.values(), default=None)

    def depth(self) -> tuple[int, float]:
        """How many keys are overdue, and for how many seconds the oldest of them has been."""
        with self._changed:
            now = self._clock()
            late = [now - due for due in self._due.values() if due <= now]
            return len(late), max(late, default=0.0)

    def close(self) -> None:
        """Hand out nothing more, and let every waiting worker go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
