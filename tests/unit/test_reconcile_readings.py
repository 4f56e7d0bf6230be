"""Readings of the metrics source: when they are taken, and what they are kept with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from fakes.place import Place
from fakes.values import KEY, desired

from reconciler.core.outcome import TerminalError
from reconciler.core.state import Phase, Request, Verb
from reconciler.ports import MetricsSource
from reconciler.store import open_store


@pytest.fixture
def place() -> Iterator[Place]:
    store = open_store(":memory:")
    yield Place(store)
    store.close()


def test_readings_of_an_attempt_are_logged_with_what_was_in_force(place):
    place.release("v1")
    place.desires.commit(desired("v2"))
    for _ in range(80):
        place.look()
        place.serve()
    ticks = place.store.ticks(KEY, 2)
    assert [tick.seq for tick in ticks] == list(range(1, len(ticks) + 1))
    assert (ticks[0].step, ticks[0].weight) == (-1, 0)
    assert (ticks[2].step, ticks[2].weight) == (0, 500)
    gaps = [after.reading.at.since(before.reading.at) for before, after in pairwise(ticks)]
    assert min(gaps) >= 1.8
    assert max(gaps) <= 2.2


def test_a_new_daemon_goes_on_with_the_readings_of_the_old_one(place):
    place.release("v1")
    place.desires.commit(desired("v2"))
    for _ in range(60):
        place.look()
        place.serve()
    known = place.look().inputs.ticks
    place.ports = place.fresh()
    assert place.look().inputs.ticks[: len(known)] == known


def test_readings_that_another_replica_took_are_seen_once_it_has_decided(place):
    place.release("v1")
    place.desires.commit(desired("v2"))
    for _ in range(10):
        place.look()
        place.serve()
    mine, place.ports = place.ports, place.fresh()
    for _ in range(60):
        place.look()
        place.serve()
    place.store.submit(KEY, Request(0, Verb.SYNC, "ada", "now", place.clock.now().wall))
    theirs = place.look().inputs.ticks
    place.ports = mine
    assert place.look().inputs.ticks[: len(theirs)] == theirs


def test_a_metrics_source_that_is_down_is_a_reading_too(place):
    place.release("v1")
    place.desires.commit(desired("v2"))
    place.metrics.error = "connection refused"
    for _ in range(40):
        look = place.look()
    assert {tick.reading.error for tick in look.inputs.ticks} == {"connection refused"}
    assert place.store.load(KEY).rollout.phase is Phase.STEPPING


def test_between_attempts_the_control_is_read_now_and_then(place):
    place.release("v1")
    reads = place.metrics.reads
    for _ in range(100):
        place.look()
        place.clock.advance(1.0)
    assert 10 <= place.metrics.reads - reads <= 13
    assert all(tick.attempt == 0 for tick in place.store.ticks(KEY, 0))


def test_an_attempt_begins_with_the_history_of_the_control(place):
    place.release("v1")
    for _ in range(100):
        place.look()
        place.metrics.record(KEY, "stable", 5000, 5)
        place.clock.advance(9.9)
    place.desires.commit(desired("v2"))
    place.look()
    assert place.store.load(KEY).rollout.control.requests > 100_000


def test_a_metrics_source_that_cannot_even_be_opened_stops_no_way_back(place):
    place.release("v1")
    place.desires.commit(desired("v2"))

    def refuse(_: str) -> MetricsSource:
        raise TerminalError("no such source")

    place.ports = replace(place.ports, metrics=refuse)
    for _ in range(10):
        look = place.look()
    assert look.inputs.ticks[0].reading.error == "no such source"
    place.store.submit(KEY, Request(0, Verb.ABORT, "ada", "enough", place.clock.now().wall))
    for _ in range(100):
        place.look()
    assert place.store.load(KEY).rollout is None
