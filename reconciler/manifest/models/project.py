"""A service (or several that are released together), where it runs, and how it is released.

The block of a target kind (``process:``) may stand in every layer and in a component; the target kind models it
(``ports.TargetKind.spec``), so it is not here. Components, from the weakest: built-in, workspace, Target, project, component,
environment.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from reconciler.core.desired import OnDelete
from reconciler.manifest.fields import (
    NAME_PATTERN,
    NONE,
    WHOLE,
    Block,
    EnvironmentName,
    GitUrl,
    Identities,
    Name,
    Port,
    Several,
    Version,
    apart,
    choice,
    fault,
    text_schema,
)
from reconciler.manifest.models.header import Owned
from reconciler.manifest.models.release import AnalysisBlock, ReleaseBlock
from reconciler.manifest.problem import Code, quoted

Instances = Annotated[int, Field(ge=1, le=1000), WHOLE]
BUILT_IN_TARGET, BUILT_IN_ROUTER = "process", "envoy"
_ON_DELETE = {
    OnDelete.KEEP: "It goes on serving what it serves, until somebody says otherwise.",
    OnDelete.DESTROY: "Its traffic goes, then its instances.",
}
_RELEASE, _ANALYSIS = ReleaseBlock(), AnalysisBlock()


class Layer(Block):
    """What an environment has from itself or, where it does not write it, from its project, Target or workspace.

    The defaults here are the built-in ones, the lowest layer; ``model_fields_set`` tells what this layer writes.
    """

    target: Name = Field(
        default=BUILT_IN_TARGET,
        description="Kind of target, configured by the block of that name; or the name of a Target document.",
    )
    instances: Instances = Field(default=1, description="Number of instances.")
    router: Name = Field(default=BUILT_IN_ROUTER, description="Kind of router.")
    on_delete: Annotated[OnDelete, *choice(OnDelete, _ON_DELETE)] = Field(
        default=OnDelete.KEEP,
        description="What becomes of an environment when its manifest is removed.",
    )
    release: ReleaseBlock = Field(default=_RELEASE, description="How a new version reaches all traffic.")
    analysis: AnalysisBlock = Field(default=_ANALYSIS, description="What the measurements have to show.")


def _some(value: object) -> object:
    if value == NONE:
        return []
    if value == []:
        raise fault(Code.WRONG_VALUE, "expected a name, names or `none`, found an empty list", "Write `none`")
    return [value] if isinstance(value, str) else value


_ONE = text_schema(NAME_PATTERN, "a name")
_LIST: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": 50, "uniqueItems": True}
_SEVERAL = {**_LIST, "items": text_schema(NAME_PATTERN, "a name", f"^{NONE}$")}
After = Annotated[
    tuple[EnvironmentName, ...],
    *apart(0, 50),
    BeforeValidator(_some),
    WithJsonSchema({"anyOf": [_ONE, _SEVERAL]}),
]


class Environment(Layer):
    """A place the project runs."""

    name: EnvironmentName = Field(description="Name, such as staging or prod.")
    port: Port | None = Field(
        default=None,
        description="Port at which the router serves the environment; one of its own on the host. Required, unless the "
        "project has components.",
    )
    ports: Annotated[dict[Name, Port], Field(max_length=20)] | None = Field(
        default=None, description="With components: the port of each of them, by its name."
    )
    version: Version | None = Field(default=None, description="Version here, when it is not the project's.")
    versions: Annotated[dict[Name, Version], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="With components: versions of some of them here, by name."
    )
    after: After | None = Field(
        default=None,
        description="Environments of the project that have to have certified the same commit first: a name, a list of "
        "names, or none. Default: the one before it in the list.",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Environment:
        # The defaults of all layers are in here when a document is compiled, so this is where the whole block is known.
        if "release" in self.model_fields_set and (misfit := self.release.misfit()) is not None:
            context = dict(misfit.context or {})
            raise fault(context["code"], context["message"], context["hint"], "release", *context["at"])
        return self


class Component(Block):
    """One of several services that are released together: they go to a version, and back, as one."""

    name: Name = Field(description="Name; one of its own in the project.")
    source: GitUrl | None = Field(default=None, description="Git repo of this component, when it is not the project's.")
    version: Version | None = Field(default=None, description="Version of this one, when it is not the project's.")
    instances: Instances | None = Field(default=None, description="Number of instances of this one.")


def _as_project(value: object) -> object:
    return {"project": value} if isinstance(value, str) else value


class Dependency(Block):
    """Another project that has to serve what git asks of it first."""

    project: Name = Field(description="Name of the project.")
    workspace: Name | None = Field(default=None, description="Its workspace, when it is another one.")
    environment: EnvironmentName | None = Field(
        default=None, description="Its environment. Default: the one with the same name as the environment that waits."
    )


class _NameAlone:
    """Metadata of a dependency: ``payments`` is short for the project of that name."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(_as_project, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [_ONE, handler(schema)]}


Dependencies = Annotated[tuple[Annotated[Dependency, _NameAlone()], ...], Several(0, 50)]
Environments = Annotated[tuple[Environment, ...], Several(1, 50)]
Components = Annotated[tuple[Component, ...], Several(2, 20)]


def _in_each(places: str, *required: str, without: tuple[str, ...] = ()) -> dict[str, JsonValue]:
    items: dict[str, JsonValue] = {"required": list(required), "properties": dict.fromkeys(without, False)}
    return {"properties": {places: {"items": items}}}


_WHOLE: dict[str, JsonValue] = {
    "if": {"required": ["components"]},
    "then": {
        **_in_each("environments", "ports", without=("port", "version")),
        "allOf": [{"anyOf": [{"required": [one]}, _in_each("components", one)]} for one in ("source", "version")],
    },
    "else": {"required": ["source", "version"], **_in_each("environments", "port", without=("ports", "versions"))},
}


class Project(Owned, Layer):
    """A service, where it runs, and how it is released."""

    model_config = ConfigDict(json_schema_extra=_WHOLE)

    kind: Literal["Project"] = Field(description="Kind of the document.")
    source: GitUrl | None = Field(
        default=None, description="URL of the service's git repo. Required, unless each component has its own."
    )
    version: Version | None = Field(
        default=None,
        description="Tag, branch or commit of the service's repo that is to run. Required, unless each component has one.",
    )
    owners: Identities = Field(default=(), description="Who answers for it: e-mail addresses, or group:NAME.")
    depends_on: Dependencies = Field(
        default=(), description="Projects that have to serve what git asks of them before this one is released."
    )
    components: Components | None = Field(
        default=None, description="Several services that are released together, at least two, instead of a single one."
    )
    environments: Environments = Field(description="Where it runs, in the order of promotion.")

    @field_validator("environments", "components")
    @classmethod
    def _named_apart(cls, items: tuple[Named, ...] | None, info: ValidationInfo) -> tuple[Named, ...] | None:
        seen: set[str] = set()
        for index, item in enumerate(items or ()):
            if item.name in seen:
                found = f"there is {_ARTICLES[str(info.field_name)]} {quoted(item.name)} already"
                raise fault(Code.DUPLICATE_NAME, found, "Rename or remove one of them", index, "name")
            seen.add(item.name)
        return items


Named = Environment | Component
_ARTICLES = {"environments": "an environment", "components": "a component"}
