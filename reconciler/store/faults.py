"""Turns what a database driver raises into the three families, with the file and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from reconciler.core.outcome import TerminalError, TransientError

_DAMAGED = (
    "is damaged. Stop the daemon, keep a copy of the file with its -wal, then restore a backup, or save what can be read "
    "with: sqlite3 FILE .recover"
)
# By the beginning of SQLite's name for the error, the longer name first.
_FAULTS: tuple[tuple[str, type[Exception], str], ...] = (
    ("SQLITE_FULL", TransientError, "has no room: the disk is full. Free some space; nothing committed is lost"),
    ("SQLITE_READONLY", TerminalError, "cannot be written. Make the file and its folder writable for this user"),
    ("SQLITE_PERM", TerminalError, "cannot be written. Make the file and its folder writable for this user"),
    (
        "SQLITE_CANTOPEN",
        TerminalError,
        "cannot be opened. The folder has to exist, and both to be writable for this user",
    ),
    ("SQLITE_BUSY", TransientError, "is locked by another process. Find it with: fuser FILE"),
    ("SQLITE_LOCKED", TransientError, "is locked by another process. Find it with: fuser FILE"),
    ("SQLITE_CORRUPT", TerminalError, _DAMAGED),
    ("SQLITE_NOTADB", TerminalError, _DAMAGED),
    ("SQLITE_IOERR", TransientError, "cannot be read or written: look at the disk and at the kernel's log"),
    ("SQLITE_NOMEM", TransientError, "needs more memory than there is"),
)


def translate(error: SQLAlchemyError, where: str) -> Exception:
    """The TransientError or TerminalError that says what happened to the database at ``where``."""
    original = error.orig if isinstance(error, DBAPIError) else None
    name = getattr(original, "sqlite_errorname", "")
    if "Could not decode" in str(original):
        name = "SQLITE_CORRUPT"
    for beginning, family, text in _FAULTS:
        if name.startswith(beginning):
            return family(f"the database {where} {text.replace('FILE', where)} ({original})")
    if isinstance(error, DBAPIError):
        return TerminalError(f"the database {where} refused a statement ({original})")
    return TransientError(f"the database {where} is not available ({error})")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise only the families of ``core.outcome`` for what the driver raises inside."""
    try:
        yield
    except SQLAlchemyError as error:
        raise translate(error, where) from error
