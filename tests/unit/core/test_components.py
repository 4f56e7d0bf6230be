"""What a release unit is made of: names, digests, how many run, and who stands beside whom."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from fakes.parts import frozen, pair, part, several
from fakes.values import KEY, desired, revision
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.components import (
    by_settings_of,
    carriers,
    count_of,
    lanes,
    owner,
    part_key,
    part_release,
    parts,
    share,
    version_of,
)
from reconciler.core.desired import FULL_WEIGHT
from reconciler.core.digest import release_digest, revision_of, short_revision_of

SIZES = st.integers(1, 12)


# --- names and digests -----------------------------------------------------------------------------------------------


def test_versions_are_said_by_component():
    assert version_of(desired("v1")) == "v1"
    assert version_of(pair("v2")) == "web and worker v2"
    assert version_of(pair("v2", "v7")) == "web v2, worker v7"
    three = several(part("web", "v2"), part("jobs", "v7"), part("mailer", "v2"))
    assert version_of(three) == "web and mailer v2, jobs v7"


def test_revisions_of_components_are_compared_whatever_their_order():
    one, two = part("web", "v1"), part("worker", "v1")
    assert revision_of(several(one, two)) == revision_of(several(two, one))
    assert revision_of(several(one, two)) != revision_of(several(one, part("worker", "v2")))
    assert revision_of(desired("v1")) == revision("v1")
    assert (
        short_revision_of(several(one, two)) == f"web {one.artifact.revision[:12]}, worker {two.artifact.revision[:12]}"
    )


def test_the_digest_covers_every_component_in_any_order():
    some = (part("web"), part("worker"), part("jobs"))
    digests = {release_digest(several(*order)) for order in permutations(some)}
    assert len(digests) == 1
    web, worker, jobs = some
    others = [
        several(web, worker),
        several(web, worker, part("jobs", "v2")),
        several(web, worker, replace(jobs, spec='{"command":["other"]}')),
        several(web, worker, replace(jobs, name="mailer")),
    ]
    assert len({release_digest(one) for one in others} | digests) == 5
    same = several(web, worker, replace(jobs, port=99, instances=9, runtime='{"a":1}'))
    assert release_digest(same) in digests


def test_a_component_has_a_key_of_its_own():
    assert str(part_key(KEY, "web")) == "acme/shop/prod@web"
    assert owner(part_key(KEY, "web")) == (KEY, "web")
    assert part_key(KEY, "") == KEY
    assert owner(KEY) == (KEY, "")


def test_the_release_of_one_component_stands_for_itself_under_the_digest_of_all():
    whole = frozen(pair("v1", "v7"))
    one = part_release(whole, parts(whole.desired)[1])
    assert one.digest == whole.digest
    assert (one.desired.artifact.version, one.desired.port, one.desired.components) == ("v7", 8081, ())


# --- how many --------------------------------------------------------------------------------------------------------


@given(SIZES, SIZES, st.data())
def test_shares_split_a_component_without_gap_or_overlap(whole, size, data):
    one = part("jobs", instances=size)
    count = data.draw(st.integers(0, whole))
    there = [number for i in range(count) for number in share(one, whole, i)]
    assert there == list(range(count_of(one, whole, count)))
    assert count_of(one, whole, whole) == size
    assert count_of(one, whole, 0) == 0
    if count:
        assert 1 <= count_of(one, whole, count) <= size
        assert count_of(one, whole, count) * whole >= size * count


@given(SIZES, SIZES, st.integers(0, 20))
def test_whoever_carries_requests_has_somebody_of_each_component(whole, size, ordinal):
    one = part("jobs", instances=size)
    assert carriers(one, whole, ordinal)
    if ordinal < whole:
        assert set(carriers(one, whole, ordinal)) <= set(range(count_of(one, whole, ordinal + 1)))


# --- who stands beside whom ------------------------------------------------------------------------------------------


def table(old, new, weight=500):
    return [
        (one.port, one.stable and one.stable.name, one.canary and one.canary.name, one.weight)
        for one in lanes(old, new, weight)
    ]


LANES = [
    pytest.param(pair(), pair("v2"), [(8080, "web", "web", 500), (8081, "worker", "worker", 500)], id="same"),
    pytest.param(pair(), None, [(8080, "web", None, 0), (8081, "worker", None, 0)], id="alone"),
    pytest.param(
        None, pair(), [(8080, None, "web", FULL_WEIGHT), (8081, None, "worker", FULL_WEIGHT)], id="first release"
    ),
    pytest.param(desired(), pair(), [(8080, "", "web", 500), (8081, None, "worker", FULL_WEIGHT)], id="one to several"),
    pytest.param(
        desired(port=9000), pair(), [(9000, "", "web", 500), (8081, None, "worker", FULL_WEIGHT)], id="elsewhere"
    ),
    pytest.param(pair(), desired(port=8081), [(8080, "web", None, 0), (8081, "worker", "", 500)], id="to the second"),
    pytest.param(
        pair(),
        several(part("worker", "v2", 8081), part("web", "v2", 8080)),
        [(8080, "web", "web", 500), (8081, "worker", "worker", 500)],
        id="another order",
    ),
    pytest.param(
        pair(),
        several(part("web", "v2", 8081), part("worker", "v2", 8080)),
        [(8080, "web", "web", 500), (8081, "worker", "worker", 500)],
        id="ports are swapped",
    ),
    pytest.param(
        pair(),
        several(part("web", "v2", 8080), part("jobs", "v2", 8081)),
        [(8080, "web", "web", 500), (8081, "worker", "jobs", 500)],
        id="a successor by its port",
    ),
    pytest.param(
        pair(),
        several(part("web", "v2", 9000), part("worker", "v2", 8081), part("jobs", "v2", 8080)),
        [(8080, "web", "web", 500), (8081, "worker", "worker", 500)],
        id="the port of another is not free yet",
    ),
    pytest.param(None, None, [], id="nothing"),
]


@pytest.mark.parametrize(("old", "new", "expected"), LANES)
def test_listeners_of_a_split(old, new, expected):
    assert table(old, new) == expected


NAMES = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=2, max_size=4, unique=True)


@st.composite
def _units(draw):
    names = draw(NAMES)
    ports = draw(st.lists(st.integers(1, 6), min_size=len(names), max_size=len(names), unique=True))
    return several(*(part(name, "v1", port) for name, port in zip(names, ports, strict=True)))


ONES = st.integers(1, 6).map(lambda port: desired(port=port))
UNITS = st.one_of(_units(), ONES)


@given(UNITS, UNITS)
def test_each_component_of_stable_keeps_its_port_and_no_port_is_given_twice(old, new):
    found = lanes(old, new, 500)
    assert len({one.port for one in found}) == len(found)
    assert [(one.stable.name, one.port) for one in found if one.stable] == [(one.name, one.port) for one in parts(old)]
    served = [one.canary.name for one in found if one.canary]
    assert len(served) == len(set(served))
    missing = [one for one in parts(new) if one.name not in served]
    assert all(one.port in {lane.port for lane in found} for one in missing)


# --- settings of today -----------------------------------------------------------------------------------------------


def test_one_service_takes_todays_port_and_number():
    old = by_settings_of(desired("v1"), desired("v2", port=9000, instances=7, router="other"))
    assert (old.port, old.instances, old.router, old.artifact.version) == (9000, 7, "other", "v1")


@given(UNITS, UNITS)
def test_going_back_never_gives_two_components_one_port(old, now):
    mine = parts(by_settings_of(old, now))
    assert len({one.port for one in mine}) == len(mine)
    assert [(one.name, one.artifact) for one in mine] == [(one.name, one.artifact) for one in parts(old)]


def test_what_today_does_not_have_keeps_its_own_port():
    old = several(part("web", "v1", 8080), part("jobs", "v1", 8085, 4))
    mine = parts(by_settings_of(old, several(part("worker", "v2", 8081), part("web", "v2", 8090, 5))))
    assert [(one.name, one.port, one.instances) for one in mine] == [("web", 8090, 5), ("jobs", 8085, 4)]


def test_a_digest_is_of_the_state_that_is_run():
    back = by_settings_of(pair("v1"), pair("v2", router="other"))
    assert release_digest(back) == release_digest(pair("v1"))
