"""How a new version reaches all traffic, and what its measurements have to show.

A block is what one layer writes (workspace, project or environment); ``model_fields_set`` tells what that is. What all layers
make together is checked by ``misfit``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, StrategyKind
from reconciler.core.patterns import percent_schema
from reconciler.core.units import format_duration, format_percent
from reconciler.manifest.fields import WHOLE, Block, Name, Several, choice, fault
from reconciler.manifest.problem import Code
from reconciler.manifest.quantities import duration, fraction, percent, seconds, share

DEFAULT_STEPS = (100, 500, 2500, FULL_WEIGHT)
"""Weights of a canary's steps, in hundredths of a percent, when the manifest names none."""
DAY = 86_400.0
_POLICY = AnalysisPolicy()


_STRATEGIES = {
    StrategyKind.CANARY: "A growing share of the requests goes to the new version, step by step.",
    StrategyKind.ALL_AT_ONCE: "All requests go to the new version in one step.",
}


class StepBlock(Block):
    """One canary step, when its weight alone does not say enough."""

    weight: Annotated[int, percent(1)] = Field(description="Share of the requests that the new version gets.")
    bake: Annotated[float, duration(0, 7 * DAY)] | None = Field(
        default=None, description="Least time of this step; release.bake if absent."
    )
    requests: Annotated[int, Field(ge=0, le=1_000_000_000), WHOLE] = Field(
        default=0, description="Least number of requests that the new version has to answer before the step may end."
    )


def _as_map(step: object) -> object:
    return step if isinstance(step, dict) else {"weight": step}


class _WeightAlone:
    """Metadata of a step: ``5%`` is short for a step of that weight."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(_as_map, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [percent_schema(1, FULL_WEIGHT), handler(schema)]}


Steps = Annotated[tuple[Annotated[StepBlock, _WeightAlone()], ...], Several(1, 100)]


class ReleaseBlock(Block):
    """How a new version reaches all traffic."""

    strategy: Annotated[StrategyKind, *choice(StrategyKind, _STRATEGIES)] | None = Field(
        default=None,
        description="Default: canary in the last environment, all-at-once in those before it.",
    )
    steps: Steps | None = Field(
        default=None, description="Weights of a canary, ascending to 100%. Default: 1, 5, 25, 100%."
    )
    bake: Annotated[float, duration(0, 7 * DAY)] = seconds(300.0, "Least time of each step.")
    max_bake: Annotated[float, duration(0, 30 * DAY)] = seconds(
        1800.0, "Longest time a step waits for evidence before it is held for a person; at least the longest bake."
    )
    hold_deadline: Annotated[float, duration(1, 30 * DAY)] = seconds(
        DAY, "Longest time a held rollout waits before it is rolled back."
    )
    progress_deadline: Annotated[float, duration(1, DAY)] = seconds(
        600.0, "Longest time the instances of a step may take to become ready, builds included."
    )
    drain: Annotated[float, duration(0, 3600)] = seconds(
        5.0, "Time that instances without new requests get to finish those in flight, before they are stopped."
    )

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[StepBlock, ...] | None) -> tuple[StepBlock, ...] | None:
        weight = 0
        for index, step in enumerate(steps or ()):
            if step.weight <= weight:
                found = (
                    f"expected more than the {format_percent(weight)} before it, found {format_percent(step.weight)}"
                )
                raise fault(Code.INCONSISTENT, found, "Put the weights in ascending order, each once", index)
            weight = step.weight
        if steps and weight != FULL_WEIGHT:
            found = f"expected 100% as the last step, found {format_percent(weight)}"
            raise fault(Code.INCONSISTENT, found, "Add 100% at the end of the list", len(steps) - 1)
        return steps

    def misfit(self) -> PydanticCustomError | None:
        """What does not fit together in the whole block, with the defaults of all layers in it; None when it does.

        Its context is that of ``fault``; ``at`` leads from the block to a field that was written.
        """
        if self.steps is not None and self.strategy is StrategyKind.ALL_AT_ONCE:
            found = "steps belong to the strategy canary, found all-at-once"
            return fault(Code.INCONSISTENT, found, "Remove `steps`, or change `strategy`", "steps")
        longest = max([self.bake, *(step.bake for step in self.steps or () if step.bake is not None)])
        if longest <= self.max_bake:
            return None
        limit, asked = format_duration(self.max_bake), format_duration(longest)
        found = f"a bake of {asked} is longer than maxBake, which is {limit}"
        blamed = {"max_bake": "maxBake", "bake": "bake"}
        at = next((name for field, name in blamed.items() if field in self.model_fields_set), "steps")
        return fault(Code.INCONSISTENT, found, f"Set `maxBake` to at least {asked}", at)


class AnalysisBlock(Block):
    """What the measurements have to show, and how sure the daemon has to be of it."""

    source: Name = Field(default=_POLICY.source, description="Metrics source: where requests and failures are counted.")
    interval: Annotated[float, duration(0.2, 600)] = seconds(_POLICY.interval, "Time between two looks.")
    warmup: Annotated[float, duration(0, DAY)] = seconds(
        _POLICY.warmup, "Time at the start whose requests do not count (cold caches)."
    )
    error_budget: Annotated[float, fraction(1, 5000)] = share(
        _POLICY.error_budget, "Share of failed requests that a healthy version stays under."
    )
    tolerance: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=_POLICY.tolerance,
        description="How many times the old version's failure rate the new one may have and not count as worse.",
    )
    pass_ratio: Annotated[float, Field(gt=1, le=1000)] = Field(
        default=_POLICY.pass_ratio,
        description="How many times the old version's failure rate has to be ruled out before the new one is healthy.",
    )
    false_rollback: Annotated[float, fraction(1, 5000)] = share(
        _POLICY.false_rollback, "Bound on the probability that an equally good version is rolled back."
    )
    false_pass: Annotated[float, fraction(1, 5000)] = share(
        _POLICY.false_pass, "Bound on the probability that a version at the limit is called healthy."
    )
    no_data_after: Annotated[float, duration(1, DAY)] = seconds(
        _POLICY.no_data_after, "Time without a request to the new version until the verdict is no_data."
    )
    provider_error_after: Annotated[float, duration(1, DAY)] = seconds(
        _POLICY.provider_error_after,
        "Time without a reading from the metrics source until the verdict is provider_error.",
    )
