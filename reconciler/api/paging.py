"""Pages of sorted lists. A token says what comes next and for which question it was given; it is no secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.message import Message

from reconciler.api.errors import bad_field

USUAL = 100
MOST = 1000
LONGEST_TOKEN = 1024

FULL_BYTES = 2 * 1024 * 1024
"""A page that is this large gets nothing more, so that it stays below the 4 MiB that clients accept."""

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def page_size(asked: int) -> int:
    """How many items a page holds. Raises RefusedError for a negative number; too many are cut down to MOST."""
    if asked < 0:
        raise bad_field("page_size", "expected a number from 0 to 1000")
    return min(asked or USUAL, MOST)


def _question(*filters: str) -> str:
    return hashlib.sha256("\0".join(filters).encode()).hexdigest()[:16]


def token_for(after: str, *filters: str) -> str:
    """The token that goes on after ``after``, good for the same filters only."""
    return base64.urlsafe_b64encode(json.dumps([_question(*filters), after]).encode()).decode()


def after_token(token: str, *filters: str) -> str:
    """What a token goes on after; empty for the first page. Raises RefusedError for one that this list did not give."""
    if not token:
        return ""
    try:
        question, after = json.loads(base64.b64decode(token[:LONGEST_TOKEN], b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise bad_field("page_token", "not a token that this list gave") from error
    if question != _question(*filters) or not isinstance(after, str):
        raise bad_field("page_token", "belongs to a list with other filters")
    return after


def after_number(token: str, *filters: str) -> int:
    """Like ``after_token`` for lists that are ordered by a number; 0 for the first page."""
    after = after_token(token, *filters)
    if not after:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise bad_field("page_token", "not a token that this list gave")
    return int(after)


def fill(
    items: Iterable[T], size: int, convert: Callable[[T], M], name: Callable[[T], str], *filters: str
) -> tuple[list[M], str]:
    """Convert items until the page is full, by number or by bytes, and give the token for the rest ("" when that was all)."""
    page: list[M] = []
    total, last = 0, ""
    for item in items:
        if len(page) == size or total > FULL_BYTES:
            return page, token_for(last, *filters)
        message = convert(item)
        page.append(message)
        total += message.ByteSize()
        last = name(item)
    return page, ""
