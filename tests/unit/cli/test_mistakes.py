"""What people get wrong ends in one sentence that says what to do, and never in a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import gitrepos
import pytest
from waiting import eventually

LOOPBACK = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "reconciler", *words]


def daemon(*words: str, seconds: float = 20.0) -> tuple[int, str]:
    """Exit code and complaint of a daemon that is expected not to start."""
    done = subprocess.run(command("run", *words), capture_output=True, text=True, timeout=seconds, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def repo(tmp_path):
    one = gitrepos.Repo(tmp_path / "config.git")
    one.commit({"readme": "nothing yet\n"})
    return one.url


@pytest.fixture
def data(tmp_path):
    return str(tmp_path / "data")


# --- asking a daemon -------------------------------------------------------------------------------------------------


def test_a_folder_in_which_no_daemon_has_run(run, tmp_path):
    shown = run("status", "--data-dir", str(tmp_path))
    assert shown.code == 20
    assert shown.err == (
        f"prodsprint: no daemon has run in {tmp_path}: start one with 'prodsprint run', or name its data directory with "
        "--data-dir\n"
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{", b"\xff\xff", b'{"http": "x"}', b"null"])
def test_a_folder_with_something_else_in_the_daemons_file(run, tmp_path, content):
    (tmp_path / "daemon.json").write_bytes(content)
    shown = run("status", "--data-dir", str(tmp_path))
    assert shown.code == 20
    assert f"{tmp_path}/daemon.json does not say where a daemon is" in shown.err


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff\xfe", b"nul\0"])
def test_a_file_that_holds_no_token(run, tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    shown = run("status", "--data-dir", str(tmp_path), "--address", "127.0.0.1:1")
    assert (shown.code, shown.err) == (
        1,
        f"prodsprint: {tmp_path}/token: expected a token in one line of ASCII; is it another file?\n",
    )


def test_a_token_that_cannot_be_read(run, tmp_path):
    (tmp_path / "token").mkdir()  # also root cannot read a folder
    shown = run("status", "--data-dir", str(tmp_path), "--address", "127.0.0.1:1")
    assert shown.code == 20
    assert "Is a directory; the daemon's user owns it: ask as that user, or name a copy with --token-file" in shown.err


def test_a_wrong_token(hall, run, tmp_path):
    (tmp_path / "token").write_text("x" * 40)
    shown = run("status", "--data-dir", str(hall[1]), "--token-file", str(tmp_path / "token"))
    assert shown.code == 1
    assert "does not know this token" in shown.err


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("nonsense", "no certificate in PEM form")])
def test_a_file_that_is_no_certificate(run, tmp_path, content, words):
    (tmp_path / "token").write_text("x" * 40)
    if content:
        (tmp_path / "ca.pem").write_text(content)
    shown = run("status", "--data-dir", str(tmp_path), "--address", "127.0.0.1:1", "--ca", str(tmp_path / "ca.pem"))
    assert shown.code == 1
    assert shown.err.startswith(f"prodsprint: --ca {tmp_path}/ca.pem: {words}")


def test_a_key_that_the_daemon_does_not_know(ask):
    for words in (("status", "no/such"), ("why", "no/such"), ("history", "no/such")):
        shown = ask(*words)
        assert (shown.code, shown.err) == (1, "prodsprint: there is no environment default/no/such\n")


def test_a_reason_that_says_nothing(ask):
    shown = ask("release", "sync", "acme/shop/prod", "--reason", " ")
    assert shown.code == 1
    assert "say why" in shown.err


def test_a_pause_that_ends_before_it_begins(ask):
    shown = ask("release", "pause", "acme/shop/prod", "--reason", "x", "--until", "2020-01-01")
    assert shown.code == 1
    assert "until: expected a time from now on" in shown.err


def test_a_notification_that_is_not_there(ask):
    assert ask("events", "replay", "77").err == "prodsprint: there is no dead letter 77\n"


# --- reading manifests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_a_path_without_manifests(run, tmp_path, verb):
    assert run(verb, str(tmp_path / "nix")).err == f"prodsprint: {tmp_path}/nix: no such file or folder\n"
    shown = run(verb, str(tmp_path))
    assert (shown.code, shown.err) == (
        1,
        f"prodsprint: {tmp_path}: no prodsprint.yaml and no *.prodsprint.yaml there\n",
    )


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_a_manifest_whose_name_is_almost_right(run, tmp_path, verb):
    (tmp_path / "prodsprint.yml").touch()
    shown = run(verb, str(tmp_path))
    assert shown.code == 1
    words = "is not read; a manifest's name ends in prodsprint.yaml, in lower case"
    assert (shown.out + shown.err).startswith(f"{tmp_path}/prodsprint.yml: {words}")


def test_a_kind_that_has_no_schema(run):
    shown = run("schema", "Deployment")
    kinds = "Project, Workspace, Target, Waiver, Approval, Freeze, PolicyPack"
    assert (shown.code, shown.err) == (1, f"prodsprint: no kind 'Deployment'; there are: {kinds}\n")
    assert json.loads(run("schema").out)["title"] == "ProdSprint"
    assert json.loads(run("schema", "freeze").out)["title"] == "Freeze"


# --- the demo --------------------------------------------------------------------------------------------------------


def test_a_folder_that_the_demo_cannot_use(run, tmp_path):
    (tmp_path / "file").touch()
    assert run("demo", "--dir", str(tmp_path / "file")).err == f"prodsprint: --dir {tmp_path}/file: File exists\n"
    assert "is not empty: name another folder" in run("demo", "--dir", str(tmp_path)).err
    assert run("demo", "--stop", str(tmp_path)).err == f"prodsprint: {tmp_path} holds no demo\n"


# --- starting the daemon ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--workers", "0"), "--workers 0: input should be greater than or equal to 1"),
        (("--workers", "many"), "--workers many: input should be a valid integer"),
        (("--grpc", "nonsense"), "address 'nonsense': expected HOST:PORT"),
        (("--grpc", "0.0.0.0:0"), "refusing to listen on 0.0.0.0:0 without TLS"),
        (("--webhook", "http://127.0.0.1:1/", "--webhook-secret", "/no/such"), "/no/such: No such file"),
        (("--credentials", "/no/such"), "/no/such: No such file"),
    ],
)
def test_a_setting_that_cannot_work(repo, data, words, complaint):
    code, said = daemon("--config-repo", repo, "--data-dir", data, *LOOPBACK, *words)
    assert code == 1
    assert complaint in said.splitlines()[-1]


@pytest.mark.parametrize(
    "content",
    [b"{", b"just words", b"- prefix: 5\n", b"- nope: x\n", b"\xff\xfe"],
)
def test_a_credentials_file_that_is_none(repo, data, tmp_path, content):
    (tmp_path / "credentials.yaml").write_bytes(content)
    words = ("--credentials", str(tmp_path / "credentials.yaml"))
    code, said = daemon("--config-repo", repo, "--data-dir", data, *LOOPBACK, *words)
    assert code == 1
    assert said.startswith(f"prodsprint: {tmp_path}/credentials.yaml:")


@pytest.mark.parametrize("option", ["--grpc", "--http"])
def test_a_port_that_is_taken(repo, data, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = daemon("--config-repo", repo, "--data-dir", data, *LOOPBACK, option, address)
    assert code == 1
    assert said.splitlines()[-1].startswith(f"prodsprint: cannot listen on {address}: ")


def test_a_data_directory_that_is_a_file(repo, tmp_path):
    (tmp_path / "file").touch()
    code, said = daemon("--config-repo", repo, "--data-dir", str(tmp_path / "file"), *LOOPBACK)
    assert (code, said) == (1, f"prodsprint: the data directory {tmp_path}/file cannot be used: File exists\n")


def test_an_address_that_is_no_repo(data):
    code, said = daemon("--config-repo", "some/folder", "--data-dir", data, *LOOPBACK)
    assert code == 1
    assert said == (
        "prodsprint: 'some/folder' is no repo address: expected an absolute path, file://, https://, ssh:// or "
        "user@host:path\n"
    )


def test_a_config_repo_that_is_none_yet_and_a_second_daemon(run, data, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    with subprocess.Popen(
        command("run", "--config-repo", str(folder), "--data-dir", data, *LOOPBACK), stderr=subprocess.PIPE, text=True
    ) as first:
        try:
            eventually(lambda: Path(data, "daemon.json").exists(), 20)
            code, said = daemon("--config-repo", str(folder), "--data-dir", data, *LOOPBACK)
            other = f"prodsprint: another daemon (process {first.pid}) works on {data}: stop it, or"
            assert (code, said) == (1, f"{other} give this one its own --data-dir\n")
            told = eventually(lambda: "is no git repo" in (out := run("status", "--data-dir", data)).out and out, 10)
            assert told.code == 0
        finally:
            first.send_signal(signal.SIGTERM)
            _, log = first.communicate(timeout=10)
    assert first.returncode == 0
    assert "the folder is no git repo" in log
    assert "Traceback" not in log
    gone = run("status", "--data-dir", data)
    assert (gone.code, "no daemon has run" in gone.err) == (20, True)


# --- pipes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["--help", "schema", "completion fish", "events list --data-dir {data}"])
def test_a_reader_that_leaves_early_is_no_error(hall, world, words):
    for number in range(200):
        if "{data}" in words:
            world.happen(next(iter(world.views)), f"event {number}")
    line = f"{' '.join(command(words.format(data=hall[1])))} | (exec 0<&-; true); echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_terminal_that_lacks_letters_gets_marks(hall, world):
    world.happen(next(iter(world.views)), "v1 → v2")
    done = subprocess.run(
        command("events", "list", "--data-dir", str(hall[1])),
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert "v1 ? v2" in done.stdout
