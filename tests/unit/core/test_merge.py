"""Reports of several components made one, and taken apart again."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.parts import frozen, part, several
from fakes.values import KEY, at
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.components import count_of, parts
from reconciler.core.merge import endpoint_text, merged, routed_texts, summed, taken_apart
from reconciler.core.observed import Counters, Instance, InstanceStatus, Observed, Reading
from reconciler.core.plan import due, endpoints, ready
from reconciler.core.state import Plan, Scale

READY, FAILED = InstanceStatus.READY, InstanceStatus.FAILED
SIZES = st.integers(1, 6)


def found_of(release: Any, count: int, **changes: Any) -> dict[str, list[Instance]]:
    """What targets report when ``count`` instances of the first component were asked for; ``changes`` by ``name_ordinal``."""
    whole, found = release.desired.instances, {}
    for number, one in enumerate(parts(release.desired)):
        found[one.name] = [
            Instance(
                f"x-{i}",
                release.digest,
                i,
                changes.get(f"{one.name}_{i}", READY),
                f"10.0.{number}.{i}:80",
                message="exited with 1" if f"{one.name}_{i}" in changes else "",
            )
            for i in range(count_of(one, whole, count))
        ]
    return found


def unit(web: int = 2, worker: int = 3) -> Any:
    return frozen(several(part("web", instances=web), part("worker", instances=worker)))


def done(release: Any, instances: list[Instance], count: int) -> bool:
    """Whether the core sees that many instances as there."""
    plan = Plan(KEY, 1, 0, (Scale(release.digest, count),), (release,), "")
    return due(plan, Observed(tuple(instances)), at(), at(-100.0), 0.0).finished


# --- instances -------------------------------------------------------------------------------------------------------


@given(SIZES, SIZES, st.data())
def test_what_was_asked_for_and_is_ready_is_seen_as_that_many_ready_instances(web, worker, data):
    release = unit(web, worker)
    count = data.draw(st.integers(0, web))
    seen = merged(release, found_of(release, count), serves=False)
    assert [one.ordinal for one in seen] == list(range(count))
    assert all(one.status is READY for one in seen)
    assert all(done(release, seen, other) == (other == count) for other in range(web + 1))
    whole = taken_apart(endpoints(Observed(tuple(seen)), release.digest))
    expected = {name: {one.endpoint for one in some} for name, some in found_of(release, count).items() if some}
    assert {name: set(some) for name, some in whole.items()} == expected


@given(SIZES, SIZES, st.booleans(), st.sampled_from([one for one in InstanceStatus if one is not READY]), st.data())
def test_one_instance_that_is_not_ready_takes_its_share_out_and_no_more(web, worker, serves, status, data):
    release = unit(web, worker)
    name = data.draw(st.sampled_from(["web", "worker"]))
    size = {"web": web, "worker": worker}[name]
    ordinal = data.draw(st.integers(0, size - 1))
    seen = merged(release, found_of(release, web, **{f"{name}_{ordinal}": status}), serves=serves)
    left = ready(Observed(tuple(seen)), release.digest)
    assert left < web
    assert left >= web - -(-web // size)
    assert status in {one.status for one in seen}
    assert {one.message for one in seen if one.message} == {f"{name}: exited with 1"}
    if status is not InstanceStatus.UNHEALTHY:
        assert not done(release, seen, web)


@given(SIZES, SIZES, st.data())
def test_an_instance_that_is_missing_or_too_much_is_never_seen_as_done(web, worker, data):
    release = unit(web, worker)
    found = found_of(release, web)
    name = data.draw(st.sampled_from(["web", "worker"]))
    if data.draw(st.booleans()):
        del found[name][data.draw(st.integers(0, len(found[name]) - 1))]
    else:
        found[name].append(Instance("x", release.digest, len(found[name]), READY, "10.9.9.9:80"))
    seen = merged(release, found, serves=False)
    assert not done(release, seen, web)


def test_a_half_that_fails_while_it_serves_is_reported_as_what_listens_and_as_what_failed():
    release = unit(1, 2)
    found = found_of(release, 1, worker_1=FAILED)
    seen = merged(release, found, serves=True)
    assert [(one.status, one.endpoint) for one in seen] == [
        (InstanceStatus.UNHEALTHY, "web=10.0.0.0:80 worker=10.0.1.0:80"),
        (FAILED, ""),
    ]
    assert [(one.status, one.endpoint) for one in merged(release, found, serves=False)] == [(FAILED, "")]


def test_restarts_are_counted_once():
    release = unit(4, 2)
    found = found_of(release, 4)
    found["worker"] = [Instance("x", release.digest, i, READY, "10.0.0.9:1", restarts=3) for i in range(2)]
    assert sum(one.restarts for one in merged(release, found, serves=True)) == 6


# --- endpoints -------------------------------------------------------------------------------------------------------

ENDPOINTS = st.dictionaries(
    st.sampled_from(["", "web", "worker"]),
    st.lists(st.integers(1, 9).map(lambda port: f"127.0.0.1:{port}"), min_size=1, unique=True).map(tuple),
)


@given(ENDPOINTS)
def test_endpoints_come_out_as_they_went_in(some):
    assert taken_apart([endpoint_text(some)]) == some


@given(SIZES, SIZES, st.data())
def test_what_the_core_chose_is_what_it_is_told_that_the_router_has(web, worker, data):
    release = unit(web, worker)
    states = data.draw(st.lists(st.sampled_from(list(InstanceStatus)), min_size=web + worker, max_size=web + worker))
    names = [f"web_{i}" for i in range(web)] + [f"worker_{i}" for i in range(worker)]
    seen = merged(
        release, found_of(release, web, **dict(zip(names, states, strict=True))), serves=data.draw(st.booleans())
    )
    count = data.draw(st.sampled_from([None, *range(1, web + 1)]))
    chosen = endpoints(Observed(tuple(seen)), release.digest, count)
    routed = taken_apart(chosen)
    if routed:
        assert routed_texts(seen, routed) == chosen


def test_what_the_router_has_besides_is_said_in_one_text():
    release = unit(1, 1)
    seen = merged(release, found_of(release, 1), serves=True)
    routed = {"web": ("10.0.0.0:80", "10.9.9.9:1"), "worker": ("10.0.1.0:80",)}
    assert routed_texts(seen, routed) == ("web=10.0.0.0:80,10.9.9.9:1 worker=10.0.1.0:80",)
    assert taken_apart(routed_texts(seen, routed)) == routed
    assert routed_texts([], {}) == ()


# --- counters --------------------------------------------------------------------------------------------------------


def counters(sent: int, failed: int = 0, edges: tuple[float, ...] = (5.0, 10.0), epoch: str = "1") -> Counters:
    return Counters(epoch, sent, sent, failed, sent, tuple((edge, sent) for edge in edges) if sent else ())


def test_counters_are_added_up():
    one = Reading(at(), counters(100, 1), counters(10, 5))
    other = Reading(at(), counters(50, 2), None)
    assert summed([one, other]) == Reading(at(), counters(150, 3), counters(10, 5))


def test_a_side_is_unknown_only_when_no_listener_knows_it():
    assert summed([Reading(at(), counters(1)), Reading(at())]) == Reading(at(), counters(1))
    assert summed([Reading(at()), Reading(at())]) == Reading(at())


def test_one_that_cannot_be_read_leaves_the_whole_unknown():
    assert summed([Reading(at(), counters(1)), Reading(at(), error="refused")]) == Reading(at(), error="refused")


@pytest.mark.parametrize("nothing_timed", [counters(0), Counters("1", 7, 7, 0, 0, ((1.0, 0),))])
def test_a_listener_without_times_takes_none_from_the_others(nothing_timed):
    found = summed([Reading(at(), counters(100)), Reading(at(), nothing_timed)]).stable
    assert (found.timed, found.buckets) == (100, ((5.0, 100), (10.0, 100)))


def test_times_by_different_edges_are_not_added_up():
    found = summed([Reading(at(), counters(100)), Reading(at(), counters(10, edges=(7.0,)))]).stable
    assert (found.sent, found.timed, found.buckets) == (110, 0, ())


def test_lives_of_counters_are_joined():
    readings = [Reading(at(), counters(1, epoch=name)) for name in ("b", "a", "b")]
    assert summed(readings).stable.epoch == "a b"
