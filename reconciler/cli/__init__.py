"""The command ``prodsprint``: one module a verb, found here by its name.

A verb's module exports ``SUMMARY``, ``add_arguments(parser)`` and ``run(args) -> int``; a group's module exports
``SUMMARY`` and ``VERBS``. Modules import what is heavy only when they run, so that help and completion stay quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from reconciler import __version__
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.outcome import TerminalError, TransientError

VERBS = ("run", "validate", "plan", "status", "why", "history", "rollback", "demo")
GROUPS = ("release", "events", "audit", "schema", "completion")


class Parser(argparse.ArgumentParser):
    """Says what to do about a wrong command line, and exits with the documented code."""

    def error(self, message: str) -> NoReturn:
        """Print the problem and where to read on; argparse would exit with 2, which means something else here."""
        self.exit(ExitCode.ERROR, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"reconciler.cli.{name}")


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="prodsprint",
        description="From a commit to compliant production, reversibly.",
        epilog="'prodsprint VERB --help' shows a verb's arguments and an example. Exit codes: docs/cli.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"prodsprint {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True, parser_class=Parser)
    for name in VERBS:
        _add_verb(verbs, name, _module(name))
    for name in GROUPS:
        module = _module(name)
        if hasattr(module, "add_arguments"):
            _add_verb(verbs, name, module)
            continue
        group = verbs.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        inner = group.add_subparsers(dest="subverb", metavar="VERB", required=True, parser_class=Parser)
        for verb in module.VERBS:
            _add_verb(inner, verb.NAME, verb)
    return parser


def _add_verb(verbs: argparse._SubParsersAction[Parser], name: str, verb: object) -> None:
    summary = verb.SUMMARY  # type: ignore[attr-defined]
    parser = verbs.add_parser(
        name,
        help=summary,
        description=summary[:1].upper() + summary[1:] + ".",
        epilog=getattr(verb, "EXAMPLES", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_arguments(parser)  # type: ignore[attr-defined]
    parser.set_defaults(run=verb.run)  # type: ignore[attr-defined]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. A user's mistake ends in one sentence, never in a traceback."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (TerminalError, TransientError) as error:
        sys.stderr.write(f"prodsprint: {error}\n")
        return int(getattr(error, "exit_code", ExitCode.ERROR))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return ExitCode.OK
