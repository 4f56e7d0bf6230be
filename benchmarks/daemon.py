"""The daemon itself: how soon it is ready, what it costs while nothing happens, and what a kill -9 costs the users."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from benchmarks.playground import Playground, playground
from benchmarks.rows import Row, at_most

NAME = "daemon: start, idle cost, kill -9 in the middle of a canary (500 requests/s)"
IDLE = 30.0
RATE = 500.0
TICK = os.sysconf("SC_CLK_TCK")


def run(*, quick: bool) -> Iterator[Row]:
    """Measure one daemon on the project of the demo."""
    kills = 2 if quick else 5
    with playground() as ground:
        ground.serve()
        idle = IDLE / 3 if quick else IDLE
        before = _cpu(ground)
        _pass(idle)
        yield at_most("idle: share of one core", (_cpu(ground) - before) / idle * 100, 1, "%", 2)
        yield at_most("idle: resident memory", _rss(ground), 150, "MB", 1)
        log = ground.stage.folder / "requests.log"
        ground.traffic(RATE, log)
        ground.settings |= {"steps": "25%, 100%", "bake": "10m"}
        ground.commit("v2", 1)
        ground.until(lambda: ground.environment().rollout.analysis.canary_requests > 100)
        times = [_kill_and_restart(ground) for _ in range(kills)]
        yield at_most(f"start of the process to ready, worst of {kills}", max(one[0] for one in times), 1, "s", 2)
        yield at_most("start to deciding again after kill -9, worst", max(one[1] for one in times), 2, "s", 2)
        ground.abort()
        ground.until(lambda: len(ground.attempts()) == 2)
        ground.stage.programs.pop("traffic").terminate()
        lines = _lines(log)
    lost = sum(1 for line in lines if line.split()[2] != "200")
    yield at_most(f"requests that failed, of {len(lines):,}", lost, 0, "requests")


def _pass(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)


def _pid(ground: Playground) -> int:
    return ground.stage.programs["daemon"].pid


def _cpu(ground: Playground) -> float:
    """CPU seconds the daemon has used, children that ended included."""
    fields = Path(f"/proc/{_pid(ground)}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


def _rss(ground: Playground) -> float:
    status = Path(f"/proc/{_pid(ground)}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _kill_and_restart(ground: Playground) -> tuple[float, float]:
    """Seconds from starting the process to ready, and to the first new look at the canary."""
    seen = ground.environment().rollout.analysis.canary_requests
    daemon = ground.stage.programs.pop("daemon")
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    (ground.stage.data / "daemon.json").unlink()
    began = time.monotonic()
    ground.stage.start_daemon()
    while not (ground.stage.data / "daemon.json").exists():
        time.sleep(0.005)
    ready = time.monotonic() - began
    ground.reconnect()

    def looked() -> bool:
        try:
            return ground.environment().rollout.analysis.canary_requests > seen
        except grpc.RpcError:
            return False

    ground.until(looked)
    return ready, time.monotonic() - began


def _lines(log: Path) -> list[str]:
    _pass(1.0)
    return [line for line in log.read_text(encoding="ascii").splitlines() if len(line.split()) == 4]
