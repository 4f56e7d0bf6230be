"""The story of ``prodsprint demo``: commits go in, canaries come out promoted or rolled back; all of it is real."""

from __future__ import annotations

import json
import os
import select
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import grpc
from prodsprint.v1 import Attempt, Environment, Event, GetEnvironmentRequest, ListAttemptsRequest, ListEventsRequest

from reconciler.cli import output
from reconciler.cli.client import Client
from reconciler.core.outcome import TransientError
from reconciler.core.units import percent_words
from reconciler.demo.repos import MANIFEST, VERSIONS, Repo, Version, make_service
from reconciler.demo.stage import Stage

KEY = "demo/hello/prod"
PATIENCE = 120.0
"""Seconds that one chapter may take before the story gives up: slow machines need a fraction of it."""
INDENT = 11
"""Columns of the time before each event; what wraps goes on to its right."""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SHOWN = {
    "rollout.started",
    "rollout.step",
    "rollout.rolling_back",
    "rollout.promoted",
    "rollout.rolled_back",
    "rollout.held",
}


@dataclass(slots=True)
class Story:
    """Tells it to ``out``, live on a terminal (one line that moves) and in plain lines elsewhere."""

    stage: Stage
    client: Client
    out: TextIO
    cursor: int = 0
    started: float = 0.0
    told: float = 0.0
    drawn: bool = False
    reached: dict[int, str] = field(default_factory=dict)
    """The last step of each attempt, in words."""

    # --- speaking ---

    def seconds(self) -> float:
        """Seconds since the story began."""
        return self.stage.clock.now().mono - self.started

    def say(self, text: str = "", style: str = "", indent: int = INDENT) -> None:
        """Print one line, in place of the progress line; on a terminal folded and indented, and in a style."""
        live = self.out.isatty()
        clear = "\r\x1b[K" if self.drawn else ""
        self.drawn = False
        codes = {"bold": "1", "good": "32", "bad": "31", "dim": "2"}
        text = output.wrap(text, self.columns(), indent)
        if live and style:
            text = f"\x1b[{codes[style]}m{text}\x1b[0m"
        self.out.write(f"{clear}{text}\n")
        self.out.flush()

    def columns(self) -> int | None:
        """Width of the terminal that the story is told on; None when it is none."""
        return output.columns() if self.out.isatty() else None

    def progress(self, text: str) -> None:
        """Show that something is going on: at once on a terminal, every five seconds elsewhere."""
        now = self.seconds()
        columns = self.columns()
        if columns is not None:
            mark = SPINNER[int(now * 10) % len(SPINNER)]
            self.out.write(f"\r\x1b[K{output.cut(f'{mark} {now:5.1f} s  {text}', columns - 1)}")
            self.out.flush()
            self.drawn = True
        elif now - self.told >= 5:
            self.told = now
            self.say(f"  {now:5.1f} s  ... {text}")

    # --- watching ---

    def events(self) -> Iterator[Event]:
        """What happened since the last call."""
        request = ListEventsRequest(key=KEY, page_size=1000, after=self.cursor)
        for event in self.client.call(self.client.status.ListEvents, request).events:
            self.cursor = event.id
            yield event

    def environment(self) -> Environment:
        """The state of the one environment of the story."""
        return self.client.call(self.client.status.GetEnvironment, GetEnvironmentRequest(key=KEY)).environment

    def attempts(self) -> list[Attempt]:
        """Finished attempts, oldest first."""
        try:
            found = self.client.call(self.client.status.ListAttempts, ListAttemptsRequest(key=KEY)).attempts
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:  # the key appears with the first commit
                return []
            raise
        return list(reversed(found))

    def follow(self, ended: Callable[[], bool], waiting: str) -> None:
        """Tell what happens until ``ended``. Raises TransientError when it takes too long."""
        limit = self.seconds() + PATIENCE
        while True:
            over = ended()
            for event in self.events():
                self._tell(event)
            if over:
                return
            self.stage.check()
            if self.seconds() > limit:
                raise TransientError(f"{waiting}: not within {PATIENCE:g} s")
            self.progress(self._doing(waiting))
            select.select([], [], [], 0.1)

    def _tell(self, event: Event) -> None:
        if event.type == "rollout.step":
            body = json.loads(event.body)
            self.reached[body["attempt"]] = percent_words(body["weight"])
        if event.type in SHOWN:
            style = {"rollout.promoted": "good", "rollout.rolling_back": "bad", "rollout.rolled_back": "good"}
            # How it ended is told without the reason, which was told when the way back began.
            message = event.message.partition(": ")[0] if event.type == "rollout.rolled_back" else event.message
            self.say(f"  {self.seconds():5.1f} s  {message}", style.get(event.type, ""))

    def _doing(self, waiting: str) -> str:
        try:
            one = self.environment()
        except grpc.RpcError:
            return waiting
        if not one.HasField("rollout"):
            return waiting
        seen = one.rollout.analysis
        step = f"{one.rollout.release.version} at {percent_words(one.rollout.weight)}"
        return f"{step}: {one.waiting_for or seen.reason or waiting}"

    # --- the chapters ---

    def chapter(self, config: Repo, source: Repo, version: Version, number: int) -> None:
        """Commit one version, and follow its attempt to the end."""
        text = MANIFEST.format(
            source=source.folder.as_uri(), version=version.name, port=self.stage.port, python=sys.executable
        )
        commit = config.commit({"prodsprint.yaml": text}, f"hello {version.name}")
        self.say()
        self.say(f"commit {commit[:8]}: version: {version.name} ({version.says})", "bold")
        self.follow(lambda: len(self.attempts()) >= number, f"{version.name} is on its way")

    def tell(self) -> None:
        """The whole story."""
        now = self.stage.clock.now()
        self.started = now.mono
        self.say("ProdSprint: one service, its users, and four commits. Every part is real.", "bold")
        source = make_service(self.stage.folder / "service", now)
        config = Repo(self.stage.folder / "config", now)
        for number, version in enumerate(VERSIONS, start=1):
            self.chapter(config, source, version, number)
            if number == 1:
                self.stage.start(
                    "traffic", "reconciler.demo.traffic", str(self.stage.port), "--rate", str(self.stage.rate)
                )
                self.say(
                    f"  {self.seconds():5.1f} s  traffic starts: {self.stage.rate:g} requests a second, and it stays",
                    "dim",
                )
        self.timeline()

    def timeline(self) -> None:
        """What it came to: one row an attempt, and what the users noticed."""
        self.say()
        self.say("What happened", "bold")
        rows = []
        for version, attempt in zip(VERSIONS, self.attempts(), strict=True):
            back = attempt.HasField("restore_time")
            took = (attempt.ended_at.ToDatetime() - attempt.started_at.ToDatetime()).total_seconds()
            restored = attempt.restore_time.ToTimedelta().total_seconds()
            rows.append(
                {
                    "commit": attempt.commit[:8],
                    "version": version.name,
                    "reached": self.reached.get(attempt.attempt, ""),
                    "verdict": attempt.result.replace("_", " "),
                    "took": output.seconds(took),
                    "met by": output.count(attempt.bad_requests, "request") if back else "",
                    "restored in": output.seconds(restored) if back else "",
                }
            )
        width = self.columns()
        for line in output.table(rows, width - 2 if width else None).splitlines():
            self.say(f"  {line}")
        self.say()
        self.say(f"  {self.users()}", indent=2)

    def users(self) -> str:
        """What those who sent the requests noticed."""
        counts = self.stage.traffic()
        by_code: Counter[str] = Counter()
        for codes in counts.answered.values():
            by_code.update(codes)
        by_router = sum(counts.answered.get("(router)", {}).values())
        lost = sum(counts.failed.values()) + by_router
        bad = by_code.total() - by_code["200"] - by_router
        total = by_code.total() + sum(counts.failed.values())  # some of those sent are still on their way
        return (
            f"users sent {total:,} requests: {by_code['200']:,} answered well, "
            f"{bad:,} failed by a bad version, {lost:,} lost by routing"
        )

    def where_to_look(self, *, keep: bool) -> None:
        """Name what can be asked, and how, while all of it runs."""
        addresses = json.loads((self.stage.data / "daemon.json").read_text(encoding="utf-8"))
        program = shlex.quote(os.path.relpath(sys.argv[0])) if "/" in sys.argv[0] else sys.argv[0]
        self.say()
        if keep:
            self.say("Where to look", "bold")
            self.say(f"  {'first':<13}export PRODSPRINT_DATA_DIR={shlex.quote(str(self.stage.data))}")
        else:
            self.say("Where to look, had it been left running (make demo KEEP=1)", "bold")
        for what, how in (
            ("status", f"{program} status"),
            ("the reasons", f"{program} why {KEY}"),
            ("", f"{program} history {KEY}"),
            ("the audit", f"{program} events list"),
            ("", f"{program} audit verify"),
            ("metrics", f"http://{addresses['http']}/metrics"),
            ("gRPC", f"{addresses['grpc']}, with the token in {self.stage.data / 'token'}"),
            ("the service", f"http://127.0.0.1:{self.stage.port}/"),
            ("the manifest", f"{self.stage.folder / 'config' / 'prodsprint.yaml'}: commit a change, and watch"),
        ):
            self.say(f"  {what:<13}{how}")
        if keep:
            self.say(f"  {'to end it':<13}{program} demo --stop {shlex.quote(str(self.stage.folder))}")
