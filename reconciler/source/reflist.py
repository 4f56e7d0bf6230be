"""Reads lists of refs as git servers send them, in both versions of the protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import pygit2

from reconciler.source.job import Refs, complete
from reconciler.source.trouble import Odd, TooLarge

ID = re.compile(rb"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Look:
    """A list of refs as it came. ``digest`` is equal only for equal answers to the same question."""

    body: bytes
    newer: bool
    """Whether it is an answer of protocol version 2."""

    @property
    def digest(self) -> str:
        """Hash of the answer, and of how it was asked for."""
        return f"{'v2' if self.newer else 'v0'}:{sha256(self.body).hexdigest()}"

    def refs(self, most: int) -> Refs:
        """Read it. Raises TooLarge for more than ``most`` refs, Odd for what cannot be read."""
        found = _newer(self.body) if self.newer else _older(self.body)
        if len(found.ids) > most:
            raise TooLarge(f"the repo has more than {most} refs")
        return found


def _packets(data: bytes) -> Iterator[bytes]:
    """The lines of an answer without their ends; b"" stands for a flush. Raises Odd when it is cut off or no such thing."""
    at = 0
    while at < len(data):
        size = data[at : at + 4]
        length = int(size, 16) if re.fullmatch(b"[0-9a-f]{4}", size) else 1
        if length in {1, 2, 3} or at + max(length, 4) > len(data):
            raise Odd("no list of refs")
        yield data[at + 4 : at + length].removesuffix(b"\n") if length else b""
        at += max(length, 4)


def speaks_newer(body: bytes) -> bool:
    """Whether a server's first answer offers version 2. Raises Odd when it has another object format, or is no answer."""
    lines = (
        [line for line in _packets(body[: body.find(b"0000", 40) + 4]) if line] if b"version 2\n" in body[:80] else []
    )
    known = {line.partition(b"=")[0]: line.partition(b"=")[2] for line in lines}
    if b"ls-refs" in known and known.get(b"object-format", b"sha1") != b"sha1":
        raise Odd("another object format")
    return b"version 2" in lines and b"ls-refs" in known


def _newer(body: bytes) -> Refs:
    lines = list(_packets(body))
    if not lines or lines[-1] or b"" in lines[:-1]:
        raise Odd("a list of refs without its end")
    ids: dict[str, str] = {}
    top = default = ""
    for line in lines[:-1]:
        oid, _, more = line.partition(b" ")
        name, *rest = more.split(b" ")
        if name == b"HEAD" and ID.fullmatch(oid):
            top = oid.decode()
            default = next((_name(item[14:]) for item in rest if item.startswith(b"symref-target:")), "")
        else:
            _keep(ids, oid, name)
    if default:
        ids.setdefault(default, top)
    found = complete(ids, top, default)
    if top and not found.default:
        raise Odd("a HEAD without a name: only the list of all branches says which one it may be")
    return found


def _older(body: bytes) -> Refs:
    lines = list(_packets(body))
    if lines and lines[0].startswith(b"# service="):
        lines = lines[2:]
    if not lines or lines[-1]:
        raise Odd("a list of refs without its end")
    ids: dict[str, str] = {}
    top = ""
    abilities = b""
    for line in lines:
        text, _, more = line.partition(b"\0")
        abilities = abilities or more
        oid, _, name = text.partition(b" ")
        if name == b"HEAD":
            top = oid.decode()
        elif ID.fullmatch(oid):
            _keep(ids, oid, name)
    if b"object-format=sha256" in abilities or b"version 1" in lines:
        raise Odd("another format")
    symref = re.search(rb"(?:^| )symref=HEAD:(\S+)", abilities)
    return complete(ids, top, _name(symref[1]) if symref else "")


def _keep(ids: dict[str, str], oid: bytes, name: bytes) -> None:
    if not ID.fullmatch(oid):
        raise Odd("an object id that is none")
    if name.startswith((b"refs/heads/", b"refs/tags/")) and not name.endswith(b"^{}"):
        text = _name(name)
        if text:
            ids[text] = oid.decode()


def _name(raw: bytes) -> str:
    """A ref's name as text; "" for one that git would not accept."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() and pygit2.reference_is_valid_name(text) else ""
