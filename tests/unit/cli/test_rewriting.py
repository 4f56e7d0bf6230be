"""``prodsprint fmt`` and ``prodsprint migrate`` on real files."""

from __future__ import annotations

import io
import subprocess
import sys
from argparse import ArgumentParser
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import ModuleType

import pytest

from reconciler.cli import fmt, migrate
from reconciler.cli.rewriting import replace
from reconciler.core.outcome import TerminalError

UGLY = b"kind:   Project # what\na: 'b'\n"
TIDY = b"kind: Project   # what\na: b\n"
OLD = b"# mine\napiVersion: prodsprint/v1alpha1\nspec: {a: 1}\n"
NEW = b"# mine\napiVersion: prodsprint/v1\na: 1\n"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run(verb: ModuleType, *words: object, stdin: bytes = b"") -> Ran:
    parser = ArgumentParser()
    verb.add_arguments(parser)
    args = parser.parse_args([str(word) for word in words])
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = verb.run(args)
    finally:
        sys.stdin = before
    return Ran(code, out.buffer.getvalue().decode(), err.getvalue())


@pytest.fixture
def ugly(tmp_path):
    path = tmp_path / "prodsprint.yaml"
    path.write_bytes(UGLY)
    return path


def test_fmt_writes_the_file_and_says_so(ugly):
    assert run(fmt, ugly) == Ran(0, f"formatted: {ugly}\n", "")
    assert ugly.read_bytes() == TIDY
    assert run(fmt, ugly) == Ran(0, "fine: 1 file, nothing to change\n", "")
    assert list(ugly.parent.iterdir()) == [ugly]


def test_check_writes_nothing_and_exits_with_2(ugly):
    assert run(fmt, "--check", ugly) == Ran(2, f"would change: {ugly}\n", "")
    assert ugly.read_bytes() == UGLY
    ugly.write_bytes(TIDY)
    assert run(fmt, "--check", ugly).code == 0


def test_diff_writes_nothing_and_prints_the_difference(ugly):
    ran = run(fmt, "--diff", ugly)
    assert ran.code == 0
    assert [line for line in ran.out.splitlines() if line[0] in "+-"] == [
        f"--- {ugly}",
        f"+++ {ugly}",
        "-kind:   Project # what",
        "-a: 'b'",
        "+kind: Project   # what",
        "+a: b",
    ]
    assert ugly.read_bytes() == UGLY
    assert run(fmt, "--diff", "--check", ugly).code == 2


def test_diff_of_line_ends_says_so(ugly):
    ugly.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert "only line ends or a byte order mark differ" in run(fmt, "--diff", ugly).out
    assert run(fmt, ugly).code == 0
    assert ugly.read_bytes() == b"a: 1\n"


def test_a_file_with_problems_stays_and_the_others_do_not_wait(ugly):
    broken = ugly.with_name("broken.prodsprint.yaml")
    broken.write_bytes(b"a: 1\na: 2\n")
    ran = run(fmt, ugly.parent)
    assert ran.code == 1
    assert f"{broken}:2:1: `a` is there twice" in ran.out
    assert broken.read_bytes() == b"a: 1\na: 2\n"
    assert ugly.read_bytes() == TIDY
    assert run(fmt, "--check", ugly.parent).code == 1


def test_a_folder_is_searched_and_other_files_are_left(tmp_path):
    inner = tmp_path / "services" / "shop.prodsprint.yaml"
    other = tmp_path / "values.yaml"
    inner.parent.mkdir()
    inner.write_bytes(UGLY)
    other.write_bytes(UGLY)
    assert run(fmt, tmp_path).out == f"formatted: {inner}\n"
    assert (inner.read_bytes(), other.read_bytes()) == (TIDY, UGLY)
    refused = run(fmt, other)
    assert refused.code == 1
    assert refused.out.startswith(f"{other}: is no manifest by its name")
    assert other.read_bytes() == UGLY


def test_the_mode_of_a_file_stays(ugly):
    for mode in (0o640, 0o755, 0o600):
        ugly.write_bytes(UGLY)
        ugly.chmod(mode)
        assert run(fmt, ugly).code == 0
        assert ugly.stat().st_mode & 0o7777 == mode
        assert ugly.read_bytes() == TIDY


def test_symbolic_links_are_not_followed(ugly, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "prodsprint.yaml").symlink_to(ugly)
    for path in (folder, folder / "prodsprint.yaml"):
        ran = run(fmt, path)
        assert ran.code == 1
        assert ran.out.startswith(f"{folder / 'prodsprint.yaml'}: is a symbolic link")
    with pytest.raises(TerminalError, match="is a symbolic link"):
        replace(folder / "prodsprint.yaml", UGLY, TIDY)
    assert ugly.read_bytes() == UGLY


def test_a_folder_that_may_not_be_written_is_named(ugly):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from reconciler.cli.rewriting import replace; from reconciler.core.outcome import TerminalError\n"
        "if os.getuid() == 0:\n    os.setgid(65534); os.setuid(65534)\n"
        f"try:\n    replace(Path(sys.argv[1]), {UGLY!r}, {TIDY!r})\n"
        "except TerminalError as error:\n    print(error)\n"
    )
    ugly.parent.chmod(0o555)
    for parent in list(ugly.parents)[1:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    try:
        words = [sys.executable, "-c", code, str(ugly)]
        found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    finally:
        ugly.parent.chmod(0o755)
    assert found.stdout == f"{ugly}: Permission denied\n", found.stderr
    assert ugly.read_bytes() == UGLY


def test_a_file_that_somebody_else_changes_meanwhile_is_left_to_them(ugly):
    ugly.write_bytes(b"a: theirs\n")
    with pytest.raises(TerminalError, match="changed by somebody else"):
        replace(ugly, UGLY, TIDY)
    assert ugly.read_bytes() == b"a: theirs\n"
    assert list(ugly.parent.iterdir()) == [ugly]


def test_standard_input_goes_to_standard_output():
    assert run(fmt, "-", stdin="kind: 'é☺'\n".encode()) == Ran(0, "kind: é☺\n", "")
    assert run(fmt, "-", "--check", stdin=UGLY) == Ran(2, "", "")
    assert run(fmt, "-", "--check", stdin=TIDY) == Ran(0, "", "")
    assert "+a: b" in run(fmt, "-", "--diff", stdin=UGLY).out
    broken = run(fmt, "-", stdin=b"a: [\n")
    assert (broken.code, broken.out) == (1, "")
    assert broken.err.startswith("<stdin>:")
    assert run(fmt, "-", stdin=b"#" * (2 << 20)).err.startswith("<stdin>: the file has ")
    with pytest.raises(TerminalError, match="standard input"):
        run(fmt, "-", "other.yaml")


def test_migrate_writes_the_file_and_says_so(ugly):
    ugly.write_bytes(OLD)
    assert run(migrate, "--check", ugly) == Ran(2, f"would change: {ugly} (to prodsprint/v1)\n", "")
    assert run(migrate, ugly) == Ran(0, f"migrated: {ugly} (to prodsprint/v1)\n", "")
    assert ugly.read_bytes() == NEW
    assert run(migrate, ugly) == Ran(0, "fine: 1 file, nothing to change\n", "")


def test_migrate_leaves_new_files_as_they_are(ugly):
    assert run(migrate, ugly).out == "fine: 1 file, nothing to change\n"
    assert ugly.read_bytes() == UGLY


def test_migrate_names_what_it_cannot_do(ugly):
    ugly.write_bytes(b"apiVersion: prodsprint/v1alpha1\nspec: 5\n")
    ran = run(migrate, ugly)
    assert ran.code == 1
    assert "2:7: this cannot become prodsprint/v1: `spec` has to be a mapping" in ran.out


def test_help_has_examples():
    for verb in (fmt, migrate):
        assert verb.SUMMARY
        assert verb.EXAMPLES.startswith("examples:\n")
