"""How often a server wants to be asked, as its answers say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from reconciler.source.job import Quota

LONGEST_WAIT = 3600.0
"""Seconds: a server that asks for more is asked again after these."""
EPOCH = 1_000_000_000
"""A reset time from here on is a date in seconds since 1970, a smaller one is a number of seconds from now."""


def quota(headers: Mapping[str, str]) -> Quota:
    """What the headers of an answer say. Dates are compared with the server's own, so no clock is read.

    ``Retry-After`` in both forms, ``X-RateLimit-*`` (GitHub, Gitea, Bitbucket), ``RateLimit-*`` (GitLab, older drafts) and
    the one-line ``RateLimit`` of the newest draft.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    remaining, reset = _plain(headers)
    if remaining < 0:
        remaining, reset = _line(headers.get("ratelimit", ""))
    asked = _retry_after(headers)
    wait = asked or (_until(reset, headers) if remaining == 0 else 0.0)
    return Quota(remaining, min(wait, LONGEST_WAIT))


def _plain(headers: Mapping[str, str]) -> tuple[int, int]:
    for prefix in ("x-ratelimit", "ratelimit"):
        remaining = _number(headers.get(f"{prefix}-remaining", ""))
        if remaining >= 0:
            return remaining, _number(headers.get(f"{prefix}-reset", ""))
    return -1, -1


def _line(text: str) -> tuple[int, int]:
    """The parameters of ``"name";r=5;t=30`` or ``limit=10, remaining=5, reset=30``."""
    values = {name.lower(): int(value) for name, value in re.findall(r"\b([a-zA-Z]+)=(\d{1,12})\b", text[:500])}
    return values.get("r", values.get("remaining", -1)), values.get("t", values.get("reset", -1))


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    return float(seconds) if seconds >= 0 else _apart(text, headers.get("date", ""))


def _until(reset: int, headers: Mapping[str, str]) -> float:
    if reset < EPOCH:
        return float(max(reset, 0))
    try:
        return max(0.0, reset - parsedate_to_datetime(headers.get("date", "")).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def _apart(later: str, earlier: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(later).timestamp() - parsedate_to_datetime(earlier).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text.strip()) else -1
