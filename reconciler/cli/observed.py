"""What a daemon in reach remembers and observes of some keys, for planning here what it would do there."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import grpc
from prodsprint.v1 import Environment, GetStateRequest, ListEnvironmentsRequest

from reconciler.cli.client import Client, CommandError, connect
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.preview import STATE
from reconciler.core.components import parts
from reconciler.core.desired import DesiredState, Key, OnDelete
from reconciler.manifest.inforce import ports
from reconciler.manifest.meaning import Version
from reconciler.manifest.prospect import stand_in

PAGE = 1000
"""Environments that a daemon lists at once."""
Known = tuple[str, str]
"""State and observation as JSON."""


def concerned(desired: Collection[DesiredState]) -> list[str]:
    """The keys of which something has to be known to plan these: they, and those that they wait for."""
    found = {key for one in desired for key in (one.key, *one.needs)}
    found |= {replace(one.key, environment=name) for one in desired for name in one.after}
    return sorted(map(str, found))


def states(args: argparse.Namespace, keys: Iterable[str]) -> tuple[dict[str, Known], str]:
    """What is known of each key that the daemon has; or why no daemon can be asked."""
    try:
        with connect(args) as client:
            return {key: known for key in keys if (known := _state(client, key))}, ""
    except CommandError as error:
        if error.exit_code is not ExitCode.UNREACHABLE:
            raise
        return {}, str(error)


def _state(client: Client, key: str) -> Known | None:
    try:
        answer = client.call(client.status.GetState, GetStateRequest(key=key))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return answer.state, answer.observed


def _listed(client: Client) -> Iterator[Environment]:
    token = ""
    while True:
        page = client.call(client.status.ListEnvironments, ListEnvironmentsRequest(page_size=PAGE, page_token=token))
        yield from page.environments
        token = page.next_page_token
        if not token:
            return


def _served(client: Client, keys: Iterable[str]) -> Iterator[DesiredState]:
    """What serves for each of some keys."""
    for known in filter(None, (_state(client, key) for key in keys)):
        stable = STATE.validate_json(known[0]).stable
        if stable is not None:
            yield stable.desired


def left_ports(args: argparse.Namespace, desired: Mapping[Key, DesiredState]) -> dict[int, Key]:
    """Ports that still belong to what a daemon serves and git asks for no more, neither now nor with ``desired``."""
    with connect(args) as client:
        left = [one.key for one in _listed(client) if not one.HasField("desired") and one.HasField("stable")]
        gone = (key for key in left if Key.parse(key) not in desired)
        return {port: state.key for state in _served(client, gone) for port in ports(state)}


def held(args: argparse.Namespace, removal: str) -> dict[Key, OnDelete]:
    """The keys that a daemon in reach holds until the removal of this digest is approved, as they were released."""
    try:
        with connect(args) as client:
            keys = [one.key for one in _listed(client) if f"removal: {removal}, " in one.problem]
            return {state.key: state.on_delete for state in _served(client, keys)}
    except CommandError as error:
        if error.exit_code is not ExitCode.UNREACHABLE:
            raise
        return {}


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
