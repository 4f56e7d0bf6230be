"""The files that instances run: commits checked out, and built where the manifest says how. Shared by all environments.

One folder for each commit and build command of a project: ``tree`` (the files), ``build`` (the shim of the build), ``home``
(HOME of the build), ``built.json`` (the build succeeded) or ``failed.json`` (why there is nothing to run).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from reconciler import proc
from reconciler.core.desired import Key, Release
from reconciler.core.digest import canonical, sha256, short
from reconciler.core.outcome import TerminalError
from reconciler.core.text import one_line
from reconciler.ports import Checkouts
from reconciler.proc import ShimSpec, ShimState, ShimStatus
from reconciler.targets._process_files import FAILURE, BusyError, discard, read, write
from reconciler.targets._process_spec import ProcessSpec

LOGGED = 200
"""Most characters of a message on how a program ended, the last line of its log included."""


class Stage(Enum):
    """How far an artifact is."""

    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of one: where its files are, and why it is not ready."""

    tree: Path
    stage: Stage
    message: str = ""


def name_of(release: Release, spec: ProcessSpec) -> str:
    """The artifact's folder name: the commit, and what its build depends on."""
    revision = release.desired.artifact.revision
    return f"{revision}-{short(sha256(canonical([spec.build, spec.build_env])))}" if spec.build else revision


class Artifacts:
    """All artifacts below one folder."""

    def __init__(self, folder: Path, checkouts: Checkouts, env: dict[str, str]) -> None:
        self._folder, self._checkouts, self._env = folder, checkouts, env

    def project(self, key: Key) -> Path:
        """The folder of a project's artifacts; its lock guards them."""
        return self._folder / sha256(canonical([key.workspace, key.project]))[:16]

    def look(self, key: Key, name: str) -> Artifact:
        """How far an artifact is; changes nothing."""
        folder = self.project(key) / name
        tree = folder / "tree"
        failure = read(folder / "failed.json", FAILURE)
        if failure:
            return Artifact(tree, Stage.FAILED, failure["message"])
        if not tree.is_dir():
            return Artifact(tree, Stage.PREPARING, "its files are not checked out yet")
        if "-" not in name or (folder / "built.json").exists():
            return Artifact(tree, Stage.READY)
        return _built(tree, proc.look(folder / "build"), folder / "build")

    def prepare(self, key: Key, release: Release, spec: ProcessSpec, *, retry: bool) -> Artifact:
        """Check out and start the build, as far as not done; ``retry`` forgets an earlier failure. Call it until ready.

        Only under the project's lock. Raises BusyError while an earlier build still ends, TransientError and OSError.
        """
        name = name_of(release, spec)
        folder = self.project(key) / name
        known = self.look(key, name)
        if known.stage is Stage.FAILED and retry:
            _forget(folder)
            known = self.look(key, name)
        if known.stage is Stage.FAILED:
            return self._remember(folder, known)
        build = proc.look(folder / "build")
        if build and build.status in {ShimStatus.LOST, ShimStatus.STOPPED} and known.stage is not Stage.READY:
            _forget(folder)  # an interrupted build leaves anything behind: begin with clean files
        if not (folder / "tree").is_dir():
            try:
                self._check_out(release, folder)
            except TerminalError as error:
                return self._remember(folder, Artifact(known.tree, Stage.FAILED, str(error)))
        if spec.build:
            self._build(folder, release, spec)
        return self.look(key, name)

    def drop(self, key: Key, used: Iterable[str]) -> None:
        """Remove the project's artifacts that are not used. Only under the project's lock. Raises OSError."""
        kept = set(used)
        for folder in self.project(key).iterdir():
            if folder.is_dir() and folder.name not in kept and proc.remove(folder / "build"):
                discard(folder)

    def _remember(self, folder: Path, artifact: Artifact) -> Artifact:
        if read(folder / "failed.json", FAILURE) is None:
            write(folder / "failed.json", {"message": artifact.message})
        return artifact

    def _check_out(self, release: Release, folder: Path) -> None:
        new = folder / ".tree.new"
        discard(new)
        folder.mkdir(parents=True, exist_ok=True)
        self._checkouts.checkout(release.desired.artifact.source, release.desired.artifact.revision, new)
        new.rename(folder / "tree")

    def _build(self, folder: Path, release: Release, spec: ProcessSpec) -> None:
        state = proc.look(folder / "build")
        if state is None and not (folder / "built.json").exists():
            home = folder / "home"
            home.mkdir(exist_ok=True)
            revision = release.desired.artifact.revision
            own = {"HOME": str(home), "TMPDIR": str(home), **spec.build_env, "PRODSPRINT_REVISION": revision}
            what = ShimSpec(
                id=f"build/{folder.parent.name}/{folder.name}",
                argv=spec.build,
                env=tuple({**self._env, **own}.items()),
                cwd=str(folder / "tree"),
                restart=False,
                start_deadline=spec.build_deadline,
                stop_deadline=spec.stop_deadline,
            )
            proc.start(folder / "build", what)
        elif state and state.status is ShimStatus.EXITED and state.exit_code == 0:
            write(folder / "built.json", {"at": state.since})
            proc.remove(folder / "build")


def _forget(folder: Path) -> None:
    """Remove all of an artifact, so that it is made anew."""
    if not proc.remove(folder / "build"):
        raise BusyError(f"the build in {folder.name} is still ending")
    discard(folder)


def _built(tree: Path, state: ShimState | None, folder: Path) -> Artifact:
    if state is None or state.status in {ShimStatus.LOST, ShimStatus.STOPPED}:
        return Artifact(tree, Stage.PREPARING, "its build is not started yet")
    if state.status not in {ShimStatus.EXITED, ShimStatus.FAILED}:
        return Artifact(tree, Stage.PREPARING, "it is being built")
    if state.status is ShimStatus.EXITED and state.exit_code == 0:
        return Artifact(tree, Stage.READY)
    return Artifact(tree, Stage.FAILED, with_log(f"the build {state.message}", folder))


def with_log(message: str, folder: Path) -> str:
    """A message with the last line of a program's log, and where the others are. It goes into records and to strangers."""
    lines = proc.tail(folder, lines=8, most=1500).strip().splitlines()
    if not lines:
        return one_line(message, LOGGED)
    return f"{one_line(f'{message}; its log ends: {lines[-1]}', LOGGED)} (in {folder / 'log'})"
