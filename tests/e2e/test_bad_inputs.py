"""What people commit by mistake: each has its documented outcome, and touches nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from envoys import require_envoy
from ground import Ground, ground, lost
from programs import marked

pytestmark = pytest.mark.e2e

HOSTILE = """\
apiVersion: prodsprint/v1
kind: Project
name: &a [x, x, x, x, x, x, x, x, x]
workspace: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
source: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
version: [*c, *c, *c, *c, *c, *c, *c, *c, *c]
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """Projects whose first release cannot work, and some that serve, with traffic, in one daemon."""
    require_envoy()
    with ground() as found:
        gone = {"command": "./no-such-program"}
        quick = {"startDeadline": "500ms"}
        found.commit(
            good=found.manifest("good", "v1"),
            lacking=found.manifest("lacking", "v99"),
            gone=found.manifest("gone", "v1", process=gone),
            exits=found.manifest("exits", "exits"),
            sick=found.manifest("sick", "broken", process={"health": "/", **quick}),
            **{name: found.manifest(name, "v1") for name in ("crashing", "hanging", "stubborn", "forking", "flooding")},
        )
        yield found


def test_a_revision_that_the_service_repo_lacks_is_named_until_it_is_pushed(place: Ground) -> None:
    words = place.says("lacking", "revision 'v99' not found", "lacking.prodsprint.yaml:5:")
    assert "push it or correct" in words
    place.service.commit({}, "late", tag="v99")
    assert place.ended("lacking", 1).result == "promoted"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "no-such-program"),
        ("exits", "no database"),
        ("sick", "500"),
    ],
)
def test_a_first_release_that_cannot_run_is_given_up_and_not_tried_again(place: Ground, name: str, reason: str) -> None:
    assert place.ended(name, 1).result == "rolled_back"
    assert reason in place.says(name, "quarantined", reason)
    assert not place.pids(name)
    assert place.environment(name).rollout.attempt == 0
