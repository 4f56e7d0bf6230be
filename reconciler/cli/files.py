"""Reads manifests from where a person works: files and folders. Nothing that lies there makes it wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cli.client import CommandError
from reconciler.manifest.compile import Snapshot, compile_snapshot
from reconciler.manifest.load import MAX_BYTES
from reconciler.manifest.prospect import Tree, named, stand_in
from reconciler.source.git import Mirrors
from reconciler.source.trees import ALMOST, MANIFEST, ODD, odd

GIT = ".git"
TRIES = 3
"""How often a file is read that somebody else writes at the same time."""
NO_MANIFEST = "is no manifest by its name, which has to be prodsprint.yaml or ANYTHING.prodsprint.yaml"


@dataclass(slots=True)
class Reading:
    """The manifests found so far: path as a person would write it from here, and content; or why one is refused."""

    content: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """Real paths of all of them: no file is read under two names."""

    def add(self, path: str, real: str) -> None:
        """Read a file, known as ``path``, unless it has been read already."""
        if real in self.seen:
            return
        self.seen.add(real)
        why = _misnamed(path)
        if why:
            self.refused[os.fsencode(path).decode(errors="backslashreplace")] = why
            return
        try:
            self.content[path] = _content(path)
        except _RefusedError as error:
            self.refused[path] = str(error)
        except OSError as error:
            self.refused[path] = f"cannot be read: {error.strerror}"

    def below(self, folder: str) -> None:
        """Read all of a folder, as a commit of it would be: without other repos, and not through links."""
        real = os.path.realpath(folder)
        prefix = "" if folder == "." else os.path.join(folder, "")  # noqa: PTH118  # paths stay as they are written
        for path in self._walk(real, prefix):
            self.add(prefix + path, os.path.join(real, path))  # noqa: PTH118

    def _walk(self, top: str, prefix: str) -> Iterator[str]:
        """The files below a folder that are named like a manifest, or almost, from there, each folder's sorted."""

        def unreadable(error: OSError) -> None:
            where = prefix + os.path.relpath(str(error.filename), top)
            self.refused[os.fsencode(where).decode(errors="backslashreplace")] = f"cannot be read: {error.strerror}"

        for inner, folders, files in os.walk(top, onerror=unreadable):
            other = {name for name in folders if name == GIT or _leads_away(inner, name)}
            folders[:] = sorted(set(folders) - other)
            base = inner[len(top) :].lstrip("/")
            here = sorted(name for name in (*files, *other) if ALMOST.fullmatch(name))
            yield from (f"{base}/{name}" if base else name for name in here)

    def tree(self) -> Tree:
        """For the compiler."""
        return named(self.content, self.refused)


class _RefusedError(Exception):
    """Why a file is not read; reads on from its name."""


def _leads_away(inner: str, name: str) -> bool:
    """Whether a folder is another repo, or a link that is named like a manifest; no link is followed anyway."""
    folder = f"{inner}/{name}"
    return os.path.lexists(f"{folder}/{GIT}") or (ALMOST.fullmatch(name) is not None and os.path.islink(folder))  # noqa: PTH114


def _misnamed(path: str) -> str:
    name = os.path.basename(path)  # noqa: PTH119
    if not MANIFEST.fullmatch(name):
        almost = ALMOST.fullmatch(name)
        return "is not read; a manifest's name ends in prodsprint.yaml, in lower case" if almost else NO_MANIFEST
    return ODD if odd(path) else ""


def _content(path: str) -> bytes:
    """The bytes of a regular file, at most one more than a manifest may have. Raises _RefusedError and OSError."""
    for _ in range(TRIES):
        _judge(os.lstat(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # there is no path to open: it is open
            before = os.fstat(descriptor)
            _judge(before)
            data = _all(file.fileno(), before.st_size + 1)
            after = os.fstat(descriptor)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size) and len(data) == after.st_size:
            return data
    raise _RefusedError("is being written by somebody else all the time")


def _all(descriptor: int, most: int) -> bytes:
    data = more = os.read(descriptor, most)
    while more and len(data) < most - 1:
        more = os.read(descriptor, most - len(data))
        data += more
    return data


def _judge(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _RefusedError("is a symbolic link; a manifest is a regular file")
    if not stat.S_ISREG(found.st_mode):
        raise _RefusedError(f"is a {_kind(found.st_mode)}; a manifest is a regular file")
    if found.st_size > MAX_BYTES:
        raise _RefusedError(f"has {found.st_size} bytes; a manifest has at most {MAX_BYTES}")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "folder", stat.S_ISFIFO: "named pipe", stat.S_ISSOCK: "socket"}
    return next((name for test, name in kinds.items() if test(mode)), "device")


def read(paths: Sequence[Path]) -> Reading:
    """Every manifest that ``paths`` name or hold. Raises CommandError when there is none, or a path is not there."""
    reading = Reading()
    for path in paths:
        if not os.path.lexists(path):
            raise CommandError(f"{path}: no such file or folder")
        if path.is_dir():
            reading.below(str(path))
        else:
            reading.add(str(path), real(path))
    if not reading.content and not reading.refused:
        where = ", ".join(str(path) for path in paths)
        raise CommandError(f"{where}: no prodsprint.yaml and no *.prodsprint.yaml there")
    return reading


def real(path: Path) -> str:
    """Where a file lies, without links on the way; it may be one itself."""
    return str(Path(os.path.realpath(path.parent), path.name))


def resolved(paths: list[Path], folder: Path) -> Snapshot:
    """The manifests compiled with versions resolved against their service repos, mirrored below ``folder``."""
    mirrors = Mirrors(folder)
    try:
        tree = read(paths).tree()
        first = compile_snapshot("", tree.files, stand_in, None, tree.refused)
        for source in sorted({source for source, _ in first.wanted}):
            mirrors.fetch(source)
        return compile_snapshot("", tree.files, mirrors.resolve, None, tree.refused)
    finally:
        mirrors.close()
