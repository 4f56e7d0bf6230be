"""Takes one key off the queue, reconciles it, and says when it is looked at again. One call does one unit of work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.core.desired import Key
from reconciler.core.inputs import RESYNC
from reconciler.core.outcome import RequeueAfter, StaleGenerationError, TerminalError, TransientError, backoff
from reconciler.core.state import Phase
from reconciler.reconcile import Look, Ports, reconcile
from reconciler.workqueue import Lane, WorkQueue

log = logging.getLogger(__name__)

STALE_RETRY = 0.01
"""Seconds until the first new look after somebody else was faster; doubled when that goes on."""
STALLED_RESYNC = 30.0
"""Seconds until a key that waits for a person or a commit is looked at again all the same."""
RESYNC_SHARE = 0.05
"""Share of one core that looks at keys at rest may cost, all together."""
LONGEST_RESYNC = 600.0
"""Most seconds between two looks at a key at rest, however many there are."""
MOVING_RETRY = 5.0
"""Most seconds until the next try while a rollout is in progress: its deadlines go on, and requests may meet the canary."""
FEW = 2
"""Failures in a row that keep a key in its lane: most of what fails once works at the next try."""
SMOOTHING = 64
"""Looks that the mean cost of a look is taken over."""


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
    """Looks in a row that failed, or that found what they had found before: something is broken, and stays so."""
    cost: float = 0.0
    """Mean seconds of a look at a key at rest."""

    def run(self) -> None:
        """Work until the queue is closed. Any number of workers may do so at the same time."""
        while (key := self.queue.take()) is not None:
            self.queue.done(key, *self.process(key))

    def process_one(self) -> Key | None:
        """Reconcile one key that is due now; None when there is none."""
        key = self.queue.take_due()
        if key is not None:
            self.queue.done(key, *self.process(key))
        return key

    def resync(self) -> float:
        """Seconds between two looks at a key that nothing happens to: the more keys there are, the fewer looks each gets."""
        return min(LONGEST_RESYNC, max(RESYNC, len(self.queue) * self.cost / RESYNC_SHARE))

    def process(self, key: Key) -> tuple[float | None, Lane]:
        """Reconcile a key; returns the delay until the next look, None for not by itself, and its lane. Raises nothing."""
        started = self.ports.clock.now()
        look: Look | None = None
        try:
            look = reconcile(key, self.ports, self.resync())
            if look.trouble is not None:
                raise look.trouble  # noqa: TRY301  # handled like that of a look that came to no decision
            result, again = self._result(look), self._again(key, look)
        except StaleGenerationError:
            result, again = "stale", (backoff(self._failed_again(key), base=STALE_RETRY), Lane.NOW)
        except Exception as error:  # noqa: BLE001  # one key's bug must not take the worker of all the others
            result, again = self._failed(key, error, look)
            if look is None:
                self._tell(key, self.undecided, key, error)
        seconds = self.ports.clock.now().since(started)
        if look is not None and result == "noop" and look.decision.due.finished:
            self.cost += (seconds - self.cost) / SMOOTHING if self.cost else seconds
        self._tell(key, self.watch, key, look, result, seconds)
        return again

    # --- when, and in which lane -------------------------------------------------------------------------------------

    def _again(self, key: Key, look: Look) -> tuple[float | None, Lane]:
        outcome, state = look.decision.outcome, look.decision.state
        if not isinstance(outcome, RequeueAfter):
            self.failures.pop(key, None)
            return None, Lane.RESTING
        delay = self.jitter(outcome.delay) if outcome.delay > 1 else outcome.delay
        current, error = state.rollout, look.inputs.observed.error
        if outcome.delay >= 1 and (error or (current is None and not look.decision.due.finished)):
            return self._stuck(key, delay, self._longest(look))
        self.failures.pop(key, None)
        if current is not None and current.phase is Phase.ROLLING_BACK:
            return delay, Lane.NOW
        return delay, Lane.RESTING if current is None and not look.decision.changed else Lane.MOVING

    def _stuck(self, key: Key, delay: float, most: float) -> tuple[float, Lane]:
        """What cannot be observed, or does not come up, is looked at less and less often."""
        failures = self._failed_again(key)
        delay = max(delay, self.jitter(backoff(failures, most=most)))
        return delay, Lane.FAILING if failures > FEW else Lane.MOVING

    def _failed(self, key: Key, error: Exception, look: Look | None) -> tuple[str, tuple[float, Lane]]:
        if isinstance(error, TerminalError):
            log.error("%s: %s", key, error, extra={"key": str(key)})
            return "terminal_error", (max(STALLED_RESYNC, self.resync()), Lane.FAILING)
        failures = self._failed_again(key)
        delay = self.jitter(backoff(failures, most=self._longest(look)))
        lane = Lane.FAILING if failures > FEW else Lane.MOVING
        if isinstance(error, TransientError):
            log.warning("%s: %s; next try in %.1f s", key, error, delay, extra={"key": str(key)})
            return "transient_error", (delay, lane)
        log.error("%s: unexpected error", key, exc_info=error, extra={"key": str(key)})
        return "error", (delay, lane)

    def _longest(self, look: Look | None) -> float:
        moving = look is not None and look.decision.state.rollout is not None
        return MOVING_RETRY if moving else max(60.0, self.resync())

    def _failed_again(self, key: Key) -> int:
        self.failures[key] = self.failures.get(key, 0) + 1
        return self.failures[key]

    def _result(self, look: Look) -> str:
        if look.decision.changed:
            return "changed"
        return "acted" if look.decision.due.actions else "noop"

    def _tell(self, key: Key, listener: Callable[..., None], *words: object) -> None:
        """Tell a listener. What goes wrong there is not this key's, and no reason to end the worker of all keys."""
        try:
            listener(*words)
        except Exception:
            log.exception("%s: what was found could not be passed on", key, extra={"key": str(key)})
