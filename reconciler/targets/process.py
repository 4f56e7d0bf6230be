"""Runs a service's commits as processes of this machine: checked out, built, each instance under a shim of its own.

Everything is in files below the adapter's folder, so that any daemon can go on where another one stopped:
``artifacts/`` (``_process_artifacts``) and ``instances/WORKSPACE/PROJECT/ENVIRONMENT/`` with ``generation.json`` (the fencing
token), ``releases/`` (which release uses which artifact), ``logs/`` (of removed instances) and one shim folder an instance.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler import proc
from reconciler.core.components import owner
from reconciler.core.desired import Key, Release
from reconciler.core.digest import short
from reconciler.core.observed import Instance, InstanceStatus
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.ports import Host, Target, TargetKind
from reconciler.proc import HttpHealth, ShimSpec, ShimState, ShimStatus
from reconciler.targets._process_artifacts import Artifacts, Stage, name_of, with_log
from reconciler.targets._process_files import INSTANCE, RECORD, BusyError, discard, exclusive, fence, read, write
from reconciler.targets._process_spec import RUNTIME, ProcessSpec

KEPT_LOGS = 10
"""Removed instances of a key whose logs are kept."""
_RUNNING = {
    ShimStatus.STARTING: InstanceStatus.STARTING,
    ShimStatus.READY: InstanceStatus.READY,
    ShimStatus.UNHEALTHY: InstanceStatus.UNHEALTHY,
    ShimStatus.BACKING_OFF: InstanceStatus.BACKING_OFF,
    ShimStatus.STOPPING: InstanceStatus.STOPPING,
    ShimStatus.FAILED: InstanceStatus.FAILED,
}
_INSTANCES = "[0-9a-f]*-[0-9]*/instance.json"
_LISTENING = frozenset(
    {InstanceStatus.STARTING, InstanceStatus.READY, InstanceStatus.UNHEALTHY, InstanceStatus.STOPPING}
)


class ProcessTarget:
    """The target ``process``; see ``ports.Target``."""

    def __init__(self, host: Host) -> None:
        self._data = host.data.resolve()
        self._env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        self._artifacts = Artifacts(self._data / "artifacts", host.checkouts, self._env)

    def observe(self, key: Key) -> tuple[Instance, ...]:
        """Read what the shims have written, and whether they live."""
        folder = self._key(key)
        try:
            found = [(path.parent, _known(path)) for path in folder.glob(_INSTANCES)]
            seen = [self._instance(key, path, known) for path, known in found if known]
        except OSError as error:
            raise TransientError(f"cannot look at {folder}: {error}") from error
        return tuple(sorted(seen, key=lambda one: (one.digest, one.ordinal)))

    def apply(self, key: Key, release: Release, count: int, generation: int) -> None:
        """Take the next step towards ``count`` instances; see ``ports.Target.apply``."""
        folder = self._key(key)
        spec = _spec(release)
        try:
            with exclusive(folder):
                fence(folder, generation)
                self._note_proven(folder)
                self._scale_down(folder, release.digest, count)
                if count:
                    self._scale_up(_Wanted(key, release, spec, name_of(release, spec), generation), count)
        except OSError as error:
            raise TransientError(f"cannot work on {folder}: {error}") from error

    def keep(self, key: Key, digests: frozenset[str]) -> None:
        """Drop what no other release needs: its record, its artifact unless shared, the logs of old instances."""
        folder, project = self._key(key), self._artifacts.project(key)
        try:
            with exclusive(folder), exclusive(project):
                running = {known["digest"] for path in folder.glob(_INSTANCES) if (known := _known(path))}
                needed = {short(digest) for digest in digests | running}
                for path in folder.glob("releases/*.json"):
                    if path.stem not in needed:
                        path.unlink()
                records = [read(path, RECORD) for path in folder.parent.glob("*/releases/*.json")]
                if None not in records:  # else nobody knows what is still used
                    self._artifacts.drop(key, [known["artifact"] for known in records if known])
                logs = sorted(folder.glob("logs/*"), key=lambda path: path.stat().st_mtime, reverse=True)
                for path in logs[KEPT_LOGS:]:
                    discard(path)
        except OSError as error:
            raise TransientError(f"cannot tidy up {folder}: {error}") from error

    def close(self) -> None:
        """Nothing is held: instances go on running."""

    def _key(self, key: Key) -> Path:
        return self._data / "instances" / key.workspace / key.project / key.environment

    # --- observing ---------------------------------------------------------------------------------------------------

    def _instance(self, key: Key, folder: Path, known: dict[str, Any]) -> Instance:
        state = proc.look(folder)
        status, message = self._status(key, folder, known, state)
        listens = state is not None and state.port is not None and status in _LISTENING
        return Instance(
            id=folder.name,
            digest=known["digest"],
            ordinal=known["ordinal"],
            status=status,
            endpoint=f"127.0.0.1:{state.port}" if state and listens else "",
            restarts=state.restarts if state else 0,
            message=message,
        )

    def _status(
        self, key: Key, folder: Path, known: dict[str, Any], state: ShimState | None
    ) -> tuple[InstanceStatus, str]:
        if known["removing"]:
            return InstanceStatus.STOPPING, state.message if state else ""
        if state is None and not known["generation"]:
            return InstanceStatus.BACKING_OFF, f"{folder / 'instance.json'} is damaged, and about to be written anew"
        if state is None:
            artifact = self._artifacts.look(key, known["artifact"])
            failed = artifact.stage is Stage.FAILED
            return InstanceStatus.FAILED if failed else InstanceStatus.PREPARING, artifact.message
        status = _RUNNING.get(state.status)
        if status is None:
            return (
                InstanceStatus.BACKING_OFF,
                f"it is down ({state.message or state.status}) and about to be started again",
            )
        quiet = status in {InstanceStatus.READY, InstanceStatus.STARTING, InstanceStatus.STOPPING}
        return status, state.message if quiet else with_log(state.message, folder)

    # --- acting ------------------------------------------------------------------------------------------------------

    def _note_proven(self, folder: Path) -> None:
        """Remember which releases have worked: their new instances are never given up."""
        for path in folder.glob("releases/*.json"):
            known = read(path, RECORD)
            if known and not known["proven"] and self._has_ready(folder, known["digest"]):
                write(path, {**known, "proven": True})

    def _has_ready(self, folder: Path, digest: str) -> bool:
        states = (proc.look(path) for path in folder.glob(f"{short(digest)}-*"))
        return any(state is not None and state.status is ShimStatus.READY for state in states)

    def _scale_down(self, folder: Path, digest: str, count: int) -> None:
        """Stop instances above the count, the highest first, and what was being removed before."""
        for path in sorted(folder.glob(f"{short(digest)}-*/instance.json"), key=_ordinal, reverse=True):
            known = _known(path)
            if known and (known["removing"] or known["ordinal"] >= count):
                if not known["removing"]:
                    write(path, {**known, "removing": True})
                if proc.remove(path.parent):
                    _keep_logs(path.parent)
                    discard(path.parent)

    def _scale_up(self, wanted: _Wanted, count: int) -> None:
        folder = self._key(wanted.key)
        for ordinal in range(count):
            path = wanted.folder(folder, ordinal) / "instance.json"
            if read(path, INSTANCE) is None:
                first = {"digest": wanted.release.digest, "ordinal": ordinal, "generation": wanted.generation}
                write(path, {**first, "artifact": wanted.artifact, "removing": False})
        record = folder / "releases" / f"{short(wanted.release.digest)}.json"
        known = read(record, RECORD) or {"generation": 0, "proven": False}
        with suppress(BusyError), exclusive(self._artifacts.project(wanted.key)):
            # The record comes first: it is what keeps the artifact from being dropped.
            now = {**known, "digest": wanted.release.digest, "artifact": wanted.artifact}
            _write_news(record, known, now)
            retry = wanted.generation > known["generation"]
            artifact = self._artifacts.prepare(wanted.key, wanted.release, wanted.spec, retry=retry)
            _write_news(record, now, {**now, "generation": wanted.generation})
            if artifact.stage is Stage.READY:
                for ordinal in range(count):
                    self._ensure(wanted, ordinal, artifact.tree, patient=known["proven"])

    def _ensure(self, wanted: _Wanted, ordinal: int, tree: Path, *, patient: bool) -> None:
        """Start one instance unless it runs; one that has failed only on a newer generation."""
        folder = wanted.folder(self._key(wanted.key), ordinal)
        known = read(folder / "instance.json", INSTANCE)
        if known is None or known["removing"]:
            return
        state = proc.look(folder)
        failed = state is not None and state.status is ShimStatus.FAILED
        if (state is None or state.status in proc.FINAL) and (not failed or known["generation"] < wanted.generation):
            env = {**self._env, **_own_folders(folder), **wanted.spec.env, **wanted.labels()}
            proc.start(folder, wanted.shim(ordinal, tree, env, patient=patient))
        _write_news(folder / "instance.json", known, {**known, "generation": wanted.generation})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one call of ``apply`` asks for."""

    key: Key
    release: Release
    spec: ProcessSpec
    artifact: str
    generation: int

    def folder(self, parent: Path, ordinal: int) -> Path:
        return parent / f"{short(self.release.digest)}-{ordinal}"

    def labels(self) -> dict[str, str]:
        """What the service may know of itself. The shim adds PORT and PRODSPRINT_INSTANCE."""
        artifact = self.release.desired.artifact
        key, component = owner(self.key)
        return {
            "PRODSPRINT_WORKSPACE": key.workspace,
            "PRODSPRINT_PROJECT": key.project,
            "PRODSPRINT_ENVIRONMENT": key.environment,
            **({"PRODSPRINT_COMPONENT": component} if component else {}),
            "PRODSPRINT_VERSION": artifact.version,
            "PRODSPRINT_REVISION": artifact.revision,
        }

    def shim(self, ordinal: int, tree: Path, env: dict[str, str], *, patient: bool) -> ShimSpec:
        spec = self.spec
        return ShimSpec(
            id=f"{self.key}/{short(self.release.digest)}-{ordinal}",
            argv=spec.command,
            env=tuple(env.items()),
            cwd=str(tree),
            port=True,
            health=HttpHealth(spec.health, spec.health_interval, spec.health_timeout, spec.health_failures),
            start_deadline=spec.start_deadline,
            stop_deadline=spec.stop_deadline,
            patient=patient,
        )


def _spec(release: Release) -> ProcessSpec:
    both = json.loads(release.desired.spec) | json.loads(release.desired.runtime)
    try:
        return ProcessSpec.model_validate(both)
    except ValidationError as error:
        raise TerminalError(f"release {short(release.digest)} cannot be run as a process: {error}") from error


def _known(path: Path) -> dict[str, Any] | None:
    """What ``instance.json`` says; None when there is none.

    What a damaged one said comes from its folder's name and its release's record, with generation 0, which is no plan's.
    """
    known = read(path, INSTANCE)
    if known or not path.exists():
        return known
    digest = path.parent.name.rpartition("-")[0]
    record = read(path.parent.parent / "releases" / f"{digest}.json", RECORD) or {"digest": digest, "artifact": ""}
    kept = {name: record[name] for name in ("digest", "artifact")}
    return {**kept, "ordinal": _ordinal(path), "generation": 0, "removing": False}


def _write_news(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    if new != old:
        write(path, new)


def _ordinal(path: Path) -> int:
    return int(path.parent.name.rpartition("-")[2])


def _own_folders(folder: Path) -> dict[str, str]:
    """HOME and TMPDIR of one instance: the checked-out tree is shared, and so no place to write to."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    return {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}


def _keep_logs(folder: Path) -> None:
    kept = folder.parent / "logs" / folder.name
    discard(kept)
    kept.mkdir(parents=True)
    for path in folder.glob("*log*"):
        path.rename(kept / path.name)


def _open(host: Host) -> Target:
    return ProcessTarget(host)


KIND = TargetKind(name="process", spec=ProcessSpec, runtime=RUNTIME, open=_open)
