"""``prodsprint demo``: the whole story on real parts, told live."""

from __future__ import annotations

import argparse
import signal
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
    words = "folder to play in (default: a new one among the temporary files)"
    parser.add_argument("--dir", type=Path, metavar="DIR", help=words)
    parser.add_argument("--rate", type=rate, default=500.0, metavar="N", help="requests a second (default: 500)")


def rate(text: str) -> float:
    """Requests a second, a number from 1 to 5,000. Raises ArgumentTypeError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 5000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 5000, found {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    """Play it."""
    from reconciler.cli.story import Story  # noqa: PLC0415
    from reconciler.demo.stage import Stage, clear, free_port  # noqa: PLC0415  # heavy: only this verb needs it

    if args.stop is not None:
        clear(args.stop)
        output.write(f"{args.stop}: ended and removed")
        return ExitCode.OK
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal leaves nothing running either
        signal.signal(number, signal.default_int_handler)
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
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        used = any(wanted.iterdir())
    except OSError as error:
        raise CommandError(f"--dir {wanted}: {error.strerror}") from None
    if used:
        raise CommandError(f"{wanted} is not empty: name another folder, or end an earlier demo with --stop {wanted}")
    return wanted.resolve()
