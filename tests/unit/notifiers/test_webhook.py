from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest, new
from pathlib import Path

import pytest
from gitservers import free_port, mute, tcp
from pydantic import ValidationError
from receivers import EVENT, Answer, Receiver, opened, running

from reconciler import registry
from reconciler.core.desired import Instant
from reconciler.core.outcome import TerminalError, TransientError

SECRET = "s3cret-of-the-test"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver()) as server:
        yield server


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    return file


def test_webhook_posts_signed_json_that_a_receiver_can_verify(receiver: Receiver, secret_file: Path) -> None:
    hook = opened("webhook", url=receiver.url, secret_file=secret_file)
    hook.send(EVENT)
    hook.send(EVENT)
    (path, headers, body), (_, _, again) = receiver.got
    assert path == "/hook?key=1"
    assert json.loads(body) == {
        "id": 7,
        "type": "rollout.rolled_back",
        "key": "shop/web/prod",
        "time": "2023-11-14T22:13:20.250Z",
        "body": {"actor": "daemon", "message": "it was\nbad"},
    }
    assert body == again
    assert headers["Content-Type"] == "application/json"
    assert headers["X-ProdSprint-Event"] == "7"
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["X-ProdSprint-Signature"])
    assert found
    assert abs(int(found[1]) - time.time()) < 60
    assert compare_digest(found[2], new(SECRET.encode(), f"{found[1]}.".encode() + body, sha256).hexdigest())


def test_the_receiver_in_the_documentation_tells_genuine_events_from_others(
    receiver: Receiver, secret_file: Path
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    names: dict[str, Callable[[str, str, bytes], bool]] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)
    opened("webhook", url=receiver.url, secret_file=secret_file).send(EVENT)
    ((_, headers, body),) = receiver.got
    signature = headers["X-ProdSprint-Signature"]
    assert names["genuine"](SECRET, signature, body)
    assert not names["genuine"](SECRET, signature, body + b" ")
    assert not names["genuine"]("other", signature, body)
    assert not names["genuine"](SECRET, signature.replace("t=1", "t=2"), body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, TerminalError),
        (401, TerminalError),
        (404, TerminalError),
        (410, TerminalError),
        (301, TerminalError),
        (307, TerminalError),
        (408, TransientError),
        (425, TransientError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_webhook_status_says_whether_a_retry_helps(status: int, kind: type[Exception], receiver: Receiver) -> None:
    receiver.answer = Answer(status, {"Location": "http://127.0.0.1:1/elsewhere"})
    with pytest.raises(kind, match=f"webhook on 127.0.0.1 answered {status}"):
        opened("webhook", url=receiver.url).send(EVENT)
    assert len(receiver.got) == 1


@dataclass
class HandClock:
    mono: float = 0.0

    def now(self) -> Instant:
        return Instant(1_700_000_000 + self.mono, self.mono, "boot")


def test_webhook_leaves_a_server_alone_for_as_long_as_it_asks(receiver: Receiver) -> None:
    clock = HandClock(100.0)
    kind = registry.notifier("webhook")
    hook = kind.open(kind.config.model_validate({"url": receiver.url}), clock)
    receiver.answer = Answer(429, {"Retry-After": "30"})
    for expected in ("answered 429", "asked to be left alone for 30 s more"):
        with pytest.raises(TransientError, match=expected):
            hook.send(EVENT)
    assert len(receiver.got) == 1
    clock.mono += 31
    receiver.answer = Answer(503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    for _ in range(2):
        with pytest.raises(TransientError, match="answered 503"):
            hook.send(EVENT)


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Answer with a header line that never ends."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not stop.wait(0.05):
        connection.sendall(b"x")


def endless(connection: socket.socket, stop: threading.Event) -> None:
    """Answer with a body that never ends."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"x" * 65536)


def nonsense(connection: socket.socket, _stop: threading.Event) -> None:
    connection.recv(65536)
    connection.sendall(b"\x00\x01 no http at all\r\n\r\n")


def hang_up(connection: socket.socket, _stop: threading.Event) -> None:
    connection.recv(65536)


@pytest.mark.parametrize("talk", [mute, drip, nonsense, hang_up])
def test_webhook_gives_up_in_time_on_a_server_that_misbehaves(
    talk: Callable[[socket.socket, threading.Event], None],
) -> None:
    with tcp(talk) as port:
        started = time.monotonic()
        with pytest.raises(TransientError, match=r"webhook on 127\.0\.0\.1"):
            opened("webhook", url=f"http://127.0.0.1:{port}/", timeout=0.5).send(EVENT)
        assert time.monotonic() - started < 3


def test_webhook_reads_only_the_start_of_an_endless_answer() -> None:
    with tcp(endless) as port:
        opened("webhook", url=f"http://127.0.0.1:{port}/", timeout=5).send(EVENT)


def test_webhook_refused_connection_is_transient_and_shows_no_path() -> None:
    with pytest.raises(TransientError) as caught:
        opened("webhook", url=f"http://127.0.0.1:{free_port()}/services/T0P/s3cret").send(EVENT)
    assert "s3cret" not in str(caught.value)


def test_webhook_ignores_proxies_of_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    opened("webhook", url=receiver.url).send(EVENT)
    assert len(receiver.got) == 1


def test_webhook_verifies_the_server_over_https(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(cert),
        "-days",
        "2",
    ]
    try:
        subprocess.run(
            [*command, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    server = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    with running(server):
        opened("webhook", url=f"https://localhost:{port}/", ca_file=cert).send(EVENT)
        for url, authorities in ((f"https://localhost:{port}/", None), (f"https://127.0.0.1:{port}/", cert)):
            with pytest.raises(TransientError, match=r"(?i)certificate"):
                opened("webhook", url=url, ca_file=authorities).send(EVENT)
    assert len(server.got) == 1


def test_webhook_secret_is_read_anew_and_its_absence_is_found_at_the_start(
    receiver: Receiver, secret_file: Path
) -> None:
    with pytest.raises(TerminalError, match="No such file"):
        opened("webhook", url=receiver.url, secret_file=secret_file.with_name("none"))
    hook = opened("webhook", url=receiver.url, secret_file=secret_file)
    hook.send(EVENT)
    secret_file.write_text("another")
    hook.send(EVENT)
    first, second = (headers["X-ProdSprint-Signature"].partition("v1=")[2] for _, headers, _ in receiver.got)
    assert first != second
    secret_file.unlink()
    with pytest.raises(TransientError, match="No such file"):
        hook.send(EVENT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/x",
        "ftp://example.org/x",
        "https:///x",
        "https://ann:pw@example.org/",
        "https://example.org/#x",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
        "https://example.org:99999/",
        "file:///etc/passwd",
    ],
)
def test_webhook_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        registry.notifier("webhook").config.model_validate({"url": url})
