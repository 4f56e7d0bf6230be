"""The life of one program: started, watched, started again, drained, and all that it left behind killed."""

# ruff: noqa: PTH123
# pathlib would cost every shim memory

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reconciler.shim import tree
from reconciler.shim.health import HealthCheck
from reconciler.shim.log import Log
from reconciler.shim.port import pick_port
from reconciler.shim.program import spawn, words
from reconciler.shim.record import Record

FAILED_STARTS, FAILED_WAITS = 3, 2
"""Exits and overstayed start deadlines in a row after which a program that was never ready is given up."""
PROVEN = 1.0
"""Seconds that a program without health check has to live to count as having been ready."""
STEADY = 60.0
"""Seconds of being ready after which earlier failures are forgotten."""
OWNED = 2.0
"""Seconds between two looks whether the folder is still this shim's."""
RESCAN = 0.05
FAR = math.inf


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - the shim stands alone


class Life:
    """A state machine of four steps: waiting to launch, running, draining (SIGTERM), clearing (SIGKILL).

    ``step`` is the current one, ``due`` the monotonic time at which it has something to do of its own accord.
    """

    def __init__(self, folder: str, lock: int) -> None:
        with open(f"{folder}/spec.json", "rb") as file:
            self.spec: dict[str, Any] = json.load(file)
        self.record = Record(folder, lock)
        self.state = self.record.state
        self.log = Log(f"{folder}/log", self.spec["log_bytes"], self.spec["log_files"])
        self.step: Callable[[float], None] = self._waiting
        self.due, self.check_due = 0.0, 0.0
        self.started, self.ready_at = 0.0, FAR
        self.child = 0
        self.exit: int | None = None
        self.alone, self.told_to_stop, self.over = True, False, False
        self.failures, self.waits, self.misses = 0, 0, 0
        self.health: HealthCheck | None = None
        self.ending: tuple[str, str] | None = None
        self.poll = select.poll()
        self._listen()
        if not self.record.publish():
            raise OSError(f"cannot write {folder}/state.json")

    def _listen(self) -> None:
        self.wake, wake_writer = os.pipe()
        for end in (self.wake, wake_writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for reader in (self.wake, self.log.reader):
            self.poll.register(reader, select.POLLIN)

    def _stop(self, *_: object) -> None:
        self.told_to_stop = True

    # --- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the program has ended for good and nothing of it lives."""
        while not self.over:
            self._sleep()
            self._reap()
            self.step(_now())
            if not self.over:  # the last words of the program come before those of the shim
                self._look_after_itself(_now())
        while self.log.pump():
            pass
        for _ in range(60):  # a full disk may become free
            if self.record.publish() or not self.record.is_owner():
                break
            select.select([], [], [], 1.0)

    def _sleep(self) -> None:
        left = min(self.due, self.check_due, self.health.due if self.health else FAR) - _now()
        for descriptor, _ in self.poll.poll(max(0, math.ceil(left * 1000))):
            if descriptor == self.wake:
                os.read(self.wake, 4096)
            elif descriptor == self.log.reader:
                self.log.pump()

    def _reap(self) -> None:
        """Collect every child that has ended; ``alone`` when there is none left at all."""
        self.alone = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True
                return
            if not pid:
                return
            if pid == self.child:
                self.exit = os.waitstatus_to_exitcode(status)

    def _look_after_itself(self, now: float) -> None:
        if now >= self.check_due:
            self.check_due = now + OWNED
            self.told_to_stop = self.told_to_stop or not self.record.is_owner()
            self.record.check()
        if not self.record.publish():
            self.check_due = min(self.check_due, now + 1.0)

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _waiting(self, now: float) -> None:
        if self.told_to_stop:
            self._finish("stopped", self.state["message"])
        elif now >= self.due:
            self._launch(now)

    def _launch(self, now: float) -> None:
        self.exit, self.misses, self.ready_at, self.started = None, 0, FAR, now
        try:
            if self.spec["port"]:
                self.state["port"] = pick_port(self.spec["id"], self.state["port"])
            self.child, problem = spawn(self.spec["argv"], self._environment(), self.spec["cwd"], self.log.writer)
        except OSError as error:
            self._fail(now, f"cannot be started now: {error.strerror or error}", hopeless=False)
            return
        if problem:
            self._fail(now, problem, hopeless=True)
            return
        self.step = self._running
        if self.spec["health"]:
            self.due = now + self.spec["start_deadline"]
            self.health = HealthCheck(self.poll, self.spec["health"], self.state["port"], now)
            self.record.set("starting", pid=self.child, exit_code=None)
        else:
            self.due = now + (PROVEN if self.spec["restart"] else self.spec["start_deadline"])
            self.ready_at = now
            self.record.set("ready", pid=self.child, exit_code=None)

    def _environment(self) -> dict[str, str]:
        spec = self.spec
        own = {"PRODSPRINT_INSTANCE": spec["id"], "PRODSPRINT_FOLDER": spec["folder"]}
        return dict(spec["env"]) | own | ({"PORT": str(self.state["port"])} if spec["port"] else {})

    def _running(self, now: float) -> None:
        if self.exit is not None:
            self._died(now, self.exit)
        elif self.told_to_stop:
            self._drain(now)
        elif now >= self.due:
            self._overdue(now)
        elif self.health:
            verdict = self.health.move(now, settled=self.ready_at < FAR)
            if verdict is not None:
                self._judge(now, verdict)

    def _died(self, now: float, code: int) -> None:
        was_ready = self.ready_at < FAR
        message = words(code) + ("" if was_ready else " before it was healthy")
        self.state.update(exit_code=code)
        if not self.spec["restart"]:
            self.ending = ("exited", message)
            self._clear(now, "stopping", message)
        else:
            self._fail(now, message, hopeless=self.failures + 1 >= FAILED_STARTS)

    def _overdue(self, now: float) -> None:
        limit = self.spec["start_deadline"]
        if not self.spec["restart"]:
            self._fail(now, f"did not end within {limit:g} s", hopeless=True)
        elif self.state["status"] == "ready":  # no health check: it has lived long enough
            self.state["proven"], self.due = True, FAR
        elif self.state["status"] == "starting":
            self.waits += 1
            message = f"was not healthy within {limit:g} s of its start: {self.state['message'] or 'no answer yet'}"
            self._fail(now, message, hopeless=self.waits >= FAILED_WAITS)
        else:
            self.failures += 1
            self.state["restarts"] += 1
            self._drain(now, f"was unhealthy for {limit:g} s: {self.state['message']}")

    def _fail(self, now: float, message: str, *, hopeless: bool) -> None:
        """One more failure: back off, or give up where it never worked and there is no hope."""
        if now - self.ready_at >= STEADY:
            self.failures = self.waits = 0
        self.failures += 1
        self.state["restarts"] += 1
        if hopeless and not (self.state["proven"] or self.spec["patient"]):
            self.ending = ("failed", message)
        self._clear(now, "backing_off", message)

    def _drain(self, now: float, message: str = "") -> None:
        self._end_health()
        self.record.set("stopping", message)
        os.killpg(self.child, signal.SIGTERM)  # it is not reaped yet, so that the number is still its group's
        self.step, self.due = self._draining, now + self.spec["stop_deadline"]

    def _draining(self, now: float) -> None:
        if self.alone:
            self._cleared(now)
        elif now >= self.due:
            late = f"did not end within {self.spec['stop_deadline']:g} s of SIGTERM and was killed"
            self._clear(now, "stopping", self.state["message"] or late)

    def _clear(self, now: float, status: str, message: str) -> None:
        self._end_health()
        self.record.set(status, message)
        self.step, self.due = self._clearing, now
        self._clearing(now)

    def _clearing(self, now: float) -> None:
        """Kill every descendant, again and again (they may fork meanwhile), until the kernel says that there is none."""
        if self.alone:
            self._cleared(now)
        elif now >= self.due:
            with suppress(OSError):  # the machine has no file to spare: at the next look, then
                for pid, found in tree.descendants(os.getpid()):
                    tree.send(pid, found.start, signal.SIGKILL)
            self.due = now + RESCAN

    def _cleared(self, now: float) -> None:
        self.state["pid"] = None
        if self.ending:
            self._finish(*self.ending)
        elif self.told_to_stop:
            self._finish("stopped", self.state["message"])
        else:
            delay = min(self.spec["backoff_most"], self.spec["backoff_base"] * 2 ** min(self.failures - 1, 30))
            self.record.set("backing_off", self.state["message"])
            self.step, self.due = self._waiting, now + delay

    def _finish(self, status: str, message: str) -> None:
        self.record.set(status, message, pid=None)
        self.over = True

    def _end_health(self) -> None:
        if self.health:
            self.health.close()
        self.health = None

    def _judge(self, now: float, verdict: str) -> None:
        status = self.state["status"]
        self.misses = self.misses + 1 if verdict else 0
        if not verdict and status != "ready":
            self.ready_at, self.due, self.state["proven"] = now, FAR, True
            self.record.set("ready")
        elif status == "ready" and self.misses >= self.spec["health"]["threshold"]:
            self.due = now + self.spec["start_deadline"]
            self.record.set("unhealthy", f"health check: {verdict}")
        elif verdict and status != "ready":
            self.record.set(status, f"health check: {verdict}")
