from __future__ import annotations

from itertools import pairwise

import pytest
from fakes.clock import FakeClock
from fakes.values import KEY

from reconciler.breaker import Breaker
from reconciler.core.desired import Key
from reconciler.core.observed import Reading

OTHER = Key("acme", "other", "prod")


class Source:
    """A metrics source that takes ``takes`` seconds to say ``error``."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.error = ""
        self.asked = 0
        self.closed = False

    def read(self, key: Key) -> Reading:
        self.asked += 1
        self.clock.advance(self.takes)
        return Reading(self.clock.now(), error=self.error)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(clock: FakeClock) -> Source:
    return Source(clock)


def test_a_source_that_hangs_costs_one_wait_for_all_keys(clock, source):
    source.takes, source.error = 5.0, "no answer"
    breaker = Breaker(source, clock)
    for _ in range(20):
        assert breaker.read(KEY).error == "no answer"
        assert breaker.read(OTHER).error == "no answer"
    assert (source.asked, clock.elapsed) == (1, 5.0)


def test_it_is_left_alone_longer_and_longer_up_to_ten_seconds(clock, source):
    source.takes, source.error = 1.0, "no answer"
    breaker = Breaker(source, clock)
    asked = []
    for _ in range(600):
        before = source.asked
        breaker.read(KEY)
        if source.asked > before:
            asked.append(clock.elapsed)
        clock.advance(0.1)
    gaps = [round(after - before - source.takes) for before, after in pairwise(asked)]
    assert gaps[:6] == [1, 2, 4, 8, 10, 10]


def test_the_first_answer_ends_it(clock, source):
    source.takes, source.error = 1.0, "no answer"
    breaker = Breaker(source, clock)
    breaker.read(KEY)
    source.takes, source.error = 0.0, ""
    clock.advance(1.1)
    assert [breaker.read(KEY).error, breaker.read(OTHER).error] == ["", ""]
    assert source.asked == 3


@pytest.mark.parametrize(("takes", "error"), [(0.0, "refused"), (2.0, "")])
def test_a_quick_failure_and_a_slow_answer_hold_up_nobody_else(clock, source, takes, error):
    source.takes, source.error = takes, error
    breaker = Breaker(source, clock)
    breaker.read(KEY)
    breaker.read(OTHER)
    assert source.asked == 2


def test_closing_it_closes_the_source(clock, source):
    Breaker(source, clock).close()
    assert source.closed
