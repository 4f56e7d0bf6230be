"""The Envoy process of a data directory: found or started, supervised by a shim, asked through its admin socket."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reconciler import proc
from reconciler.core.desired import Instant
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.core.text import one_line
from reconciler.exchange import Call, over_unix_socket
from reconciler.ports import Clock
from reconciler.routers._envoy_config import bootstrap
from reconciler.routers._envoy_files import XdsFiles, replace

log = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 107
"""Bytes that the path of a Unix socket may have."""
ADMIN_TIMEOUT = 2.0
ADMIN_MOST = 50_000_000
SILENT_TIMES, SILENT_SECONDS = 5, 10.0
"""Questions in a row that get no answer in time, and the least seconds between the first and the last, until an Envoy that
runs is taken for hung. Ending it costs what it still serves."""


def find_envoy() -> str:
    """Path of the Envoy binary: the one in the PyPI package, else the one on PATH. Raises TerminalError without either."""
    package = importlib.util.find_spec("envoy")
    bundled = Path(package.origin).parent / "_bin" / "envoy" if package and package.origin else None
    found = str(bundled) if bundled and os.access(bundled, os.X_OK) else shutil.which("envoy")
    if found is None:
        raise TerminalError(
            "there is no Envoy on this machine: pip install 'prodsprint[local]', or put envoy on the PATH"
        )
    return found


def admin_socket(data: Path) -> Path:
    """Where Envoy's admin socket goes: the data folder, or where its path is too long, a private temporary folder.

    Raises TerminalError when that folder belongs to somebody else.
    """
    plain = data / "admin.sock"
    if len(os.fsencode(plain)) <= LONGEST_SOCKET_PATH:
        return plain
    mark = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"prodsprint-{mark}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise TerminalError(
            f"{folder} is not a private folder of this user; remove it, or use a shorter data directory"
        )
    return folder / plain.name


class EnvoyProcess:
    """One Envoy under a shim in ``data/process``: it outlives the daemon, and is started again when it dies."""

    def __init__(self, data: Path, files: XdsFiles, clock: Clock) -> None:
        self._data, self._files, self._clock = data, files, clock
        self._shim = data / "process"
        self._socket = admin_socket(data)
        self._silent: tuple[Instant, ...] = ()
        """When it gave no answer in time, since it last did: the first time and the newest ones."""

    def ensure(self) -> None:
        """Start Envoy unless it runs already; returns before it answers. Raises TransientError or TerminalError."""
        if self._runs():
            return
        try:
            with self._files.locked():
                if not self._runs():
                    self._start()
        except OSError as error:
            raise TransientError(f"cannot start Envoy: {error}") from error

    def _runs(self) -> bool:
        state = proc.look(self._shim)
        return state is not None and state.status not in proc.FINAL

    def _start(self) -> None:
        config = self._data / "bootstrap.json"
        replace(config, json.dumps(bootstrap(self._files.folder, self._socket)))
        replace(self._data / "admin", str(self._socket))
        argv = (find_envoy(), "-c", str(config), "--disable-hot-restart", "--concurrency", "2", "--log-level", "warn")
        drain = ("--drain-time-s", "30", "--drain-strategy", "immediate")
        spec = proc.ShimSpec(
            id="routers/envoy",
            argv=argv + drain,
            env=(),
            cwd=str(self._data),
            stop_deadline=5.0,
            backoff_base=0.1,
            backoff_most=5.0,
        )
        proc.start(self._shim, spec)

    def ask(self, path: str, **query: str) -> Any:
        """GET JSON from the admin interface. Raises TransientError while Envoy does not answer, and starts it if need be."""
        target = "/" + path + ("?" + "&".join(f"{name}={quote(text)}" for name, text in query.items()) if query else "")
        try:
            answer = over_unix_socket(self._socket, Call(target, ADMIN_TIMEOUT, ADMIN_MOST), self._clock)
            self._silent = ()
            if answer.status == 200:
                return json.loads(answer.body)
            words = f"status {answer.status}"
        except (TransientError, ValueError) as error:
            words = str(error)
            self._heard_nothing(error)
        self.ensure()
        raise TransientError(f"Envoy does not answer now ({words}){self._why()}")

    def _heard_nothing(self, error: Exception) -> None:
        """End an Envoy that is there and says nothing: one that hangs, or was stopped, comes back by itself never."""
        if not isinstance(error.__cause__, (TimeoutError, BlockingIOError)):
            self._silent = ()
            return
        now = self._clock.now()
        self._silent = (*self._silent[:1], *self._silent[1:][-SILENT_TIMES:], now)
        if len(self._silent) >= SILENT_TIMES and now.since(self._silent[0]) >= SILENT_SECONDS:
            log.warning("Envoy has not answered for %.0f s: it is ended and started again", now.since(self._silent[0]))
            self._silent = ()
            proc.stop(self._shim)

    def _why(self) -> str:
        state = proc.look(self._shim)
        if state is None or state.status is proc.ShimStatus.READY:
            return ""
        last = one_line(proc.tail(self._shim, lines=1, most=300), 300)
        return "; ".join(["", f"its process is {state.status}", *(one for one in (state.message, last) if one)])
