"""The timer: it calls small jobs at regular intervals, whatever happens to the wall clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from reconciler.clock import jitter
from reconciler.ports import Clock

JUMP = 1.0
"""Seconds by which the wall clock may run apart from the boot clock between two checks."""


class Every(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Fires again ``seconds`` after it fired. What a leap of the clock skipped is neither made up for nor even counted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """See ``BaseTrigger``."""
        return now + timedelta(seconds=jitter(self._seconds))


class Timer:
    """Calls jobs, one at a time, in a thread of its own. ``lag`` is told how many seconds late each call begins."""

    def __init__(self, clock: Clock, lag: Callable[[float], None]) -> None:
        self._clock = clock
        self._lag = lag
        self._every: dict[str, float] = {}
        self._apart = self._offset()
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._scheduler.add_listener(self._submitted, EVENT_JOB_SUBMITTED)

    def add(self, job: Callable[[], None], seconds: float) -> None:
        """Have ``job`` called every so many seconds, give or take a little chance."""
        identity = self._scheduler.add_job(job, Every(seconds)).id
        self._every[identity] = seconds

    def start(self) -> None:
        """Begin."""
        self._apart = self._offset()
        self._scheduler.start()

    def check(self) -> bool:
        """Plan every job anew if the wall clock was set: the scheduler goes by it, and would wait for the old time.

        To be called every second or so, from a thread that does not go by the wall clock. Returns whether it was set.
        """
        apart = self._offset()
        if abs(apart - self._apart) <= JUMP:
            return False
        self._apart = apart
        for identity, seconds in self._every.items():
            self._scheduler.reschedule_job(identity, trigger=Every(seconds))
        return True

    def stop(self) -> None:
        """Call nothing more; a call that is under way goes on."""
        self._scheduler.shutdown(wait=False)

    def _offset(self) -> float:
        now = self._clock.now()
        return now.wall - now.mono

    def _submitted(self, event: JobSubmissionEvent) -> None:
        self._lag(max(0.0, self._clock.now().wall - event.scheduled_run_times[-1].timestamp()))
