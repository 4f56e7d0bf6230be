"""Release and analysis blocks as the values that the core decides with."""

from __future__ import annotations

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, Step, Strategy, StrategyKind
from reconciler.manifest.models.release import DEFAULT_STEPS, AnalysisBlock, ReleaseBlock


def strategy(block: ReleaseBlock, *, last: bool) -> Strategy:
    """The strategy of an environment; ``last`` says whether it is the last of its project."""
    kind = block.strategy
    if kind is None:
        kind = StrategyKind.CANARY if last or block.steps is not None else StrategyKind.ALL_AT_ONCE
    limits = (block.max_bake, block.hold_deadline, block.progress_deadline, block.drain)
    return Strategy(kind, _steps(kind, block), *limits)


def _steps(kind: StrategyKind, block: ReleaseBlock) -> tuple[Step, ...]:
    if kind is StrategyKind.ALL_AT_ONCE:
        return (Step(FULL_WEIGHT, block.bake),)
    if block.steps is None:
        return tuple([Step(weight, block.bake) for weight in DEFAULT_STEPS])
    return tuple(
        [Step(step.weight, block.bake if step.bake is None else step.bake, step.requests) for step in block.steps]
    )


def analysis(block: AnalysisBlock) -> AnalysisPolicy:
    """The analysis policy of an environment."""
    return AnalysisPolicy(**block.__dict__)
