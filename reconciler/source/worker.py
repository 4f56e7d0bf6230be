"""A process that does one job after the other, wherever a remote could stall, flood or crash the one that does it.

The alarm clock is the kernel's: whatever a server does, in DNS, TLS or the middle of a line, the process ends at the job's
deadline. It ends at once when its parent does, even in the middle of a job: the kernel signals the end of a pipe that nobody
writes to. (PR_SET_PDEATHSIG would end it with the *thread* that started it.)
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import socket
from pathlib import Path

import pygit2

from reconciler.source.job import unpack
from reconciler.source.lookup import Web
from reconciler.source.update import attempt, prepare

MEMORY = 1 << 30
"""Bytes of private memory a worker may use: a flood of refs ends it, not the machine."""
LARGE = 128 << 20
"""Bytes of its own that a worker may have in memory and still be used again."""
IDLE = 600.0
"""Seconds without a job after which a worker ends."""
MOST_JOBS = 5_000
ANSWERED = b"+"
"""What a worker sends as soon as the remote says something; its report follows."""
LONGEST = 1 << 16
"""Bytes of a message."""


def main(hello: dict[str, object]) -> None:
    """Serve jobs that come over the socket that is file 0. ``hello`` holds what stays the same for all of them."""
    _die_with_parent(int(str(hello["life"])))
    _limit(float(str(hello["deadline"])))
    home, ca = str(hello["home"]), str(hello["ca"])
    if home:
        pygit2.settings.homedir = home
    if ca:
        pygit2.settings.set_ssl_cert_locations(ca, None)
    with socket.socket(fileno=0) as channel:
        web = Web(ca)
        for _ in range(MOST_JOBS):
            if not select.select([channel], [], [], IDLE)[0] or not _serve(channel, web):
                break
            if _memory() > LARGE:
                break
        web.close()


def _serve(channel: socket.socket, web: Web) -> bool:
    """Do one job; False when there is none any more. A file that came along is the mirror's lock, held until it is done."""
    raw, locks, _, _ = socket.recv_fds(channel, LONGEST, 1)
    if not raw:
        return False
    job = unpack(raw)
    signal.setitimer(signal.ITIMER_REAL, job.deadline)
    report = attempt(job, web, lambda: channel.sendall(ANSWERED))
    signal.setitimer(signal.ITIMER_REAL, 0)
    for lock in locks:
        os.close(lock)
    channel.sendall(report.pack())
    return True


def _memory() -> int:
    """Bytes in memory now, but for mapped files. The kernel's highest mark would be no use: it begins with the parent's."""
    resident, mapped = Path("/proc/self/statm").read_text("ascii").split()[1:3]
    return (int(resident) - int(mapped)) * resource.getpagesize()


def _die_with_parent(life: int) -> None:
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:  # it ended before
        raise SystemExit(0)


def _limit(deadline: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    prepare()
    pygit2.settings.enable_fsync_gitdir(True)
    pygit2.settings.server_connect_timeout = pygit2.settings.server_timeout = max(1, int(deadline * 1000))
