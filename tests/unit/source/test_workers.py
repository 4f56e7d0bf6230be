from __future__ import annotations

import fcntl
import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gitrepos import Repo
from gitservers import certificate, mute, smart_http, tcp
from waiting import eventually

from reconciler.core.outcome import TransientError
from reconciler.source import pool
from reconciler.source.address import Credential, Credentials, parse
from reconciler.source.git import Mirrors

TOKEN = "t0ken-of-the-test"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repos" / "shop.git")


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[Mirrors]:
    with closing(Mirrors(tmp_path / "mirrors", deadline=5)) as found:
        yield found


def idle(mirrors: Mirrors) -> list[int]:
    return [worker.process.pid for worker in mirrors._remotes.pool._crew.idle]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_process_serves_one_fetch_after_the_other(repo: Repo, mirrors: Mirrors) -> None:
    pids = set()
    for number in range(4):
        repo.commit({"a": str(number)})
        assert mirrors.fetch(repo.url).changed
        pids |= set(idle(mirrors))
    assert len(pids) == 1


def test_callers_do_not_wait_for_each_other_and_few_processes_are_kept(tmp_path: Path) -> None:
    with tcp(mute) as port, closing(Mirrors(tmp_path / "mirrors", deadline=1)) as mirrors:
        failed: list[Exception] = []

        def fetch(number: int) -> None:
            try:
                mirrors.fetch(f"http://127.0.0.1:{port}/{number}.git")
            except TransientError as error:
                failed.append(error)

        threads = [threading.Thread(target=fetch, args=(number,)) for number in range(6)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - started < 5
        assert len(failed) == 6
        assert len(idle(mirrors)) <= pool.MOST_IDLE


def test_another_authority_means_another_process(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    made = certificate(tmp_path)
    rules = Credentials((Credential("https://127.0.0.1", ca_file=made.file),))
    with smart_http(repo.path.parent) as server, closing(Mirrors(tmp_path / "mirrors", rules)) as mirrors:
        mirrors.fetch(f"{server.url}/shop.git")
        with pytest.raises(TransientError, match="cannot be reached"):
            mirrors.fetch("https://127.0.0.1/shop.git")
        assert len(idle(mirrors)) == 2


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_died_is_replaced_without_a_word(end: signal.Signals, repo: Repo, mirrors: Mirrors) -> None:
    repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    (pid,) = idle(mirrors)
    os.kill(pid, end)
    eventually(lambda: not alive(pid))
    repo.commit({"a": "2"})
    with pytest.raises(TransientError, match=f"ended with status -{int(end)}"):
        mirrors.fetch(repo.url)
    assert mirrors.fetch(repo.url).changed
    assert idle(mirrors) != [pid]


def test_a_process_that_had_nothing_to_do_for_long_is_replaced_without_a_word(repo: Repo, mirrors: Mirrors) -> None:
    repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    (worker,) = mirrors._remotes.pool._crew.idle
    worker.process.send_signal(signal.SIGSTOP)
    worker.process.send_signal(signal.SIGCONT)
    ended = worker.channel.dup()
    ended.shutdown(2)  # what it sees when its end comes in peace
    ended.close()
    worker.process.wait(10)
    assert worker.process.returncode == 0
    repo.commit({"a": "2"})
    assert mirrors.fetch(repo.url).changed


def test_closing_ends_every_process_and_the_fetch_that_is_under_way(repo: Repo, tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "mirrors", deadline=30)
    repo.commit({"a": "1"})
    mirrors.fetch(repo.url)
    caught: list[Exception] = []

    def fetch(url: str) -> None:
        try:
            mirrors.fetch(url)
        except TransientError as error:
            caught.append(error)

    with tcp(mute) as port:
        thread = threading.Thread(target=fetch, args=(f"http://127.0.0.1:{port}/shop.git",))
        thread.start()
        crew = mirrors._remotes.pool._crew
        eventually(lambda: crew.busy)
        pids = [worker.process.pid for worker in (*crew.busy, *crew.idle)]
        mirrors.close()
        thread.join(10)
        assert not thread.is_alive()
    assert len(caught) == 1
    assert not any(alive(pid) for pid in pids)
    repo.commit({"a": "2"})
    with pytest.raises(TransientError, match="the daemon is ending"):
        mirrors.fetch(repo.url)


def test_mirrors_that_nobody_closed_leave_no_process(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    (pid,) = idle(mirrors)
    del mirrors
    gc.collect()
    assert not alive(pid)


FETCH = """
    import sys
    from pathlib import Path
    from reconciler.source.git import Mirrors
    mirrors = Mirrors(Path(sys.argv[1]), deadline=60.0)
    mirrors.fetch(sys.argv[2])
    print(mirrors._remotes.pool._crew.idle[0].process.pid, flush=True)
    mirrors.fetch(sys.argv[3])
"""


def held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_processes_end_with_a_daemon_that_is_killed_in_mid_fetch_and_its_locks_are_free(
    repo: Repo, tmp_path: Path
) -> None:
    repo.commit({"a": "1"})
    reached = threading.Event()

    def talk(connection: object, stop: threading.Event) -> None:
        reached.set()
        stop.wait(30)

    with tcp(talk) as port:
        url = f"http://127.0.0.1:{port}/shop.git"
        program = [sys.executable, "-c", textwrap.dedent(FETCH), str(tmp_path / "mirrors"), repo.url, url]
        daemon = subprocess.Popen(program, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE)
        assert daemon.stdout
        with daemon.stdout:
            pid = int(daemon.stdout.readline())
            assert reached.wait(10)
            assert alive(pid)
            lock = tmp_path / "mirrors" / f"{parse(url).slug}.lock"
            assert held(lock)
            daemon.kill()
            daemon.wait(10)
        eventually(lambda: not alive(pid), 3, what="the worker outlived its daemon")
        assert not held(lock)


def test_a_secret_is_in_no_argument_environment_or_file_of_a_worker(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    repo.commit({"a": "1"})
    with smart_http(repo.path.parent, TOKEN) as server:
        rules = Credentials((Credential(server.url, token_variable="SHOP_TOKEN"),))
        with closing(Mirrors(tmp_path / "mirrors", rules)) as mirrors:
            mirrors.fetch(f"{server.url}/shop.git")
            (pid,) = idle(mirrors)
            for name in ("cmdline", "environ"):
                assert TOKEN.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
            assert re.search(rf"^Max data size +{1 << 30} +{1 << 30} ", limits, re.MULTILINE)
    files = [file for file in (tmp_path / "mirrors").rglob("*") if file.is_file()]
    assert not any(TOKEN.encode() in file.read_bytes() for file in files)
