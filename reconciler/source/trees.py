"""What is in a commit's tree: entries as they are stored, and the manifests among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

import pygit2

from reconciler.core.outcome import TerminalError

TREE = 0o040000
REGULAR = frozenset({0o100644, 0o100755, 0o100664})
EXECUTABLE = 0o100755
SYMLINK = 0o120000
SUBMODULE = 0o160000
MANIFEST = re.compile(r"(?:.+\.)?prodsprint\.yaml", re.DOTALL)
ALMOST = re.compile(r"(?:.+\.)?prodsprint\.ya?ml", re.IGNORECASE | re.DOTALL)
LINE = re.compile(rb"([0-7]{1,12}) ([^\0]*)\0(.{20})", re.DOTALL)
"""A line of a tree object: mode, name, raw id."""
ODD = "has a name with control characters or that is not UTF-8"


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a tree may be. Sizes in bytes."""

    manifest: int = 1 << 20
    manifests: int = 100_000
    manifests_bytes: int = 256 << 20
    files: int = 200_000
    bytes: int = 2 << 30
    depth: int = 100
    path: int = 3_500


EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The tree without entries: git knows it everywhere, and need not store it."""


def read_tree(repo: pygit2.Repository, oid: str) -> bytes:
    """A raw tree object. Raises KeyError when the repo lacks it."""
    data: bytes = b"" if oid == EMPTY else repo.odb.read(oid_of(oid))[1]
    return data


class Entry(NamedTuple):
    """One line of a tree object, unchecked."""

    mode: int
    name: bytes
    oid: str


def entries(data: bytes) -> Iterator[Entry]:
    """Read a raw tree object. Raises TerminalError when it is malformed."""
    at = 0
    for line in LINE.finditer(data):
        if line.start() != at:
            break
        at = line.end()
        yield Entry(int(line[1], 8), line[2], line[3].hex())
    if at != len(data):
        raise TerminalError("a tree object of the commit is malformed")


def entry_at(data: bytes, at: int) -> tuple[Entry, int]:
    """The line that begins at ``at``, and where the next one begins. Raises TerminalError when it is malformed."""
    line = LINE.match(data, at)
    if line is None:
        raise TerminalError("a tree object of the commit is malformed")
    return Entry(int(line[1], 8), line[2], line[3].hex()), line.end()


def root(repo: pygit2.Repository, commit: str) -> str:
    """Id of the tree of a commit (full id). Raises TerminalError when the mirror does not hold that commit."""
    found = repo.get(commit) if re.fullmatch("[0-9a-f]{40}", commit) else None
    if not isinstance(found, pygit2.Commit):
        raise TerminalError(f"the mirror holds no commit {commit[:60]!r}")
    return str(found.tree_id)


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one commit: path to blob id, the content of blobs that were not known, and what was refused."""

    paths: dict[str, str]
    content: dict[str, bytes]
    problems: tuple[tuple[str, str], ...]
    """(path, sentence) for each entry that has a manifest's name and cannot be one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one tree holds at any depth, with paths relative to it."""

    files: tuple[tuple[str, str, int], ...] = ()
    """(path, blob id, size)."""
    problems: tuple[tuple[str, str], ...] = ()
    """(path, sentence); the path is empty for the tree itself, which then holds nothing else."""
    folders: frozenset[str] = frozenset()
    """The paths among ``problems`` that are folders: what is below them is not known."""
    cut: bool = False
    """Whether something was left out for how deep it lies: elsewhere, the same tree may hold more."""

    @property
    def count(self) -> int:
        """How many entries it makes."""
        return len(self.files) + len(self.problems)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(size for _, _, size in self.files)


NOTHING = Found()


def without(why: str, *, cut: bool = False) -> Found:
    """What stands for a tree that is not looked into."""
    return Found((), (("", why),), frozenset({""}), cut)


@dataclass(slots=True)
class Walk:
    """Finds manifests; a tree that ``before`` (of an earlier walk) knows is not read again. ``seen`` is for the next one."""

    repo: pygit2.Repository
    limits: Limits
    before: dict[str, Found]
    seen: dict[str, Found] = field(default_factory=dict)
    cuts: dict[tuple[str, int], Found] = field(default_factory=dict)
    """What was cut, by tree and depth."""
    read: int = 0
    """Tree objects read."""
    shed: bool = False
    """Whether a folder was left out for what is in it: there is too much of it, or it cannot be read."""

    def find(self, tree: str, depth: int = 0) -> Found:
        """Manifests in and below a tree. What is beyond a limit is left out, and is a problem of its own path alone."""
        known = self.seen.get(tree) or self.cuts.get((tree, depth))
        if known is not None:
            return known
        if tree in self.before:
            return self._again(tree)
        if depth > self.limits.depth:
            return without(f"lies deeper than {self.limits.depth} folders and is not read", cut=True)
        self.read += 1
        try:
            found = self._look(tree, depth)
        except TerminalError as error:
            self.shed = True
            found = without(str(error))
        if found.cut:
            self.cuts[tree, depth] = found
        else:
            self.seen[tree] = found
        return found

    def one(self, entry: Entry, depth: int) -> Found:
        """What one entry of a tree makes, with paths relative to the entry; ``depth`` is the tree's."""
        if entry.mode == TREE:
            return self.find(entry.oid, depth + 1)
        name = entry.name.decode(errors="backslashreplace")
        if not ALMOST.fullmatch(name):
            return NOTHING
        size, why = self._judge(entry.mode, name, entry.oid)
        return Found((), (("", why),)) if why else Found((("", entry.oid, size),))

    def _look(self, tree: str, depth: int) -> Found:
        files: list[tuple[str, str, int]] = []
        problems: list[tuple[str, str]] = []
        parts: dict[str, Found] = {}
        lines = list(entries(read_tree(self.repo, tree)))
        if len({line.name for line in lines}) < len(lines):
            raise TerminalError("has an entry twice and is not read")
        for mode, raw, oid in lines:
            name = raw.decode(errors="backslashreplace")
            if mode == TREE:
                parts[name] = self.find(oid, depth + 1)
            elif ALMOST.fullmatch(name):
                size, why = self._judge(mode, name, oid)
                if why:
                    problems.append((name, why))
                else:
                    files.append((name, oid, size))
        own = Found(tuple(files), tuple(problems))
        self._fit(own, parts)
        if not own.count and not any(part.count for part in parts.values()):
            return NOTHING
        return Found(
            (
                *own.files,
                *((f"{name}/{path}", blob, n) for name, part in parts.items() for path, blob, n in part.files),
            ),
            (*own.problems, *((_below(name, path), w) for name, part in parts.items() for path, w in part.problems)),
            frozenset(_below(name, path) for name, part in parts.items() for path in part.folders),
            any(part.cut for part in parts.values()),
        )

    def _fit(self, own: Found, parts: dict[str, Found]) -> None:
        """Leave out the largest folders until the rest is within the limits. Raises TerminalError when that is not enough."""
        most, room = self.limits.manifests, self.limits.manifests_bytes
        self._shed(parts, own, lambda part: part.count, most, f"has more than {most} manifests")
        self._shed(
            parts, own, lambda part: part.size, room, f"has manifests that are larger than {room} bytes together"
        )

    def _shed(self, parts: dict[str, Found], own: Found, measure: Callable[[Found], int], most: int, why: str) -> None:
        total = measure(own) + sum(map(measure, parts.values()))
        self.shed |= total > most
        for name in sorted(parts, key=lambda name: -measure(parts[name])) if total > most else ():
            if total <= most:
                return
            rest = without(f"{why}, with what lies beside it, and is not read")
            total -= measure(parts[name]) - measure(rest)
            parts[name] = rest
        if total > most:
            raise TerminalError(why)

    def _again(self, tree: str) -> Found:
        self.seen[tree] = self.before[tree]
        return self.before[tree]

    def _judge(self, mode: int, name: str, oid: str) -> tuple[int, str]:
        """Size of a file in bytes, and why it is refused."""
        size = self.repo.odb.read_header(oid_of(oid))[1] if mode in REGULAR else 0
        return size, _refusal(mode, name, size, self.limits.manifest)


def _below(name: str, path: str) -> str:
    return f"{name}/{path}" if path else name


def oid_of(text: str) -> pygit2.Oid:
    """The object id for 40 hex digits."""
    return pygit2.Oid(hex=text)


def _refusal(mode: int, name: str, size: int, most: int) -> str:
    if mode == SYMLINK:
        return "is a symbolic link; a manifest is a regular file"
    if mode == SUBMODULE:
        return "is a submodule; a manifest is a regular file"
    if mode not in REGULAR:
        return f"has the file mode {mode:o}; a manifest is a regular file"
    if not MANIFEST.fullmatch(name):
        return "is not read; a manifest's name ends in prodsprint.yaml, in lower case"
    return f"has {size} bytes; a manifest has at most {most}" if size > most else ""


def manifests(walk: Walk, tree: str, known: AbstractSet[str]) -> Manifests:
    """Manifests of a commit's tree, with the content of blobs whose id is not in ``known``.

    Raises TerminalError when the tree itself is beyond the limits or malformed.
    """
    found = walk.find(tree)
    for path, why in found.problems:
        if not path:
            raise TerminalError(f"the commit {why}")
    odd_ones = [(path, ODD) for path, _, _ in found.files if odd(path)]
    refused = {path for path, _ in odd_ones}
    paths = {path: blob for path, blob, _ in found.files if path not in refused}
    odb = walk.repo.odb
    content = {blob: odb.read(oid_of(blob))[1] for blob in dict.fromkeys(paths.values()) if blob not in known}
    return Manifests(paths, content, (*found.problems, *odd_ones))


def odd(path: str) -> bool:
    """Whether a path cannot be shown as it is."""
    return not path.isprintable() or "\\" in path
