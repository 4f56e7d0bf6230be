"""Several services as one release unit, on fakes that know nothing of it and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.parts import MORE, WEB, WORKER, UnitPlace, alone, ask, counts, frozen, pair
from fakes.target import Behaviour
from fakes.values import KEY, desired, release

from reconciler import components
from reconciler.core.components import part_key
from reconciler.core.desired import FULL_WEIGHT, Key, Release
from reconciler.core.listeners import unit_of
from reconciler.core.observed import InstanceStatus, Reading
from reconciler.core.outcome import StaleGenerationError, TerminalError, TransientError
from reconciler.core.state import Phase, Result, Verb
from reconciler.reconcile import kept
from reconciler.store import open_store


@pytest.fixture
def place() -> Iterator[UnitPlace]:
    store = open_store(":memory:")
    yield UnitPlace(store)
    store.close()


# --- going together --------------------------------------------------------------------------------------------------


def test_a_commit_brings_up_every_component_at_a_port_of_its_own(place):
    place.bring(pair("v1"))
    digest = frozen(pair("v1")).digest
    assert counts(place, digest) == {"prod@web": 2, "prod@worker": 3}
    assert place.router.listeners() == {8080: alone(pair("v1")), 8081: alone(pair("v1"))}
    look = place.look()
    assert look.decision.due.finished
    assert not look.decision.changed
    assert {one.status for one in look.inputs.observed.instances} == {InstanceStatus.READY}
    assert len(look.inputs.observed.instances) == 2


def test_the_canaries_of_all_components_get_the_same_share_and_are_promoted_together(place):
    place.bring(pair("v1"))
    place.desires.commit(pair("v2"))
    old, new = frozen(pair("v1")).digest, frozen(pair("v2")).digest
    seen: set[Any] = set()
    place.until(lambda state: seen.add(tuple(place.router.listeners().items())) or state.stable.digest == new)
    splits = {tuple(split for _, split in one) for one in seen}
    steps = [(old, None, 0), (old, new, 500), (old, new, 2500), (old, new, FULL_WEIGHT), (new, None, 0)]
    assert splits == {(one, one) for one in steps}
    assert counts(place, old) == {}
    assert counts(place, new) == {"prod@web": 2, "prod@worker": 3}


def test_a_step_runs_the_same_part_of_every_component(place):
    place.bring(pair("v1"))
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.rollout is not None and state.rollout.step == 0 and state.rollout.confirmed)
    assert counts(place, frozen(pair("v2")).digest) == {"prod@web": 1, "prod@worker": 2}
    assert counts(place, frozen(pair("v1")).digest) == {"prod@web": 2, "prod@worker": 3}


def test_each_component_runs_its_own_artifact_under_the_digest_of_the_whole(place):
    seen: dict[Key, Release] = {}
    apply = place.target.apply

    def watch(key: Key, of: Release, count: int, generation: int) -> None:
        seen[key] = of
        apply(key, of, count, generation)

    place.target.apply = watch
    place.bring(pair("v1", "v7"))
    assert {key: one.desired.artifact.version for key, one in seen.items()} == {WEB: "v1", WORKER: "v7"}
    assert {one.digest for one in seen.values()} == {frozen(pair("v1", "v7")).digest}
    assert seen[WORKER].desired.spec == '{"command":["worker"]}'
    assert seen[WORKER].desired.port == 8081


# --- one of them fails -----------------------------------------------------------------------------------------------


def test_a_component_that_fails_in_a_canary_takes_all_of_them_back(place):
    place.bring(pair("v1"))
    place.failing[frozen(pair("v2")).digest, 8081] = 0.5
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.history and state.history[0].result is Result.ROLLED_BACK)
    place.look()
    assert place.router.listeners() == {8080: alone(pair("v1")), 8081: alone(pair("v1"))}
    assert counts(place, frozen(pair("v2")).digest) == {}
    state = place.store.load(KEY)
    assert [row.digest for row in state.quarantined] == [frozen(pair("v2")).digest]
    assert state.history[0].version == "web and worker v2"
    assert state.history[0].bad_requests > 0


@pytest.mark.parametrize("bad", ["web", "worker"])
def test_a_component_that_cannot_start_takes_all_of_them_back_before_any_traffic(place, bad):
    place.bring(pair("v1"))
    applied = len(place.router.applied)
    place.target._behaves = lambda of: Behaviour(fails="exited with 1" if of.desired.component == bad else "")
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.history and state.history[0].result is Result.ROLLED_BACK)
    assert place.store.load(KEY).history[0].reason == f"instance 0 failed: {bad}: exited with 1"
    digests = {side.digest for _, t, _ in place.router.applied[applied:] for side in (t.stable, t.canary) if side}
    assert digests == {frozen(pair("v1")).digest}


def test_the_second_component_of_the_first_release_failing_at_start_leaves_nothing(place):
    place.target._behaves = lambda of: Behaviour(fails="exited with 1" if of.desired.component == "worker" else "")
    place.desires.commit(pair("v1"))
    place.until(lambda state: bool(state.history))
    place.look()
    assert place.router.listeners() == {}
    assert counts(place, frozen(pair("v1")).digest) == {}


def test_a_component_that_crashes_in_a_canary_takes_all_of_them_back(place):
    place.bring(pair("v1"))
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    assert place.target.crash(WORKER, frozen(pair("v2")).digest, 1)
    place.until(lambda state: state.rollout is None)
    assert "went down by itself 1 time: worker: it went down" in place.store.load(KEY).history[0].reason


def test_traffic_waits_until_every_component_has_its_instances(place):
    place.bring(pair("v1"))
    slow = frozen(pair("v2")).digest
    place.target._behaves = lambda of: Behaviour(start=20.0 if of.desired.component == "worker" else 0.0)
    place.desires.commit(pair("v2"))
    for _ in range(100):
        look = place.look()
        assert all(slow not in split for split in place.router.listeners().values())
    message = next(one.message for one in look.decision.waiting if one.condition == "Capacity")
    assert message.startswith("instances of web and worker v2 are getting ready")
    place.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)


def test_while_a_component_of_what_serves_is_down_the_others_get_their_requests_at_new_addresses(place):
    place.bring(pair("v1"))
    digest = frozen(pair("v1")).digest
    for ordinal in range(3):
        place.target.crash(WORKER, digest, ordinal, seconds=600)
    for ordinal in range(2):
        place.target.crash(WEB, digest, ordinal, seconds=5)
    place.clock.advance(10)
    for _ in range(5):
        look = place.look()
    there = {one.endpoint for one in place.target.running(WEB)}
    served = next(split for key in (KEY, WEB) if (split := place.router.in_force(key)) and split.port == 8080)
    assert set(served.stable.endpoints) == there
    assert len(place.router.in_force(WORKER).stable.endpoints) == 3
    words = {one.message for one in look.inputs.observed.instances}
    assert words == {"worker: it went down"}
    place.clock.advance(600)
    for _ in range(5):
        look = place.look()
    assert look.decision.due.finished


# --- the way back ----------------------------------------------------------------------------------------------------


def test_a_person_takes_both_back_to_the_release_before(place):
    place.bring(pair("v1"))
    place.bring(pair("v2"))
    ask(place, Verb.ROLLBACK)
    place.until(lambda state: state.stable.digest == frozen(pair("v1")).digest and state.rollout is None)
    assert place.router.listeners() == {8080: alone(pair("v1")), 8081: alone(pair("v1"))}


def test_the_way_back_needs_no_target(place):
    place.bring(pair("v1"))
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    place.target.error = "connection refused"
    ask(place, Verb.ABORT)
    for _ in range(3):
        place.look()
    assert {split[1:] for split in place.router.listeners().values()} == {(None, 0)}
    served = {traffic.port: traffic.stable for key, traffic, _ in place.router.applied}
    assert {len(side.endpoints) for side in served.values()} == {2, 3}


def test_one_listener_that_refuses_does_not_keep_the_others_from_going_back(place):
    place.bring(pair("v1"))
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    apply, good = place.router.apply, frozen(pair("v1")).digest

    def refuse(key: Key, traffic: Any, generation: int) -> None:
        if traffic.port == 8080:
            raise TransientError("8080 is busy")
        apply(key, traffic, generation)

    place.router.apply = refuse
    ask(place, Verb.ABORT)
    for _ in range(3):
        look = place.look()
    assert str(look.trouble) == "8080 is busy"
    assert place.router.listeners()[8081] == (good, None, 0)
    rollout = place.store.load(KEY).rollout
    assert (rollout.phase, rollout.confirmed) == (Phase.ROLLING_BACK, None)
    assert look.inputs.observed.traffic.canary is not None
    place.router.apply = apply
    place.until(lambda state: state.rollout is None)
    assert place.router.listeners() == {8080: alone(pair("v1")), 8081: alone(pair("v1"))}


@pytest.mark.parametrize("late", [8080, 8081, 8082])
def test_a_split_that_only_some_listeners_have_is_not_in_force(place, late):
    place.bring(pair("v1"))
    apply = place.router.apply
    place.router.apply = lambda key, traffic, generation: traffic.port != late and apply(key, traffic, generation)
    place.desires.commit(MORE)
    for _ in range(50):
        look = place.look()
    assert place.store.load(KEY).rollout.confirmed is None
    seen = look.inputs.observed.traffic
    assert (seen.port, seen.weight) == ((0, 500) if late == 8082 else (8080, 0))
    place.router.apply = apply
    for _ in range(3):
        place.look()
    assert place.store.load(KEY).rollout.confirmed is not None


def test_an_older_generation_is_refused_by_every_component(place):
    place.bring(pair("v1"))
    state = place.store.load(KEY)
    unit, target = unit_of(state), place.target
    with pytest.raises(StaleGenerationError):
        components.scale(unit, target, lambda: place.router, state.stable, 2, target.fence(WEB) - 1)
    with pytest.raises(StaleGenerationError):
        components.apply_traffic(unit, place.router, place.look().inputs.observed.traffic, place.router.fence(KEY) - 1)


# --- what is seen ----------------------------------------------------------------------------------------------------


def test_an_instance_that_no_plan_knows_of_shows_as_drift(place):
    place.bring(pair("v1"))
    stray = release("stray")
    place.target.apply(WORKER, stray, 1, 10_000)
    state = place.look().decision.state
    drifted = next(one for one in state.conditions if one.type == "Drifted")
    assert stray.digest[:12] in drifted.message


def test_an_instance_too_many_is_stopped(place):
    place.bring(pair("v1"))
    state = place.store.load(KEY)
    place.target.apply(WORKER, state.stable, 5, state.generation)
    for _ in range(3):
        place.look()
    assert counts(place, state.stable.digest) == {"prod@web": 2, "prod@worker": 3}


def test_an_instance_that_vanished_comes_back(place):
    place.bring(pair("v1"))
    state = place.store.load(KEY)
    place.target._slots[WORKER].clear()
    for _ in range(3):
        place.look()
    assert counts(place, state.stable.digest) == {"prod@web": 2, "prod@worker": 3}
    assert place.look().decision.due.finished


def test_what_one_component_cannot_report_leaves_the_whole_unknown(place):
    place.bring(pair("v1"))
    observe = place.target.observe

    def refuse(key: Key) -> Any:
        if key == WORKER:
            raise TransientError("the disk is gone")
        return observe(key)

    place.target.observe = refuse
    seen = place.look().inputs.observed
    assert (seen.error, seen.sees_instances, seen.sees_traffic) == ("the disk is gone", False, True)


def test_every_component_is_asked_to_run_though_one_cannot_be(place):
    apply = place.target.apply

    def refuse(key: Key, of: Release, count: int, generation: int) -> None:
        if key == WEB:
            raise TerminalError("no such commit")
        apply(key, of, count, generation)

    place.target.apply = refuse
    place.desires.commit(pair("v1"))
    look = place.look()
    assert str(look.trouble) == "no such commit"
    assert len(place.target.running(WORKER)) == 3


def test_readings_of_all_listeners_are_one(place):
    place.bring(pair("v1"))
    before = components.read(unit_of(place.store.load(KEY)), place.metrics).stable
    for key in list(place.router._asked):
        if place.router.in_force(key):
            place.metrics.record(key, "stable", 100, 10)
    after = components.read(unit_of(place.store.load(KEY)), place.metrics)
    assert (after.stable.sent - before.sent, after.stable.failed - before.failed) == (200, 20)


def test_files_of_components_that_are_gone_are_dropped_too(place):
    place.bring(MORE)
    before = place.store.load(KEY)
    for version in ("v3", "v4", "v5", "v6", "v7"):
        place.bring(pair(version))
    after = place.store.load(KEY)
    components.keep(place.target, before, after, kept(after))
    digests = frozenset(one.digest for one in after.certified)
    assert frozen(MORE).digest not in digests
    assert place.target.kept[part_key(KEY, "mailer")] == digests
    assert place.target.kept[WEB] == digests


def test_a_single_service_is_asked_for_as_it_always_was(place):
    place.bring(desired("v1"))
    place.bring(desired("v2"))
    assert {key for key, *_ in place.target.applied} == {KEY}
    assert {key for key, *_ in place.router.applied} == {KEY}
    state = place.store.load(KEY)
    assert unit_of(state).single
    split = replace(place.router.in_force(KEY), port=1)
    assert unit_of(state).joined({KEY: ()}, {KEY: split}) == ((), split)
    given: list[Release] = []
    place.target.apply = lambda key, of, count, generation: given.append(of)
    components.scale(unit_of(state), place.target, lambda: place.router, state.stable, 2, state.generation)
    assert given[0] is state.stable


def test_a_source_that_cannot_count_one_listener_counts_none(place):
    place.bring(pair("v1"))
    read = place.metrics.read
    now = place.clock.now()
    place.metrics.read = lambda key: Reading(now, error="refused") if key == WORKER else read(key)
    found = components.read(unit_of(place.store.load(KEY)), place.metrics)
    assert found == Reading(now, error="refused")
    assert found.stable is None
