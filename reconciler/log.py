"""How the daemon's log looks: a line of text on a terminal, a JSON object otherwise. Always one line an event."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; all others were given as ``extra``."""
CHATTY = ("apscheduler", "alembic", "asyncio", "sqlalchemy")
"""Libraries whose INFO says nothing to the user of the daemon."""


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


class JsonFormatter(logging.Formatter):
    """``{"time": ..., "level": ..., "logger": ..., "message": ...}`` with what was given as ``extra``, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object without a line end."""
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in _extras(record).items() if name not in {"time", "level", "logger"}},
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    """Time, level, message, then ``name=value`` for what was given as ``extra``; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, for people. What could forge another line or steer the terminal is escaped."""
        extras = "".join(f" {name}={_inert(str(value))}" for name, value in _extras(record).items())
        line = f"{_time(record)} {record.levelname:<7} {_inert(record.getMessage())}{extras}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _inert(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def configure_logging(level: str, *, json_lines: bool | None = None, stream: TextIO | None = None) -> None:
    """Send all logs to ``stream`` (standard error), as JSON lines or plain text; None decides by whether it is a terminal."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    as_json = not out.isatty() if json_lines is None else json_lines
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
