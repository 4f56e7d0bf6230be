"""Time that passes when a test says so."""

from __future__ import annotations

from reconciler.core.desired import Instant


class FakeClock:
    """``elapsed`` is the true number of seconds since the test began; wall clock and boot can be made to lie."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.elapsed = 0.0
        self._wall = wall
        self._booted = -1_000.0
        self._boots = 1

    def now(self) -> Instant:
        return Instant(self._wall + self.elapsed, self.elapsed - self._booted, f"boot-{self._boots}")

    def seconds(self) -> float:
        """What a work queue reads."""
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as NTP or a person does."""
        self._wall += seconds

    def reboot(self) -> None:
        """Begin a new boot: its monotonic clock starts at 0."""
        self._boots += 1
        self._booted = self.elapsed
