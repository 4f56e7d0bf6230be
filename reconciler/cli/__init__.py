"""The command ``prodsprint``: one module a verb, found here by its name.

A verb's module exports ``SUMMARY``, ``add_arguments(parser)`` and ``run(args) -> int``; a group's module exports
``SUMMARY`` and ``VERBS``. Modules import what is heavy only when they run, so that help and completion stay quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, NoReturn

from reconciler import __version__
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.outcome import TerminalError, TransientError

VERBS = ("run", "validate", "plan", "status", "why", "history", "rollback", "demo")
GROUPS = ("release", "events", "audit", "instances", "explain", "fmt", "migrate", "schema", "completion")


class Parser(argparse.ArgumentParser):
    """Says what to do about a wrong command line, and exits with the documented code."""

    def __init__(self, **options: Any) -> None:
        # Abbreviated options would break in scripts on the day that a second option begins alike.
        super().__init__(allow_abbrev=False, formatter_class=_formatter, **options)

    def error(self, message: str) -> NoReturn:
        """Print the problem and where to read on; argparse would exit with 2, which means something else here."""
        self.exit(ExitCode.ERROR, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


class _Root(Parser):
    """Prints the first help screen: a line a verb, everyday ones first."""

    def format_help(self) -> str:
        """The first help screen."""
        lines = [self.format_usage(), f"{self.description}\n", "everyday verbs:"]
        lines += [f"  {name:<12}{_module(name).SUMMARY}" for name in VERBS]
        lines += ["", "more:", *(f"  {name:<12}{_inside(_module(name))}" for name in GROUPS)]
        return "\n".join([*lines, "", f"{self.epilog}\n"])


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30)


def _inside(module: ModuleType) -> str:
    """What the first help screen says of a group: its summary, and its verbs."""
    verbs = ", ".join(verb.NAME for verb in getattr(module, "VERBS", ()))
    return f"{module.SUMMARY}: {verbs}" if verbs else str(module.SUMMARY)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"reconciler.cli.{name}")


def build_parser() -> Parser:
    """The whole command line."""
    parser = _Root(
        prog="prodsprint",
        description="From a commit to compliant production, reversibly.",
        epilog="'prodsprint VERB --help' shows a verb's arguments and an example. Exit codes: docs/cli.md.",
    )
    parser.add_argument("--version", action="version", version=f"prodsprint {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name in VERBS:
        _add_verb(verbs, name, _module(name))
    for name in GROUPS:
        module = _module(name)
        if hasattr(module, "add_arguments"):
            _add_verb(verbs, name, module)
            continue
        group = verbs.add_parser(name, help=module.SUMMARY, description=_sentence(module.SUMMARY))
        inner = group.add_subparsers(dest="subverb", title="verbs", metavar="VERB", required=True, parser_class=Parser)
        for verb in module.VERBS:
            _add_verb(inner, verb.NAME, verb)
    return parser


def _add_verb(verbs: argparse._SubParsersAction[Parser], name: str, verb: object) -> None:
    summary = verb.SUMMARY  # type: ignore[attr-defined]
    parser = verbs.add_parser(
        name, help=summary, description=_sentence(summary), epilog=getattr(verb, "EXAMPLES", None)
    )
    verb.add_arguments(parser)  # type: ignore[attr-defined]
    parser.set_defaults(run=verb.run)  # type: ignore[attr-defined]


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:]}."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. A user's mistake ends in one sentence, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a terminal that lacks a letter gets a mark instead; tests print to a string
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        args = build_parser().parse_args(argv)
        code = int(args.run(args))
        sys.stdout.flush()
    except (TerminalError, TransientError) as error:
        sys.stderr.write(f"prodsprint: {error}\n")
        return int(getattr(error, "exit_code", ExitCode.ERROR))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough. Python flushes once more when it ends: into nothing, instead of an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return code
