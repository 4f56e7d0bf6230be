"""Is the canary slower? Shares of requests beyond chosen edges of the histogram, compared with the control's.

Quantiles cannot be read off a histogram, but "slower than this edge" is a yes or no for every request, and the tests
for failures apply to it. Edges are those nearest the control's 80th, 95th and 99th percentile, chosen from what the
control did before: nothing the canary does can choose them.

The canary is given slack: it is counted slow at the next edge that is at least ``tolerance`` times as far, and a little
further for services of a few milliseconds, while the control is counted at its own. Two processes are never equally
fast, and where latencies are narrow a slow-down of 3 % multiplies the share beyond an edge. Where the histogram
is so coarse that the next such edge is much further there is no slack: it would hide a service twice as slow.
"""

from __future__ import annotations

from typing import NamedTuple

from reconciler.core.dispersion import NO_HISTORY, PRIOR, Dispersion
from reconciler.core.evidence import Delta
from reconciler.core.observed import Counters
from reconciler.core.sequential import HEALTHY_RATIOS, SLOWNESS_RATIOS, BarTest, RatioTest, log_mean_exp

TAILS = (0.2, 0.05, 0.01)
"""Shares of the control's requests that should be slower than the edges."""

ENOUGH = 200
"""Requests of the control that edges are chosen from, at least."""

MOST_SLACK = 1.7
"""Times as far as the control's edge that the canary's may be."""

LEAST_SLACK_MS, FINE_SLACK_MS = 2.0, 3.0
"""At least so much further, and so much whatever the ratio: nobody minds a millisecond, and Envoy measures no finer."""


class Edge(NamedTuple):
    """Where the control's requests count as slow, and where the canary's do: upper bucket edges in milliseconds."""

    control: float
    canary: float


def choose(counters: Counters, tolerance: float) -> tuple[Edge, ...]:
    """Edges for a control with these cumulative counters; none when it has too few, or all are beyond the last edge."""
    if counters.timed < ENOUGH:
        return ()
    tails = [(edge, 1 - at_most / counters.timed) for edge, at_most in counters.buckets]
    tails = [(edge, tail) for edge, tail in tails if tail <= 0.5]
    if not tails:
        return ()
    nearest = [min(tails, key=lambda one, goal=goal: abs(one[1] - goal))[0] for goal in TAILS]  # type: ignore[misc]
    everywhere = [edge for edge, _ in counters.buckets]
    return tuple(Edge(edge, _with_slack(edge, everywhere, tolerance)) for edge in dict.fromkeys(nearest))


def _with_slack(edge: float, everywhere: list[float], tolerance: float) -> float:
    least = max(tolerance * edge, edge + LEAST_SLACK_MS)
    most = max(MOST_SLACK * edge, edge + FINE_SLACK_MS)
    return next((other for other in everywhere if least <= other <= most), edge)


class SlowCounts(NamedTuple):
    """Requests slower than each edge, in the order of the edges."""

    requests: int
    slow: list[int]


class Latency:
    """The latency side of an attempt: empty until there are edges."""

    __slots__ = (
        "_bars",
        "_ours",
        "_spots",
        "_theirs",
        "_tolerance",
        "edges",
        "fails",
        "flawless",
        "gammas",
        "passes",
        "spread",
        "totals",
    )

    def __init__(self, tolerance: float, bars: tuple[float, ...]) -> None:
        self._tolerance = tolerance
        self._bars = bars
        self.edges: tuple[Edge, ...] = ()
        self.fails: tuple[RatioTest, ...] = ()
        """One test an edge; their mean is the e-process of latency."""
        self.passes: dict[float, RatioTest] = {}
        """By bar, at the first edge."""
        self.flawless = BarTest()
        """The canary's slow requests at the first edge, for the comparison with a fixed share."""
        self.spread: tuple[Dispersion, ...] = ()
        self.gammas: list[float] = []
        self.totals: list[tuple[int, int, int, int]] = []
        """Per edge: canary requests and slow ones, control requests and slow ones."""
        self._spots: dict[float, int] = {}
        self._ours: list[float] = []
        self._theirs: list[float] = []

    def ready(self, before: Counters) -> bool:
        """Whether there are edges; chooses them from what the control had done before the tick, when it is time."""
        if not self.edges:
            self.edges = choose(before, self._tolerance)
            self._ours = [edge.canary for edge in self.edges]
            self._theirs = [edge.control for edge in self.edges]
            self._spots = {edge: at for at, (edge, _) in enumerate(before.buckets)}
            self.fails = tuple(RatioTest(self._tolerance, SLOWNESS_RATIOS) for _ in self.edges)
            self.passes = {bar: RatioTest(bar, [ratio / bar for ratio in HEALTHY_RATIOS]) for bar in self._bars}
            self.spread = tuple(Dispersion() for _ in self.edges)
            self.gammas = [1 / PRIOR] * len(self.edges)
            self.totals = [(0, 0, 0, 0)] * len(self.edges)
        return bool(self.edges)

    def add(self, canary: Delta | None, control: Delta) -> None:
        """Take in one tick; to be called only when ``ready``. The canary is None when its requests do not count."""
        theirs = self._count(control, self._theirs)
        ours = None if canary is None else self._count(canary, self._ours)
        if theirs is None or theirs.requests == 0:
            return
        if ours is not None and ours.requests:
            self._compare(ours, theirs)
        for at, spread in enumerate(self.spread):
            spread.add(theirs.requests, theirs.slow[at])
            self.gammas[at] = 1 / spread.phi(NO_HISTORY)

    def _compare(self, ours: SlowCounts, theirs: SlowCounts) -> None:
        falls = self.fails[0].falls(ours.requests, theirs.requests)
        for at, test in enumerate(self.fails):
            slow, other = ours.slow[at], theirs.slow[at]
            if slow or other:
                test.add(slow, slow + other, falls, self.gammas[at])
            total = self.totals[at]
            self.totals[at] = (
                total[0] + ours.requests,
                total[1] + slow,
                total[2] + theirs.requests,
                total[3] + other,
            )
        gamma, slow, both = self.gammas[0], ours.slow[0], ours.slow[0] + theirs.slow[0]
        for test in self.passes.values():
            test.add(slow, both, test.falls(ours.requests, theirs.requests), gamma)
        self.flawless.add(ours.requests, slow, gamma)

    def _count(self, delta: Delta, edges: list[float]) -> SlowCounts | None:
        before, after = delta.before.buckets, delta.after.buckets
        requests, slow = delta.after.timed - delta.before.timed, []
        shortest = min(len(before), len(after))
        for edge in edges:
            at = self._spots[edge]
            if at >= shortest or before[at][0] != edge or after[at][0] != edge:
                return None  # another histogram: the router was set up anew
            slow.append(min(max(requests - after[at][1] + before[at][1], 0), requests))
        return SlowCounts(requests, slow)

    @property
    def log_e(self) -> float:
        """Logarithm of the e-process of latency: 0 without edges."""
        return log_mean_exp([one for test in self.fails for one in test.logs]) if self.fails else 0.0
