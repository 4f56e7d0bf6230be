"""Builds logs of ticks from what each side did between looks."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Instant, Step
from reconciler.core.observed import Counters, Reading, Tick

POLICY = AnalysisPolicy(interval=1.0)
STEPS = (Step(500, 10), Step(FULL_WEIGHT, 10))
"""The first step's bar is that of all traffic: 1 % and twice the control."""

EDGES = (10.0, 20.0, 30.0, 40.0, 50.0, 65.0, 80.0, 100.0, 200.0)


@dataclass
class Side:
    epoch: str = "a"
    sent: int = 0
    answered: int = 0
    failed: int = 0
    timed: int = 0
    slower: dict[float, int] = field(default_factory=dict)

    def serve(self, requests: int, failed: int = 0, lost: int = 0, times: tuple[tuple[float, int], ...] = ()) -> None:
        """``times`` are pairs of milliseconds and requests that took as long."""
        self.sent += requests + lost
        self.answered += requests
        self.failed += failed
        for milliseconds, count in times:
            self.timed += count
            for edge in EDGES:
                self.slower[edge] = self.slower.get(edge, 0) + (count if milliseconds > edge else 0)

    def counters(self) -> Counters:
        buckets = tuple((edge, self.timed - self.slower[edge]) for edge in EDGES) if self.slower else ()
        return Counters(self.epoch, self.sent, self.answered, self.failed, self.timed, buckets)


class Log:
    """An attempt in the making; starts with its baseline, outside of any step."""

    def __init__(self, *, control: bool = True, interval: float = 1.0, baseline: int = 0) -> None:
        self.canary, self.stable = Side(), Side() if control else None
        self.interval, self.mono, self.wall, self.boot = interval, 100.0, 1e9, "boot-1"
        self.step, self.weight = 0, 500
        self.ticks: list[Tick] = []
        if baseline and self.stable:
            self.stable.serve(
                baseline, times=((5, baseline * 78 // 100), (15, baseline * 18 // 100), (35, baseline * 4 // 100))
            )
        self.look(step=-1)

    @property
    def now(self) -> Instant:
        return Instant(self.wall, self.mono, self.boot)

    def look(self, *, step: int | None = None, error: str = "") -> None:
        sides = (None, None) if error else (self.stable.counters() if self.stable else None, self.canary.counters())
        reading = Reading(self.now, *sides, error=error)
        self.ticks.append(Tick(1, len(self.ticks), self.step if step is None else step, self.weight, reading))

    def tick(self, canary: tuple[int, int] = (0, 0), control: tuple[int, int] = (0, 0), **how: object) -> None:
        """One interval: requests and failures of each side, then a look."""
        self.canary.serve(*canary)
        if self.stable:
            self.stable.serve(*control)
        self.wait()
        self.look(**how)  # type: ignore[arg-type]

    def wait(self, seconds: float | None = None) -> None:
        elapsed = self.interval if seconds is None else seconds
        self.mono += elapsed
        self.wall += elapsed
