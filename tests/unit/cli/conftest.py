"""The command line run in this process, against a real API server on a small world."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
from api_world import PROD, STAGING, ZOO, World, api, steady

from reconciler import cli
from reconciler.daemon import exclusive
from reconciler.store import open_store


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def prodsprint(*words: str) -> Ran:
    """Run one command here."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = cli.main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def hall(tmp_path_factory):
    """A data directory with a daemon's API behind it."""
    folder = tmp_path_factory.mktemp("cli")
    store = open_store(folder / "prodsprint.db", ("webhook",))
    app = World(store)
    with api(app, folder, heartbeat=0.2, poll=0.02) as address, exclusive(folder):
        (folder / "daemon.json").write_text(json.dumps({"pid": 1, "grpc": address}))
        yield app, folder
    store.close()


@pytest.fixture
def world(hall):
    app = hall[0]
    app.views = {key: steady(key) for key in (ZOO, STAGING, PROD)}
    app.answering = True
    app.submitted.clear()
    return app


@pytest.fixture
def ask(hall, world):
    """Runs a command against that daemon."""

    def run(*words: str) -> Ran:
        return prodsprint(*words, "--data-dir", str(hall[1]))

    return run


@pytest.fixture
def run():
    """Runs a command that needs no daemon."""
    return prodsprint
