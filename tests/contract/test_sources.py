from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from gitrepos import Repo, Tool
from gitservers import certificate, smart_http, sshd

from reconciler.core.outcome import TransientError
from reconciler.source.address import Credential, Credentials
from reconciler.source.git import Mirrors

TOKEN = "t0ken-of-the-test"
TRANSPORTS = ("path", "file", "http", "https", "ssh")


class Way(NamedTuple):
    """A repo, and how it is reached."""

    repo: Repo
    url: str
    mirrors: Mirrors


@pytest.fixture(params=TRANSPORTS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    repo = Repo(tmp_path / "repos" / "shop.git")
    yield from getattr(request.module, f"over_{request.param}")(repo, tmp_path)


def over_path(repo: Repo, folder: Path) -> Iterator[Way]:
    yield Way(repo, repo.url, Mirrors(folder / "mirrors"))


def over_file(repo: Repo, folder: Path) -> Iterator[Way]:
    yield Way(repo, f"file://{repo.path}", Mirrors(folder / "mirrors"))


def over_http(repo: Repo, folder: Path) -> Iterator[Way]:
    (folder / "token").write_text(TOKEN + "\n")
    with smart_http(repo.path.parent, TOKEN) as server:
        rules = Credentials((Credential(server.url, token_file=folder / "token"),))
        yield Way(repo, f"{server.url}/shop.git", Mirrors(folder / "mirrors", rules))


def over_https(repo: Repo, folder: Path) -> Iterator[Way]:
    (folder / "token").write_text(TOKEN + "\n")
    made = certificate(folder)
    with smart_http(repo.path.parent, TOKEN, tls=made, keep_alive=True) as server:
        rules = Credentials((Credential(server.url, token_file=folder / "token", ca_file=made.file),))
        yield Way(repo, f"{server.url}/shop.git", Mirrors(folder / "mirrors", rules))


def over_ssh(repo: Repo, folder: Path) -> Iterator[Way]:
    (folder / "ssh").mkdir()
    with sshd(folder / "ssh") as server:
        url = server.url(repo.path)
        rules = Credentials((Credential(url, key_file=server.key, known_hosts=server.known_hosts),))
        yield Way(repo, url, Mirrors(folder / "mirrors", rules))


def test_commits_become_readable_and_an_unchanged_remote_is_not_fetched(way: Way, tmp_path: Path) -> None:
    first = way.repo.commit({"a/prodsprint.yaml": "one", "run": Tool("#!/bin/sh")})
    assert way.mirrors.fetch(way.url).changed
    assert way.mirrors.head(way.url) == way.mirrors.head(way.url, "main") == first
    again = way.mirrors.fetch(way.url)
    assert (again.changed, again.refs, again.default) == (False, 1, "main")

    second = way.repo.commit({"a/prodsprint.yaml": "two", "run": Tool("#!/bin/sh")})
    third = way.repo.commit({"a/prodsprint.yaml": "three", "run": Tool("#!/bin/sh")})
    assert way.mirrors.fetch(way.url).changed
    assert way.mirrors.head(way.url) == third
    assert not way.mirrors.rewritten(way.url, first, third)
    found = way.mirrors.files(way.url, second)
    assert found.content[found.paths["a/prodsprint.yaml"]] == b"two"
    way.mirrors.checkout(way.url, third, tmp_path / "out")
    assert (tmp_path / "out/a/prodsprint.yaml").read_text() == "three"
    assert (tmp_path / "out/run").stat().st_mode & 0o777 == 0o755


def test_force_push_deleted_branch_and_moved_tag_are_followed_and_old_commits_stay(way: Way) -> None:
    first = way.repo.commit({"a": "1"})
    second = way.repo.commit({"a": "2"})
    way.repo.commit({"b": "1"}, branch="topic")
    way.repo.tag("v1", first, annotated=True)
    way.mirrors.fetch(way.url)
    assert way.mirrors.resolve(way.url, "v1") == first

    other = way.repo.commit({"a": "3"}, parents=[first])
    way.repo.delete("refs/heads/topic")
    way.repo.commit({"b": "2"}, branch="topic/inner")
    way.repo.tag("v1", second, annotated=True)
    way.mirrors.fetch(way.url)
    assert way.mirrors.head(way.url) == other
    assert way.mirrors.head(way.url, "topic") is None
    assert way.mirrors.head(way.url, "topic/inner") is not None
    assert way.mirrors.resolve(way.url, "v1") == second
    assert way.mirrors.rewritten(way.url, second, other)
    assert way.mirrors.resolve(way.url, second) == second


def test_empty_repo_has_no_head_and_later_gets_one(way: Way) -> None:
    assert way.mirrors.fetch(way.url).refs == 0
    assert way.mirrors.head(way.url) is None
    first = way.repo.commit({"a": "1"})
    way.mirrors.fetch(way.url)
    assert way.mirrors.head(way.url) == first


def test_a_remote_that_lost_every_branch_leaves_the_mirror_as_it_was(way: Way) -> None:
    first = way.repo.commit({"a": "1"})
    way.mirrors.fetch(way.url)
    way.repo.delete("refs/heads/main")
    with pytest.raises(TransientError, match="no branch or tag any more"):
        way.mirrors.fetch(way.url)
    assert way.mirrors.head(way.url) == first


def test_one_branch_alone_is_followed_and_both_ways_of_fetching_get_along(way: Way) -> None:
    way.repo.commit({"a": "1"})
    first = way.repo.commit({"a": "2"}, branch="prod")
    way.repo.tag("v1", first)
    result = way.mirrors.fetch(way.url, ("prod",))
    assert (result.changed, result.refs) == (True, 1)
    assert way.mirrors.head(way.url, "prod") == first
    assert way.mirrors.resolve(way.url, "refs/heads/main") is way.mirrors.resolve(way.url, "refs/tags/v1") is None
    way.repo.commit({"a": "3"})
    assert not way.mirrors.fetch(way.url, ("prod",)).changed

    assert way.mirrors.fetch(way.url).refs == 3
    second = way.repo.commit({"a": "4"}, branch="prod")
    assert way.mirrors.fetch(way.url, ("prod",)).changed
    assert not way.mirrors.fetch(way.url).changed
    assert way.mirrors.head(way.url, "prod") == second
    # Back to where all branches were seen last: what one of them saw meanwhile must not hide it.
    way.repo.git.references.create("refs/heads/prod", first, force=True)
    assert way.mirrors.fetch(way.url).changed
    assert way.mirrors.head(way.url, "prod") == first


def test_the_default_branch_is_followed_without_its_name(way: Way) -> None:
    assert way.mirrors.fetch(way.url, ("",)).refs == 0
    first = way.repo.commit({"a": "1"})
    other = way.repo.commit({"a": "2"}, branch="trunk")
    result = way.mirrors.fetch(way.url, ("",))
    assert (result.refs, result.default) == (1, "main")
    assert way.mirrors.head(way.url) == first
    way.repo.git.references.create("HEAD", "refs/heads/trunk", force=True)
    assert way.mirrors.fetch(way.url, ("",)).default == "trunk"
    assert way.mirrors.head(way.url) == other


def test_a_named_branch_that_vanished_leaves_the_mirror_as_it_was(way: Way) -> None:
    way.repo.commit({"a": "1"})
    first = way.repo.commit({"a": "2"}, branch="prod")
    way.mirrors.fetch(way.url, ("prod",))
    way.repo.delete("refs/heads/prod")
    with pytest.raises(TransientError, match="has no branch prod any more"):
        way.mirrors.fetch(way.url, ("prod",))
    assert way.mirrors.head(way.url, "prod") == first


def test_nothing_is_known_before_the_first_fetch(way: Way) -> None:
    looks: tuple[Callable[[], object], ...] = (
        lambda: way.mirrors.head(way.url),
        lambda: way.mirrors.resolve(way.url, "main"),
        lambda: way.mirrors.files(way.url, "0" * 40),
    )
    for look in looks:
        with pytest.raises(TransientError, match="not been fetched"):
            look()
