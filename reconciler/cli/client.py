"""Talks to the daemon: finds it through its data directory, and turns gRPC's errors into sentences and exit codes."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pwd
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
from prodsprint.v1 import control_pb2_grpc, status_pb2_grpc

from reconciler.api.address import parse_address
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError
from reconciler.core.text import printable
from reconciler.settings import default_data_dir

T = TypeVar("T")
DEADLINE = 15.0
"""Seconds that the daemon gets to answer."""
KEY_FORM = "PROJECT/ENVIRONMENT or WORKSPACE/PROJECT/ENVIRONMENT"
CONNECTION = "which daemon"
"""Title of the options that every verb has that talks to one."""


class CommandError(TerminalError):
    """Ends a command with a sentence and an exit code."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Client:
    """Both services of one daemon."""

    status: status_pb2_grpc.StatusServiceStub
    control: control_pb2_grpc.ControlServiceStub
    metadata: tuple[tuple[str, str], ...]

    def call(self, method: Callable[..., T], request: object) -> T:
        """Make one unary call."""
        return method(request, metadata=self.metadata, timeout=DEADLINE)


def add_key(parser: argparse.ArgumentParser, nargs: str | None = None, help_text: str = KEY_FORM) -> None:
    """Add the argument that says which environment is meant."""
    parser.add_argument("key", metavar="KEY", type=key, nargs=nargs, help=help_text)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which daemon is meant."""
    group = parser.add_argument_group(CONNECTION)
    group.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="data directory of the daemon (default: $PRODSPRINT_DATA_DIR, else the state directory of the user)",
    )
    group.add_argument("--address", metavar="HOST:PORT", help="a daemon elsewhere (needs --token-file and --ca)")
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with its token (default: the one in the data directory)"
    )
    group.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate authority (PEM) that its certificate is checked against"
    )


@contextmanager
def connect(args: argparse.Namespace) -> Iterator[Client]:
    """A client of the daemon that the arguments mean. Raises CommandError, also for what a call within answers."""
    data = args.data_dir or default_data_dir()
    address = args.address or _address(data)
    token = _token(args.token_file or data / "token")
    channel = _channel(address, args.ca)
    try:
        with channel:
            yield Client(
                status_pb2_grpc.StatusServiceStub(channel),
                control_pb2_grpc.ControlServiceStub(channel),
                (("authorization", f"Bearer {token}"),),
            )
    except grpc.RpcError as error:
        raise _explain(error, address) from None


def _channel(address: str, authority: Path | None) -> grpc.Channel:
    if authority is None and not _stays_here(address):
        hint = "name the certificate authority of its certificate with --ca"
        raise CommandError(f"the daemon at {address} would get the token over the network in clear text; {hint}")
    if authority is None:
        return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    try:
        ssl.create_default_context(cafile=authority)  # gRPC would only say that nobody answers
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.read_bytes()))
    except OSError as error:  # SSLError is one
        words = "no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise CommandError(f"--ca {authority}: {words}") from None


def _stays_here(address: str) -> bool:
    """Whether what is sent there does not leave this machine."""
    try:
        return parse_address(address).local
    except TerminalError:  # a name: it stands for whatever a name server says
        return False


def _address(data: Path) -> str:
    """Where the daemon of a data directory listens. Raises CommandError unless one lives: its port may be another's."""
    file = data / "daemon.json"
    try:
        address = str(json.loads(file.read_text(encoding="utf-8"))["grpc"])
    except FileNotFoundError:
        hint = "start one with 'prodsprint run', or name its data directory with --data-dir"
        raise CommandError(f"no daemon has run in {data}: {hint}", ExitCode.UNREACHABLE) from None
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", ExitCode.UNREACHABLE) from None
    except (ValueError, KeyError, TypeError):
        hint = "the daemon writes it when it starts: start it again, or name another folder with --data-dir"
        raise CommandError(f"{file} does not say where a daemon is; {hint}", ExitCode.UNREACHABLE) from None
    if not _lives(data):
        raise CommandError(f"no daemon runs on {data}: the last one was killed; start it again", ExitCode.UNREACHABLE)
    return address


def _lives(data: Path) -> bool:
    """Whether a daemon holds the data directory: it does as long as it lives."""
    try:
        with (data / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _token(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        hint = "the daemon's user owns it: ask as that user, or name a copy with --token-file"
        raise CommandError(f"{file}: {error.strerror}; {hint}", ExitCode.UNREACHABLE) from None
    if not (text.isascii() and text.isprintable() and text):
        raise CommandError(f"{file}: expected a token in one line of ASCII; is it another file?")
    return text


def _explain(error: grpc.RpcError, address: str) -> CommandError:
    code, details = error.code(), printable(error.details() or "")
    if code is grpc.StatusCode.UNAVAILABLE:
        words = "is it running?" if "refused" in details else details
        return CommandError(f"no daemon answers at {address}: {words}", ExitCode.UNREACHABLE)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CommandError(f"the daemon at {address} did not answer in time", ExitCode.TIMED_OUT)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return CommandError(f"the daemon at {address} does not know this token: {details}")
    return CommandError(details or str(code))


def key(text: str) -> str:
    """A key as people write it: ``workspace/project/environment``, or ``project/environment`` in workspace default."""
    full = text if text.count("/") != 1 else f"default/{text}"
    try:
        return str(Key.parse(full))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no key: expected {KEY_FORM}") from None


def user() -> str:
    """Name of the person at the keyboard, recorded with what they ask for."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, a user may have no name
        return str(os.getuid())
