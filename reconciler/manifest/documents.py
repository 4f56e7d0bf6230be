"""Documents that are no projects: what they say to others, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from reconciler.core.digest import canonical
from reconciler.manifest.blocks import no_mappings, unused, without_blocks
from reconciler.manifest.kinds import metric_sources, routers, target, target_names
from reconciler.manifest.layers import TARGET, WORKSPACE
from reconciler.manifest.load import Document
from reconciler.manifest.marks import Path
from reconciler.manifest.models import KINDS, Header, Workspace
from reconciler.manifest.problem import Code, Problem, meant, quoted
from reconciler.manifest.spots import SCOPED, scope_spots
from reconciler.manifest.translate import translate

_DEFAULTS = "defaults"


class Other(NamedTuple):
    """What a document says; see ``records.Draft`` for ``body`` and ``spots``. Both are empty when there are problems."""

    body: str
    spots: tuple[tuple[Path, int, int], ...]
    problems: tuple[Problem, ...]


def read_other(document: Document, value: Mapping[str, object]) -> Other:
    """Read a document, which is a mapping of a known kind other than Project."""
    kind = str(value["kind"])
    problems: list[Problem] = []
    model: Header | None = None
    try:
        model = KINDS[kind].model_validate(_rest(kind, value))
    except ValidationError as error:
        problems += translate(error.errors(), kind, (), lambda path: (document, path))
    if kind == TARGET:
        problems += _target(document, value)
    defaults = value.get(_DEFAULTS)
    if kind == WORKSPACE and isinstance(defaults, dict):
        problems += _defaults(document, defaults, model)
    if problems:
        found = sorted(dict.fromkeys(problems), key=lambda one: (one.place.line, one.place.column))
        return Other("", (), tuple(found))
    base = {WORKSPACE: _DEFAULTS, TARGET: value.get("type")}.get(kind)
    spots = tuple(_spots(document, base)) if base else scope_spots(document) if kind in SCOPED else ()
    return Other(canonical(value), spots, ())


def _rest(kind: str, value: Mapping[str, object]) -> Mapping[str, object]:
    """The document as its model takes it: without blocks of targets."""
    if kind == TARGET:
        return without_blocks(value)
    inner = value.get(_DEFAULTS)
    return {**value, _DEFAULTS: without_blocks(inner)} if kind == WORKSPACE and isinstance(inner, dict) else value


def _spots(document: Document, base: object) -> Iterator[tuple[Path, int, int]]:
    """Where everything that others take from here is written."""
    for path, mark in document.marks.items():
        if path[:1] == (base,):
            yield path, *mark.value


def _target(document: Document, value: Mapping[str, object]) -> Iterator[Problem]:
    kind = value.get("type")
    yield from no_mappings(document, (), value)
    if kind in target_names():
        yield from unused(document, (), value, [kind], "the type of this target is {used}")
        yield from _partial(document, TARGET, (), kind, value)
    elif isinstance(kind, str):
        found = f"`type`: there is no {quoted(kind)}"
        yield Problem(document.place(("type",)), Code.UNKNOWN_ADAPTER, found, meant(kind, target_names()))


def _defaults(document: Document, defaults: Mapping[str, object], model: Header | None) -> Iterator[Problem]:
    base = (_DEFAULTS,)
    yield from no_mappings(document, base, defaults)
    for kind in target_names():
        yield from _partial(document, WORKSPACE, base, kind, defaults)
    if isinstance(model, Workspace):
        yield from _unknown(document, model)
        yield from _unfit(document, model)


def _partial(document: Document, owner: str, base: Path, kind: str, value: Mapping[str, object]) -> Iterator[Problem]:
    """What is wrong with a block of defaults, in which anything may be missing."""
    if not isinstance(value.get(kind), dict):
        return
    inside = (*base, kind)
    try:
        target(kind).spec.model_validate(value[kind], by_alias=True, by_name=False)
    except ValidationError as error:
        for problem in translate(error.errors(), owner, inside, lambda path: (document, (*inside, *path))):
            if problem.code is not Code.MISSING_FIELD:
                yield problem


def _unknown(document: Document, model: Workspace) -> Iterator[Problem]:
    for path, name, known in (
        (("router",), model.defaults.router, routers()),
        (("analysis", "source"), model.defaults.analysis.source, metric_sources()),
    ):
        if name not in known:
            found = f"{quoted(path[-1])}: there is no {quoted(name)}"
            yield Problem(document.place((_DEFAULTS, *path)), Code.UNKNOWN_ADAPTER, found, meant(name, known))


def _unfit(document: Document, model: Workspace) -> Iterator[Problem]:
    misfit = model.defaults.release.misfit()
    if misfit is None:
        return
    context = misfit.context or {}
    at: Sequence[str] = context["at"]
    place = document.place((_DEFAULTS, "release", *at))
    yield Problem(place, context["code"], f"{quoted(at[-1])}: {context['message']}", context["hint"])
