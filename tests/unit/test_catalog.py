from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from gitrepos import Repo

from reconciler.catalog import COMPILE, Catalog
from reconciler.config_repos import ConfigRepo
from reconciler.core.desired import Key
from reconciler.manifest.drafter import Drafter
from reconciler.source.address import parse
from reconciler.source.git import Mirrors
from reconciler.store import open_store
from reconciler.workqueue import WorkQueue

MANIFEST = """\
apiVersion: prodsprint/v1
kind: Project
name: {name}
source: {source}
version: main
process:
  command: serve
environments:
  - name: prod
    port: {port}
"""


class Desk:
    """A config repo with the projects a and b, each with a repo of its own, all fetched and compiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.memory = open_store(":memory:").config
        self.changes: list[frozenset[Key]] = []
        self.config = Repo(folder / "config.git")
        self.sources = {name: Repo(folder / f"{name}.git") for name in ("a", "b")}
        for repo in self.sources.values():
            repo.commit({"release": "one"})
        self.files = {"a.prodsprint.yaml": self.manifest("a", 8001), "b.prodsprint.yaml": self.manifest("b", 8002)}
        self.config.commit(dict(self.files))
        self.catalog = self.started()
        for url in (self.config.url, *map(self.url, self.sources)):
            self.catalog.mirrors.fetch(url)
        self.catalog.process(COMPILE)

    def manifest(self, name: str, port: int) -> str:
        return MANIFEST.format(name=name, source=self.url(name), port=port)

    def started(self) -> Catalog:
        """The catalog of a daemon that was just started on what is there."""
        mirrors, clock = Mirrors(self.folder / "mirrors"), self.clock
        queue: WorkQueue[str] = WorkQueue(clock.seconds)
        repos = (ConfigRepo(self.config.url),)
        drafter = Drafter(0)
        return Catalog(
            mirrors, repos, self.memory, drafter, clock, queue, self.changes.append, lambda *_: None, lambda s: s
        )

    def url(self, name: str) -> str:
        return f"file://{self.sources[name].path}"

    def mirror(self, repo: Repo) -> Path:
        return self.folder / "mirrors" / f"{parse(repo.url).slug}.git"

    def commit(self, files: dict[str, str]) -> None:
        self.config.commit(dict(files))
        self.catalog.mirrors.fetch(self.config.url)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def key(name: str) -> Key:
    return Key("default", name, "prod")


def of_refs(mirror: Path) -> None:
    for ref in (mirror / "refs" / "heads").iterdir():
        ref.write_text("")


def of_head(mirror: Path) -> None:
    (mirror / "HEAD").write_text("")


def of_packed_refs(mirror: Path) -> None:
    (mirror / "packed-refs").write_bytes(b"\0" * 200)


def of_packs(mirror: Path) -> None:
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        spoil(pack, b"\0" * 50)


def of_indexes(mirror: Path) -> None:
    for index in (mirror / "objects" / "pack").glob("*.idx"):
        spoil(index, b"")


def spoil(file: Path, content: bytes) -> None:
    """Put another file in its place: this process may have the old one in its memory."""
    file.unlink()
    file.write_bytes(content)


DAMAGES = (of_refs, of_head, of_packed_refs, of_packs, of_indexes)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_service_mirror_holds_up_its_own_project_alone_and_is_cloned_anew(desk, damage):
    damage(desk.mirror(desk.sources["a"]))
    catalog = desk.started()
    assert catalog.process(COMPILE) is None
    assert key("b") in catalog.snapshot.desired
    source = desk.url("a")
    for _ in range(3):
        if key("a") not in catalog.snapshot.desired:
            assert "mirror" in catalog.problem(key("a"))
            catalog.process(source)
            catalog.process(COMPILE)
    assert set(catalog.snapshot.desired) == {key("a"), key("b")}
    assert catalog.problem(key("a")) == ""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_config_mirror_is_said_and_cloned_anew(desk, damage):
    damage(desk.mirror(desk.config))
    catalog = desk.started()
    catalog.process(COMPILE)
    if catalog.snapshot is None:
        assert "mirror" in catalog.away()
    for _ in range(3):
        catalog.process(desk.config.url)
        catalog.process(COMPILE)
    assert catalog.away() == ""
    assert set(catalog.snapshot.desired) == {key("a"), key("b")}


def test_what_cannot_be_cloned_anew_keeps_its_damaged_mirror(desk):
    mirror = desk.mirror(desk.sources["a"])
    of_refs(mirror)
    shutil.rmtree(desk.sources["a"].path)
    catalog = desk.started()
    catalog.process(COMPILE)
    assert catalog.process(desk.url("a")) is not None
    assert mirror.is_dir()


def test_a_folder_beyond_the_limits_holds_up_nobody_else_and_is_said(desk):
    deep = "/".join(["team-x", *["d"] * 101, "f"])
    desk.commit(desk.files | {deep: "x", "b.prodsprint.yaml": desk.manifest("b", 8003)})
    desk.catalog.process(COMPILE)
    assert desk.catalog.snapshot.desired[key("b")].port == 8003
    assert "deeper than 100 folders" in " ".join(map(str, desk.catalog.problems()))


def test_what_a_folder_held_stays_when_it_grows_beyond_the_limits(desk):
    desk.commit(
        {
            "team-a/prodsprint.yaml": desk.files["a.prodsprint.yaml"],
            "b.prodsprint.yaml": desk.files["b.prodsprint.yaml"],
        }
    )
    desk.catalog.process(COMPILE)
    assert set(desk.catalog.snapshot.desired) == {key("a"), key("b")}
    desk.catalog.mirrors._limits = type(desk.catalog.mirrors._limits)(manifests=2)
    files = {f"team-a/{number}/prodsprint.yaml": "" for number in range(2)}
    desk.commit(
        {"b.prodsprint.yaml": desk.manifest("b", 8003), "team-a/prodsprint.yaml": desk.files["a.prodsprint.yaml"]}
        | files
    )
    desk.catalog.process(COMPILE)
    assert desk.catalog.snapshot.desired[key("a")].port == 8001
    assert desk.catalog.snapshot.desired[key("b")].port == 8003
    assert "more than 2 manifests" in desk.catalog.problem(key("a"))


def test_why_the_commit_cannot_be_compiled_is_said_until_it_can(desk):
    desk.catalog.mirrors._limits = type(desk.catalog.mirrors._limits)(manifests=1)
    desk.commit(desk.files | {"c.prodsprint.yaml": ""})
    assert desk.catalog.process(COMPILE) == 0.5
    assert "more than 1 manifests" in desk.catalog.away()
    assert "stays in force" in desk.catalog.away()
    desk.catalog.mirrors._limits = type(desk.catalog.mirrors._limits)()
    assert desk.catalog.process(COMPILE) is None
    assert desk.catalog.away() == ""


def test_service_repos_hold_up_neither_the_config_repo_nor_compiling(desk):
    desk.catalog.poll_sources()
    desk.catalog.poll_config()
    desk.catalog.add(COMPILE)
    taken = {desk.catalog.first.take_due(), desk.catalog.first.take_due()}
    assert taken == {desk.config.url, COMPILE}
    assert desk.catalog.first.take_due() is None
    assert {desk.catalog.queue.take_due(), desk.catalog.queue.take_due()} == set(desk.catalog.sources())


def test_a_repo_that_nobody_names_any_more_is_not_tried_again(desk):
    source = desk.url("a")
    shutil.rmtree(desk.sources["a"].path)
    assert desk.catalog.process(source) == 0.5
    desk.commit({"b.prodsprint.yaml": desk.files["b.prodsprint.yaml"]})
    desk.catalog.process(COMPILE)
    assert desk.catalog.process(source) is None
    assert source not in desk.catalog.trouble


def test_a_dead_repo_is_compiled_for_once_and_not_at_every_try(desk):
    source = desk.url("a")
    shutil.rmtree(desk.sources["a"].path)

    def drained() -> list[str]:
        return list(iter(desk.catalog.first.take_due, None))

    drained()
    desk.catalog.process(source)
    assert drained() == [COMPILE]
    desk.catalog.first.done(COMPILE)
    desk.catalog.process(source)
    assert drained() == []
