from __future__ import annotations

import pytest

from reconciler.source.job import Quota
from reconciler.source.quota import quota

DATE = {"Date": "Sat, 21 Nov 2026 10:00:00 GMT"}
TEN = 1_795_255_200
"""DATE, in seconds since 1970."""


@pytest.mark.parametrize(
    ("headers", "remaining", "wait"),
    [
        ({}, -1, 0),
        ({"Retry-After": "17"}, -1, 17),
        ({"retry-after": "17"}, -1, 17),
        ({"Retry-After": "Sat, 21 Nov 2026 10:01:30 GMT", **DATE}, -1, 90),
        ({"Retry-After": "Sat, 21 Nov 2026 09:00:00 GMT", **DATE}, -1, 0),
        ({"Retry-After": "Sat, 21 Nov 2026 10:01:30 GMT"}, -1, 0),
        ({"X-RateLimit-Remaining": "41", "X-RateLimit-Reset": str(TEN + 60), **DATE}, 41, 0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(TEN + 60), **DATE}, 0, 60),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": str(TEN + 60), **DATE}, 0, 60),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 0, 30),
        ({"RateLimit": '"default";r=0;t=12'}, 0, 12),
        ({"RateLimit": "limit=100, remaining=50, reset=50"}, 50, 0),
        ({"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 0, 5),
    ],
)
def test_every_usual_way_of_saying_how_long_to_wait(headers: dict[str, str], remaining: int, wait: float) -> None:
    assert quota(headers) == Quota(remaining, wait)


@pytest.mark.parametrize(
    "text", ["-5", "1e9", "soon", "", "NaN", "9" * 400, "Sat, 99 Nov 2026 99:99:99 GMT", "\u0663", "0x10", "1_0"]
)
def test_nonsense_is_no_wish(text: str) -> None:
    headers = {"Retry-After": text, "X-RateLimit-Remaining": text, "RateLimit": text, "X-RateLimit-Reset": text, **DATE}
    assert quota(headers) == Quota()


def test_nobody_waits_longer_than_an_hour() -> None:
    assert quota({"Retry-After": "999999999"}).wait == 3600
    assert quota({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "999999999999", **DATE}).wait == 3600
