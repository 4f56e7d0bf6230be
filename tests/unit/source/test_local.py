from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gitrepos import Repo

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import local
from reconciler.source.address import parse
from reconciler.source.git import Mirrors
from reconciler.source.job import Job
from reconciler.source.lookup import Web
from reconciler.source.update import attempt


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "shop.git")


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[Mirrors]:
    with closing(Mirrors(tmp_path / "mirrors")) as found:
        yield found


def whole(mirrors: Mirrors, url: str) -> str:
    """What git itself says of a mirror: every object that some ref reaches has to be there."""
    folder = mirrors._folders.path(parse(url))
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(folder), "fsck", "--full", "--strict"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def packed(repo: Repo) -> None:
    subprocess.run(["git", "-c", "safe.directory=*", "-C", str(repo.path), "gc", "-q"], check=True)


@pytest.mark.parametrize("pack", [True, False])
def test_mirrors_of_packed_and_loose_repos_are_whole_after_every_kind_of_change(
    pack: bool, repo: Repo, mirrors: Mirrors
) -> None:
    first = repo.commit({"a/b/c": "1", "d": "2"})
    if pack:
        packed(repo)
    mirrors.fetch(repo.url)
    assert whole(mirrors, repo.url) == ""
    second = repo.commit({"a/b/c": "new", "e/f": "3"})
    side = repo.commit({"a/b/c": "1", "side": "x"}, branch="side", parents=[first])
    merge = repo.commit({"a/b/c": "new", "side": "x", "e/f": "3"}, parents=[second, side])
    repo.tag("v1", merge, annotated=True)
    repo.commit_tree(repo.raw_tree([]), branch="empty", parents=[])
    repo.commit({"unrelated": "history"}, branch="other", parents=[])
    assert mirrors.fetch(repo.url).refs == 5
    assert mirrors.head(repo.url) == mirrors.resolve(repo.url, "v1") == merge
    assert whole(mirrors, repo.url) == ""
    assert mirrors.changes(repo.url, None, str(repo.git.references["refs/heads/empty"].target)) == ()
    repo.commit({"rewritten": "1"}, parents=[first])
    mirrors.fetch(repo.url)
    assert whole(mirrors, repo.url) == ""


def test_many_refs_are_fetched_in_the_time_of_one(repo: Repo, mirrors: Mirrors) -> None:
    commits = [repo.commit({"a": str(number)}) for number in range(3)]
    for number in range(500):
        repo.tag(f"v{number}", commits[number % 3])
    packed(repo)
    assert mirrors.fetch(repo.url).refs == 501
    assert mirrors.resolve_all(repo.url, ["v0", "v1", "v499", "none", "a b"]) == {
        "v0": commits[0], "v1": commits[1], "v499": commits[499 % 3], "none": None, "a b": None
    }  # fmt: skip
    repo.tag("v0", commits[2])
    repo.delete("refs/tags/v7")
    repo.tag("late", commits[0])
    assert mirrors.fetch(repo.url).refs == 501
    found = mirrors.resolve_all(repo.url, ["v0", "v7", "late"])
    assert found == {"v0": commits[2], "v7": None, "late": commits[0]}


def test_a_look_sees_every_way_in_which_refs_change(repo: Repo) -> None:
    first = repo.commit({"a": "1"})
    seen = {local.signature(repo.url, ())}
    second = repo.commit({"a": "2"})
    seen.add(local.signature(repo.url, ()))
    repo.tag("v1", first)
    seen.add(local.signature(repo.url, ()))
    repo.commit({"a": "3"}, branch="deep/er/branch", parents=[second])
    seen.add(local.signature(repo.url, ()))
    packed(repo)
    before = local.signature(repo.url, ())
    repo.delete("refs/tags/v1")
    seen.add(local.signature(repo.url, ()))
    repo.git.references.create("HEAD", "refs/heads/deep/er/branch", force=True)
    seen |= {before, local.signature(repo.url, ())}
    assert len(seen) == 7
    assert "" not in seen


def test_a_look_at_one_branch_sees_only_that_branch(repo: Repo) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "1"}, branch="prod")
    one, default = local.signature(repo.url, ("prod",)), local.signature(repo.url, ("",))
    repo.commit({"a": "2"}, branch="other")
    assert (local.signature(repo.url, ("prod",)), local.signature(repo.url, ("",))) == (one, default)
    repo.commit({"a": "2"}, branch="prod")
    assert local.signature(repo.url, ("prod",)) != one
    assert local.signature(repo.url, ("",)) == default


def test_pipes_links_and_huge_files_among_the_refs_hold_nothing_up(
    repo: Repo, tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({"a": "1"})
    pipe = repo.path / "refs/heads/pipe"
    os.mkfifo(pipe)
    local.signature(repo.url, ())
    pipe.unlink()
    pipe.symlink_to("/dev/zero")
    assert local.signature(repo.url, ()) == ""
    pipe.unlink()
    monkeypatch.setattr(local, "LARGEST", 20)
    assert local.signature(repo.url, ()) == ""
    assert local.signature(str(tmp_path), ()) == local.signature(str(tmp_path / "none"), ()) == ""
    assert mirrors.fetch(repo.url).changed
    assert not mirrors.fetch(repo.url).changed


def test_objects_of_another_folder_are_fetched_too(repo: Repo, tmp_path: Path, mirrors: Mirrors) -> None:
    tip = repo.commit({"a": "1"})
    packed(repo)
    clone = tmp_path / "clone.git"
    subprocess.run(
        ["git", "-c", "safe.directory=*", "clone", "-q", "--bare", "--shared", str(repo.path), str(clone)], check=True
    )
    mirrors.fetch(str(clone))
    assert mirrors.head(str(clone)) == tip
    assert whole(mirrors, str(clone)) == ""


def test_a_work_tree_is_a_repo_too_and_a_linked_one_is_left_to_libgit2(
    repo: Repo, tmp_path: Path, mirrors: Mirrors
) -> None:
    tip = repo.commit({"a": "1"})
    git = ["git", "-c", "safe.directory=*"]
    subprocess.run([*git, "clone", "-q", str(repo.path), str(tmp_path / "clone")], check=True)
    subprocess.run([*git, "-C", str(tmp_path / "clone"), "worktree", "add", "-q", str(tmp_path / "linked")], check=True)
    for url in (str(tmp_path / "clone"), str(tmp_path / "linked")):
        mirrors.fetch(url)
        assert mirrors.resolve(url, "main") == tip
        assert not mirrors.fetch(url).changed


def test_a_repo_larger_than_the_limit_is_refused_whichever_way_it_is_fetched(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": os.urandom(3 << 20)})
    for pack in (False, True):
        if pack:
            packed(repo)
        job = Job(str(Repo(tmp_path / f"mirror-{pack}.git").path), repo.url, 10.0, most_bytes=1 << 20)
        report = attempt(job, Web())
        assert report.terminal
        assert "larger than 1 MiB" in report.error


def test_a_repo_with_missing_objects_is_refused_and_the_mirror_stays(repo: Repo, mirrors: Mirrors) -> None:
    first = repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    blob = repo.blob("lost")
    repo.commit({"a": "lost"})
    (repo.path / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises((TransientError, TerminalError)):
        mirrors.fetch(repo.url)
    assert mirrors.head(repo.url) == first
    assert whole(mirrors, repo.url) == ""


def test_mirrors_that_nobody_names_are_dropped_and_all_else_is_left_alone(
    repo: Repo, tmp_path: Path, mirrors: Mirrors
) -> None:
    other = Repo(tmp_path / "other.git")
    for made in (repo, other):
        made.commit({"a": "1"})
        mirrors.fetch(made.url)
    folder = tmp_path / "mirrors"
    foreign = Repo(folder / f"{'0' * 32}.git")
    (folder / "notes.txt").write_text("mine")
    (folder / f"{parse(other.url).slug}.damaged").mkdir()
    with mirrors._folders.locked(parse(other.url)):
        assert mirrors.retain([repo.url]) == ()
    assert mirrors.head(other.url)
    assert mirrors.retain([repo.url, "no address"]) == (other.url,)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{parse(repo.url).slug}.git", f"{parse(repo.url).slug}.lock", foreign.path.name, "notes.txt"]
    )
    with pytest.raises(TransientError, match="not been fetched"):
        mirrors.head(other.url)
    assert mirrors.fetch(other.url).changed
    assert mirrors.retain([]) == tuple(sorted((repo.url, other.url), key=lambda url: parse(url).slug))
