from __future__ import annotations

import pytest
from programs import SERVER, nothing_left
from releases import CopiedCheckouts

from reconciler.clock import SystemClock
from reconciler.ports import Host
from reconciler.targets import process

SHOW = "import json, os\nprint(json.dumps([dict(os.environ), os.getcwd()]), flush=True)\n"


@pytest.fixture
def checkouts(tmp_path):
    return CopiedCheckouts(tmp_path / "commits")


@pytest.fixture
def host(tmp_path, checkouts):
    with nothing_left(tmp_path):
        yield Host(tmp_path / "data", SystemClock(), checkouts)


@pytest.fixture
def target(host):
    return process.KIND.open(host)


@pytest.fixture
def commit(checkouts):
    return checkouts.commit({"server.py": SERVER, "show.py": SHOW + SERVER})
