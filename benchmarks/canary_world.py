"""Simulated traffic for the canary analysis: ticks with cumulative counters, from a seed and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from statistics import NormalDist

from reconciler.core.desired import FULL_WEIGHT, Instant, Step
from reconciler.core.observed import Counters, Reading, Tick

EDGES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10_000)
"""Upper bucket edges in milliseconds: those the Envoy router sets."""

STEPS = (Step(100, 300), Step(500, 300), Step(2500, 600), Step(10_000, 0))
"""1 → 5 → 25 → 100 %: five, five and ten minutes."""


@dataclass(frozen=True)
class World:
    """One kind of service and release."""

    rate: float = 500.0
    """Requests per second of the whole service."""
    errors: float = 0.001
    """Failure probability of the control."""
    worse: float = 1.0
    """Times as many of the canary's requests fail."""
    clump: int = 1
    """Failures that come together, on one side and in one tick."""
    median: float = 0.0
    """Milliseconds; 0 for a service whose latency is not measured."""
    spread: float = 0.6
    """Standard deviation of the latency's logarithm."""
    stall: int = 0
    """Requests that one stall makes take a second and more, on one side and in one tick; 1 % of all are in stalls."""
    slower: float = 1.0
    """Times as long the canary takes."""
    interval: float = 10.0


def poisson(chance: Random, mean: float) -> int:
    """A Poisson variate; a rounded normal one above 50."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    count, product, floor = 0, chance.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= chance.random()
    return count


class Side:
    """One arm with its cumulative counters."""

    def __init__(self, world: World, chance: Random, errors: float, slower: float) -> None:
        self._world, self._chance, self._errors = world, chance, errors
        self._answered = self._failed = self._timed = 0
        self._shares: list[float] = []
        self._buckets = [0] * len(EDGES)
        if world.median:
            law = NormalDist(math.log(world.median * slower), world.spread)
            points = [0.0, *(law.cdf(math.log(edge)) for edge in EDGES), 1.0]
            self._shares = [after - before for before, after in pairwise(points)]

    def serve(self, mean: float) -> None:
        """Answer about ``mean`` requests. Poisson counts of kinds of requests are independent Poisson counts."""
        if self._shares:
            counts = [poisson(self._chance, mean * share) if share > 1e-9 else 0 for share in self._shares]
            if self._world.stall:
                counts[-3] += self._world.stall * poisson(self._chance, mean * 0.01 / self._world.stall)
            requests, total = sum(counts), 0
            self._timed += requests
            for at, count in enumerate(counts[:-1]):
                total += count
                self._buckets[at] += total
        else:
            requests = poisson(self._chance, mean)
        clump = self._world.clump
        self._answered += requests
        self._failed += min(requests, clump * poisson(self._chance, requests * self._errors / clump))

    def counters(self) -> Counters:
        """What a metrics source would read."""
        buckets = tuple(zip(map(float, EDGES), self._buckets, strict=True)) if self._shares else ()
        return Counters("envoy-1", self._answered, self._answered, self._failed, self._timed, buckets)


def ticks(world: World, chance: Random, plan: Iterator[tuple[int, int]], attempt: int = 1) -> Iterator[Tick]:
    """Ticks of one attempt: a baseline, then one per (step, weight in hundredths of a percent) of ``plan``."""
    stable = Side(world, chance, world.errors, 1.0)
    canary = Side(world, chance, min(1.0, world.errors * world.worse), world.slower)
    stable.serve(world.rate * 600)
    for seq, (step, weight) in enumerate([(-1, 0), *plan]):
        share = weight / FULL_WEIGHT if seq else 0.0
        if seq:
            canary.serve(world.rate * world.interval * share)
            stable.serve(world.rate * world.interval * (1 - share))
        at = Instant(1e9 + seq * world.interval, seq * world.interval, "boot")
        yield Tick(attempt, seq, step, weight, Reading(at, stable.counters(), canary.counters()))


def schedule(steps: tuple[Step, ...], interval: float) -> Iterator[tuple[int, int]]:
    """Step and weight of every tick when each step takes its bake time."""
    for index, step in enumerate(steps):
        yield from [(index, step.weight)] * int(step.bake / interval)


def constant(weight: int, count: int) -> Iterator[tuple[int, int]]:
    """``count`` ticks at one weight, in the first step."""
    return iter([(0, weight)] * count)
