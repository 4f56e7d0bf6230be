"""Takes one key off the queue, reconciles it, and says when it is looked at again. One call does one unit of work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.desired import Key
from reconciler.core.outcome import RequeueAfter, StaleGenerationError, TerminalError, TransientError, backoff
from reconciler.reconcile import Look, Ports, reconcile
from reconciler.workqueue import WorkQueue

log = logging.getLogger(__name__)

STALE_RETRY = 0.01
"""Seconds until the first new look after somebody else was faster; doubled when that goes on."""
STALLED_RESYNC = 30.0
"""Seconds until a key that waits for a person or a commit is looked at again all the same."""


@dataclass(slots=True)
class Controller:
    """Reconciles keys. ``watch`` is told of every look (None without a decision), how it ended, and in how many seconds."""

    ports: Ports
    queue: WorkQueue[Key]
    watch: Callable[[Key, Look | None, str, float], None]
    jitter: Callable[[float], float]
    undecided: Callable[[Key, Exception], None] = lambda _key, _error: None
    """Told why a look came to no decision."""
    failures: dict[Key, int] = field(default_factory=dict)

    def run(self) -> None:
        """Work until the queue is closed. Any number of workers may do so at the same time."""
        while (key := self.queue.take()) is not None:
            self.queue.done(key, self.process(key))

    def process_one(self) -> Key | None:
        """Reconcile one key that is due now; None when there is none."""
        key = self.queue.take_due()
        if key is not None:
            self.queue.done(key, self.process(key))
        return key

    def process(self, key: Key) -> float | None:
        """Reconcile a key and return the delay until the next look; None for not by itself. Raises nothing."""
        started = self.ports.clock.now()
        look: Look | None = None
        try:
            look = reconcile(key, self.ports)
            if look.trouble is not None:
                raise look.trouble  # noqa: TRY301  # handled like that of a look that came to no decision
            result, again = self._result(look), self._again(look)
            self.failures.pop(key, None)
        except StaleGenerationError:
            self.failures[key] = self.failures.get(key, 0) + 1
            result, again = "stale", backoff(self.failures[key], base=STALE_RETRY)
        except Exception as error:  # noqa: BLE001  # one key's bug must not take the worker of all the others
            result, again = self._failed(key, error)
            if look is None:
                self._tell(key, self.undecided, key, error)
        self._tell(key, self.watch, key, look, result, self.ports.clock.now().since(started))
        return again

    def _failed(self, key: Key, error: Exception) -> tuple[str, float]:
        if isinstance(error, TerminalError):
            log.error("%s: %s", key, error, extra={"key": str(key)})
            return "terminal_error", STALLED_RESYNC
        if isinstance(error, TransientError):
            return "transient_error", self._back_off(key, str(error))
        log.error("%s: unexpected error", key, exc_info=error, extra={"key": str(key)})
        return "error", self._back_off(key, repr(error))

    def _tell(self, key: Key, listener: Callable[..., None], *words: object) -> None:
        """Tell a listener. What goes wrong there is not this key's, and no reason to end the worker of all keys."""
        try:
            listener(*words)
        except Exception:
            log.exception("%s: what was found could not be passed on", key, extra={"key": str(key)})

    def _result(self, look: Look) -> str:
        if look.decision.changed:
            return "changed"
        return "acted" if look.decision.due.actions else "noop"

    def _again(self, look: Look) -> float | None:
        outcome = look.decision.outcome
        if isinstance(outcome, RequeueAfter):
            return self.jitter(outcome.delay) if outcome.delay > 1 else outcome.delay
        return STALLED_RESYNC

    def _back_off(self, key: Key, error: str) -> float:
        self.failures[key] = self.failures.get(key, 0) + 1
        delay = self.jitter(backoff(self.failures[key]))
        log.warning("%s: %s; next try in %.1f s", key, error, delay, extra={"key": str(key)})
        return delay
