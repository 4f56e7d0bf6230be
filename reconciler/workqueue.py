"""A queue of keys: no duplicates, delays, lanes, one worker per key at a time. It holds names, never events."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SHARE = 8
"""A lane that has been passed over this often is next: a crowd in a faster lane slows it down, but never stops it."""


class Lane(IntEnum):
    """Who goes first when many are due. Within a lane, whoever has been due for longest."""

    NOW = 0
    """Something happened to it: a commit, a verb, an event. And the way back."""
    MOVING = 1
    """Something is in progress."""
    RESTING = 2
    """Nothing happens to it; it is looked at now and then all the same."""
    FAILING = 3
    """It did not work last time, and may keep a worker waiting until it fails again."""


class WorkQueue(Generic[K]):
    """Keys with the time at which each is due, and its lane.

    A key that is added again while it waits keeps the earlier of the two times and the faster of the two lanes. A key that is
    added while a worker has it is handed out again when that worker is done. ``clock`` gives monotonic seconds.
    ``failing`` is how many keys of that lane may be in work at the same time; None for any number.
    """

    def __init__(self, clock: Callable[[], float], failing: int | None = None) -> None:
        self._clock = clock
        self._failing = failing
        self._changed = threading.Condition()
        self._due: dict[K, tuple[float, Lane]] = {}
        self._heaps: dict[Lane, list[tuple[float, int, K]]] = {lane: [] for lane in Lane}
        self._passed = dict.fromkeys(Lane, 0)
        self._serial = 0
        self._working: dict[K, Lane] = {}
        self._again: dict[K, tuple[float, Lane]] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many keys wait or are in work."""
        return len(self._due) + len(self._working)

    def add(self, key: K, delay: float = 0.0, lane: Lane = Lane.NOW) -> None:
        """Have ``key`` handed out after ``delay`` seconds at the latest."""
        with self._changed:
            wanted = self._clock() + delay, lane
            if key in self._working:
                self._again[key] = _sooner(wanted, self._again.get(key))
            else:
                self._push(key, wanted)

    def _push(self, key: K, wanted: tuple[float, Lane]) -> None:
        before = self._due.get(key)
        due, lane = wanted = _sooner(wanted, before)
        if wanted == before:
            return
        self._due[key] = wanted
        self._serial += 1
        heap = self._heaps[lane]
        heapq.heappush(heap, (due, self._serial, key))
        if len(heap) > 2 * len(self._due) + 64:  # most of it has been overtaken since
            heap[:] = [one for one in heap if self._due.get(one[2]) == (one[0], lane)]
            heapq.heapify(heap)
        self._changed.notify()

    def take(self) -> K | None:
        """Wait for a key that is due, and keep it from other workers until ``done``. None once the queue is closed."""
        with self._changed:
            while not self._closed:
                key = self._pop()
                if key is not None:
                    return key
                first = min((due for lane in Lane if (due := self._first(lane)) is not None), default=None)
                self._changed.wait(None if first is None else first - self._clock())
            return None

    def take_due(self) -> K | None:
        """A key that is due now, or None: ``take`` for those who don't wait."""
        with self._changed:
            return self._pop()

    def _first(self, lane: Lane) -> float | None:
        """When the first key of a lane that may be handed out is due; None when there is none."""
        if lane is Lane.FAILING and self._failing is not None and self._in_work(lane) >= self._failing:
            return None
        heap = self._heaps[lane]
        while heap and self._due.get(heap[0][2]) != (heap[0][0], lane):  # another time or lane replaced this one
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _in_work(self, lane: Lane) -> int:
        return sum(one is lane for one in self._working.values())

    def _pop(self) -> K | None:
        now = self._clock()
        ready = [lane for lane in Lane if (due := self._first(lane)) is not None and due <= now]
        if not ready:
            return None
        chosen = next((lane for lane in ready if self._passed[lane] >= SHARE), ready[0])
        for lane in ready:
            self._passed[lane] = 0 if lane is chosen else self._passed[lane] + 1
        _, _, key = heapq.heappop(self._heaps[chosen])
        del self._due[key]
        self._working[key] = chosen
        return key

    def done(self, key: K, again: float | None = None, lane: Lane = Lane.NOW) -> None:
        """Give a key back; ``again`` is the delay after which it is due, None for not by itself."""
        with self._changed:
            if self._working.pop(key, None) is Lane.FAILING:
                self._changed.notify()
            wanted = self._again.pop(key, None)
            if again is not None:
                wanted = _sooner((self._clock() + again, lane), wanted)
            if wanted is not None:
                self._push(key, wanted)

    def next_due(self) -> float | None:
        """When the earliest waiting key is due, on the queue's clock; None when nothing waits."""
        with self._changed:
            return min((due for due, _ in self._due.values()), default=None)

    def depth(self) -> tuple[int, float]:
        """How many keys are overdue, and for how many seconds the oldest of them has been."""
        with self._changed:
            now = self._clock()
            late = [now - due for due, _ in self._due.values() if due <= now]
            return len(late), max(late, default=0.0)

    def close(self) -> None:
        """Hand out nothing more, and let every waiting worker go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _sooner(one: tuple[float, Lane], other: tuple[float, Lane] | None) -> tuple[float, Lane]:
    return one if other is None else (min(one[0], other[0]), min(one[1], other[1]))
