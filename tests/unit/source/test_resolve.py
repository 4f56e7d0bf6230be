from __future__ import annotations

from pathlib import Path

import pytest
from gitrepos import Repo

from reconciler.core.outcome import TerminalError
from reconciler.source.git import Mirrors


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "shop.git")


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors")


def test_tag_branch_full_and_short_id_are_found(repo: Repo, mirrors: Mirrors) -> None:
    first = repo.commit({"a": "1"})
    second = repo.commit({"a": "2"}, branch="topic/x")
    repo.tag("v1", first)
    repo.tag("v2", second, annotated=True)
    mirrors.fetch(repo.url)
    wanted = {"v1": first, "v2": second, "main": first, "topic/x": second, first: first, second[:7]: second}
    assert {version: mirrors.resolve(repo.url, version) for version in wanted} == wanted


def test_unknown_names_ids_and_objects_that_are_no_commits_are_none(repo: Repo, mirrors: Mirrors) -> None:
    first = repo.commit({"a": "1"})
    tree = str(repo.git[first].tree_id)
    blob = repo.blob("1")
    repo.git.references.create("refs/tags/a-tree", tree)
    mirrors.fetch(repo.url)
    for version in ("v9", "0" * 40, "deadbee", "a-tree", tree, blob, tree[:10], first[:6]):
        assert mirrors.resolve(repo.url, version) is None


def test_tag_wins_over_a_branch_of_the_same_name_and_a_full_id_over_both(repo: Repo, mirrors: Mirrors) -> None:
    first = repo.commit({"a": "1"})
    second = repo.commit({"a": "2"}, branch="v1")
    repo.tag("v1", first)
    repo.tag(second, first)
    mirrors.fetch(repo.url)
    assert mirrors.resolve(repo.url, "v1") == first
    assert mirrors.resolve(repo.url, "refs/heads/v1") == second
    assert mirrors.resolve(repo.url, "refs/tags/v1") == first
    assert mirrors.resolve(repo.url, second) == second


@pytest.mark.parametrize(
    "version",
    [
        "",
        "--upload-pack=touch x",
        "-v",
        "a b",
        "a..b",
        "main@{1}",
        "main~1",
        "main^",
        "a:b",
        "x\ny",
        "a\0b",
        "a.lock",
        "/x",
        "x/",
        "*",
        "a" * 300,
    ],
)
def test_odd_names_are_refused(version: str, repo: Repo, mirrors: Mirrors) -> None:
    repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    with pytest.raises(TerminalError, match="is no version"):
        mirrors.resolve(repo.url, version)


def test_ambiguous_id_is_refused(repo: Repo, mirrors: Mirrors) -> None:
    # Two blobs whose ids share seven digits, found by search.
    repo.commit({"a": "collides 26150", "b": "collides 35865"})
    mirrors.fetch(repo.url)
    with pytest.raises(TerminalError, match="more than one object"):
        mirrors.resolve(repo.url, "0ac9d70")
    assert mirrors.resolve(repo.url, "0ac9d70f") is None


def test_default_branch_is_the_remotes(tmp_path: Path, mirrors: Mirrors) -> None:
    repo = Repo(tmp_path / "shop.git")
    repo.commit({"a": "1"})
    trunk = repo.commit({"a": "2"}, branch="trunk")
    repo.git.references.create("HEAD", "refs/heads/trunk", force=True)
    assert mirrors.fetch(repo.url).default == "trunk"
    assert mirrors.head(repo.url) == trunk
