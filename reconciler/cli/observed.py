"""What a daemon in reach remembers and observes of some keys, for planning here what it would do there."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from dataclasses import replace

import grpc
from prodsprint.v1 import GetStateRequest

from reconciler.cli.client import CommandError, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.preview import STATE
from reconciler.core.components import parts
from reconciler.core.desired import DesiredState
from reconciler.manifest.meaning import Version
from reconciler.manifest.prospect import stand_in

Known = tuple[str, str]
"""State and observation as JSON."""


def concerned(desired: Collection[DesiredState]) -> list[str]:
    """The keys of which something has to be known to plan these: they, and those that they wait for."""
    found = {key for one in desired for key in (one.key, *one.needs)}
    found |= {replace(one.key, environment=name) for one in desired for name in one.after}
    return sorted(map(str, found))


def states(args: argparse.Namespace, keys: Iterable[str]) -> tuple[dict[str, Known], str]:
    """What is known of each key that the daemon has; or why no daemon can be asked."""
    found: dict[str, Known] = {}
    try:
        with connect(args) as client:
            for key in keys:
                try:
                    answer = client.call(client.status.GetState, GetStateRequest(key=key))
                except grpc.RpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:
                        continue
                    raise
                found[key] = (answer.state, answer.observed)
    except CommandError as error:
        if error.exit_code is not ExitCode.UNREACHABLE:
            raise
        return {}, str(error)
    return found, ""


def commits(known: Known) -> dict[Version, str]:
    """The commits of the versions that a daemon runs, or has run, for a key."""
    state = STATE.validate_json(known[0])
    releases = [*state.certified, state.stable, state.rollout.release if state.rollout else None]
    running = [part.artifact for release in releases if release for part in parts(release.desired)]
    return {(artifact.source, artifact.version): artifact.revision for artifact in running}


def complete(state: DesiredState) -> bool:
    """Whether the commits of all its versions are known."""
    artifacts = (part.artifact for part in parts(state))
    return all(one.revision != stand_in(one.source, one.version) for one in artifacts)
