from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gitrepos import Repo
from gitservers import Served, certificate, flood, smart_http, tcp

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source.address import Credential, Credentials
from reconciler.source.git import Mirrors
from reconciler.source.job import Job, Refs
from reconciler.source.lookup import Web
from reconciler.source.reflist import Look
from reconciler.source.trouble import Odd, TooLarge

TOKEN = "t0ken-of-the-test"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repos" / "shop.git")


@pytest.fixture
def server(repo: Repo) -> Iterator[Served]:
    with smart_http(repo.path.parent, keep_alive=True) as found:
        yield found


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[Mirrors]:
    found = Mirrors(tmp_path / "mirrors", deadline=10)
    yield found
    found.close()


def test_a_poll_with_nothing_new_is_one_request_over_a_connection_that_stays_open(
    repo: Repo, server: Served, mirrors: Mirrors
) -> None:
    repo.commit({"a": "1"})
    url = f"{server.url}/shop.git"
    mirrors.fetch(url, ("main",))
    connections = server.connections
    server.asked.clear()
    for _ in range(5):
        assert not mirrors.fetch(url, ("main",)).changed
    assert server.asked == ["POST /shop.git/git-upload-pack"] * 5
    assert server.connections == connections


@pytest.mark.parametrize("newer", [True, False])
def test_both_protocols_give_the_same_refs(newer: bool, repo: Repo, server: Served, mirrors: Mirrors) -> None:
    server.newer = newer
    first = repo.commit({"a": "1"})
    repo.commit({"a": "2"}, branch="topic/x")
    repo.tag("v1", first, annotated=True)
    result = mirrors.fetch(f"{server.url}/shop.git")
    assert (result.refs, result.default) == (3, "main")
    assert mirrors.resolve(f"{server.url}/shop.git", "v1") == first
    with closing(Web()) as web:
        look = web.look(Job("", f"{server.url}/shop.git", 5), lambda: None)
    assert look.newer is newer
    wanted = {ref.name: str(ref.target) for ref in repo.git.references.iterator() if ref.name != "HEAD"}
    assert look.refs(10) == Refs(wanted, "refs/heads/main")
    with pytest.raises(TooLarge):
        look.refs(2)


def test_only_the_named_branches_are_asked_for_and_fetched(repo: Repo, server: Served, mirrors: Mirrors) -> None:
    first = repo.commit({"a": "1"})
    other = repo.commit({"b": "1"}, branch="other")
    for number in range(50):
        repo.tag(f"v{number}", first)
    url = f"{server.url}/shop.git"
    with closing(Web()) as web:
        assert len(web.look(Job("", url, 5, branches=("main",)), lambda: None).body) < 200
    assert mirrors.fetch(url, ("main",)).refs == 1
    assert mirrors.head(url, "main") == first
    assert mirrors.head(url, "other") is None
    assert mirrors.resolve_all(url, ["v1", other]) == {"v1": None, other: None}
    repo.commit({"b": "2"}, branch="other")
    assert not mirrors.fetch(url, ("main",)).changed


def test_a_connection_that_the_server_closed_is_opened_again(
    repo: Repo, server: Served, mirrors: Mirrors, tmp_path: Path
) -> None:
    repo.commit({"a": "1"})
    web, job = Web(), Job("", f"{server.url}/shop.git", 5)
    before = web.look(job, lambda: None)
    (connection,) = web._open.values()
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert web.look(job, lambda: None).body == before.body
    web.close()


def test_an_answer_other_than_200_is_explained_without_the_token(repo: Repo, server: Served, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    server.token = "an0ther"
    (tmp_path / "token").write_text(TOKEN)
    rules = Credentials((Credential(server.url, token_file=tmp_path / "token"),))
    mirrors = Mirrors(tmp_path / "mirrors", rules)
    with pytest.raises(TerminalError, match="refused the credentials") as caught:
        mirrors.fetch(f"{server.url}/shop.git")
    assert TOKEN not in str(caught.value)
    assert len(server.given) == 1
    mirrors.close()


def test_https_accepts_only_the_pinned_authority(repo: Repo, tmp_path: Path) -> None:
    first = repo.commit({"a": "1"})
    for name in ("right", "wrong"):
        (tmp_path / name).mkdir()
    right, wrong = certificate(tmp_path / "right"), certificate(tmp_path / "wrong")
    with smart_http(repo.path.parent, tls=right, keep_alive=True) as server:
        url = f"{server.url}/shop.git"
        for rules in ((), (Credential(server.url, ca_file=wrong.file),)):
            mirrors = Mirrors(tmp_path / "mirrors", Credentials(rules))
            with pytest.raises(TerminalError, match="certificate is not valid"):
                mirrors.fetch(url)
            mirrors.close()
        mirrors = Mirrors(tmp_path / "mirrors", Credentials((Credential(server.url, ca_file=right.file),)))
        mirrors.fetch(url)
        assert mirrors.head(url) == first
        assert not mirrors.fetch(url).changed
        mirrors.close()
        gone = Mirrors(tmp_path / "mirrors", Credentials((Credential(server.url, ca_file=tmp_path / "none.pem"),)))
        with pytest.raises(TerminalError, match="No such file"):
            gone.fetch(url)


def test_an_endless_list_of_refs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.source.lookup.LARGEST", 100_000)
    with tcp(flood) as port, pytest.raises(TooLarge, match="list of refs"):
        Web().look(Job("", f"http://127.0.0.1:{port}/shop.git", 5), lambda: None)


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"
KIND = b"application/x-git-upload-pack-advertisement"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 999 \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: " + KIND + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        PLAIN % (b"text/html", 4, b"", b"<a/>"),
        PLAIN % (KIND, 4, b"", b"zzzz"),
        PLAIN % (KIND, 4, b"", b"ffff"),
        PLAIN % (KIND, 4, b"", b"0003"),
        PLAIN % (KIND, 0, b"", b""),
        PLAIN % (KIND, 4, b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\x00"),
        PLAIN % (KIND, 999, b"", b"001e# service=git-upload-pack\n0000"),
    ],
)
def test_odd_answers_end_in_an_error_and_nothing_worse(answer: bytes, tmp_path: Path) -> None:
    def talk(connection: socket.socket, _stop: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with tcp(talk) as port:
        mirrors = Mirrors(tmp_path / "mirrors", deadline=5)
        with pytest.raises((TransientError, TerminalError)):
            mirrors.fetch(f"http://127.0.0.1:{port}/shop.git")
        mirrors.close()


ONE = b"1" * 40


@pytest.mark.parametrize(
    ("body", "newer"),
    [
        (b"", True),
        (b"0000" + b"0008abc\n", True),
        (b"000dxyz HEAD\n0000", True),
        (b"003d" + ONE + b" refs/heads/main\n", True),
        (b"003b" + b"g" * 40 + b" refs/heads/m\n0000", True),
        (b"00000000003d" + ONE + b" refs/heads/main\n", False),
        (b"000eversion 1\n0000", False),
    ],
)
def test_lists_of_refs_that_are_cut_off_or_none_are_odd(body: bytes, newer: bool) -> None:
    with pytest.raises(Odd):
        Look(body, newer).refs(10)


@pytest.mark.parametrize("name", [b"refs/heads/a..b", b"refs/heads/x.lock", b"refs/heads/\xff", b"refs/heads/a\x01b"])
def test_names_that_git_would_refuse_are_left_out(name: bytes) -> None:
    line = ONE + b" " + name + b"\n"
    assert Look(b"%04x%s0000" % (len(line) + 4, line), newer=True).refs(10) == Refs({}, "")


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a b", "a\nb", "*", "x..y", "main\0"])
def test_branches_named_like_options_patterns_or_lines_are_refused(branch: str, mirrors: Mirrors) -> None:
    with pytest.raises(TerminalError, match="is no version"):
        mirrors.fetch("https://git.example.org/shop", (branch,))
