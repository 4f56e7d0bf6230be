"""``prodsprint validate``: check manifests before they are committed; needs no daemon and no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from reconciler.cli import output
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "check manifests before they are committed (offline)"
EXAMPLES = """examples:
  prodsprint validate
  prodsprint validate services/checkout -o json

exit code 1: at least one problem"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("paths", nargs="*", type=Path, default=[Path()], help="files or folders (default: this folder)")
    output.add_format(parser, output.PLAIN_FORMATS)


def run(args: argparse.Namespace) -> int:
    """Print every problem with file, line and column."""
    from reconciler.cli.files import compiled  # noqa: PLC0415  # help must stay quick

    snapshot = compiled(args.paths)
    problems = [
        {
            "file": one.place.file,
            "line": one.place.line,
            "column": one.place.column,
            "code": str(one.code),
            "message": one.message,
            "hint": one.hint,
        }
        for one in snapshot.problems
    ]
    if args.output != "table":
        output.data(problems, args.output)
    elif problems:
        output.write("\n".join(str(one) for one in snapshot.problems))
    else:
        names = ", ".join(str(key) for key in sorted(snapshot.desired))
        files, environments = (
            output.count(len(snapshot.files), "file"),
            output.count(len(snapshot.desired), "environment"),
        )
        output.write(f"fine: {files}, {environments} ({names})")
    return ExitCode.ERROR if problems else ExitCode.OK
