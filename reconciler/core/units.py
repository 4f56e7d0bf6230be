"""Durations and percentages as people write them."""

from __future__ import annotations

import math
import re

from reconciler.core.desired import FULL_WEIGHT

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)\s?%")
_DURATION_HELP = "a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d"


def parse_duration(value: object) -> float:
    """Seconds of a number of seconds, or of text such as ``500ms``, ``30s``, ``1h30m``. Raises ValueError otherwise."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        seconds = _duration_text(value.strip())
    else:
        raise ValueError(f"expected {_DURATION_HELP}, found {value!r}")  # noqa: TRY004 - callers report ValueError
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration is finite and not negative, found {value!r}")
    return seconds


def _duration_text(text: str) -> float:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected {_DURATION_HELP}, found {text!r}")
    units = [unit for _, unit in parts]
    if units != sorted(set(units), key=lambda unit: -_SECONDS[unit]):
        raise ValueError(f"each unit once, the largest first (such as 1h30m), found {text!r}")
    # Rounded, so that sums such as 1.1s of 1s100ms carry no binary noise into digests.
    return round(sum(float(number) * _SECONDS[unit] for number, unit in parts), 9)


def format_duration(seconds: float) -> str:
    """The shortest text that ``parse_duration`` reads back, to the millisecond: ``90`` gives ``1m30s``."""
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration is finite and not negative, found {seconds!r}")
    left = round(seconds * 1000)
    text = ""
    for unit, milliseconds in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, milliseconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_percent(value: object) -> int:
    """Hundredths of a percent (0 to 10000) of text such as ``5%`` or ``0.25%``. Raises ValueError otherwise."""
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a percentage such as 5% or 0.25% (at most two decimals), found {value!r}")
    whole, _, decimals = match[1].partition(".")
    hundredths = int(whole) * 100 + int(decimals.ljust(2, "0"))
    if hundredths > FULL_WEIGHT:
        raise ValueError(f"a percentage is at most 100%, found {value!r}")
    return hundredths


def format_percent(hundredths: int) -> str:
    """Text of a number of hundredths of a percent: ``25`` gives ``0.25%``, ``500`` gives ``5%``."""
    whole, rest = divmod(hundredths, 100)
    decimals = f".{rest:02d}".rstrip("0") if rest else ""
    return f"{whole}{decimals}%"


def percent_words(hundredths: int) -> str:
    """A share in hundredths of a percent as sentences write it: ``500`` gives ``5 %``. Manifests write ``5%``."""
    return f"{format_percent(hundredths).removesuffix('%')} %"
