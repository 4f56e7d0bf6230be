"""Keeps a metrics source that does not answer from holding up the workers of every key."""

from __future__ import annotations

import threading

from reconciler.core.desired import Key
from reconciler.core.observed import Reading
from reconciler.core.outcome import backoff
from reconciler.ports import Clock, MetricsSource

SLOW = 0.5
"""Seconds within which a failed reading costs next to nothing."""
LONGEST = 10.0
"""Most seconds that a source which does not answer is left alone."""


class Breaker:
    """A ``ports.MetricsSource`` around another one.

    After a reading that failed slowly, everybody gets the same error at once for a while, which grows from one second to
    ten; then one reading, and one worker, finds out whether the source is back.
    """

    def __init__(self, source: MetricsSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._turn = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._error = ""

    def read(self, key: Key) -> Reading:
        """See ``ports.MetricsSource``."""
        now = self._clock.now()
        with self._turn:
            if self._failures:
                if now.mono < self._until:
                    return Reading(now, error=self._error)
                self._until = now.mono + LONGEST  # nobody else finds out at the same time
        reading = self._source.read(key)
        ended = self._clock.now()
        with self._turn:
            if reading.error and ended.since(now) > SLOW:
                self._failures += 1
                self._until = ended.mono + backoff(self._failures, base=1.0, most=LONGEST)
                self._error = reading.error
            else:
                self._failures = 0
        return reading

    def close(self) -> None:
        """Close the source."""
        self._source.close()
