"""From ticks with cumulative counters to what happened between them, and for how long it was watched."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.core.desired import Instant
from reconciler.core.observed import Counters, Tick

LONGEST_GAP = 3
"""Intervals that the time between two ticks counts for at most: nobody watched while the daemon was down."""


class Delta(NamedTuple):
    """What one side did between two readings; the counters themselves are kept for their histogram."""

    sent: int
    answered: int
    ended: int
    """Requests that were answered or failed: of how many ``failed`` is a share."""
    failed: int
    before: Counters
    after: Counters


class Look(NamedTuple):
    """What happened between two good readings. A side is None when its counters cannot be compared or do not exist."""

    weight: int
    canary: Delta | None
    control: Delta | None
    control_exists: bool
    warming: bool
    """Within the warm-up: the canary's requests are not evidence."""


class Observer:
    """Folds ticks, oldest first, and keeps the time observed.

    ``dwell`` is the seconds observed in the current step, ``silence`` those since the canary was last sent a request in
    it, ``sent`` and ``answered`` what the canary got and said in the whole attempt, warm-up included, beside what the
    control did since the canary's first request. ``discarded`` counts sides of ticks left out because counters restarted
    or went backwards.
    """

    __slots__ = (
        "_last",
        "_last_tick",
        "_longest",
        "_watched",
        "answered",
        "control_answered",
        "control_sent",
        "discarded",
        "dwell",
        "error",
        "first",
        "good",
        "sent",
        "silence",
        "step",
        "step_requests",
        "warmup",
    )

    def __init__(self, warmup: float, interval: float) -> None:
        self.warmup = warmup
        self._longest = LONGEST_GAP * interval
        self._last: Tick | None = None
        self._last_tick: Tick | None = None
        self._watched = 0.0
        self.first: Instant | None = None
        self.good: Instant | None = None
        """When the source was last read without an error."""
        self.error = ""
        self.step: int | None = None
        self.dwell = self.silence = 0.0
        self.step_requests = self.sent = self.answered = self.discarded = 0
        self.control_sent = self.control_answered = 0

    def add(self, tick: Tick) -> Look | None:
        """Take in the next tick; None for the first good one (the baseline) and for one that could not be read."""
        warming = self._watched < self.warmup
        self._pass_time(tick)
        reading = tick.reading
        self.error = reading.error
        if reading.error:
            return None
        before, self._last, self.good = self._last, tick, reading.at
        return None if before is None else self._compare(before, tick, warming)

    def _pass_time(self, tick: Tick) -> None:
        before, self._last_tick = self._last_tick, tick
        if before is None:
            self.first = tick.reading.at
        if tick.step != self.step:
            self.step, self.dwell, self.silence, self.step_requests = tick.step, 0.0, 0.0, 0
        elif before is not None and tick.step >= 0:
            elapsed = min(tick.reading.at.since(before.reading.at), self._longest)
            self.dwell += elapsed
            self._watched += elapsed
            if not tick.reading.error:
                self.silence += elapsed

    def _compare(self, before: Tick, tick: Tick, warming: bool) -> Look:
        old, new = before.reading, tick.reading
        canary, control = self._delta(old.canary, new.canary), self._delta(old.stable, new.stable)
        if canary is not None:
            self.sent += canary.sent
            self.answered += canary.answered
            if canary.sent or canary.ended:
                self.silence = 0.0
            if before.step == tick.step and not warming:
                self.step_requests += canary.ended
        if control is not None and self.sent:
            self.control_sent += control.sent
            self.control_answered += control.answered
        return Look(tick.weight, canary, control, new.stable is not None, warming)

    def _delta(self, old: Counters | None, new: Counters | None) -> Delta | None:
        if old is None or new is None:
            return None
        sent, answered, failed = new.sent - old.sent, new.answered - old.answered, new.failed - old.failed
        if old.epoch != new.epoch or sent < 0 or answered < 0 or failed < 0 or new.timed < old.timed:
            self.discarded += 1
            return None
        # A failure may be an answer (500) or the lack of one (503 from the router); what is in flight is neither.
        ended = max(answered, failed, min(sent, answered + failed))
        return Delta(sent, answered, ended, failed, old, new)

    def unread_for(self, now: Instant) -> float:
        """Seconds up to ``now`` without one good reading."""
        since = self.good or self.first
        return 0.0 if since is None else now.since(since)
