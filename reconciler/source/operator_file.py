"""Reads the YAML lists that an operator writes for the daemon. A mistake is named with its file and line, a secret never."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.parser import ParserError
from ruamel.yaml.scanner import ScannerError

from reconciler.core.outcome import TerminalError

LARGEST = 1 << 20
SECRET = re.compile(r"secret|token|password|passphrase|key", re.IGNORECASE)
EXPECTED = {
    "string_type": "a text (in quotes, where it could be read as something else)",
    "path_type": "a path",
    "int_type": "a whole number",
    "list_type": "a list, such as [a, b]",
    "tuple_type": "a list, such as [a, b]",
    "model_type": "a mapping of `field: value` lines",
    "dict_type": "a mapping of `field: value` lines",
}


class Entry(BaseModel):
    """One item of a list. Field names are camelCase in the file."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    page: ClassVar[str]
    """Page of the documentation that explains the file."""
    instead: ClassVar[str]
    """Where a secret belongs, for whoever wrote one into the file."""


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An item, and the line (from 1) at which it begins."""

    value: E
    line: int


def read_entries(file: Path, model: type[E]) -> list[Found[E]]:
    """Every item of the file's list. Relative paths are those from the file's folder (``folder`` in the context).

    Raises TerminalError, with file and line, for what cannot be read or understood.
    """
    items = _items(file, model)
    context = {"folder": file.absolute().parent}
    found = []
    for number, item in enumerate(items):
        try:
            found.append(Found(model.model_validate(item, context=context), items.lc.item(number)[0] + 1))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            line = _line(items, (number, *first["loc"]))
            raise TerminalError(f"{file}:{line}: {_words(first, item, model)}; see {model.page}") from None
    return found


def _items(file: Path, model: type[Entry]) -> CommentedSeq:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise TerminalError(f"{file}: more than {LARGEST} bytes")
        items = YAML(typ="rt", pure=True).load(data.decode("utf-8"))
    except OSError as error:
        raise TerminalError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TerminalError(f"{file}: expected YAML in UTF-8; see {model.page}") from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise TerminalError(f"{file}{_fault(error)}; see {model.page}") from None
    if not isinstance(items, CommentedSeq):
        raise TerminalError(f"{file}:1: expected a list: each item begins with `- `; see {model.page}")
    return items


def _fault(error: Exception) -> str:
    """Line and reason of what is no YAML. What stands there is not repeated: it may be a secret."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    line = f":{mark.line + 1}" if mark else ""
    if isinstance(error, DuplicateKeyError):
        return f"{line}: a field is there twice; remove one of them"
    why = f": {error.problem}" if isinstance(error, (ScannerError, ParserError)) and error.problem else ""
    return f"{line}: this cannot be read as YAML{why}"


def _line(items: CommentedSeq, path: tuple[int | str, ...]) -> int:
    """Line of what a path of keys and indices leads to, or of the nearest thing around it."""
    line, node = 0, items
    for step in path:
        if isinstance(node, CommentedMap) and step in node:
            line = node.lc.key(step)[0]
        elif isinstance(node, CommentedSeq) and isinstance(step, int):
            line = node.lc.item(step)[0]
        else:
            break
        node = node[step]
    return line + 1


def _words(error: ErrorDetails, item: object, model: type[Entry]) -> str:
    """What is wrong and what to do."""
    where = ".".join(str(step) for step in error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(where, model)
    if kind == "missing":
        return f"`{where}` is missing"
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}" if where else str(error["ctx"]["error"])
    if where and _value(item, error["loc"]) is None:
        return f"`{where}` has no value; give it one, or remove it"
    expected = EXPECTED.get(kind) or error["msg"].removeprefix("Input should be ")
    return f"{where or 'this item'}: expected {expected}"


def _unknown(where: str, model: type[Entry]) -> str:
    known = [field.alias or name for name, field in model.model_fields.items()]
    name = where.rpartition(".")[2]
    near = difflib.get_close_matches(name, known, 1, 0.75)
    if near:
        return f"unknown field `{where}`; did you mean `{near[0]}`?"
    if SECRET.search(name):
        return f"unknown field `{where}`. No secret stands in this file: {model.instead}"
    return f"unknown field `{where}`; the fields are {', '.join(known)}"


def _value(item: Any, path: tuple[int | str, ...]) -> object:
    for step in path:
        if not isinstance(item, (Mapping, list)):
            return item
        item = item.get(step) if isinstance(item, Mapping) else item[step]  # type: ignore[index]
    return item
