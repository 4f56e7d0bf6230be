from __future__ import annotations

import pytest
from programs import nothing_left


@pytest.fixture
def folder(tmp_path):
    with nothing_left(tmp_path):
        yield tmp_path / "instance"
