"""Reads manifests from where a person works: a file, a folder, or a git work tree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from reconciler.cli.client import CommandError
from reconciler.manifest.compile import Snapshot, compile_snapshot
from reconciler.source.git import Mirrors

UNRESOLVED = "0" * 40
"""Stands for the commit of a version while nobody has asked the service repo."""


def is_manifest(path: Path) -> bool:
    """Whether the daemon would read a file of this name."""
    return path.name == "prodsprint.yaml" or path.name.endswith(".prodsprint.yaml")


def manifests(paths: list[Path]) -> dict[str, tuple[str, bytes]]:
    """Path to (content id, content) of every manifest below ``paths``. Raises CommandError when one cannot be read."""
    found = {}
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path}: no such file or folder")
        for file in sorted(_below(path)):
            try:
                content = file.read_bytes()
            except OSError as error:
                raise CommandError(f"{file}: {error.strerror}") from None
            found[str(file)] = (hashlib.sha256(content).hexdigest(), content)
    if not found:
        where = ", ".join(str(path) for path in paths)
        raise CommandError(f"{where}: no prodsprint.yaml and no *.prodsprint.yaml there")
    return found


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for name in path.rglob("*.yaml"):
        if is_manifest(name) and ".git" not in name.parts and name.is_file() and not name.is_symlink():
            yield name


def compiled(paths: list[Path]) -> Snapshot:
    """The manifests compiled without asking any service repo: versions stand unresolved."""
    return compile_snapshot("", manifests(paths), lambda _source, _version: UNRESOLVED, None)


def resolved(paths: list[Path], folder: Path) -> Snapshot:
    """The manifests compiled with versions resolved against their service repos, mirrored below ``folder``."""
    mirrors = Mirrors(folder)
    files = manifests(paths)
    for source in sorted({source for source, _ in compiled(paths).wanted}):
        mirrors.fetch(source)
    return compile_snapshot("", files, mirrors.resolve, None)
