"""``prodsprint validate``: check manifests before they are committed; needs no daemon and no network."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import output
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.text import printable

if TYPE_CHECKING:
    from reconciler.cli.scope import Scope
    from reconciler.core.desired import Key
    from reconciler.manifest.problem import Problem

SUMMARY = "check manifests before they are committed (offline)"
EXAMPLES = """examples:
  prodsprint validate
  prodsprint validate services/checkout -o json
  prodsprint validate --rev origin/main
  prodsprint validate --rev HEAD~1 services/checkout

Files and folders are checked together with all manifests that git tracks in the work tree around them (with --rev: with all
of the commit), since names, ports, defaults and references reach from file to file. Problems in files that are not named are
counted, and do not change the exit code. --alone checks what is named and nothing else.

exit code 1: at least one problem"""
NAMED = 5
"""Environments that are named when nothing is wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("paths", nargs="*", type=Path, default=[Path()], help="files or folders (default: this folder)")
    parser.add_argument("--rev", metavar="REV", help="check a commit of the git repo instead of the files on disk")
    parser.add_argument("--alone", action="store_true", help="check without the other manifests of the repo")
    output.add_format(parser, output.PLAIN_FORMATS)


def run(args: argparse.Namespace) -> int:
    """Print every problem with file, line and column."""
    gc.disable()  # nothing of what is read is ever thrown away: looking for garbage in it would take a tenth of the time
    try:
        return _validate(args)
    finally:
        gc.enable()


def _validate(args: argparse.Namespace) -> int:
    from reconciler.cli import scope  # noqa: PLC0415  # help must stay quick
    from reconciler.manifest.prospect import Prospect  # noqa: PLC0415

    paths = args.paths or [Path()]
    asked = scope.here(paths, alone=args.alone) if args.rev is None else scope.at(args.rev, paths, alone=args.alone)
    snapshot = Prospect().go(asked.commit, asked.tree)
    problems = [one for one in snapshot.problems if asked.mine(one.place.file)]
    if args.output != "table":
        output.data([as_data(one) for one in problems], args.output)
    elif problems:
        lines = (output.wrap(str(one), output.columns(), 4) for one in problems)
        output.write("\n".join((*lines, _counted(problems))))
    else:
        keys = sorted(key for key, state in snapshot.desired.items() if asked.mine(state.path))
        output.write(_fine(sum(map(asked.mine, snapshot.files)), keys))
    _others(len(snapshot.problems) - len(problems), asked)
    if problems and args.rev is None and not args.alone:
        _unseen(scope.untracked(asked.tree, paths))
    return ExitCode.ERROR if problems else ExitCode.OK


def as_data(problem: Problem) -> dict[str, object]:
    """A problem for programs."""
    place = problem.place
    where = {"file": place.file, "line": place.line, "column": place.column}
    return {**where, "code": str(problem.code), "message": problem.message, "hint": problem.hint}


def _fine(files: int, keys: Sequence[Key]) -> str:
    names = ", ".join(map(str, keys[:NAMED])) + (f" and {len(keys) - NAMED:,} more" if len(keys) > NAMED else "")
    environments = output.count(len(keys), "environment")
    return f"fine: {output.count(files, 'file')}, {environments}" + (f" ({names})" if keys else "")


def _counted(problems: Sequence[Problem]) -> str:
    files = output.count(len({one.place.file for one in problems}), "file")
    return f"{output.count(len(problems), 'problem')} in {files}"


def _unseen(files: Sequence[str]) -> None:
    """Say which documents may be missed, and are no part of a commit yet."""
    for file in files[:NAMED]:
        sys.stderr.write(
            f"{printable(file)} does not count here, since git does not track it: 'git add' it if it is to\n"
        )
    if len(files) > NAMED:
        sys.stderr.write(f"{output.count(len(files) - NAMED, 'more file')} that git does not track\n")


def _others(number: int, asked: Scope) -> None:
    if number:
        sys.stderr.write(f"{output.count(number, 'problem')} in other files of {asked.top}\n")
