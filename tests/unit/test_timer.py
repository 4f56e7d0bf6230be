from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import apscheduler.schedulers.base as scheduling
import pytest
from fakes.clock import FakeClock
from waiting import eventually

from reconciler.timer import Every, Timer


class Shifted(datetime):
    """The wall clock as the scheduler sees it, which can be set."""

    by = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.by


class Beat:
    """A job that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.turn = threading.Lock()

    def __call__(self) -> None:
        with self.turn:
            self.calls += 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timer(clock: FakeClock) -> Iterator[Timer]:
    timer = Timer(clock, lambda _: None)
    yield timer
    timer.stop()


def test_jobs_go_on_after_the_wall_clock_was_set_back(timer, clock, monkeypatch):
    monkeypatch.setattr(scheduling, "datetime", Shifted)
    beat = Beat()
    timer.add(beat, 0.1)
    timer.start()
    eventually(lambda: beat.calls)
    monkeypatch.setattr(Shifted, "by", timedelta(hours=-1))
    clock.jump(-3600.0)
    assert timer.check()
    before = beat.calls
    eventually(lambda: beat.calls > before + 2, 5.0)


def test_nothing_is_planned_anew_while_the_clock_goes_as_it_should(timer, clock):
    timer.start()
    clock.advance(3600.0)
    clock.jump(0.5)
    assert not timer.check()
    clock.jump(30.0)
    assert timer.check()
    assert not timer.check()


def test_what_a_leap_forward_skipped_is_not_made_up_for():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    again = Every(1.0).get_next_fire_time(now - timedelta(days=20_000), now)
    assert timedelta(seconds=0.5) < again - now < timedelta(seconds=2)
