"""Ten thousand keys, and who goes first: looks are counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from fakes.clock import FakeClock
from fakes.desires import FakeDesires
from fakes.metrics import FakeMetrics
from fakes.router import FakeRouter
from fakes.target import FakeTarget
from fakes.values import KEY, desired
from hypothesis import given
from hypothesis import strategies as st

from reconciler.controller import LONGEST_RESYNC, MOVING_RETRY, RESYNC_SHARE, Controller
from reconciler.core.desired import Key
from reconciler.core.inputs import RESYNC
from reconciler.core.outcome import TransientError
from reconciler.core.state import Request, Verb
from reconciler.reconcile import Ports
from reconciler.store import SqlStore, open_store
from reconciler.workqueue import SHARE, Lane, WorkQueue

MANY = 10_000


def crowd(queue: WorkQueue[str], lane: Lane, count: int = MANY) -> None:
    for number in range(count):
        queue.add(f"{lane.name} {number}", lane=lane)


def until(queue: WorkQueue[str], wanted: str) -> int:
    """How many keys are handed out before that one."""
    handed_out = 0
    while (key := queue.take_due()) != wanted:
        queue.done(key)
        handed_out += 1
    return handed_out


# --- the queue -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", [Lane.RESTING, Lane.FAILING, Lane.MOVING])
def test_ten_thousand_keys_due_at_once_do_not_hold_up_a_fresh_commit(lane):
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock.seconds)
    crowd(queue, lane)
    clock.advance(86_400.0)
    for _ in range(50):
        queue.done(queue.take_due())
    queue.add("fresh")
    assert until(queue, "fresh") <= 1


def test_a_key_that_waits_at_rest_goes_first_once_something_happens_to_it():
    queue: WorkQueue[str] = WorkQueue(FakeClock().seconds)
    crowd(queue, Lane.RESTING)
    queue.add("RESTING 9999")
    assert until(queue, "RESTING 9999") <= 1
    assert len(queue) == MANY  # it was handed out and not given back


@pytest.mark.parametrize("busy", [Lane.NOW, Lane.MOVING])
def test_a_crowd_in_a_faster_lane_stops_no_slower_one(busy):
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock.seconds)
    crowd(queue, busy, 100)
    crowd(queue, Lane.RESTING, 100)
    crowd(queue, Lane.FAILING, 100)
    served: Counter[str] = Counter()
    for _ in range(300):
        key = queue.take_due()
        lane = key.partition(" ")[0]
        served[lane] += 1
        queue.done(key, 0.0 if lane == busy.name else None, busy)
    assert served["RESTING"] >= 300 // (SHARE + 2)
    assert served["FAILING"] >= 300 // (SHARE + 2)
    assert served[busy.name] >= 200


def test_what_fails_keeps_only_some_workers_waiting():
    queue: WorkQueue[str] = WorkQueue(FakeClock().seconds, 2)
    crowd(queue, Lane.FAILING, 500)
    crowd(queue, Lane.RESTING, 3)
    taken = [queue.take_due() for _ in range(6)]
    assert sum(key is not None and key.startswith("FAILING") for key in taken) == 2
    assert sum(key is not None and key.startswith("RESTING") for key in taken) == 3
    assert taken[-1] is None
    queue.done(next(key for key in taken if key and key.startswith("FAILING")), 60.0, Lane.FAILING)
    assert queue.take_due().startswith("FAILING")


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(Lane), st.sampled_from((0.0, 1.0, 9.0))), max_size=60)
)
def test_whoever_is_due_is_handed_out_once_by_lane_and_then_by_time(adds):
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock.seconds)
    wanted: dict[str, tuple[Lane, float]] = {}
    for key, lane, delay in adds:
        queue.add(key, delay, lane)
        before = wanted.get(key, (lane, delay))
        wanted[key] = min(lane, before[0]), min(delay, before[1])
    clock.advance(1.0)
    due = {key: found for key, found in wanted.items() if found[1] <= 1.0}
    taken = []
    while (key := queue.take_due()) is not None:
        taken.append(key)
    assert sorted(taken) == sorted(due)
    assert [due[key] for key in taken] == sorted(due.values())
    assert len(queue) == len(wanted)


def test_keys_that_are_woken_over_and_over_leave_nothing_behind():
    queue: WorkQueue[str] = WorkQueue(FakeClock().seconds)
    for number in range(5000):
        queue.add("a", 10_000.0 - number, Lane.RESTING)
    assert sum(map(len, queue._heaps.values())) < 200


# --- the controller --------------------------------------------------------------------------------------------------


class Fleet:
    """A controller over many keys. ``down`` are those whose target does not answer."""

    def __init__(self, store: SqlStore) -> None:
        self.clock = FakeClock()
        self.desires = FakeDesires()
        self.target = FakeTarget(self.clock)
        self.looked: list[Key] = []
        self.down: frozenset[Key] = frozenset()
        self.seconds = 0.0
        router, metrics = FakeRouter(self.clock), FakeMetrics(self.clock)
        self.ports = Ports(self.clock, store, self.desires, lambda _: self.target, lambda _: router, lambda _: metrics)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock.seconds, 1)
        self.controller = Controller(self.ports, self.queue, self.watch, lambda seconds: seconds)
        real = self.target.observe

        def observe(key: Key):
            self.clock.advance(self.seconds)
            if key in self.down:
                raise TransientError("no answer within 5 s")
            return real(key)

        self.target.observe = observe

    def watch(self, key: Key, *_: object) -> None:
        self.looked.append(key)

    def ask(self, count: int) -> tuple[Key, ...]:
        """Have git ask for that many projects, each looked at a few times."""
        keys = tuple(Key("acme", f"project-{number}", "prod") for number in range(count))
        for key in keys:
            self.desires.commit(desired("v1", key))
            self.queue.add(key)
        return keys

    def work(self, looks: int) -> int:
        """Look at what is due, at most so many times; how many looks there were."""
        before = len(self.looked)
        for _ in range(looks):
            if self.controller.process_one() is None:
                break
        return len(self.looked) - before

    def settle(self, keys: tuple[Key, ...]) -> None:
        """Work until every key is certified and at rest."""
        for _ in range(400):
            self.work(100_000)
            self.clock.advance(1.0)
            if all((state := self.ports.store.load(key)).certified and not state.rollout for key in keys):
                return
        raise AssertionError("not settled")


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    store = open_store(":memory:")
    yield Fleet(store)
    store.close()


def test_a_few_keys_are_looked_at_every_ten_seconds_and_many_as_often_as_one_can_afford(fleet):
    assert fleet.controller.resync() == RESYNC
    fleet.controller.cost = 0.001
    for number in range(MANY):
        fleet.queue.add(Key("acme", str(number), "prod"), 60.0, Lane.RESTING)
    interval = fleet.controller.resync()
    assert MANY * 0.001 / interval == pytest.approx(RESYNC_SHARE)
    fleet.controller.cost = 1.0
    assert fleet.controller.resync() == LONGEST_RESYNC


def test_the_cost_of_a_look_is_measured_at_keys_at_rest_alone(fleet):
    keys = fleet.ask(3)
    fleet.settle(keys)
    fleet.controller.cost = 0.0
    fleet.seconds = 0.5
    fleet.clock.advance(RESYNC)
    fleet.work(3)
    assert fleet.controller.cost == pytest.approx(0.5)
    fleet.desires.commit(desired("v2", keys[0]))
    fleet.seconds = 7.0
    fleet.controller.process(keys[0])
    assert fleet.controller.cost == pytest.approx(0.5)
    fleet.seconds = 1.0
    fleet.controller.process(keys[1])
    assert 0.5 < fleet.controller.cost < 0.52


def test_a_decision_knows_when_a_key_at_rest_is_looked_at_again(fleet):
    fleet.settle(fleet.ask(1))
    fleet.controller.cost = 20.0
    assert fleet.controller.process(Key("acme", "project-0", "prod")) == (400.0, Lane.RESTING)


def test_a_pause_ends_in_time_however_rarely_keys_are_looked_at(fleet):
    (key,) = fleet.ask(1)
    fleet.settle((key,))
    fleet.controller.cost = 20.0
    now = fleet.clock.now().wall
    fleet.ports.store.submit(key, Request(0, Verb.PAUSE, "ada", "lunch", now, now + 42.0))
    fleet.controller.process(key)
    assert fleet.controller.process(key) == (pytest.approx(42.0, abs=0.1), Lane.RESTING)


def test_after_a_long_stop_a_fresh_commit_is_planned_within_a_few_looks(fleet):
    fleet.settle(fleet.ask(1))
    fleet.clock.advance(7 * 86_400.0)
    for number in range(MANY):
        fleet.queue.add(Key("acme", f"other-{number}", "prod"), lane=Lane.RESTING)
    fleet.work(25)
    fleet.desires.commit(desired("v2", Key("acme", "project-0", "prod")))
    fleet.queue.add(Key("acme", "project-0", "prod"))
    fleet.work(3)
    assert fleet.ports.store.load(Key("acme", "project-0", "prod")).rollout is not None


def test_five_hundred_failing_keys_neither_crowd_out_a_healthy_one_nor_are_asked_ever_faster(fleet):
    keys = fleet.ask(505)
    healthy, fleet.down = keys[:5], frozenset(keys[5:])
    for _ in range(120):
        fleet.work(2000)
        fleet.clock.advance(1.0)
    states = [fleet.ports.store.load(key) for key in healthy]
    assert all(state.certified and not state.rollout for state in states)
    counts = Counter(fleet.looked)
    failing = [counts[key] for key in fleet.down]
    assert max(failing) <= 120 / MOVING_RETRY + 10
    assert min(failing) >= 8
    fleet.clock.advance(120.0)  # all of them are due
    fleet.desires.commit(desired("v2", healthy[0]))
    fleet.queue.add(healthy[0])
    fleet.work(3)
    assert fleet.ports.store.load(healthy[0]).rollout is not None


def test_the_way_back_goes_first_whatever_else_is_due(fleet):
    (key,) = fleet.ask(1)
    fleet.settle((key,))
    fleet.desires.commit(desired("v2", key))
    fleet.controller.process(key)
    fleet.ports.store.submit(key, Request(0, Verb.ABORT, "ada", "no", fleet.clock.now().wall))
    assert fleet.controller.process(key)[1] is Lane.NOW


def test_an_instance_that_stays_down_is_looked_at_less_and_less_often(fleet):
    (key,) = fleet.ask(1)
    fleet.settle((key,))
    fleet.target.apply = lambda *_: None
    digest = fleet.ports.store.load(key).stable.digest
    for ordinal in (0, 1):
        fleet.target.crash(key, digest, ordinal, 1e9)
    delays = [fleet.controller.process(key)[0] for _ in range(9)][2:]
    assert delays == sorted(delays)
    assert delays[-1] >= 30.0


def test_a_key_that_nothing_is_known_of_is_not_looked_at_by_itself(fleet):
    fleet.queue.add(KEY)
    fleet.work(10)
    assert len(fleet.looked) <= 2
    assert fleet.queue.next_due() is None
