from __future__ import annotations

import threading
from pathlib import Path

import pygit2
import pytest
from gitrepos import Repo

from reconciler.source import packs


def fetched(repo: Repo, mirror: Repo) -> None:
    mirror.git.remotes.create_anonymous(repo.url).fetch(["+refs/heads/*:refs/heads/*"])


def pack_files(mirror: Repo) -> list[Path]:
    return sorted((mirror.path / "objects/pack").glob("*.pack"))


def test_many_packs_become_one_and_every_commit_stays_readable_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MOST_PACKS", 5)
    repo, mirror = Repo(tmp_path / "repo.git"), Repo(tmp_path / "mirror.git")
    commits = []
    for number in range(7):
        commits.append(repo.commit({"a": str(number)}, parents=[]))
        fetched(repo, mirror)
    assert len(pack_files(mirror)) == 7
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            git = pygit2.Repository(str(mirror.path))
            wrong.extend(commit for commit in commits if git.get(commit) is None)

    reader = threading.Thread(target=read)
    reader.start()
    packs.compact(mirror.path)
    done.set()
    reader.join(10)
    assert len(pack_files(mirror)) == 1
    assert not wrong
    git = pygit2.Repository(str(mirror.path))
    assert [git[git[commit].tree["a"].id].data for commit in commits] == [str(number).encode() for number in range(7)]
    packs.compact(mirror.path)
    assert len(pack_files(mirror)) == 1


def test_few_packs_are_left_alone(tmp_path: Path) -> None:
    repo, mirror = Repo(tmp_path / "repo.git"), Repo(tmp_path / "mirror.git")
    repo.commit({"a": "1"})
    fetched(repo, mirror)
    before = pack_files(mirror)
    packs.compact(mirror.path)
    assert pack_files(mirror) == before


def test_index_of_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="index format"):
        packs.object_ids(b"\0" * 2000)
