"""``prodsprint plan``: what a commit would lead to, decided by the same function as in the daemon."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reconciler.cli import output
from reconciler.cli.client import CommandError, add_connection, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.desired import Key

SUMMARY = "show what a commit of these manifests would lead to"
EXAMPLES = """examples:
  prodsprint plan
  prodsprint plan services/checkout --detailed-exitcode

With a daemon in reach the plan starts from what it observes; without one, from nothing, and says so. Versions are looked up
in the service repos. Exit code 1: a problem; 2 with --detailed-exitcode: something would change; 3: a gate denies it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("paths", nargs="*", type=Path, default=[Path()], help="files or folders (default: this folder)")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when something would change")
    output.add_format(parser, output.PLAIN_FORMATS)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Load, observe, decide and print; nothing is committed, and nothing is acted on."""
    from reconciler.cli import preview  # noqa: PLC0415  # help must stay quick
    from reconciler.cli.files import resolved  # noqa: PLC0415
    from reconciler.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="prodsprint-plan-") as folder:
        snapshot = resolved(args.paths, Path(folder))
    wrong = dict.fromkeys([*map(str, snapshot.problems), *snapshot.key_problems.values()])
    if wrong:
        sys.stderr.write("".join(f"{one}\n" for one in wrong))
        return ExitCode.ERROR
    known, origin = _known(args, sorted(snapshot.desired))
    previews = [preview.preview(desired, known.get(key), clock) for key, desired in sorted(snapshot.desired.items())]
    texts = [preview.text(one, output.columns()) for one in previews]
    if args.output == "table":
        output.write("\n\n".join((output.wrap(origin, output.columns()), *texts)))
    else:
        output.data([preview.as_data(one) for one in previews], args.output)
    if any(one.denied for one in previews):
        return ExitCode.DENIED
    return ExitCode.CHANGES if args.detailed_exitcode and any(one.plan for one in previews) else ExitCode.OK


def _known(args: argparse.Namespace, keys: list[Key]) -> tuple[dict[Key, tuple[str, str]], str]:
    """(state, observation) as JSON by key, and a sentence that says where they come from."""
    import grpc  # noqa: PLC0415
    from prodsprint.v1 import GetStateRequest  # noqa: PLC0415

    found: dict[Key, tuple[str, str]] = {}
    try:
        with connect(args) as client:
            for key in keys:
                try:
                    answer = client.call(client.status.GetState, GetStateRequest(key=str(key)))
                except grpc.RpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:
                        continue
                    raise
                found[key] = (answer.state, answer.observed)
    except CommandError as error:
        if error.exit_code is not ExitCode.UNREACHABLE:
            raise
        return {}, f"The observed state is unknown ({error}); this is what a daemon that has nothing yet would do."
    return found, "Planned from what the daemon observes now."
