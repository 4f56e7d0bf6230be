"""``prodsprint events …``: what happened, as it happens, and notifications that could not be delivered."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from prodsprint.v1 import (
    DeadLetter,
    Event,
    ListDeadLettersRequest,
    ListEventsRequest,
    ReplayDeadLetterRequest,
    WatchRequest,
)

from reconciler.cli import output
from reconciler.cli.client import Client, add_connection, add_key, connect
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "what happened, and notifications that failed"


class _List:
    NAME = "list"
    SUMMARY = "print events, oldest first, and follow them with -w"

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Define the command line."""
        add_key(parser, "?", "only of this environment")
        parser.add_argument("--workspace", default="", metavar="NAME", help="only of this workspace")
        parser.add_argument("--after", type=int, default=0, metavar="ID", help="only events after this one")
        parser.add_argument("-w", "--watch", action="store_true", help="go on with what happens, as it happens")
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
                        _follow(message.event, args.output)
                return ExitCode.OK
            found = list(_events(client, args))
        output.show(args.output, found, _row, lambda one: str(one.id), wide=("hash",), empty="no such event yet")
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
        parser.add_argument("id", metavar="ID", type=int, help="id that 'events dead' shows")
        add_connection(parser)

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Queue it."""
        with connect(args) as client:
            client.call(client.control.ReplayDeadLetter, ReplayDeadLetterRequest(id=args.id))
        output.write(f"{args.id} is queued again")
        return ExitCode.OK


VERBS = (_List, _Dead, _Replay)


def _events(client: Client, args: argparse.Namespace) -> Iterator[Event]:
    token = ""
    while True:
        request = ListEventsRequest(
            workspace=args.workspace, key=args.key or "", after=args.after, page_size=500, page_token=token
        )
        page = client.call(client.status.ListEvents, request)
        yield from page.events
        token = page.next_page_token
        if not token:
            return


def _follow(event: Event, form: str) -> None:
    """Print an event as it happens: one line for people, one JSON line or YAML document for programs."""
    if form in {"json", "yaml"}:
        output.data(output.as_data(event), form, line=True)
    elif form == "name":
        output.write(str(event.id))
    else:
        output.write(f"{output.clock(event.time)}  {event.key}  {event.type}  {event.message}")


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
