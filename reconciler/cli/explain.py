"""``prodsprint explain``: what any field is in the end, and where that is written; needs no daemon and no network."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import client, output
from reconciler.cli.client import CommandError
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.desired import Key

if TYPE_CHECKING:
    from reconciler.manifest.explain import Row, Said

SUMMARY = "say what a field is for an environment and which line says so, or what it means"
EXAMPLES = """examples:
  prodsprint explain
  prodsprint explain checkout/prod
  prodsprint explain checkout/prod release.bake
  prodsprint explain environments.release.bake
  prodsprint explain Freeze -o json

The first lists the environments in this folder and the kinds of documents; then every field of an environment with where it
comes from; one field, with the layers that it overrides; what a field means; the fields of a kind.
From near to far: environment, component, project, named Target, workspace, built-in. Variables of services are not shown."""


NAMED = 5
"""Environments or fields that are named where any of them may be meant."""
COMPONENT = re.compile(r"components\.[^.]+\.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("subject", nargs="?", metavar="KEY_OR_FIELD", help="PROJECT/ENVIRONMENT, or a field")
    parser.add_argument("field", nargs="?", help="only this field, or those in it; as the first column names them")
    parser.add_argument(
        "-f", "--file", type=Path, default=Path(), metavar="PATH", help="file or folder (default: this folder)"
    )
    output.add_format(parser, output.PLAIN_FORMATS)


def run(args: argparse.Namespace) -> int:
    """Explain the manifests in a folder, or the language."""
    if args.subject is None:
        return _overview(args)
    if "/" in args.subject:
        return _key(args)
    if args.field is not None:
        raise CommandError(f"{args.subject} is no environment; write it as PROJECT/ENVIRONMENT")
    return _meaning(args)


# --- one environment ---


def _key(args: argparse.Namespace) -> int:
    from reconciler.cli import scope  # noqa: PLC0415  # help must stay quick
    from reconciler.manifest.explain import UnknownKeyError, explain  # noqa: PLC0415

    try:
        key = Key.parse(client.key(args.subject))
    except argparse.ArgumentTypeError as error:
        raise CommandError(str(error)) from None
    files = scope.here([args.file], alone=False).tree.files
    try:
        rows = explain({path: content for path, (_, content) in files.items()}, key)
    except UnknownKeyError as error:
        raise CommandError(f"{error.args[0]}{_near(files, key)}") from None
    if args.field is not None:
        rows = tuple(_chosen(rows, args.field, key))
    if args.output != "table":
        output.data([_as_data(row) for row in rows], args.output)
    elif args.field is not None and len(rows) == 1:
        output.write(_chain(key, rows[0]))
    else:
        table = [{"field": row.path, "value": row.value, "from": _place(row.said[0])} for row in rows]
        output.write(output.table(table, output.columns()))
    return ExitCode.OK


def _near(files: Mapping[str, tuple[str, bytes]], key: Key) -> str:
    """The environments that may be meant by one that is not there: of that name elsewhere, else spelled nearly so."""
    from reconciler.manifest.drafter import Drafter  # noqa: PLC0415

    drafted = Drafter().draft((path, *file) for path, file in files.items())
    known = {one for file in drafted for draft in file.draft.drafts for one in draft.keys}
    if key in known:
        return ""
    same = sorted(str(one) for one in known if (one.project, one.environment) == (key.project, key.environment))
    near = same[:NAMED] or difflib.get_close_matches(str(key), sorted(map(str, known)), 1, 0.8)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _chosen(rows: Sequence[Row], field: str, key: Key) -> list[Row]:
    """The rows of a field, or of those in it; ``environments.`` in front, as in the reference, does no harm."""
    name = field.removeprefix("environments.")
    found = [row for row in rows if row.path == name] or [row for row in rows if row.path.startswith(f"{name}.")]
    if not found:
        raise CommandError(f"{key} has no field `{field}`. {_hint(name, [row.path for row in rows], key)}")
    return found


def _hint(name: str, known: Sequence[str], key: Key) -> str:
    """What to ask instead: the field of that name in a component, else the nearest one."""
    parts = dict.fromkeys(found[0] for path in known if (found := COMPONENT.match(path)))
    own = [part + name for part in parts if any(f"{path}.".startswith(f"{part}{name}.") for path in known)]
    blocks = {path.rpartition(".")[0] for path in known} - {""}
    near = own[:NAMED] or difflib.get_close_matches(name, sorted({*known, *blocks}), 1)
    return (
        f"Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else f"`prodsprint explain {key}` lists them"
    )


def _chain(key: Key, row: Row) -> str:
    """One field, and below it what it overrides."""
    lines = [{"value": one.value, "layer": one.layer, "from": _place(one)} for one in row.said]
    return f"{key} {row.path}: {row.value}\n\n" + output.table(lines, output.columns())


def _place(said: Said) -> str:
    if said.place is None:
        return said.layer
    from reconciler.core.text import printable  # noqa: PLC0415

    return f"{printable(said.place.file)}:{said.place.line}"


def _as_data(row: Row) -> dict[str, object]:
    return {"field": row.path, "value": row.value, "layers": [_layer_data(one) for one in row.said]}


def _layer_data(one: Said) -> dict[str, object]:
    where = {"file": one.place.file, "line": one.place.line, "column": one.place.column} if one.place else {}
    return {"layer": one.layer, "value": one.value, **where}


# --- the language ---


def _meaning(args: argparse.Namespace) -> int:
    from reconciler.manifest.field_help import UnknownFieldError, field_help  # noqa: PLC0415

    try:
        found = field_help(args.subject)
    except UnknownFieldError as error:
        near = f" Did you mean {', '.join(error.near)}?" if error.near else " `prodsprint explain` lists the kinds"
        raise CommandError(f"{error}.{near}") from None
    facts = {
        "field": found.path,
        "meaning": found.description,
        "type": found.type,
        "required": "yes" if found.required else "no",
        "default": found.default,
        "allowed": found.allowed,
        "fields": ", ".join(found.fields),
    }
    if args.output != "table":
        output.data({**facts, "required": found.required, "fields": list(found.fields)}, args.output)
    else:
        told: Iterable[str] = (f"{name + ':':<10}{text}" for name, text in facts.items() if text)
        output.write("\n".join(output.wrap(line, output.columns(), 10) for line in told))
    return ExitCode.OK


def _overview(args: argparse.Namespace) -> int:
    from reconciler.cli import scope  # noqa: PLC0415
    from reconciler.manifest.models import KINDS  # noqa: PLC0415
    from reconciler.manifest.prospect import Prospect  # noqa: PLC0415

    asked = scope.here([args.file], alone=False)
    files = Prospect().go("", asked.tree).files
    drafts = [draft for path, file in files.items() if asked.mine(path) for draft in file.drafts]
    keys = sorted({key for draft in drafts for key in draft.keys})
    if args.output != "table":
        output.data({"keys": [str(key) for key in keys], "kinds": list(KINDS)}, args.output)
        return ExitCode.OK
    output.write("".join(f"{key}\n" for key in keys) + f"\nkinds of documents: {', '.join(KINDS)}")
    return ExitCode.OK
