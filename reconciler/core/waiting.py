"""What a key waits for: everything that waits says on what, who can change it, and until when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """One reason why a key does not go on.

    ``condition`` is a CamelCase word, ``message`` says it to people, ``who`` can unblock it. ``deadline`` and ``next_look``
    are Unix seconds; None when there is none.
    """

    condition: str
    message: str
    who: str
    deadline: float | None
    next_look: float | None
