from __future__ import annotations

import threading

import pytest
from waiting import eventually

from reconciler.core.outcome import TransientError
from reconciler.store.group import GroupCommit


class Recorder:
    """Runs groups, and holds each one back until it is let go."""

    def __init__(self):
        self.groups = []
        self.let_go = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def __call__(self, group):
        self.groups.append(len(group))
        self.entered.release()
        assert self.let_go.acquire(timeout=20)
        for job in group:
            try:
                job.run(None)
            except ValueError as error:
                job.error = error
            job.committed = True


def started(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_those_who_come_while_one_leads_make_one_group():
    run = Recorder()
    group = GroupCommit(run)
    results = {}

    def write(number):
        results[number] = group.do(lambda _: number * 10)

    (first,) = started(1, lambda _: write(-1))
    assert run.entered.acquire(timeout=20)
    rest = started(5, write)
    eventually(lambda: len(group._line) == 5)
    run.let_go.release(2)
    for thread in (first, *rest):
        thread.join(20)
    assert run.groups == [1, 5]
    assert results == {number: number * 10 for number in range(-1, 5)}


def test_an_error_reaches_only_the_one_whose_it_is():
    run = Recorder()
    group = GroupCommit(run)
    run.let_go.release(9)
    with pytest.raises(ValueError, match="mine"):
        group.do(lambda _: (_ for _ in ()).throw(ValueError("mine")))
    assert group.do(lambda _: "fine") == "fine"


def test_an_interrupted_leader_leaves_nobody_waiting_and_nobody_told_it_is_written():
    entered, let_go = threading.Event(), threading.Event()
    groups = []

    def run(jobs):
        groups.append(len(jobs))
        if len(groups) == 2:
            for job in jobs:
                job.run(None)
            raise KeyboardInterrupt
        entered.set()
        assert let_go.wait(20)
        jobs[0].run(None)
        jobs[0].committed = True

    group = GroupCommit(run)
    outcomes = []

    def write(_):
        try:
            group.do(lambda _: None)
            outcomes.append("written")
        except BaseException as error:  # noqa: BLE001
            outcomes.append(type(error))

    (first,) = started(1, write)
    assert entered.wait(20)
    rest = started(3, write)
    eventually(lambda: len(group._line) == 3)
    let_go.set()
    for thread in (first, *rest):
        thread.join(20)
    assert groups == [1, 3]
    assert outcomes.count("written") == 1  # the first group's, before the interrupt
    assert outcomes.count(KeyboardInterrupt) == 1
    assert outcomes.count(TransientError) == 2
