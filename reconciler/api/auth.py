"""Who calls: the bearer token, its file, and the identity that holding it gives."""

from __future__ import annotations

import hmac
import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler import clock
from reconciler.core.outcome import TerminalError
from reconciler.core.secret import Secret

SHORTEST = 32
"""Characters that a token has at least: what somebody typed into the file is no secret."""
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Knows the one token and whose it is."""

    token: Secret
    identity: str
    """``token:<user>``: the operating system's name of the owner of the token file."""

    def admits(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """Whether a call's metadata holds the token, in a time that does not tell how much of it was right."""
        offered = [value for name, value in metadata if name == "authorization"]
        expected = f"Bearer {self.token.reveal()}".encode()
        if len(offered) != 1:
            return False
        value = offered[0]
        raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return hmac.compare_digest(raw, expected)


def open_token(path: Path) -> Authenticator:
    """Read the token file; make it first when there is none.

    Raises TerminalError when somebody else could read or have written it, or when it holds no token.
    """
    try:
        with suppress(FileExistsError):
            _create(path)
        with open(path, encoding="ascii", errors="replace", opener=_open) as file:
            info = os.fstat(file.fileno())
            _check(path, info)
            text = file.read(LONGEST).strip()
    except OSError as error:
        raise TerminalError(f"token file {path}: {error.strerror or error}") from error
    if len(text) < SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        raise TerminalError(
            f"token file {path}: expected one line of at least {SHORTEST} characters; remove the file to get a new one"
        )
    return Authenticator(Secret(text), f"token:{_user(info.st_uid)}")


def _open(path: str, flags: int) -> int:
    """Open neither through a link nor in a way that can block."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _create(path: Path) -> None:
    """Make the file appear whole or not at all: another process may read it at any moment."""
    if path.exists() or path.is_symlink():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(clock.token() + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        draft.unlink()


def _check(path: Path, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise TerminalError(f"token file {path}: not a regular file")
    if info.st_uid not in {os.geteuid(), 0}:
        raise TerminalError(f"token file {path}: belongs to {_user(info.st_uid)}, not to {_user(os.geteuid())}")
    mode = stat.S_IMODE(info.st_mode)
    if mode & 0o077:
        raise TerminalError(f"token file {path}: mode {mode:04o} lets others read it; run: chmod 600 {path}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
