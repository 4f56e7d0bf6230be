"""The files that Envoy watches: they are what is remembered of all splits, so that Envoy comes back with them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.core.desired import Key
from reconciler.core.outcome import StaleGenerationError, TerminalError, TransientError
from reconciler.routers._envoy_config import CLUSTERS, LISTENERS, WEIGHTS, XdsFile

log = logging.getLogger(__name__)


class XdsFiles:
    """Changes one entry at a time under a file lock, so that threads and processes do not lose each other's changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._generations = folder / "generations"

    def prepare(self) -> None:
        """Make the folder and those files that are not there yet: Envoy does not start without. Raises TransientError."""
        with _disk_errors():
            self._generations.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.locked():
                for file in (CLUSTERS, LISTENERS, WEIGHTS):
                    if not (self.folder / file.name).exists():
                        self._write(file, {})

    def entries(self, file: XdsFile) -> dict[str, Any]:
        """What the file says, by name. Raises TerminalError when it is not what was written, TransientError without it."""
        path = self.folder / file.name
        try:
            resources = json.loads(path.read_bytes())["resources"]
            if file is WEIGHTS:
                return dict(resources[0]["layer"])
            return {one["name"]: one for one in resources}
        except OSError as error:
            raise TransientError(
                f"cannot read {path}: {error.strerror}; a restart of the daemon makes a new one"
            ) from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            hint = "restore it, or delete it and restart the daemon"
            raise TerminalError(f"{path} cannot be understood ({type(error).__name__}: {error}): {hint}") from error

    def put(self, file: XdsFile, changes: Mapping[str, object | None]) -> None:
        """Replace entries, None removes one; the file is on the disk, and renamed into place, when this returns.

        Written even when nothing differs: that makes Envoy try again. Raises TransientError when the disk refuses.
        """
        with _disk_errors(), self.locked():
            entries = self.entries(file)
            for name, value in changes.items():
                if value is None:
                    entries.pop(name, None)
                else:
                    entries[name] = value
            self._write(file, entries)

    def admit(self, key: Key, generation: int) -> None:
        """Remember the newest generation of a key, also beyond its removal. Raises StaleGenerationError for an older one."""
        path = self._generations / str(key).replace("/", ".")
        with _disk_errors(), self.locked():
            newest = _number(path)
            if generation < newest:
                raise StaleGenerationError(f"{key}: generation {generation} is older than {newest}")
            if generation > newest:
                replace(path, str(generation))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes anything here in the meantime, in whichever thread or process. Raises OSError."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, file: XdsFile, entries: Mapping[str, Any]) -> None:
        resources = list(entries.values())
        if file is WEIGHTS:
            resources = [{"@type": WEIGHTS.type, "name": "weights", "layer": entries}]
        text = json.dumps(resources)
        version = hashlib.sha256(text.encode()).hexdigest()[:12]
        replace(self.folder / file.name, json.dumps({"version_info": version, "resources": resources}))


def replace(path: Path, text: str) -> None:
    """Write a file whole, on the disk when this returns; only one caller at a time. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=0o600)
    with new.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)


def _number(path: Path) -> int:
    """The number in a file; 0 without one, and for what a disk has damaged: else no split could be asked for again."""
    try:
        return int(path.read_bytes())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        log.warning("%s cannot be read, and is taken as lost: %s", path, error)
        return 0


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise TransientError(f"cannot keep Envoy's configuration: {error}") from error
