"""``prodsprint schema``: the JSON Schema of the manifests, for editors."""

from __future__ import annotations

import argparse

from reconciler.cli import output
from reconciler.cli.client import CommandError
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "print the JSON Schema (draft 2020-12) of manifests, for editors"
EXAMPLES = """examples:
  prodsprint schema > prodsprint.schema.json
  prodsprint schema Freeze"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("kind", nargs="?", default="", help="kind of document (default: all of them in one schema)")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from reconciler.manifest import models, schema  # noqa: PLC0415  # help must stay quick

    known = {name.lower(): name for name in models.KINDS}
    if args.kind and args.kind.lower() not in known:
        raise CommandError(f"no kind {args.kind!r}; there are: {', '.join(known.values())}")
    output.write(schema.text(known.get(args.kind.lower(), "")))
    return ExitCode.OK
