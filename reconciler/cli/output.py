"""How results are printed: tables for people, JSON and YAML for programs, names for pipes."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

FORMATS = ("table", "wide", "json", "yaml", "name")

Row = Mapping[str, str]
M = TypeVar("M", bound=Message)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add ``-o``."""
    parser.add_argument("-o", "--output", choices=FORMATS, default="table", help="how to print (default: table)")


def write(text: str) -> None:
    """Print text as it is."""
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
    sys.stdout.flush()


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
    """Print messages in the form that was asked for; ``wide`` names the columns that only ``-o wide`` shows."""
    if form in {"json", "yaml"}:
        data([as_data(item) for item in items], form)
    elif form == "name":
        write("".join(f"{name(item)}\n" for item in items))
    else:
        rows = [row(item) for item in items]
        hidden = set() if form == "wide" else set(wide)
        write(table([{k: v for k, v in one.items() if k not in hidden} for one in rows]) if rows else empty)


def data(value: object, form: str) -> None:
    """Print plain data as JSON or YAML."""
    if form == "yaml":
        from ruamel.yaml import YAML  # noqa: PLC0415  # only for those who ask for it

        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        stream = io.StringIO()
        yaml.dump(value, stream)
        write(stream.getvalue())
    else:
        write(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: Sequence[Row]) -> str:
    """Rows as aligned columns under upper-case titles; the last column is as long as it is."""
    titles = list(rows[0])
    lines = [[title.upper() for title in titles], *[[row.get(title, "") or "-" for title in titles] for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return "".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def clock(stamp: Timestamp) -> str:
    """A time in the user's time zone, to the second; empty when it is unset."""
    if not stamp.seconds:
        return ""
    return datetime.fromtimestamp(stamp.seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def weight(hundredths: int) -> str:
    """Hundredths of a percent, for people."""
    return f"{hundredths / 100:g} %"


def seconds(value: float) -> str:
    """A length of time, for people: ``85 ms``, ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
