"""``prodsprint instances …``: what a daemon has left running."""

from __future__ import annotations

import argparse
from pathlib import Path

from reconciler import proc
from reconciler.cli import output
from reconciler.cli.client import CommandError
from reconciler.cli.exit_codes import ExitCode
from reconciler.clock import SystemClock, within
from reconciler.datadir import exclusive
from reconciler.settings import default_data_dir

SUMMARY = "end what a daemon has left running"
PATIENCE = 60.0
"""Seconds that everything together gets to end: services may drain."""


class _Stop:
    NAME = "stop"
    SUMMARY = "end every instance and the router of a data directory whose daemon has been stopped"
    EXAMPLES = """example:
  prodsprint instances stop --data-dir ~/prodsprint-data

Users get no answers from then on. What is recorded stays: a daemon that is started again brings everything up again."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        parser.add_argument(
            "--data-dir", type=Path, metavar="DIR", help="data directory of the daemon that was stopped"
        )

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """End them; the lock keeps a daemon from starting meanwhile."""
        data = args.data_dir or default_data_dir()
        if not data.is_dir():
            raise CommandError(f"{data}: no such folder")
        with exclusive(data):
            number = len(list(data.rglob("spec.json")))
            if not within(PATIENCE, lambda: proc.end_below(data) == 0, SystemClock()):
                raise CommandError(f"not everything below {data} has ended within {PATIENCE:g} s", ExitCode.TIMED_OUT)
        output.write(f"{number} ended" if number else "nothing was running")
        return ExitCode.OK


VERBS = (_Stop,)
