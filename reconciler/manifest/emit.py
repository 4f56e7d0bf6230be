"""A tree of entries to the text of a manifest file, in the one form that ``fmt`` knows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.manifest.scalar import MAX_NUMBER, WORDS, resolve
from reconciler.manifest.tree import Block, Entry, Scalar

WIDTH = 100
"""Characters of the longest line with braces or brackets; what is longer goes below, an entry a line."""
STEP = 2

_INDICATORS = frozenset(",[]{}#&*!|>'\"%@`")
_BARE = re.compile(r"[-?:](?: |\Z)|---|\.\.\.")
_INSIDE = re.compile(r": | #|:\Z")
_INSIDE_FLOW = re.compile(r"[,\[\]{}]|:\Z|\A[-?:]\Z")
_OLD = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|<<|="
    r"|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
)
"""Texts that YAML 1.1, which many tools still read, takes for something else: quotes around them stay."""


def render(documents: Iterable[Block]) -> str:
    """The file: documents divided by ``---``, with an empty line above where there was one, and one line break at the end."""
    parts = [("\n".join(_block(document, 0)), document.end[-1:] == [""]) for document in documents]
    texts = [f"{text}\n\n" if apart else f"{text}\n" for text, apart in parts[:-1]]
    return "---\n".join([*texts, *(f"{text}\n" for text, _ in parts[-1:])])


def _block(block: Block, indent: int) -> list[str]:
    pad = " " * indent
    lines = [] if block.entries else ["{}"]
    for entry in block.entries:
        _hoist(entry)
        lines += _noted(entry.before, pad, first=not lines)
        lines += _entry(entry, indent)
    end = _noted(block.end, pad, first=False)
    while end and not end[-1]:
        del end[-1]
    return [*lines, *end]


def _noted(notes: Iterable[str], pad: str, *, first: bool) -> list[str]:
    """Comments as lines; of empty lines one remains, and none at the beginning of a block."""
    lines: list[str] = []
    for note in notes:
        if note or (lines[-1] if lines else not first):
            lines.append(f"{pad}{note}" if note else "")
    return lines


def _hoist(entry: Entry) -> None:
    """What is above the first line of an item goes above its dash, and so does a comment that has no line of its own."""
    if entry.key is not None or not isinstance(entry.value, Block) or _inline(entry.value, 0) is not None:
        return
    first = entry.value.entries[0]
    _hoist(first)
    entry.before += [*entry.beside, *(note for note in first.before if note)]
    entry.beside, first.before = [], []


def _entry(entry: Entry, indent: int) -> list[str]:
    pad = " " * indent
    head = f"{pad}- " if entry.key is None else f"{pad}{scalar(entry.key)}:"
    value = entry.value
    if isinstance(value, Scalar):
        first, *more = _value(value, indent + STEP)
        return [*_beside(_joined(head, first), entry), *more]
    inline = _inline(value, len(head) + 1)
    if inline is not None:
        return _beside(_joined(head, inline), entry)
    below = _block(value, indent + STEP)
    if entry.key is None:
        return [head + below[0][indent + STEP :], *below[1:]]
    return [*_beside(head, entry), *below]


def _joined(head: str, value: str) -> str:
    return f"{head}{value}" if head.endswith(" ") else f"{head} {value}"


def _beside(line: str, entry: Entry) -> list[str]:
    """The line with its comment: in the column where it was, or further right."""
    if not entry.beside:
        return [line]
    column = max(entry.column, len(line) + 1)
    first, *more = entry.beside
    return [line.ljust(column) + first, *(" " * column + note for note in more)]


def _inline(block: Block, used: int) -> str | None:
    """A block in braces or brackets; None when it is to be written below, an entry a line."""
    if block.entries and (not block.flow or _has_notes(block)):
        return None
    text = _braced(block)
    return None if block.entries and used + len(text) > WIDTH else text


def _has_notes(block: Block) -> bool:
    return any(block.end) or any(
        any(entry.before)
        or entry.beside
        or (
            isinstance(entry.value, Block)
            and (_has_notes(entry.value) or not (entry.value.flow or not entry.value.entries))
        )
        for entry in block.entries
    )


def _braced(block: Block) -> str:
    parts = []
    for entry in block.entries:
        value = _braced(entry.value) if isinstance(entry.value, Block) else scalar(entry.value, flow=True)
        parts.append(value if entry.key is None else f"{scalar(entry.key, flow=True)}: {value}")
    return f"[{', '.join(parts)}]" if block.listed else f"{{{', '.join(parts)}}}"


def _value(value: Scalar, indent: int) -> list[str]:
    """The lines of a scalar, the first without what stands before it."""
    text = value.text
    pad = " " * indent
    if value.style == ">" and value.lines and text.strip(" \n") and not text.endswith("\n\n"):
        return [">" if text.endswith("\n") else ">-", *(f"{pad}{line}" if line.strip() else "" for line in value.lines)]
    if value.style in {"|", ">"} and text.strip(" \n") and not text.endswith("\n\n"):
        lines = text.removesuffix("\n").split("\n")
        deeper = str(STEP) if text.lstrip("\n").startswith(" ") else ""
        chomp = "" if text.endswith("\n") else "-"
        return [f"|{deeper}{chomp}", *(f"{pad}{line}" if line else "" for line in lines)]
    return [scalar(value)]


def scalar(value: Scalar, *, flow: bool = False) -> str:
    """A scalar in one line: without quotes where it reads as the same text in YAML 1.1 and 1.2, or had none."""
    text = value.text
    if _plain(text, flow=flow) and (not value.style or not _ambiguous(text)):
        return text
    if not text.isprintable():
        return f'"{"".join(map(_escaped, text))}"'
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def _plain(text: str, *, flow: bool) -> bool:
    if not text or not text.isprintable() or text != text.strip(" ") or text[0] in _INDICATORS:
        return False
    return not (_BARE.match(text) or _INSIDE.search(text) or (flow and _INSIDE_FLOW.search(text)))


def _ambiguous(text: str) -> bool:
    if text in WORDS or (len(text) <= MAX_NUMBER and _OLD.fullmatch(text)):
        return True
    try:
        return not isinstance(resolve(text), str)
    except ValueError:
        return True


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign.isprintable():
        return sign
    if sign in "\n\t":
        return "\\n" if sign == "\n" else "\\t"
    code = ord(sign)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
