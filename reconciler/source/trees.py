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


class Entry(NamedTuple):
    """One line of a tree object, unchecked."""

    mode: int
    name: bytes
    oid: str


def entries(data: bytes) -> Iterator[Entry]:
    """Read a raw tree object. Raises TerminalError when it is malformed."""
    at = 0
    try:
        while at < len(data):
            space = data.index(b" ", at)
            end = data.index(b"\0", space)
            yield Entry(int(data[at:space], 8), data[space + 1 : end], data[end + 1 : end + 21].hex())
            at = end + 21
    except ValueError:
        raise TerminalError("a tree object of the commit is malformed") from None


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
    return Found((), (("", why),), cut)


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
            found = without(str(error))
        if found.cut:
            self.cuts[tree, depth] = found
        else:
            self.seen[tree] = found
        return found

    def _look(self, tree: str, depth: int) -> Found:
        files: list[tuple[str, str, int]] = []
        problems: list[tuple[str, str]] = []
        parts: dict[str, Found] = {}
        for mode, raw, oid in entries(self.repo.odb.read(oid_of(tree))[1]):
            name = raw.decode(errors="backslashreplace")
            if mode == TREE:
                parts[name] = self.find(oid, depth + 1)
            elif ALMOST.fullmatch(name):
                self._judge(mode, name, oid, files, problems)
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
            any(part.cut for part in parts.values()),
        )

    def _fit(self, own: Found, parts: dict[str, Found]) -> None:
        """Leave out the largest folders until the rest is within the limits. Raises TerminalError when that is not enough."""
        most, room = self.limits.manifests, self.limits.manifests_bytes
        _shed(parts, own, lambda part: part.count, most, f"has more than {most} manifests")
        _shed(parts, own, lambda part: part.size, room, f"has manifests that are larger than {room} bytes together")

    def _again(self, tree: str) -> Found:
        self.seen[tree] = self.before[tree]
        return self.before[tree]

    def _judge(
        self, mode: int, name: str, oid: str, files: list[tuple[str, str, int]], problems: list[tuple[str, str]]
    ) -> None:
        size = self.repo.odb.read_header(oid_of(oid))[1] if mode in REGULAR else 0
        why = _refusal(mode, name, size, self.limits.manifest)
        if why:
            problems.append((name, why))
        else:
            files.append((name, oid, size))


def _shed(parts: dict[str, Found], own: Found, measure: Callable[[Found], int], most: int, why: str) -> None:
    total = measure(own) + sum(map(measure, parts.values()))
    for name in sorted(parts, key=lambda name: -measure(parts[name])):
        if total <= most:
            return
        rest = without(f"{why}, with what lies beside it, and is not read")
        total -= measure(parts[name]) - measure(rest)
        parts[name] = rest
    if total > most:
        raise TerminalError(why)


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
    odd = [
        (path, "has a name with control characters or that is not UTF-8") for path, _, _ in found.files if _odd(path)
    ]
    refused = {path for path, _ in odd}
    paths = {path: blob for path, blob, _ in found.files if path not in refused}
    odb = walk.repo.odb
    content = {blob: odb.read(oid_of(blob))[1] for blob in dict.fromkeys(paths.values()) if blob not in known}
    return Manifests(paths, content, (*found.problems, *odd))


def _odd(path: str) -> bool:
    return not path.isprintable() or "\\" in path
