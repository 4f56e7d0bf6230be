"""Delivers events to notifiers, at least once, each notifier in a lane of its own.

Order: within one lane, the events of one key leave in the order they happened; a later one waits until the earlier one is
delivered or a dead letter. Waiting times live in memory, so a new daemon tries at once, and in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.clock import jitter
from reconciler.core.outcome import TerminalError, TransientError, backoff
from reconciler.ports import Clock, Delivery, Notifier, Store

BATCH = 100
"""Deliveries that one call tries at most in a lane."""
WIDEST = 12_800
"""Deliveries that are looked through at most for one that this lane may try."""
LONGEST_ERROR = 500
STORE_PAUSE = 5.0
"""Seconds after which a store that did not answer is asked again."""
EVERYTHING = 1e12
"""A time (Unix seconds) by which everything is due: lanes keep their own waiting times."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after which waits in seconds, a delivery is tried: about three hours in all."""

    attempts: int = 30
    base: float = 1.0
    most: float = 600.0


@dataclass(slots=True)
class _Lane:
    """What is known of one notifier. Times are seconds of the boot-time clock."""

    name: str
    notifier: Notifier
    failures: int = 0
    """Transient failures since the last success."""
    until: float = 0.0
    """Nothing is tried before."""
    holds: dict[str, float] = field(default_factory=dict)
    """Keys whose first delivery failed, and when it is tried again."""
    sent: set[int] = field(default_factory=set)
    """Deliveries that went out, and that the store could not mark yet."""


class Outbox:
    """Takes due deliveries from the store to the notifiers. A lane belongs to one thread at a time; lanes are independent."""

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        retry: Retry | None = None,
        spread: Callable[[float], float] = jitter,
    ) -> None:
        """``spread`` moves a waiting time (seconds) by a little chance."""
        self._store = store
        self._lanes = {name: _Lane(name, notifier) for name, notifier in notifiers.items()}
        self._clock = clock
        self._retry = retry or Retry()
        self._spread = spread

    @property
    def lanes(self) -> tuple[str, ...]:
        """Names of the notifiers; a thread for each keeps a slow one from delaying the others."""
        return tuple(self._lanes)

    def process_due(self) -> float | None:
        """Run every lane once, one after the other; otherwise as ``process``."""
        waits = [wait for wait in map(self.process, self._lanes) if wait is not None]
        return min(waits, default=None)

    def process(self, lane: str) -> float | None:
        """Try what is due in a lane, up to BATCH deliveries; return seconds until the next look, None if nothing waits.

        Raises nothing: a notifier's errors are its deliveries', and a store that does not answer is looked at again.
        """
        try:
            return self._look(self._lanes[lane])
        except (TransientError, TerminalError) as error:
            log.warning("deliveries to %s wait for the store: %s", lane, error)
            return STORE_PAUSE

    def _look(self, its: _Lane) -> float | None:
        now = self._now()
        if now < its.until:
            return its.until - now
        mine, more = self._open(its, now)
        # After a failure the other keys come first, so that an event nobody can digest does not hold them up.
        mine.sort(key=lambda delivery: its.holds.get(delivery.event.key, 0.0))
        free = [delivery for delivery in mine if its.holds.get(delivery.event.key, 0.0) <= now]
        for delivery in free[:BATCH]:
            if its.until <= now and its.holds.get(delivery.event.key, 0.0) <= now:
                self._try(its, delivery)
        if its.until > now:
            return its.until - self._now()
        if len(free) > BATCH or (more and free):
            return 0.0
        held = [at - now for at in its.holds.values()]
        return min(held, default=STORE_PAUSE if more else None)

    def _open(self, lane: _Lane, now: float) -> tuple[list[Delivery], bool]:
        """Deliveries of a lane, oldest first, and whether there may be more.

        The store's list is widened until it holds one that may be tried now.
        """
        limit = BATCH
        while True:
            found = self._store.due(EVERYTHING, limit)
            mine = [delivery for delivery in found if self._belongs(lane, delivery)]
            free = any(lane.holds.get(delivery.event.key, 0.0) <= now for delivery in mine)
            if free or len(found) < limit or limit >= WIDEST:
                return mine, len(found) == limit
            limit *= 4

    def _belongs(self, lane: _Lane, delivery: Delivery) -> bool:
        if delivery.notifier not in self._lanes:
            self._store.failed(delivery.id, f"no notifier {delivery.notifier!r} is configured any more", None)
        return delivery.notifier == lane.name

    def _try(self, lane: _Lane, delivery: Delivery) -> None:
        try:
            if delivery.id not in lane.sent:
                lane.notifier.send(delivery.event)
                lane.sent.add(delivery.id)
        except TerminalError as error:
            self._bury(lane, delivery, str(error))
            return
        except Exception as error:  # noqa: BLE001 - a notifier's bug must not end the others' deliveries
            text = str(error) if isinstance(error, TransientError) else f"{type(error).__name__}: {error}"
            self._postpone(lane, delivery, text)
            return
        self._store.delivered(delivery.id)
        lane.sent.discard(delivery.id)
        lane.holds.pop(delivery.event.key, None)
        lane.failures = 0

    def _bury(self, lane: _Lane, delivery: Delivery, error: str) -> None:
        log.warning("event %d is a dead letter of %s: %s", delivery.event.id, lane.name, error)
        self._store.failed(delivery.id, error[:LONGEST_ERROR], None)
        lane.holds.pop(delivery.event.key, None)

    def _postpone(self, lane: _Lane, delivery: Delivery, error: str) -> None:
        tries = delivery.attempts + 1
        lane.failures += 1
        lane.until = self._now() + self._wait(lane.failures)
        if tries >= self._retry.attempts:
            self._bury(lane, delivery, f"given up after {tries} tries: {error}")
            return
        self._store.failed(delivery.id, error[:LONGEST_ERROR], self._clock.now().wall)
        lane.holds[delivery.event.key] = self._now() + self._wait(tries)

    def _wait(self, failures: int) -> float:
        return self._spread(backoff(failures, base=self._retry.base, most=self._retry.most))

    def _now(self) -> float:
        return self._clock.now().mono
