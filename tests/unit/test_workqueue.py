from __future__ import annotations

import threading

from fakes.clock import FakeClock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from waiting import eventually

from reconciler.workqueue import WorkQueue

KEYS = st.sampled_from("abc")
DELAYS = st.sampled_from((0.0, 1.0, 2.0, 5.0))


class Machine(RuleBasedStateMachine):
    """The queue against a model: when each key is due, and which are being worked on."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock.seconds)
        self.due: dict[str, float] = {}
        self.working: dict[str, float | None] = {}

    @rule(key=KEYS, delay=DELAYS)
    def add(self, key, delay):
        self.queue.add(key, delay)
        due = self.clock.elapsed + delay
        if key in self.working:
            again = self.working[key]
            self.working[key] = due if again is None else min(due, again)
        else:
            self.due[key] = min(due, self.due.get(key, due))

    @rule(seconds=DELAYS)
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def take(self):
        ready = [(due, key) for key, due in self.due.items() if due <= self.clock.elapsed]
        key = self.queue.take_due()
        if not ready:
            assert key is None
            return
        assert self.due[key] == min(ready)[0]
        del self.due[key]
        self.working[key] = None

    @rule(key=KEYS, again=st.none() | DELAYS)
    def done(self, key, again):
        if key not in self.working:
            return
        self.queue.done(key, again)
        wanted = [self.working.pop(key), None if again is None else self.clock.elapsed + again]
        times = [one for one in wanted if one is not None]
        if times:
            self.due[key] = min(times)

    @invariant()
    def it_knows_what_is_next_and_what_is_late(self):
        assert self.queue.next_due() == min(self.due.values(), default=None)
        late = [self.clock.elapsed - due for due in self.due.values() if due <= self.clock.elapsed]
        assert self.queue.depth() == (len(late), max(late, default=0.0))


TestQueue = Machine.TestCase


def test_a_worker_that_waits_gets_a_key_when_it_is_added():
    queue: WorkQueue[str] = WorkQueue(FakeClock().seconds)
    taken: list[str | None] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take()))
    worker.start()
    queue.add("a")
    worker.join(5.0)
    assert taken == ["a"]


def test_closing_lets_every_worker_go():
    queue: WorkQueue[str] = WorkQueue(FakeClock().seconds)
    taken: list[str | None] = []
    workers = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.add("late", 3600.0)
    queue.close()
    for worker in workers:
        worker.join(5.0)
    assert taken == [None, None, None]
    assert queue.take() is None


def test_no_two_workers_have_the_same_key_and_none_is_forgotten():
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock.seconds)
    guard, held, most, served = threading.Lock(), dict.fromkeys("abc", 0), [], dict.fromkeys("abc", 0)

    def work() -> None:
        while (key := queue.take()) is not None:
            with guard:
                held[key] += 1
                most.append(held[key])
            with guard:
                held[key] -= 1
                served[key] += 1
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(300):
        for key in "abc":
            queue.add(key)
    last = dict(served)
    for key in "abc":
        queue.add(key)
    eventually(lambda: queue.depth() == (0, 0.0) and all(served[key] > last[key] for key in "abc"))
    queue.close()
    for worker in workers:
        worker.join(5.0)
    assert max(most) == 1
