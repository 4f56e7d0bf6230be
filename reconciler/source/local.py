"""Fetches from a repo on the same machine: work in proportion to what is new, and none for finding out what is not.

libgit2 marks everything that the mirror has before it packs what is new, and looks for deltas in what is packed already: both
take as long as the repo is large. Here new commits are followed tree by tree to what they share with their parents, and a
first fetch takes the packs as they are. What this does not cover is left to libgit2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pygit2

from reconciler.core.outcome import TerminalError
from reconciler.source import packs, trees
from reconciler.source.job import Job, Refs, wanted
from reconciler.source.treediff import differing
from reconciler.source.trouble import TooLarge

MOST_COMMITS = 200
MOST_OBJECTS = 20_000
"""A fetch of more than these is libgit2's."""
LARGEST = 32 << 20
"""Bytes of all refs that are looked at without libgit2."""
PACK = re.compile(r"pack-[0-9a-f]{40,64}\.(pack|idx)")
LOOSE = re.compile(r"[0-9a-f]{38}")


# --- looking ----------------------------------------------------------------------------------------------------------


def signature(url: str, branches: tuple[str, ...]) -> str:
    """Changes whenever one of the refs does that ``branches`` names (all of them when it is empty).

    "" for a repo that keeps its refs in another way than in files. Never waits, whatever lies there.
    """
    try:
        folder = _git_folder(Path(url))
        found = sha256()
        room = LARGEST
        for name in _named(folder, branches) if branches else _all(folder):
            data = _content(folder / name, room)
            room -= len(data)
            found.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape") + data)
        return found.hexdigest()
    except (OSError, ValueError):
        return ""


def _git_folder(folder: Path) -> Path:
    """Raises ValueError where a repo is not laid out in the plain way."""
    inner = folder if (folder / "objects").is_dir() else folder / ".git"
    if (inner / "commondir").exists() or not (inner / "objects").is_dir() or not (inner / "refs" / "heads").is_dir():
        raise ValueError("no plain repo")
    return inner


def _named(folder: Path, branches: tuple[str, ...]) -> list[str]:
    names = [f"refs/heads/{branch}" for branch in branches if branch]
    head = _content(folder / "HEAD", LARGEST).decode(errors="replace").removeprefix("ref: ").strip()
    if head.startswith("refs/heads/") and ".." not in head:
        names.append(head)
    return ["HEAD", "packed-refs", *names]


def _all(folder: Path) -> Iterator[str]:
    yield "HEAD"
    yield "packed-refs"
    for top in ("refs/heads", "refs/tags"):
        for inner, folders, files in os.walk(folder / top):
            folders.sort()
            yield from (f"{inner[len(str(folder)) + 1 :]}/{name}" for name in sorted(files))


def _content(file: Path, most: int) -> bytes:
    """The file's bytes; none when there is no file. Raises OSError or ValueError for links, pipes and what is too large."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    with open(descriptor, "rb", buffering=0) as stream:  # noqa: PTH123
        data = stream.read(most + 1) or b""
    if len(data) > most:
        raise ValueError("too large")
    return data


def branches(job: Job) -> Refs | None:
    """The branches that a job names; None when libgit2 has to list everything, or to say what is wrong."""
    if not job.url.startswith("/") or not job.branches:
        return None
    try:
        remote = pygit2.Repository(job.url)
        head = remote.references["HEAD"].target
        default = head if isinstance(head, str) and head.startswith("refs/heads/") else ""
        found = {name: remote.references.get(name) for name in wanted(job.branches, default)}
        ids = {name: str(reference.resolve().target) for name, reference in found.items() if reference}
    except (pygit2.GitError, KeyError, ValueError):
        return None
    return Refs(ids, default if default in ids or "" not in job.branches else "") if ids else None


# --- fetching ---------------------------------------------------------------------------------------------------------


def copied(mirror: pygit2.Repository, job: Job, refs: Refs, have: dict[str, str]) -> bool:
    """Bring the objects of ``refs`` into the mirror; False when libgit2 has to do it.

    Raises TooLarge.
    """
    if not job.url.startswith("/"):
        return False
    try:
        remote = pygit2.Repository(job.url)
        if not have and not any(mirror.references.iterator()):
            _take_packs(remote, Path(job.folder), job)
            mirror = pygit2.Repository(job.folder)
        fresh = _Fresh(remote, mirror, job)
        for oid in refs.ids.values():
            fresh.tip(trees.oid_of(oid))
        fresh.follow([trees.oid_of(oid) for oid in have.values()])
    except (pygit2.GitError, TerminalError, KeyError, ValueError, OSError):
        return False  # libgit2 does it, or says what is wrong
    packs.build(remote, fresh.found, Path(job.folder))
    return True


@dataclass(slots=True)
class _Fresh:
    """Collects the objects that the mirror lacks. A tree that it holds, it holds with all that is below."""

    remote: pygit2.Repository
    mirror: pygit2.Repository
    job: Job
    found: dict[pygit2.Oid, None] = field(default_factory=dict)
    tips: list[pygit2.Oid] = field(default_factory=list)
    size: int = 0

    def tip(self, oid: pygit2.Oid) -> None:
        """Where a ref points to. Raises ValueError for what does not lead to a commit."""
        if self._held(oid):
            return
        target = self.remote[oid]
        while isinstance(target, pygit2.Tag):
            self._add(target.id)
            target = target.get_object()
        if not isinstance(target, pygit2.Commit):
            raise ValueError("a tag of something else")  # noqa: TRY004 - nobody's mistake of type
        self.tips.append(target.id)

    def follow(self, have: list[pygit2.Oid]) -> None:
        """Collect new commits with their trees. Raises ValueError when there are too many for this way."""
        if not self.tips:
            return
        walk = self.remote.walk(None)
        for oid in self.tips:
            walk.push(oid)
        for oid in have:
            if oid in self.remote.odb:
                walk.hide(oid)
        commits = [commit for commit in islice(walk, MOST_COMMITS + 1) if not self._held(commit.id)]
        if len(commits) > MOST_COMMITS:
            raise ValueError("too many commits")
        new = {commit.id for commit in commits}
        for commit in commits:
            if not all(parent in new or self._held(parent) for parent in commit.parent_ids):
                raise ValueError("a history with holes")
            self._add(commit.id)
            base = trees.root(self.remote, str(commit.parent_ids[0])) if commit.parent_ids else ""
            self._tree(trees.oid_of(base) if base else None, commit.tree_id)

    def _tree(self, base: pygit2.Oid | None, oid: pygit2.Oid) -> None:
        if oid == base or oid in self.found or self._held(oid):
            return
        self._add(oid)
        before = trees.read_tree(self.remote, str(base)) if base else b""
        old, new = differing(before, trees.read_tree(self.remote, str(oid)))
        folders = {entry.name: entry.oid for entry in old if entry.mode == trees.TREE}
        for entry in new:
            if entry.mode == trees.TREE:
                twin = folders.get(entry.name)
                self._tree(trees.oid_of(twin) if twin else None, trees.oid_of(entry.oid))
            elif entry.mode != trees.SUBMODULE:
                blob = trees.oid_of(entry.oid)
                if blob not in self.found and not self._held(blob):
                    self._add(blob)

    def _held(self, oid: pygit2.Oid) -> bool:
        """Whether the mirror has an object. ``in repo`` would say so of the empty tree too, which may not be there."""
        return oid in self.mirror.odb or (str(oid) == trees.EMPTY and oid not in self.remote.odb)

    def _add(self, oid: pygit2.Oid) -> None:
        self.found[oid] = None
        self.size += self.remote.odb.read_header(oid)[1]
        if len(self.found) > MOST_OBJECTS:
            raise ValueError("too many objects")
        if self.size > self.job.most_bytes:
            raise TooLarge(f"the repo is larger than {self.job.most_bytes >> 20} MiB")


def _take_packs(remote: pygit2.Repository, folder: Path, job: Job) -> None:
    """Copy the packs of a repo whose objects are all its own. Raises ValueError for others, TooLarge, OSError."""
    objects = _git_folder(Path(remote.path)) / "objects"
    if (objects / "info" / "alternates").exists() or (objects.parent / "shallow").exists():
        raise ValueError("objects that lie elsewhere")
    files = sorted(file for file in (objects / "pack").iterdir() if PACK.fullmatch(file.name))
    if any(file.is_symlink() or not file.is_file() for file in files) or any((objects / "pack").glob("*.promisor")):
        raise ValueError("no plain packs")
    if sum(file.stat().st_size for file in files) > job.most_bytes:
        raise TooLarge(f"the repo is larger than {job.most_bytes >> 20} MiB")
    for file in sorted(files, key=lambda file: file.suffix == ".idx"):  # a pack without its index is invisible
        packs.take(file, folder)
