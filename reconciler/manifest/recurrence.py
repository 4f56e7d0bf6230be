"""Recurrence rules (iCalendar's RRULE): the part of them that a freeze needs, and no rule that takes long to follow."""

from __future__ import annotations

import re
from calendar import isleap
from datetime import date, datetime, timedelta
from functools import cache

from reconciler.core.times import NeverError
from reconciler.core.units import shown

MAX_RULE = 300
YEARS = 12
HORIZON = timedelta(days=YEARS * 366)
"""A rule that names no time from its start until so much later is refused. Leap days return within it."""

_DAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
_PARTS = {
    "INTERVAL": "[1-9][0-9]{0,2}",
    "COUNT": "[1-9][0-9]{0,3}",
    "UNTIL": "20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:T(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z)?",
    "BYMONTH": "(?:[1-9]|1[0-2])(?:,(?:[1-9]|1[0-2])){0,11}",
    "BYMONTHDAY": "-?(?:[1-9]|[12][0-9]|3[01])(?:,-?(?:[1-9]|[12][0-9]|3[01])){0,30}",
    "BYDAY": f"(?:-?[1-5])?{_DAY}(?:,(?:-?[1-5])?{_DAY}){{0,30}}",
    "BYHOUR": "(?:1?[0-9]|2[0-3])(?:,(?:1?[0-9]|2[0-3])){0,23}",
    "BYMINUTE": "[1-5]?[0-9](?:,[1-5]?[0-9]){0,11}",
    "BYSETPOS": "-?[1-9](?:,-?[1-9]){0,8}",
    "WKST": _DAY,
}
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
RULE_PATTERN = (
    f"FREQ=(?:{'|'.join(_FREQUENCIES)})"
    f"(?:;(?:{'|'.join(f'{name}={pattern}' for name, pattern in _PARTS.items())})){{0,{len(_PARTS)}}}"
)
_RULE = re.compile(RULE_PATTERN)


def check_rule(text: str) -> None:
    """Raise ValueError for what is no recurrence rule, and NeverError for one whose parts do not go together."""
    if len(text) > MAX_RULE:
        raise ValueError(f"a recurrence rule has at most {MAX_RULE} characters")
    if _RULE.fullmatch(text) is None:
        raise ValueError(_wrong(text))
    pairs = [part.partition("=")[::2] for part in text.split(";")]
    parts = dict(pairs)
    if len(parts) < len(pairs):
        raise NeverError(f"a part stands twice in {shown(text)}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise NeverError("a rule ends by COUNT or by UNTIL, found both")
    numbered = any(character.isdigit() for character in parts.get("BYDAY", ""))
    if numbered and (parts["FREQ"] in {"DAILY", "WEEKLY"} or "BYMONTHDAY" in parts):
        raise NeverError("the number before a day in BYDAY counts within a month or year, found it in another rule")
    if "BYSETPOS" in parts and not parts.keys() & {"BYDAY", "BYMONTHDAY", "BYMONTH", "BYHOUR", "BYMINUTE"}:
        raise NeverError("BYSETPOS chooses among what other BY parts name, found it alone")


def check_happens(text: str, start: datetime) -> None:
    """Raise NeverError for a rule that names no time from ``start`` (its offset does not matter) to HORIZON later.

    dateutil follows a rule up to the year 9999 before it says that there is no time. So it gets a start some years before
    that, in a year with the same days of the week and the same leap years after it.
    """
    from dateutil.rrule import rrulestr  # noqa: PLC0415 - few manifests have a rule

    parts = dict(part.partition("=")[::2] for part in text.split(";"))
    until = parts.pop("UNTIL", "")
    parts.pop("COUNT", None)
    year = _like(start.year)
    late = start.replace(year=year, tzinfo=None)
    first = next(iter(rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=late)), None)
    if first is None or first - late > HORIZON:
        raise NeverError("the rule names no time within twelve years of its start")
    found = first.replace(year=first.year - year + start.year)
    if until and f"{found:%Y%m%dT%H%M%SZ}"[: len(until)] > until:
        raise NeverError(f"the rule names no time from its start to its end; the first would be {found:%Y-%m-%dT%H:%M}")


@cache
def _like(year: int) -> int:
    """The last year with a whole HORIZON before 10000 that has the calendar of ``year``, and is followed by the same ones."""
    for span in (YEARS, 1):  # around 2100, which is no leap year, only the first year can be the same
        for other in range(9999 - YEARS, 9999 - YEARS - 28, -1):
            same = all(isleap(other + after) == isleap(year + after) for after in range(span))
            if same and date(other, 1, 1).weekday() == date(year, 1, 1).weekday():
                return other
    raise AssertionError("28 years have all calendars")


def _wrong(text: str) -> str:
    frequency, _, _ = text.partition(";")
    if frequency.removeprefix("FREQ=") not in _FREQUENCIES or not frequency.startswith("FREQ="):
        return f"expected a rule that begins with FREQ={', '.join(_FREQUENCIES)}, found {shown(text)}"
    for part in text.split(";")[1:]:
        name, _, value = part.partition("=")
        if name not in _PARTS:
            return f"expected {', '.join(_PARTS)}, found {shown(name)}"
        if re.fullmatch(_PARTS[name], value) is None:
            return f"expected another value of {name}, found {shown(value)}"
    return f"expected each part once, divided by `;`, found {shown(text)}"
