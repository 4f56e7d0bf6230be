"""Fields that say when: points in time, cron expressions, recurrence rules, time zones."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, WithJsonSchema

from reconciler.core.times import (
    CLOCK,
    CRON_PATTERN,
    DATE,
    MAX_CRON,
    ZONE,
    NeverError,
    check_cron,
    parse_deadline,
    parse_moment,
)
from reconciler.core.units import shown
from reconciler.manifest.fields import fault, text_schema
from reconciler.manifest.problem import Code, meant, quoted
from reconciler.manifest.quantities import Quantity
from reconciler.manifest.recurrence import MAX_RULE, RULE_PATTERN, check_rule

_TIME = f"{DATE}T{CLOCK}"
Deadline = Annotated[
    float,
    Quantity(
        lambda value: parse_deadline(_text(value)),
        {
            "$comment": "time",
            **text_schema(
                f"{_TIME}{ZONE}|{DATE}",
                "a time with its zone, such as 2026-12-24T18:00:00Z, or a day, which counts to its end in UTC",
            ),
        },
        lambda _: "Write it as `2026-12-24T10:00:00+01:00`, or as `2026-12-24` for the end of that day in UTC",
    ),
]
"""Unix seconds."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text with a time in it, found {shown(value)}")  # noqa: TRY004 - callers report ValueError
    return value


def _checked(check: Callable[[str], object], hint: str) -> AfterValidator:
    def run(text: str) -> str:
        try:
            check(text)
        except NeverError as error:
            raise fault(Code.WRONG_SCHEDULE, str(error), hint) from None
        except ValueError as error:
            raise fault(Code.WRONG_VALUE, str(error), hint) from None
        return text

    return AfterValidator(run)


def _whole_time(text: str) -> None:
    if "T" not in text:
        raise ValueError(f"expected a time such as 2026-12-24T18:00, found {shown(text)}")
    parse_moment(text)


Moment = Annotated[
    str,
    _checked(_whole_time, "Write it as 2026-12-24T18:00, with Z or +01:00 behind it where no `timeZone` is given"),
    WithJsonSchema(
        {
            "$comment": "time",
            **text_schema(f"{_TIME}{ZONE}?", "a time such as 2026-12-24T18:00 (local) or 2026-12-24T18:00:00Z"),
        }
    ),
]
"""A time with its offset, or a local one that needs a time zone beside it."""
ZONED = f"^{_TIME}{ZONE}$"

Cron = Annotated[
    str,
    _checked(check_cron, "Write minute, hour, day of the month, month and day of the week, such as `0 18 * * fri`"),
    WithJsonSchema(
        {"$comment": "cron expression", **text_schema(CRON_PATTERN, "five fields, such as 0 18 * * fri", "", MAX_CRON)}
    ),
]
Rule = Annotated[
    str,
    _checked(check_rule, "Write it as iCalendar does, such as `FREQ=WEEKLY;BYDAY=FR`"),
    WithJsonSchema(
        {"$comment": "recurrence rule", **text_schema(RULE_PATTERN, "FREQ=WEEKLY;BYDAY=FR or the like", "", MAX_RULE)}
    ),
]

_ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,29}(/[A-Za-z0-9_+-]{1,30}){0,2}")


@cache
def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


def _zone(name: str) -> str:
    if _ZONE_NAME.fullmatch(name) is None:
        found = f"expected a time zone such as Europe/Paris or UTC, found {quoted(name)}"
        raise fault(Code.WRONG_VALUE, found, meant(name, available_timezones()) if len(name) < 60 else "Shorten it")
    if not _known_zone(name):
        found = f"there is no time zone {quoted(name)}"
        raise fault(Code.UNKNOWN_TIME_ZONE, found, meant(name, available_timezones()))
    return name


TimeZone = Annotated[
    str,
    AfterValidator(_zone),
    WithJsonSchema({"$comment": "time zone", **text_schema(_ZONE_NAME.pattern, "a time zone such as Europe/Paris")}),
]
