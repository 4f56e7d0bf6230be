"""What the daemon depends on and does not own: the config repo, ports, metrics sources, webhooks."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from envoys import require_envoy
from gitservers import mute, tcp
from ground import ALL_AT_ONCE, Ground, ground
from receivers import Answer, Receiver, running

from reconciler.demo.repos import Repo
from reconciler.demo.stage import free_port

pytestmark = pytest.mark.e2e


def blocks_sigterm(task: Path) -> bool:
    blocked = (task / "status").read_text(encoding="ascii").split("SigBlk:")[1].split()[0]
    return bool(int(blocked, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with running(Receiver()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def place(hook: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A daemon whose config repo accepts connections and says nothing, and whose Prometheus is not there."""
    require_envoy()
    secret = tmp_path_factory.mktemp("webhook") / "secret"
    secret.write_text("the key that signs\n")
    secret.chmod(0o600)
    dead = f"http://127.0.0.1:{free_port()}"
    with (
        tcp(mute) as port,
        ground(
            config_repo=f"http://127.0.0.1:{port}/config.git",
            prometheus=dead,
            webhook=hook.url,
            webhook_secret=str(secret),
        ) as found,
    ):
        yield found


def test_a_daemon_is_ready_without_its_config_repo(place: Ground) -> None:
    code, words = place.cli("status")
    assert code == 0
    assert "config.git" in words


def test_a_stop_is_heeded_whichever_thread_the_signal_reaches(place: Ground) -> None:
    daemon = place.stage.programs.pop("daemon")
    tasks = Path(f"/proc/{daemon.pid}/task")
    others = [int(task.name) for task in tasks.iterdir() if not blocks_sigterm(task) and int(task.name) != daemon.pid]
    assert ctypes.CDLL(None).tgkill(daemon.pid, others[0], signal.SIGTERM) == 0
    assert daemon.wait(10) == 0


def test_what_was_compiled_stays_in_force_while_the_config_repo_is_away(place: Ground) -> None:
    place.start_daemon(config_repo=str(place.config.folder))
    place.serve("kept")
    away = place.config.folder.with_name("away")
    place.config.folder.rename(away)
    place.says("kept", "config repo", "stays in force")
    place.stage.end("daemon")
    place.start_daemon()
    place.says("kept", "config repo", "stays in force")
    seen = place.environment("kept")
    assert (seen.stable.version, seen.desired.version, seen.sync_status) == ("v1", "v1", "Synced")
    away.rename(place.config.folder)
    place.says("kept", "nothing is waited for: Synced, Healthy")


def test_a_rewritten_config_repo_is_followed(place: Ground) -> None:
    place.config.folder.rename(place.config.folder.with_name("old"))
    place.config = Repo(place.stage.folder / "config", place.stage.clock.now())
    place.want("kept", "v2", release=ALL_AT_ONCE)
    assert place.ended("kept", 2).version == "v2"
    assert "was rewritten" in (place.stage.folder / "daemon.log").read_text()


def test_a_taken_port_is_named_until_it_is_free(place: Ground) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = place.ports["blocked"] = other.getsockname()[1]
        place.want("blocked", "v1")
        place.says("blocked", f"port {port} is taken by another program")
        assert place.attempts("blocked") == []
    assert place.ended("blocked", 1).result == "promoted"


def test_a_dead_metrics_source_holds_the_canary_and_abort_works(place: Ground) -> None:
    analysis = {"source": "prometheus", "providerErrorAfter": "1s"}
    place.serve("blind", analysis=analysis)
    place.want("blind", "v2", release={"bake": "200ms", "maxBake": "3s"})
    place.says("blind", "no good reading of the metrics source", "provider_error")
    held = place.says("blind", "waits for   Held", "not certified within")
    assert "prodsprint release promote, release abort or release resume" in held
    assert place.environment("blind").rollout.step == 1
    assert place.act("abort", "blind")[0] == 0
    assert place.ended("blind", 2).result == "rolled_back"


def test_environments_are_passed_in_order(place: Ground) -> None:
    quick = {"interval": "200ms"}
    staging = {"name": "staging", "port": free_port(), "release": {"bake": "1s", "drain": "0s"}, "analysis": quick}
    place.serve("ordered", before={"staging": staging}, release=ALL_AT_ONCE)
    place.want("ordered", "v2")
    place.says("ordered", "staging has not certified v2", "the rollout in staging")
    first, second = place.ended("ordered", 2, "staging"), place.ended("ordered", 2)
    assert first.revision == second.revision
    assert first.ended_at.ToNanoseconds() <= second.started_at.ToNanoseconds()


def test_events_arrive_signed_and_dead_letters_are_sent_again(place: Ground, hook: Receiver) -> None:
    promoted = place.until(lambda: [one for one in hook.got if json.loads(one[2])["type"] == "rollout.promoted"])
    _, headers, body = promoted[0]
    at, _, signature = headers["X-ProdSprint-Signature"].removeprefix("t=").partition(",v1=")
    assert hmac.new(b"the key that signs", f"{at}.".encode() + body, hashlib.sha256).hexdigest() == signature
    hook.answer = Answer(410)
    place.want("kept", "v3")
    place.ended("kept", 3)
    place.until(lambda: "answered 410" in place.cli("events", "dead")[1])
    letters = place.cli("events", "dead", "-o", "name")[1].split()
    hook.answer, before = Answer(), len(hook.got)
    for letter in letters:
        assert place.cli("events", "replay", letter)[0] == 0
    place.until(lambda: len(hook.got) >= before + len(letters), 10, "they are sent again at once")
    place.until(lambda: "no notification has failed for good" in place.cli("events", "dead")[1])
