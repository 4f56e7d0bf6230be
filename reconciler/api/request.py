"""Reads an HTTP request of bounded size as a stream. What two readers could understand differently is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

PIECE = 64 * 1024
"""Bytes of a body that are held at once."""
MOST_CHUNKS = 4096
LARGEST_TRAILER = 4096
REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.([01])")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
LENGTH = re.compile("[0-9]{1,12}")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t -~]*)?\r\n")


class MalformedError(Exception):
    """It is not HTTP as RFC 9112 has it."""


class EmptyError(Exception):
    """The connection was closed before anything was said."""


class TooLargeError(Exception):
    """It has more bytes than are read."""


class EncodedError(Exception):
    """Its content is compressed, or otherwise not as it was signed."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the body. Names of fields are in small letters."""

    method: str
    path: str
    """Without the query."""
    version: int
    """Of HTTP/1."""
    fields: Mapping[str, tuple[str, ...]]

    def field(self, name: str) -> str:
        """The value of a field; empty when there is none. Raises MalformedError when there are several."""
        values = self.fields.get(name, ())
        if len(values) > 1:
            raise MalformedError
        return values[0] if values else ""


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read up to the body. Raises MalformedError, EmptyError, and TooLargeError beyond the reader's limit."""
    try:
        data = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise TooLargeError from None
    except asyncio.IncompleteReadError as error:
        raise MalformedError if error.partial else EmptyError from None
    return parse_head(data)


def parse_head(data: bytes) -> Head:
    """Understand a request's head, with the empty line that ends it. Raises MalformedError."""
    first, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = REQUEST.fullmatch(first)
    if request is None:
        raise MalformedError
    fields: dict[str, tuple[str, ...]] = {}
    for line in lines:
        match = FIELD.fullmatch(line)
        if match is None:
            raise MalformedError
        name = match[1].decode("ascii").lower()
        fields[name] = (*fields.get(name, ()), match[2].decode("latin-1"))
    return Head(request[1].decode("ascii"), request[2].partition(b"?")[0].decode("ascii"), int(request[3]), fields)


def body_length(head: Head, most: int) -> int | None:
    """Bytes of the body; None for one in chunks.

    Raises MalformedError for what contradicts itself, TooLargeError, and EncodedError for a body that is not as it was sent.
    """
    if head.field("content-encoding").lower() not in {"", "identity"}:
        raise EncodedError
    transfer, length = head.field("transfer-encoding").lower(), head.field("content-length")
    if "transfer-encoding" in head.fields:
        if transfer != "chunked" or "content-length" in head.fields or head.version == 0:
            raise MalformedError
        return None
    if "content-length" not in head.fields:
        return 0
    if not LENGTH.fullmatch(length):
        raise MalformedError
    if int(length) > most:
        raise TooLargeError
    return int(length)


async def read_body(reader: asyncio.StreamReader, length: int | None, most: int) -> AsyncIterator[bytes]:
    """Pieces of a body of ``length`` bytes, or in chunks, of ``most`` bytes in all.

    Raises MalformedError when it ends early or is no sequence of chunks, TooLargeError beyond ``most``.
    """
    if length is not None:
        async for piece in _pieces(reader, length):
            yield piece
        return
    total = 0
    for _ in range(MOST_CHUNKS):
        size = await _chunk_size(reader)
        total += size
        if total > most:
            raise TooLargeError
        if size == 0:
            await _skip_trailer(reader)
            return
        async for piece in _pieces(reader, size):
            yield piece
        if await _line(reader) != b"\r\n":
            raise MalformedError
    raise TooLargeError


async def _pieces(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    left = length
    while left:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise MalformedError
        left -= len(piece)
        yield piece


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    match = SIZE.fullmatch(await _line(reader))
    if match is None:
        raise MalformedError
    return int(match[1], 16)


async def _skip_trailer(reader: asyncio.StreamReader) -> None:
    size = 0
    while (line := await _line(reader)) != b"\r\n":
        size += len(line)
        if size > LARGEST_TRAILER:
            raise TooLargeError


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
        raise MalformedError from None
