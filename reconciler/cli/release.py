"""``prodsprint release …``: verbs that act on one environment."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from prodsprint.v1 import AbortRequest, PauseRequest, PromoteRequest, ResumeRequest, RetireRequest, SyncRequest

from reconciler.cli import control
from reconciler.cli.client import Client
from reconciler.core.units import parse_duration

SUMMARY = "act on the rollout in progress"


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of the control service: its request type, and the method of the same name."""

    NAME: str
    SUMMARY: str
    request: Callable[..., Any]
    timed: bool = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        control.add_arguments(parser)
        if self.timed:
            help_text = "how long (30m, 2h) or until when (2026-12-24T18:00+01:00); default: a day"
            parser.add_argument("--until", type=until, help=help_text)

    def run(self, args: argparse.Namespace) -> int:
        """Ask for it."""
        more = {"until": args.until} if self.timed and args.until else {}

        def call(client: Client, who: str) -> control.Response:
            method = getattr(client.control, self.NAME.capitalize())
            request = self.request(key=args.key, reason=args.reason, on_behalf_of=who, **more)
            response: control.Response = client.call(method, request)
            return response

        return control.ask(args, call)


VERBS = (
    Verb("sync", "look at the repos and the environment now", SyncRequest),
    Verb("pause", "hold promotion; going back is never held", PauseRequest, timed=True),
    Verb("resume", "end a pause, or give a held step its longest bake once more", ResumeRequest),
    Verb("promote", "let the current step count as passed (never one that regressed or crashed)", PromoteRequest),
    Verb("abort", "give up the rollout in progress and go back", AbortRequest),
    Verb("retire", "take out of service what no manifest asks for: traffic first, then the instances", RetireRequest),
)


def until(text: str) -> Timestamp:
    """A point in time, from a duration or an ISO 8601 time. Raises ArgumentTypeError for anything else."""
    stamp = Timestamp()
    try:
        stamp.FromDatetime(datetime.fromisoformat(text).astimezone(UTC))
    except ValueError:
        try:
            length = timedelta(seconds=parse_duration(text))
        except ValueError as error:
            wanted = "expected a duration like 2h or a time like 2026-12-24T18:00+01:00"
            raise argparse.ArgumentTypeError(f"{text!r}: {wanted} ({error})") from None
        stamp.GetCurrentTime()
        stamp.FromDatetime(stamp.ToDatetime(UTC) + length)
    return stamp
