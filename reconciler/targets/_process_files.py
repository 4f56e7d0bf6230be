"""Small files of the process target: replaced whole, guarded by a file lock, readable by whoever adopts them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.core.outcome import StaleGenerationError, TransientError


class BusyError(TransientError):
    """Somebody else works on it still."""


def read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is none. Raises TransientError for one that cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TransientError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise TransientError(f"{path} holds no JSON object")
    return found


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
    seen = int((read(path) or {"generation": 0})["generation"])
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
