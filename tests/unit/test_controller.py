from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fakes.clock import FakeClock
from fakes.desires import FakeDesires
from fakes.metrics import FakeMetrics
from fakes.router import FakeRouter
from fakes.target import FakeTarget
from fakes.values import KEY, desired
from waiting import eventually

from reconciler.controller import STALLED_RESYNC, Controller
from reconciler.core.desired import Key
from reconciler.core.outcome import StaleGenerationError, TerminalError, TransientError
from reconciler.reconcile import Ports
from reconciler.store import SqlStore, open_store
from reconciler.workqueue import Lane, WorkQueue


class Desk:
    """A controller on fakes; ``told`` is what its watcher heard."""

    def __init__(self, store: SqlStore) -> None:
        self.clock = FakeClock()
        self.desires = FakeDesires()
        self.target = FakeTarget(self.clock)
        self.told: list[tuple[str, bool]] = []
        self.undecided: list[tuple[Key, str]] = []
        self.deaf = False
        router, metrics = FakeRouter(self.clock), FakeMetrics(self.clock)
        ports = Ports(self.clock, store, self.desires, lambda _: self.target, lambda _: router, lambda _: metrics)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock.seconds)
        self.controller = Controller(ports, self.queue, self.watch, lambda seconds: seconds, self.undecided_on)

    def watch(self, key: Key, look: object, result: str, seconds: float) -> None:
        self.told.append((result, look is not None))
        if self.deaf:
            raise TransientError("the target is busy")

    def undecided_on(self, key: Key, error: Exception) -> None:
        self.undecided.append((key, str(error)))

    def fails(self, error: Exception | None) -> None:
        """Have every look raise an error while it acts."""

        def apply(*_: object) -> None:
            if error is not None:
                raise error

        self.target.apply = apply


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = open_store(":memory:")
    yield Desk(store)
    store.close()


def test_nothing_is_done_when_nothing_is_due(desk):
    desk.queue.add(KEY, 5.0)
    assert desk.controller.process_one() is None
    assert desk.told == []


def test_a_key_is_looked_at_and_comes_back_when_the_decision_said_so(desk):
    desk.desires.commit(desired("v1"))
    desk.queue.add(KEY)
    assert desk.controller.process_one() == KEY
    assert desk.told == [("changed", True)]
    assert desk.queue.next_due() == pytest.approx(0.02)


def test_every_look_is_told_with_what_came_of_it(desk):
    desk.desires.commit(desired("v1"))
    desk.queue.add(KEY)
    for _ in range(4):
        desk.controller.process_one()
        desk.clock.advance(0.1)
    assert [result for result, _ in desk.told] == ["changed", "acted", "changed", "noop"]


@pytest.mark.parametrize(
    ("error", "result", "delays", "decided"),
    [
        (TransientError("try again"), "transient_error", [0.5, 1.0, 2.0], True),
        (RuntimeError("a bug"), "error", [0.5, 1.0, 2.0], False),
        (TerminalError("no"), "terminal_error", [STALLED_RESYNC] * 3, True),
        (StaleGenerationError("too late"), "stale", [0.01, 0.02, 0.04], False),
    ],
)
def test_a_failure_is_tried_again_later_and_later(desk, error, result, delays, decided):
    desk.desires.commit(desired("v1"))
    desk.fails(error)
    found = [desk.controller.process(KEY)[0] for _ in range(3)]
    assert found == delays
    assert desk.told == [(result, decided)] * 3


def test_a_success_ends_the_back_off(desk):
    desk.desires.commit(desired("v1"))
    desk.fails(TransientError("try again"))
    for _ in range(5):
        desk.controller.process(KEY)
    desk.fails(None)
    desk.controller.process(KEY)
    desk.fails(TransientError("try again"))
    assert desk.controller.process(KEY)[0] == 0.5


def test_one_failing_key_does_not_delay_another(desk):
    other = Key("acme", "other", "prod")
    desk.desires.commit(desired("v1"))
    desk.fails(RuntimeError("a bug"))
    desk.queue.add(KEY)
    desk.queue.add(other)
    assert [desk.controller.process_one(), desk.controller.process_one()] == [KEY, other]
    assert [result for result, _ in desk.told] == ["error", "changed"]


def test_a_listener_that_fails_ends_no_worker_and_delays_nothing(desk):
    desk.deaf = True
    desk.desires.commit(desired("v1"))
    assert desk.controller.process(KEY) == (pytest.approx(0.02), Lane.MOVING)
    assert desk.told == [("changed", True)]


def test_why_a_look_came_to_no_decision_is_told(desk):
    desk.desires.commit(desired("v1"))
    desk.fails(RuntimeError("a bug"))
    desk.controller.process(KEY)
    assert desk.undecided == [(KEY, "a bug")]
    desk.fails(TransientError("try again"))  # decided, but not done: the look itself says so
    desk.controller.process(KEY)
    assert len(desk.undecided) == 1


def test_workers_run_until_the_queue_is_closed(desk):
    workers = [threading.Thread(target=desk.controller.run) for _ in range(2)]
    for worker in workers:
        worker.start()
    desk.queue.add(KEY)
    eventually(lambda: desk.told)
    desk.queue.close()
    for worker in workers:
        worker.join(5.0)
        assert not worker.is_alive()
