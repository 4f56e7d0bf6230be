"""The short form of durations, percentages and other texts that a field takes for a quantity, as the models say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from reconciler.core import units
from reconciler.manifest import kinds
from reconciler.manifest.tree import Block, Entry, Scalar

Model = type[BaseModel]
_FORMS: tuple[tuple[Any, Any], ...] = (
    (units.parse_duration, units.format_duration),
    (units.parse_percent, units.format_percent),
    (units.parse_size, units.format_size),
    (units.parse_money, units.format_money),
)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a model: what checks its value, the models of mappings in it, and whether these have names of their own."""

    adapter: TypeAdapter[Any]
    models: tuple[Model, ...]
    named: bool


def shorten(block: Block, model: Model) -> Iterator[tuple[str, str]]:
    """Bring the quantities in a mapping into short form, in place.

    Yields the texts that were replaced, each with what stands there now.
    """
    fields = _fields(model)
    for entry in block.entries:
        field = fields.get(entry.name)
        if field is not None:
            yield from _value(entry, field)


def _value(entry: Entry, field: _Field) -> Iterator[tuple[str, str]]:
    value = entry.value
    if isinstance(value, Scalar):
        yield from _shortened(value, field)
    elif value.listed or field.named:
        for item in value.entries:
            yield from _item(item, field)
    elif field.models:
        yield from shorten(value, _fitting(value, field.models))


def _item(item: Entry, field: _Field) -> Iterator[tuple[str, str]]:
    if not field.models or (isinstance(item.value, Block) and item.value.listed):
        return
    if isinstance(item.value, Block):
        yield from shorten(item.value, _fitting(item.value, field.models))
    else:  # a mapping's first field may stand for it: `5%` for a step of that weight
        yield from _shortened(item.value, _first(field.models[0]))


def _first(model: Model) -> _Field:
    name, info = next(iter(model.model_fields.items()))
    return _fields(model)[info.alias or name]


def _fitting(block: Block, models: tuple[Model, ...]) -> Model:
    """Of several models that a mapping may have, the one that knows most of its fields."""
    return max(models, key=lambda model: sum(entry.name in _fields(model) for entry in block.entries))


def _shortened(scalar: Scalar, field: _Field) -> Iterator[tuple[str, str]]:
    text = scalar.text
    for parse, write in _FORMS:
        with suppress(ValueError):
            short = write(parse(text))
            if short != text and _same(field.adapter, text, short):
                scalar.text = short
                yield text, short
                return


def _same(adapter: TypeAdapter[Any], one: str, other: str) -> bool:
    """Whether a field takes two texts for the same value, which is not a text itself."""
    try:
        value = adapter.validate_python(one)
        return not isinstance(value, str) and bool(value == adapter.validate_python(other))
    except ValidationError:
        return False


@cache
def _fields(model: Model) -> dict[str, _Field]:
    """The fields of a model by their names in a manifest, and the blocks of target kinds, which may stand in any mapping."""
    blocks = {kind: _field(kinds.target(kind).spec) for kind in kinds.target_names()}
    return {
        **blocks,
        **{info.alias or name: _field(info.rebuild_annotation()) for name, info in model.model_fields.items()},
    }


def _field(annotation: Any) -> _Field:
    return _Field(TypeAdapter(annotation), tuple(_models(annotation)), _named(annotation))


def _models(annotation: Any) -> Iterator[Model]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _named(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(_named(part) for part in get_args(annotation))
