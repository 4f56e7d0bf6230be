"""The verdict on a canary: what is asked of it, and what it answers with.

``analyse`` is a pure fold over the ticks of one attempt; the same ticks always give the same verdict. The parts:
``core.evidence`` (ticks to deltas and dwell), ``core.dispersion`` (how failures clump), ``core.sequential`` (the tests),
``core.failures`` and ``core.latency`` (the two metrics), ``core.fold`` (their state), ``core.judgement`` (the verdict).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from reconciler.core.desired import AnalysisPolicy, Instant, Step
from reconciler.core.dispersion import control_history
from reconciler.core.fold import Fold, bar_of
from reconciler.core.judgement import Verdict, judge
from reconciler.core.latency import Edge
from reconciler.core.observed import ControlHistory, Tick
from reconciler.core.sequential import ratio_interval

__all__ = ["Analysis", "Evidence", "Progress", "Verdict", "analyse", "control_history"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers a verdict rests on. E-values are natural logarithms; 0 is no evidence at all."""

    log_e: float
    """Of 'worse than the control'; a regression from ln(1 / false_rollback) on. The weighted mean of the next three."""
    log_e_errors: float
    log_e_latency: float
    log_e_alone: float
    """Of 'over its budget' in the ticks that had no control."""
    log_e_budget: float
    """Of 'fails less than share_bar'; shown from ln(1 / false_pass) on."""
    log_e_control: float
    """Of 'fails less than ratio_bar times as often as the control'."""
    share_bar: float
    ratio_bar: float
    ratio_low: float
    """Bounds of the ratio of failure probabilities, canary to control, each at level false_rollback at any time."""
    ratio_high: float | None
    """None when there is no upper bound yet."""
    gamma_fail: float
    """What a failure counts for, because failures clump: 1 when they are independent."""
    gamma_pass: float
    gamma_latency: tuple[float, ...]
    edges: tuple[Edge, ...]
    """Of the histogram, in milliseconds, at which latency is compared."""
    slow: tuple[tuple[int, int, int, int], ...]
    """For each edge: canary requests, slow ones, control requests, slow ones."""
    discarded: int
    """Sides of ticks that were left out because their counters restarted."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A verdict with its reason and its numbers.

    ``dwell`` is the seconds observed in the current step. Requests are those that were answered or failed, after the
    warm-up: of the step, and of the whole attempt. ``hard_stop`` tells that the canary had answered nothing at all.
    """

    verdict: Verdict
    reason: str
    dwell: float
    step_requests: int
    canary_requests: int
    canary_failed: int
    control_requests: int
    control_failed: int
    evidence: Evidence
    hard_stop: bool


class Progress:
    """How far the ticks of an attempt are folded: kept from look to look, it makes one cost no more than its new ticks.

    It changes no verdict: for ticks that do not go on from those it has seen, everything is folded anew.
    """

    __slots__ = ("_count", "_fold", "_last", "_made_of")

    def __init__(self) -> None:
        self._fold: Fold | None = None
        self._made_of: object = None
        self._last: Tick | None = None
        self._count = 0

    def fold(
        self, policy: AnalysisPolicy, steps: tuple[Step, ...], history: ControlHistory, ticks: tuple[Tick, ...]
    ) -> Fold:
        """The fold of exactly these ticks, with the bars of all steps."""
        made_of, fold, seen = (policy, steps, history), self._fold, self._count
        if fold is None or self._made_of != made_of or (seen and (len(ticks) < seen or ticks[seen - 1] != self._last)):
            bars = dict.fromkeys(bar_of(policy, steps, step).ratio for step in range(len(steps)))
            fold, seen = Fold(policy, tuple(bars), history), 0
        self._fold = None  # what follows may fail half-way
        for tick in ticks[seen:]:
            fold.add(tick)
        self._fold, self._made_of, self._count = fold, made_of, len(ticks)
        self._last = ticks[-1] if ticks else None
        return fold


def analyse(
    policy: AnalysisPolicy,
    steps: tuple[Step, ...],
    step: int,
    ticks: tuple[Tick, ...],
    history: ControlHistory,
    now: Instant,
    progress: Progress | None = None,
) -> Analysis:
    """Judge the canary in ``steps[step]`` by all ticks of the attempt, oldest first; the first is the baseline.

    With the ``progress`` of earlier looks only the ticks since are taken in; the answer is the same.
    """
    return conclude((progress or Progress()).fold(policy, steps, history, ticks), steps, step, now)


def conclude(fold: Fold, steps: tuple[Step, ...], step: int, now: Instant) -> Analysis:
    """The verdict on what ``fold`` has seen; its bars include the step's."""
    bar = bar_of(fold.policy, steps, step)
    seen, current = fold.failures, fold.observer.step == step
    verdict, reason = judge(fold, steps[step], bar, current=current, now=now)
    return Analysis(
        verdict=verdict,
        reason=reason,
        dwell=fold.observer.dwell if current else 0.0,
        step_requests=fold.observer.step_requests if current else 0,
        canary_requests=seen.canary_requests,
        canary_failed=seen.canary_failed,
        control_requests=seen.control_requests,
        control_failed=seen.control_failed,
        evidence=_evidence(fold, bar.share, bar.ratio),
        hard_stop=fold.unanswered,
    )


def _evidence(fold: Fold, share: float, ratio: float) -> Evidence:
    seen, latency = fold.failures, fold.latency
    low, high = ratio_interval(seen.exposures, fold.policy.false_rollback)
    return Evidence(
        log_e=fold.log_e,
        log_e_errors=seen.fail.log_e,
        log_e_latency=latency.log_e,
        log_e_alone=seen.log_alone,
        log_e_budget=seen.kept.log_kept(share),
        log_e_control=seen.passes[ratio].log_e,
        share_bar=share,
        ratio_bar=ratio,
        ratio_low=low,
        ratio_high=None if high == inf else high,
        gamma_fail=seen.fail_gamma,
        gamma_pass=seen.pass_gamma,
        gamma_latency=tuple(latency.gammas),
        edges=latency.edges,
        slow=tuple(latency.totals),
        discarded=fold.observer.discarded,
    )
