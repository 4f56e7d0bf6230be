"""Writes many refs of a mirror at once: one by one, libgit2 takes most of a millisecond for each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

HEADER = "# pack-refs with: sorted \n"


def write(folder: Path, held: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Make the mirror's refs ``held`` and ``new`` together, ``new`` winning. Only for the holder of the mirror's lock.

    Raises OSError.
    """
    refs = sorted((name.encode(), oid) for name, oid in {**held, **new}.items())
    lock = folder / "packed-refs.lock"
    with lock.open("wb") as stream:
        stream.write(HEADER.encode() + b"".join(oid.encode() + b" " + name + b"\n" for name, oid in refs))
        stream.flush()
        os.fsync(stream.fileno())
    lock.replace(folder / "packed-refs")
    for name in new:  # a file of its own would win
        (folder / name).unlink(missing_ok=True)
