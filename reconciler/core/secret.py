"""A text that is used, and never shown."""

from __future__ import annotations

from typing import NoReturn

MASK = "***"


class Secret:
    """Holds a secret text. Every way of turning it into text, JSON or a pickle masks it or fails; only ``reveal`` tells."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one call that needs it."""
        return self._text

    def scrub(self, text: str) -> str:
        """``text`` with every occurrence of the secret masked, for messages that come from elsewhere."""
        return text.replace(self._text, MASK) if self._text else text

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")
