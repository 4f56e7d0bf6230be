"""Keeps a mirror's folder small and clean. Only for the holder of the mirror's lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

import pygit2

MOST_PACKS = 64
"""Each fetch leaves a pack; looks get slower with their number."""
SMALL = 64 << 20
"""Bytes up to which a pack is joined with others."""
SIGNATURE = b"\xfftOc\x00\x00\x00\x02"
JOINED = "prodsprint-joined"


def clean(folder: Path) -> None:
    """Remove what a killed fetch left behind: lock files, half packs, half objects, a half compaction."""
    for lock in (*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")):
        lock.unlink(missing_ok=True)
    for part in (*folder.glob("objects/pack/pack_git2_*"), *folder.glob("objects/*/tmp_*")):
        part.unlink(missing_ok=True)
    shutil.rmtree(folder / JOINED, ignore_errors=True)


def compact(folder: Path) -> None:
    """Join the small packs into one when there are many. Keeps every object, also those no branch reaches any more."""
    indexes = [index for index in (folder / "objects" / "pack").glob("pack-*.idx") if _small(index)]
    if len(indexes) <= MOST_PACKS:
        return
    objects = sorted({oid for index in indexes for oid in object_ids(index.read_bytes())})
    new = build(pygit2.Repository(str(folder)), [pygit2.Oid(raw=oid) for oid in objects], folder)
    for index in indexes:
        if index.stem != new:
            index.with_suffix(".pack").unlink(missing_ok=True)
            index.unlink()


def build(source: pygit2.Repository, objects: Collection[pygit2.Oid], folder: Path) -> str:
    """Put objects of ``source`` into a new pack of the mirror ``folder``; returns its name, "" when there are none."""
    if not objects:
        return ""
    builder = pygit2.PackBuilder(source)
    for oid in objects:
        builder.add(oid)
    made = folder / JOINED
    made.mkdir()
    builder.write(str(made))
    new = _install(made, folder / "objects" / "pack")
    shutil.rmtree(made)
    return new


def take(file: Path, folder: Path) -> None:
    """Copy a file of a pack of another repo into the mirror ``folder``."""
    new = folder / "objects" / "pack" / f"tmp_{file.name}"
    shutil.copyfile(file, new, follow_symlinks=False)
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    new.replace(new.with_name(file.name))


def _small(index: Path) -> bool:
    pack = index.with_suffix(".pack")
    return pack.exists() and pack.stat().st_size < SMALL


def _install(made: Path, packs: Path) -> str:
    """Move the new pack in, its index last: a pack without one is invisible. Returns its name."""
    (index,) = made.glob("*.idx")
    for suffix in (".pack", ".idx"):
        file = index.with_suffix(suffix)
        file.replace(packs / file.name)  # libgit2 has brought it to the disk already
    return index.stem


def object_ids(index: bytes) -> list[bytes]:
    """The raw object ids that a pack index (version 2) lists. Raises ValueError for another format."""
    if not index.startswith(SIGNATURE):
        raise ValueError("unknown pack index format")
    count = int.from_bytes(index[8 + 255 * 4 : 8 + 256 * 4], "big")
    start = 8 + 256 * 4
    return [index[at : at + 20] for at in range(start, start + 20 * count, 20)]
