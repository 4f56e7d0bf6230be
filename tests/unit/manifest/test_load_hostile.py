"""Files that are made to hurt: refused or read, within a second and little memory. The numbers are those of the catalogue."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from reconciler.manifest.load import MAX_BYTES, load

MOST = MAX_BYTES - 16


def filled(unit: str, before: str = "", after: str = "") -> str:
    return before + unit * ((MOST - len(before) - len(after)) // len(unit.encode())) + after


def counted(form: str) -> str:
    parts = []
    room = MOST
    while room > 0:
        parts.append(form.replace("#", str(len(parts))))
        room -= len(parts[-1])
    return "".join(parts[:-1])


READ = {
    "10 MB scalar, as much of it as is allowed": filled("x", "a: "),
    "quoted scalar": filled("x", 'a: "', '"'),
    "quoted scalar of quotes": filled("''", "a: '", "'"),
    "escapes": filled("\\n", 'a: "', '"'),
    "quoted lines": filled("x\n ", 'a: "', '"'),
    "quoted empty lines": filled("\n", 'a: "', '"'),
    "plain lines": filled("x\n ", "a: "),
    "literal lines": filled("  x\n", "a: |\n"),
    "literal empty lines": filled("\n", "a: |+\n"),
    "folded lines": filled("  x\n\n", "a: >\n"),
    "literal with ever deeper empty lines": "a: |\n" + "".join(" " * n + "\n" for n in range(1400)),
    "comments": filled("# x\n", "a: 1\n"),
    "comments in brackets": filled("#\n", "a: [\n", "]"),
    "empty lines": filled("\n", "a: 1\n"),
    "spaces": filled(" ", "a: ", "1"),
    "long keys": counted(f"{'k' * 1000}#: 1\n"),
    "many numbers": filled(f"{'9' * 60},", "a: [", "]"),
    "colons": filled(":", "a: b", "c"),
}
REFUSED = {
    "(11) alias bomb of one level": (counted("a#: &a [*a]\n"), "yaml-alias"),
    "(11) anchors": (counted("k#: &a 1\n"), "yaml-alias"),
    "(11) anchors without a value": (filled("&a "), "yaml-alias"),
    "(11) merge keys": (filled("- <<: {}\n"), "yaml-alias"),
    "(12) duplicate keys": (filled("a: 1\n"), "yaml-duplicate"),
    "(12) documents": (filled("---\n"), "yaml-limit"),
    "(12) byte order marks": (filled("\ufeff", "a: "), "yaml-control"),
    "(12) tabs": (filled("\t", "a: "), "yaml-tab"),
    "(12) python objects": (filled("- !!python/object:os.system x\n"), "yaml-tag"),
    "(12) UTF-16": (filled("a: 1\n").encode("utf-16")[: MOST - 1], "file-encoding"),
    "(13) digits": (filled("9", "a: "), "yaml-number"),
    "(13) digits of base 16": (filled("f", "a: 0x"), "yaml-number"),
    "(13) fraction": (filled("9", "a: 1."), "yaml-number"),
    "(14) list of a million": (filled("1,", "[", "]"), "yaml-limit"),
    "(14) list of a million, a line each": (filled("- 1\n"), "yaml-limit"),
    "(14) keys": (counted("k#: 1\n"), "yaml-limit"),
    "(14) keys in braces": ("{" + counted("k#: 1,") + "}", "yaml-limit"),
    "(14) depth in brackets": (filled("["), "yaml-limit"),
    "(14) depth in brackets, a line each": (filled("[\n"), "yaml-limit"),
    "(14) depth in braces": (filled("{a: "), "yaml-limit"),
    "(14) depth of dashes": (filled("- "), "yaml-limit"),
    "(14) depth of indentation": ("".join(" " * n + "a:\n" for n in range(1400)), "yaml-limit"),
    "(14) braces as keys": (filled("{"), "yaml-key"),
    "(14) question marks": (filled("? "), "yaml-key"),
    "(17) null everywhere": (filled("- \n"), "yaml-null"),
    "tag directives": (counted("%TAG !a#! tag:x,2026:\n"), "yaml-tag"),
    "other directives": (filled("%FOO bar\n"), "yaml-syntax"),
    "exclamation marks": (filled("!", "a: "), "yaml-tag"),
    "quotes": (filled('"'), "yaml-syntax"),
    "backticks": (filled("`"), "yaml-syntax"),
    "keys too long to be one": (filled("x", "", ": 1"), "yaml-syntax"),
}


def timed(content: bytes) -> tuple[float, list[str]]:
    start = time.process_time()
    codes = [problem.code.value for problem in load("f.yaml", content).problems]
    return time.process_time() - start, codes


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_large_file_is_read_in_time(text):
    seconds, codes = timed(text.encode())
    assert not codes
    assert seconds < 1


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_hostile_file_is_refused_in_time(text, code):
    content = text if isinstance(text, bytes) else text.encode()
    assert len(content) <= MAX_BYTES
    seconds, codes = timed(content)
    assert codes
    assert codes[0] == code
    assert seconds < 1


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "- - - - a\n", "a: [{b: [c]}]\n", "k: 1\n", "'x', "])
def test_time_grows_no_faster_than_the_file(unit):
    small, large = (min(timed(unit.encode() * (size // len(unit)))[0] for _ in range(3)) for size in (40_000, 320_000))
    assert large < 8 * 3 * small + 0.05


def test_hundred_thousand_brackets_end_neither_process_nor_stack():
    code = (
        "from reconciler.manifest.load import load\n"
        "for sign in b'[', b'{', b'- ', b'? ':\n    load('f', sign * 100_000)\n"
        "print('alive')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "alive\n"


def test_the_largest_file_takes_little_memory():
    code = (
        "import resource\nfrom reconciler.manifest.load import load\n"
        "load('f', b'a: 1')\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "load('f', b'[' + b'123456789012345678,' * 49_000 + b']')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) < 64


def test_keys_that_look_like_pointers_are_only_keys():
    """(16)"""
    document = load("f.yaml", b"a[999999999]: 1\nb/~1/-: 2\n").documents[0]
    assert document.value == {"a[999999999]": 1, "b/~1/-": 2}
    assert str(document.place(("a", 999999999))) == "f.yaml:1:1"
