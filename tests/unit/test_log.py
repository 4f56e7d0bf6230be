from __future__ import annotations

import io
import json
import logging

import pytest

from reconciler.log import configure_logging


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def out():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("apscheduler", "alembic", "asyncio", "sqlalchemy")}

    def configured(stream, level_name="info", **options):
        configure_logging(level_name, stream=stream, **options)
        return logging.getLogger("reconciler.test")

    yield configured
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def test_a_file_gets_json_lines_with_extras_and_exception(out):
    stream = io.StringIO()
    log = out(stream)
    try:
        int("what happened")
    except ValueError:
        log.exception("a look failed: %d", 3, extra={"key": "acme/shop/prod", "odd": object})
    log.info("second\nline")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "a look failed: 3"
    assert (first["level"], first["logger"], first["key"]) == ("error", "reconciler.test", "acme/shop/prod")
    assert "ValueError: invalid literal" in first["exception"]
    assert first["time"].endswith("Z")
    assert second["message"] == "second\nline"
    assert set(second) == {"time", "level", "logger", "message"}


def test_a_terminal_gets_one_plain_line_that_cannot_be_forged(out):
    stream = Terminal()
    out(stream).warning("from git: %s", "a\nERROR \x1b[31mforged", extra={"key": "acme/shop/prod"})
    (line,) = stream.getvalue().splitlines()
    assert "WARNING" in line
    assert r"a\nERROR \x1b[31mforged key=acme/shop/prod" in line


def test_the_form_can_be_chosen_and_the_level_holds(out):
    stream = Terminal()
    log = out(stream, "warning", json_lines=True)
    log.info("not this")
    log.warning("this")
    logging.getLogger("apscheduler.scheduler").info("nor this")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["this"]
    plain = io.StringIO()
    out(plain, json_lines=False).error("plain")
    assert "ERROR   plain" in plain.getvalue()
