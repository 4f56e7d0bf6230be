"""Drafts made by hand, and a linker to put them in."""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.core.desired import AnalysisPolicy, Artifact, DesiredState, Key, Strategy, StrategyKind
from reconciler.manifest.link import Linker
from reconciler.manifest.problem import Code, Place, Problem
from reconciler.manifest.records import Draft, FileDraft, Need, Wish
from reconciler.manifest.snapshot import Snapshot

REVISION = "a" * 40
STRATEGY = Strategy(StrategyKind.CANARY, (), 1, 1, 1)
ANALYSIS = AnalysisPolicy()


def revision(source: str, version: str) -> str | None:
    """Every version is known."""
    return REVISION


def wish(path: str, key: Key, port: int, **more) -> Wish:
    asked = {"instances": 1, "after": (), "source": f"https://example.com/{key.project}.git", "version": "v1"} | more
    desired = DesiredState(
        key, Artifact(asked["source"], "", asked["version"]), asked.get("target", "process"), "{}", "{}",
        asked["instances"], port, "envoy", STRATEGY, ANALYSIS, asked["after"], "", path,
        components=asked.get("components", ()),
    )  # fmt: skip
    count = 1 + len(desired.components)
    places = tuple(Place(path, 20 + n, 3) for n in range(count))
    after = tuple(Place(path, 30 + n, 12) for n in range(len(desired.after)))
    return Wish(desired, places, tuple(Place(path, 40 + n, 11) for n in range(count)), after)


def project(
    path: str,
    name: str,
    ports: Mapping[str, int],
    *,
    workspace: str = "default",
    needs: tuple[str, ...] = (),
    line: int = 3,
    problem: str = "",
    uses: tuple[str, ...] = (),
    **more,
) -> Draft:
    """``ports`` by environment; ``needs`` as ``NAME``, ``NAME/ENVIRONMENT`` or ``WORKSPACE:NAME``; ``more`` in each wish."""
    keys = tuple(Key(workspace, name, environment) for environment in ports)
    wishes = () if problem else tuple(wish(path, key, ports[key.environment], **more) for key in keys)
    wanted = () if problem else tuple(_need(path, workspace, 50 + n, text) for n, text in enumerate(needs))
    return Draft("Project", workspace, name, Place(path, line, 7), keys, wishes, problem, wanted, uses)


def _need(path: str, workspace: str, line: int, text: str) -> Need:
    other, _, rest = text.rpartition(":")
    name, _, environment = rest.partition("/")
    return Need(other or workspace, name, environment, Place(path, line, 5))


def document(path: str, kind: str, name: str, body: object = None, *, workspace: str = "", problem: str = "") -> Draft:
    own = name if kind == "Workspace" else workspace or "default"
    text = "" if problem else json.dumps({} if body is None else body)
    return Draft(kind, own, name, Place(path, 3, 7), (), (), problem, body=text)


def file(*drafts: Draft, lost: str = "", path: str = "") -> FileDraft:
    """A file of these documents; ``lost`` says what is wrong with it when some of it cannot be read."""
    broken = [Problem(draft.place, Code.WRONG_VALUE, "it is broken", "Mend it") for draft in drafts if draft.problem]
    if lost:
        where = path or drafts[0].place.file
        broken.append(Problem(Place(where, 1, 1), Code.YAML_SYNTAX, lost, "Mend it"))
    return FileDraft(f"blob:{drafts}{lost}", drafts, tuple(broken), bool(lost))


def broken(path: str) -> str:
    """What ``problem`` of a draft says whose file is made by ``file``."""
    return f"{Place(path, 3, 7)}: it is broken. Mend it"


def one(path: str, name: str, port: int, **more) -> dict[str, FileDraft]:
    """A file with one project of one environment, ``prod``."""
    return {path: file(project(path, name, {"prod": port}, **more))}


def linked(*commits: Mapping[str, FileDraft | None], **more) -> Snapshot:
    """What is in force after these changes, one commit each: ``c1``, ``c2``, …"""
    linker = Linker(revision, **more)
    for index, changes in enumerate(commits, 1):
        linker.update(f"c{index}", changes)
    return linker.snapshot
