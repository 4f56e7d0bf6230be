"""How soon a bad version is caught by the real daemon under real traffic: 5 % weight, 500 requests a second, no history."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.playground import KEY, playground
from benchmarks.rows import Row, at_most
from reconciler.core.desired import Key
from reconciler.core.observed import Tick
from reconciler.store import open_store

NAME = "detection: canary at 5 %, 500 requests/s, one look a second"
RATE = 500.0


def run(*, quick: bool) -> Iterator[Row]:
    """Roll out the version that fails 20 % and the one that is three times slower, several times each."""
    rounds = 1 if quick else 3
    with playground() as ground:
        ground.serve()
        ground.traffic(RATE)
        ground.settings |= {"steps": "5%, 100%", "bake": "10m", "interval": "1s"}
        for number in range(1, 2 * rounds + 1):
            ground.commit("v3" if number % 2 else "v4", number)
            ground.until(lambda number=number: len(ground.attempts()) == number + 1)
        attempts = ground.attempts()[1:]
        store = open_store(ground.stage.data / "prodsprint.db", ())
        ticks = {one.attempt: store.ticks(Key.parse(KEY), one.attempt) for one in attempts}
        store.close()
    failing = [one for one in attempts if one.version == "v3"]
    slow = [one for one in attempts if one.version == "v4"]
    needed = max(_ticks_to_verdict(ticks[one.attempt]) for one in failing)
    caught = all(one.result == "rolled_back" for one in attempts)
    yield Row("caught", f"{sum(one.result == 'rolled_back' for one in attempts)} of {len(attempts)}", "all", caught)
    yield at_most("20 % errors: looks from the first evidence to the verdict, worst", needed, 2, "looks")
    yield Row("20 % errors: requests that met it, worst", f"{max(one.bad_requests for one in failing):,}")
    yield Row("three times slower: requests that met it, worst", f"{max(one.bad_requests for one in slow):,}")


def _ticks_to_verdict(ticks: tuple[Tick, ...]) -> int:
    """Looks with a step's weight, from the first that saw a failure of the canary to the last one before the way back."""
    baking = [tick for tick in ticks if tick.step >= 0 and tick.reading.canary is not None]
    first = next(i for i, tick in enumerate(baking) if tick.reading.canary and tick.reading.canary.failed)
    return len(baking) - first
