"""What a plain YAML scalar means: the YAML 1.2 core schema, and nothing of 1.1.

``no`` and ``12:30`` are texts, ``0o17`` is 15, ``012`` is 12, ``1e3`` is 1000.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

MAX_NUMBER = 64
"""Characters of the longest number: more is not a number anybody meant, and costs quadratic time to convert."""

WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""The plain scalars that are null or boolean."""
NUMERIC = frozenset("0123456789+-.")
"""What a number begins with. A plain scalar that begins otherwise and is none of WORDS is a text."""

_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_LAST = frozenset("0123456789abcdefABCDEF.nNfF")
"""What a number ends with."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar. Raises ValueError for numbers that are not finite or longer than MAX_NUMBER."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMERIC or text[-1] not in _LAST:
        return text
    if _NOT_FINITE.match(text):
        raise ValueError("it is not finite")
    if _INTEGER.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise ValueError(f"it has {len(text)} digits")
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER:
        raise ValueError(f"it has {len(text)} digits")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it is too large")
    return number
