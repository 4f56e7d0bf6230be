"""Points in time and recurring times as people write them: RFC 3339, cron. Nothing here knows time zones by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from reconciler.core.units import shown

_ODD = "(?:0[13578]|1[02])-31|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_LEAP = "20(?:[02468][048]|[13579][26])-02-29"
DATE = f"(?:20[0-9]{{2}}-(?:{_ODD})|{_LEAP})"
"""A day of the years 2000 to 2099 that exists."""
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
ZONE = "(?:Z|[-+](?:0[0-9]|1[0-4]):[0-5][0-9])"
_MOMENT = re.compile(f"({DATE})(?:T({CLOCK})({ZONE})?)?")
_MOMENT_HELP = "a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00Z"

_DAYS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_CRON_HELP = "five fields (minute, hour, day of the month, month, day of the week), such as `0 18 * * fri`"


def parse_moment(text: str) -> date | datetime:
    """A day, a local time (naive) or a time with its offset. Raises ValueError otherwise."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        tidy = text.strip().upper().replace(" ", "T", 1)
        meant = f"; did you mean {tidy}?" if tidy != text and _MOMENT.fullmatch(tidy) else ""
        raise ValueError(f"expected {_MOMENT_HELP} (years 2000 to 2099), found {shown(text)}{meant}")
    day, clock, _ = match.groups()
    return datetime.fromisoformat(text) if clock else date.fromisoformat(day)


def parse_deadline(text: str) -> float:
    """Unix seconds of a time with its offset, or of the end of a day in UTC. Raises ValueError otherwise."""
    moment = parse_moment(text)
    if not isinstance(moment, datetime):
        return datetime.combine(moment + timedelta(days=1), time(), UTC).timestamp()
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, such as {text}Z or {text}+01:00, found {shown(text)}")
    return moment.timestamp()


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a cron expression: its name, range and the words that stand for numbers from ``least`` on."""

    name: str
    least: int
    most: int
    number: str
    words: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        word = text.lower()
        return self.words.index(word) + self.least if word in self.words else int(text)

    def atom(self) -> str:
        spelt = ["".join(f"[{letter.upper()}{letter}]" for letter in word) for word in self.words]
        return f"(?:{'|'.join((self.number, *spelt))})"

    def pattern(self) -> str:
        item = rf"(?:\*(?:/[1-9][0-9]?)?|{self.atom()}(?:-{self.atom()}(?:/[1-9][0-9]?)?)?)"
        return f"{item}(?:,{item}){{0,59}}"


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("minute", 0, 59, "[0-5]?[0-9]"),
    _Field("hour", 0, 23, "(?:[01]?[0-9]|2[0-3])"),
    _Field("day of the month", 1, 31, "(?:0?[1-9]|[12][0-9]|3[01])"),
    _Field("month", 1, 12, "(?:0?[1-9]|1[0-2])", _MONTHS),
    _Field("day of the week", 0, 7, "[0-7]", _WEEK),
)
MAX_CRON = 200
CRON_PATTERN = " +".join(f"(?:{field.pattern()})" for field in _FIELDS)
_PATTERNS = tuple(re.compile(field.pattern()) for field in _FIELDS)


class NeverError(ValueError):
    """A recurring time is well written, and there is no such time."""


def check_cron(text: str) -> None:
    """Raise ValueError for what is no cron expression, NeverError for a day that never comes or a range run backwards."""
    if len(text) > MAX_CRON:
        raise ValueError(f"a cron expression has at most {MAX_CRON} characters")
    fields = re.split(" +", text)
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected {_CRON_HELP}, found {shown(text)}")
    for field, known, pattern in zip(fields, _FIELDS, _PATTERNS, strict=True):
        if pattern.fullmatch(field) is None:
            expected = f"{known.name} from {known.least} to {known.most}{' or a name' if known.words else ''}"
            raise ValueError(f"expected {expected} with * , - and / (as in 1-5 or */2), found {shown(field)}")
    _, _, days, months, week = (_numbers(field, known) for field, known in zip(fields, _FIELDS, strict=True))
    # With a day of the week beside it, a day of the month is an alternative (cron's rule), unless one of them is *.
    alternative = not fields[4].startswith("*") and not fields[2].startswith("*") and week
    if not alternative and all(min(days) > _DAYS.get(month, 31) for month in months):
        raise NeverError(f"no month of {fields[3]!r} has a day {fields[2]!r}")


def _numbers(field: str, known: _Field) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            low, high = known.least, known.most
        else:
            low = known.value(first)
            high = known.value(last) if last else low
        if low > high:
            raise NeverError(f"the range {span!r} runs backwards; write it as two, with a comma between them")
        found.update(range(low, high + 1, int(step or 1)))
    return found
