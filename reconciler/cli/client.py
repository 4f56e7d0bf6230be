"""Talks to the daemon: finds it through its data directory, and turns gRPC's errors into sentences and exit codes."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
from prodsprint.v1 import control_pb2_grpc, status_pb2_grpc

from reconciler.cli.exit_codes import ExitCode
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Key
from reconciler.settings import default_data_dir

T = TypeVar("T")
DEADLINE = 15.0


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


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which daemon is meant."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=None,
        help="data directory of the daemon (default: $PRODSPRINT_DATA_DIR, else the state directory of the user)",
    )
    parser.add_argument("--address", help="host:port of a daemon elsewhere (needs --token-file and --ca)")
    parser.add_argument("--token-file", type=Path, help="file with its token (default: the one in the data directory)")
    parser.add_argument("--ca", type=Path, help="certificate authority (PEM) that its certificate is checked against")


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
    if authority is None:
        return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    try:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.read_bytes()))
    except OSError as error:
        raise CommandError(f"{authority}: {error.strerror}; --ca names a file with a certificate in PEM form") from None


def _address(data: Path) -> str:
    file = data / "daemon.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["grpc"])
    except FileNotFoundError:
        hint = "start one with 'prodsprint run', or name its data directory with --data-dir"
        raise CommandError(f"no daemon has run in {data}: {hint}", ExitCode.UNREACHABLE) from None
    except (OSError, ValueError, KeyError) as error:
        raise CommandError(f"{file}: {error}", ExitCode.UNREACHABLE) from None


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        hint = "the daemon's user owns it; ask as that user, or with --token-file"
        raise CommandError(f"{file}: {error.strerror}; {hint}", ExitCode.UNREACHABLE) from None


def _explain(error: grpc.RpcError, address: str) -> CommandError:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return CommandError(f"no daemon answers at {address}: is it running?", ExitCode.UNREACHABLE)
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
        expected = "expected PROJECT/ENVIRONMENT or WORKSPACE/PROJECT/ENVIRONMENT"
        raise argparse.ArgumentTypeError(f"{text!r} is no key: {expected}") from None


def user() -> str:
    """Name of the person at the keyboard, recorded with what they ask for."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())
