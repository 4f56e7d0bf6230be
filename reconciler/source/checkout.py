"""Writes a commit's tree to a folder: exactly its bytes, or nothing.

No hooks, no filters, no attributes, no LFS, no submodules. Names are checked as git checks them for other file systems, so
that the same commit is refused everywhere. Links are written last, and no file is ever opened through one.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pygit2

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import trees
from reconciler.source.trees import Entry, Limits

IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u00ad]")
"""Code points that some file systems drop from names."""
GIT = re.compile(r"\.git|git~[0-9]+", re.IGNORECASE)
LONGEST_NAME = 255
LONGEST_LINK = 4_000


def write(repo: pygit2.Repository, tree: str, into: Path, limits: Limits) -> None:
    """Write a tree as the new folder ``into``. Raises TerminalError when unsafe, TransientError when the disk fails."""
    if os.path.lexists(into):
        raise TerminalError(f"{into} exists already")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        _clean(into)
        with tempfile.TemporaryDirectory(prefix=f"{_mark(into)}{os.getpid()}.", dir=into.parent) as folder:
            made = Path(folder) / "tree"
            made.mkdir(0o755)
            _Writer(repo, limits).write(tree, made)
            made.rename(into)
    except OSError as error:
        raise TransientError(f"cannot write {into}: {error.strerror}") from error


def _mark(into: Path) -> str:
    return f".{into.name}.checkout."


def _clean(into: Path) -> None:
    """Remove what a killed daemon left of a checkout of the same folder: the data directory has one daemon at a time."""
    for left in into.parent.iterdir():
        if left.name.startswith(_mark(into)) and not left.name.startswith(f"{_mark(into)}{os.getpid()}."):
            shutil.rmtree(left, ignore_errors=True)


@dataclass(slots=True)
class _Writer:
    repo: pygit2.Repository
    limits: Limits
    files: int = 0
    size: int = 0
    links: list[tuple[Path, bytes]] = field(default_factory=list)
    """Where and target of symbolic links, written when everything else is."""

    def write(self, tree: str, folder: Path) -> None:
        self._tree(tree, folder, b"", 0)
        for where, target in self.links:
            where.symlink_to(os.fsdecode(target))

    def _tree(self, tree: str, folder: Path, path: bytes, depth: int) -> None:
        if depth > self.limits.depth:
            raise TerminalError(f"the tree is deeper than {self.limits.depth} folders")
        for entry in self._checked(tree, path):
            below = path + entry.name
            where = folder / os.fsdecode(entry.name)
            if entry.mode == trees.TREE:
                where.mkdir(0o755)
                self._tree(entry.oid, where, below + b"/", depth + 1)
            elif entry.mode == trees.SYMLINK:
                self.links.append((where, self._target(entry, below, depth)))
            elif entry.mode != trees.SUBMODULE:
                self._file(entry, where, below)

    def _checked(self, tree: str, path: bytes) -> Iterator[Entry]:
        names: set[bytes] = set()
        for entry in trees.entries(self._read(tree, path)):
            below = path + entry.name
            why = _refusal(entry, len(below), self.limits.path)
            if entry.name in names:
                why = "appears twice"
            if why:
                raise TerminalError(f"unsafe entry {_shown(below)} in the tree: {why}")
            names.add(entry.name)
            self.files += 1
            if self.files > self.limits.files:
                raise TerminalError(f"the tree has more than {self.limits.files} entries")
            yield entry

    def _file(self, entry: Entry, where: Path, path: bytes) -> None:
        data = self._read(entry.oid, path)
        mode = 0o755 if entry.mode == trees.EXECUTABLE else 0o644
        # O_EXCL: on a file system that folds names, a second spelling of the same name fails instead of replacing it.
        with open(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as stream:  # noqa: PTH123
            stream.write(data)
            os.fchmod(stream.fileno(), mode)

    def _target(self, entry: Entry, path: bytes, depth: int) -> bytes:
        target = self._read(entry.oid, path)
        if not _inside(target, depth):
            raise TerminalError(
                f"unsafe entry {_shown(path)} in the tree: a link to {_shown(target[:100])} may leave it"
            )
        return target

    def _read(self, oid: str, path: bytes) -> bytes:
        try:
            self.size += self.repo.odb.read_header(trees.oid_of(oid))[1]
            if self.size > self.limits.bytes:
                raise TerminalError(f"the tree is larger than {self.limits.bytes} bytes")
            return b"" if oid == trees.EMPTY else self.repo.odb.read(trees.oid_of(oid))[1]
        except KeyError:
            raise TerminalError(f"the mirror lacks the object of {_shown(path) or 'the root'}") from None


def _shown(path: bytes) -> str:
    return ascii(path.decode(errors="backslashreplace")) if path else ""


def _refusal(entry: Entry, length: int, most: int) -> str:
    """Why an entry's mode or name is unsafe; "" when it is not."""
    name = entry.name
    if entry.mode not in {trees.TREE, trees.SYMLINK, trees.SUBMODULE, *trees.REGULAR}:
        return f"file mode {entry.mode:o}"
    if name in {b"", b".", b".."} or b"/" in name or b"\\" in name:
        return "no plain name"
    if len(name) > LONGEST_NAME or length > most:
        return "too long"
    folded = IGNORED.sub("", unicodedata.normalize("NFKC", name.decode(errors="replace")))
    if GIT.fullmatch(folded.partition(":")[0].rstrip(". ")):
        return "git's own name"
    return ""


def _inside(target: bytes, depth: int) -> bool:
    """Whether a link ``depth`` folders below the root cannot leave it.

    ``..`` counts only at the front, where it climbs real folders; behind a name it could climb from wherever that name leads.
    """
    if not target or target.startswith(b"/") or b"\0" in target or b"\\" in target or len(target) > LONGEST_LINK:
        return False
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    up = 0
    while up < len(parts) and parts[up] == b"..":
        up += 1
    return up <= depth and b".." not in parts[up:]
