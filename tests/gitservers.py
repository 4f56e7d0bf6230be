"""Servers that speak git for tests: a real smart-HTTP one with a token, a real sshd, and some that misbehave."""

from __future__ import annotations

import base64
import getpass
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from waiting import eventually


def listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served(ThreadingHTTPServer):
    daemon_threads = True
    folder: Path
    token = ""
    redirect = ""
    status = 0
    newer = True
    """Whether protocol version 2 is spoken."""
    secure = False
    cut = 0
    """Bytes after which an answer to a POST breaks off; 0 for never."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.given: list[str] = []
        """Every Authorization header received."""
        self.asked: list[str] = []
        """Method and target of every request."""
        self.connections = 0
        self.fields: dict[str, str] = {}
        """Headers that every answer gets."""

    @property
    def url(self) -> str:
        return f"http{'s' if self.secure else ''}://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: object, address: object) -> None:
        self.connections += 1
        super().process_request(request, address)


class SmartHttp(BaseHTTPRequestHandler):
    """``git http-backend`` behind a token."""

    server: Served

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self.serve(b"")

    def do_POST(self) -> None:
        self.serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def serve(self, body: bytes) -> None:
        self.server.given += self.headers.get_all("Authorization", [])
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.redirect:
            self.answer(301, {"Location": self.server.redirect + self.path}, b"")
        elif self.server.status:
            self.answer(self.server.status, {}, b"no")
        elif self.server.token and not self.allowed():
            self.answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        else:
            self.backend(body)

    def allowed(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given or "Og==").decode().partition(":")[2] == self.server.token

    def backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                **({"GIT_PROTOCOL": self.headers.get("Git-Protocol", "")} if self.server.newer else {}),
            },
        )
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.answer(int(fields.pop("Status", "200").split()[0]), fields, data)

    def answer(self, status: int, fields: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in {**fields, **self.server.fields}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        broken = self.command == "POST" and 0 < self.server.cut < len(data)
        self.wfile.write(data[: self.server.cut] if broken else data)
        self.close_connection = self.close_connection or broken


class KeepAlive(SmartHttp):
    """The same over connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1, and its key."""

    file: Path
    key: Path


def certificate(folder: Path) -> Certificate:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    made = Certificate(folder / "cert.pem", folder / "cert.key")
    usual = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run(["openssl", "req", *usual.split(), *names], check=True, capture_output=True)
    return made


@contextmanager
def smart_http(
    folder: Path, token: str = "", tls: Certificate | None = None, keep_alive: bool = False
) -> Iterator[Served]:
    if not shutil.which("git"):
        pytest.skip("git, for git http-backend, is not installed")
    server = Served(("127.0.0.1", 0), KeepAlive if keep_alive else SmartHttp)
    server.folder, server.token = folder, token
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.file, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.secure = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Ssh:
    """A running sshd with the key that it accepts and its own public key."""

    port: int
    key: Path
    known_hosts: Path
    user: str

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


def keygen(file: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True, stdin=subprocess.DEVNULL
    )
    return " ".join(file.with_name(file.name + ".pub").read_text().split()[:2])


@contextmanager
def sshd(folder: Path) -> Iterator[Ssh]:
    binary = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not binary or not shutil.which("ssh-keygen") or not shutil.which("git"):
        pytest.skip("sshd, ssh-keygen or git is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)
    port = free_port()
    host = keygen(folder / "host")
    (folder / "authorized").write_text(keygen(folder / "user") + "\n")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([binary, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        eventually(lambda: listening(port), 10, what="sshd does not listen")
        yield Ssh(port, folder / "user", folder / "known_hosts", getpass.getuser())
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def tcp(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A TCP server whose every connection is ``talk(connection, stop)`` in a thread; yields its port."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection, stop)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(10)


def mute(_connection: socket.socket, stop: threading.Event) -> None:
    """Accept and say nothing."""
    stop.wait(60)


ADVERTISEMENT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 9999999999\r\n\r\n"
    b"001e# service=git-upload-pack\n0000"
)


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Send the list of refs a byte at a time, for ever: no single read times out."""
    connection.recv(4096)
    line = b"003d" + b"1" * 40 + b" refs/heads/main\n"
    connection.sendall(ADVERTISEMENT)
    at = 0
    while not stop.wait(0.05):
        connection.sendall(line[at % len(line) :][:1])
        at += 1


def flood(connection: socket.socket, stop: threading.Event) -> None:
    """Send refs as fast as they are read, for ever."""
    connection.recv(4096)
    connection.sendall(ADVERTISEMENT)
    start = 0
    while not stop.is_set():
        lines = []
        for number in range(start, start + 1000):
            text = f"{'1' * 40} refs/heads/{number:09d}\n"
            lines.append(f"{len(text) + 4:04x}{text}")
        start += 1000
        connection.sendall("".join(lines).encode())
