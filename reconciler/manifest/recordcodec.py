"""Drafts as bytes and back, so that a file that was read once is not read again: compact JSON behind a checksum.

The path is not in it: the same blob may lie at several paths. A record belongs to its blob and to one ``language``.
"""

from __future__ import annotations

import json
import zlib
from functools import cache, lru_cache
from typing import Any

from reconciler.core.desired import (
    AnalysisPolicy,
    Artifact,
    Component,
    DesiredState,
    Key,
    OnDelete,
    Step,
    Strategy,
    StrategyKind,
)
from reconciler.core.digest import plain, sha256
from reconciler.manifest import kinds, schema
from reconciler.manifest.models import KINDS
from reconciler.manifest.problem import Code, Place, Problem, printable
from reconciler.manifest.records import Draft, FileDraft, Need, Wish

LANGUAGE = 2
"""Raise it with every change of what a manifest means, or of this form, that the schemas below do not show."""
_HEAD = 8
_CODES = {str(code): code for code in Code}
_ON_DELETE = {str(choice): choice for choice in OnDelete}
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_read = json.JSONDecoder().decode


@cache
def language() -> str:
    """Digest of everything that the meaning of a manifest depends on: a record is good for its own language only."""
    targets = {name: sorted(kinds.target(name).runtime) for name in kinds.target_names()}
    adapters = [targets, kinds.routers(), kinds.metric_sources()]
    return sha256(_write([LANGUAGE, [schema.document_schema(kind) for kind in KINDS], adapters]))


def encode(path: str, file: FileDraft) -> bytes:
    """The record of what was drafted for the file at ``path``."""
    problems = [[_spot(path, one.place), one.code, one.message, one.hint] for one in file.problems]
    drafts = [_draft(path, draft) for draft in file.drafts]
    body = _write([int(file.lost), problems, drafts, file.layers]).encode("ascii")
    return _head(file.blob, body) + body


def decode(path: str, blob: str, data: bytes) -> FileDraft:
    """The draft in a record. Raises ValueError for anything that ``encode`` has not made for this blob."""
    body = data[_HEAD:]
    if data[:_HEAD] != _head(blob, body):
        raise ValueError("the record is damaged, or of another blob")
    try:
        lost, problems, drafts, layers = _read(body.decode("ascii"))
        return FileDraft(
            blob,
            tuple([_read_draft(path, draft) for draft in drafts]),
            tuple([Problem(_place(path, spot), _CODES[code], *words) for spot, code, *words in problems]),
            lost == 1,
            tuple([(_shared(workspace), _shared(digest)) for workspace, digest in layers]),
        )
    except (TypeError, LookupError, RecursionError) as error:
        raise ValueError("the record is of another form") from error


def _head(blob: str, body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body, zlib.crc32(blob.encode("utf-8", "surrogatepass")))


# --- places: [line, column], and the file where it is another one ---


def _spot(path: str, place: Place) -> list[object]:
    return [place.line, place.column] if place.file == path else [place.line, place.column, place.file]


def _place(path: str, spot: Any) -> Place:
    line, column, *other = spot
    return Place(other[0] if other else path, line, column)


# --- documents ---


def _draft(path: str, draft: Draft) -> list[object]:
    prefix = printable(path)
    told = draft.problem
    return [
        draft.kind,
        draft.workspace,
        draft.name,
        _spot(path, draft.place),
        [key.environment for key in draft.keys],
        [_wish(path, wish) for wish in draft.wishes],
        [told.removeprefix(prefix)] if told.startswith(prefix) else told,
        [[need.workspace, need.project, need.environment, _spot(path, need.place)] for need in draft.needs],
        draft.uses,
        draft.body,
        draft.spots,
    ]


def _read_draft(path: str, fields: Any) -> Draft:
    kind, workspace, name, spot, environments, wishes, problem, needs, uses, body, spots = fields
    workspace, name = _shared(workspace), _shared(name)
    keys = {environment: Key(workspace, name, _shared(environment)) for environment in environments}
    return Draft(
        _shared(kind),
        workspace,
        name,
        _place(path, spot),
        tuple([keys[environment] for environment in environments]),
        tuple([_read_wish(path, keys, wish) for wish in wishes]),
        problem if isinstance(problem, str) else printable(path) + problem[0],
        tuple([Need(space, other, one, _place(path, where)) for space, other, one, where in needs]),
        tuple([_shared(one) for one in uses]),
        body,
        tuple([(tuple(steps), line, column) for steps, line, column in spots]),
    )


# --- what is asked for one key; revisions, commit and needs are still empty ---


def _wish(path: str, wish: Wish) -> list[object]:
    state = wish.desired
    return [
        state.key.environment,
        [state.artifact.source, state.artifact.version, state.spec, state.runtime, state.instances, state.port],
        state.component,
        state.target,
        state.router,
        _policy(state.strategy),
        _policy(state.analysis),
        state.after,
        state.on_delete,
        [[one.name, *_component(one)] for one in state.components],
        *([_spot(path, place) for place in places] for places in (wish.versions, wish.ports, wish.after)),
    ]


def _component(one: Component) -> list[object]:
    return [one.artifact.source, one.artifact.version, one.spec, one.runtime, one.instances, one.port]


def _read_wish(path: str, keys: dict[str, Key], fields: Any) -> Wish:
    environment, own, component, target, router, strategy, analysis, after, on_delete, others, *places = fields
    source, version, spec, runtime, instances, port = own
    desired = DesiredState(
        key=keys[environment],
        artifact=Artifact(_shared(source), "", _shared(version)),
        target=_shared(target),
        spec=_shared(spec),
        runtime=_shared(runtime),
        instances=instances,
        port=port,
        router=_shared(router),
        strategy=_strategy(strategy),
        analysis=_analysis(analysis),
        after=tuple([_shared(one) for one in after]),
        commit="",
        path=path,
        on_delete=_ON_DELETE[on_delete],
        component=_shared(component),
        components=tuple([_read_component(other) for other in others]),
    )
    versions, ports, afters = ([_place(path, spot) for spot in spots] for spots in places)
    return Wish(desired, tuple(versions), tuple(ports), tuple(afters))


def _read_component(fields: Any) -> Component:
    name, source, version, spec, runtime, instances, port = fields
    artifact = Artifact(_shared(source), "", _shared(version))
    return Component(_shared(name), artifact, _shared(spec), _shared(runtime), instances, port)


# --- values that many manifests have in common are kept once ---


@lru_cache(4096)
def _shared(text: str) -> str:
    return text


@lru_cache(1024)
def _policy(value: Strategy | AnalysisPolicy) -> str:
    fields = plain(value)
    return _write(list(fields.values()) if isinstance(fields, dict) else fields)


@lru_cache(1024)
def _strategy(text: str) -> Strategy:
    kind, steps, *limits = _read(text)
    return Strategy(StrategyKind(kind), tuple([Step(**step) for step in steps]), *limits)


@lru_cache(1024)
def _analysis(text: str) -> AnalysisPolicy:
    return AnalysisPolicy(*_read(text))
