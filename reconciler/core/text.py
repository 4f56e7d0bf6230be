"""Text from others, made fit to be shown."""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """``text`` with every character that could steer a terminal replaced; line ends and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else REPLACEMENT for c in text)


def one_line(text: str, most: int) -> str:
    """``text`` in a single printable line of at most ``most`` characters, with a mark where something is missing."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
