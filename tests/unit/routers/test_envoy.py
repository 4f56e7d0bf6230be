from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from envoys import KEY, answers, ended, host, put, require_envoy, side
from http_traffic import HOST, Backend, Load, free_port, get, tally
from waiting import eventually

from reconciler import proc
from reconciler.core.desired import Key
from reconciler.core.observed import Traffic
from reconciler.core.outcome import TerminalError, TransientError
from reconciler.routers import _envoy_config as config
from reconciler.routers._envoy_process import admin_socket, find_envoy
from reconciler.routers.envoy import EnvoyRouter

FRACTION = """goo.gle/debugonly
fields {{
  key: "denominator"
  value {{
    string_value: "{}"
  }}
}}
fields {{
  key: "numerator"
  value {{
    number_value: {}
  }}
}}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    require_envoy()
    with ended(tmp_path_factory.mktemp("e")) as data:
        router = EnvoyRouter(host(data))
        eventually(lambda: answers(router), what="Envoy answers")
        yield data


@pytest.fixture
def router(data: Path) -> EnvoyRouter:
    return EnvoyRouter(host(data))


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    both = Backend("one"), Backend("two")
    yield both
    for backend in both:
        backend.close()


@pytest.fixture
def split(router: EnvoyRouter, backends: tuple[Backend, Backend]) -> Iterator[Traffic]:
    one, two = backends
    traffic = Traffic(free_port(), side("a", one.endpoint), side("b", two.endpoint), 2500)
    put(router, traffic)
    yield traffic
    eventually(lambda: answers(router), what="Envoy answers")
    put(router, Traffic(traffic.port, None, None, 0))


def envoy_pid(data: Path) -> int | None:
    state = proc.look(data / "process")
    return state.pid if state else None


def test_killed_it_comes_back_by_itself_with_the_same_split(data: Path, router: EnvoyRouter, split: Traffic) -> None:
    killed = envoy_pid(data)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: tally(split.port, 4, clients=1).keys() <= {"one", "two"}, what="served again, asked by nobody")
    assert router.observe(KEY) == split
    assert envoy_pid(data) not in {None, killed}


def test_opened_again_it_is_adopted_and_no_request_notices(data: Path, split: Traffic) -> None:
    pid = envoy_pid(data)
    with Load(split.port, clients=2) as load:
        for _ in range(3):
            again = EnvoyRouter(host(data))
            assert again.observe(KEY) == split
            again.close()
    answers = load.stop()
    assert answers
    assert answers.keys() <= {"one", "two"}
    assert envoy_pid(data) == pid


def test_with_its_shim_killed_it_is_started_again_by_the_next_look(
    data: Path, router: EnvoyRouter, split: Traffic
) -> None:
    os.kill(proc.look(data / "process").shim_pid, signal.SIGKILL)
    eventually(lambda: not answers(router), what="it is gone")
    eventually(lambda: answers(router), what="it is back")
    assert router.observe(KEY) == split


def test_while_it_does_not_answer_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.routers._envoy_process.find_envoy", lambda: "/bin/false")
    with ended(tmp_path):
        router = EnvoyRouter(host(tmp_path))
        with pytest.raises(TransientError, match="Envoy does not answer now"):
            router.observe(KEY)


def test_a_port_of_another_program_is_named_and_taken_once_it_is_free(
    router: EnvoyRouter, backends: tuple[Backend, Backend]
) -> None:
    with socket.create_server((HOST, 0)) as other:
        traffic = Traffic(other.getsockname()[1], side("a", backends[0].endpoint), None, 0)
        for _ in range(2):
            with pytest.raises(TransientError, match=f"port {traffic.port} is taken by another program"):
                router.apply(KEY, traffic, 1)
        assert router.observe(KEY) is None
    put(router, traffic)
    assert get(traffic.port) == (200, "one")
    put(router, Traffic(traffic.port, None, None, 0))


def test_a_share_changed_by_hand_is_observed_and_put_right(data: Path, router: EnvoyRouter, split: Traffic) -> None:
    weights = data / "xds" / "weights.json"
    text = weights.read_text().replace('"numerator": 2500', '"numerator": 4000')
    (data / "xds" / "mine").write_text(text)
    (data / "xds" / "mine").replace(weights)
    eventually(lambda: router.observe(KEY).weight == 4000, what="the change is seen")
    put(router, split)
    assert router.observe(KEY).weight == 2500


def test_a_file_that_cannot_be_understood_is_left_alone_and_named(
    data: Path, router: EnvoyRouter, split: Traffic
) -> None:
    clusters = data / "xds" / "clusters.json"
    shutil.copy(clusters, data / "kept")
    clusters.write_text('{"resources": [{}]}')
    changed = Traffic(split.port, side("c", "127.0.0.1:1"), None, 0)
    with pytest.raises(TerminalError, match=r"clusters.json cannot be understood .*restore it"):
        router.apply(KEY, changed, 1)
    assert router.observe(KEY) == split
    clusters.unlink()
    with pytest.raises(TransientError, match=r"cannot read .*clusters.json: No such file"):
        router.apply(KEY, changed, 1)
    shutil.move(data / "kept", clusters)


def test_no_client_can_make_it_retry_or_hide_a_failure(split: Traffic, backends: tuple[Backend, Backend]) -> None:
    tricks = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9", "x-envoy-upstream-rq-timeout-ms": "1"}
    assert get(split.port, "/fail", tricks)[0] == 500
    seen = {name.lower() for backend in backends for name in backend.headers}
    assert "x-forwarded-for" in seen
    assert not seen & set(tricks)


def test_a_disk_that_refuses_is_a_transient_error(tmp_path: Path) -> None:
    (tmp_path / "xds").write_text("not a folder")
    with pytest.raises(TransientError, match="cannot keep Envoy's configuration"):
        EnvoyRouter(host(tmp_path))


def test_a_hundred_environments_need_no_more_watches_than_one(
    tmp_path_factory: pytest.TempPathFactory, backends: tuple[Backend, Backend]
) -> None:
    require_envoy()
    with ended(tmp_path_factory.mktemp("many")) as data:
        router = EnvoyRouter(host(data))
        keys = [Key("shop", f"service-{number}", "prod") for number in range(100)]
        ports = range(20_000, 32_000)
        free = iter(port for port in ports if _is_free(port))
        wanted = {key: Traffic(next(free), side("a", backends[0].endpoint), None, 0) for key in keys}
        files = router._files
        files.put(
            config.CLUSTERS,
            {key.side(role): config.cluster(key, role, t.stable if role == "stable" else None)
             for key, t in wanted.items() for role in config.ROLES},
        )  # fmt: skip
        files.put(config.LISTENERS, {str(key): config.listener(key, "127.0.0.1", t.port) for key, t in wanted.items()})
        eventually(lambda: answers(router), what="Envoy answers")
        last = keys[-1]
        eventually(lambda: router.observe(last) == wanted[last], what="all are served")
        put(router, Traffic(wanted[last].port, wanted[last].stable, side("b", backends[1].endpoint), 5000), key=last)
        assert tally(wanted[last].port, 100).keys() == {"one", "two"}
        descriptors = Path(f"/proc/{envoy_pid(data)}/fd")
        watches = [one for one in descriptors.iterdir() if one.is_symlink() and "inotify" in str(one.readlink())]
        assert len(watches) <= 3


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


def test_threads_do_not_lose_each_others_changes(router: EnvoyRouter, backends: tuple[Backend, Backend]) -> None:
    wanted = {
        Key("shop", f"service-{number}", "prod"): Traffic(free_port(), side("a", backends[0].endpoint), None, 0)
        for number in range(8)
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(router, wanted[key], key=key), wanted))
    assert {key: router.observe(key) for key in wanted} == wanted
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(router, Traffic(wanted[key].port, None, None, 0), key=key), wanted))
    assert not router._files.entries(config.LISTENERS).keys() & {str(key) for key in wanted}


def test_the_admin_interface_is_for_this_user_only(data: Path, split: Traffic) -> None:
    assert stat.S_IMODE((data / "admin.sock").stat().st_mode) == 0o600
    assert (data / "admin").read_text() == str(data / "admin.sock")


def test_a_long_data_path_gets_a_short_private_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    long = tmp_path / ("x" * 100)
    found = admin_socket(long)
    assert found == admin_socket(long)
    assert found.parent.parent == tmp_path
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert admin_socket(tmp_path / ("y" * 100)) != found
    found.parent.chmod(0o755)
    with pytest.raises(TerminalError, match="not a private folder"):
        admin_socket(long)


def test_without_the_package_the_envoy_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TerminalError, match=r"pip install 'prodsprint\[local\]'"):
        find_envoy()
    (tmp_path / "envoy").write_text("#!/bin/sh\n")
    (tmp_path / "envoy").chmod(0o755)
    assert find_envoy() == str(tmp_path / "envoy")


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("7", 700),
        ("5000", 10_000),
        ('x fields { key: "numerator" value { number_value: 5 } }', 500),
        (FRACTION.format("TEN_THOUSAND", 123), 123),
        (FRACTION.format("MILLION", "1e+06"), 10_000),
    ],
)
def test_reads_a_share_as_envoy_prints_it(text: str, weight: int) -> None:
    assert config.read_weight(text) == weight


@pytest.mark.parametrize("text", ["", "half", '"denominator" value { string_value: "DOZEN" }'])
def test_a_share_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a share"):
        config.read_weight(text)


@pytest.mark.parametrize(
    "backend", [None, side("a"), side("a", "127.0.0.1:80", "10.0.0.1:65535"), side("a", "[::1]:8080")]
)
def test_reads_a_side_back_as_it_was_written(backend: object) -> None:
    written = json.loads(json.dumps(config.cluster(KEY, "canary", backend)))
    assert config.read_backend(written) == backend


@pytest.mark.parametrize("endpoint", ["localhost:80", "127.0.0.1", "127.0.0.1:http", ""])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(TerminalError, match="not an IP address and a port"):
        config.cluster(KEY, "canary", side("a", endpoint))
