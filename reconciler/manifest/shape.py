"""The short form of durations, percentages and other texts that a field takes for a quantity, as the models say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

from reconciler.core import units
from reconciler.manifest import kinds

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


def shorten(block: CommentedMap, model: Model) -> None:
    """Bring the quantities in a mapping into short form, in place."""
    fields = _fields(model)
    for name, value in block.items():
        field = fields.get(name)
        if field is None:
            continue
        if isinstance(value, str):
            _shortened(block, name, field)
        elif field.named or isinstance(value, CommentedSeq):
            _items(value, field)
        elif field.models:
            shorten(value, _fitting(value, field.models))


def _items(block: CommentedMap | CommentedSeq, field: _Field) -> None:
    if not field.models:
        return
    for place, item in list(block.items() if isinstance(block, CommentedMap) else enumerate(block)):
        if isinstance(item, CommentedMap):
            shorten(item, _fitting(item, field.models))
        elif isinstance(item, str):  # a mapping's first field may stand for it: `5%` for a step of that weight
            _shortened(block, place, _first(field.models[0]))


def _first(model: Model) -> _Field:
    name, info = next(iter(model.model_fields.items()))
    return _fields(model)[info.alias or name]


def _fitting(block: CommentedMap, models: tuple[Model, ...]) -> Model:
    """Of several models that a mapping may have, the one that knows most of its fields."""
    return max(models, key=lambda model: sum(name in _fields(model) for name in block))


def _shortened(block: Any, place: str | int, field: _Field) -> None:
    text = block[place]
    if isinstance(text, (LiteralScalarString, FoldedScalarString)):
        return
    for parse, write in _FORMS:
        with suppress(ValueError):
            short = write(parse(text))
            if short != text and _same(field.adapter, text, short):
                block[place] = short
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
