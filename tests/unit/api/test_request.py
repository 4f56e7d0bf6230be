"""The parser of webhook requests, given anything in any pieces."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.api.connections import LARGEST_HEAD
from reconciler.api.forges import Forge, claim, is_ping
from reconciler.api.request import (
    MOST_CHUNKS,
    EmptyError,
    EncodedError,
    Head,
    MalformedError,
    TooLargeError,
    body_length,
    parse_head,
    read_body,
    read_head,
)

MOST = 4096
REFUSALS = (MalformedError, TooLargeError, EncodedError, EmptyError)
START = b"POST /webhooks/github HTTP/1.1\r\n"


def read(data: bytes, cuts: list[int] | None = None) -> tuple[Head, bytes]:
    """What a request of these bytes holds, when they come cut into pieces."""

    async def main() -> tuple[Head, bytes]:
        reader = asyncio.StreamReader(limit=LARGEST_HEAD)
        places = sorted({0, *(cut % (len(data) + 1) for cut in cuts or []), len(data)})

        async def send() -> None:
            for start, end in itertools.pairwise(places):
                reader.feed_data(data[start:end])
                await asyncio.sleep(0)
            reader.feed_eof()

        sending = asyncio.ensure_future(send())
        try:
            head = await read_head(reader)
            return head, b"".join([piece async for piece in read_body(reader, body_length(head, MOST), MOST)])
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    return asyncio.run(main())


GRAMMAR = st.lists(
    st.sampled_from(
        [
            *(
                START,
                b"GET / HTTP/1.0\r\n",
                b"Content-Length: 5\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"\r\n",
                b"\n",
            ),
            *(
                b"Content-Encoding: gzip\r\n",
                b"5\r\nhello\r\n",
                b"0\r\n",
                b"hello",
                b"ffffffff\r\n",
                b"X: \xff\r\n",
                b"\0",
            ),
            *(
                b"x-hub-signature-256: sha256=" + b"0" * 64 + b"\r\n",
                b"webhook-signature: v1,AA==\r\n",
                b": \r\n",
                b" ",
            ),
        ]
    ),
    max_size=12,
).map(b"".join)


@given(st.binary(max_size=200) | GRAMMAR, st.lists(st.integers(0, 500), max_size=5))
@example(START + b"a" * 20_000, [])
@example(START + b"Transfer-Encoding: chunked\r\n\r\n" + b"a" * 20_000, [])
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_a_request_or_a_refusal(data, cuts):
    with contextlib.suppress(*REFUSALS):
        head, body = read(data, cuts)
        assert len(body) <= MOST
        assert body in data or "transfer-encoding" in head.fields
        assert head.path.startswith("/")
        for forge in Forge:
            with contextlib.suppress(MalformedError):
                claim(forge, head, 0.0)
                is_ping(forge, head)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.lists(st.integers(0, 3000), max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_body_arrives_whole_however_it_is_cut(chunks, cuts):
    body = b"".join(chunks)
    plain = START + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    assert read(plain, cuts)[1] == body
    framed = b"".join(f"{len(chunk):X} ; a=b\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    assert read(START + b"Transfer-Encoding: Chunked\r\n\r\n" + framed + b"0\r\nT: 1\r\n\r\n", cuts)[1] == body


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_head_is_understood_or_malformed(data):
    with contextlib.suppress(MalformedError):
        head = parse_head(START + data + b"\r\n\r\n")
        assert all(name == name.lower() for name in head.fields)
        assert not [value for values in head.fields.values() for value in values if set(value) & set("\r\n\0")]


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (b"Content-Length: 5\r\n\r\nhell", MalformedError),
        (b"Content-Length: 4097\r\n\r\n", TooLargeError),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", MalformedError),
        (b"Content-Encoding: deflate\r\n\r\n", EncodedError),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", MalformedError),
        (b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", MalformedError),
        (b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", MalformedError),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * MOST_CHUNKS + b"0\r\n\r\n", TooLargeError),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", MalformedError),
        (b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 4095 + b"\r\n2\r\nxx\r\n", TooLargeError),
    ],
)
def test_a_body_that_is_not_what_its_head_says(rest, error):
    with pytest.raises(error):
        read(START + rest)


def test_nothing_at_all_is_told_from_something_malformed():
    with pytest.raises(EmptyError):
        read(b"")
    with pytest.raises(MalformedError):
        read(b"P")


def test_a_head_of_any_length_is_bounded():
    with pytest.raises(TooLargeError):
        read(START + b"X: y\r\n" * 10_000)
