"""``prodsprint demo``: the whole story on real parts, told live."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reconciler.cli import output
from reconciler.cli.client import CommandError, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.clock import SystemClock
from reconciler.core.outcome import TransientError

SUMMARY = "tell the whole story on this machine: real git, processes, Envoy and traffic"
EXAMPLES = """examples:
  prodsprint demo
  prodsprint demo --keep        leaves everything running, to look around
  prodsprint demo --stop DIR    ends what --keep has left running"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--keep", action="store_true", help="leave all of it running")
    parser.add_argument(
        "--stop", type=Path, metavar="DIR", help="end what an earlier demo has left running, and remove it"
    )
    parser.add_argument("--dir", type=Path, help="folder to play in (default: a new one among the temporary files)")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second (default: 500)")


def run(args: argparse.Namespace) -> int:
    """Play it."""
    from reconciler.cli.story import Story  # noqa: PLC0415
    from reconciler.demo.stage import Stage, clear, free_port  # noqa: PLC0415  # heavy: only this verb needs it

    if args.stop is not None:
        clear(args.stop)
        output.write(f"{args.stop}: ended and removed")
        return ExitCode.OK
    stage = Stage(_folder(args.dir), SystemClock(), free_port(), args.rate)
    finished = False
    try:
        stage.start_daemon()
        stage.wait_for_daemon()
        where = argparse.Namespace(data_dir=stage.data, address=None, token_file=None, ca=None)
        with connect(where) as client:
            story = Story(stage, client, sys.stdout)
            story.tell()
            story.where_to_look(keep=args.keep)
        finished = True
    except TransientError as error:
        raise CommandError(f"{error}\nThe daemon's last words:\n{stage.last_words()}") from None
    finally:
        if not (args.keep and finished):
            clear(stage.folder)
    return ExitCode.OK


def _folder(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="prodsprint-demo-"))
    if wanted.exists() and any(wanted.iterdir()):
        raise CommandError(f"{wanted} is not empty: name another folder, or end an earlier demo with --stop {wanted}")
    wanted.mkdir(parents=True, exist_ok=True)
    return wanted.resolve()
