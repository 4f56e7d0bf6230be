from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from reconciler.api.auth import open_token
from reconciler.core.outcome import TerminalError


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_missing_file_is_made_for_its_owner_only_and_read_again(tmp_path):
    first = open_token(tmp_path / "token")
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert open_token(tmp_path / "token") == first
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    assert first.identity.startswith("token:")
    assert first.token.reveal() not in repr(first)


def test_many_that_start_at_once_agree_on_one_token(tmp_path):
    code = (
        "import sys; from pathlib import Path; from reconciler.api.auth import open_token; sys.stdin.read(); "
        "print(open_token(Path(sys.argv[1])).token.reveal())"
    )
    start = [sys.executable, "-c", code, str(tmp_path / "token")]
    several = [subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in several:
        one.stdin.close()
    tokens = {one.stdout.read() for one in several}
    for one in several:
        assert one.wait(30) == 0
        one.stdout.close()
    assert len(tokens) == 1
    assert tokens.pop().strip() == (tmp_path / "token").read_text().strip()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o602])
def test_a_file_that_others_may_use_is_refused_with_what_to_do(tmp_path, mode):
    path = write(tmp_path / "token", "x" * 40, mode)
    with pytest.raises(TerminalError, match="chmod 600"):
        open_token(path)


@pytest.mark.parametrize("text", ["", "short", "two words " * 10, "é" * 40, "x" * 20 + "\n" + "y" * 20])
def test_a_file_without_a_usable_token_is_refused_without_showing_it(tmp_path, text):
    with pytest.raises(TerminalError, match="remove the file") as caught:
        open_token(write(tmp_path / "token", text))
    assert not text or text not in str(caught.value)


def test_links_pipes_and_folders_are_no_token_files(tmp_path):
    real = write(tmp_path / "real", "x" * 40)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("link", "dangling", "pipe", "folder", "missing/token"):
        with pytest.raises(TerminalError, match="token file"):
            open_token(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_only_the_exact_token_once_is_admitted(tmp_path):
    one = open_token(tmp_path / "token")
    right = f"Bearer {one.token.reveal()}"
    assert one.admits([("other", "x"), ("authorization", right)])
    for bad in (right[:-1], right + "x", right.lower(), right.removeprefix("Bearer "), "", "Bearer ", "Bearer é"):
        assert not one.admits([("authorization", bad)])
    assert not one.admits([])
    assert not one.admits([("authorization", right), ("authorization", right)])
    assert not one.admits([("authorization-bin", right.encode())])
