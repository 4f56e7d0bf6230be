"""Small files of the process target: replaced whole, guarded by a file lock, readable by whoever adopts them.

One that a disk has damaged is read as one that is not there: it costs what it says, and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from reconciler.core.outcome import StaleGenerationError, TransientError

log = logging.getLogger(__name__)

INSTANCE = ("digest", "ordinal", "generation", "artifact", "removing")
RECORD = ("digest", "artifact", "generation", "proven")
FAILURE = ("message",)
"""What each kind of file says."""


class BusyError(TransientError):
    """Somebody else works on it still."""


def read(path: Path, names: tuple[str, ...]) -> dict[str, Any] | None:
    """A JSON object with these names, or None when there is none, or none that can be understood."""
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict) and found.keys() >= set(names):
            return found
        words = "it does not say what it has to"
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        words = str(error)
    _warn(path, words)
    return None


@lru_cache(maxsize=1000)
def _warn(path: Path, words: str) -> None:
    """Once for each file and fault: everything is read at every look."""
    log.warning("%s cannot be read, and is taken as lost: %s", path, words)


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON object whole, on the disk when the call returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises BusyError when somebody else does: nobody waits."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{folder.name} is being worked on") from None
        yield


def fence(folder: Path, generation: int) -> None:
    """Remember the newest generation seen; call it under the lock. Raises StaleGenerationError for an older one."""
    path = folder / "generation.json"
    known = read(path, ("generation",))
    seen = known["generation"] if known and isinstance(known["generation"], int) else 0
    if generation < seen:
        raise StaleGenerationError(f"generation {generation} is older than {seen}, which {folder.name} has seen")
    if generation > seen:
        write(path, {"generation": generation})


def discard(folder: Path) -> None:
    """Remove a folder, out of sight first, so that nobody ever finds half of it. Raises OSError."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
