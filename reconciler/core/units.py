"""Durations, percentages, sizes and money as people write them. Exact: everything is counted in whole smallest units."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from reconciler.core.desired import FULL_WEIGHT

MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000}
"""Units of a duration, the largest first."""
_MOST = {"h": 23, "m": 59, "s": 59, "ms": 999}
"""The largest number in a part of a duration after its first one."""
BYTES: dict[str, int] = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGTP", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", start=1)},
}
"""Units of a size."""
MAX_SECONDS = 10**15
MAX_SHOWN = 60
"""Characters of a found value that a message repeats."""
PERIODS = ("hour", "day", "month", "year")

WHOLE = "(?:0|[1-9][0-9]{0,11})"
"""A whole number without needless zeros in front."""
_SIMPLE = re.compile(rf"({WHOLE})(?:\.([0-9]{{1,3}}))?(ms|s|m|h|d)")
_COMPOUND = re.compile("".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in MICROSECONDS))
_PARTS = re.compile(r"(?:[0-9]{1,12}(?:ms|s|m|h|d))+")
_PERCENT = re.compile(rf"({WHOLE}(?:\.[0-9]{{1,2}})?) ?%")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18}) ?([A-Za-z]{1,4})")
_MONEY = re.compile(rf"({WHOLE})(?:\.([0-9]{{1,2}}))? ([A-Za-z]{{3}})/([A-Za-z]{{1,10}})")
_DURATION_HELP = "a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d"
_SIZE_HELP = "a whole number with its unit, such as 64MiB or 1GB"
_MONEY_HELP = "an amount, a currency and a period, such as 1200 USD/month"


@dataclass(frozen=True, slots=True)
class Money:
    """What something may cost in a period. ``hundredths`` of the currency's unit, whole; ``period`` is one of PERIODS."""

    hundredths: int
    currency: str
    period: str


def shown(value: object) -> str:
    """A found value as messages repeat it: cut, since anything may be found."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def parse_duration(value: object) -> float:
    """Seconds of a number of seconds, or of text such as ``500ms``, ``30s``, ``1h30m``. Raises ValueError otherwise."""
    if isinstance(value, str):
        return _microseconds(value) / 1_000_000
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"expected {_DURATION_HELP}, found {shown(value)}")  # noqa: TRY004 - callers report ValueError
    if not 0 <= value < math.inf:
        raise ValueError(f"a duration is finite and not negative, found {shown(value)}")
    if value > MAX_SECONDS:
        raise ValueError(f"a duration is at most {MAX_SECONDS} seconds")
    return float(value)


def _microseconds(text: str) -> int:
    if simple := _SIMPLE.fullmatch(text):
        whole, decimals, unit = simple.groups()
        return (int(whole) * 1000 + int((decimals or "").ljust(3, "0"))) * MICROSECONDS[unit] // 1000
    compound = _COMPOUND.fullmatch(text)
    if not text or compound is None:
        raise ValueError(_no_duration(text))
    parts = [(count, unit) for count, unit in zip(compound.groups(), MICROSECONDS, strict=True) if count is not None]
    total = sum(int(count) * MICROSECONDS[unit] for count, unit in parts)
    if text[0] == "0" or any(
        int(count) > _MOST[unit] or len(count) > len(str(_MOST[unit])) for count, unit in parts[1:]
    ):
        raise ValueError(f"expected {format_duration(total / 1_000_000)} for this time, found {shown(text)}")
    return total


def _no_duration(text: str) -> str:
    if _PARTS.fullmatch(text):
        return f"each unit once, the largest first (such as 1h30m), found {shown(text)}"
    tidy = text.strip().lower().replace(" ", "")
    meant = f"; did you mean {tidy}?" if tidy != text and (_SIMPLE.fullmatch(tidy)) else ""
    return f"expected {_DURATION_HELP}, found {shown(text)}{meant}"


def format_duration(seconds: float) -> str:
    """The shortest text that ``parse_duration`` reads back, to the millisecond: ``90`` gives ``1m30s``."""
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration is finite and not negative, found {shown(seconds)}")
    left = round(seconds * 1000)
    text = ""
    for unit, microseconds in MICROSECONDS.items():
        count, left = divmod(left, microseconds // 1000)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_percent(value: object) -> int:
    """Hundredths of a percent (0 to 10000) of text such as ``5%`` or ``0.25%``. Raises ValueError otherwise."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected a percentage such as 5% or 0.25% (at most two decimals), found {shown(value)}")
    whole, _, decimals = match[1].partition(".")
    hundredths = int(whole) * 100 + int(decimals.ljust(2, "0"))
    if hundredths > FULL_WEIGHT:
        raise ValueError(f"a percentage is at most 100%, found {shown(value)}")
    return hundredths


def format_percent(hundredths: int) -> str:
    """Text of a number of hundredths of a percent: ``25`` gives ``0.25%``, ``500`` gives ``5%``."""
    whole, rest = divmod(hundredths, 100)
    decimals = f".{rest:02d}".rstrip("0") if rest else ""
    return f"{whole}{decimals}%"


def percent_words(hundredths: int) -> str:
    """A share in hundredths of a percent as sentences write it: ``500`` gives ``5 %``. Manifests write ``5%``."""
    return f"{format_percent(hundredths).removesuffix('%')} %"


def parse_size(value: object) -> int:
    """Bytes of text such as ``64MiB``, ``1GB`` or ``512B``. Raises ValueError otherwise."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {_SIZE_HELP}, found {shown(value)}")
    count, unit = match.groups()
    if unit not in BYTES:
        known = {name.lower(): name for name in BYTES}
        meant = known.get(unit.lower()) or known.get(f"{unit.lower()}b")
        hint = f"did you mean {count}{meant}?" if meant else f"the units are {', '.join(BYTES)}"
        raise ValueError(f"expected {_SIZE_HELP}, found {shown(value)}; {hint}")
    return int(count) * BYTES[unit]


def format_size(size: int) -> str:
    """Text of a number of bytes, in the largest unit that divides it: ``67108864`` gives ``64MiB``."""
    for unit, one in sorted(BYTES.items(), key=lambda item: -item[1]):
        if size and size % one == 0:
            return f"{size // one}{unit}"
    return "0B"


def parse_money(value: object) -> Money:
    """The cost that text such as ``1200 USD/month`` or ``0.50 EUR/hour`` allows. Raises ValueError otherwise."""
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected {_MONEY_HELP}, found {shown(value)}")
    whole, decimals, currency, period = match.groups()
    if currency != currency.upper() or period not in PERIODS:
        near = period.lower().removesuffix("s")
        words = f"{whole}{'.' + decimals if decimals else ''} {currency.upper()}/{near}"
        hint = f"did you mean {words}?" if near in PERIODS else f"the periods are {', '.join(PERIODS)}"
        raise ValueError(f"expected {_MONEY_HELP}, found {shown(value)}; {hint}")
    return Money(int(whole) * 100 + int((decimals or "").ljust(2, "0")), currency, period)


def format_money(money: Money) -> str:
    """Text that ``parse_money`` reads back: ``1200 USD/month``, ``0.50 EUR/hour``."""
    whole, rest = divmod(money.hundredths, 100)
    return f"{whole}{f'.{rest:02d}' if rest else ''} {money.currency}/{money.period}"
