"""What the story is played with: a folder, the daemon and the traffic, and how all of it is ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess  # starts this program and its traffic, by absolute path
import sys
from dataclasses import dataclass, field
from pathlib import Path

from reconciler import proc
from reconciler.clock import SystemClock, within
from reconciler.core.outcome import TransientError
from reconciler.ports import Clock

READY = 20.0
"""Seconds the daemon gets to be ready, and everything to end."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the traffic counted: requests sent, answers by version and status, and those that got none by reason."""

    sent: int
    answered: dict[str, dict[str, int]]
    failed: dict[str, int]


@dataclass(slots=True)
class Stage:
    """The folder of one telling, and the programs that play in it."""

    folder: Path
    clock: Clock
    port: int
    rate: float
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The daemon's data directory."""
        return self.folder / "data"

    def start_daemon(self, **options: str) -> None:
        """Start the daemon on the config repo that the story commits to; ``options`` replace and add to the story's."""
        known = {
            "config_repo": str(self.folder / "config"),
            "data_dir": str(self.data),
            "grpc": "127.0.0.1:0",
            "http": "127.0.0.1:0",
            "poll": "500ms",
            "source_poll": "5s",
            "log_format": "plain",
        }
        words = [word for name, value in (known | options).items() for word in ("--" + name.replace("_", "-"), value)]
        (self.data / "daemon.json").unlink(
            missing_ok=True
        )  # of one that was killed: it would be taken for the new one's
        self.start("daemon", "reconciler", "run", *words)

    def start(self, name: str, *arguments: str) -> None:
        """Start ``python -m ...`` in the background, with a log of its own."""
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", *arguments]
            self.programs[name] = subprocess.Popen(  # noqa: S603  # our own modules
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )

        pids = {key: program.pid for key, program in self.programs.items()}
        (self.folder / "programs.json").write_text(json.dumps(pids), encoding="ascii")

    def wait_for_daemon(self) -> None:
        """Wait until the daemon says where it can be reached. Raises TransientError when it does not."""

        def said() -> bool:
            self.check()
            return (self.data / "daemon.json").exists()

        if not within(READY, said, self.clock):
            raise TransientError(f"the daemon was not ready within {READY:g} s; see {self.folder}/daemon.log")

    def check(self) -> None:
        """Raise TransientError, with its last words, when a program has ended."""
        for name, program in self.programs.items():
            if program.poll() is not None:
                raise TransientError(f"the {name} ended with exit code {program.returncode}:\n{self.last_words(name)}")

    def last_words(self, name: str = "daemon") -> str:
        """The end of a program's log."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal a program, and return its exit code. Raises subprocess.TimeoutExpired when it does not end."""
        program = self.programs.pop(name)
        program.send_signal(number)
        return program.wait(READY)

    def traffic(self, name: str = "traffic") -> Counts:
        """What the traffic has counted so far."""
        lines = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        whole = [line for line in lines if line.startswith("{") and line.endswith("}")]
        found = json.loads(whole[-1] if whole else '{"sent": 0, "answered": {}, "failed": {}}')
        return Counts(found["sent"], found["answered"], found["failed"])


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clear(folder: Path) -> None:
    """End every program of a stage, the instances and the router included, and remove its folder."""
    clock = SystemClock()
    try:
        pids = json.loads((folder / "programs.json").read_text(encoding="ascii"))
    except FileNotFoundError:
        raise TransientError(f"{folder} holds no demo") from None
    for name in sorted(pids, reverse=True):  # traffic before the daemon
        _end(int(pids[name]), clock)
    within(READY, lambda: proc.end_below(folder) == 0, clock)
    within(READY, lambda: _removed(folder), clock)


def _removed(folder: Path) -> bool:
    # A fetch that the daemon had begun may still write for a moment.
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _end(pid: int, clock: SystemClock) -> None:
    def gone() -> bool:
        with contextlib.suppress(ChildProcessError):  # not ours: it was started by an earlier demo
            os.waitpid(pid, os.WNOHANG)
        return not Path(f"/proc/{pid}").exists()

    try:
        if b"reconciler" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            if not within(READY, gone, clock):
                os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return
