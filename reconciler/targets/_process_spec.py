"""The manifest block ``process:`` and what a command line in it means."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, WithJsonSchema
from pydantic.alias_generators import to_camel

from reconciler.core.patterns import duration_schema
from reconciler.core.units import format_duration, parse_duration

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[!-~]*")
_QUOTING = re.compile(r"""[\\'"]""")
_WORD = re.compile(r"[^ \t\r\n]+")


def _command(value: object) -> tuple[str, ...]:
    words = _split(value) if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ValueError("expected a command line, or a list of its words")
    if any("\0" in word for word in words):
        raise ValueError("a command holds no NUL character")
    return tuple(words)


def _split(text: str) -> list[str]:
    if not _QUOTING.search(text):
        return _WORD.findall(text)  # what shlex would say, fifty times as fast
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command line cannot be split into words: {error}") from None


def _some_command(value: object) -> tuple[str, ...]:
    words = _command(value)
    if not words or not words[0]:
        raise ValueError("the command is empty")
    return words


def _env(value: object) -> object:
    if not isinstance(value, dict):
        return value  # pydantic says what it has to be
    for name, text in value.items():
        if not isinstance(name, str) or not _ENV_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an environment variable")
        if name == "PORT" or name.startswith("PRODSPRINT_"):
            raise ValueError(f"{name} is set by ProdSprint")
        if isinstance(text, str) and "\0" in text:
            raise ValueError(f"{name} holds a NUL character")
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and not _PATH.fullmatch(value):
        raise ValueError("expected a path that starts with / and holds printable ASCII without spaces")
    return value


def _seconds(value: object) -> float:
    seconds = parse_duration(value)
    if not 0.01 <= seconds <= 86_400:
        raise ValueError(f"expected between 10ms and 1d, found {value!r}")
    return seconds


# The grammar of shlex: bare characters, escaped ones, and two kinds of quotes, all of them closed.
_WORDS = r"""^(?:[^\\'"]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")*$"""
_NO_WORD = r"""^[ \t\r\n]*(?:''|"")*(?:[ \t\r\n]|$)"""


def _command_schema(*, some: bool) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string", "pattern": _WORDS, "patternErrorMessage": "expected a command line"}
    words: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    if some:
        text["not"] = {"pattern": _NO_WORD}
        words |= {"minItems": 1, "prefixItems": [{"type": "string", "minLength": 1}]}
    return {"$comment": "command", "anyOf": [text, words]}


_ENV_SCHEMA = {
    "type": "object",
    "propertyNames": {"pattern": f"^{_ENV_NAME.pattern}$", "not": {"pattern": "^(?:PORT$|PRODSPRINT_)"}},
    "additionalProperties": {"type": "string"},
}

Command = Annotated[tuple[str, ...], BeforeValidator(_some_command), WithJsonSchema(_command_schema(some=True))]
MaybeCommand = Annotated[tuple[str, ...], BeforeValidator(_command), WithJsonSchema(_command_schema(some=False))]
Env = Annotated[dict[str, StrictStr], BeforeValidator(_env), WithJsonSchema(_ENV_SCHEMA)]
HealthPath = Annotated[StrictStr, BeforeValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/[!-~]*$"})]
Seconds = Annotated[float, BeforeValidator(_seconds), WithJsonSchema(duration_schema(0.01, 86_400))]


def _seconds_field(default: float, description: str) -> Any:
    return Field(default=default, description=description, json_schema_extra={"default": format_duration(default)})


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ProcessSpec(BaseModel):
    """How a service is built, started and checked. Times are seconds, or text such as ``500ms``, ``30s``, ``5m``."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    command: Command = Field(
        description="What runs, in the root of the checked-out commit. Split into words as a shell would, but no shell "
        "runs. It stays in the foreground and serves HTTP on 127.0.0.1 at the port in $PORT."
    )
    build: MaybeCommand = Field(
        default=(),
        description="Run once for each commit before anything starts, in the root of the checked-out commit.",
    )
    env: Env = Field(default_factory=dict, description="Environment variables of the service.")
    build_env: Env = Field(default_factory=dict, description="Environment variables of the build.")
    health: HealthPath = Field(default="/", description="Path that answers 2xx or 3xx while the service is healthy.")
    health_interval: Seconds = _seconds_field(1.0, "Time between two health checks.")
    health_timeout: Seconds = _seconds_field(1.0, "Time in which a health check has to be answered.")
    health_failures: Annotated[StrictInt, BeforeValidator(_whole)] = Field(
        default=2, ge=1, le=100, description="Failed health checks in a row after which an instance is unhealthy."
    )
    start_deadline: Seconds = _seconds_field(
        30.0,
        "Time from start to the first good health check, and the longest time an instance may stay unhealthy "
        "before it is started again.",
    )
    stop_deadline: Seconds = _seconds_field(10.0, "Time from SIGTERM to SIGKILL: let requests in flight finish in it.")
    build_deadline: Seconds = _seconds_field(600.0, "Time in which the build has to end.")


RUNTIME = frozenset(
    {"health_interval", "health_timeout", "health_failures", "start_deadline", "stop_deadline", "build_deadline"}
)
"""Fields that do not change what the service does, and so are no part of a release."""
