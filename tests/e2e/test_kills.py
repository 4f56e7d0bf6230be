"""kill -9 of what serves and of what decides, in the middle of canaries under traffic."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import grpc
import pytest
from envoys import require_envoy
from ground import Ground, ground, lost
from prodsprint.v1 import Analysis

pytestmark = pytest.mark.e2e

DECIDES_AGAIN = 10.0
"""Seconds from the start of a new daemon to its first look; the benchmark holds it to 2."""

FLUSHED = 1.0
"""Seconds within which readings reach the disk: what is lost of them is counters that the next reading has anyway."""


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    require_envoy()
    with ground() as found:
        found.serve("shop", environment={"instances": 2})
        found.traffic("shop", rate=200)
        yield found


def analysis(place: Ground) -> Analysis | None:
    """The analysis of the last look; None before the first one of a new daemon."""
    try:
        seen = place.environment("shop").rollout.analysis
    except grpc.RpcError:
        return None
    return seen if seen.canary_requests else None


def kill_and_restart(place: Ground) -> float:
    """Returns the time at which the new daemon was started."""
    place.stage.end("daemon", signal.SIGKILL)
    began = time.monotonic()
    place.start_daemon()
    return began


def wait_for(place: Ground, seconds: float) -> None:
    at = time.monotonic() + seconds
    place.until(lambda: time.monotonic() > at)


def events_at(place: Ground, kind: str) -> list[float]:
    return [one.time.ToNanoseconds() / 1e9 for one in place.events("shop", kind)]


def test_a_daemon_killed_while_a_canary_bakes_goes_on_where_it_was(place: Ground) -> None:
    instances, envoy = place.pids("shop"), place.envoy()
    place.want("shop", "v2", release={"bake": "3s"})
    place.until(lambda: place.environment("shop").rollout.analysis.dwell.ToTimedelta().total_seconds() > 2)
    before, at = analysis(place), time.monotonic()
    assert before is not None
    began = kill_and_restart(place)
    after = place.until(lambda: (now := analysis(place)) and now.canary_requests > before.canary_requests and now)
    assert time.monotonic() - began < DECIDES_AGAIN
    assert {**place.pids("shop"), **instances} == place.pids("shop"), "every instance is adopted"
    assert place.envoy() == envoy
    gone_on = (after.dwell.ToTimedelta() - before.dwell.ToTimedelta()).total_seconds()
    assert -FLUSHED <= gone_on <= time.monotonic() - at, "the bake is neither restarted nor shortened"
    assert after.step_requests >= before.step_requests
    assert place.ended("shop", 2).result == "promoted"
    step, passed = events_at(place, "rollout.step"), events_at(place, "rollout.passed")
    assert all(after - before >= 2.9 for before, after in zip(step[1:], passed[1:], strict=True)), (
        "no bake is shortened"
    )


def test_a_daemon_killed_at_any_moment_completes_the_rollout(place: Ground) -> None:
    chance, envoy = random.Random(2), place.envoy()
    place.want("shop", "v3", release={"bake": "1s"})
    for _ in range(4):
        wait_for(place, chance.uniform(0, 1))
        kill_and_restart(place)
    assert place.ended("shop", 3).result == "promoted"
    assert place.envoy() == envoy
    assert place.cli("audit", "verify")[0] == 0
    counts = place.end_traffic("shop")
    assert lost(counts) == {}
    assert {code for codes in counts.answered.values() for code in codes} == {"200"}
    assert set(counts.answered) == {"v1", "v2", "v3"}


def test_a_daemon_killed_on_the_way_back_finishes_it(place: Ground) -> None:
    place.traffic("shop", rate=200)
    place.want("shop", "bad", release={"bake": "20s", "drain": "1s"})
    place.until(lambda: place.environment("shop").rollout.phase == "rolling_back")
    kill_and_restart(place)
    attempt = place.ended("shop", 4)
    assert (attempt.version, attempt.result) == ("bad", "rolled_back")
    assert attempt.bad_requests >= sum(place.stage.traffic("traffic-shop").answered["bad"].values())
    assert len(events_at(place, "rollout.rolling_back")) == 1
    place.says("shop", "is quarantined: canary failed")
    assert all(name.endswith(("-0", "-1")) for name in place.pids("shop"))
    assert len(place.pids("shop")) == 2


def test_a_killed_envoy_comes_back_with_its_weights_and_blames_no_canary(place: Ground) -> None:
    place.want("shop", "v4", release={"bake": "2s", "drain": "100ms"})
    place.until(lambda: (seen := analysis(place)) and seen.canary_requests > 100)
    envoy = place.envoy()
    os.kill(envoy, signal.SIGKILL)
    place.until(lambda: place.envoy() not in {envoy, None})
    seen = place.until(lambda: (now := place.environment("shop")) and not now.observation_error and now)
    assert seen.rollout.phase == "stepping"
    assert (seen.traffic.weight, seen.traffic.port) == (5000, place.ports["shop"])
    attempt = place.ended("shop", 5)
    assert attempt.result == "promoted"
    answered = place.stage.traffic("traffic-shop").answered["v4"]["200"]
    place.until(
        lambda: place.stage.traffic("traffic-shop").answered["v4"]["200"] > answered, what="traffic flows again"
    )
