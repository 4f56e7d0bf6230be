"""A metrics source whose counters are what a test, or the simulator's traffic, counted."""

from __future__ import annotations

from fakes.clock import FakeClock

from reconciler.core.desired import Key
from reconciler.core.observed import Counters, Reading


class FakeMetrics:
    """``error`` makes every reading fail with that text."""

    def __init__(self, clock: FakeClock) -> None:
        self.error = ""
        self.reads = 0
        self._clock = clock
        self._epoch = 1
        self._sides: dict[str, tuple[int, int]] = {}

    def record(self, key: Key, role: str, sent: int, failed: int) -> None:
        """Count requests that were sent to one side and answered, ``failed`` of them with an error."""
        before = self._sides.get(key.side(role), (0, 0))
        self._sides[key.side(role)] = (before[0] + sent, before[1] + failed)

    def restart(self) -> None:
        """Lose every counter, as a proxy does when it starts anew."""
        self._epoch += 1
        self._sides.clear()

    def read(self, key: Key) -> Reading:
        self.reads += 1
        if self.error:
            return Reading(self._clock.now(), error=self.error)
        return Reading(self._clock.now(), self._side(key, "stable"), self._side(key, "canary"))

    def _side(self, key: Key, role: str) -> Counters | None:
        if key.side(role) not in self._sides:
            return None
        sent, failed = self._sides[key.side(role)]
        return Counters(f"epoch-{self._epoch}", sent, sent, failed, sent, ((10.0, sent),))

    def close(self) -> None:
        pass
