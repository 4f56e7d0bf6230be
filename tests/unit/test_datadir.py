from __future__ import annotations

import os

import pytest

from reconciler.core.outcome import TerminalError
from reconciler.datadir import exclusive


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    with exclusive(data):
        assert data.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_lets_nobody_else_in_stays_as_it_is(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with exclusive(data):
        assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12345, 12345)
    with pytest.raises(TerminalError, match="belongs to another user"), exclusive(data):
        pass


def test_a_second_daemon_is_refused(tmp_path):
    with (
        exclusive(tmp_path / "data"),
        pytest.raises(TerminalError, match=f"another daemon .process {os.getpid()}."),
        exclusive(tmp_path / "data"),
    ):
        pass
