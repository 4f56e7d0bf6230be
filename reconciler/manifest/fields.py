"""Types of manifest fields: what they accept, and the words and JSON Schema that say so.

A validator refuses by ``fault``: its code, message and hint reach the person as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_before_validator_function

from reconciler.core.desired import FULL_WEIGHT
from reconciler.core.units import format_duration, format_percent, parse_duration, parse_percent
from reconciler.manifest.problem import Code, quoted


class Block(BaseModel):
    """A mapping of the manifest: fields in camelCase, nothing else allowed, no type converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


def fault(code: Code, message: str, hint: str, *at: str | int) -> PydanticCustomError:
    """An error for a validator to raise. ``at`` leads from the validated value to the part that is wrong."""
    return PydanticCustomError("prodsprint", "{message}", {"code": code, "message": message, "hint": hint, "at": at})


def _matching(pattern: str, expected: str, hint: str, accept: Callable[[str], bool] = bool) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None or not accept(text):
            raise fault(Code.WRONG_VALUE, f"expected {expected}, found {quoted(text)}", hint)
        return text

    return check


NAME_PATTERN = "[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"
_NAME = "a name of at most 40 small letters, digits and inner hyphens"
Name = Annotated[
    str,
    AfterValidator(_matching(NAME_PATTERN, _NAME, "Rename it")),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"}),
]
NONE = "none"
EnvironmentName = Annotated[
    str,
    AfterValidator(_matching(NAME_PATTERN, f"{_NAME}, other than `none`", "Rename it", lambda text: text != NONE)),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$", "not": {"const": NONE}}),
]

_VERSION_PATTERN = r"[A-Za-z0-9_][-A-Za-z0-9_.+/]{0,199}"


def _safe_ref(text: str) -> bool:
    return ".." not in text and "//" not in text and not text.endswith(("/", ".", ".lock"))


Version = Annotated[
    str,
    AfterValidator(
        _matching(
            _VERSION_PATTERN,
            "a tag, branch or commit",
            "Letters, digits and - _ . + / are allowed, as git allows them in a tag",
            _safe_ref,
        )
    ),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_VERSION_PATTERN}$", "not": {"pattern": r"\.\.|//|/$|\.$|\.lock$"}}
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


GitUrl = Annotated[
    str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": f"^({_URL_PATTERN})$", "maxLength": 2000})
]

_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]{1,15}(\.[0-9]{1,9})?(ms|s|m|h|d))+\s*$"},
    ]
}
PERCENT_SCHEMA = {"type": "string", "pattern": r"^\s*[0-9]{1,3}(\.[0-9]{1,2})?\s?%\s*$"}


@dataclass(frozen=True, slots=True)
class Within:
    """Metadata of a duration or percentage: ``parse`` reads it, ``write`` shows it, ``divisor`` scales it."""

    parse: Callable[[object], float]
    write: Callable[[float], str]
    least: float
    most: float
    divisor: int = 1
    json: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.json)

    def _read(self, value: object) -> float:
        try:
            found = self.parse(value)
        except ValueError as error:
            raise fault(Code.WRONG_VALUE, str(error), "Write the number with its unit") from None
        if not self.least <= found <= self.most:
            limits = f"expected {self.write(self.least)} to {self.write(self.most)}, found {quoted(str(value))}"
            raise fault(Code.WRONG_VALUE, limits, "Choose a value in between")
        return found if self.divisor == 1 else found / self.divisor


def duration(least: float, most: float) -> Within:
    """Metadata of a duration field: seconds (float) from ``least`` to ``most``."""
    return Within(parse_duration, format_duration, least, most, json=_DURATION_SCHEMA)


def percent(least: int, most: int = FULL_WEIGHT) -> Within:
    """Metadata of a percentage field: hundredths of a percent (int) from ``least`` to ``most``."""
    return Within(parse_percent, lambda value: format_percent(int(value)), least, most, json=PERCENT_SCHEMA)


def fraction(least: int, most: int) -> Within:
    """Metadata of a percentage that is used as a fraction (float); ``least`` and ``most`` in hundredths of a percent."""
    return replace(percent(least, most), divisor=FULL_WEIGHT)


Port = Annotated[int, Field(ge=1, le=65535)]
