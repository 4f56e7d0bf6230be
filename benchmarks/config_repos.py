"""Config repos of 100 to 100,000 manifests: what a poll, a commit, a start and a bad neighbour cost."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pygit2
import yaml

from benchmarks.fleet import FleetDaemon, FleetRepo
from benchmarks.rows import Row, at_most
from reconciler.source.git import Mirrors

NAME = "config repos: manifests of about 1.2 KB with two environments each"
SIZES = (100, 1_000, 10_000, 100_000)
QUICK = (100, 1_000)
LARGE = 10_000


def run(*, quick: bool) -> Iterator[Row]:
    """Measure on repos in a temporary folder, over file:// and https."""
    folder = Path(tempfile.mkdtemp(prefix="prodsprint-bench-"))
    try:
        service = _service(folder / "service.git")
        yield from _polls(folder, service, QUICK if quick else SIZES, 10 if quick else 30)
        yield from _commits(folder, service, QUICK if quick else SIZES, 5 if quick else 15)
        yield from _starts(folder, service, QUICK if quick else (1_000, LARGE, 100_000))
        yield from _neighbours(folder, service, 1_000 if quick else LARGE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _service(folder: Path) -> str:
    repo = pygit2.init_repository(str(folder), bare=True, initial_head="main")
    who = pygit2.Signature("bench", "bench@example.com", 1, 0)
    tree = repo.TreeBuilder()
    tree.insert("app", repo.create_blob(b"app"), pygit2.enums.FileMode.BLOB)
    commit = repo.create_commit("refs/heads/main", who, who, "one", tree.write(), [])
    for name in ("v1", "v2"):
        repo.references.create(f"refs/tags/{name}", commit)
    return folder.as_uri()


def _median(work: Callable[[], object], times: int) -> float:
    """Median seconds of one call, after one that is not counted."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def _git(*words: str, cwd: Path | None = None, authority: Path | None = None) -> None:
    environment = os.environ | ({"GIT_SSL_CAINFO": str(authority)} if authority else {})
    subprocess.run(["git", *words], cwd=cwd, env=environment, check=True, stdout=subprocess.DEVNULL)


# --- polls -----------------------------------------------------------------------------------------------------------


def _polls(folder: Path, service: str, sizes: tuple[int, ...], times: int) -> Iterator[Row]:
    """A look at a remote that has nothing new, beside git's own, with the start of a process taken out of that."""
    start = _median(lambda: _git("--version"), times)
    found: dict[str, list[float]] = {"file": [], "https": []}
    for size in sizes:
        place = folder / f"poll-{size}"
        repo = FleetRepo(place / "config.git", size, service)
        with _served(place) as (address, authority):
            for scheme, url in (("file", repo.url), ("https", f"{address}/config.git")):
                ours = _poll(place / f"mirrors-{scheme}", url, authority, times)
                theirs = _median(partial(_git, "ls-remote", url, "refs/heads/main", authority=authority), times) - start
                found[scheme].append(ours)
                yield at_most(
                    f"poll, nothing new, {scheme}, {size:,} manifests ({ours * 1000:.2f} ms) / git ls-remote "
                    f"({theirs * 1000:.1f} ms)", ours / theirs, 1.2, "x", 2,
                )  # fmt: skip
        shutil.rmtree(place)
    for scheme, times_ in found.items():
        yield at_most(f"poll, {scheme}: largest repo / smallest", times_[-1] / times_[0], 2, "x", 2)


def _poll(folder: Path, url: str, authority: Path, times: int) -> float:
    from reconciler.source.address import Credential, Credentials

    mirrors = Mirrors(folder, Credentials((Credential(prefix="https://", ca_file=authority),)))
    try:
        mirrors.fetch(url, ("main",))
        return _median(lambda: mirrors.fetch(url, ("main",)), times)
    finally:
        mirrors.close()


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Path]]:
    """A real smart-HTTP server with a certificate of its own: its address, and the file of the authority."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from gitservers import certificate, smart_http

    (folder / "tls").mkdir()
    tls = certificate(folder / "tls")
    with smart_http(folder, tls=tls, keep_alive=True) as served:
        yield served.url, tls.file


# --- one commit ------------------------------------------------------------------------------------------------------


def _commits(folder: Path, service: str, sizes: tuple[int, ...], times: int) -> Iterator[Row]:
    """One manifest changed: from the ref having moved to the plan on disk, beside git's fetch and diff-tree."""
    found: dict[int, float] = {}
    for size in sizes:
        place = folder / f"commit-{size}"
        repo = FleetRepo(place / "config.git", size, service)
        _git("clone", "-q", "--mirror", repo.url, str(place / "plain.git"))
        daemon = FleetDaemon(place, repo.url, "--poll", "100ms")
        with _running(daemon, 2 * size if size <= LARGE else size):
            ours, theirs, parsed = [], [], _parsed(daemon)
            for number in range(times):
                service_number = number * 37 % size
                head, took = _commit(daemon, repo, service_number)
                ours.append(took)
                theirs.append(_fetch_and_diff(place / "plain.git", head))
            parsed = _until_parsed(daemon, parsed + times) - parsed
        wait = 0.05  # the mean wait for the next poll, at 100 ms
        found[size] = statistics.median(ours) - wait
        base = statistics.median(theirs)
        yield at_most(
            f"one of {size:,} manifests changed, to the plan saved (1.5 x git's {base * 1000:.0f} ms + 50 ms)",
            found[size] * 1000, round((1.5 * base + 0.05) * 1000), "ms", 1,
        )  # fmt: skip
        yield Row(f"manifests parsed for these {times} commits", str(parsed), f"= {times}", parsed == times)
        shutil.rmtree(place)
    yield at_most("one changed: largest repo / smallest", found[sizes[-1]] / found[sizes[0]], 2, "x", 2)


def _commit(daemon: FleetDaemon, repo: FleetRepo, number: int) -> tuple[str, float]:
    """Change one manifest; the commit, and the seconds until a plan of it is on disk."""
    before = _generation(daemon, number)
    head = repo.change(number)
    return head, daemon.until(lambda: _generation(daemon, number) > before, every=0.0005)


def _fetch_and_diff(mirror: Path, head: str) -> float:
    start = time.perf_counter()
    _git("fetch", "-q", "origin", cwd=mirror)
    _git("diff-tree", "-r", "--name-only", f"{head}^", head, cwd=mirror)
    return time.perf_counter() - start


@contextmanager
def _running(daemon: FleetDaemon, planned: int) -> Iterator[None]:
    daemon.start()
    try:
        _until_planned(daemon, planned)
        yield
    finally:
        daemon.stop()


def _until_planned(daemon: FleetDaemon, environments: int) -> float:
    """Wait until so many environments have a plan: those of production wait for theirs in staging to settle."""
    return daemon.until(lambda: _plans(daemon) >= environments, seconds=1800, every=0.2)


def _until_compiled(daemon: FleetDaemon, size: int) -> float:
    return daemon.until(lambda: _compiled(daemon, 2 * size), every=0.005)


def _ask(daemon: FleetDaemon, query: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{daemon.data}/prodsprint.db?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0] or 0)
    except sqlite3.OperationalError:
        return 0


def _plans(daemon: FleetDaemon) -> int:
    return _ask(daemon, "select count(*) from states where generation > 0")


def _generation(daemon: FleetDaemon, number: int) -> int:
    return _ask(daemon, f"select max(generation) from plans where key = 'default/service-{number:06d}/staging'")


def _metric(daemon: FleetDaemon, name: str) -> float:
    said = daemon.data / "daemon.json"
    daemon.until(said.exists, every=0.01)
    where = json.loads(said.read_text(encoding="utf-8"))["http"]
    text = urllib.request.urlopen(f"http://{where}/metrics", timeout=60).read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


def _until_parsed(daemon: FleetDaemon, count: int) -> int:
    """Wait until the metric, which is taken every few seconds, shows so many; what it shows."""
    daemon.until(lambda: _parsed(daemon) >= count, seconds=30, every=0.5)
    return _parsed(daemon)


def _parsed(daemon: FleetDaemon) -> int:
    return int(_metric(daemon, "prodsprint_manifest_parsed_total"))


# --- starts ----------------------------------------------------------------------------------------------------------


def _starts(folder: Path, service: str, sizes: tuple[int, ...]) -> Iterator[Row]:
    """Cold and warm: from the start of the process to every key compiled."""
    memory: dict[int, float] = {}
    cold: dict[int, float] = {}
    for size in sizes:
        place = folder / f"start-{size}"
        repo = FleetRepo(place / "config.git", size, service)
        base = _load_time(repo)
        daemon = FleetDaemon(place, repo.url, "--poll", "10s")
        daemon.start()
        cold[size] = _until_compiled(daemon, size)
        yield at_most(
            f"cold start with {size:,} manifests, clone included ({cold[size]:.2f} s) / CSafeLoader on one core "
            f"({base:.2f} s)", cold[size] / base, 1.5, "x", 2,
        )  # fmt: skip
        yield from _validated(folder, repo, base)
        _until_planned(daemon, size)
        memory[size] = daemon.rss()
        yield at_most(
            f"resident memory, {size:,} of {2 * size:,} environments planned", memory[size], _room(size), "MB"
        )
        daemon.stop()
        (place / "daemon.log").unlink()
        daemon.start()
        warm = _until_compiled(daemon, size)
        parsed = _parsed(daemon)
        daemon.stop()
        yield at_most(
            f"warm restart with {size:,} manifests ({parsed} parsed)", warm, 1.5 * max(1, size / LARGE), "s", 2
        )
        shutil.rmtree(place)
    few, many = sizes[0], sizes[-1]
    yield at_most("memory per manifest", (memory[many] - memory[few]) * 1024 / (many - few), 20, "KB", 1)
    yield at_most("cold start per manifest: largest repo / one of 10,000", _slope(cold, few, many), 1.5, "x", 2)


def _slope(cold: dict[int, float], few: int, many: int) -> float:
    middle = LARGE if LARGE in cold and many != LARGE else few
    return (cold[many] / many) / (cold[middle] / middle)


def _room(size: int) -> float:
    return 350 if size <= LARGE else 350 + (size - LARGE) * 20 / 1024


def _load_time(repo: FleetRepo) -> float:
    contents = repo.bytes()
    start = time.process_time()
    for content in contents:
        yaml.load(content, Loader=yaml.CSafeLoader)
    return time.process_time() - start


def _compiled(daemon: FleetDaemon, keys: int) -> bool:
    log = daemon.folder / "daemon.log"
    return log.exists() and f"environments: {keys}," in log.read_text(encoding="utf-8", errors="replace")


def _validated(folder: Path, repo: FleetRepo, base: float) -> Iterator[Row]:
    tree = folder / "tree"
    tree.mkdir()
    _git("--work-tree", str(tree), "checkout", "-q", "-f", "main", "--", ".", cwd=repo.folder)
    environment = {"PYTHONPATH": str(folder / f"start-{repo.size}" / "site")}
    start = time.perf_counter()
    command = [sys.executable, "-m", "reconciler", "validate", str(tree)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    took = time.perf_counter() - start
    shutil.rmtree(tree)
    yield at_most(f"prodsprint validate on these {repo.size:,} ({took:.2f} s) / CSafeLoader", took / base, 1.5, "x", 2)


# --- bad neighbours --------------------------------------------------------------------------------------------------


def _neighbours(folder: Path, service: str, size: int) -> Iterator[Row]:
    """What a broken manifest, and 500 failing projects, cost a healthy one."""
    times = {}
    for name, broken, failing in (("healthy", 0, 0), ("broken", 1, 0), ("failing", 0, min(500, size // 2))):
        place = folder / name
        repo = FleetRepo(place / "config.git", size, service, broken, failing)
        daemon = FleetDaemon(place, repo.url, "--poll", "100ms")
        with _running(daemon, size - broken - failing):
            found = [_commit(daemon, repo, size - 1 - number)[1] for number in range(15)]
        times[name] = statistics.median(found)
        words = f"{times[name] * 1000:.0f} ms (worst {max(found) * 1000:.0f})"
        yield Row(f"commit to plan among {size:,}: {name}", words)
        shutil.rmtree(place)
    yield at_most("1 broken manifest: commit to plan of a healthy one", times["broken"] / times["healthy"], 1.1, "x", 2)
    yield at_most("500 failing projects: the same", times["failing"] / times["healthy"], 1.5, "x", 2)
