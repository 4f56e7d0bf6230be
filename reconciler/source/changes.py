"""What a commit changes in the manifests of a repo, at the cost of what it changes."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pygit2

from reconciler.core.outcome import TerminalError
from reconciler.source import trees
from reconciler.source.treediff import differing
from reconciler.source.trees import TREE, Found, Limits, Walk

TALLY = "prodsprint-tally.json"
MOST_TALLIES = 8
FEW = 20
"""New names that are looked for one by one in a tree."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a path is from now on: a manifest (``blob``), refused (``why``, a sentence), or, with neither, gone.

    A refused path may be a folder: what was known below it stays as it is. When a later commit has the folder gone, it is
    judged again: manifests that are in it come in the same answer, and what else was known below it is gone.
    """

    path: str
    blob: str = ""
    why: str = ""


class Tally(NamedTuple):
    """How many manifests and refused paths a commit has, and their bytes. ``full``: see ``Walk.shed``."""

    files: int
    size: int
    full: bool


class Tallies:
    """The tallies of a mirror's last commits, in a file of the mirror: without it, a new process would have to read all."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / TALLY

    def find(self, commit: str) -> Tally | None:
        """The tally of a commit; None when it is not known."""
        return self._all().get(commit)

    def keep(self, commit: str, tally: Tally) -> None:
        """Remember one. It is a cache: a disk that fails is no trouble of the caller's."""
        found = self._all()
        found.pop(commit, None)
        found[commit] = tally
        lines = dict(list(found.items())[-MOST_TALLIES:])
        with suppress(OSError):
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(lines), "ascii")
            new.replace(self._file)

    def _all(self) -> dict[str, Tally]:
        try:
            values = json.loads(self._file.read_text("ascii"))
            return {commit: Tally(int(count), int(size), bool(full)) for commit, (count, size, full) in values.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


@dataclass(slots=True)
class _Side:
    """What one of two commits has where they differ."""

    judged: dict[str, Change] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    """Refused ones."""
    size: int = 0

    def add(self, path: str, found: Found) -> None:
        """Take in what is found in a folder, or as one entry (an empty relative path), at ``path``."""
        for below, blob, size in found.files:
            where = _joined(path, below)
            self.judged[where] = Change(where, "", trees.ODD) if trees.odd(where) else Change(where, blob)
            self.size += size
        self.folders |= {_joined(path, below) for below in found.folders}
        for below, why in found.problems:
            where = _joined(path, below)
            self.judged[where] = Change(where, "", why)


@dataclass(slots=True)
class Differ:
    """Compares two commits of one repo."""

    repo: pygit2.Repository
    limits: Limits
    tallies: Tallies

    def changes(self, before: str | None, commit: str) -> tuple[Change, ...]:
        """See ``Mirrors.changes``."""
        new = trees.root(self.repo, commit)
        old = trees.root(self.repo, before) if before else ""
        if old == new:
            return ()
        tally = self.tallies.find(before) if before else None
        if old and tally and not tally.full:
            found = self._between(old, new, tally)
            if found is not None:
                changes, tally = found
                self.tallies.keep(commit, tally)
                return changes
        return self._all(old, new, commit)

    def _all(self, old: str, new: str, commit: str) -> tuple[Change, ...]:
        """Judge both commits whole: the first time, and when there is too much to take all of it."""
        walk = Walk(self.repo, self.limits, {})
        sides = _Side(), _Side()
        if old:
            sides[0].add("", walk.find(old))
            sides[0].judged.pop("", None)  # refused as a whole: nothing of it is in force
        found = walk.find(new)
        for path, why in found.problems:
            if not path:
                raise TerminalError(f"the commit {why}")
        sides[1].add("", found)
        self.tallies.keep(commit, Tally(found.count, found.size, walk.shed))
        return _difference(*sides)

    def _between(self, old: str, new: str, tally: Tally) -> tuple[tuple[Change, ...], Tally] | None:
        """Judge what differs, given the tally of the older one; None when that is not enough to know what is too much."""
        walk = Walk(self.repo, self.limits, {})
        was, now = _Side(), _Side()
        try:
            self._folder(walk, (old, new), "", 0, (was, now))
        except TerminalError:
            return None  # a folder that cannot be read: a walk through the whole says which one, and goes on
        count = tally.files + len(now.judged) - len(was.judged)
        size = tally.size + now.size - was.size
        if walk.shed or count > self.limits.manifests or size > self.limits.manifests_bytes:
            return None
        return _difference(was, now), Tally(count, size, False)

    def _folder(self, walk: Walk, pair: tuple[str, str], path: str, depth: int, sides: tuple[_Side, _Side]) -> None:
        before, after = (trees.read_tree(self.repo, oid) for oid in pair)
        old, new = differing(before, after)
        was, now = {entry.name: entry for entry in old}, {entry.name: entry for entry in new}
        _no_twins(after, now.keys() - was.keys())
        for name in {**was, **now}:
            below = _joined(path, name.decode(errors="backslashreplace"))
            one, two = was.get(name), now.get(name)
            if one and two and one.mode == two.mode == TREE:
                if depth < self.limits.depth:
                    self._folder(walk, (one.oid, two.oid), below, depth + 1, sides)
                continue
            for side, entry in zip(sides, (one, two), strict=True):
                if entry is not None:
                    side.add(below, walk.one(entry, depth))


def _no_twins(tree: bytes, names: Collection[bytes]) -> None:
    """Raises TerminalError when a tree may have another entry of one of these names."""
    if len(names) > FEW:
        found = [entry.name for entry in trees.entries(tree)]
        twins = len(set(found)) < len(found)
    else:
        twins = any(tree.count(b" %s\0" % name) > 1 for name in names)
    if twins:
        raise TerminalError("an entry twice")


def _joined(path: str, below: str) -> str:
    return f"{path}/{below}" if path and below else path or below


def _difference(was: _Side, now: _Side) -> tuple[Change, ...]:
    changed = [change for path, change in now.judged.items() if was.judged.get(path) != change]
    gone = [Change(path) for path in was.judged if path not in now.judged and not _below(path, now.folders)]
    return (*gone, *changed)


def _below(path: str, refused: set[str]) -> bool:
    """Whether a path lies in a folder that is refused, and may thus still be there."""
    parts = path.split("/")
    return bool(refused) and any("/".join(parts[:number]) in refused for number in range(1, len(parts)))
