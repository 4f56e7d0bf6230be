"""What all verbs that act on the daemon have in common: a key, a reason, and one answer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Protocol

from prodsprint.v1 import Answer

from reconciler.cli import output
from reconciler.cli.client import Client, add_connection, add_key, connect, user
from reconciler.cli.exit_codes import ExitCode


class Response(Protocol):
    """What every call of the control service returns."""

    answer: Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line that they share."""
    add_key(parser)
    parser.add_argument("--reason", required=True, help="why, in a few words: it is kept in the audit chain")
    output.add_format(parser, output.PLAIN_FORMATS)
    add_connection(parser)


def ask(args: argparse.Namespace, call: Callable[[Client, str], Response]) -> int:
    """Ask, print the answer. Exit code 3 when it was refused, 5 when it was not decided on in time."""
    with connect(args) as client:
        answer = call(client, user()).answer
    if args.output != "table":
        output.data(output.as_data(answer), args.output)
    else:
        word = "pending" if answer.pending else "accepted" if answer.accepted else "refused"
        output.write(f"{args.key}: {word}: {answer.message}")
    if answer.pending:
        return ExitCode.TIMED_OUT
    return ExitCode.OK if answer.accepted else ExitCode.DENIED
