"""Policy packs: named, versioned sets of rules with their own table of test cases."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from reconciler.manifest.expression import Expression
from reconciler.manifest.fields import (
    Block,
    Name,
    Prose,
    SemanticVersion,
    Several,
    Text,
    apart,
    choice,
    fault,
    matching,
)
from reconciler.manifest.models.header import Owned
from reconciler.manifest.problem import Code, meant, quoted

ParameterName = Annotated[
    str,
    *matching(
        "[a-z][A-Za-z0-9_]{0,39}", "a name of letters, digits and _ that begins with a small letter", "Rename it"
    ),
]
Scalar = str | bool | int | float
Parameters = Annotated[dict[ParameterName, Scalar | list[Scalar]], Field(max_length=50)]


class Severity(StrEnum):
    """What a broken rule does."""

    BLOCK = "block"
    WARN = "warn"


_SEVERITIES = {Severity.BLOCK: "What breaks the rule is denied.", Severity.WARN: "It goes on, with a warning."}


class Rule(Block):
    """One thing that has to hold."""

    id: Name = Field(description="Name of the rule; one of its own in the pack.")
    severity: Annotated[Severity, *choice(Severity, _SEVERITIES)] = Field(
        default=Severity.BLOCK, description="What happens to what breaks it."
    )
    expression: Expression = Field(description="CEL expression that is true when all is well.")
    message: Text = Field(description="What is wrong when it is not.")
    remediation: Prose | None = Field(default=None, description="What to do then.")
    description: Prose | None = Field(default=None, description="What the rule is for.")


RuleNames = Annotated[tuple[Name, ...], *apart(0, 200)]


class Case(Block):
    """A test of the pack: facts, and the rules that they break."""

    name: Text = Field(description="What the case shows.")
    facts: dict[str, JsonValue] = Field(description="What the rules are asked about.")
    parameters: Parameters = Field(default={}, description="Values of parameters, where not the default.")
    denied: RuleNames = Field(default=(), description="Rules of severity block that it breaks.")
    warned: RuleNames = Field(default=(), description="Rules of severity warn that it breaks.")


class PolicyPack(Owned):
    """A named, versioned set of rules. What one of them says about a change is recorded with the change."""

    kind: Literal["PolicyPack"] = Field(description="Kind of the document.")
    version: SemanticVersion = Field(description="Version of the pack, such as 1.4.0.")
    description: Prose = Field(description="What the pack is for.")
    parameters: Parameters = Field(default={}, description="Names that expressions may use, with their defaults.")
    rules: Annotated[tuple[Rule, ...], Several(1, 200)] = Field(description="What has to hold.")
    cases: Annotated[tuple[Case, ...], Several(0, 200)] = Field(default=(), description="Tests of the rules.")

    @field_validator("rules")
    @classmethod
    def _named_apart(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        seen: set[str] = set()
        for index, rule in enumerate(rules):
            if rule.id in seen:
                found = f"there is a rule {quoted(rule.id)} already"
                raise fault(Code.DUPLICATE_NAME, found, "Rename or remove one of them", index, "id")
            seen.add(rule.id)
        return rules

    @model_validator(mode="after")
    def _known(self) -> PolicyPack:
        """Cases name rules of their severity, and parameters of the pack."""
        ids = {severity: [rule.id for rule in self.rules if rule.severity is severity] for severity in Severity}
        for index, case in enumerate(self.cases):
            for field, names, known in (
                ("denied", case.denied, ids[Severity.BLOCK]),
                ("warned", case.warned, ids[Severity.WARN]),
                ("parameters", tuple(case.parameters), list(self.parameters)),
            ):
                _refer(("cases", index, field), names, known)
        return self


def _refer(at: tuple[str | int, ...], names: tuple[str, ...], known: list[str]) -> None:
    what = {"denied": "rule of severity block", "warned": "rule of severity warn", "parameters": "parameter"}[
        str(at[-1])
    ]
    for index, name in enumerate(names):
        if name not in known:
            place: Any = name if at[-1] == "parameters" else index
            raise fault(Code.INCONSISTENT, f"there is no {what} {quoted(name)}", meant(name, known), *at, place)
