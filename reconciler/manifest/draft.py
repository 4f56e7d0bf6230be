"""What one manifest file says with the defaults around it: everything but git revisions and conflicts with others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

from reconciler.core.desired import Key
from reconciler.manifest.documents import read_other
from reconciler.manifest.fields import NAME_PATTERN
from reconciler.manifest.layers import NO_LAYERS, WORKSPACE, Layers
from reconciler.manifest.load import MAX_PROBLEMS, Document, load, more
from reconciler.manifest.models import API_VERSION, DEFAULT_WORKSPACE, KINDS
from reconciler.manifest.problem import Code, Place, Problem, described, listed, meant, quoted
from reconciler.manifest.project import read_project
from reconciler.manifest.records import Draft, FileDraft

_NAME = re.compile(NAME_PATTERN)
_PROJECT = "Project"


def draft_file(path: str, blob: str, content: bytes, layers: Layers = NO_LAYERS) -> FileDraft:
    """Read a manifest file. Never raises for its content: what is wrong is a problem."""
    loaded = load(path, content)
    problems = list(loaded.problems)
    drafts: list[Draft] = []
    lost = not loaded.whole
    for document in loaded.documents:
        draft, found = _document(document, layers)
        problems += found
        lost |= draft is None
        if draft is not None:
            drafts.append(draft)
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [more(path)]
    used = dict.fromkeys(draft.workspace for draft in drafts if draft.kind == _PROJECT)
    blaming = any(problem.place.file != path for problem in problems)
    digests = tuple([(one, layers.blaming(one) if blaming else layers.digest(one)) for one in used])
    return FileDraft(blob, tuple(drafts), tuple(problems), lost, digests)


def refused_file(path: str, blob: str, reason: str, hint: str = "Commit a regular file") -> FileDraft:
    """The draft of a file that could not be read at all."""
    return FileDraft(blob, (), (Problem(Place(path), Code.FILE_REFUSED, reason, hint),), lost=True)


def _document(document: Document, layers: Layers) -> tuple[Draft | None, list[Problem]]:
    if document.first:
        return _identified(document, document.first), []
    problems = list(dict.fromkeys(_header(document)))
    if problems:
        return _identified(document, str(problems[0])), problems
    value = document.value if isinstance(document.value, dict) else {}
    if value["kind"] != _PROJECT:
        other = read_other(document, value)
        draft = _identified(document, _first(other.problems))
        return draft and replace(draft, body=other.body, spots=other.spots), list(other.problems)
    asked = read_project(document, layers)
    draft = _identified(document, _first(asked.problems) or asked.held)
    return draft and replace(draft, wishes=asked.wishes, needs=asked.needs, uses=asked.uses), list(asked.problems)


def _first(problems: Sequence[Problem]) -> str:
    return str(problems[0]) if problems else ""


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
            hint = f"Add `{name}: {known[0]}`"
            yield Problem(document.place(()), Code.MISSING_FIELD, f"{quoted(name)} is missing", hint)
        elif value[name] not in known:
            from reconciler.manifest.migrations import STEPS  # noqa: PLC0415  # its library is slow to load, and rarely needed

            found = f"{quoted(name)}: expected {listed(known)}, found {described(value[name])}"
            hint = meant(str(value[name]), known) if len(known) > 1 else f"Write `{name}: {known[0]}`"
            hint = "Run `prodsprint migrate`" if str(value[name]) in STEPS else hint
            yield Problem(document.place((name,)), code, found, hint)


def _identified(document: Document, problem: str) -> Draft | None:
    """Whose document this is, also when it has problems. None when that cannot be told."""
    value: object = document.value
    if not isinstance(value, dict):
        return None
    kind, name = value.get("kind"), value.get("name")
    if not _is_kind(kind) and "environments" in value:
        kind = _PROJECT  # misspelt: what it holds must not be taken for removed
    workspace = name if kind == WORKSPACE else value.get("workspace", DEFAULT_WORKSPACE)
    if not _is_kind(kind) or not _is_name(workspace) or not _is_name(name):
        return None
    keys = tuple(_keys(workspace, name, value.get("environments"))) if kind == _PROJECT else ()
    return Draft(kind, workspace, name, document.place(("name",)), keys, (), problem)


def _keys(workspace: str, name: str, environments: object) -> Iterator[Key]:
    for item in environments if isinstance(environments, list) else ():
        found = item.get("name") if isinstance(item, dict) else None
        if _is_name(found):
            yield Key(workspace, name, found)


def _is_kind(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value in KINDS


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
