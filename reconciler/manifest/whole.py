"""What a Project document has to hold, and may not hold, with components and without them: all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import ErrorDetails, PydanticCustomError

from reconciler.manifest.fields import fault
from reconciler.manifest.marks import Path
from reconciler.manifest.problem import Code, listed, meant, quoted

_COMPONENTS, _ENVIRONMENTS = "components", "environments"


def incomplete(value: Mapping[str, object]) -> Iterator[ErrorDetails]:
    """What is missing in a document, or too much, as ``translate`` takes it. Its fields may be wrong in any way."""
    parts = _mappings(value, _COMPONENTS)
    for field in ("source", "version"):
        if field not in value and not (parts and all(field in part for _, part in parts)):
            where = "to the project or to every component" if _COMPONENTS in value else "with its value"
            yield _missing((field,), f"Add `{field}:` {where}")
    names = [name for _, part in parts if isinstance(name := part.get("name"), str)]
    known = names if len(names) == len(parts) else []  # what one without a name is called, nobody knows
    for index, environment in _mappings(value, _ENVIRONMENTS):
        base: Path = (_ENVIRONMENTS, index)
        if _COMPONENTS in value:
            yield from _several(base, environment, known)
        else:
            yield from _single(base, environment)


def _mappings(value: Mapping[str, object], field: str) -> list[tuple[int, Mapping[str, object]]]:
    items = value.get(field)
    every = enumerate(items if isinstance(items, list) else ())
    return [(index, item) for index, item in every if isinstance(item, dict)]


def _missing(path: Path, hint: str) -> ErrorDetails:
    return {"type": "missing", "loc": path, "msg": "", "input": None, "ctx": {"hint": hint}}


def _wrong(path: Path, error: PydanticCustomError) -> ErrorDetails:
    return {"type": error.type, "loc": path, "msg": "", "input": None, "ctx": dict(error.context or {})}


def _single(base: Path, environment: Mapping[str, object]) -> Iterator[ErrorDetails]:
    if "port" not in environment and "ports" not in environment:
        yield _missing((*base, "port"), "Add `port:` with its value")
    yield from _without(base, environment, ("ports", "versions"), "with components, found one without")


def _several(base: Path, environment: Mapping[str, object], names: list[str]) -> Iterator[ErrorDetails]:
    yield from _without(base, environment, ("port", "version"), "without components, found one with them")
    if "ports" not in environment and "port" not in environment:
        yield _missing((*base, "ports"), f"Add `ports:` with a port for each of {listed(names) or 'its components'}")
    for field in ("ports", "versions"):
        values = environment.get(field)
        for name in values if isinstance(values, dict) else ():
            if names and isinstance(name, str) and name not in names:
                error = fault(Code.INCONSISTENT, f"there is no component {quoted(name)}", meant(name, names))
                yield _wrong((*base, field, name), error)
    ports = environment.get("ports")
    for name in names:
        if isinstance(ports, dict) and name not in ports:
            found = f"the port of the component {quoted(name)} is missing"
            yield _wrong((*base, "ports"), fault(Code.INCONSISTENT, found, f"Add `{name}:` with its port"))


def _without(
    base: Path, environment: Mapping[str, object], fields: tuple[str, ...], project: str
) -> Iterator[ErrorDetails]:
    for field in fields:
        if field in environment:
            other = field.removesuffix("s") if field.endswith("s") else f"{field}s"
            found = f"{quoted(field)} belongs to a project {project}"
            yield _wrong((*base, field), fault(Code.CONFLICTING_FIELDS, found, f"Write {quoted(other)}"))
