"""A commit's bytes, cut the way git cuts them for signing. What two readers could understand differently is refused."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.text import one_line

LARGEST = 1 << 20
"""Bytes of a commit that are looked at; a message of a megabyte is nobody's."""
LARGEST_SIGNATURE = 1 << 16
SIGNATURE = b"gpgsig"
FIXED = frozenset({b"tree", b"parent", b"author", b"committer"})
OTHER_SIGNATURE = b"gpgsig-sha256"
"""Left out of what is signed, so that anybody could put anything there."""


class SignatureError(Exception):
    """Why a commit's signature is not accepted; reads on from "commit X: "."""


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """What is signed, and the signature over it (empty when there is none). ``author`` is only what the commit claims."""

    payload: bytes
    signature: bytes
    author: str
    merge: bool


def split(raw: bytes) -> SignedCommit:
    """Cut a commit object. Raises SignatureError for one that git would not have written."""
    head, end, message = raw.partition(b"\n\n")
    if not end or b"\0" in raw:
        raise SignatureError("it is no well-formed commit")
    fields = _fields(head)
    names = [name for name, _ in fields]
    parents = names.count(b"parent")
    usual = [b"tree", *[b"parent"] * parents, b"author", b"committer"]
    rest = names[len(usual) :]
    if names[: len(usual)] != usual or not FIXED.isdisjoint(rest) or rest.count(b"encoding") > 1:
        raise SignatureError("its header is not the one that git writes")
    if rest.count(SIGNATURE) > 1 or OTHER_SIGNATURE in rest:
        raise SignatureError("it holds more than one signature")
    author = next(lines[0] for name, lines in fields if name == b"author")
    signature = next((lines for name, lines in fields if name == SIGNATURE), [])
    signed = [line for name, lines in fields if name != SIGNATURE for line in lines]
    text = b"\n".join(line.partition(b" ")[2] for line in signature) + b"\n" if signature else b""
    if len(text) > LARGEST_SIGNATURE:
        raise SignatureError(f"its signature has {len(text)} bytes, at most {LARGEST_SIGNATURE} are checked")
    return SignedCommit(b"\n".join(signed) + end + message, text, _person(author), parents > 1)


def _fields(head: bytes) -> list[tuple[bytes, list[bytes]]]:
    """The header's fields in order: the name of each, and its lines."""
    fields: list[tuple[bytes, list[bytes]]] = []
    for line in head.split(b"\n"):
        name = line.partition(b" ")[0]
        if name:
            fields.append((name, [line]))
        elif not fields or fields[-1][0] in FIXED:
            raise SignatureError("its header is not the one that git writes")
        else:
            fields[-1][1].append(line)
    return fields


def _person(line: bytes) -> str:
    text = line.partition(b" ")[2].decode("utf-8", "replace")
    return one_line(text[: text.rfind(">") + 1] or text, 120)


def claimed_author(raw: bytes) -> str:
    """Who a commit claims to be by, for messages; empty when it does not say."""
    line = next((line for line in raw.split(b"\n") if line.startswith(b"author ")), b"")
    return _person(line)
