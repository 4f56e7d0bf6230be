"""Where the server listens, and where it refuses to."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from pathlib import Path

import grpc
import pytest
from api_world import PROD, World, api, bearer, channel, steady
from prodsprint import v1

from reconciler.api.address import parse_address
from reconciler.core.outcome import TerminalError
from reconciler.store import open_store


@pytest.fixture
def world():
    store = open_store(":memory:")
    yield World(store, {PROD: steady(PROD)})
    store.close()


def keys(stub, **options):
    return [one.key for one in stub.ListEnvironments(v1.ListEnvironmentsRequest(), timeout=20, **options).environments]


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.mark.parametrize(
    ("text", "expected", "local"),
    [
        ("127.0.0.1:7443", "127.0.0.1:7443", True),
        ("localhost:0", "127.0.0.1:0", True),
        ("127.9.9.9:1", "127.9.9.9:1", True),
        ("[::1]:7443", "[::1]:7443", True),
        ("unix:/run/p.sock", "unix:/run/p.sock", True),
        ("0.0.0.0:7443", "0.0.0.0:7443", False),
        ("[::]:7443", "[::]:7443", False),
        ("10.0.0.1:7443", "10.0.0.1:7443", False),
        ("[::ffff:10.0.0.1]:7443", "[::ffff:a00:1]:7443", False),
    ],
)
def test_addresses_are_read_and_told_local_or_not(text, expected, local):
    address = parse_address(text)
    assert (str(address), address.local) == (expected, local)


@pytest.mark.parametrize(
    "text",
    [
        *[
            "::1:7443",
            "example.com:7443",
            "127.1:80",
            "2130706433:80",
            "dns:///localhost:80",
            "ipv4:127.0.0.1:80",
            "unix:relative",
        ],
        *[
            "unix:",
            "[::1%lo]:80",
            ":7443",
            "7443",
            "127.0.0.1",
            "127.0.0.1:99999",
            "127.0.0.1:-1",
            "http://127.0.0.1:80",
        ],
        *("", "unix:/" + "x" * 200, "127.0.0.1:80\n"),
    ],
)
def test_what_is_no_plain_address_is_refused(text):
    with pytest.raises(TerminalError, match="address"):
        parse_address(text)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:7443"])
def test_other_machines_are_served_over_tls_only(world, tmp_path, address):
    with pytest.raises(TerminalError, match="without TLS"), api(world, tmp_path, address=address):
        pass
    assert not (tmp_path / "token").exists()


def test_with_a_certificate_any_address_will_do_and_still_needs_the_token(world, tmp_path, certificate):
    cert, key = certificate
    with api(world, tmp_path, address="0.0.0.0:0", tls_cert=cert, tls_key=key) as address:
        port = address.rpartition(":")[2]
        trust = grpc.ssl_channel_credentials(cert.read_bytes())
        with grpc.secure_channel(f"localhost:{port}", trust) as lines:
            stub = v1.StatusServiceStub(lines)
            assert keys(stub, metadata=bearer(tmp_path)) == [str(PROD)]
            with pytest.raises(grpc.RpcError) as caught:
                keys(stub)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
            with pytest.raises(grpc.RpcError) as caught:
                keys(v1.StatusServiceStub(plain), metadata=bearer(tmp_path))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_half_or_broken_tls_is_refused(world, tmp_path, certificate):
    cert, key = certificate
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("not a key")
    for tls in ((cert, None), (None, key), (cert, rubbish), (rubbish, key), (cert, tmp_path / "missing.pem")):
        with pytest.raises(TerminalError, match="TLS"), api(world, tmp_path, tls_cert=tls[0], tls_key=tls[1]):
            pass


def test_a_unix_socket_is_served_for_its_owner_only(world, tmp_path):
    path = Path(tmp_path, "s")
    with api(world, tmp_path, address=f"unix:{path}") as address, channel(address, tmp_path) as lines:
        assert keys(v1.StatusServiceStub(lines)) == [str(PROD)]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_taken_port_is_a_clear_error_even_for_a_second_server(world, tmp_path):
    with api(world, tmp_path) as address:
        with pytest.raises(TerminalError, match="cannot listen"), api(world, tmp_path, address=address):
            pass
        with channel(address, tmp_path) as lines:
            assert keys(v1.StatusServiceStub(lines)) == [str(PROD)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TerminalError, match="cannot listen"), api(world, tmp_path, address=address):
            pass


def test_the_server_can_be_started_again_on_the_same_port(world, tmp_path):
    with api(world, tmp_path) as address:
        pass
    with api(world, tmp_path, address=address) as again, channel(again, tmp_path) as lines:
        assert again == address
        assert keys(v1.StatusServiceStub(lines)) == [str(PROD)]
