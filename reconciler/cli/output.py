"""How results are printed: tables for people, JSON and YAML for programs, names for pipes."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from reconciler.core.text import printable

FORMATS = ("table", "wide", "json", "yaml", "name")
PLAIN_FORMATS = ("table", "json", "yaml")
"""Of verbs whose answer is one thing."""
UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|min|h)(?![a-z]))")
"""The space between a number and its unit: no line ends there."""
LEAST = 20
"""Columns that a folded text gets on the narrowest terminal; one that is cut gets twice as many, or is folded."""

Row = Mapping[str, str]
M = TypeVar("M", bound=Message)


def add_format(parser: argparse.ArgumentParser, forms: Sequence[str] = FORMATS) -> None:
    """Add ``-o``."""
    parser.add_argument("-o", "--output", choices=forms, default="table", help="how to print (default: table)")


def write(text: str) -> None:
    """Print text, of which nothing steers the terminal: much of it comes from services and from manifests."""
    sys.stdout.write(printable(text if text.endswith("\n") or not text else text + "\n"))
    sys.stdout.flush()


def clear() -> None:
    """Empty the terminal."""
    sys.stdout.write("\x1b[H\x1b[2J")


def columns() -> int | None:
    """Width of the terminal that is printed to; None when it is none: what a program reads is never cut or wrapped."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def wrap(text: str, width: int | None, indent: int = 0) -> str:
    """A printable line folded at ``width`` columns, with what follows indented; in one piece when there is no width."""
    text = printable(text)
    if width is None or len(text) <= width:
        return text
    lines = textwrap.wrap(
        UNIT.sub("\xa0", text),
        max(width, indent + LEAST),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\xa0", " ")


def as_data(message: Message) -> dict[str, object]:
    """A protobuf message as plain data, with the names of the .proto files and nothing left out."""
    return dict(MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))


def show(
    form: str,
    items: Sequence[M],
    row: Callable[[M], Row],
    name: Callable[[M], str],
    wide: Sequence[str] = (),
    empty: str = "nothing to show",
) -> None:
    """Print messages in the form that was asked for; ``wide`` names the columns that only ``-o wide`` shows.

    On a terminal that is too narrow a table's last column is cut or folded; ``-o wide`` shows all of it.
    """
    if form in {"json", "yaml"}:
        data([as_data(item) for item in items], form)
    elif form == "name":
        write("".join(f"{name(item)}\n" for item in items))
    elif not items:
        write(empty)
    elif form == "wide":
        write(table([row(item) for item in items]))
    else:
        write(table([{k: v for k, v in row(item).items() if k not in wide} for item in items], columns()))


def data(value: object, form: str, *, line: bool = False) -> None:
    """Print plain data as JSON or YAML; with ``line`` as one of many: JSON in a single line, YAML as a document."""
    if form == "yaml":
        from ruamel.yaml import YAML  # noqa: PLC0415  # only for those who ask for it

        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.explicit_start = line
        stream = io.StringIO()
        yaml.dump(value, stream)
        write(stream.getvalue())
    else:
        text = json.dumps(value, indent=None if line else 2, ensure_ascii=False)
        write("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def table(rows: Sequence[Row], width: int | None = None) -> str:
    """Rows as aligned columns under upper-case titles.

    The last column is as long as it is, unless ``width`` cuts it, or, where next to nothing would be left, folds it below.
    """
    titles = list(rows[0])
    cells = [[printable(row.get(title, "") or "-").replace("\n", " ") for title in titles] for row in rows]
    lines = [[title.upper() for title in titles], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    room = (width or sys.maxsize) - sum(widths[:-1]) - 2 * len(widths[:-1])
    if width is not None and min(room, 2 * LEAST) < min(widths[-1], 2 * LEAST):
        below = ["", *(wrap(f"    {line[-1]}", width, 4) + "\n" if line[-1] != "-" else "" for line in lines[1:])]
        rest = (_aligned(line[:-1], widths[:-1]) for line in lines)
        return "".join(line + more for line, more in zip(rest, below, strict=True))
    return "".join(_aligned([*line[:-1], cut(line[-1], room)], widths) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"


def cut(text: str, room: int) -> str:
    """Text in at most ``room`` columns, with a mark where something is missing."""
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def clock(stamp: Timestamp) -> str:
    """A time in the user's time zone, to the second; empty when it is unset."""
    if not stamp.seconds:
        return ""
    return datetime.fromtimestamp(stamp.seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str) -> str:
    """A number of things: ``1 file``, ``1,200 requests``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds(value: float) -> str:
    """A length of time, for people: ``85 ms``, ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if round(value * 1000) < 1000:
        return f"{value * 1000:.0f} ms"
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
