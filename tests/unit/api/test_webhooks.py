"""Webhooks over real sockets: whose are taken, and what hostile ones get (hostile list, items 29 to 34)."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import resource
import socket
import statistics
import threading
import time

import pytest
from fakes.clock import FakeClock
from waiting import eventually
from webhook_senders import PUSH, REFUSED, SECRET, digest, proof, request, serving, standard

from reconciler.api import webhooks
from reconciler.api.limits import Failures, Rate
from reconciler.api.request import parse_head
from reconciler.api.webhooks import LARGEST_BODY, MOST_CONNECTIONS, MOST_UNNAMED, Hooks, serve_webhooks
from reconciler.config_repos import ConfigRepo
from reconciler.core.outcome import TerminalError

FORGES = ("github", "gitlab", "gitea", "forgejo", "bitbucket")
SIGNED = ("github", "gitea", "forgejo", "bitbucket")
URL = "https://git.example.org/shop"


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    return ConfigRepo(URL, name="shop", webhook_secret_file=tmp_path / "secret")


def patient(server):
    """No limit on failures: the test makes many."""
    server.hooks.failures = Failures(Rate(1e6, 1e6), Rate(1e6, 1e6))
    return server


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forge", FORGES)
def test_a_webhook_of_each_forge_polls_its_repo_at_once(shop, forge):
    with serving(shop) as server:
        assert server.post(forge, b"1" + PUSH) == 202
        assert server.post(forge, b"2" + PUSH, name="shop") == 202
        assert server.polled == [URL, URL]
        assert server.counts == {(forge, "accepted"): 2}


def test_the_repo_is_the_one_whose_secret_verifies(shop, monkeypatch):
    monkeypatch.setenv("HOOK_OF_PLAY", "another-secret-of-play")
    play = ConfigRepo("https://git.example.org/play", name="play", webhook_secret_variable="HOOK_OF_PLAY")
    other = proof("github", PUSH, "another-secret-of-play")
    with serving(shop, play, ConfigRepo("https://git.example.org/none", name="none")) as server:
        assert server.post("github", fields=other) == 202
        assert server.post("github", fields=other, name="play") == 401  # a replay
        assert server.post("github", b"2", proof("github", b"2", "another-secret-of-play"), "shop") == 401
        assert server.polled == ["https://git.example.org/play"]


def test_two_branches_of_one_repo_may_share_a_secret_and_are_one_poll(shop, tmp_path):
    again = ConfigRepo(URL, "other", "shop-other", webhook_secret_file=tmp_path / "secret")
    with serving(shop, again) as server:
        assert server.post("github") == 202
        assert server.polled == [URL]


def test_a_new_secret_needs_no_restart(shop):
    with serving(shop) as server:
        shop.webhook_secret_file.write_text("the-next-secret-of-shop")
        assert server.post("github") == 401
        assert server.post("github", fields=proof("github", PUSH, "the-next-secret-of-shop")) == 202


def test_a_ping_is_answered_and_polls_nothing(shop):
    with serving(shop) as server:
        for forge, name, value in (
            ("github", "X-GitHub-Event", "ping"),
            ("bitbucket", "X-Event-Key", "diagnostics:ping"),
        ):
            assert server.post(forge, fields={**proof(forge, PUSH), name: value}) == 204
            assert server.post(forge, fields={name: value}) == 401
        assert server.polled == []


@pytest.mark.parametrize("key", ["a-plain-signing-token-1", "whsec_" + base64.b64encode(b"k" * 32).decode()])
def test_gitlabs_signing_token_signs_time_and_body(shop, key):
    shop.webhook_secret_file.write_text(key)
    secret = b"k" * 32 if key.startswith("whsec_") else key.encode()
    with serving(shop) as server:
        good = standard(PUSH, secret, time.time())
        both = {**good, "webhook-signature": "v1,AAAA v2,x " + good["webhook-signature"]}
        assert server.post("gitlab", fields=both) == 202
        assert server.post("gitlab", fields=good) == 401  # a replay
        for bad in (
            standard(PUSH, secret, time.time() - 900, "msg_2"),
            standard(PUSH, secret, time.time() + 900, "msg_3"),
            {**standard(PUSH, secret, time.time(), "msg_4"), "webhook-id": "msg_5"},
            {**standard(PUSH, secret, time.time()), "webhook-timestamp": "soon"},
            {**standard(PUSH, secret, time.time()), "webhook-signature": "v1,!"},
            {**standard(PUSH, b"x" * 32, time.time()), "X-Gitlab-Token": "wrong-token-wrong-token"},
        ):
            assert server.post("gitlab", fields=bad) == 401
        assert len(server.polled) == 1


def test_a_body_in_chunks_is_taken_and_its_trailer_ignored(shop):
    body = b"5\r\n" + PUSH[:5] + b"\r\n" + f"{len(PUSH) - 5:x};a=b\r\n".encode() + PUSH[5:] + b"\r\n0\r\nX-T: 1\r\n\r\n"
    with serving(shop) as server:
        fields = {**proof("github", PUSH), "Transfer-Encoding": "chunked"}
        assert server.raw(request("/webhooks/github", fields, body)).startswith(b"HTTP/1.1 202 ")


def test_a_sender_that_waits_for_leave_to_send_gets_it(shop):
    with serving(shop) as server:
        fields = {**proof("github", PUSH), "Expect": "100-continue"}
        answer = server.raw(request("/webhooks/github?x=1", fields, PUSH))
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 ")


# --- item 29: signatures ---------------------------------------------------------------------------------------------


def test_item_29_no_wrong_or_misplaced_proof_is_refused(shop):
    code = digest(PUSH)
    wrong = {
        "github": [
            {},
            {"X-Hub-Signature-256": code},
            {"X-Hub-Signature": f"sha256={code}"},
            {"X-Gitea-Signature": code},
        ],
        "gitea": [{}, {"X-Gitea-Signature": f"sha256={code}"}, {"X-Gitea-Signature": code[:-1]}],
        "forgejo": [{}, {"X-Forgejo-Signature": "0" * 64, "X-Gitea-Signature": code}],
        "bitbucket": [{}, {"X-Hub-Signature": f"sha1={code}"}, {"X-Hub-Signature-256": f"sha256={code}"}],
        "gitlab": [{}, {"X-Gitlab-Token": ""}, {"X-Gitlab-Token": SECRET[:-1]}, {"X-Gitlab-Token": code}],
    }
    with serving(shop) as server:
        patient(server)
        for forge, tries in wrong.items():
            for fields in (*tries, proof(forge, PUSH, "not-the-secret-at-all")):
                assert server.raw(request(f"/webhooks/{forge}", fields, PUSH)) == REFUSED
            assert server.counts[forge, "unauthenticated"] == len(tries) + 1
        assert server.polled == []


@pytest.mark.parametrize("forge", SIGNED)
def test_item_29_a_changed_body_is_refused(shop, forge):
    with serving(shop) as server:
        assert server.post(forge, PUSH + b" ", proof(forge, PUSH)) == 401


@pytest.mark.parametrize("forge", FORGES)
def test_item_29_a_replay_is_refused_whatever_delivery_it_claims_to_be(shop, forge):
    with serving(shop) as server:
        assert server.post(forge) == 202
        for number in range(3):
            again = {**proof(forge, PUSH), "X-GitHub-Delivery": str(number), "X-Gitlab-Event-UUID": str(number)}
            assert server.raw(request(f"/webhooks/{forge}", again, PUSH)) == REFUSED
        assert server.counts[forge, "replayed"] == 3
        assert server.polled == [URL]


def test_item_29_the_content_type_is_nobodys_business(shop):
    with serving(shop) as server:
        for number, kind in enumerate(("application/x-www-form-urlencoded", "text/xml", "", "a/b; charset=\x80")):
            body = f"payload={number}".encode()
            assert server.post("github", body, {**proof("github", body), "Content-Type": kind}) == 202


def test_item_29_two_proofs_in_one_request_are_refused(shop):
    data = request("/webhooks/github", proof("github", PUSH), PUSH)
    double = data.replace(b"X-GitHub-Event", b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nX-GitHub-Event")
    with serving(shop) as server:
        assert server.raw(double) == REFUSED
        assert server.counts == {("unknown", "malformed"): 1}


# --- item 30: bodies -------------------------------------------------------------------------------------------------


def test_item_30_a_body_of_a_gigabyte_is_refused_unread(shop):
    with serving(shop) as server:
        fields = {**proof("github", PUSH), "Content-Length": str(1 << 30)}
        started = time.perf_counter()
        assert server.raw(request("/webhooks/github", fields, b"x" * 1000)) in {REFUSED, b""}
        assert time.perf_counter() - started < 2
        eventually(lambda: server.counts == {("github", "too_large"): 1})


def test_item_30_chunks_without_end_are_cut_off_and_held_nowhere(shop):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(shop) as server:
        fields = {**proof("github", PUSH), "Transfer-Encoding": "chunked"}
        chunks = (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 400
        assert server.raw(request("/webhooks/github", fields, chunks)) in {REFUSED, b""}
        eventually(lambda: server.counts == {("github", "too_large"): 1})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_item_30_a_million_tiny_chunks_and_an_endless_trailer_are_cut_off(shop):
    with serving(shop) as server:
        fields = {**proof("github", PUSH), "Transfer-Encoding": "chunked"}
        for body in (b"1\r\nx\r\n" * 1_000_000, b"0\r\n" + b"a: b\r\n" * 100_000):
            assert server.raw(request("/webhooks/github", fields, body)) in {REFUSED, b""}
        eventually(lambda: server.counts == {("github", "too_large"): 2})


def test_item_30_a_gzip_bomb_is_refused_before_it_is_read(shop):
    bomb = gzip.compress(b"\0" * 10_000_000)
    with serving(shop) as server:
        assert server.post("github", bomb, {**proof("github", bomb), "Content-Encoding": "gzip"}) == 401
        assert server.counts == {("github", "encoded"): 1}


def test_item_30_a_length_that_lies_gets_nothing(shop, monkeypatch):
    monkeypatch.setattr(webhooks, "PATIENCE", 0.3)
    with serving(shop) as server:
        fields = proof("github", PUSH)
        assert (
            server.raw(request("/webhooks/github", {**fields, "Content-Length": str(len(PUSH) + 1)}, PUSH)) == REFUSED
        )
        assert server.raw(request("/webhooks/github", {**fields, "Content-Length": str(len(PUSH) - 1)}, PUSH)) in {
            REFUSED,
            b"",
        }
        assert server.counts == {("github", "too_slow"): 1, ("github", "unauthenticated"): 1}
        assert server.polled == []


def test_item_30_the_largest_body_is_taken_and_one_byte_more_is_not(shop):
    with serving(shop) as server:
        assert server.post("github", b"x" * LARGEST_BODY) == 202
        assert server.post("github", b"x" * (LARGEST_BODY + 1)) in {401, 0}


def test_item_30_json_of_any_depth_and_type_is_a_poll_and_no_more(shop):
    odd = [
        b"[" * 100_000,
        b"",
        b"null",
        b"\xff\xfe",
        json.dumps({"ref": [], "repository": 5}).encode(),
        b'{"a":' * 9_999,
    ]
    with serving(shop) as server:
        assert [server.post("bitbucket", body) for body in odd] == [202] * len(odd)
        assert server.polled == [URL] * len(odd)


@pytest.mark.parametrize(
    "framing",
    [
        {"Transfer-Encoding": "chunked", "Content-Length": "5"},
        {"Transfer-Encoding": "gzip, chunked"},
        {"Transfer-Encoding": ""},
        {"Content-Length": "+5"},
        {"Content-Length": "5, 5"},
        {"Content-Length": "0x5"},
        {"Content-Length": "-1"},
        {"Content-Length": ""},
        {"Content-Length": "\N{ARABIC-INDIC DIGIT FIVE}"},
    ],
)
def test_item_30_a_body_whose_end_is_unclear_is_refused(shop, framing):
    data = request("/webhooks/github", proof("github", b"12345"), b"12345")
    lines = "".join(f"{name}: {value}\r\n" for name, value in framing.items()).encode()
    with serving(shop) as server:
        assert server.raw(data.replace(b"Content-Length: 5\r\n", lines)) == REFUSED
        assert server.counts == {("github", "malformed"): 1}


# --- items 31 and 32: what the request says --------------------------------------------------------------------------


def test_item_31_urls_in_the_payload_are_not_used_or_logged(shop, caplog):
    caplog.set_level(logging.DEBUG)
    bad = ["(a+)+$", "https://ann:hunter2@h/x", "https://h/\r\nx", "ext::sh -c x", "--upload-pack=x", "\x1b[31m"]
    with serving(shop) as server:
        for number, url in enumerate(bad):
            body = json.dumps({"n": number, "repository": {"clone_url": url, "html_url": url}}).encode()
            assert server.post("gitea", body) == 202
        assert server.polled == [URL] * len(bad)
    assert not [url for url in (*bad, SECRET, "clone_url") if url in caplog.text]


def test_item_32_a_forged_revision_is_polled_and_never_used(shop):
    with serving(shop) as server:
        for number, after in enumerate(("0" * 40, "refs/heads/evil", "../../x", 5)):
            body = json.dumps({"n": number, "ref": "refs/heads/evil", "after": after, "before": "x"}).encode()
            assert server.post("github", body) == 202
        assert server.polled == [URL] * 4  # the callback gets a URL of ours, and nothing else


# --- item 33: floods -------------------------------------------------------------------------------------------------


def test_item_33_an_address_that_fails_too_often_waits_and_others_do_not(shop):
    with serving(shop) as server:
        server.hooks.failures = Failures(Rate(0.001, 5), Rate(1e6, 1e6))
        for _ in range(10):
            assert server.raw(b"GET / HTTP/1.1\r\n\r\n", "127.0.0.2") == REFUSED
        assert server.counts == {("unknown", "not_found"): 5, ("unknown", "flood"): 5}
        assert server.raw(request("/webhooks/github", proof("github", PUSH), PUSH), "127.0.0.2") == REFUSED
        assert server.post("github") == 202


def test_item_33_when_many_hosts_flood_a_forge_that_proved_itself_still_gets_in(shop):
    with serving(shop) as server:
        assert server.post("github", b"1") == 202
        server.hooks.failures._together.tokens = 0
        server.hooks.failures._together.rate = Rate(0, 5)
        hosts = [f"127.0.1.{number}" for number in range(1, 20)]
        assert {server.raw(request("/webhooks/github", {}, b"x"), host) for host in hosts} == {REFUSED}
        assert server.counts["unknown", "flood"] == len(hosts)
        assert server.post("github", b"2") == 202


def test_item_33_idle_and_slow_connections_make_room_for_new_ones(shop):
    with serving(shop) as server:
        idle = [socket.create_connection(server.where, timeout=20) for _ in range(MOST_CONNECTIONS + 20)]
        for line in idle:
            line.sendall(b"POST /webhooks/github HTTP/1.1\r\nX: ")
        assert server.post("github") == 202
        for line in idle:
            line.close()


def test_item_33_a_drip_is_ended_after_its_time(shop, monkeypatch):
    monkeypatch.setattr(webhooks, "PATIENCE", 0.4)
    with serving(shop) as server, socket.create_connection(server.where, timeout=20) as line:
        over = threading.Event()

        def drip():
            while not over.wait(0.05):
                try:
                    line.sendall(b"a")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert line.recv(4096) in {REFUSED, b""}
        except ConnectionResetError:
            pass
        finally:
            over.set()
            thread.join()
        eventually(lambda: server.counts["unknown", "too_slow"] == 1)


def test_item_33_a_repo_is_not_polled_without_end(shop):
    clock, polled = FakeClock(), []
    hooks = Hooks((shop,), polled.append, clock, lambda *_: None)
    outcomes = [deliver(hooks, str(number).encode()) for number in range(400)]
    assert outcomes == ["accepted"] * 200 + ["rate_limited"] * 200
    clock.advance(1)
    assert deliver(hooks, b"399") == "accepted"
    assert len(polled) == 201


def test_looking_whether_the_port_is_open_is_no_failure(shop):
    with serving(shop) as server:
        server.hooks.failures = Failures(Rate(0.001, 2), Rate(0.001, 2))
        for _ in range(5):
            socket.create_connection(server.where, timeout=20).close()
        eventually(lambda: server.counts["unknown", "empty"] == 5)
        assert server.post("github") == 202


# --- item 34: nothing is learnt --------------------------------------------------------------------------------------


def test_item_34_every_refusal_is_the_same_bytes(shop):
    good = proof("github", PUSH)
    with serving(shop) as server:
        patient(server)
        tries = [
            request("/webhooks/github/nobody", good, PUSH),
            request("/webhooks/github/shop", proof("github", PUSH, "not-the-secret-at-all"), PUSH),
            request("/webhooks/gogs", good, PUSH),
            request("/webhooks/github/shop/x", {}),
            request("/webhooks/github/SHOP", {}),
            request("/webhooks/github/..%2fshop", {}),
            request("/", {}),
            request("/metrics", {}, method="GET"),
            request("/webhooks/github", {}, method="GET"),
            request("/webhooks/github", {**good, "Content-Encoding": "br"}, b""),
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"POST /webhooks/github HTTP/2.0\r\n\r\n",
            b"POST  /webhooks/github HTTP/1.1\r\n\r\n",
            b"POST /webhooks/github HTTP/1.1\r\nX : y\r\n\r\n",
            b"POST /webhooks/github HTTP/1.1\r\n folded: y\r\n\r\n",
            b"POST /webhooks/github HTTP/1.1\r\nX: a\nY: b\r\n\r\n",
            b"POST /webhooks/github HTTP/1.1\r\nX: \0\r\n\r\n",
        ]
        assert {server.raw(data) for data in tries} == {REFUSED}
        assert server.polled == []


def test_item_34_a_known_name_takes_as_long_as_an_unknown_one(shop):
    hooks = Hooks((shop,), lambda _: None, FakeClock(), lambda *_: None)
    body = b"x" * 400_000
    heads = {name: parse_head(request(f"/webhooks/github/{name}", proof("github", b""))) for name in ("shop", "none")}

    def seconds(name):
        started = time.perf_counter()
        attempt = hooks.begin(heads[name])
        attempt.feed(body)
        assert hooks.end(attempt) == "unauthenticated"
        return time.perf_counter() - started

    taken = {name: [] for name in heads}
    for _ in range(60):
        for name, times in taken.items():
            times.append(seconds(name))
    ratio = statistics.median(taken["shop"]) / statistics.median(taken["none"])
    assert 0.6 < ratio < 1.6


# --- secrets that are not there --------------------------------------------------------------------------------------


def deliver(hooks, body, name=""):
    fields = proof("github", body)
    path = "/webhooks/github" + (f"/{name}" if name else "")
    attempt = hooks.begin(parse_head(request(path, fields)))
    attempt.feed(body)
    return hooks.end(attempt)


def test_a_secret_that_is_gone_empty_or_short_refuses_and_says_so_once(shop, caplog):
    hooks = Hooks((shop,), lambda _: None, FakeClock(), lambda *_: None)
    for content in ("short", "", None):
        if content is None:
            shop.webhook_secret_file.unlink()
        else:
            shop.webhook_secret_file.write_text(content)
        caplog.clear()
        assert [deliver(hooks, b"x") for _ in range(3)] == ["unauthenticated"] * 3
        assert len(caplog.records) == 1
        assert URL in caplog.text
    shop.webhook_secret_file.write_text(SECRET)
    assert deliver(hooks, b"x") == "accepted"


def test_a_variable_that_is_not_set_never_verifies(monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    hooks = Hooks((ConfigRepo(URL, webhook_secret_variable="NO_SUCH"),), print, FakeClock(), lambda *_: None)
    attempt = hooks.begin(parse_head(request("/webhooks/gitlab", {"X-Gitlab-Token": ""})))
    assert hooks.end(attempt) == "unauthenticated"
    empty = hooks.begin(parse_head(request("/webhooks/github", proof("github", b"", ""))))
    assert hooks.end(empty) == "unauthenticated"


def test_without_any_secret_nothing_is_taken(caplog):
    hooks = Hooks((ConfigRepo(URL),), print, FakeClock(), lambda *_: None)
    assert deliver(hooks, b"x") == "unauthenticated"


def test_with_many_repos_a_webhook_names_its_own(shop, tmp_path):
    many = [
        ConfigRepo(f"{URL}{number}", name=f"r{number}", webhook_secret_file=tmp_path / "secret") for number in range(9)
    ]
    assert len(many) > MOST_UNNAMED
    polled = []
    hooks = Hooks(tuple(many), polled.append, FakeClock(), lambda *_: None)
    assert deliver(hooks, b"x") == "unauthenticated"
    assert deliver(hooks, b"x", "r5") == "accepted"
    assert polled == [f"{URL}5"]


def test_a_replay_is_forgotten_after_its_time(shop):
    clock = FakeClock()
    hooks = Hooks((shop,), lambda _: None, clock, lambda *_: None)
    outcomes = []
    for wait in (0, 1, 598, 2):
        clock.advance(wait)
        outcomes.append(deliver(hooks, b"x"))
    assert outcomes == ["accepted", "replayed", "replayed", "accepted"]


def test_a_fault_of_ours_is_logged_and_looks_like_any_refusal(shop, caplog):
    with serving(shop) as server:

        def broken(_url):
            raise RuntimeError("boom")

        server.hooks.poll = broken
        assert server.raw(request("/webhooks/github", proof("github", PUSH), PUSH)) == REFUSED
        assert server.counts == {("unknown", "error"): 1}
    assert "boom" in caplog.text


def test_a_taken_port_is_a_clear_error(shop):
    hooks = Hooks((shop,), print, FakeClock(), lambda *_: None)
    with serving(shop) as server, pytest.raises(TerminalError, match="cannot listen"):
        serve_webhooks(hooks, f"127.0.0.1:{server.where[1]}", print, threading.Event())
