"""ruamel.yaml's round trip, as ``fmt`` and ``migrate`` use it: a document to a tree with its comments, and back to text.

Every scalar is the text that the parser gives, never a number or a date: so it is written as it was.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.emitter import RoundTripEmitter
from ruamel.yaml.error import CommentMark
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken

from reconciler.manifest.layout import STEP
from reconciler.manifest.scalar import MAX_NUMBER, WORDS, resolve

Node = CommentedMap | CommentedSeq
WIDTH = 100
"""Characters of the longest line with braces or brackets; what is longer goes below, an entry a line."""

_OLD = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|<<|="
    r"|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
)
"""Texts that YAML 1.1, which many tools still read, takes for something else: quotes around them stay."""


class _Texts(VersionedResolver):
    """Takes every scalar for a text."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return self.DEFAULT_SCALAR_TAG if kind is ScalarNode else super().resolve(kind, value, implicit)


class _Emitter(RoundTripEmitter):
    """Quotes only where they are needed, and what goes on with a comment stays in its column."""

    open_ended = property(lambda _: False, lambda _, __: None)
    """Never write ``...`` after a text that ends with empty lines: nothing asks for it."""

    def choose_scalar_style(self) -> Any:
        text, style = self.event.value, self.event.style
        self.analysis = self.analyze_scalar(text)
        if style and style in "|>" and not self.flow_level and not self.simple_key_context and text.strip(" \n"):
            return style
        plain = self.analysis.allow_flow_plain if self.flow_level else self.analysis.allow_block_plain
        if plain and text.isprintable() and not (style and style in "'\"" and _ambiguous(text)):
            return ""
        return "'" if text.isprintable() and ('"' in text or "\\" in text) else '"'

    def write_indent(self) -> None:
        if self.column > (self.indent or 0):
            self.no_newline = False  # a comment further up may have left it set, and two items would share a line
        super().write_indent()

    def write_double_quoted(self, text: Any, split: Any = True) -> None:  # noqa: ARG002  # the library's
        self.write_indicator(f'"{"".join(map(_escaped, text))}"', True)

    def write_comment(self, comment: Any, pre: bool = False) -> None:
        before = comment.start_mark.column
        if not pre and before <= self.column and comment.value.startswith("#"):
            first, *below = comment.value.split("\n")
            for number, line in enumerate(below):
                if not line.startswith(" " * before + "#"):
                    break
                below[number] = " " * (self.column + 1) + line.lstrip(" ")
            comment.value = "\n".join([first, *below])
        super().write_comment(comment, pre)


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


def parse(text: str) -> CommentedMap:
    """The tree of one document that is a mapping."""
    tree: CommentedMap = _yaml().load(text)
    return tree


def render(document: CommentedMap) -> str:
    """The text of a document, with one line break at the end."""
    document.fa.set_block_style()
    _unfold(document, 0)
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def above(block: Node, place: Any, notes: list[CommentToken]) -> None:
    """Put comments above an entry of a block, or below all of them where there is no such place."""
    if place in block:
        slots = block.ca.items.setdefault(place, [None] * 4)
        slots[1] = [*notes, *(slots[1] or [])]
    else:
        block.ca.end = [*notes, *block.ca.end]
        block.ca.comment = block.ca.comment or [None, None]  # without it the end is not written


def unfold(block: Node, place: Any) -> None:
    """Put the mapping or list at that place below, an entry a line, when it is in braces or brackets."""
    value = block[place]
    if not value.fa.flow_style():
        return
    value.fa.set_block_style()
    slots, after = block.ca.items.get(place) or [None] * 4, 0 if isinstance(block, CommentedSeq) else 2
    token = slots[after]
    if token is not None:
        first, _, rest = token.value.partition("\n")
        value.ca.end = note_lines(rest)
        # What was beside the value is now beside its key, and not as far to the right as the value went.
        slots[after] = CommentToken(f"{first}\n", CommentMark(0)) if first else None
        value.ca.comment = [slots[after], None]


def note_lines(text: str) -> list[CommentToken]:
    """Lines of comments, each in its column."""
    return [
        CommentToken(f"{line.lstrip(' ')}\n", CommentMark(len(line) - len(line.lstrip(" "))))
        for line in text.splitlines()
    ]


def shift(node: Node, column: int) -> None:
    """Move all comments inside of a block, whose entries begin in that column, a step to the left."""
    below = re.compile(f"^ {{{STEP}}}(?= {{{column - STEP},}}#)", re.MULTILINE)
    for token in {id(token): token for token in _tokens(node)}.values():
        token.value = below.sub("", token.value)
        token.start_mark.column = max(0, token.start_mark.column - STEP)


def _tokens(node: Any) -> Iterator[CommentToken]:
    if isinstance(node, (CommentedMap, CommentedSeq)):
        for slot in [*node.ca.items.values(), node.ca.end]:
            for token in slot:
                yield from (
                    one for one in (token if isinstance(token, list) else [token]) if isinstance(one, CommentToken)
                )
        for value in node.values() if isinstance(node, CommentedMap) else node:
            yield from _tokens(value)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.Resolver, yaml.Emitter = _Texts, _Emitter
    yaml.preserve_quotes = True
    yaml.width = 1 << 30
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=STEP, sequence=2 * STEP, offset=STEP)
    return yaml


def _unfold(node: Node, column: int) -> None:
    """Put what is too long for braces or brackets below. ``column`` is where the entries of ``node`` begin."""
    for place, value in list(node.items() if isinstance(node, CommentedMap) else enumerate(node)):
        if isinstance(value, (CommentedMap, CommentedSeq)):
            if column + (len(place) if isinstance(place, str) else 0) + STEP + _length(value) > WIDTH:
                unfold(node, place)
            if not value.fa.flow_style():
                _unfold(value, column + STEP)
        elif isinstance(value, FoldedScalarString) and " \n" in f"{value}\n":
            node[place] = LiteralScalarString(value)  # folded again, it would lose the spaces at line ends


def _length(value: Any) -> int:
    """Characters of a value in braces or brackets, without quotes."""
    if isinstance(value, CommentedMap):
        return 2 * max(1, len(value)) + sum(len(key) + 2 + _length(one) for key, one in value.items())
    if isinstance(value, CommentedSeq):
        return 2 * max(1, len(value)) + sum(map(_length, value))
    return len(value)
