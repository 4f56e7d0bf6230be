"""A router whose split is a value that comes into force some time after it was asked for."""

from __future__ import annotations

from fakes.clock import FakeClock

from reconciler.core.desired import Key
from reconciler.core.observed import Traffic
from reconciler.core.outcome import StaleGenerationError, TransientError


class FakeRouter:
    """``delay`` is how many seconds a split takes to come into force; ``error`` makes observing and applying fail."""

    def __init__(self, clock: FakeClock, delay: float = 0.0) -> None:
        self.delay = delay
        self.error = ""
        self.applied: list[tuple[Key, Traffic, int]] = []
        self._clock = clock
        self._asked: dict[Key, list[tuple[float, Traffic]]] = {}
        self._fences: dict[Key, int] = {}

    def observe(self, key: Key) -> Traffic | None:
        if self.error:
            raise TransientError(self.error)
        return self.in_force(key)

    def in_force(self, key: Key) -> Traffic | None:
        """The split that requests meet now, whatever the router admits."""
        asked = self._asked.get(key, [])
        past = [traffic for since, traffic in asked if since <= self._clock.elapsed]
        if not past or (past[-1].stable is None and past[-1].canary is None):
            return None
        return past[-1]

    def next_change(self) -> float | None:
        """When the next split comes into force, on the clock's ``elapsed``; None when none is on its way."""
        coming = [since for asked in self._asked.values() for since, _ in asked if since > self._clock.elapsed]
        return min(coming, default=None)

    def apply(self, key: Key, traffic: Traffic, generation: int) -> None:
        if generation < self.fence(key):
            raise StaleGenerationError(f"generation {generation} is older than {self._fences[key]}")
        self._fences[key] = generation
        if self.error:
            raise TransientError(self.error)
        self.applied.append((key, traffic, generation))
        asked = self._asked.setdefault(key, [])
        if asked and asked[-1][1] == traffic:
            return
        past = [one for one in asked if one[0] <= self._clock.elapsed][-1:]
        # A newer request replaces one that is not in force yet.
        self._asked[key] = [*past, (self._clock.elapsed + self.delay, traffic)]

    def fence(self, key: Key) -> int:
        """The newest generation that was let in."""
        return self._fences.get(key, 0)

    def close(self) -> None:
        pass
