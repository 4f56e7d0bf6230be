"""Components that come, go and change, on fakes that know nothing of them and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.parts import MORE, WEB, WORKER, UnitPlace, alone, ask, at_ports, counts, frozen, pair, part, several
from fakes.values import KEY, desired

from reconciler.core.components import part_key
from reconciler.core.desired import FULL_WEIGHT, Key, OnDelete, Release
from reconciler.core.observed import InstanceStatus
from reconciler.core.outcome import TransientError
from reconciler.core.state import Phase, Result, Verb
from reconciler.store import open_store


@pytest.fixture
def place() -> Iterator[UnitPlace]:
    store = open_store(":memory:")
    yield UnitPlace(store)
    store.close()


# --- components come and go ------------------------------------------------------------------------------------------


def test_a_new_component_gets_all_requests_to_its_port_and_goes_with_its_release(place):
    place.bring(pair("v1"))
    place.desires.commit(MORE)
    place.until(lambda state: state.rollout is not None and state.rollout.confirmed is not None)
    new = frozen(MORE).digest
    assert place.router.listeners()[8082] == (None, new, FULL_WEIGHT)
    assert place.router.listeners()[8080] == (frozen(pair("v1")).digest, new, 500)
    ask(place, Verb.ABORT)
    place.until(lambda state: state.rollout is None)
    assert set(place.router.listeners()) == {8080, 8081}
    assert place.target.running(part_key(KEY, "mailer")) == ()


def test_a_component_that_is_removed_serves_until_its_release_goes(place):
    place.bring(MORE)
    mailer = part_key(KEY, "mailer")
    place.desires.commit(pair("v3"))
    old = frozen(MORE).digest
    place.until(lambda state: state.rollout is not None and state.rollout.phase is Phase.PROMOTING)
    assert place.router.listeners()[8082] == (old, None, 0)
    assert len(place.target.running(mailer)) == 1
    place.until(lambda state: state.rollout is None)
    assert set(place.router.listeners()) == {8080, 8081}
    assert place.target.running(mailer) == ()
    assert place.look().decision.due.finished


def test_a_listener_is_closed_though_its_instances_have_gone_by_themselves(place):
    place.bring(MORE)
    place.desires.commit(pair("v3"))
    place.until(lambda state: state.rollout is not None and state.rollout.phase is Phase.PROMOTING)
    for slots in place.target._slots.values():
        for name in [name for name in slots if name[0] == frozen(MORE).digest]:
            del slots[name]
    look = place.look()
    left = [one for one in look.inputs.observed.instances if one.digest == frozen(MORE).digest]
    assert [(one.id, one.status) for one in left] == [("listener 8082", InstanceStatus.STOPPING)]
    place.until(lambda state: state.rollout is None)
    assert set(place.router.listeners()) == {8080, 8081}


def test_a_listener_is_closed_before_its_last_instance_goes(place):
    place.bring(MORE)
    apply, seen = place.target.apply, []

    def watch(key: Key, of: Release, count: int, generation: int) -> None:
        if count == 0:
            seen.append(set(place.router.listeners()))
        apply(key, of, count, generation)

    place.target.apply = watch
    place.bring(pair("v3"))
    assert seen
    assert all(ports == {8080, 8081} for ports in seen)


def test_a_rollback_brings_back_a_component_that_was_removed(place):
    place.bring(MORE)
    place.bring(pair("v3"))
    ask(place, Verb.ROLLBACK)
    place.until(lambda state: state.rollout is None and state.stable.digest == frozen(MORE).digest)
    assert place.router.listeners() == {port: alone(MORE) for port in (8080, 8081, 8082)}
    assert len(place.target.running(part_key(KEY, "mailer"))) == 1


SPLITS = [
    pytest.param(desired("v1"), pair("v2"), id="one becomes several"),
    pytest.param(pair("v1"), desired("v2"), id="several become one"),
    pytest.param(pair("v1"), desired("v2", port=8081), id="the one is at the second port"),
    pytest.param(desired("v1", port=9000), pair("v2"), id="one becomes several elsewhere"),
    pytest.param(pair("v1"), desired("v2", port=9000), id="several become one elsewhere"),
    pytest.param(
        pair("v1"),
        several(part("worker", "v2", 8081, 3), part("web", "v2", 8080, 2)),
        id="another order",
    ),
    pytest.param(
        pair("v1"),
        several(part("web", "v2", 8080, 2), part("jobs", "v2", 8081, 3)),
        id="another name at the same port",
    ),
    pytest.param(
        pair("v1"),
        several(part("web", "v2", 8081, 2), part("worker", "v2", 8080, 3)),
        id="ports are swapped",
    ),
    pytest.param(
        pair("v1"),
        several(part("worker", "v2", 8080, 1), part("jobs", "v2", 8081, 1)),
        id="a port goes to another component",
    ),
    pytest.param(pair("v1"), several(part("a", "v2", 9000), part("b", "v2", 9001)), id="nothing stays"),
]


@pytest.mark.parametrize(("before", "after"), SPLITS)
def test_what_a_project_is_made_of_changes_with_a_release_and_back(place, before, after):
    place.bring(before)
    place.bring(after)
    assert place.router.listeners() == at_ports(after)
    assert place.look().decision.due.finished
    ask(place, Verb.ROLLBACK)
    place.until(lambda state: state.rollout is None and state.stable.digest == frozen(before).digest)
    place.look()
    stable = place.store.load(KEY).stable.desired
    assert place.router.listeners() == dict.fromkeys(at_ports(stable), alone(before))
    keys = (KEY, WEB, WORKER, *(part_key(KEY, name) for name in ("jobs", "a", "b")))
    assert {one.digest for key in keys for one in place.target.running(key)} == {frozen(before).digest}
    assert place.look().decision.due.finished


@pytest.mark.parametrize(("before", "after"), [SPLITS[0], SPLITS[1], SPLITS[5]])
def test_the_port_that_both_have_is_never_closed_meanwhile(place, before, after):
    place.bring(before)
    apply, gaps = place.router.apply, []

    def watch(key: Key, traffic: Any, generation: int) -> None:
        apply(key, traffic, generation)
        gaps.append(8080 not in place.router.listeners())

    place.router.apply = watch
    place.bring(after)
    assert gaps
    assert not any(gaps)


def test_a_canary_of_several_components_is_compared_with_the_one_service_before(place):
    place.bring(desired("v1"))
    place.failing[frozen(pair("v2")).digest, 8080] = 0.5
    place.desires.commit(pair("v2"))
    place.until(lambda state: state.history and state.history[0].result is Result.ROLLED_BACK)
    place.look()
    assert place.router.listeners() == at_ports(desired("v1"))


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(several(part("web", "v1", 8080, 2), part("worker", "v1", 8099, 3)), id="port of the second"),
        pytest.param(several(part("web", "v1", 8099, 2), part("worker", "v1", 8081, 3)), id="port of the first"),
        pytest.param(several(part("web", "v1", 8080, 2), part("worker", "v1", 8081, 5)), id="more of the second"),
        pytest.param(several(part("web", "v1", 8080, 4), part("worker", "v1", 8081, 1)), id="fewer of the second"),
        pytest.param(several(part("worker", "v1", 8081, 3), part("web", "v1", 8080, 2)), id="another order"),
        pytest.param(several(part("web", "v1", 8081, 2), part("worker", "v1", 8080, 3)), id="swapped ports"),
    ],
)
def test_ports_and_numbers_follow_without_a_rollout(place, other):
    place.bring(pair("v1"))
    attempts = place.store.load(KEY).attempts
    place.desires.commit(other)
    for _ in range(20):
        place.look()
        place.clock.advance(1)
    assert place.store.load(KEY).attempts == attempts
    assert place.router.listeners() == at_ports(other)
    numbers = {one.name: one.instances for one in (*other.components,)} | {other.component: other.instances}
    assert counts(place, frozen(other).digest) == {"prod@web": numbers["web"], "prod@worker": numbers["worker"]}
    assert place.look().decision.due.finished


def test_components_beside_the_first_swap_their_ports(place):
    def wanted(jobs: int, mailer: int) -> Any:
        return several(part("web", "v1", 8080), part("jobs", "v1", jobs), part("mailer", "v1", mailer))

    place.bring(wanted(8081, 8082))
    place.desires.commit(wanted(8082, 8081))
    for _ in range(5):
        look = place.look()
    assert look.decision.due.finished
    served = {place.router.in_force(part_key(KEY, name)).port for name in ("jobs", "mailer")}
    assert served == {8081, 8082}
    assert place.router.in_force(part_key(KEY, "jobs")).port == 8082


def test_a_listener_too_much_is_closed_though_that_failed_at_first(place):
    place.bring(pair("v1"))
    apply = place.router.apply

    def refuse(key: Key, traffic: Any, generation: int) -> None:
        if traffic.stable is None:
            raise TransientError("busy")
        apply(key, traffic, generation)

    place.router.apply = refuse
    other = several(part("worker", "v1", 8081, 3), part("web", "v1", 8090, 2))
    place.desires.commit(other)
    for _ in range(3):
        look = place.look()
    assert str(look.trouble) == "busy"
    assert set(place.router.listeners()) == {8080, 8081, 8090}
    place.router.apply = apply
    for _ in range(3):
        place.look()
    assert set(place.router.listeners()) == {8081, 8090}
    assert place.look().decision.due.finished


def test_a_rollback_takes_todays_ports_and_numbers(place):
    place.bring(pair("v1"))
    now = several(part("web", "v2", 8090, 1), part("worker", "v2", 8091, 2))
    place.bring(now)
    ask(place, Verb.ROLLBACK)
    place.until(lambda state: state.rollout is None and state.stable.digest == frozen(pair("v1")).digest)
    assert place.router.listeners() == dict.fromkeys((8090, 8091), alone(pair("v1")))
    assert counts(place, frozen(pair("v1")).digest) == {"prod@web": 1, "prod@worker": 2}


def test_a_project_that_is_taken_out_of_service_leaves_no_listener_and_no_instance(place):
    place.bring(replace(MORE, on_delete=OnDelete.DESTROY))
    place.desires.remove(KEY)
    for _ in range(60):
        look = place.look()
        place.clock.advance(1)
    assert place.router.listeners() == {}
    assert all(place.target.running(key) == () for key in (KEY, WEB, WORKER, part_key(KEY, "mailer")))
    assert look.inputs.observed.instances == ()
    assert look.decision.due.finished
