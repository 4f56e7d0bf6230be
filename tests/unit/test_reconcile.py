"""The five hops on fakes and a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.place import Place
from fakes.target import Behaviour
from fakes.values import KEY, desired, release

from reconciler.core.desired import Instant, Key
from reconciler.core.outcome import StaleGenerationError, TransientError
from reconciler.core.state import KeyState, Record, Request, Verb
from reconciler.ports import Transition
from reconciler.reconcile import kept, observe, recorded
from reconciler.store import open_store


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
    observed = look.inputs.observed
    assert observed.error == "connection refused"
    assert (observed.sees_instances, observed.sees_traffic) == (port == "router", port == "target")
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
    look = place.look()
    assert str(look.trouble) == "try again"
    assert look.decision.changed
    place.target.apply = real
    assert place.store.load(KEY).rollout is not None
    place.look()
    assert len(place.target.running(KEY)) == 2


# --- adapters and neighbours -----------------------------------------------------------------------------------------


def test_a_commit_that_changes_the_target_still_sees_what_runs_on_the_old_one(place):
    place.release("v1")
    place.desires.commit(desired("v1", target="other"))
    for _ in range(5):
        look = place.look()
    assert {one.digest for one in look.inputs.observed.instances} == {
        release("v1").digest,
        release("v1", target="other").digest,
    }
    place.release("v1", target="other")
    assert place.target.running(KEY) == ()
    assert len(place.targets["other"].running(KEY)) == 2


def test_an_environment_waits_until_the_one_before_has_certified_the_artifact(place):
    after = Key(KEY.workspace, KEY.project, "after")
    place.desires.commit(desired("v1", after, after=(KEY.environment,)))
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


def test_no_instance_is_stopped_while_requests_go_to_it(place):
    place.release("v1", instances=5)
    place.router.delay = 0.3
    place.desires.commit(desired("v1", instances=2))
    for _ in range(30):
        place.look()
        listening = {one.endpoint for one in place.target.running(KEY)}
        assert set(place.router.in_force(KEY).stable.endpoints) <= listening
    assert len(place.target.running(KEY)) == 2


# --- half an observation ---------------------------------------------------------------------------------------------


def canary(place: Place) -> None:
    """Have v2 carry traffic beside v1."""
    place.release("v1")
    place.desires.commit(desired("v2"))
    for _ in range(100):
        place.look()
        place.serve()
        rollout = place.store.load(KEY).rollout
        if rollout is not None and rollout.confirmed is not None:
            return
    raise AssertionError("v2 gets no traffic")


def test_traffic_goes_back_although_the_target_cannot_be_observed(place):
    canary(place)
    before = place.router.in_force(KEY).stable
    place.target.error = "cannot read instance.json of the canary"
    for _ in range(20):
        place.clock.advance(2.0)
        place.metrics.record(KEY, "canary", 1000, 900)
        place.metrics.record(KEY, "stable", 9000, 9)
        place.look()
    state = place.store.load(KEY)
    assert state.rollout.phase == "rolling_back"
    assert state.rollout.confirmed is not None
    assert (place.router.in_force(KEY).stable, place.router.in_force(KEY).canary) == (before, None)
    place.target.error = ""
    for _ in range(60):
        place.clock.advance(1.0)
        place.look()
    assert place.store.load(KEY).rollout is None
    assert {one.digest for one in place.target.running(KEY)} == {release("v1").digest}


# --- the order of environments ---------------------------------------------------------------------------------------


def test_what_the_environment_before_is_taking_back_does_not_count_as_certified(place):
    def certified() -> str | None:
        return observe(later, KeyState(later), place.ports).predecessors[0].revision

    later = replace(KEY, environment="later")
    place.release("v1")
    place.release("v2")
    place.desires.commit(desired("v2", later, after=(KEY.environment,)))
    assert certified() == desired("v2").artifact.revision
    place.store.submit(KEY, Request(0, Verb.ROLLBACK, "ada", "it leaks", place.clock.now().wall))
    place.look()
    assert certified() is None
    for _ in range(20):
        place.clock.advance(1.0)
        place.look()
    assert certified() == desired("v1").artifact.revision
