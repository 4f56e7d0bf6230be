"""``prodsprint events …``: what happened, as it happens, and notifications that could not be delivered."""

from __future__ import annotations

import argparse

from prodsprint.v1 import (
    DeadLetter,
    Event,
    ListDeadLettersRequest,
    ListEventsRequest,
    ReplayDeadLetterRequest,
    WatchRequest,
)

from reconciler.cli import output
from reconciler.cli.client import add_connection, connect, key
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "read events, follow them, and replay notifications that failed"


class _List:
    NAME = "list"
    SUMMARY = "print events, oldest first, and follow them with -w"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        parser.add_argument("key", nargs="?", type=key, help="only of this environment")
        parser.add_argument("--workspace", default="", help="only of this workspace")
        parser.add_argument("--after", type=int, default=0, metavar="ID", help="only events after this one")
        parser.add_argument("-w", "--watch", action="store_true", help="go on with what happens from now on")
        output.add_format(parser)
        add_connection(parser)

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Print them."""
        with connect(args) as client:
            if args.watch:
                wanted = WatchRequest(cursor=args.after, workspace=args.workspace, key=args.key or "")
                for message in client.status.Watch(wanted, metadata=client.metadata):
                    if message.HasField("event"):
                        output.write(line(message.event))
                return ExitCode.OK
            found: list[Event] = []
            token = ""
            while True:
                request = ListEventsRequest(
                    workspace=args.workspace, key=args.key or "", after=args.after, page_size=500, page_token=token
                )
                page = client.call(client.status.ListEvents, request)
                found += page.events
                token = page.next_page_token
                if not token:
                    break
        output.show(args.output, found, _row, lambda one: str(one.id), wide=("hash",), empty="nothing has happened yet")
        return ExitCode.OK


class _Dead:
    NAME = "dead"
    SUMMARY = "list notifications that could not be delivered"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        output.add_format(parser)
        add_connection(parser)

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Print them."""
        with connect(args) as client:
            found = client.call(client.control.ListDeadLetters, ListDeadLettersRequest()).dead_letters
        output.show(args.output, found, _dead_row, lambda one: str(one.id), empty="no notification has failed for good")
        return ExitCode.OK


class _Replay:
    NAME = "replay"
    SUMMARY = "try to deliver a failed notification again"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        parser.add_argument("id", type=int, help="id that 'events dead' shows")
        add_connection(parser)

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Queue it."""
        with connect(args) as client:
            client.call(client.control.ReplayDeadLetter, ReplayDeadLetterRequest(id=args.id))
        output.write(f"{args.id} is queued again")
        return ExitCode.OK


VERBS = (_List, _Dead, _Replay)


def line(event: Event) -> str:
    """One event for people."""
    return f"{output.clock(event.time)}  {event.key}  {event.type}  {event.message}"


def _row(event: Event) -> output.Row:
    return {
        "id": str(event.id),
        "time": output.clock(event.time),
        "key": event.key,
        "actor": event.actor,
        "type": event.type,
        "hash": event.hash[:12],
        "message": event.message,
    }


def _dead_row(letter: DeadLetter) -> output.Row:
    return {
        "id": str(letter.id),
        "notifier": letter.notifier,
        "event": str(letter.event),
        "type": letter.type,
        "key": letter.key,
        "tries": str(letter.attempts),
        "error": letter.error,
    }
