"""What is stored as text: states and plans as JSON, recorded inputs packed, and what people and processes said.

JSON is read strictly: a field that this version does not know was written by a newer one, and dropping it would lose
what that one remembered.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reconciler.core.outcome import TerminalError
from reconciler.core.state import KeyState, Plan

_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


# Built on first use: it takes some 40 ms that a `prodsprint --help` need not spend. Settings reach a dataclass only through
# something around it: hence the tuples of one.
@cache
def _states() -> TypeAdapter[tuple[KeyState]]:
    return TypeAdapter(tuple[KeyState], config=_STRICT)


@cache
def _plans() -> TypeAdapter[tuple[Plan]]:
    return TypeAdapter(tuple[Plan], config=_STRICT)


def encode_state(state: KeyState) -> str:
    """The JSON text of a state. Raises TerminalError for one that has none (text that is not Unicode)."""
    with _named(f"the state of {state.key}"):
        return _states().dump_json((state,), warnings="error").decode()[1:-1]


def encode_plan(plan: Plan) -> str:
    """The JSON text of a plan. Raises TerminalError for one that has none (text that is not Unicode)."""
    with _named(f"the plan of {plan.key}"):
        return _plans().dump_json((plan,), warnings="error").decode()[1:-1]


def decode_state(text: str, key: str) -> KeyState:
    """The state of a JSON text. Raises TerminalError, naming ``key`` and the place, when it is not one of this version."""
    with _named(f"the state of {key}"):
        return _states().validate_json(f"[{text}]")[0]


def decode_plan(text: str, key: str) -> Plan:
    """The plan of a JSON text. Raises TerminalError, naming ``key`` and the place, when it is not one of this version."""
    with _named(f"the plan of {key}"):
        return _plans().validate_json(f"[{text}]")[0]


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except PydanticSerializationError as error:
        raise TerminalError(f"{what} cannot be stored: {error}") from error
    except ValidationError as error:
        raise TerminalError(f"{what} cannot be read: {_fault(error)}") from error


def _fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    unknown = sorted({".".join(map(str, f["loc"][1:])) for f in faults if f["type"] == "unexpected_keyword_argument"})
    if unknown:
        return f"it was written by a newer prodsprint, with {', '.join(unknown)}. Start that version again"
    first = faults[0]
    return f"{'.'.join(map(str, first['loc'][1:])) or 'text'}: {first['msg']}. Restore a backup"


def clean(text: str) -> str:
    """Text that every database takes: a process may have said anything, and that must not stop a decision."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def pack(text: str) -> bytes:
    """Text made small: recorded inputs repeat themselves, and every byte is written twice (log, then table)."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def unpack(data: bytes, key: str) -> str:
    """The text of ``pack``. Raises TerminalError for damaged data."""
    try:
        return zlib.decompress(data).decode("utf-8", "surrogatepass")
    except (zlib.error, UnicodeDecodeError) as error:
        raise TerminalError(f"the recorded inputs of {key} are damaged ({error}). Restore a backup") from error
