"""JSON Schema of the texts that ``core.units`` accepts within a range, exactly, by computed regular expressions.

The expressions use only what the dialects of JavaScript, Python and Rust share: no look-around, no named groups.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from reconciler.core.units import BYTES, MICROSECONDS, format_duration, format_percent, format_size

_PARTS = {"h": "(?:[01]?[0-9]|2[0-3])h", "m": "[0-5]?[0-9]m", "s": "[0-5]?[0-9]s", "ms": "[0-9]{1,3}ms"}
_NONE = {"h": "0{1,2}h", "m": "0{1,2}m", "s": "0{1,2}s", "ms": "0{1,3}ms"}


def duration_schema(least: float, most: float) -> dict[str, Any]:
    """Schema of a duration from ``least`` to ``most`` seconds.

    Raises ValueError for limits that divide no unit and are no multiple of it: no text with several units could be judged.
    """
    low, high = round(least * 1_000_000), round(most * 1_000_000)
    forms = [f"{number}{unit}" for unit, one in MICROSECONDS.items() if (number := decimals(low, high, one, 3))]
    forms += [form for unit in MICROSECONDS for form in _several(low, high, unit)]
    found = f"{format_duration(least)} to {format_duration(most)}"
    return {
        "$comment": "duration",
        "anyOf": [
            _text(f"(?:{'|'.join(forms)})", f"{found}, such as 500ms, 30s, 5m, 1h30m, 7d"),
            {"type": "number", "minimum": least, "maximum": most},
        ],
    }


def percent_schema(least: int, most: int) -> dict[str, Any]:
    """Schema of a percentage from ``least`` to ``most`` hundredths of a percent."""
    found = f"{format_percent(least)} to {format_percent(most)}, with at most two decimals"
    return {"$comment": "percentage", **_text(f"(?:{decimals(least, most, 100, 2)}) ?%", found)}


def size_schema(least: int, most: int) -> dict[str, Any]:
    """Schema of a size from ``least`` to ``most`` bytes."""
    ranges = {unit: (ceil(least / one), floor(most / one)) for unit, one in BYTES.items()}
    forms = [f"{_whole(low, high)} ?{unit}" for unit, (low, high) in ranges.items() if low <= high]
    found = f"{format_size(least)} to {format_size(most)}, such as 64MiB or 1GB"
    return {"$comment": "size", **_text(f"(?:{'|'.join(forms)})", found)}


def _text(pattern: str, expected: str) -> dict[str, Any]:
    # patternErrorMessage is what editors show in place of the expression.
    return {"type": "string", "pattern": f"^{pattern}$", "patternErrorMessage": f"expected {expected}"}


def _several(low: int, high: int, unit: str) -> list[str]:
    """Texts that begin with whole ``unit`` and go on with smaller ones: these stay below one more of it."""
    one = MICROSECONDS[unit]
    smaller = list(MICROSECONDS)[list(MICROSECONDS).index(unit) + 1 :]
    if not smaller or high < one:
        return []
    if high % one or (low > one and low % one):
        raise ValueError(f"{low} to {high} microseconds: not whole in {unit}")
    first, last = max(1, ceil(low / one)), high // one
    forms = [f"{last}{unit}{_rest(smaller, _NONE)}"]
    return [*forms, f"{_whole(first, last - 1)}{unit}{_rest(smaller, _PARTS)}"] if first < last else forms


def _rest(units: list[str], parts: dict[str, str]) -> str:
    """One part or more, the largest first."""
    forms = [parts[unit] + "".join(f"(?:{parts[later]})?" for later in units[i + 1 :]) for i, unit in enumerate(units)]
    return f"(?:{'|'.join(forms)})"


def decimals(low: int, high: int, one: int, places: int) -> str:
    """Expression for decimal numbers that are ``low`` to ``high`` times 1/``one``, of at most ``places`` decimals.

    Empty when there is none.
    """
    scale = 10**places
    least, most = ceil(low * scale / one), floor(high * scale / one)
    if least > most:
        return ""
    (first, over), (last, under) = divmod(least, scale), divmod(most, scale)
    above, below = str(over).zfill(places), str(under).zfill(places)
    if first == last:
        return f"{first}{_fraction(above, below)}"
    forms = [f"{first}{_fraction(above, '9' * places)}", f"{last}{_fraction('0' * places, below)}"]
    if last - first > 1:
        forms.append(f"{_whole(first + 1, last - 1)}(?:\\.[0-9]{{1,{places}}})?")
    return f"(?:{'|'.join(forms)})"


def _fraction(low: str, high: str) -> str:
    some = "|".join(_digits(low, high, least=1))
    return f"(?:\\.(?:{some}))?" if int(low) == 0 else f"\\.(?:{some})"


def _digits(low: str, high: str, least: int = 0) -> list[str]:
    """Alternatives for at least ``least`` digits that, filled up with zeros, are ``low`` to ``high`` (of equal length)."""
    forms = [] if least or int(low or "0") else [""]
    if not low:
        return forms
    rest = len(low) - 1
    any_rest = ("", "[0-9]?", f"[0-9]{{0,{rest}}}")[min(rest, 2)]
    start, end = int(low[0]), int(high[0])
    if start == end:
        return [*forms, *(f"{start}{form}" for form in _digits(low[1:], high[1:]))]
    if int(low[1:] or "0"):
        forms += [f"{start}{form}" for form in _digits(low[1:], "9" * rest)]
        start += 1
    if int(high[1:] or "9" * rest or "0") != int("9" * rest or "0"):
        forms += [f"{end}{form}" for form in _digits("0" * rest, high[1:])]
        end -= 1
    return [*forms, f"[{start}-{end}]{any_rest}"] if start <= end else forms


def _whole(low: int, high: int) -> str:
    """Expression for whole numbers from ``low`` to ``high``, without zeros in front."""
    forms: list[str] = []
    while low <= high:
        end = min(high, 10 ** len(str(low)) - 1)
        forms += _same_length(str(low), str(end))
        low = end + 1
    return f"(?:{'|'.join(forms)})"


def _same_length(low: str, high: str) -> list[str]:
    if not low:
        return [""]
    rest = len(low) - 1
    start, end = int(low[0]), int(high[0])
    if start == end:
        return [f"{start}{form}" for form in _same_length(low[1:], high[1:])]
    forms: list[str] = []
    if int(low[1:] or "0"):
        forms += [f"{start}{form}" for form in _same_length(low[1:], "9" * rest)]
        start += 1
    if high[1:] != "9" * rest:
        forms += [f"{end}{form}" for form in _same_length("0" * rest, high[1:])]
        end -= 1
    middle = f"[{start}-{end}]" + ("", "[0-9]", f"[0-9]{{{rest}}}")[min(rest, 2)]
    return [*forms, middle] if start <= end else forms
