"""The worker processes of one daemon: started when needed, used again, ended with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.source.job import Job, Report, read_report
from reconciler.source.worker import ANSWERED, LONGEST

GRACE = 5.0
"""Seconds a worker gets beyond its own alarm before it is killed."""
MOST_IDLE = 4
"""Workers that are kept without a job."""
START = (
    "import json,sys; hello=json.loads(sys.stdin.buffer.raw.read(65536)); sys.path[:]=hello['path']; "
    "from reconciler.source.worker import main; main(hello)"
)
PASSED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "TMPDIR", "RES_OPTIONS")
"""Environment that workers get: no secret of the daemon's."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What libgit2 keeps for a whole process: a worker serves only jobs of its own profile."""

    ca: str = ""
    """File of the only certificate authorities to accept; "" for the system's."""
    edition: tuple[int, ...] = ()
    """Changes with the content of ``ca``."""
    home: str = ""
    """Folder with the ``.ssh/known_hosts`` that pins host keys."""


@dataclass(slots=True, eq=False)
class Worker:
    """A process, and what leads to it."""

    profile: Profile
    process: subprocess.Popen[bytes]
    channel: socket.socket
    life: int
    """Nothing is written to it: the worker ends when it is closed."""
    last: str = ""
    """Server of the last job: its connection is still open."""
    used: bool = False

    def end(self) -> None:
        """Kill it and wait for its end."""
        self.channel.close()
        with suppress(OSError):
            os.close(self.life)
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class _Crew:
    guard: threading.Lock = field(default_factory=threading.Lock)
    idle: list[Worker] = field(default_factory=list)
    busy: set[Worker] = field(default_factory=set)
    closed: bool = False


class Pool:
    """Gives every caller a worker of its own, so that no job waits for another one. Thread-safe.

    It has as many workers as there are callers at the same time, and keeps a few of them. They end with the pool, with the
    process that owns it, or by themselves when they have nothing to do for long.
    """

    def __init__(self, deadline: float) -> None:
        """``deadline``: seconds after which no job may still run."""
        self._deadline = deadline
        self._crew = _Crew()
        weakref.finalize(self, _dismiss, self._crew)

    def run(self, job: Job, profile: Profile, host: str, lock: int) -> Report:
        """Do a job in a process of its own; ``host`` names its server. Never raises for what a remote or a worker does.

        The worker holds the descriptor ``lock`` too: should this process die, nobody else comes between.
        """
        while True:
            worker = self._take(profile, host)
            if worker is None:
                return Report(error=f"{job.url}: not fetched: the daemon is ending")
            fresh, worker.used, worker.last = not worker.used, True, host
            report = self._ask(worker, job, lock)
            if report is not None or fresh:
                return report or Report(error=f"{job.url}: the fetch could not be started")

    def close(self) -> None:
        """End every worker, also those that have a job."""
        _dismiss(self._crew)

    def _take(self, profile: Profile, host: str) -> Worker | None:
        crew = self._crew
        with crew.guard:
            if crew.closed:
                return None
            fitting = [worker for worker in crew.idle if worker.profile == profile]
            worker = next((one for one in reversed(fitting) if one.last == host), fitting[-1] if fitting else None)
            if worker is not None:
                crew.idle.remove(worker)
                crew.busy.add(worker)
                return worker
        worker = _start(profile, self._deadline)
        with crew.guard:
            crew.busy.add(worker)
            closed = crew.closed
        if closed:
            self._end(worker)
        return None if closed else worker

    def _ask(self, worker: Worker, job: Job, lock: int) -> Report | None:
        """The worker's report; None when it had ended before it got the job."""
        answered = False
        try:
            worker.channel.settimeout(job.deadline + GRACE)
            socket.send_fds(worker.channel, [job.pack()], [lock])
            while (raw := worker.channel.recv(LONGEST)) == ANSWERED:
                answered = True
        except TimeoutError:
            self._end(worker)
            return Report(error=f"{job.url}: no answer within {job.deadline:g} s", away=not answered)
        except OSError:
            raw = b""
        if not raw:
            return self._ended(worker, job, answered)
        self._give_back(worker)
        return read_report(raw) or Report(error=f"{job.url}: the fetch gave no report")

    def _ended(self, worker: Worker, job: Job, answered: bool) -> Report | None:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(GRACE)
        status = worker.process.returncode
        self._end(worker)
        if status == 0 and not answered:
            return None
        if status == -signal.SIGALRM:
            return Report(error=f"{job.url}: not done within {job.deadline:g} s", away=not answered)
        return Report(error=f"{job.url}: the fetch ended with status {status}")

    def _give_back(self, worker: Worker) -> None:
        crew = self._crew
        with crew.guard:
            crew.busy.discard(worker)
            crew.idle.append(worker)
            surplus = [one for one in crew.idle if one.process.poll() is not None]
            surplus += [one for one in crew.idle if one not in surplus][:-MOST_IDLE]
            crew.idle = [one for one in crew.idle if one not in surplus]
        for one in surplus:
            one.end()

    def _end(self, worker: Worker) -> None:
        with self._crew.guard:
            self._crew.busy.discard(worker)
        worker.end()


def _dismiss(crew: _Crew) -> None:
    with crew.guard:
        crew.closed = True
        idle, crew.idle = crew.idle, []
        for worker in crew.busy:
            worker.process.kill()  # whoever waits for it sees its end, and does the rest
    for worker in idle:
        worker.end()


def _start(profile: Profile, deadline: float) -> Worker:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    life, kept = os.pipe()
    path = [*(entry for entry in sys.path if entry), str(Path(__file__).parents[2])]
    hello = {"path": path, "life": life, "deadline": deadline, "ca": profile.ca, "home": profile.home}
    try:
        ours.sendall(json.dumps(hello).encode())
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", START],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(life,),
            process_group=0,  # Ctrl-C is for the daemon, which ends its workers itself
            env={name: os.environ[name] for name in PASSED if name in os.environ},
        )
    except OSError:
        ours.close()
        os.close(kept)
        raise
    finally:
        theirs.close()
        os.close(life)
    return Worker(profile, process, ours, kept)
