from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from envoys import KEY, host
from http_traffic import stopwatch
from pydantic import ValidationError
from raw_server import HEAD, Script, serving

from reconciler.core.observed import Counters, Reading
from reconciler.metric_sources.prometheus import Config, PrometheusMetrics

GOOD = {
    "stable.sent": "10",
    "stable.answered": "9",
    "stable.failed": "1",
    "canary.sent": "5",
    "canary.answered": "5",
    "canary.failed": "0",
    "start": "1000.4",
}


def series(part: str, value: str, **labels: str) -> dict[str, object]:
    return {"metric": {"prodsprint_part": part, **labels}, "value": [1.0, value]}


def vector(*rows: dict[str, object]) -> bytes:
    return HEAD + json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()


def good(*more: dict[str, object], **changes: str | None) -> bytes:
    values = {**GOOD, **{name.replace("_", "."): value for name, value in changes.items()}}
    return vector(*(series(part, value) for part, value in values.items() if value is not None), *more)


def read(tmp_path: Path, *pieces: bytes, pause: float = 0.0, hold: bool = False, **settings: object) -> Reading:
    with serving(Script(*pieces, pause=pause, hold=hold)) as url:
        return source(tmp_path, url, **settings).read(KEY)


def source(tmp_path: Path, url: str, **settings: object) -> PrometheusMetrics:
    return PrometheusMetrics(host(tmp_path), Config.model_validate({"url": url, **settings}))


def test_reads_both_sides(tmp_path: Path) -> None:
    edges = [("0.005", "3"), ("+Inf", "9"), ("0.1", "7")]
    reading = read(tmp_path, good(*(series("stable.buckets", value, le=le) for le, value in edges)), bucket_unit="s")
    assert reading.stable == Counters("1000", 10, 9, 1, 9, ((5.0, 3), (100.0, 7)))
    assert reading.canary == Counters("1000", 5, 5, 0)
    assert reading.error == ""


def test_asks_once_for_everything_and_sends_the_token_of_the_moment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    script = Script(good())
    queries = {"sent": "a{side='{side}'} # why", "start": ""}
    with serving(script) as url:
        asked = source(tmp_path, f"{url}/prefix/", bearer_token_file=tmp_path / "token", queries=queries)
        asked.read(KEY)
        (tmp_path / "token").write_text("newer")
        asked.read(KEY)
    assert len(script.heard) == 2
    head, _, body = script.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/api/v1/query HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer s3cret\r\n" in head + b"\r\n"
    assert b"Bearer newer" in script.heard[1]
    query = parse_qs(body.decode())["query"][0]
    assert "a{side='shop/cart/prod/canary'} # why\n)" in query
    assert '"start"' not in query


def test_a_start_that_wavers_is_one_epoch_and_a_later_one_another(tmp_path: Path) -> None:
    epochs = []
    script = Script()
    with serving(script) as url:
        asked = source(tmp_path, url)
        for start in ("1000.4", "1001.9", "999.1", "1020"):
            script.pieces = (good(start=start),)
            epochs.append(asked.read(KEY).stable.epoch)
    assert epochs == ["1000", "1000", "1000", "1020"]


def test_without_a_start_the_epoch_is_unnamed(tmp_path: Path) -> None:
    assert read(tmp_path, good(start=None)).stable.epoch == ""


@pytest.mark.parametrize("role", ["stable", "canary"])
def test_a_side_that_was_never_sent_anything_is_none_and_not_zero(tmp_path: Path, role: str) -> None:
    missing = {f"{role}_{name}": None for name in ("sent", "answered", "failed")}
    reading = read(tmp_path, good(**missing))
    assert getattr(reading, role) is None
    assert getattr(reading, "canary" if role == "stable" else "stable") is not None
    assert reading.error == ""


def test_no_series_at_all_is_two_unknown_sides(tmp_path: Path) -> None:
    reading = read(tmp_path, vector())
    assert (reading.stable, reading.canary, reading.error) == (None, None, "")


DEEP = HEAD + b'{"a":' + b"[" * 200_000
BAD_ANSWERS: dict[str, tuple[bytes, str]] = {
    "NaN": (good(canary_failed="NaN"), r"query canary.failed gives NaN, expected a number"),
    "infinity": (good(canary_sent="+Inf"), r"query canary.sent gives .*Inf, expected a number"),
    "negative": (good(canary_failed="-1"), r"canary.failed gives -1.0, expected a count"),
    "a rate": (good(stable_sent="0.25"), r"stable.sent gives 0.25, expected a count: a whole number, not a rate"),
    "beyond whole floats": (good(stable_sent="1e300"), r"expected a count"),
    "no number": (good(stable_sent="many"), r"gives 'many', expected a number"),
    "several series": (good(series("canary.sent", "7", pod="x")), r"canary.sent has 2 series.*sum\(\)"),
    "failures missing": (good(canary_failed=None), r"canary.failed has no result though canary.sent has"),
    "answers missing": (good(canary_answered=None), r"canary.answered has no result"),
    "buckets without le": (good(series("stable.buckets", "1")), r"without the label le"),
    "buckets twice": (
        good(*(series("stable.buckets", "1", le="+Inf", pod=pod) for pod in "ab")),
        r"several series for one le",
    ),
    "buckets without +Inf": (good(series("stable.buckets", "1", le="5")), r"not a cumulative histogram"),
    "buckets that shrink": (
        good(series("stable.buckets", "4", le="5"), series("stable.buckets", "3", le="+Inf")),
        r"not a cumulative histogram",
    ),
    "an edge that is no number": (good(series("stable.buckets", "4", le="wide")), r"could not convert|number"),
    "a bucket that is no count": (good(series("stable.buckets", "4.5", le="+Inf")), r"expected a count"),
    "matrix": (HEAD + b'{"status":"success","data":{"resultType":"matrix","result":[]}}', r"instant query"),
    "error with 200": (HEAD + b'{"status":"error","error":"x"}', r"instant query"),
    "another JSON": (HEAD + b'{"hello":["world"]}', r"HTTP API"),
    "a list": (HEAD + b"[]", r"HTTP API"),
    "labels that are none": (vector({"metric": 5, "value": [1, "1"]}), r"HTTP API"),
    "truncated JSON": (good()[:-20], r"cannot be understood"),
    "garbage": (HEAD + bytes(range(256)), r"cannot be understood"),
    "deep": (DEEP, r"cannot be understood"),
    "empty": (HEAD, r"cannot be understood"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", r"not HTTP"),
    "closed at once": (b"", r"closed without an answer"),
    "cut off": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{}", r"cut off"),
    "cut off in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", r"cut off"),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{", r"."),
    "500": (b"HTTP/1.1 500 Internal Server Error\r\n\r\n<html>", r"status 500$"),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", r"status 302"),
    "bad query": (
        b'HTTP/1.1 400 Bad Request\r\n\r\n{"status":"error","error":"parse error: unexpected end of input"}',
        r"status 400: parse error: unexpected end",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_an_error_that_says_why_and_never_a_number(tmp_path: Path, name: str) -> None:
    answer, words = BAD_ANSWERS[name]
    reading = read(tmp_path, answer)
    assert (reading.stable, reading.canary) == (None, None)
    assert re.search(words, reading.error)
    assert reading.error.startswith("Prometheus at http://127.0.0.1:")
    assert len(reading.error) < 500


SLOW: dict[str, Callable[[], dict[str, object]]] = {
    "never answers": lambda: {"hold": True},
    "drips its head": lambda: {"pieces": [b"x"] * 400, "pause": 0.02},
    "drips its body": lambda: {"pieces": [HEAD, *[b" "] * 400], "pause": 0.02},
}


@pytest.mark.parametrize("name", SLOW)
def test_the_deadline_is_for_the_whole_answer(tmp_path: Path, name: str) -> None:
    how = SLOW[name]()
    begun = stopwatch()
    reading = read(tmp_path, *how.pop("pieces", ()), timeout=0.2, **how)
    assert "no whole answer within 0.2 s" in reading.error
    assert stopwatch() - begun < 1.0


def test_an_endless_answer_is_not_kept(tmp_path: Path) -> None:
    reading = read(tmp_path, HEAD, *[b"x" * 1_000_000] * 9)
    assert "larger than 2000000 bytes" in reading.error


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "uml\u00e4ut"])
def test_a_bad_token_is_an_error_that_does_not_tell_it(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    reading = source(tmp_path, "http://127.0.0.1:1", bearer_token_file=tmp_path / "token").read(KEY)
    assert "holds no token" in reading.error
    assert not token or token not in reading.error


def test_a_missing_token_file_is_an_error(tmp_path: Path) -> None:
    reading = source(tmp_path, "http://127.0.0.1:1", bearer_token_file=tmp_path / "none").read(KEY)
    assert "No such file" in reading.error


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9090", "ftp://host", "http://", "http://user:pw@host", "http://host/?x=1", "http://host:port"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"url": url})


def test_an_unknown_host_is_an_error(tmp_path: Path) -> None:
    assert source(tmp_path, "http://no-such-host.invalid").read(KEY).error


def test_tls_is_verified(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on the PATH")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *names)
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(Script(good()), tls=context) as url:
        secure = url.replace("http:", "https:")
        assert "CERTIFICATE_VERIFY_FAILED" in source(tmp_path, secure).read(KEY).error
        assert source(tmp_path, secure, ca_file=certificate).read(KEY).stable.sent == 10


def test_a_plain_server_is_not_taken_for_a_secure_one(tmp_path: Path) -> None:
    with serving(Script(good())) as url:
        assert source(tmp_path, url.replace("http:", "https:"), timeout=0.2).read(KEY).error


def test_the_default_queries_are_valid_promql(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool on the PATH")
    script = Script(good())
    with serving(script) as url:
        source(tmp_path, url).read(KEY)
    query = parse_qs(script.heard[0].partition(b"\r\n\r\n")[2].decode())["query"][0]
    rules = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": query}]}]}
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], check=True, capture_output=True)
