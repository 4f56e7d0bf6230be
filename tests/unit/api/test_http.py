from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import contextmanager

import pytest
from waiting import eventually

from reconciler.api import http as pages_http
from reconciler.api.http import MOST_CONNECTIONS, Pages, serve_http
from reconciler.core.outcome import TerminalError
from reconciler.telemetry import Telemetry


@contextmanager
def served(unready=(), address="127.0.0.1:0"):
    reasons = list(unready)
    pages = Pages(Telemetry("1.2.3").registry, lambda: tuple(reasons))
    stop, up, found, faults = threading.Event(), threading.Event(), [], []

    def run():
        try:
            serve_http(pages, address, lambda where: (found.append(where), up.set()), stop)
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            faults.append(error)
            up.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(10)
    if faults:
        thread.join()
        raise faults[0]
    host, _, port = found[0].rpartition(":")
    try:
        yield (host, int(port)), reasons, pages
    finally:
        stop.set()
        thread.join(3)
        assert not thread.is_alive()
        assert not faults


def get(where, path, method="GET"):
    connection = http.client.HTTPConnection(*where, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def raw(where, data):
    with socket.create_connection(where, timeout=10) as line:
        line.sendall(data)
        got = b""
        while piece := line.recv(65536):
            got += piece
        return got


def test_the_three_pages_and_nothing_else():
    with served() as (where, _, _):
        status, headers, body = get(where, "/metrics")
        assert status == 200
        assert b'prodsprint_build_info{python="3.' in body
        assert headers["Content-Type"].startswith("text/plain; version=")
        assert get(where, "/healthz")[0::2] == (200, b"OK\n")
        assert get(where, "/metrics?a=b")[0] == 200
        for path in ("/", "/metrics/", "/etc/passwd", "/..%2f", "//metrics", "*"):
            assert get(where, path)[0::2] == (404, b"Not Found\n")
        assert get(where, "/metrics", "HEAD")[2] == b""
        assert get(where, "/metrics", "POST")[0] == 405
        assert get(where, "/healthz", "DELETE")[0] == 405
        assert "Server" not in headers


def test_ready_says_why_not():
    with served(["the config repo was never read"]) as (where, reasons, _):
        status, headers, body = get(where, "/readyz")
        assert status == 503
        assert json.loads(body) == {"ready": False, "reasons": ["the config repo was never read"]}
        assert headers["Content-Type"] == "application/json"
        assert get(where, "/healthz")[0] == 200
        reasons.clear()
        status, _, body = get(where, "/readyz")
        assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / SPDY/3\r\n\r\n"]
)
def test_what_is_no_http_is_a_bad_request(data):
    with served() as (where, _, _):
        assert raw(where, data).startswith(b"HTTP/1.1 400 ")
        assert get(where, "/healthz")[0] == 200


def test_an_endless_head_is_cut_off():
    with served() as (where, _, _):
        assert raw(where, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000).startswith((b"HTTP/1.1 431 ", b""))
        assert get(where, "/healthz")[0] == 200


def test_slow_and_silent_connections_are_ended_and_bounded(monkeypatch):
    monkeypatch.setattr(pages_http, "PATIENCE", 1.0)
    with served() as (where, _, _):
        idle = [socket.create_connection(where, timeout=10) for _ in range(MOST_CONNECTIONS)]
        idle[0].sendall(b"GET /healthz HT")
        eventually(lambda: not answered(where), what="one connection too many is closed unanswered")
        for line in idle:
            assert _ended(line)
            line.close()
        eventually(lambda: answered(where), what="there is room again")


def answered(where):
    try:
        return bool(raw(where, b"GET /healthz HTTP/1.1\r\n\r\n"))
    except ConnectionResetError:
        return False


def _ended(line):
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_page_that_fails_leaks_nothing(caplog):
    with served() as (where, _, pages):

        def broken():
            raise RuntimeError("secret path")

        pages.unready = broken
        status, _, body = get(where, "/readyz")
        assert (status, body) == (500, b"Internal Server Error\n")
    assert "secret path" in caplog.text


def test_a_taken_port_is_a_clear_error():
    with served() as ((host, port), _, _):
        again = served(address=f"{host}:{port}")
        with pytest.raises(TerminalError, match="cannot listen"):
            again.__enter__()


def asked(where, *heads):
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall("\r\n".join(("GET /metrics HTTP/1.1", *heads, "", "")).encode())
        return connection.makefile("rb").readline().split()[1].decode()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7480", "127.0.0.1:7480", "[::1]:7480", "192.0.2.7", "[::1]"])
def test_this_machine_may_be_called_by_address_and_as_localhost(host):
    with served() as (where, _, _):
        assert asked(where, f"Host: {host}") == "200"


@pytest.mark.parametrize(
    "heads",
    [
        ("Host: evil.example",),
        ("Host: evil.example:7480",),
        ("HOST:evil.example",),
        ("Host : evil.example",),
        ("Host: localhost", "Host: evil.example"),
        ("Host: 127.0.0.1.evil.example",),
        ("Host: localhost@evil.example",),
        ("Host: ",),
    ],
)
def test_a_name_that_somebody_made_stand_for_this_machine_gets_nothing(heads):
    with served() as (where, _, _):
        assert asked(where, *heads) == "403"


def test_on_the_network_any_name_is_served_and_that_is_said(caplog):
    with caplog.at_level("WARNING"), served(address="0.0.0.0:0") as (where, _, _):
        assert asked(("127.0.0.1", where[1]), "Host: daemon.example:7480") == "200"
    assert "metrics are served in clear text" in caplog.text
