"""Types of manifest fields: what they accept, and the words and JSON Schema that say so.

A validator refuses by ``fault``: its code, message and hint reach the person as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import list_schema, no_info_after_validator_function

from reconciler.manifest.problem import Code, quoted


class Block(BaseModel):
    """A mapping of the manifest: fields in camelCase, nothing else allowed, no type converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


def fault(code: Code, message: str, hint: str, *at: str | int) -> PydanticCustomError:
    """An error for a validator to raise. ``at`` leads from the validated value to the part that is wrong."""
    return PydanticCustomError("prodsprint", "{message}", {"code": code, "message": message, "hint": hint, "at": at})


def matching(
    pattern: str, expected: str, hint: str, never: str = "", longest: int = 0
) -> tuple[AfterValidator, WithJsonSchema]:
    """Metadata of a text that matches ``pattern`` whole, has nothing in it that matches ``never``, and is not too long."""
    compiled, excluded = re.compile(pattern), re.compile(never) if never else None

    def check(text: str) -> str:
        if longest and len(text) > longest:
            raise fault(Code.WRONG_VALUE, f"expected at most {longest} characters, found {len(text)}", "Shorten it")
        if compiled.fullmatch(text) is None or (excluded is not None and excluded.search(text)):
            found = quoted(text) if text else "an empty text"
            raise fault(Code.WRONG_VALUE, f"expected {expected}, found {found}", hint)
        return text

    return AfterValidator(check), WithJsonSchema(text_schema(pattern, expected, never, longest))


def text_schema(pattern: str, expected: str, never: str = "", longest: int = 0) -> dict[str, Any]:
    """The JSON Schema of such a text. ``patternErrorMessage`` is what editors show in place of the pattern."""
    schema: dict[str, Any] = {"type": "string", "pattern": f"^(?:{pattern})$"}
    schema |= {"patternErrorMessage": f"expected {expected}"}
    schema |= {"not": {"pattern": never}} if never else {}
    return schema | ({"maxLength": longest} if longest else {})


def choice(of: type[StrEnum], meanings: Mapping[Any, str]) -> tuple[FieldInfo, WithJsonSchema]:
    """Metadata of a field that has a member of an enumeration, written as its text; editors show what each one means."""
    forms = [{"const": str(member), "description": meanings[member]} for member in of]
    return Field(strict=False), WithJsonSchema({"type": "string", "oneOf": forms})


def _apart(items: tuple[object, ...]) -> tuple[object, ...]:
    for index, item in enumerate(items):
        if item in items[:index]:
            raise fault(
                Code.WRONG_VALUE, f"expected each once, found {quoted(str(item))} again", "Remove one of them", index
            )
    return items


@dataclass(frozen=True, slots=True)
class Several:
    """Metadata of a tuple that is written as a list of ``least`` to ``most`` items."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Not pydantic's own tuple: that one calls a list too short when an item in it is wrong.
        (item,) = handler(source)["items_schema"]
        items = list_schema(item, min_length=self.least or None, max_length=self.most, strict=True)
        return no_info_after_validator_function(tuple, items)


def apart(least: int, most: int) -> tuple[Several, AfterValidator, FieldInfo]:
    """Metadata of a list (a tuple here) of ``least`` to ``most`` texts, each of which may stand there once."""
    return Several(least, most), AfterValidator(_apart), Field(json_schema_extra={"uniqueItems": True})


def _whole(value: object) -> object:
    # JSON Schema, and people, take 2.0 for a whole number; pydantic's strict mode does not.
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Metadata of a whole number."""

NAME_PATTERN = "[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"
_NAME = "a name of at most 40 small letters, digits and inner hyphens"
Name = Annotated[str, *matching(NAME_PATTERN, _NAME, "Rename it")]
NONE = "none"
EnvironmentName = Annotated[str, *matching(NAME_PATTERN, f"{_NAME}, other than `none`", "Rename it", f"^{NONE}$")]
Names = Annotated[tuple[Name, ...], *apart(0, 100)]
SomeNames = Annotated[tuple[Name, ...], *apart(1, 100)]

_VERSION_PATTERN = r"[A-Za-z0-9_][-A-Za-z0-9_.+/]{0,199}"


Version = Annotated[
    str,
    *matching(
        _VERSION_PATTERN,
        "a tag, branch or commit",
        "Letters, digits and - _ . + / are allowed, as git allows them in a tag",
        r"\.\.|//|/$|\.$|\.lock$",
    ),
]

_HOST = r"[A-Za-z0-9][-A-Za-z0-9.]*"
_URL_PATTERN = "|".join(
    (
        rf"https?://({_HOST}|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?/[^\s?#\\]+",
        rf"ssh://([A-Za-z0-9_][-A-Za-z0-9_.]*@)?({_HOST}|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?/[^\s?#\\]+",
        r"file:///[^\s?#\\]+",
        rf"[A-Za-z0-9_][-A-Za-z0-9_.]*@{_HOST}:[^-\s?#:\\][^\s?#\\]*",
    )
)
_URL = re.compile(_URL_PATTERN)
_CREDENTIALS = re.compile(r"https?://[^/]*@|[a-z+]+://[^/@:]*:[^/@]*@|[^/@:]*:[^/@]*@", re.IGNORECASE)
_QUERY = re.compile(r"[?#]")
_URL_EXPECTED = "expected a git URL (https://, http://, ssh://, file:/// or git@host:path)"


def _url(text: str) -> str:
    # No message repeats the text: whatever is wrong with it, a secret may be in it.
    if _CREDENTIALS.match(text):
        hint = "Remove them, and give the daemon the token in a file or an environment variable"
        raise fault(Code.SOURCE_URL, "the URL has credentials in it", hint)
    if _QUERY.search(text):
        raise fault(Code.SOURCE_URL, "the URL has a `?` or `#` part", "Remove it; a token goes to the daemon in a file")
    if "::" in text.partition("/")[0] or text.startswith("-"):
        raise fault(
            Code.SOURCE_URL, f"{_URL_EXPECTED}, found a transport helper or an option", "Use one of these forms"
        )
    if text.startswith(("/", ".", "~")):
        raise fault(Code.SOURCE_URL, f"{_URL_EXPECTED}, found a path", "Write file:// before the absolute path")
    if _URL.fullmatch(text) is None or len(text) > 2000:
        raise fault(Code.SOURCE_URL, f"{_URL_EXPECTED}, found something else", "Use one of these forms")
    return text


_PREFIX_PATTERN = "|".join(
    (
        rf"https?://({_HOST}|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?/[^\s?#\\@]*",
        rf"ssh://([A-Za-z0-9_][-A-Za-z0-9_.]*@)?({_HOST}|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?/[^\s?#\\]*",
        r"file:///[^\s?#\\]*",
        rf"[A-Za-z0-9_][-A-Za-z0-9_.]*@{_HOST}:[^-\s?#:\\]?[^\s?#\\]*",
    )
)
UrlPrefix = Annotated[
    str,
    *matching(
        _PREFIX_PATTERN,
        "the beginning of a git URL, at least to the end of its host (https://github.com/ or git@github.com:)",
        "Write the scheme, the host and a `/`",
        longest=2000,
    ),
]

GitUrl = Annotated[
    str,
    AfterValidator(_url),
    WithJsonSchema(text_schema(_URL_PATTERN, _URL_EXPECTED.removeprefix("expected "), longest=2000)),
]

Port = Annotated[int, Field(ge=1, le=65535), WHOLE]
Text = Annotated[str, *matching(r"[^\n]*[^\s][^\n]*", "one line of text", "Write it in one line", longest=500)]
"""A sentence for people."""
Prose = Annotated[str, *matching(r"[\s\S]*\S[\s\S]*", "some text", "Write some text", longest=4000)]
Digest = Annotated[
    str,
    *matching(
        "[0-9a-f]{12,64}",
        "12 to 64 digits 0-9 and a-f of a digest",
        "Copy it from `prodsprint status -o json` or `prodsprint plan`",
    ),
]
_EMAIL = r"[A-Za-z0-9][-A-Za-z0-9._+]{0,63}@[A-Za-z0-9]([-A-Za-z0-9]{0,62})(\.[A-Za-z0-9][-A-Za-z0-9]{0,62}){1,8}"
Identity = Annotated[
    str,
    *matching(
        f"{_EMAIL}|group:{NAME_PATTERN}",
        "an e-mail address or group:NAME",
        "Write the address that signs the commits, or a group of the daemon's settings",
    ),
]
Identities = Annotated[tuple[Identity, ...], *apart(1, 50)]
Glob = Annotated[
    str,
    *matching(
        r"[^\s/\\\[\]{}!]+(/[^\s/\\\[\]{}!]+)*",
        "a path in the repo, in which * stands for a part of a name, ? for a character and ** for any folders",
        "Write it from the top of the repo, without a leading / and without .. or [ ]",
        r"(^|/)\.\.?(/|$)|[^/]\*\*|\*\*[^/]|(\*[^*]*){9}",
        200,
    ),
]
NameGlob = Annotated[
    str,
    *matching(
        "[A-Za-z0-9*]([-A-Za-z0-9._:/@*]{0,199})",
        "a name, in which * stands for any characters",
        "Letters, digits and - . _ : / @ * are allowed",
        r"\*\*|(\*[^*]*){9}",
    ),
]
Finding = Annotated[
    str,
    *matching(
        "[A-Za-z0-9][-A-Za-z0-9._:/@+]{0,199}",
        "the name of a gate or the id of a finding",
        "Name each one: a waiver for everything cannot be reviewed",
    ),
]
SemanticVersion = Annotated[
    str,
    *matching(
        r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z]+([.-][0-9A-Za-z]+){0,9})?",
        "a semantic version such as 1.4.0",
        "Write it in quotes, with three numbers",
    ),
]
