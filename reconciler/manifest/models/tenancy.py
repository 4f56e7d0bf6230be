"""Workspaces (tenants) and the targets that projects share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from reconciler.manifest.fields import (
    NAME_PATTERN,
    WHOLE,
    Block,
    Glob,
    Identities,
    Name,
    NameGlob,
    Names,
    Several,
    UrlPrefix,
    apart,
    fault,
    matching,
    text_schema,
)
from reconciler.manifest.kinds import target_names
from reconciler.manifest.models.header import Header, Owned
from reconciler.manifest.models.project import Layer
from reconciler.manifest.problem import Code, quoted
from reconciler.manifest.quantities import Cost, size

ALL = "all"
_TERA = 1024**4
Count = Annotated[int, Field(ge=0, le=1_000_000), WHOLE]


class Quotas(Block):
    """How much a workspace may have, all its projects together. What is absent is not limited."""

    projects: Count | None = Field(default=None, description="Number of projects.")
    environments: Count | None = Field(default=None, description="Number of environments.")
    instances: Count | None = Field(default=None, description="Number of instances, as the manifests ask for them.")
    memory: Annotated[int, size(1024**2, 1024 * _TERA)] | None = Field(
        default=None, description="Memory of all instances, such as 64GiB."
    )
    cost: Cost | None = Field(default=None, description="What all of it may cost, such as 1200 USD/month.")


class Allowed(Block):
    """What the manifests of a workspace may name. What is absent is not restricted."""

    targets: Names | None = Field(default=None, description="Kinds of target and names of Target documents.")
    sources: Annotated[tuple[UrlPrefix, ...], *apart(0, 100)] | None = Field(
        default=None,
        description="What the URL of a service's repo has to begin with, such as https://github.com/acme/.",
    )
    clusters: Annotated[tuple[NameGlob, ...], *apart(0, 100)] | None = Field(
        default=None, description="Names of clusters; * stands for any characters."
    )
    paths: Annotated[tuple[Glob, ...], *apart(0, 100)] | None = Field(
        default=None, description="Where its manifests lie in the config repo, such as teams/payments/**."
    )


EventName = Annotated[
    str,
    *matching(
        r"\*|[a-z][a-z_]{0,39}(\.([a-z][a-z_]{0,39}|\*))?",
        "the name of an event such as rollout.held, or a group of them such as rollout.*",
        "docs/audit.md lists them",
    ),
]


class Route(Block):
    """Which events of a workspace go where."""

    events: Annotated[tuple[EventName, ...], *apart(1, 50)] = Field(
        description="Events, such as rollout.held; rollout.* for all of a group."
    )
    to: Name = Field(description="Name of a notifier in the daemon's settings.")


class Workspace(Header):
    """A tenant (team, customer): owners, defaults and limits. Once there is one, all documents have to name one."""

    kind: Literal["Workspace"] = Field(description="Kind of the document.")
    owners: Identities = Field(default=(), description="Who answers for it: e-mail addresses, or group:NAME.")
    defaults: Layer = Field(
        default=Layer(), description="What its environments have where neither they nor their project write it."
    )
    quotas: Quotas = Field(default=Quotas(), description="How much its projects may have together.")
    allow: Allowed = Field(default=Allowed(), description="What its manifests may name.")
    notifications: Annotated[tuple[Route, ...], Several(0, 50)] = Field(
        default=(), description="Which events go where."
    )


def _everyone(value: object) -> object:
    return [ALL] if value == ALL else value


_LIST: dict[str, Any] = {
    "type": "array",
    "items": text_schema(NAME_PATTERN, "a name"),
    "minItems": 1,
    "maxItems": 100,
    "uniqueItems": True,
}
Sharers = Annotated[
    tuple[Name, ...],
    *apart(1, 100),
    BeforeValidator(_everyone),
    WithJsonSchema({"anyOf": [{"const": ALL}, _LIST]}),
]


class Target(Owned):
    """A named target that projects refer to, with defaults of the block of its kind."""

    kind: Literal["Target"] = Field(description="Kind of the document.")
    type: Name = Field(description="Kind of target; the block of that name holds defaults for those who use it.")
    shared_with: Sharers = Field(default=(), description="Other workspaces that may use it: a list of names, or all.")

    @field_validator("name")
    @classmethod
    def _no_kind(cls, name: str) -> str:
        if name in target_names():
            found = f"expected another name than that of a kind of target, found {quoted(name)}"
            raise fault(Code.WRONG_VALUE, found, "Rename it")
        return name
