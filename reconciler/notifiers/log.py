"""Writes each event as one line of the daemon's log."""

from __future__ import annotations

import json
import logging

from pydantic import BaseModel, ConfigDict, Field

from reconciler.ports import Clock, Event, Notifier, NotifierKind

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


class LogConfig(BaseModel):
    """Settings of the ``log`` notifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: str = Field(default="info", pattern="^(debug|info|warning)$", description="Level of the lines.")


class LogNotifier:
    """One line per event, on the logger ``prodsprint.events``: its message, with id, type and key as fields of the record."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._log = logging.getLogger("prodsprint.events")

    def send(self, event: Event) -> None:
        """Write the line. Control characters are escaped, so that no event can forge a second one."""
        fields = {"event_id": event.id, "event": event.type, "key": event.key}
        self._log.log(self._level, "%s", _one_line(_message(event)), extra=fields)

    def close(self) -> None:
        """Nothing is held."""


def _message(event: Event) -> str:
    try:
        body = json.loads(event.body)
    except ValueError:
        body = None
    said = body.get("message") if isinstance(body, dict) else None
    return f"{event.key}: {said or event.type}"


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _open(config: BaseModel, _clock: Clock) -> Notifier:
    level = config.level if isinstance(config, LogConfig) else "info"
    return LogNotifier(LEVELS[level])


KIND = NotifierKind("log", LogConfig, _open)
