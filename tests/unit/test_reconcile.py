"""The five hops on fakes and a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.desires import FakeDesires
from fakes.metrics import FakeMetrics
from fakes.router import FakeRouter
from fakes.target import Behaviour, FakeTarget
from fakes.values import KEY, desired, release

from reconciler.core.dispersion import control_history
from reconciler.core.outcome import StaleGenerationError, TransientError
from reconciler.core.state import Instant, Key, Observed, Phase, Record, Request, Traffic, Verb
from reconciler.ports import Transition
from reconciler.reconcile import Look, Ports, kept, reconcile, recorded, weight_of
from reconciler.store import SqlStore, open_store


class Place:
    """One key with its world; ``look`` reconciles it once and lets a little time pass."""

    def __init__(self, store: SqlStore) -> None:
        self.clock = FakeClock()
        self.desires = FakeDesires()
        self.targets = {"fake": FakeTarget(self.clock), "other": FakeTarget(self.clock)}
        self.router = FakeRouter(self.clock)
        self.metrics = FakeMetrics(self.clock)
        self.store = store
        self.ports = self.fresh()

    def fresh(self) -> Ports:
        """The ports of a daemon that has just started."""
        return Ports(
            self.clock,
            self.store,
            self.desires,
            self.targets.__getitem__,
            lambda _: self.router,
            lambda _: self.metrics,
            control_history,
        )

    @property
    def target(self) -> FakeTarget:
        return self.targets["fake"]

    def look(self, key: Key = KEY) -> Look:
        look = reconcile(key, self.ports)
        self.clock.advance(0.1)
        return look

    def serve(self) -> None:
        """Requests for both sides that exist, one in a thousand failed."""
        for role, sent in (("stable", 9000), ("canary", 1000)):
            self.metrics.record(KEY, role, sent, sent // 1000)

    def release(self, version: str, **changes: Any) -> None:
        """Bring a version into service."""
        self.desires.commit(desired(version, **changes))
        digest = release(version, **changes).digest
        for _ in range(300):
            self.look()
            self.serve()
            self.clock.advance(1.0)
            stable = self.store.load(KEY).stable
            if stable is not None and stable.digest == digest and self.store.load(KEY).rollout is None:
                self.look()
                return
        raise AssertionError(f"{version} was not promoted: {self.store.load(KEY)}")


@pytest.fixture
def place() -> Iterator[Place]:
    store = open_store(":memory:")
    yield Place(store)
    store.close()


def test_a_commit_becomes_traffic(place):
    place.release("v1")
    place.release("v2")
    assert place.router.in_force(KEY).stable.digest == release("v2").digest
    assert {one.digest for one in place.target.running(KEY)} == {release("v2").digest}
    assert [report.fault for report in place.store.verify()] == [""]


def test_a_decision_is_saved_before_anyone_acts_on_it(place):
    place.desires.commit(desired("v1"))
    saved: list[int] = []
    real = place.target.apply

    def apply(key: Key, of: Any, count: int, generation: int) -> None:
        saved.append(place.store.load(key).generation)
        real(key, of, count, generation)

    place.target.apply = apply
    look = place.look()
    assert saved == [look.decision.state.plan.generation]


def test_a_decision_that_somebody_else_overtook_is_not_acted_on(place):
    place.desires.commit(desired("v1"))
    commit = place.store.commit

    def slow(transition: Transition) -> None:
        place.store.commit = commit
        other = replace(transition.state, attempts=99, rollout=None)
        commit(Transition(other, (Record("test", "other", "was faster"),), (), 0.0, "{}"))
        commit(transition)

    place.store.commit = slow
    with pytest.raises(StaleGenerationError):
        place.look()
    assert place.target.applied == []
    assert place.store.load(KEY).attempts == 99


def test_a_look_that_changes_nothing_saves_nothing(place):
    place.release("v1")
    place.look()
    before = place.store.load(KEY).revision, place.store.head()
    for _ in range(20):
        look = place.look()
    assert not look.decision.changed
    assert (place.store.load(KEY).revision, place.store.head()) == before


def test_what_was_decided_on_is_kept_with_the_decision(place):
    place.desires.commit(desired("v1"))
    look = place.look()
    found = json.loads(place.store.inputs(KEY, 1))
    assert found == json.loads(recorded(look.inputs))
    assert found["desired"]["artifact"]["version"] == "v1"
    assert found["ticks"] == 0


@pytest.mark.parametrize("port", ["target", "router"])
def test_what_cannot_be_observed_is_not_acted_on(place, port):
    place.release("v1")
    place.desires.commit(desired("v2"))
    getattr(place, port).error = "connection refused"
    before = len(place.target.applied), len(place.router.applied)
    for _ in range(5):
        look = place.look()
    assert look.inputs.observed == Observed(error="connection refused")
    assert (len(place.target.applied), len(place.router.applied)) == before
    getattr(place, port).error = ""
    for _ in range(3):
        place.look()
    assert place.store.load(KEY).rollout is not None


def test_an_action_that_fails_is_done_by_the_next_look(place):
    place.desires.commit(desired("v1"))

    def refuse(*_: Any) -> None:
        raise TransientError("try again")

    real, place.target.apply = place.target.apply, refuse
    with pytest.raises(TransientError):
        place.look()
    place.target.apply = real
    assert place.store.load(KEY).rollout is not None
    place.look()
    assert len(place.target.running(KEY)) == 2


# --- readings --------------------------------------------------------------------------------------------------------


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
    gaps = [after.reading.at.since(before.reading.at) for before, after in zip(ticks, ticks[1:], strict=False)]
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


def test_the_canarys_share_is_what_is_in_force():
    side = Observed().traffic
    assert weight_of(Observed()) == 0
    assert side is None
    stable, canary = (
        Traffic(1, *sides, 500).__class__(1, *sides, 500)
        for sides in ((None, None), (None, None))
    )
    assert weight_of(Observed((), stable)) == weight_of(Observed((), canary)) == 0


# --- adapters and neighbours -----------------------------------------------------------------------------------------


def test_a_commit_that_changes_the_target_still_sees_what_runs_on_the_old_one(place):
    place.release("v1")
    place.desires.commit(desired("v1", target="other"))
    for _ in range(5):
        look = place.look()
    assert {one.digest for one in look.inputs.observed.instances} == {release("v1").digest, release("v1", target="other").digest}
    place.release("v1", target="other")
    assert place.target.running(KEY) == ()
    assert len(place.targets["other"].running(KEY)) == 2


def test_an_environment_waits_until_the_one_before_has_certified_the_artifact(place):
    after = Key(KEY.workspace, KEY.project, "after")
    place.desires.commit(desired("v1", after, after=KEY.environment))
    place.look(after)
    assert place.store.load(after).rollout is None
    place.release("v1")
    place.look(after)
    assert place.store.load(after).rollout is not None


def test_requests_are_answered_once(place):
    number = place.store.submit(KEY, Request(0, Verb.ABORT, "ada", "just so", place.clock.now().wall))
    look = place.look()
    assert [answer.request for answer in look.decision.answers] == [number]
    assert place.store.requests(KEY) == ()
    assert not place.store.answer(number).accepted
    assert place.look().decision.answers == ()


def test_a_release_that_fails_to_start_is_rolled_back_with_its_words(place):
    place.release("v1")
    place.target._behaves = lambda _: Behaviour(start=0.2, fails="exit status 3")
    place.desires.commit(desired("v2"))
    for _ in range(100):
        place.look()
    state = place.store.load(KEY)
    assert "exit status 3" in state.history[0].reason
    assert state.stable == release("v1")


def test_files_of_everything_that_may_be_gone_back_to_are_kept(place):
    place.release("v1")
    place.release("v2")
    place.desires.commit(desired("v3"))
    place.look()
    assert kept(place.store.load(KEY)) == {release(version).digest for version in ("v1", "v2", "v3")}


def test_the_time_of_a_decision_is_the_clocks(place):
    look = place.look()
    assert isinstance(look.inputs.now, Instant)
    assert look.inputs.now.mono == 1000.0
