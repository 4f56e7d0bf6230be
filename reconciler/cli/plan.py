"""``prodsprint plan``: what a commit would lead to, decided by the same function as in the daemon."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reconciler.cli import output
from reconciler.cli.client import CommandError, add_connection
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "show what a commit of these manifests would lead to"
EXAMPLES = """examples:
  prodsprint plan
  prodsprint plan services/checkout --detailed-exitcode
  prodsprint plan --rev HEAD -o markdown
  prodsprint plan --explain HEAD~1 HEAD

With a daemon in reach the plan starts from what it observes; without one, from nothing, and says so. Versions are looked up
in the service repos. Exit code 1: a problem; 2 with --detailed-exitcode: something would change; 3: a gate denies it.

--rev plans what merging a commit would change, compared with where it leaves the default branch, or with --base; the exit
code is 1 for a problem that it brings, and 3 also for removals over the budget and for ports that something without a
manifest still has. --explain says what happens from one commit to another, and asks no daemon. Paths then name files or
folders in the git repo, and what is broken in the older commit is taken for not there."""
FORMATS = (*output.PLAIN_FORMATS, "markdown")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("paths", nargs="*", type=Path, default=[Path()], help="files or folders (default: this folder)")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when something would change")
    commits = parser.add_mutually_exclusive_group()
    commits.add_argument("--rev", metavar="REV", help="plan what merging this commit would change")
    commits.add_argument("--explain", metavar="REV", nargs=2, help="say what happens from one commit to another")
    parser.add_argument("--base", metavar="REV", help="with --rev: compare it with this commit")
    output.add_format(parser, FORMATS)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Load, observe, decide and print; nothing is committed, and nothing is acted on."""
    if args.base is not None and args.rev is None:
        raise CommandError("--base goes with --rev")
    if args.explain or args.rev is not None:
        from reconciler.cli import proposal  # noqa: PLC0415  # help must stay quick

        return proposal.explain(args) if args.explain else proposal.propose(args)
    if args.output == "markdown":
        raise CommandError("-o markdown goes with --rev and with --explain")
    return _plan(args)


def _plan(args: argparse.Namespace) -> int:
    """Plan the manifests on disk."""
    from reconciler.cli import observed, preview  # noqa: PLC0415  # help must stay quick
    from reconciler.cli.files import resolved  # noqa: PLC0415
    from reconciler.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="prodsprint-plan-") as folder:
        snapshot = resolved(args.paths or [Path()], Path(folder))
    wrong = dict.fromkeys([*map(str, snapshot.problems), *snapshot.key_problems.values()])
    if wrong:
        sys.stderr.write("".join(f"{one}\n" for one in wrong))
        return ExitCode.ERROR
    known, why = observed.states(args, observed.concerned(snapshot.desired.values()))
    around = preview.Around(known, snapshot.desired.get)
    previews = [preview.preview(desired, around, clock) for _, desired in sorted(snapshot.desired.items())]
    if args.output == "table":
        origin = "Planned from what the daemon observes now."
        if why:
            origin = f"The observed state is unknown ({why}); this is what a daemon that has nothing yet would do."
        texts = [preview.text(one, output.columns()) for one in previews]
        output.write("\n\n".join((output.wrap(origin, output.columns()), *texts)))
    else:
        output.data([preview.as_data(one) for one in previews], args.output)
    if any(one.denied for one in previews):
        return ExitCode.DENIED
    return ExitCode.CHANGES if args.detailed_exitcode and any(one.plan for one in previews) else ExitCode.OK
