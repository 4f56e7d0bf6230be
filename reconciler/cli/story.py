"""The story of ``prodsprint demo``: commits go in, canaries come out promoted or rolled back; all of it is real."""

from __future__ import annotations

import json
import os
import select
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
from reconciler.demo.repos import MANIFEST, VERSIONS, Repo, Version, make_service
from reconciler.demo.stage import Stage

KEY = "demo/hello/prod"
PATIENCE = 120.0
"""Seconds that one chapter may take before the story gives up: slow machines need a fraction of it."""
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

    def say(self, text: str = "", style: str = "") -> None:
        """Print one line, in place of the progress line."""
        live = self.out.isatty()
        clear = "\r\x1b[K" if self.drawn else ""
        self.drawn = False
        codes = {"bold": "1", "good": "32", "bad": "31", "dim": "2"}
        if live and style:
            text = f"\x1b[{codes[style]}m{text}\x1b[0m"
        self.out.write(f"{clear}{text}\n")
        self.out.flush()

    def progress(self, text: str) -> None:
        """Show that something is going on: at once on a terminal, every five seconds elsewhere."""
        now = self.seconds()
        if self.out.isatty():
            mark = SPINNER[int(now * 10) % len(SPINNER)]
            columns = os.get_terminal_size(self.out.fileno()).columns
            self.out.write(f"\r\x1b[K{f'{mark} {now:5.1f} s  {text}'[: columns - 1]}")
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
                raise TransientError(f"{waiting}: not within {PATIENCE:g} s; see {self.stage.folder}/daemon.log")
            self.progress(self._doing(waiting))
            select.select([], [], [], 0.1)

    def _tell(self, event: Event) -> None:
        if event.type == "rollout.step":
            body = json.loads(event.body)
            self.reached[body["attempt"]] = output.weight(body["weight"])
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
        counts = f"{seen.canary_requests:,} requests to the canary, {seen.canary_failed:,} failed"
        step = f"{one.rollout.release.version} at {output.weight(one.rollout.weight)}"
        return f"{step}: {counts}; {one.waiting_for or seen.reason}"

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
                    "met the bad version": f"{attempt.bad_requests:,} requests" if back else "",
                    "traffic back in": output.seconds(restored) if back else "",
                }
            )
        for line in output.table(rows).splitlines():
            self.say(f"  {line}")
        self.say()
        self.say(f"  {self.users()}")

    def users(self) -> str:
        """What those who sent the requests noticed."""
        counts = self.stage.traffic()
        by_code: Counter[str] = Counter()
        for codes in counts.answered.values():
            by_code.update(codes)
        by_router = sum(counts.answered.get("(router)", {}).values())
        lost = sum(counts.failed.values()) + by_router
        bad = by_code.total() - by_code["200"] - by_router
        return (
            f"users sent {counts.sent:,} requests: {by_code['200']:,} answered well, {bad:,} failed by a bad version, "
            f"{lost:,} lost by routing"
        )

    def where_to_look(self, *, keep: bool) -> None:
        """Name what can be asked, and how, while all of it runs."""
        addresses = json.loads((self.stage.data / "daemon.json").read_text(encoding="utf-8"))
        option = f"--data-dir {self.stage.data}"
        self.say()
        self.say("Where to look" if keep else "Where to look (make demo KEEP=1 leaves all of it running)", "bold")
        for what, how in (
            ("status", f"prodsprint status {option}"),
            ("the reasons", f"prodsprint history {KEY} {option}    and    prodsprint why {KEY} {option}"),
            ("the audit", f"prodsprint events list {option}    and    prodsprint audit verify {option}"),
            ("metrics", f"http://{addresses['http']}/metrics"),
            ("gRPC", f"{addresses['grpc']}, with the token in {self.stage.data / 'token'}"),
            ("the service", f"http://127.0.0.1:{self.stage.port}/"),
            ("the manifest", f"{self.stage.folder / 'config' / 'prodsprint.yaml'}: commit a change, and watch"),
        ):
            self.say(f"  {what:<12} {how}")
        if keep:
            self.say(f"  {'to end it':<12} prodsprint demo --stop {self.stage.folder}")
