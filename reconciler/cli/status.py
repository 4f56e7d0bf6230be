"""``prodsprint status``: what every environment is doing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from prodsprint.v1 import Environment, GetEnvironmentRequest, ListEnvironmentsRequest, WatchRequest

from reconciler.cli import output
from reconciler.cli.client import Client, add_connection, add_key, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.core.trouble import told
from reconciler.core.units import percent_words

SUMMARY = "show what every environment is doing"
EXAMPLES = """examples:
  prodsprint status
  prodsprint status checkout/prod -w
  prodsprint status -o json | jq '.[].health_status'

SYNC    Synced: what runs is what git asks for; OutOfSync: it is on the way there, or barred
        Stalled: the manifest has a problem or its removal is held, so the last good stays in force
        Unknown: not looked at yet, or git asks for nothing
HEALTH  Healthy; Progressing: a rollout goes on; Suspended: it waits for a person; Degraded: instances are not ready
        Missing: nothing runs; Unknown: it cannot be observed

exit code 6: an environment that was asked for is Degraded"""

STALLED = ("ManifestProblem", "RemovalHeld")
"""Reasons of Stalled for which what is in force is not what git holds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    add_key(parser, nargs="?")
    parser.add_argument("--workspace", default="", metavar="NAME", help="only this workspace")
    parser.add_argument("-w", "--watch", action="store_true", help="print again whenever something changes")
    output.add_format(parser)
    add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print, once or until interrupted."""
    with connect(args) as client:
        if not args.watch:
            found = _print(client, args)
            return ExitCode.DEGRADED if any(one.health_status == "Degraded" for one in found) else ExitCode.OK
        wanted = WatchRequest(workspace=args.workspace, key=args.key or "")
        messages = client.status.Watch(wanted, metadata=client.metadata)
        # The first message says that the watch has begun: what happens after the first print is not missed.
        for number, message in enumerate(messages):
            if number == 0 or message.HasField("event"):
                _print(client, args)
    return ExitCode.OK


def _print(client: Client, args: argparse.Namespace) -> list[Environment]:
    found = environments(client, args.workspace, args.key)
    if args.output in {"json", "yaml"} and args.watch:
        output.data([output.as_data(one) for one in found], args.output, line=True)
        return found
    if args.watch and output.columns():
        output.clear()
    empty = "no environment yet: commit a prodsprint.yaml to the config repo"
    empty = f"no environment in workspace {args.workspace}" if args.workspace else empty
    output.show(args.output, found, row, lambda one: one.key, wide=("target", "digest", "endpoints"), empty=empty)
    if args.output in {"table", "wide"}:
        for problem in _problems(client, args.key, found):
            output.write("\n" + output.wrap(problem, output.columns()))
    return found


def _problems(client: Client, key: str | None, found: list[Environment]) -> list[str]:
    """What is wrong with manifests; without a key also with the config repo, and with those that name no environment."""
    known = [f"{one.key}: {told(one.problem)}" for one in found if one.problem]
    if key:
        return known
    others = client.call(client.status.ListEnvironments, ListEnvironmentsRequest(page_size=1)).problems
    seen = [one.problem for one in found if one.problem]
    return [*known, *(told(one) for one in others if not any(one in problem for problem in seen))]


def environments(client: Client, workspace: str, one: str | None) -> list[Environment]:
    """Every environment, or the one that is asked for, over as many pages as it takes."""
    if one:
        return [client.call(client.status.GetEnvironment, GetEnvironmentRequest(key=one)).environment]
    found: list[Environment] = []
    token = ""
    while True:
        request = ListEnvironmentsRequest(workspace=workspace, page_size=200, page_token=token)
        page = client.call(client.status.ListEnvironments, request)
        found += page.environments
        token = page.next_page_token
        if not token:
            return found


def row(one: Environment) -> Mapping[str, str]:
    """The columns of one environment."""
    ready = sum(1 for instance in one.instances if instance.digest == one.stable.digest and instance.status == "ready")
    serving = [instance for instance in one.instances if instance.digest == one.stable.digest]
    return {
        "key": one.key,
        "serves": one.stable.version or "-",
        "wanted": one.desired.version,
        "sync": sync(one),
        "health": one.health_status,
        "ready": f"{ready}/{len(serving)}" if serving else "",
        "rollout": _rollout(one),
        "target": one.target,
        "digest": one.stable.digest[:12],
        "endpoints": " ".join(instance.endpoint for instance in serving),
        "waiting for": one.waiting_for,
    }


def sync(one: Environment) -> str:
    """Whether it is where git asks it to be, or stays where it was because nobody can tell what git asks."""
    stalled = any(each.type == "Stalled" and each.reason in STALLED for each in one.conditions)
    return "Stalled" if stalled and not one.HasField("rollout") else one.sync_status


def _rollout(one: Environment) -> str:
    if not one.HasField("rollout"):
        return "paused" if one.HasField("pause") else ""
    current = one.rollout
    phase = current.phase.replace("_", " ")
    if current.phase == "stepping":
        phase = f"step {current.step}/{current.steps} at {percent_words(current.weight)}"
    mark = " (held)" if current.HasField("held_since") else " (paused)" if one.HasField("pause") else ""
    return f"{current.release.version} {phase}{mark}"
