"""How often the canary analysis is wrong, how fast it is right, and what it costs: simulated, from fixed seeds.

``python -m benchmarks canary_analysis [--quick]``; the whole takes some minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from math import comb, exp, log, log1p
from random import Random
from statistics import median

from benchmarks.canary_world import STEPS, World, constant, schedule, ticks
from benchmarks.rows import Row
from reconciler.core.analysis import analyse, control_history
from reconciler.core.desired import AnalysisPolicy, Step
from reconciler.core.fold import Fold, bar_of
from reconciler.core.observed import ControlHistory, Tick

NAME = "canary analysis: simulated canaries (alpha 1 %, beta 5 %)"
HOUR = 360
"""Ticks of ten seconds in the history."""

FINAL = (Step(2500, 600), Step(10_000, 0))
"""A step whose bar is the policy's own."""


def upper_bound(wrong: int, runs: int, level: float = 0.01) -> float:
    """Clopper-Pearson: the largest probability under which so few would be wrong at least once in 1 / ``level``."""
    low, high = wrong / runs, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        tail = sum(exp(log(comb(runs, k)) + k * log(middle) + (runs - k) * log1p(-middle)) for k in range(wrong + 1))
        low, high = (middle, high) if tail > level else (low, middle)
    return high


def policy_for(world: World) -> AnalysisPolicy:
    return AnalysisPolicy(interval=world.interval)


def past(world: World, chance: Random) -> ControlHistory:
    """What an hour without an attempt tells."""
    return control_history(tuple(ticks(world, chance, constant(0, HOUR), attempt=0)))


def caught_at(world: World, seed: int, *, history: bool = False, plan: tuple[tuple[int, int], ...] = ()) -> int | None:
    """Number of the tick at which a release is called regressed, None when it never is."""
    chance = Random(seed)
    known = past(world, chance) if history else ControlHistory()
    policy = policy_for(world)
    fold = Fold(policy, (bar_of(policy, STEPS, 2).ratio,), known)
    for number, tick in enumerate(ticks(world, chance, iter(plan or schedule(STEPS, world.interval)))):
        fold.add(tick)
        if fold.caught is not None:
            return number
    return None


def ever_passed(world: World, seed: int, *, history: bool = False) -> bool:
    """Whether a release at the bar is certified at any of 60 looks, against the budget or against the control."""
    chance = Random(seed)
    known = past(world, chance) if history else ControlHistory()
    policy = policy_for(world)
    bar = bar_of(policy, FINAL, 0)
    fold, threshold = Fold(policy, (bar.ratio,), known), -log(policy.false_pass)
    for tick in ticks(world, chance, schedule(FINAL, world.interval)):
        fold.add(tick)
        seen = fold.failures
        if max(seen.kept.log_kept(bar.share), seen.passes[bar.ratio].log_e) >= threshold:
            return True
    return False


def spread_over_cores(job: Callable[[int], object], runs: int) -> list[object]:
    """The job for seeds 0 to ``runs`` - 1, in order."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(job, range(runs), chunksize=max(1, runs // 40)))


def false_rollbacks(runs: int) -> Iterator[Row]:
    """Equally good canaries: 1, 5, 25 % over 20 minutes, a look every 10 s."""
    busy, small = World(rate=500, errors=0.001), World(rate=50, errors=0.01)
    cases = [
        (f"{label}, {clumps}", World(one.rate, one.errors, clump=clump), history)
        for label, one in (("500 req/s, 0.1 % errors", busy), ("50 req/s, 1 % errors", small))
        for clump, clumps in ((1, "independent"), (5, "clumps of 5"), (20, "clumps of 20"))
        for history in (True, False)
    ]
    cases += [
        (f"50 req/s, latency 60 ms, {words}", World(rate=50, errors=0.001, median=60, stall=stall), False)
        for words, stall in (("lognormal", 0), ("stalls of 5", 5), ("stalls of 20", 20))
    ]
    for label, world, history in cases:
        wrong = sum(one is not None for one in spread_over_cores(partial(caught_at, world, history=history), runs))
        known = "1 h of history" if history else "no history"
        bound = upper_bound(wrong, runs)
        what = f"rolled back though equally good: {label}, {known}"
        yield Row(
            what, f"{wrong:,} of {runs:,}, 99 % bound {bound:.2%}", "≤ 1 %", bound <= 0.01 if runs >= 10_000 else None
        )


def detections(runs: int) -> Iterator[Row]:
    """Bad canaries at 5 % of 500 requests a second from the first tick on, without history."""
    nearly_none = 1e-6
    cases = [
        ("fails 20 %, control none", World(errors=nearly_none, worse=0.2 / nearly_none, interval=1), 60),
        ("fails 20 %, control 0.1 %", World(errors=0.001, worse=200, interval=1), 60),
        ("three times slower, 20 ms", World(errors=nearly_none, median=20, slower=3, interval=1), 60),
        ("three times slower, 60 ms", World(errors=nearly_none, median=60, slower=3, interval=1), 60),
        ("twice as slow, 60 ms", World(errors=nearly_none, median=60, slower=2, interval=1), 120),
        ("fails 5 times as often, control 0.1 %", World(errors=0.001, worse=5), 120),
    ]
    for label, world, most in cases:
        found = spread_over_cores(partial(caught_at, world, plan=tuple(constant(500, most))), runs)
        when = sorted(one for one in found if isinstance(one, int))
        two, three = (sum(one <= looks for one in when) / runs for looks in (2, 3))
        typical = median(when) if when else 0
        requests = typical * world.interval * world.rate * 0.05
        measured = f"{two:.1%} in 2 looks of {world.interval:g} s, {three:.1%} in 3, {len(when) / runs:.1%} in the end"
        yield Row(f"caught: {label}", f"{measured}; median {typical * world.interval:g} s, {requests:.0f} requests")


def false_passes(runs: int) -> Iterator[Row]:
    """Canaries exactly at the bar (1 %, twice the control's 0.5 %), at any of 60 looks."""
    for label, world, history in (
        ("100 req/s, independent", World(rate=100, errors=0.005, worse=2), False),
        ("500 req/s, independent", World(rate=500, errors=0.005, worse=2), False),
        ("500 req/s, clumps of 5", World(rate=500, errors=0.005, worse=2, clump=5), True),
        ("500 req/s, clumps of 5", World(rate=500, errors=0.005, worse=2, clump=5), False),
    ):
        wrong = sum(map(bool, spread_over_cores(partial(ever_passed, world, history=history), runs)))
        known = "1 h of history" if history else "no history"
        what = f"certified at the bar: {label}, {known}"
        # Clumped failures that no history tells of are beyond what is promised: shown, not judged.
        promised = world.clump == 1 or history
        bound = upper_bound(wrong, runs)
        yield Row(
            what,
            f"{wrong / runs:.2%}, 99 % bound {bound:.2%}",
            "≤ 5 %" if promised else "",
            wrong / runs <= 0.05 if promised else None,
        )


def cost() -> Iterator[Row]:
    """Time of one analysis of a whole attempt, best of 20."""
    for label, world in (("errors", World(errors=0.01)), ("errors and latency", World(errors=0.01, median=60))):
        log_of_ticks: tuple[Tick, ...] = tuple(islice(ticks(world, Random(1), schedule(STEPS, 10)), 101))
        policy, best = policy_for(world), 1e9
        for _ in range(20):
            start = time.perf_counter()
            analyse(policy, STEPS, 2, log_of_ticks, ControlHistory(), log_of_ticks[-1].reading.at)
            best = min(best, time.perf_counter() - start)
        yield Row(f"one analysis of 100 ticks: {label}", f"{best * 1000:.2f} ms, {best * 10_000:.1f} µs a tick")


def run(*, quick: bool) -> Iterator[Row]:
    """All of it."""
    yield from cost()
    yield from detections(200 if quick else 2000)
    yield from false_passes(200 if quick else 2000)
    yield from false_rollbacks(300 if quick else 10_000)
