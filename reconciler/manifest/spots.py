"""Which values of a document others may find wrong, and where those are written: their positions go into its draft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.manifest.load import Document
from reconciler.manifest.marks import Path

Spots = tuple[tuple[Path, int, int], ...]
WORKSPACE: Path = ("workspace",)
SCOPED = frozenset({"Waiver", "Approval", "Freeze"})
"""Kinds of documents that are for some projects or environments."""
_NAMING = frozenset({"project", "projects", "environment", "environments"})


def own_spots(document: Document) -> Spots:
    """Where the workspace of a document is written, if it is."""
    return tuple(_written(document, [WORKSPACE]))


def scope_spots(document: Document) -> Spots:
    """Where a waiver, approval or freeze names what it is for."""
    return tuple(
        [(path, *mark.value) for path, mark in document.marks.items() if not _NAMING.isdisjoint(path[:2])],
    )


def project_spots(document: Document, value: Mapping[str, object]) -> Spots:
    """Where a project names its sources and targets; a target by its name, ``("target", NAME)``, and once each."""
    parts, environments = _mappings(value, "components"), _mappings(value, "environments")
    found = list(_written(document, [("source",), *((*base, "source") for base, _ in parts)]))
    targets: dict[Path, tuple[int, int]] = {}
    for base, inner in (((), value), *environments):
        name, mark = inner.get("target"), document.marks.get((*base, "target"))
        if mark is not None and isinstance(name, str):
            targets.setdefault(("target", name), mark.value)
    return (*found, *((path, *where) for path, where in targets.items()))


def _written(document: Document, paths: Iterable[Path]) -> Iterator[tuple[Path, int, int]]:
    for path in paths:
        mark = document.marks.get(path)
        if mark is not None:
            yield path, *mark.value


def _mappings(value: Mapping[str, object], field: str) -> list[tuple[Path, Mapping[str, object]]]:
    items = value.get(field)
    every = enumerate(items if isinstance(items, list) else ())
    return [((field, index), item) for index, item in every if isinstance(item, dict)]
