"""Starts, watches and ends programs, each under a shim. Short commands are run by ``command.run``.

A shim (``reconciler.shim``) and all that is known of it live in one folder: ``spec.json`` (what to run), ``state.json`` (what
became of it), ``log`` (rotated to ``log.1``, …), ``shim.log`` (its own last words) and ``lock``, held as long as it lives.
Whoever has the folder can adopt the shim: nothing here is remembered in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from reconciler.core.outcome import TransientError
from reconciler.shim import record, tree

LAUNCH_DEADLINE = 20.0
"""Seconds that a shim may take until it has said that it runs; it takes about 0.03."""


@dataclass(frozen=True, slots=True)
class HttpHealth:
    """GET ``path`` on 127.0.0.1: 2xx and 3xx are healthy. Times in seconds.

    ``threshold`` failures in a row make it unhealthy; one success makes it ready.
    """

    path: str
    interval: float = 1.0
    timeout: float = 1.0
    threshold: int = 2


@dataclass(frozen=True, slots=True)
class ShimSpec:
    """What a shim runs, and how. Times in seconds, sizes in bytes."""

    id: str
    """Goes into the program's environment as PRODSPRINT_INSTANCE; with the folder it proves whose an orphan is."""
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    """The program's whole environment, but for what the shim adds."""
    cwd: str
    port: bool = False
    """Find a free TCP port and hand it over as PORT; it is kept over restarts unless somebody has taken it."""
    restart: bool = True
    """Start it again when it ends; False runs it once (a build)."""
    health: HttpHealth | None = None
    """None: running is ready."""
    start_deadline: float = 30.0
    """Not ready by then: killed, a failed start. Unhealthy for so long: drained and started again.

    With ``restart=False`` it is the time in which the program has to end.
    """
    stop_deadline: float = 10.0
    """From SIGTERM to SIGKILL."""
    backoff_base: float = 0.5
    backoff_most: float = 30.0
    log_bytes: int = 10_000_000
    log_files: int = 3
    patient: bool = False
    """Never give up on it: it has worked before, elsewhere."""


class ShimStatus(StrEnum):
    """What a program under a shim is doing. The last four are final: no shim lives (or is about to end)."""

    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    BACKING_OFF = "backing_off"
    STOPPING = "stopping"
    EXITED = "exited"
    """A program that is run once has ended; see ``exit_code``."""
    STOPPED = "stopped"
    """It was told to stop, and did."""
    FAILED = "failed"
    """The shim gave up: waiting will not help."""
    LOST = "lost"
    """The shim was killed, or the machine restarted; what it ran is swept by the next start or remove."""


FINAL = frozenset({ShimStatus.EXITED, ShimStatus.STOPPED, ShimStatus.FAILED, ShimStatus.LOST})
"""States in which no shim runs."""
_STATUSES = frozenset(ShimStatus)


@dataclass(frozen=True, slots=True)
class ShimState:
    """What is known of a program. ``since`` is in Unix seconds; ``exit_code`` is negative for a signal."""

    status: ShimStatus
    pid: int | None = None
    port: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    message: str = ""
    since: float = 0.0
    shim_pid: int | None = None


def start(folder: Path, spec: ShimSpec) -> None:
    """Start a shim in the folder; does nothing where one lives. After a final state it starts anew.

    Returns when the shim has taken over, in about 30 ms. Raises TransientError when that cannot be done now.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    known = _read(folder)
    if known and known["status"] in FINAL and _is_live(known):
        tree.await_end(known["shim"], 1.0)  # its last word is written, and it is about to go
    with _lock(folder) as lock:
        if lock is None and known and known["status"] in FINAL:
            raise TransientError(f"the shim in {folder} is still ending")
        if lock is None or _is_live(_read(folder)):
            return
        if not _sweep(folder):
            raise TransientError(f"what a killed shim left running in {folder} does not end")
        try:
            record.write(f"{folder}/spec.json", json.dumps({**asdict(spec), "folder": str(folder)}))
            _launch(folder, lock)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TransientError(f"cannot start a shim in {folder}: {error}") from error


def look(folder: Path) -> ShimState | None:
    """Read what became of the program; None when nothing was started there. Changes nothing, signals nobody."""
    known = _read(folder)
    if known is None:
        return None
    if not known:
        return ShimState(ShimStatus.LOST, message="its state file cannot be read")
    status, message, pid = ShimStatus(known["status"]), known["message"], known["pid"]
    if status not in FINAL and not _is_live(known):
        same_boot = known["boot"] == tree.boot_id()
        status, pid = ShimStatus.LOST, None
        message = "its shim was killed" if same_boot else "the machine was restarted"
    return ShimState(
        status, pid, known["port"], known["restarts"], known["exit_code"], message, known["since"], known["shim"]
    )


def stop(folder: Path) -> None:
    """Ask the program to end: SIGTERM now, SIGKILL at its deadline. Returns at once; harmless where nothing runs."""
    known = _read(folder)
    if known and _is_live(known):
        tree.send(known["shim"], known["shim_start"], signal.SIGTERM)


def remove(folder: Path) -> bool:
    """Stop, and forget. True once nothing of it lives and its run state is gone; until then call it again.

    Logs stay. What a killed shim left behind is found by its environment and killed.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        return True
    with _lock(folder) as lock:
        if lock is None:
            stop(folder)
            return False
        if not _sweep(folder):
            return False
        for name in ("state.json", "spec.json"):
            (folder / name).unlink(missing_ok=True)
    return True


def tail(folder: Path, lines: int = 10, most: int = 2000) -> str:
    """The last lines of the program's log, at most ``most`` bytes of it; empty when there is none."""
    text = b""
    for name in ("log.1", "log"):
        with suppress(OSError), (folder / name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            text += file.read()
    return "\n".join(text[-most:].decode(errors="replace").splitlines()[-lines:])


# --- identity --------------------------------------------------------------------------------------------------------


def _read(folder: Path) -> dict[str, Any] | None:
    """The state file's content; None when there is none, ``{}`` when it cannot be understood."""
    try:
        known = json.loads((folder / "state.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and known.keys() >= record.STATE.keys() and known["status"] in _STATUSES
    return known if whole else {}


def _is_live(known: dict[str, Any] | None) -> bool:
    """Whether the shim that wrote this state runs: process id and start time within one boot name one process."""
    if not known or known["boot"] != tree.boot_id():
        return False
    found = tree.process(known["shim"])
    return found is not None and found.letter not in "ZX" and found.start == known["shim_start"]


@contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """The folder's lock, as a file descriptor that a new shim inherits; None while a shim (or a starter) holds it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        taken = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            taken = False
        yield descriptor if taken else None
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> bool:
    """Kill what a killed shim left behind; only called under the lock. False when something of it still lives."""
    state = look(folder)
    if state is None or state.status in FINAL - {ShimStatus.LOST}:
        return True  # nothing was started, or the shim saw the end of all of it
    try:
        mark = f"PRODSPRINT_INSTANCE={json.loads((folder / 'spec.json').read_bytes())['id']}".encode()
    except (OSError, ValueError, KeyError):
        return True  # never started: the spec is written before the shim is
    marks = {mark, f"PRODSPRINT_FOLDER={folder}".encode()}
    return any(tree.kill_marked(marks) == 0 for _ in range(10))


def _launch(folder: Path, lock: int) -> None:
    """Run the shim, which forks away from us and answers through its first parent's exit code."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}  # no secret of ours
    with (folder / "shim.log").open("ab") as log:
        done = subprocess.run(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", str(Path(record.__file__).with_name("__main__.py")), str(folder), str(lock)],
            env=kept,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            timeout=LAUNCH_DEADLINE,
            check=False,
        )
    if done.returncode:
        words = (folder / "shim.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise TransientError(f"the shim in {folder} ended at once: {' '.join(words) or 'without a word'}")


def end_below(folder: Path) -> int:
    """Go on ending every shim anywhere below ``folder``; returns how many are left. To be called until it is 0."""
    # os.walk passes over folders that others remove meanwhile.
    shims = [Path(where) for where, _, files in os.walk(folder) if "spec.json" in files]
    for shim in shims:
        stop(shim)
    return sum(not remove(shim) for shim in shims)
