"""What pydantic's complaints mean in our words: what was found, what is expected, what to do.

Nothing that stands under ``env`` is repeated: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails

from reconciler.manifest.load import MAX_PROBLEMS, Document, Path
from reconciler.manifest.problem import Code, Problem, described, listed, meant, printable, quoted, undisclosed
from reconciler.manifest.schema import document_schema, resolved

_TELLING = 4
"""Characters from which on a value in a message counts as a repeated secret, not as a part of a word."""

Spot = tuple[Document, Path]
Locate = Callable[[Path], Spot]
"""Finds where a part of the validated value is written: in one document, or with defaults in it in several."""

_TYPES = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "path_type": "a path",
    "url_type": "a URL",
    "url_parsing": "a URL",
}
_WRITE = {
    "a list": "Write its items in `[ ]`, or below it after `- ` each",
    "a mapping": "Write `key: value` lines below it, indented",
    "true or false": "Write true or false without quotes",
    "a number": "Write a number without quotes",
    "a whole number": "Write a whole number without quotes",
}
_LIMITS = {
    "greater_than": ("more than {}", "gt"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than": ("less than {}", "lt"),
    "less_than_equal": ("at most {}", "le"),
    "multiple_of": ("a multiple of {}", "multiple_of"),
    "too_short": ("at least {} of them", "min_length"),
    "too_long": ("at most {} of them", "max_length"),
    "string_too_short": ("at least {} characters", "min_length"),
    "string_too_long": ("at most {} characters", "max_length"),
    "string_pattern_mismatch": ("a text like {}", "pattern"),
}
_ELSEWHERE = {
    **dict.fromkeys(("replicas", "count", "scale", "size"), "instances"),
    **dict.fromkeys(("image", "tag", "ref", "revision", "branch", "targetrevision"), "version"),
    **dict.fromkeys(("repo", "repository", "repourl", "url", "git"), "source"),
    **dict.fromkeys(("percent", "percentage", "setweight", "traffic"), "weight"),
    **dict.fromkeys(("pause", "wait"), "bake"),
    **dict.fromkeys(("cmd", "run", "entrypoint"), "command"),
    **dict.fromkeys(("needs", "requires"), "dependsOn"),
    **dict.fromkeys(("stages", "envs"), "environments"),
    **dict.fromkeys(("namespace", "tenant", "team"), "workspace"),
    **dict.fromkeys(("healthcheck", "readiness", "liveness"), "health"),
    **dict.fromkeys(("expiry", "expiration", "validuntil"), "expires"),
}
"""What other tools call our fields; small letters, without - and _."""
_RANGES = (
    ("minimum", "maximum", "Choose a number from {} to {}", "Choose a number of at least {}"),
    ("minItems", "maxItems", "Write {} to {} of them", "Write at least {} of them"),
    ("minProperties", "maxProperties", "Write {} to {} of them", "Write at least {} of them"),
    ("minLength", "maxLength", "Write {} to {} characters", "Write at least {} characters"),
)
"""Words for the limits of a schema: with both of them, and with the first alone."""
_MISSING, _EXTRA = "missing", "extra_forbidden"
_CHOICES = frozenset({"enum", "literal_error", "union_tag_invalid"})
_SAID = frozenset({"value_error", "assertion_error"})


def translate(errors: Sequence[ErrorDetails], kind: str, base: Path, locate: Locate) -> Iterator[Problem]:
    """The problems of one validation, one for each place. ``base`` leads from the document to what was validated."""
    seen: dict[tuple[str, Path], list[str]] = {}
    found: list[tuple[Spot, ErrorDetails]] = []
    for details in errors[:MAX_PROBLEMS]:
        document, path = locate(_target(details))
        if details["type"] in _TYPES:  # the branches of a choice complain one by one about the same value
            path = _existing(document, path)
            expected = seen.setdefault((document.file, path), [])
            expected.append(_TYPES[details["type"]])
            if len(expected) > 1:
                continue
        found.append(((document, path), details))
    known = {
        (document.file, path): _instead(kind, (*base, *_target(details)))
        for (document, path), details in found
        if details["type"] == _EXTRA
    }
    meant_here = {(file, (*path[:-1], name)) for (file, path), (_, name) in known.items()}
    for (document, path), details in found:
        at = (document.file, path)
        if details["type"] == _MISSING and at in meant_here:
            continue  # it is there, misspelt
        if details["type"] == _EXTRA:
            words = f"{quoted(str(path[-1]))} is not known{_inside(path[:-1])}", known[at][0]
            yield Problem(document.place(path, key=True), Code.UNKNOWN_FIELD, *words)
        else:
            yield _problem((document, path), (kind, *base, *_target(details)), details, seen.get(at, []))


def _target(details: ErrorDetails) -> Path:
    at: Sequence[str | int] = details.get("ctx", {}).get("at", ()) if details["type"] == "prodsprint" else ()
    return (*details["loc"], *at)


def _existing(document: Document, path: Path) -> Path:
    while path and path not in document.marks:
        path = path[:-1]
    return path


def _problem(spot: Spot, model: Path, details: ErrorDetails, expected: list[str]) -> Problem:
    document, path = spot
    if details["type"] == _MISSING:
        name = str(path[-1])
        hint = details.get("ctx", {}).get("hint") or f"Add `{printable(name)}:` with its value"
        words = f"{quoted(name)} is missing{_inside(path[:-1])}", hint
        return Problem(document.place(path[:-1], key=True), Code.MISSING_FIELD, *words)
    code, message, hint = _value(details, document.raw(path), _secret(model), expected)
    if details["type"] in _LIMITS:
        hint = _range(model) or hint
    named = "" if message.startswith("`") else _name(path)  # it names what it is about
    return Problem(document.place(path), code, f"{named}{message}", hint)


def _value(details: ErrorDetails, raw: str, secret: bool, types: list[str]) -> tuple[Code, str, str]:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    shown = _shown(found, raw, secret)
    if kind == "prodsprint":
        return Code(context["code"]), str(context["message"]), str(context["hint"])
    if types:
        expected = " or ".join(dict.fromkeys(types))
        return Code.WRONG_TYPE, f"expected {expected}, found {shown}", _write(types[0], found, raw, secret)
    if kind in _LIMITS:
        form, name = _LIMITS[kind]
        return Code.WRONG_VALUE, f"expected {form.format(context[name])}, found {shown}", "Change the value"
    if kind in _CHOICES:
        known = re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))
        hint = "Choose one of them"
        hint = meant(found, known, hint) if isinstance(found, str) and not secret else hint
        return Code.WRONG_VALUE, f"expected one of {listed(known)}, found {shown}", hint
    if kind in _SAID:
        words = _said(str(context.get("error", "")), found, shown, secret)
        slash = isinstance(found, str) and found and not secret and "starts with /" in words
        hint = f"Begin with /, as in {quoted(f'/{found}')}" if slash else "Change the value"
        return Code.WRONG_VALUE, words, hint
    return Code.WRONG_VALUE, f"expected another value, found {shown}", "Look it up in docs/manifest.md"


def _shown(found: object, raw: str, secret: bool) -> str:
    if secret:
        return undisclosed(found)
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return f"the number {quoted(raw)}" if raw and number else described(found)


def _write(expected: str, found: object, raw: str, secret: bool) -> str:
    if expected == "a text" and isinstance(found, (bool, int, float)):
        return "Put it in quotes" if secret or not raw else f'Put it in quotes: `"{raw}"`'
    return _WRITE.get(expected, f"Write {expected}")


def _said(words: str, found: object, shown: str, secret: bool) -> str:
    values = found.values() if isinstance(found, Mapping) else (found,)
    if not words or (secret and any(len(str(value)) >= _TELLING and str(value) in words for value in values)):
        return "the value is not accepted"
    words = printable(words).removesuffix(".")
    return f"{words}, found {shown}" if words.startswith("expected ") and "found " not in words else words


def _secret(path: Path) -> bool:
    return any(isinstance(step, str) and step.lower().endswith("env") for step in path)


def _name(path: Path) -> str:
    names = [step for step in path if isinstance(step, str)]
    return f"{quoted(names[-1])}: " if names else ""


def _inside(path: Path) -> str:
    names = [step for step in path if isinstance(step, str)]
    return f" in {quoted(names[-1])}" if names else ""


def _instead(kind: str, model: Path) -> tuple[str, str]:
    """What to do about an unknown field (the block it belongs in, or the field that was meant), and the field meant."""
    root = document_schema(kind)
    block: JsonSchemaValue = root
    for step in model[:-1]:
        block = _child(root, block, step)
    fields: Mapping[str, Any] = block.get("properties", {})
    name = str(model[-1])
    for field, schema in fields.items():
        if name in resolved(root, schema).get("properties", {}):
            return f"It belongs in {quoted(field)}", ""
    usual = _ELSEWHERE.get(name.replace("-", "").replace("_", "").lower(), "")
    hint = meant(usual if usual in fields else name, fields)
    return hint, next((field for field in fields if hint == f"Did you mean {quoted(field)}?"), "")


def _range(model: Path) -> str:
    """What to do about a value that is too large or too small: all of the range; empty when that is not known."""
    root = schema = document_schema(str(model[0]))
    for step in model[1:]:
        schema = _child(root, schema, step)
    for least, most, both, alone in _RANGES:
        if least in schema:
            return both.format(schema[least], schema[most]) if most in schema else alone.format(schema[least])
    return ""


def _child(root: JsonSchemaValue, block: JsonSchemaValue, step: str | int) -> JsonSchemaValue:
    others = block.get("additionalProperties", {})  # ports by name, say
    inner: Any = block.get("items", {}) if isinstance(step, int) else block.get("properties", {}).get(step, others)
    return resolved(root, inner) if isinstance(inner, dict) else {}
