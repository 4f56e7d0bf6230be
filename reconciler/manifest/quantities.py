"""Fields with a unit: durations, percentages, sizes and money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_plain_validator_function

from reconciler.core.desired import FULL_WEIGHT
from reconciler.core.patterns import duration_schema, percent_schema, size_schema
from reconciler.core.units import (
    PERIODS,
    WHOLE,
    Money,
    format_duration,
    format_percent,
    format_size,
    parse_duration,
    parse_money,
    parse_percent,
    parse_size,
)
from reconciler.manifest.fields import fault, text_schema
from reconciler.manifest.problem import Code, quoted

REMEMBERED = 1024
"""Texts of each kind of field of which the value is kept: the same few stand in thousands of manifests."""


class Quantity:
    """Metadata of a field: ``parse`` reads it and raises ValueError when it cannot; ``json`` is its JSON Schema."""

    def __init__(
        self,
        parse: Callable[[object], Any],
        json: Mapping[str, object],
        hint: Callable[[object], str] = lambda _: "Write the number with its unit",
    ) -> None:
        """``hint`` says what to do about a value that cannot be read, where ``parse`` knows none that is near."""
        self._parse = parse
        self._hint = hint
        self._json = json
        self._known = lru_cache(REMEMBERED)(self._parsed)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self._json)

    def _read(self, value: object) -> Any:
        # Only texts are remembered: 1, 1.0 and True are one key of a cache, and lists are none.
        return self._known(value) if isinstance(value, str) else self._parsed(value)

    def _parsed(self, value: object) -> Any:
        try:
            return self._parse(value)
        except PydanticCustomError:  # a ValueError too, and one that has said everything
            raise
        except ValueError as error:
            found, _, near = str(error).partition("; did you mean ")
            hint = f"Did you mean {quoted(near.removesuffix('?'))}?" if near else self._hint(value)
            raise fault(Code.WRONG_VALUE, found, hint) from None


def _ranged(
    parse: Callable[[object], float], write: Callable[[Any], str], least: float, most: float, divisor: int = 1
) -> Callable[[object], float]:
    def read(value: object) -> float:
        found = parse(value)
        if not least <= found <= most:
            limits = f"expected {write(least)} to {write(most)}, found {quoted(str(value))}"
            raise fault(Code.WRONG_VALUE, limits, "Choose a value in between")
        return found if divisor == 1 else found / divisor

    return read


def duration(least: float, most: float) -> Quantity:
    """Metadata of a duration field: seconds (float) from ``least`` to ``most``."""
    return Quantity(_ranged(parse_duration, format_duration, least, most), duration_schema(least, most))


def percent(least: int, most: int = FULL_WEIGHT) -> Quantity:
    """Metadata of a percentage field: hundredths of a percent (int) from ``least`` to ``most``."""
    return Quantity(_ranged(parse_percent, format_percent, least, most), percent_schema(least, most), _as_percent)


def _as_percent(value: object) -> str:
    """What to do about a percentage that is none: ``5`` was meant as ``5%``."""
    written = f"{value}%" if isinstance(value, (int, float, str)) else ""
    try:
        parse_percent(written)
    except ValueError:
        return "Write the number with its unit"
    return f"Write {quoted(written)}"


def fraction(least: int, most: int) -> Quantity:
    """Metadata of a percentage that is used as a fraction (float); ``least`` and ``most`` in hundredths of a percent."""
    read = _ranged(parse_percent, format_percent, least, most, FULL_WEIGHT)
    return Quantity(read, percent_schema(least, most), _as_percent)


def size(least: int, most: int) -> Quantity:
    """Metadata of a size field: bytes (int) from ``least`` to ``most``."""
    return Quantity(_ranged(parse_size, format_size, least, most), size_schema(least, most))


_MONEY_SCHEMA = {
    "$comment": "money",
    **text_schema(
        rf"{WHOLE}(?:\.[0-9]{{1,2}})? [A-Z]{{3}}/(?:{'|'.join(PERIODS)})",
        f"an amount, a currency and a period ({', '.join(PERIODS)}), such as 1200 USD/month",
    ),
}
Cost = Annotated[Money, Quantity(parse_money, _MONEY_SCHEMA)]


def seconds(default: float, description: str) -> Any:
    """A duration field with a default; schema and example show it as a manifest writes it."""
    return Field(default=default, description=description, json_schema_extra={"default": format_duration(default)})


def share(default: float, description: str) -> Any:
    """A fraction field with a default; schema and example show it as a manifest writes it."""
    written = format_percent(round(default * FULL_WEIGHT))
    return Field(default=default, description=description, json_schema_extra={"default": written})
