"""What every target promises (``ports.Target``). A new one, or a fake, joins by a line in WORLDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from gitrepos import Repo
from programs import SERVER, nothing_left
from releases import KEY, CopiedCheckouts, release
from waiting import eventually

from reconciler import registry
from reconciler.clock import SystemClock
from reconciler.core.desired import Key, Release
from reconciler.core.observed import InstanceStatus
from reconciler.core.outcome import StaleGenerationError
from reconciler.ports import Checkouts, Host, Target
from reconciler.source.git import Mirrors


@dataclass(frozen=True)
class World:
    """A target, two releases that it can run, one whose commit is unknown, and how to look at all it has written."""

    open: Callable[[], Target]
    good: Release
    other: Release
    unknown: Release
    picture: Callable[[], object]


def process_world_of(tmp_path: Path, checkouts: Checkouts, good: str, other: str, source: str) -> Iterator[World]:
    host = Host(tmp_path / "data", SystemClock(), checkouts)

    def picture() -> object:
        files = (path for path in host.data.rglob("*") if path.is_file() and not path.name.startswith("log"))
        return {path: path.stat().st_mtime_ns for path in files}

    with nothing_left(tmp_path):
        yield World(
            open=lambda: registry.target("process").open(host),
            good=release(good, source=source),
            other=release(other, source=source),
            unknown=release("f" * 40, source=source),
            picture=picture,
        )


@contextmanager
def process_world(tmp_path: Path) -> Iterator[World]:
    checkouts = CopiedCheckouts(tmp_path / "commits")
    good, other = (checkouts.commit({"server.py": SERVER, "README": text}) for text in ("one", "two"))
    yield from process_world_of(tmp_path, checkouts, good, other, "file:///service.git")


@contextmanager
def process_with_git_world(tmp_path: Path) -> Iterator[World]:
    repo, mirrors = Repo(tmp_path / "cart.git"), Mirrors(tmp_path / "mirrors")
    good, other = (repo.commit({"server.py": SERVER, "README": text}) for text in ("one", "two"))
    mirrors.fetch(repo.url)
    yield from process_world_of(tmp_path, mirrors, good, other, repo.url)


WORLDS = [process_world, process_with_git_world]


@pytest.fixture(params=WORLDS, ids=lambda world: world.__name__.removesuffix("_world"))
def world(request, tmp_path):
    with request.param(tmp_path) as made:
        yield made


def settle(target, wanted, count, generation, key=KEY):
    """Apply until the observation shows it, as the daemon does; the instances of that release."""

    def done():
        target.apply(key, wanted, count, generation)
        found = [one for one in target.observe(key) if one.digest == wanted.digest]
        return len(found) == count and all(one.status is InstanceStatus.READY for one in found) and (found or True)

    return eventually(done, 20)


def test_nothing_applied_nothing_observed(world):
    assert world.open().observe(KEY) == ()


def test_instances_become_ready_with_distinct_endpoints(world):
    found = settle(world.open(), world.good, 2, 1)
    assert [one.ordinal for one in found] == [0, 1]
    assert len({one.endpoint for one in found}) == 2
    assert {one.restarts for one in found} == {0}


def test_observing_changes_nothing(world):
    target = world.open()
    settle(target, world.good, 1, 1)
    before = world.picture()
    assert target.observe(KEY) == target.observe(KEY)
    assert world.picture() == before


def test_applying_again_changes_nothing(world):
    target = world.open()
    found = settle(target, world.good, 2, 1)
    target.apply(KEY, world.good, 2, 1)  # the one that sees it stand, and may note so
    before = world.picture()
    target.apply(KEY, world.good, 2, 1)
    assert list(target.observe(KEY)) == found
    assert world.picture() == before


def test_scaling_up_and_down_keeps_the_lowest_ordinals(world):
    target = world.open()
    first = settle(target, world.good, 1, 1)
    three = settle(target, world.good, 3, 2)
    assert [one.ordinal for one in three] == [0, 1, 2]
    assert three[0].endpoint == first[0].endpoint
    assert settle(target, world.good, 1, 3) == first


def test_scaling_to_zero_removes_that_release_only(world):
    target = world.open()
    settle(target, world.good, 1, 1)
    other = settle(target, world.other, 1, 2)
    settle(target, world.good, 0, 2)
    assert list(target.observe(KEY)) == other


def test_scaling_to_zero_what_never_ran_is_fine(world):
    target = world.open()
    target.apply(KEY, world.good, 0, 1)
    assert target.observe(KEY) == ()


def test_an_older_generation_is_refused_and_changes_nothing(world):
    target = world.open()
    found = settle(target, world.good, 1, 5)
    with pytest.raises(StaleGenerationError):
        target.apply(KEY, world.good, 0, 4)
    assert list(target.observe(KEY)) == found
    target.apply(KEY, world.good, 1, 5)


def test_another_daemon_adopts_what_runs_and_the_generation(world):
    first = world.open()
    found = settle(first, world.good, 1, 5)
    first.close()
    second = world.open()
    assert list(second.observe(KEY)) == found
    with pytest.raises(StaleGenerationError):
        second.apply(KEY, world.good, 1, 4)
    settle(second, world.good, 0, 5)


def test_keys_do_not_see_each_other(world):
    target = world.open()
    settle(target, world.good, 1, 7)
    elsewhere = Key("shop", "cart", "staging")
    assert target.observe(elsewhere) == ()
    target.apply(elsewhere, world.good, 0, 1)
    assert len(target.observe(KEY)) == 1


def test_an_unknown_commit_is_a_failed_instance_with_the_reason(world):
    target = world.open()
    target.apply(KEY, world.unknown, 1, 1)
    (found,) = eventually(lambda: [one for one in target.observe(KEY) if one.status is InstanceStatus.FAILED])
    assert (found.digest, found.endpoint) == (world.unknown.digest, "")
    assert "f" * 40 in found.message
    settle(target, world.unknown, 0, 1)


def test_keeping_a_release_lets_it_run_again(world):
    target = world.open()
    settle(target, world.good, 1, 1)
    settle(target, world.good, 0, 2)
    target.keep(KEY, frozenset({world.good.digest}))
    settle(target, world.good, 1, 3)


def test_keeping_nothing_leaves_what_runs(world):
    target = world.open()
    found = settle(target, world.good, 1, 1)
    target.keep(KEY, frozenset())
    assert list(target.observe(KEY)) == found


def test_closing_twice_is_fine_and_leaves_instances_running(world):
    target = world.open()
    found = settle(target, world.good, 1, 1)
    target.close()
    target.close()
    assert list(world.open().observe(KEY)) == found
