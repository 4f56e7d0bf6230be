"""What is in a commit's tree: entries as they are stored, and the manifests among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


NOTHING = Found()


@dataclass(slots=True)
class Walk:
    """Finds manifests; a tree that ``before`` (of an earlier walk) knows is not read again. ``seen`` is for the next one."""

    repo: pygit2.Repository
    limits: Limits
    before: dict[str, Found]
    seen: dict[str, Found] = field(default_factory=dict)
    read: int = 0
    """Tree objects read."""

    def find(self, tree: str, depth: int = 0) -> Found:
        """Manifests in and below a tree. Raises TerminalError beyond the limits."""
        if tree in self.seen:
            return self.seen[tree]
        if tree in self.before:
            return self._again(tree)
        if depth > self.limits.depth:
            raise TerminalError(f"the tree is deeper than {self.limits.depth} folders")
        self.read += 1
        files: list[tuple[str, str, int]] = []
        problems: list[tuple[str, str]] = []
        below: list[str] = []
        for mode, raw, oid in entries(self.repo.odb.read(oid_of(tree))[1]):
            name = raw.decode(errors="backslashreplace")
            if mode == TREE:
                inner = self.find(oid, depth + 1)
                below.append(oid)
                files += [(f"{name}/{path}", blob, size) for path, blob, size in inner.files]
                problems += [(f"{name}/{path}", why) for path, why in inner.problems]
            elif ALMOST.fullmatch(name):
                self._judge(mode, name, oid, files, problems)
            if len(files) + len(problems) > self.limits.manifests:
                raise TerminalError(f"the commit has more than {self.limits.manifests} manifests")
        found = Found(tuple(files), tuple(problems)) if files or problems else NOTHING
        self.seen[tree] = found
        return found

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

    Raises TerminalError beyond the limits.
    """
    found = walk.find(tree)
    if sum(size for _, _, size in found.files) > walk.limits.manifests_bytes:
        raise TerminalError(f"the manifests of the commit are larger than {walk.limits.manifests_bytes} bytes together")
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
