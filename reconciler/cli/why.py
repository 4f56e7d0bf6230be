"""``prodsprint why``: what an environment waits for, and what happened to it last."""

from __future__ import annotations

import argparse

from prodsprint.v1 import Analysis, Attempt, ListAttemptsRequest, WhyRequest, WhyResponse

from reconciler.cli import output
from reconciler.cli.client import add_connection, connect, key
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "say why an environment is not where git wants it, and who can change that"
EXAMPLES = """example:
  prodsprint why checkout/prod"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("key", type=key, help="PROJECT/ENVIRONMENT or WORKSPACE/PROJECT/ENVIRONMENT")
    output.add_format(parser)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print the answer."""
    with connect(args) as client:
        answer = client.call(client.status.Why, WhyRequest(key=args.key))
        attempts = client.call(client.status.ListAttempts, ListAttemptsRequest(key=args.key, page_size=1)).attempts
    if args.output in {"json", "yaml"}:
        output.data(output.as_data(answer), args.output)
    else:
        output.write(text(answer, attempts[0] if attempts else None))
    return ExitCode.OK


def text(answer: WhyResponse, last: Attempt | None) -> str:
    """The answer for people."""
    lines = [answer.summary]
    for one in answer.waiting:
        lines += ["", f"waits for   {one.condition}: {one.message}", f"unblocked   by {one.who}" if one.who else ""]
        lines += [f"deadline    {output.clock(one.deadline)}"] if one.HasField("deadline") else []
        lines += [f"next look   {output.clock(one.next_look)}"] if one.HasField("next_look") else []
    if answer.HasField("analysis") and answer.analysis.verdict:
        lines += ["", *_numbers(answer.analysis)]
    if last is not None:
        lines += [
            "",
            f"last        attempt {last.attempt}, {last.version} {last.result.replace('_', ' ')}: {last.reason}",
        ]
        lines += [f"            {_cost(last)}"] if last.result == "rolled_back" else []
    return "\n".join(line for i, line in enumerate(lines) if line or (i and lines[i - 1]))


def _numbers(seen: Analysis) -> list[str]:
    return [
        f"verdict     {seen.verdict}: {seen.reason}",
        f"canary      {seen.canary_requests:,} requests, {seen.canary_failed:,} failed",
        f"control     {seen.control_requests:,} requests, {seen.control_failed:,} failed",
        f"baked       {output.seconds(seen.dwell.ToTimedelta().total_seconds())} in this step",
    ]


def _cost(last: Attempt) -> str:
    met = f"{last.bad_requests:,} requests met it"
    if not last.HasField("restore_time"):
        return met
    return f"{met}; all traffic was back {output.seconds(last.restore_time.ToTimedelta().total_seconds())} after the verdict"
