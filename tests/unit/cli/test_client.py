"""Whom the command line gives the token to."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
from api_world import PROD, steady

from reconciler.core.text import REPLACEMENT
from reconciler.daemon import exclusive


def test_nobody_is_asked_when_the_daemon_has_been_killed(run, tmp_path):
    (tmp_path / "token").write_text("t" * 40)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        (tmp_path / "daemon.json").write_text(f'{{"grpc": "127.0.0.1:{stranger.getsockname()[1]}"}}')
        with exclusive(tmp_path):
            pass
        shown = run("status", "--data-dir", str(tmp_path))
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert shown.code == 20
    assert shown.err == f"prodsprint: no daemon runs on {tmp_path}: the last one was killed; start it again\n"


@pytest.mark.parametrize("address", ["192.0.2.7:7443", "[2001:db8::1]:7443", "0.0.0.0:7443", "daemon.example:7443"])
def test_a_token_goes_over_no_network_in_clear_text(run, tmp_path, address):
    (tmp_path / "token").write_text("t" * 40)
    shown = run("status", "--data-dir", str(tmp_path), "--address", address)
    assert shown.code == 1
    assert shown.err == (
        f"prodsprint: the daemon at {address} would get the token over the network in clear text; name the certificate "
        "authority of its certificate with --ca\n"
    )


def test_what_a_daemon_says_steers_no_terminal(ask, world):
    evil = "boom \x1b]52;c;ZXZpbA==\x07\x1b[2J\n\u202eall fine"
    world.views[PROD] = replace(steady(PROD), problem=evil)
    for words in (("why", str(PROD)), ("status",), ("status", "-o", "json"), ("status", "-o", "yaml")):
        shown = ask(*words)
        assert "boom" in shown.out
        assert all(one.isprintable() or one == "\n" for one in shown.out), words
    (found,) = [one for one in json.loads(ask("status", "-o", "json").out) if one["key"] == str(PROD)]
    assert found["problem"] == evil
    assert f"{REPLACEMENT}]52" in ask("why", str(PROD)).out
