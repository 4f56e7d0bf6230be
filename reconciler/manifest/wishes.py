"""A sound Project document as what it asks for each environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from reconciler.core.desired import Artifact, DesiredState, Key
from reconciler.core.desired import Component as Part
from reconciler.manifest.blocks import split
from reconciler.manifest.load import Document
from reconciler.manifest.models import Component, Environment, Project
from reconciler.manifest.problem import Place
from reconciler.manifest.records import Need, Wish
from reconciler.manifest.release import analysis, strategy
from reconciler.manifest.stack import Surroundings

Specs = dict[tuple[int, int], BaseModel]
"""Validated target blocks by the positions of environment and component (0 where there are none)."""


def wishes(project: Project, around: Mapping[int, Surroundings], specs: Specs) -> Iterator[Wish]:
    """What it asks for each environment, in the order of the document."""
    last = len(project.environments) - 1
    for index, environment in enumerate(project.environments):
        first, *others = _parts(project, environment, around[index], specs)
        document = around[index].own.document
        desired = DesiredState(
            key=Key(project.workspace, project.name, environment.name),
            artifact=first.artifact,
            target=around[index].kind,
            spec=first.spec,
            runtime=first.runtime,
            instances=first.instances,
            port=first.port,
            router=environment.router,
            strategy=strategy(environment.release, last=index == last),
            analysis=analysis(environment.analysis),
            after=_after(project.environments, index),
            commit="",
            path=document.file,
            on_delete=environment.on_delete,
            component=first.name,
            components=tuple(others),
        )
        yield Wish(desired, *_places(project, environment, around[index]))


def needs(project: Project, document: Document) -> Iterator[Need]:
    """The projects that have to be there first."""
    for index, one in enumerate(project.depends_on):
        place = document.place(("dependsOn", index))
        yield Need(one.workspace or project.workspace, one.project, one.environment or "", place)


def _parts(project: Project, environment: Environment, around: Surroundings, specs: Specs) -> Iterator[Part]:
    """Each component as it is in an environment; a single service is one without a name."""
    for number, component in enumerate(project.components or (None,)):
        name = component.name if component else ""
        spec, runtime = split(around.kind, specs[around.index, number])
        source = (component.source if component else None) or project.source or ""
        own = component.instances if component and "instances" not in around.own.value else None
        port = (environment.ports or {})[name] if component else environment.port or 0
        artifact = Artifact(source, "", _version(project, environment, component))
        yield Part(name, artifact, spec, runtime, own or environment.instances, port)


def _version(project: Project, environment: Environment, component: Component | None) -> str:
    if component is None:
        return environment.version or project.version or ""
    return (environment.versions or {}).get(component.name) or component.version or project.version or ""


def _after(environments: Sequence[Environment], index: int) -> tuple[str, ...]:
    named = environments[index].after
    if named is None:
        return (environments[index - 1].name,) if index else ()
    return named


def _places(
    project: Project, environment: Environment, around: Surroundings
) -> tuple[tuple[Place, ...], tuple[Place, ...], tuple[Place, ...]]:
    """Where versions, ports and the names in ``after`` are written."""
    document, base = around.own.document, around.own.base
    marks = document.marks
    if project.components is None:
        version = (*base, "version") if environment.version else ("version",)
        versions, ports = [document.place(version)], [document.place((*base, "port"))]
    else:
        versions, ports = [], [document.place((*base, "ports", one.name)) for one in project.components]
        for number, one in enumerate(project.components):
            candidates = ((*base, "versions", one.name), ("components", number, "version"), ("version",))
            versions.append(document.place(next(path for path in candidates if path in marks)))
    several = (*base, "after", 0) in marks
    named = [
        (*base, "after", number) if several else (*base, "after") for number in range(len(environment.after or ()))
    ]
    return tuple(versions), tuple(ports), tuple([document.place(path) for path in named])
