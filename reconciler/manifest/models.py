"""The manifest language: what each kind of document may hold, with defaults and meanings.

A target's own block (``process:``) is not here: the target kind models it (``ports.TargetKind.spec``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from reconciler.core.desired import FULL_WEIGHT, AnalysisPolicy, StrategyKind
from reconciler.core.units import format_duration, format_percent
from reconciler.manifest.fields import (
    PERCENT_SCHEMA,
    Block,
    EnvironmentName,
    GitUrl,
    Name,
    Port,
    Version,
    duration,
    fault,
    fraction,
    percent,
)
from reconciler.manifest.problem import Code, quoted

API_VERSION = "prodsprint/v1"
DEFAULT_STEPS = (100, 500, 2500, FULL_WEIGHT)
"""Weights of a canary's steps, in hundredths of a percent, when the manifest names none."""
DAY = 86_400.0
_POLICY = AnalysisPolicy()


def _default(text: str, description: str) -> Any:
    """A field whose default is written as in a manifest, so that schema and example show it like that."""
    return Field(default=text, validate_default=True, description=description)


def _share(value: float) -> str:
    return format_percent(round(value * FULL_WEIGHT))


class StepBlock(Block):
    """One canary step, when its weight alone does not say enough."""

    weight: Annotated[int, percent(1)] = Field(description="Share of the requests that the new version gets.")
    bake: Annotated[float, duration(0, 7 * DAY)] | None = Field(
        default=None, description="Least time of this step; release.bake if absent."
    )
    requests: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=0, description="Least number of requests that the new version has to answer before the step may end."
    )


def _as_map(step: object) -> object:
    return step if isinstance(step, dict) else {"weight": step}


class _WeightAlone:
    """Metadata of a step: ``5%`` is short for a step of that weight."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(_as_map, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [PERCENT_SCHEMA, handler(schema)]}


Steps = Annotated[list[Annotated[StepBlock, _WeightAlone()]], Field(min_length=1, max_length=100)]


class ReleaseBlock(Block):
    """How a new version reaches all traffic."""

    strategy: Annotated[StrategyKind, Field(strict=False)] | None = Field(
        default=None,
        description="canary or all-at-once. Default: canary in the last environment, all-at-once in those before it.",
    )
    steps: Steps | None = Field(
        default=None, description="Weights of a canary, ascending to 100%. Default: 1, 5, 25, 100%."
    )
    bake: Annotated[float, duration(0, 7 * DAY)] = _default("5m", "Least time of each step.")
    max_bake: Annotated[float, duration(0, 30 * DAY)] = _default(
        "30m", "Longest time a step waits for evidence before it is held for a person; at least the longest bake."
    )
    hold_deadline: Annotated[float, duration(1, 30 * DAY)] = _default(
        "24h", "Longest time a held rollout waits before it is rolled back."
    )
    progress_deadline: Annotated[float, duration(1, DAY)] = _default(
        "10m", "Longest time the instances of a step may take to become ready, builds included."
    )
    drain: Annotated[float, duration(0, 3600)] = _default(
        "5s", "Time that instances without new requests get to finish those in flight, before they are stopped."
    )

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: list[StepBlock] | None) -> list[StepBlock] | None:
        weight = 0
        for index, step in enumerate(steps or ()):
            if step.weight <= weight:
                found = (
                    f"expected more than the {format_percent(weight)} before it, found {format_percent(step.weight)}"
                )
                raise fault(Code.WRONG_VALUE, found, "Put the weights in ascending order, each once", index)
            weight = step.weight
        if steps and weight != FULL_WEIGHT:
            found = f"expected 100% as the last step, found {format_percent(weight)}"
            raise fault(Code.WRONG_VALUE, found, "Add 100% at the end of the list", len(steps) - 1)
        return steps

    @model_validator(mode="after")
    def _consistent(self) -> ReleaseBlock:
        if self.steps is not None and self.strategy is StrategyKind.ALL_AT_ONCE:
            found = "steps belong to the strategy canary, found all-at-once"
            raise fault(Code.WRONG_VALUE, found, "Remove `steps`, or change `strategy`", "steps")
        longest = max([self.bake, *(step.bake for step in self.steps or () if step.bake is not None)])
        if longest > self.max_bake:
            limit, asked = format_duration(self.max_bake), format_duration(longest)
            found = f"a bake of {asked} is longer than maxBake, which is {limit}"
            blamed = {"max_bake": "maxBake", "bake": "bake"}
            at = next((name for field, name in blamed.items() if field in self.model_fields_set), "steps")
            raise fault(Code.WRONG_VALUE, found, f"Set `maxBake` to at least {asked}", at)
        return self


class AnalysisBlock(Block):
    """What the measurements have to show, and how sure the daemon has to be of it."""

    source: Name = Field(default=_POLICY.source, description="Metrics source: where requests and failures are counted.")
    interval: Annotated[float, duration(0.2, 600)] = _default(
        format_duration(_POLICY.interval), "Time between two looks."
    )
    warmup: Annotated[float, duration(0, DAY)] = _default(
        format_duration(_POLICY.warmup), "Time at the start whose requests do not count (cold caches)."
    )
    error_budget: Annotated[float, fraction(1, 5000)] = _default(
        _share(_POLICY.error_budget), "Share of failed requests that a healthy version stays under."
    )
    tolerance: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=_POLICY.tolerance,
        description="How many times the old version's failure rate the new one may have and not count as worse.",
    )
    pass_ratio: Annotated[float, Field(gt=1, le=1000)] = Field(
        default=_POLICY.pass_ratio,
        description="How many times the old version's failure rate has to be ruled out before the new one is healthy.",
    )
    false_rollback: Annotated[float, fraction(1, 5000)] = _default(
        _share(_POLICY.false_rollback), "Bound on the probability that an equally good version is rolled back."
    )
    false_pass: Annotated[float, fraction(1, 5000)] = _default(
        _share(_POLICY.false_pass), "Bound on the probability that a version at the limit is called healthy."
    )
    no_data_after: Annotated[float, duration(1, DAY)] = _default(
        format_duration(_POLICY.no_data_after),
        "Time without a request to the new version until the verdict is no_data.",
    )
    provider_error_after: Annotated[float, duration(1, DAY)] = _default(
        format_duration(_POLICY.provider_error_after),
        "Time without a reading from the metrics source until the verdict is provider_error.",
    )


class Environment(Block):
    """A place the project runs."""

    name: EnvironmentName = Field(description="Name, such as staging or prod.")
    port: Port = Field(description="Port at which the router serves the environment; one of its own on the host.")
    target: Name = Field(default="process", description="Kind of target; configured by the block of that name.")
    version: Version | None = Field(default=None, description="Version here, when it is not the project's.")
    instances: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Number of instances.")
    router: Name = Field(default="envoy", description="Kind of router.")
    after: Name | None = Field(
        default=None,
        description="Environment that has to have certified the same commit first, or none. Default: the one before it.",
    )
    release: ReleaseBlock = Field(default_factory=ReleaseBlock, description="How a new version reaches all traffic.")
    analysis: AnalysisBlock = Field(default_factory=AnalysisBlock, description="What the measurements have to show.")


class Project(Block):
    """A service, where it runs, and how it is released."""

    api_version: Literal["prodsprint/v1"] = Field(description="Version of the language.")
    kind: Literal["Project"] = Field(description="Kind of the document.")
    name: Name = Field(description="Name of the project; one of its own in the workspace.")
    workspace: Name = Field(default="default", description="Workspace (team, customer) the project belongs to.")
    source: GitUrl = Field(description="URL of the service's git repo.")
    version: Version = Field(description="Tag, branch or commit of the service's repo that is to run.")
    environments: Annotated[list[Environment], Field(min_length=1, max_length=50)] = Field(
        description="Where it runs, in the order of promotion."
    )

    @field_validator("environments")
    @classmethod
    def _named_apart(cls, environments: list[Environment]) -> list[Environment]:
        seen: set[str] = set()
        for index, environment in enumerate(environments):
            if environment.name in seen:
                found = f"there is an environment {quoted(environment.name)} already"
                raise fault(Code.DUPLICATE_NAME, found, "Rename or remove one of them", index, "name")
            seen.add(environment.name)
        return environments


KINDS: Mapping[str, type[BaseModel]] = {"Project": Project}
"""Every kind of document by its name."""
