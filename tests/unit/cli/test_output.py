from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from prodsprint.v1 import Environment
from ruamel.yaml import YAML

from reconciler.cli import output

ROWS = (
    {"key": "a", "ready": "", "why": "one two three four five six seven"},
    {"key": "longer", "ready": "2/2", "why": ""},
)


def test_columns_are_as_wide_as_their_widest_cell_and_empty_cells_are_marked():
    assert output.table(ROWS).splitlines() == [
        "KEY     READY  WHY",
        "a       -      one two three four five six seven",
        "longer  2/2    -",
    ]


def test_the_last_column_is_cut_where_a_terminal_ends():
    long = [{"key": "a", "why": "x" * 100}]
    lines = output.table(long, 60).splitlines()
    assert lines[1] == "a    " + "x" * 54 + "…"
    assert len(lines[1]) == 60
    assert output.table(long, 105) == output.table(long)


def test_a_narrow_terminal_gets_the_last_column_below_its_row():
    rows = [{"key": "k" * 40, "why": "one two three four five six seven"}, {"key": "b", "why": ""}]
    assert output.table(rows, 50).splitlines() == [
        "KEY",
        "k" * 40,
        "    one two three four five six seven",
        "b",
    ]


@given(st.text("ab ", max_size=300), st.integers(0, 40), st.integers(1, 120))
def test_folded_lines_keep_every_word_and_fit(text, indent, width):
    folded = output.wrap(text, width, indent)
    assert folded.split() == text.split()
    room = max(width, indent + output.LEAST)
    longest = max(map(len, text.split()), default=0)
    assert all(len(line) <= max(room, indent + longest) for line in folded.splitlines())


def test_a_number_stays_with_its_unit():
    words = "fails less than 1 % and 95 % sure within 20 ms or 3 s"
    for width in range(20, 60):
        starts = [line.split()[0] for line in output.wrap(words, width).splitlines()]
        assert not {"%", "ms", "s"} & set(starts)
        assert " ".join(output.wrap(words, width).split()) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 ms"), (0.0852, "85 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (4.21, "4.2 s"), (59.94, "59.9 s"),
        (59.96, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min"),
    ],
)  # fmt: skip
def test_lengths_of_time_for_people(value, words):
    assert output.seconds(value) == words


def test_counts_for_people():
    assert [output.count(number, "request") for number in (0, 1, 1200)] == ["0 requests", "1 request", "1,200 requests"]


def test_a_time_that_is_not_set_is_empty():
    assert output.clock(Timestamp()) == ""
    assert output.clock(Timestamp(seconds=1_700_000_000)).startswith("2023-11-1")


def test_data_is_whole_and_keeps_the_names_of_the_protocol(capsys):
    items = [Environment(key="acme/shop/prod", waiting_for="ä → b")]
    output.show("json", items, dict, str)
    as_json = json.loads(capsys.readouterr().out)
    output.show("yaml", items, dict, str)
    assert YAML(typ="safe", pure=True).load(capsys.readouterr().out) == as_json
    assert as_json[0]["waiting_for"] == "ä → b"
    assert as_json[0]["quarantined"] is False


def test_one_of_many_is_one_line_of_json_or_one_document_of_yaml(capsys):
    for number in (1, 2):
        output.data({"number": number, "text": "a\nb"}, "json", line=True)
    assert [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
    for number in (1, 2):
        output.data({"number": number}, "yaml", line=True)
    assert [one["number"] for one in YAML(typ="safe", pure=True).load_all(capsys.readouterr().out)] == [1, 2]


def test_what_is_not_a_terminal_has_no_width(capsys):
    assert output.columns() is None


def on_a_terminal(words: list[str], columns: int) -> str:
    """What a command prints on a terminal so wide."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "reconciler", *words], stdout=theirs, stderr=theirs, close_fds=True
    ) as one:
        os.close(theirs)
        shown = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not more:
                break
            shown += more
        one.wait(20)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_is_never_overrun_and_a_pipe_gets_everything(hall, world, ask):
    world.happen(next(iter(world.views)), "a long message " + "of many words " * 20)
    words = ["events", "list", "--data-dir", str(hall[1])]
    piped = ask("events", "list").out
    assert max(map(len, piped.splitlines())) > 200
    for columns in (80, 120):
        assert max(map(len, on_a_terminal(words, columns).splitlines())) <= columns
    assert on_a_terminal([*words, "-o", "wide"], 80).count("of many words") >= 20


def test_problems_of_manifests_are_folded_on_a_terminal(tmp_path):
    text = "apiVersion: prodsprint/v1\nkind: Project\nname: a\nenvironments: [{name: prod, port: no, nothing: 1}]\n"
    (tmp_path / "prodsprint.yaml").write_text(text)
    shown = on_a_terminal(["validate", str(tmp_path)], 80).splitlines()
    assert max(len(line) for line in shown if str(tmp_path) not in line) <= 80
    assert any(line.startswith("    ") for line in shown)
