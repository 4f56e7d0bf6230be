from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from gitrepos import Repo
from gitservers import drip, flood, free_port, keygen, mute, smart_http, sshd, tcp
from waiting import eventually

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source.address import Credential, Credentials, parse
from reconciler.source.git import Mirrors
from reconciler.source.job import Job
from reconciler.source.lookup import Web
from reconciler.source.update import attempt

TOKEN = "t0ken-of-the-test"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repos" / "shop.git")


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_mute_server_is_given_up_at_the_deadline(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    rules = Credentials((Credential("ssh://git@127.0.0.1", known_hosts=tmp_path / "hosts"),))
    with tcp(mute) as port:
        started = time.monotonic()
        user = "git@" if scheme == "ssh" else ""
        with pytest.raises(TransientError, match=r"not done within 1 s|in time"):
            Mirrors(tmp_path / "mirrors", rules, deadline=1.0).fetch(f"{scheme}://{user}127.0.0.1:{port}/shop.git")
        assert time.monotonic() - started < 4


def test_server_that_drips_bytes_is_given_up_at_the_deadline_and_reads_go_on_meanwhile(
    repo: Repo, tmp_path: Path
) -> None:
    tip = repo.commit({"a": "1"})
    mirrors = Mirrors(tmp_path / "mirrors", deadline=1.5)
    mirrors.fetch(repo.url)
    caught: list[Exception] = []
    with tcp(drip) as port:
        url = f"http://127.0.0.1:{port}/shop.git"

        def fetch() -> None:
            try:
                mirrors.fetch(url)
            except TransientError as error:
                caught.append(error)

        thread = threading.Thread(target=fetch)
        started = time.monotonic()
        thread.start()
        while thread.is_alive():
            assert mirrors.head(repo.url) == tip
            thread.join(0.05)
        assert time.monotonic() - started < 5
    assert "not done within 1.5 s" in str(caught[0])


def test_flood_of_refs_ends_the_worker_and_not_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tcp(flood) as port, pytest.raises((TransientError, TerminalError)):
        Mirrors(tmp_path / "mirrors", deadline=2.0).fetch(f"http://127.0.0.1:{port}/shop.git")


def test_refused_connection_and_unknown_name_are_transient(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "mirrors", deadline=5.0)
    with pytest.raises(TransientError, match="cannot be reached"):
        mirrors.fetch(f"http://127.0.0.1:{free_port()}/shop.git")
    with pytest.raises(TransientError, match=r"cannot be resolved|not done within"):
        mirrors.fetch("http://no-such-host.invalid/shop.git")


def test_wrong_missing_and_rotated_token(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tip = repo.commit({"a": "1"})
    with smart_http(repo.path.parent, TOKEN) as server:
        url = f"{server.url}/shop.git"
        with pytest.raises(TerminalError, match="none that fit are configured"):
            Mirrors(tmp_path / "mirrors").fetch(url)
        mirrors = Mirrors(tmp_path / "mirrors", Credentials((Credential(server.url, token_variable="SHOP_TOKEN"),)))
        with pytest.raises(TerminalError, match="SHOP_TOKEN"):
            mirrors.fetch(url)
        monkeypatch.setenv("SHOP_TOKEN", "wr0ng-t0ken")
        with pytest.raises(TerminalError, match="refused the credentials") as caught:
            mirrors.fetch(url)
        assert "wr0ng-t0ken" not in str(caught.value)
        monkeypatch.setenv("SHOP_TOKEN", TOKEN)
        mirrors.fetch(url)
        assert mirrors.head(url) == tip
    kept = [
        file for file in (tmp_path / "mirrors").rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()
    ]
    assert not kept


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_token_never_follows_a_redirect(host: str, repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    (tmp_path / "token").write_text(TOKEN)
    with smart_http(repo.path.parent, TOKEN) as thief, smart_http(repo.path.parent, TOKEN) as server:
        server.redirect = thief.url.replace("127.0.0.1", host)
        rules = Credentials((Credential(server.url, token_file=tmp_path / "token"),))
        with pytest.raises(TerminalError, match="use the new address"):
            Mirrors(tmp_path / "mirrors", rules).fetch(f"{server.url}/shop.git")
        assert thief.given == []


@pytest.mark.parametrize(
    ("status", "kind"), [(404, TerminalError), (403, TerminalError), (503, TransientError), (429, TransientError)]
)
def test_http_status_says_whether_waiting_helps(status: int, kind: type[Exception], repo: Repo, tmp_path: Path) -> None:
    with smart_http(repo.path.parent) as server:
        server.status = status
        with pytest.raises(kind, match=str(status)):
            Mirrors(tmp_path / "mirrors").fetch(f"{server.url}/shop.git")


def test_a_pack_that_breaks_off_leaves_the_mirror_as_it_was_and_is_fetched_again(repo: Repo, tmp_path: Path) -> None:
    first = repo.commit({"a": "1"})
    with smart_http(repo.path.parent) as server:
        url = f"{server.url}/shop.git"
        mirrors = Mirrors(tmp_path / "mirrors", deadline=5.0)
        mirrors.fetch(url)
        second = repo.commit({"a": os.urandom(100_000)})
        server.cut = 20_000
        with pytest.raises(TransientError):
            mirrors.fetch(url)
        assert mirrors.head(url) == first
        server.cut = 0
        assert mirrors.fetch(url).changed
        assert mirrors.head(url) == second
        mirrors.close()


def test_a_tag_that_moves_between_look_and_use_changes_nothing_of_what_was_looked_at(
    repo: Repo, tmp_path: Path
) -> None:
    first = repo.commit({"a": "1"})
    repo.tag("v1", first)
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    found = mirrors.resolve(repo.url, "v1")
    assert found == first
    repo.tag("v1", repo.commit({"a": "evil"}, parents=[]))
    mirrors.fetch(repo.url)
    assert mirrors.resolve(repo.url, "v1") != first
    mirrors.checkout(repo.url, found, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"


@pytest.mark.parametrize("newer", [True, False])
def test_a_remote_with_a_detached_head_has_the_default_branch_that_is_at_its_commit(
    newer: bool, repo: Repo, tmp_path: Path
) -> None:
    tip = repo.commit({"a": "1"})
    repo.commit({"a": "2"}, branch="other")
    (repo.path / "HEAD").write_text(tip + "\n")
    with smart_http(repo.path.parent) as server:
        server.newer = newer
        mirrors = Mirrors(tmp_path / "mirrors")
        for branches in ((), ("",)):
            for url in (repo.url, f"{server.url}/shop.git"):
                assert mirrors.fetch(url, branches).default == "main"
                assert mirrors.head(url) == tip


def test_other_host_key_is_refused(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    (tmp_path / "ssh").mkdir()
    with sshd(tmp_path / "ssh") as server:
        (tmp_path / "other_hosts").write_text(f"[127.0.0.1]:{server.port} {keygen(tmp_path / 'other')}\n")
        url = server.url(repo.path)
        rules = Credentials((Credential(url, key_file=server.key, known_hosts=tmp_path / "other_hosts"),))
        with pytest.raises(TerminalError, match="host key"):
            Mirrors(tmp_path / "mirrors", rules).fetch(url)
        unpinned = Credentials((Credential(url, key_file=server.key),))
        with pytest.raises(TerminalError, match="known_hosts"):
            Mirrors(tmp_path / "mirrors", unpinned).fetch(url)


def test_folder_that_is_missing_or_no_repo_or_uses_sha256(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "mirrors")
    (tmp_path / "plain").mkdir()
    with pytest.raises(TerminalError, match="does not exist"):
        mirrors.fetch(str(tmp_path / "none"))
    with pytest.raises(TerminalError, match="no git repo"):
        mirrors.fetch(str(tmp_path / "plain"))
    made = subprocess.run(
        ["git", "init", "-q", "--object-format=sha256", str(tmp_path / "new")], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("this git makes no SHA-256 repos")
    with pytest.raises(TerminalError, match="SHA-256"):
        mirrors.fetch(str(tmp_path / "new"))


def test_mirror_outlives_its_remote(repo: Repo, tmp_path: Path) -> None:
    tip = repo.commit({"a": "1"})
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    repo.path.rename(tmp_path / "gone")
    with pytest.raises(TerminalError, match="does not exist"):
        mirrors.fetch(repo.url)
    Mirrors(tmp_path / "mirrors").checkout(repo.url, tip, tmp_path / "out")
    assert (tmp_path / "out/a").read_text() == "1"


def test_repo_larger_than_the_limit_is_refused(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": os.urandom(3 << 20)})
    mirrors = Mirrors(tmp_path / "mirrors")
    with pytest.raises(TransientError):
        mirrors.head(repo.url)
    job = Job(str(Repo(tmp_path / "mirror.git").path), repo.url, 10.0, most_bytes=1 << 20)
    report = attempt(job, Web())
    assert report.terminal
    assert "larger than 1 MiB" in report.error


def test_more_refs_than_the_limit_are_refused(repo: Repo, tmp_path: Path) -> None:
    first = repo.commit({"a": "1"})
    for number in range(5):
        repo.tag(f"v{number}", first)
    report = attempt(Job(str(Repo(tmp_path / "mirror.git").path), repo.url, 10.0, most_refs=5), Web())
    assert report.terminal
    assert "more than 5 refs" in report.error


FETCH = """
    import sys
    from pathlib import Path
    from reconciler.source.git import Mirrors
    Mirrors(Path(sys.argv[1]), deadline=3.0).fetch(sys.argv[2])
"""


def stall(connection: socket.socket, stop: threading.Event) -> None:
    """Announce one ref properly, then answer the request for its pack with half a line."""
    connection.recv(4096)
    ref = b"1" * 40 + b" refs/heads/main\0 symref=HEAD:refs/heads/main side-band-64k\n"
    body = b"001e# service=git-upload-pack\n0000" + f"{len(ref) + 4:04x}".encode() + ref + b"0000"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n"
    connection.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n\r\n0008NA")
    stop.wait(30)


def test_caller_killed_in_mid_fetch_leaves_a_mirror_that_is_locked_only_until_the_deadline(tmp_path: Path) -> None:
    with tcp(stall) as port:
        url = f"http://127.0.0.1:{port}/shop.git"
        program = [sys.executable, "-c", textwrap.dedent(FETCH), str(tmp_path / "mirrors"), url]
        caller = subprocess.Popen(program, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
        folder = tmp_path / "mirrors" / f"{parse(url).slug}.git"
        eventually(folder.exists, 10)
        eventually(lambda: held(folder.with_suffix(".lock")), 10)
        caller.send_signal(signal.SIGKILL)
        caller.wait(10)
        again = Mirrors(tmp_path / "mirrors", deadline=1.0)
        with pytest.raises(TransientError, match=r"not done within|another process"):
            again.fetch(url)
        eventually(
            lambda: not held(folder.with_suffix(".lock")), 10, what="the orphan of the killed caller did not end"
        )


def held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_leftovers_of_a_killed_fetch_are_cleaned_before_the_next(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    (folder,) = (tmp_path / "mirrors").glob("*.git")
    leftovers = [folder / "HEAD.lock", folder / "refs/heads/main.lock", folder / "objects/pack/pack_git2_abc123"]
    for file in leftovers:
        file.write_bytes(b"half")
    tip = repo.commit({"a": "2"})
    mirrors.fetch(repo.url)
    assert mirrors.head(repo.url) == tip
    assert not any(file.exists() for file in leftovers)


def test_many_threads_fetch_and_read_at_once(repo: Repo, tmp_path: Path) -> None:
    commits = [repo.commit({"prodsprint.yaml": str(number)}) for number in range(3)]
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.fetch(repo.url)
    wrong: list[object] = []
    done = threading.Event()

    def read(number: int) -> None:
        turn = 0
        while not done.is_set():
            commit = commits[turn % 3]
            turn += 1
            try:
                found = mirrors.files(repo.url, commit)
                mirrors.checkout(repo.url, commit, tmp_path / f"out-{number}-{turn}")
                if found.content[found.paths["prodsprint.yaml"]] != str(commits.index(commit)).encode():
                    wrong.append(found)
            except Exception as error:  # noqa: BLE001 - any of them is a failure of the test
                wrong.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(done.set)
        for number in range(4):
            repo.commit({"prodsprint.yaml": f"new {number}"})
            mirrors.fetch(repo.url)
    for thread in threads:
        thread.join(10)
    assert not wrong
