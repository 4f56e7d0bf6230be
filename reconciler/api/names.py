"""Reads and refuses what callers write into requests."""

from __future__ import annotations

import re

from reconciler.api.errors import bad_field
from reconciler.core.desired import Key

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
BEHALF = re.compile(r"[A-Za-z0-9._@+:-]{1,100}")
LONGEST_REASON = 500


def key_of(text: str, field: str = "key") -> Key:
    """A key. Raises RefusedError for anything but workspace/project/environment."""
    parts = text.split("/")
    if len(parts) != 3 or not all(NAME.fullmatch(part) for part in parts):
        raise bad_field(field, "expected workspace/project/environment, each 1 to 40 of a-z 0-9 - (no - at either end)")
    return Key(*parts)


def filter_of(text: str, field: str) -> str:
    """A name to filter by, or nothing. Raises RefusedError for what no name can be."""
    if text and not NAME.fullmatch(text):
        raise bad_field(field, "expected a name: 1 to 40 of a-z 0-9 - (no - at either end)")
    return text


def reason_of(text: str) -> str:
    """Why somebody asks. Raises RefusedError when it is empty, too long, or could forge a line of a log."""
    reason = text.strip()
    if not reason:
        raise bad_field("reason", "say why: it is recorded in the audit")
    if len(reason) > LONGEST_REASON:
        raise bad_field("reason", f"expected at most {LONGEST_REASON} characters, found {len(reason)}")
    if not reason.isprintable():
        raise bad_field("reason", "expected one line without control characters")
    return reason


def who_asks(identity: str, on_behalf_of: str) -> str:
    """The identity that is trusted, and beside it the one that is only claimed. Raises RefusedError for an odd claim."""
    if not on_behalf_of or identity.endswith(f":{on_behalf_of}"):
        return identity
    if not BEHALF.fullmatch(on_behalf_of):
        raise bad_field("on_behalf_of", "expected 1 to 100 of A-Z a-z 0-9 . _ @ + : -")
    return f"{identity} for {on_behalf_of}"
