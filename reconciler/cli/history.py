"""``prodsprint history``: the finished attempts of an environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from prodsprint.v1 import Attempt, ListAttemptsRequest

from reconciler.cli import output
from reconciler.cli.client import add_connection, connect, key
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "list what was released, and how each attempt ended"
EXAMPLES = """example:
  prodsprint history checkout/prod -o wide"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("key", type=key, help="PROJECT/ENVIRONMENT or WORKSPACE/PROJECT/ENVIRONMENT")
    parser.add_argument("-n", "--limit", type=int, default=20, help="newest attempts to show (default: 20)")
    output.add_format(parser)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    with connect(args) as client:
        request = ListAttemptsRequest(key=args.key, page_size=args.limit)
        attempts = client.call(client.status.ListAttempts, request).attempts
    wide = ("revision", "commit", "digest")
    output.show(args.output, attempts, row, lambda one: str(one.attempt), wide=wide, empty="no attempt has ended yet")
    return ExitCode.OK


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
        "revision": one.revision[:12],
        "commit": one.commit[:12],
        "digest": one.digest[:12],
        "why": one.reason,
    }
