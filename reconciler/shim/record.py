"""The record that a shim keeps of itself in its folder, for whoever looks at it or adopts it."""

# ruff: noqa: PTH105, PTH116, PTH123
# pathlib would cost every shim memory

from __future__ import annotations

import json
import os
import time
from typing import Any

from reconciler.shim import tree

STATE: dict[str, Any] = {
    "status": "starting",
    "pid": None,
    "port": None,
    "restarts": 0,
    "exit_code": None,
    "message": "",
    "since": 0.0,
    "proven": False,
    "shim": 0,
    "shim_start": 0,
    "boot": "",
}
"""The content of ``state.json``. ``proven``: it was ready once, so that the shim never gives up on it. ``shim``,
``shim_start`` and ``boot`` identify the shim: process id, start time in clock ticks, boot id."""


def write(path: str, text: str) -> None:
    """Replace a file whole, on the disk when this returns. Raises OSError."""
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def _wall() -> float:
    return time.time()  # noqa: TID251 - the shim stands alone


class Record:
    """The state of one shim, in memory and in its folder, and the folder's lock, which is held as long as it lives."""

    def __init__(self, folder: str, lock: int) -> None:
        self.folder, self.lock = folder, lock
        mine = tree.process(os.getpid())
        identity = {"shim": os.getpid(), "shim_start": mine.start if mine else 0, "boot": tree.boot_id()}
        self.state = STATE | self._inherited() | identity | {"since": _wall()}
        self.written: dict[str, Any] = {}
        self.seal: tuple[int, int, int] | None = None

    def _inherited(self) -> dict[str, Any]:
        """What stays true of the program that ran here before."""
        try:
            with open(f"{self.folder}/state.json", "rb") as file:
                last = json.load(file)
            kept = {"port": last["port"], "proven": last["proven"]}
            ended = last["status"] in {"exited", "stopped", "failed"}
            return kept if ended else kept | {"restarts": last["restarts"]}
        except (OSError, ValueError, LookupError, TypeError):
            return {}  # nothing was known, or nothing that can be understood

    def set(self, status: str, message: str = "", **more: object) -> None:
        """Change the state; ``publish`` makes it known."""
        if status != self.state["status"]:
            self.state["since"] = _wall()
        self.state.update(more, status=status, message=message)

    def publish(self) -> bool:
        """Write the state if it has changed. False when it could not be written."""
        if self.state != self.written:
            try:
                write(f"{self.folder}/state.json", json.dumps(self.state))
            except OSError:
                return False
            self.written, self.seal = dict(self.state), self._seal()
        return True

    def check(self) -> None:
        """Have the state written again if the file is not what was written: who cannot read it takes the shim for dead."""
        if self._seal() != self.seal:
            self.written = {}

    def _seal(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(f"{self.folder}/state.json")
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def is_owner(self) -> bool:
        """Whether the lock in the folder is still the one held here: if not, nobody can ever adopt this shim."""
        try:
            return os.path.samestat(os.stat(f"{self.folder}/lock"), os.fstat(self.lock))
        except OSError:
            return False
