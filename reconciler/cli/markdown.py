"""Text from others as Markdown that shows it and does nothing else: no links, no mentions, no markup, no tables broken."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from reconciler.core.text import printable

MOST = 60_000
"""Characters of a comment: forges take about 65,000."""
RESERVE = 300
"""Characters kept for what says that something is missing, and for what closes a block."""
MARKS = re.compile(r"""[&<>"'`*_~|\[\](){}#!+=\\@^$]|:(?=//)|(?<=www)\.""", re.IGNORECASE)
"""What Markdown, HTML or a forge could give a meaning."""
CALLS = frozenset("@#!~$&")
"""Signs that call people, issues or other things where a name follows; one without width after them ends that."""


def escaped(text: str) -> str:
    """``text`` in one line, as it is."""
    return MARKS.sub(lambda found: _entity(found[0]), printable(" ".join(text.split())))


def _entity(sign: str) -> str:
    return f"&#{ord(sign)};" + ("&#8203;" if sign in CALLS else "")


def code(text: str) -> str:
    """``text`` in one line, in the letters of a program."""
    return f"<code>{escaped(text)}</code>"


def block(text: str) -> str:
    """Lines as they are, in the letters of a program."""
    return f"<pre>\n{html.escape(printable(text))}\n</pre>"


def folded(title: str, content: str) -> str:
    """What is read only by those who open it. ``title`` and ``content`` are Markdown already."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; titles and cells are Markdown already."""
    head = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]


class Page:
    """A comment that is never longer than ``MOST`` characters."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = MOST - RESERVE

    def add(self, part: str) -> bool:
        """Add a line or a block; False, and nothing is added, when it does not fit any more."""
        if len(part) + 1 > self._room:
            return False
        self._parts.append(part)
        self._room -= len(part) + 1
        return True

    def add_all(self, parts: Sequence[str], noun: str) -> None:
        """Add what fits, and say how much does not."""
        for number, part in enumerate(parts):
            if not self.add(part):
                left = f"{len(parts) - number:,} more {noun}, for which there is no room here."
                self._parts += ["", left]
                self._room -= len(left) + 2
                return

    def text(self) -> str:
        """All of it."""
        return "\n".join(self._parts) + "\n"
