"""What one manifest file says with the defaults around it: everything but git revisions and conflicts with others."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

from reconciler.core.desired import Key
from reconciler.manifest.documents import read_other
from reconciler.manifest.fields import NAME_PATTERN
from reconciler.manifest.layers import NO_LAYERS, WORKSPACE, Layers
from reconciler.manifest.load import MAX_PROBLEMS, Document, load, more
from reconciler.manifest.models import API_VERSION, DEFAULT_WORKSPACE, KINDS
from reconciler.manifest.problem import Code, Place, Problem, described, listed, meant, printable, quoted
from reconciler.manifest.project import read_project
from reconciler.manifest.records import Draft, FileDraft
from reconciler.manifest.spots import own_spots, project_spots

_NAME = re.compile(NAME_PATTERN)
_PROJECT = "Project"
_ENDING = re.compile(r"prodsprint\.ya?ml$", re.IGNORECASE)
_MENDING = (
    ("symbolic link", "Commit the file itself in its place"),
    ("submodule", "Remove it, or add its repo as a config repo of its own"),
    ("file mode", "Give it the mode 644, and commit it again"),
    ("bytes", "Split it into several *.prodsprint.yaml files"),
    ("by its name", "Rename it if it is a manifest"),
    ("control characters", "Rename it"),
)
"""What a reason says, and what to do about it."""


def draft_file(path: str, blob: str, content: bytes, layers: Layers = NO_LAYERS) -> FileDraft:
    """Read a manifest file. Never raises for its content: what is wrong is a problem."""
    loaded = load(path, content)
    problems = list(loaded.problems)
    drafts: list[Draft] = []
    lost = not loaded.whole
    only_nulls = loaded.whole and all(problem.code is Code.YAML_NULL for problem in problems)
    nulls = frozenset(problem.place for problem in problems) if only_nulls else frozenset()
    for document in loaded.documents:
        draft, found = _document(document, layers, nulls)
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


def refused_file(path: str, blob: str, reason: str, hint: str = "") -> FileDraft:
    """The draft of a file that could not be read at all. Without a ``hint``, the reason decides what to do."""
    problem = Problem(Place(path), Code.FILE_REFUSED, reason, hint or _mending(path, reason))
    return FileDraft(blob, (), (problem,), lost=True)


def _mending(path: str, reason: str) -> str:
    """What to do about a file that was refused."""
    if "is not read" in reason:
        name = _ENDING.sub("prodsprint.yaml", path.rpartition("/")[2])
        return f"Rename it to {printable(name)}"
    return next((hint for word, hint in _MENDING if word in reason), "Commit a regular file")


def _document(document: Document, layers: Layers, nulls: Container[Place] = ()) -> tuple[Draft | None, list[Problem]]:
    """One document. With nothing worse in it than values that are missing, at ``nulls``, the rest of it is read too."""
    if document.first:
        return _identified(document, document.first), list(_besides(document, layers, nulls)) if nulls else []
    return _read(document, layers)


def _read(document: Document, layers: Layers) -> tuple[Draft | None, list[Problem]]:
    problems = list(dict.fromkeys(_header(document)))
    if problems:
        return _identified(document, str(problems[0])), problems
    value = document.value if isinstance(document.value, dict) else {}
    if value["kind"] != _PROJECT:
        other = read_other(document, value)
        draft = _identified(document, _first(other.problems))
        return draft and replace(draft, body=other.body, spots=(*draft.spots, *other.spots)), list(other.problems)
    asked = read_project(document, layers)
    draft = _identified(document, _first(asked.problems) or asked.held)
    if draft is not None and asked.wishes:
        spots = (*draft.spots, *project_spots(document, value))
        draft = replace(draft, wishes=asked.wishes, needs=asked.needs, uses=asked.uses, spots=spots)
    return draft, list(asked.problems)


def _besides(document: Document, layers: Layers, nulls: Container[Place]) -> Iterator[Problem]:
    """What is wrong with a document besides the values that are missing."""
    empty = {path: mark for path, mark in document.marks.items() if Place(document.file, *mark.key) in nulls}
    known = {Place(document.file, *spot) for mark in empty.values() for spot in (mark.key, mark.value)}
    names = [quoted(str(path[-1])) for path in empty if path]
    for problem in _read(document, layers)[1]:
        again = problem.code is Code.MISSING_FIELD and any(name in problem.message for name in names)
        if problem.place not in known and not again:
            yield problem


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
            one_of = f"Write `{name}: {known[0]}`" if len(known) == 1 else "Choose one of them"
            hint = meant(str(value[name]), known if len(known) > 1 else (), one_of)
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
    return Draft(kind, workspace, name, document.place(("name",)), keys, (), problem, spots=own_spots(document))


def _keys(workspace: str, name: str, environments: object) -> Iterator[Key]:
    for item in environments if isinstance(environments, list) else ():
        found = item.get("name") if isinstance(item, dict) else None
        if _is_name(found):
            yield Key(workspace, name, found)


def _is_kind(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value in KINDS


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
