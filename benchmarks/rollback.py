"""How long after the decision to go back the last new request still reaches the version that is left, under real traffic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from prodsprint.v1 import ListEventsRequest

from benchmarks.playground import KEY, Playground, playground
from benchmarks.rows import Row, at_most, quantile

NAME = "rollback: from the decision to all new requests on stable (canary at 25 %, 500 requests/s)"
ROUNDS = 20
RATE = 500.0


def run(*, quick: bool) -> Iterator[Row]:
    """Abort canaries at 25 % and look at the log of every request."""
    rounds = 5 if quick else ROUNDS
    with playground() as ground:
        ground.serve()
        log = ground.stage.folder / "requests.log"
        ground.traffic(RATE, log)
        ground.settings |= {"steps": "25%, 100%", "bake": "10m"}
        for number in range(1, rounds + 1):
            _round(ground, number)
        decisions = _decisions(ground)
        ground.stage.programs.pop("traffic").terminate()
        ground.until(lambda: log.read_text(encoding="ascii").endswith("\n"))
        requests = _requests(log)
    late = [_last_on_canary(decided, ended, requests) for decided, ended in decisions]
    lost = sum(1 for _, status, _ in requests if status not in {"200", "500"})
    yield Row("rollbacks, requests", f"{len(decisions)}, {len(requests):,}")
    yield at_most("p50", quantile(late, 0.5) * 1000, 100, "ms", 1)
    yield at_most("p95", quantile(late, 0.95) * 1000, 100, "ms", 1)
    yield at_most("requests lost by routing", lost, 0, "requests")


def _round(ground: Playground, number: int) -> None:
    ground.commit("v2", number)
    ground.until(lambda: ground.environment().rollout.weight == 2500)
    before = time.monotonic()
    ground.until(lambda: time.monotonic() - before > 0.5)
    ground.abort()
    ground.until(lambda: len(ground.attempts()) == number + 1)


def _decisions(ground: Playground) -> list[tuple[float, float]]:
    """Wall-clock times at which the daemon decided to go back, and at which the attempt had ended."""
    events = ground.client.call(ground.client.status.ListEvents, ListEventsRequest(key=KEY, page_size=1000)).events
    times = {
        kind: [one.time.ToNanoseconds() / 1e9 for one in events if one.type == f"rollout.{kind}"]
        for kind in ("rolling_back", "rolled_back")
    }
    return list(zip(times["rolling_back"], times["rolled_back"], strict=True))


def _requests(log: Path) -> list[tuple[float, str, str]]:
    """(wall-clock time at which it was sent, status, version) of every request."""
    offset = time.time() - time.monotonic()
    rows = (line.split() for line in log.read_text(encoding="ascii").splitlines())
    return [(float(row[0]) + offset, row[2], row[3]) for row in rows if len(row) == 4]


def _last_on_canary(decided: float, ended: float, requests: list[tuple[float, str, str]]) -> float:
    """Seconds after the decision at which the last request was sent that the canary answered (0 when none was)."""
    window = [sent - decided for sent, _, version in requests if version == "v2" and decided < sent < ended]
    return max(window, default=0.0)
