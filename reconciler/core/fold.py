"""One attempt's evidence as a running state: each tick is taken in once, and what has been shown is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Instant, Step
from reconciler.core.evidence import Look, Observer
from reconciler.core.failures import Failures
from reconciler.core.latency import Latency
from reconciler.core.observed import ControlHistory, Tick
from reconciler.core.sequential import log_mean_exp

UNANSWERED = 20
"""Requests without a single answer that stop an attempt."""

PATIENCE = 5.0
"""Seconds that they are given for an answer, when it is not known how long the control takes. Those that failed have
had theirs."""

CONTROL_TIMES = 3
"""Times the control's 99th percentile that they are given when it is known."""


SECOND_WITNESS = 0.5
"""What must be left of the logarithm of the evidence without its strongest tick: one stall, or one clump of failures
where none was seen before, does not decide alone."""


class Metric(StrEnum):
    """What a canary may be worse in."""

    ERRORS = "errors"
    LATENCY = "latency"
    ALONE = "budget"


WEIGHTS = {Metric.ERRORS: 0.45, Metric.LATENCY: 0.45, Metric.ALONE: 0.1}
"""Shares of alpha. Failures without a control are told by what they cost the budget, and need little."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a step has to show, so that the whole service keeps its budget at the next step's weight."""

    weight: int
    """The next step's, in hundredths of a percent."""
    share: float
    """Failure probability of the canary that has to be excluded."""
    ratio: float
    """Ratio to the control that has to be excluded."""


def bar_of(policy: AnalysisPolicy, steps: tuple[Step, ...], step: int) -> Bar:
    """The bar of one step; the last one's, and that of a step before all traffic, is the policy's own."""
    weight = steps[min(step + 1, len(steps) - 1)].weight
    exposure = max(weight, 1) / FULL_WEIGHT
    return Bar(weight, min(0.5, policy.error_budget / exposure), 1 + (policy.pass_ratio - 1) / exposure)


@dataclass(frozen=True, slots=True)
class Caught:
    """The moment at which a regression was certain: by which metric, and the counts until then."""

    metric: Metric
    canary_requests: int
    canary_failed: int
    control_requests: int
    control_failed: int
    exposures: int
    """Ticks with failures until then."""
    edge: int
    """Index of the histogram edge with the strongest evidence."""
    slow: tuple[int, int, int, int]
    """Canary requests and slow ones, control requests and slow ones, at that edge."""


class Fold:
    """State of the analysis of one attempt. ``bars`` are the ratios whose exclusion will be asked for."""

    __slots__ = (
        "_begun",
        "_level",
        "_strongest",
        "_threshold",
        "caught",
        "failures",
        "latency",
        "observer",
        "policy",
        "unanswered",
    )

    def __init__(self, policy: AnalysisPolicy, bars: tuple[float, ...], history: ControlHistory) -> None:
        self.policy = policy
        self.observer = Observer(policy.warmup, policy.interval)
        self.failures = Failures(policy, bars, history)
        self.latency = Latency(policy.tolerance, bars)
        self.caught: Caught | None = None
        self._threshold = -log(policy.false_rollback)
        self._level = self._strongest = 0.0
        self._begun: Instant | None = None
        self.unanswered = False
        """Whether the canary once had answered nothing at all."""

    def add(self, tick: Tick) -> None:
        """Take in the next tick."""
        look = self.observer.add(tick)
        if look is None:
            return
        canary = None if look.warming else look.canary
        self.failures.add(canary, look.control, alone=self._alone(look))
        if look.control is not None and self.latency.ready(look.control.before):
            self.latency.add(canary, look.control)
        if self.caught is None and canary is not None and canary.ended:
            self._catch()
        self.unanswered = self.unanswered or self._unanswered(tick.reading.at)

    def _alone(self, look: Look) -> bool:
        if not look.control_exists:
            return True
        silent = look.control is not None and look.control.ended == 0
        # One tick without a request to the control is chance; what it fails at usually is known from the others.
        return silent and (look.weight >= FULL_WEIGHT or self.failures.control_requests == 0)

    def _catch(self) -> None:
        level = max(0.0, self.log_e) if max(self._highest()) > 0 else 0.0
        self._strongest = max(self._strongest, level - self._level)
        self._level = level
        if level < self._threshold or level - self._strongest < SECOND_WITNESS:
            return
        seen, logs = self.failures, self.logs
        metric = max(WEIGHTS, key=lambda one: logs[one] + log(WEIGHTS[one]))
        edges = [test.log_e for test in self.latency.fails]
        edge = edges.index(max(edges)) if edges else 0
        self.caught = Caught(
            metric,
            seen.canary_requests,
            seen.canary_failed,
            seen.control_requests,
            seen.control_failed,
            len(seen.exposures),
            edge,
            self.latency.totals[edge] if edges else (0, 0, 0, 0),
        )

    def _highest(self) -> list[float]:
        """Upper bounds of what the e-processes are the means of: cheap, and nearly always below the threshold."""
        highest = [max(test.logs) for test in self.latency.fails]
        highest.append(max(self.failures.fail.logs))
        if self.failures.alone_bar is not None:
            highest.append(self.failures.log_alone)
        return highest

    @property
    def logs(self) -> dict[Metric, float]:
        """Logarithm of the e-process of each metric."""
        return {
            Metric.ERRORS: self.failures.fail.log_e,
            Metric.LATENCY: self.latency.log_e,
            Metric.ALONE: self.failures.log_alone,
        }

    @property
    def log_e(self) -> float:
        """Logarithm of the e-process that decides: the weighted mean of all."""
        return log_mean_exp(list(self.logs.values()), list(WEIGHTS.values()))

    def _unanswered(self, now: Instant) -> bool:
        """Whether the canary was sent enough requests, long enough ago, and answered not one, while the control did."""
        seen = self.observer
        if seen.answered or seen.sent < UNANSWERED or (seen.control_sent and not seen.control_answered):
            return False
        if self._begun is None:
            self._begun = now
        waited = now.since(self._begun)
        return waited > 0 and (self.failures.canary_failed >= UNANSWERED or waited >= self._patience())

    def _patience(self) -> float:
        edges = self.latency.edges
        return CONTROL_TIMES * edges[-1].control / 1000 if edges else PATIENCE
