"""What one manifest file asks for, as far as the file alone tells: everything but git revisions and conflicts with others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from pydantic import ValidationError

from reconciler.core.desired import Artifact, DesiredState, Key
from reconciler.manifest.blocks import Blocks
from reconciler.manifest.fields import NAME_PATTERN
from reconciler.manifest.kinds import metric_sources, routers
from reconciler.manifest.load import MAX_PROBLEMS, Document, load, more
from reconciler.manifest.models import API_VERSION, KINDS, Environment, Project
from reconciler.manifest.problem import Code, Place, Problem, described, listed, meant, quoted
from reconciler.manifest.release import analysis, strategy
from reconciler.manifest.translate import translate

_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a manifest asks for one key. Revision and commit of ``desired`` are empty still."""

    desired: DesiredState
    version: Place
    port: Place


@dataclass(frozen=True, slots=True)
class Draft:
    """One document. ``wishes`` is empty when it has a problem, and ``problem`` is the first one then."""

    project: tuple[str, str]
    """Workspace and name."""
    place: Place
    keys: tuple[Key, ...]
    wishes: tuple[Wish, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class FileDraft:
    """One file. ``blob`` names its content; ``lost`` says that some of it cannot be told to belong to any project."""

    blob: str
    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    lost: bool


def draft_file(path: str, blob: str, content: bytes) -> FileDraft:
    """Read a manifest file. Never raises for its content: what is wrong is a problem."""
    loaded = load(path, content)
    problems = list(loaded.problems)
    drafts: list[Draft] = []
    lost = not loaded.whole
    for document in loaded.documents:
        draft, found = _document(document)
        problems += found
        lost |= draft is None
        if draft is not None:
            drafts.append(draft)
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [more(path)]
    return FileDraft(blob, tuple(drafts), tuple(problems), lost)


def refused_file(path: str, blob: str, reason: str) -> FileDraft:
    """The draft of a file that could not be read at all."""
    hint = "Commit a regular file"
    return FileDraft(blob, (), (Problem(Place(path), Code.FILE_REFUSED, reason, hint),), lost=True)


def _document(document: Document) -> tuple[Draft | None, list[Problem]]:
    problems: list[Problem] = []
    wishes: tuple[Wish, ...] = ()
    first = document.first
    if not first:
        problems = list(dict.fromkeys(_header(document)))
        if not problems:
            wishes, problems = _project(document, document.value)
        problems.sort(key=lambda problem: (problem.place.line, problem.place.column))
        first = str(problems[0]) if problems else ""
    return _identified(document, wishes, first), problems


def _header(document: Document) -> Iterator[Problem]:
    """Check what decides how the rest is read."""
    value = document.value
    if not isinstance(value, dict):
        found = f"a manifest has to be a mapping, found {described(value)}"
        yield Problem(document.place(()), Code.WRONG_TYPE, found, f"Begin with `apiVersion: {API_VERSION}`")
        return
    for name, known, code in (
        ("apiVersion", (API_VERSION,), Code.UNKNOWN_VERSION),
        ("kind", tuple(KINDS), Code.UNKNOWN_KIND),
    ):
        if name not in value:
            yield Problem(
                document.place(()), Code.MISSING_FIELD, f"{quoted(name)} is missing", f"Add `{name}: {known[0]}`"
            )
        elif value[name] not in known:
            found = f"{quoted(name)}: expected {listed(known)}, found {described(value[name])}"
            yield Problem(document.place((name,)), code, found, f"Write `{name}: {known[0]}`")


def _identified(document: Document, wishes: tuple[Wish, ...], problem: str) -> Draft | None:
    """Whose document this is, also when it has problems. None when that cannot be told."""
    value: object = document.value
    if not isinstance(value, dict):
        return None
    workspace, name = value.get("workspace", "default"), value.get("name")
    if not _is_name(workspace) or not _is_name(name):
        return None
    environments = value.get("environments")
    items = environments if isinstance(environments, list) else []
    names = [item.get("name") for item in items if isinstance(item, dict)]
    keys = tuple(Key(workspace, name, found) for found in names if _is_name(found))
    return Draft((workspace, name), document.place(("name",)), keys, wishes, problem)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _project(document: Document, value: object) -> tuple[tuple[Wish, ...], list[Problem]]:
    blocks = Blocks(document, value if isinstance(value, dict) else {})
    problems: list[Problem] = []
    project: Project | None = None
    try:
        project = Project.model_validate(blocks.rest)
    except ValidationError as error:
        problems += translate(error, document, "Project", (), lambda path: path)
    problems += blocks.problems()
    if project is not None:
        problems += _unknown(document, project)
    if problems or project is None:
        return (), list(dict.fromkeys(problems))
    return tuple(_wish(document, blocks, project, index) for index in range(len(project.environments))), []


def _unknown(document: Document, project: Project) -> Iterator[Problem]:
    """Names of adapters and environments that do not exist."""
    for index, environment in enumerate(project.environments):
        base = ("environments", index)
        for path, name, known in (
            ((*base, "router"), environment.router, routers()),
            ((*base, "analysis", "source"), environment.analysis.source, metric_sources()),
        ):
            if name not in known:
                found = f"{quoted(path[-1])}: there is no {quoted(name)}"
                yield Problem(document.place(path), Code.UNKNOWN_ADAPTER, found, meant(name, known))
        earlier = ["none", *(other.name for other in project.environments[:index])]
        if environment.after is not None and environment.after not in earlier:
            found = f"`after`: there is no environment {quoted(environment.after)} before this one"
            place = document.place((*base, "after"))
            yield Problem(place, Code.UNKNOWN_ENVIRONMENT, found, meant(environment.after, earlier))


def _wish(document: Document, blocks: Blocks, project: Project, index: int) -> Wish:
    environment = project.environments[index]
    base = ("environments", index)
    spec, runtime = blocks.split(index)
    desired = DesiredState(
        key=Key(project.workspace, project.name, environment.name),
        artifact=Artifact(project.source, "", environment.version or project.version),
        target=environment.target,
        spec=spec,
        runtime=runtime,
        instances=environment.instances,
        port=environment.port,
        router=environment.router,
        strategy=strategy(environment.release, last=index == len(project.environments) - 1),
        analysis=analysis(environment.analysis),
        after=_after(project.environments, index),
        commit="",
        path=document.file,
    )
    version = document.place((*base, "version") if environment.version else ("version",))
    return Wish(desired, version, document.place((*base, "port")))


def _after(environments: list[Environment], index: int) -> str | None:
    named = environments[index].after
    if named is None:
        return environments[index - 1].name if index else None
    return None if named == "none" else named
