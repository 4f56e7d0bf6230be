"""``prodsprint history``: the finished attempts of an environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from prodsprint.v1 import Attempt, GetEnvironmentRequest, ListAttemptsRequest

from reconciler.cli import output
from reconciler.cli.client import add_connection, add_key, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.why import ending

SUMMARY = "list what was released, and how each attempt ended"
EXAMPLES = """example:
  prodsprint history checkout/prod -o wide"""

MOST = 1000
"""Attempts that the daemon gives at once; it keeps fewer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add_key(parser)
    words = f"newest attempts to show, 1 to {MOST} (default: 20)"
    parser.add_argument("-n", "--limit", type=limit, default=20, metavar="N", help=words)
    output.add_format(parser)
    add_connection(parser)


def limit(text: str) -> int:
    """How many to show. Raises ArgumentTypeError for a number that the daemon would not take."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST}, found {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    with connect(args) as client:
        request = ListAttemptsRequest(key=args.key, page_size=args.limit)
        attempts = client.call(client.status.ListAttempts, request).attempts
        one = client.call(client.status.GetEnvironment, GetEnvironmentRequest(key=args.key)).environment
    wide = ("revision", "commit", "digest")
    output.show(args.output, attempts, row, lambda one: str(one.attempt), wide=wide, empty="no attempt has ended yet")
    if args.output in {"table", "wide"} and ending(one):
        output.write("\n" + output.wrap(ending(one), output.columns()))
    return ExitCode.OK


def revision(text: str) -> str:
    """Twelve characters of a revision, or of each: those of several components are told as NAME=REVISION."""
    each = (word.rpartition("=") for word in text.split())
    return " ".join(f"{name}{equals}{one[:12]}" for name, equals, one in each)


def row(one: Attempt) -> Mapping[str, str]:
    """The columns of one attempt."""
    took = one.ended_at.ToDatetime() - one.started_at.ToDatetime()
    restored = one.restore_time.ToTimedelta().total_seconds() if one.HasField("restore_time") else None
    return {
        "attempt": str(one.attempt),
        "version": one.version,
        "result": one.result.replace("_", " "),
        "started": output.clock(one.started_at),
        "took": output.seconds(took.total_seconds()),
        "met it": f"{one.bad_requests:,}" if restored is not None else "",
        "restored in": output.seconds(restored) if restored is not None else "",
        "revision": revision(one.revision),
        "commit": one.commit[:12],
        "digest": one.digest[:12],
        "why": one.reason,
    }
