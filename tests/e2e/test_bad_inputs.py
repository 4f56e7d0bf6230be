"""What people commit by mistake: each has its documented outcome, its reason in `prodsprint why`, and touches nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from envoys import require_envoy
from ground import ALL_AT_ONCE, COMMAND, Ground, ground, lost
from programs import marked

pytestmark = pytest.mark.e2e

LAUGHS = """\
apiVersion: prodsprint/v1
kind: Project
name: &a [x, x, x, x, x, x, x, x, x]
workspace: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
source: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
version: [*c, *c, *c, *c, *c, *c, *c, *c, *c]
"""
CANARIES = {"crashing": "crashes", "hanging": "hangs"}
"""Projects that serve well, and the faulty version that each is asked for next."""


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """Projects whose first release cannot work, and some that serve, all in one daemon, and users of one of them."""
    require_envoy()
    with ground() as found:
        stubborn = {"stopDeadline": "500ms"}
        found.commit(
            good=found.manifest("good", "v1"),
            lacking=found.manifest("lacking", "v99"),
            gone=found.manifest("gone", "v1", process={"command": "./no-such-program"}),
            exits=found.manifest("exits", "exits"),
            sick=found.manifest("sick", "broken", process={"health": "/", "startDeadline": "500ms"}),
            late=found.manifest("late", "broken", process={"health": "/"}, release={"progressDeadline": "1s"}),
            **{name: found.manifest(name, "v1") for name in CANARIES},
            forking=found.manifest("forking", "forks", release=ALL_AT_ONCE),
            stubborn=found.manifest("stubborn", "stubborn", release=ALL_AT_ONCE, process=stubborn),
            flooding=found.manifest("flooding", "floods", release=ALL_AT_ONCE),
        )
        for name in ("good", *CANARIES):
            found.ended(name, 1)
        found.traffic("good", *CANARIES)
        found.commit(**{name: found.manifest(name, fault, release={"bake": "30s"}) for name, fault in CANARIES.items()})
        yield found


def test_a_revision_that_the_service_repo_lacks_is_named_until_it_is_pushed(place: Ground) -> None:
    words = place.says("lacking", "revision 'v99' not found", "lacking.prodsprint.yaml:6:13")
    assert "push it or correct `version`" in words
    place.service.commit({}, "late", tag="v99")
    assert place.ended("lacking", 1).result == "promoted"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "cannot run './no-such-program': No such file or directory"),
        ("exits", "exited with status 1 before it was healthy; its log ends: no database"),
        ("sick", "was not healthy within 0.5 s of its start: health check: answered 'HTTP/1.1 500"),
        ("late", "did not become ready within 1 s"),
    ],
)
def test_a_first_release_that_cannot_run_is_given_up_and_not_tried_again(place: Ground, name: str, reason: str) -> None:
    assert place.ended(name, 1).result == "rolled_back"
    words = place.says(name, "is quarantined", reason)
    assert "whoever commits another version" in words
    assert not place.pids(name)
    place.want(name, "v1", process={"command": COMMAND, "health": "/healthz"}, release=ALL_AT_ONCE)
    assert place.ended(name, 2).result == "promoted"


@pytest.mark.parametrize(("name", "version"), [("forking", "forks"), ("stubborn", "stubborn")])
def test_nothing_of_a_replaced_instance_lives_on(place: Ground, name: str, version: str) -> None:
    assert place.ended(name, 1).version == version
    folder = place.folder(name)
    (old,) = place.pids(name)
    assert len(marked(folder / old)) >= 2, "its shim and its program"
    place.want(name, "v2")
    assert place.ended(name, 2).result == "promoted"
    assert not marked(folder / old)
    assert old not in place.pids(name)


def test_a_flooded_log_stays_within_its_bounds_and_harms_nobody(place: Ground) -> None:
    assert place.ended("flooding", 1).result == "promoted"
    (name,) = place.pids("flooding")
    logs = place.folder("flooding") / name
    place.until((logs / "log.2").exists, what="the log is rotated twice")
    assert sum(path.stat().st_size for path in logs.glob("log*")) < 35_000_000
    assert place.environment("flooding").health_status == "Healthy"


def test_a_canary_that_crashes_is_rolled_back_at_once(place: Ground) -> None:
    attempt = place.ended("crashing", 2)
    assert attempt.result == "rolled_back"
    assert "the canary went down by itself 1 time: " in attempt.reason
    assert "status 9" in attempt.reason
    place.says("crashing", "is quarantined", "went down by itself")
    counts = place.end_traffic("crashing")
    assert set(counts.answered["v1"]) == {"200"}
    assert counts.answered["crashes"]["200"] > 10


def test_a_canary_that_answers_nothing_is_rolled_back(place: Ground) -> None:
    attempt = place.ended("hanging", 2)
    assert attempt.result == "rolled_back"
    assert "canary answered none of the" in attempt.reason
    place.says("hanging", "is quarantined", "answered none of the")
    counts = place.end_traffic("hanging")
    assert set(counts.answered["v1"]) == {"200"}


def test_a_broken_manifest_blocks_only_itself_and_is_named_by_line(place: Ground) -> None:
    place.config.commit({"good.prodsprint.yaml": "apiVersion: prodsprint/v1\nname: [good\n"}, "a typo")
    place.says("good", "good.prodsprint.yaml:")
    place.want("lacking", "v2", release=ALL_AT_ONCE)
    assert place.ended("lacking", 2).result == "promoted"
    assert place.environment("good").stable.version == "v1"
    code, status = place.cli("status")
    assert code == 0
    assert "default/good/prod: good.prodsprint.yaml:" in status
    place.want("good", "v1")
    place.says("good", "nothing is waited for: Synced, Healthy")


def test_a_hostile_manifest_blocks_only_itself(place: Ground) -> None:
    place.config.commit({"hostile.prodsprint.yaml": LAUGHS}, "laughs")
    place.want("lacking", "v3")
    assert place.ended("lacking", 3).result == "promoted"
    status = place.until(lambda: "hostile.prodsprint.yaml:" in place.cli("status")[1])
    assert status


def test_those_who_used_the_good_service_noticed_nothing(place: Ground) -> None:
    counts = place.end_traffic("good")
    assert lost(counts) == {}
    assert set(counts.answered) == {"v1"}
    assert set(counts.answered["v1"]) == {"200"}
    assert len(place.attempts("good")) == 1
