from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from reconciler.manifest.rewrite import tidied

MINIMAL = """\
apiVersion: prodsprint/v1
kind: Project
name: hello
source: https://example.com/hello.git
version: v1
process:
  command: python3 app.py
environments:
  - name: prod
    port: 8080
"""
EXAMPLE = Path(__file__).parents[3] / "prodsprint.example.yaml"


def text(content: str | bytes) -> str:
    found = tidied("f.yaml", content if isinstance(content, bytes) else content.encode())
    assert not found.problems
    return found.text


def body(content: str) -> str:
    return textwrap.dedent(content).lstrip("\n")


FORMS = {
    "indentation of two spaces, lists indented below their key": (
        """
        a:
            b: 1
            c:
            - 1
            -   d: 2
                e: 3
            -
              - 4
        """,
        """
        a:
          b: 1
          c:
            - 1
            - d: 2
              e: 3
            -   - 4
        """,
    ),
    "one empty line at most, none at the beginning and the end": (
        """


        a: 1



        b:

          c: 2

        """,
        """
        a: 1

        b:
          c: 2
        """,
    ),
    "no spaces at the end of a line": ("a: 1   \nb:   \n  c: 2 # x  \n", "a: 1\nb:\n  c: 2 # x\n"),
    "quotes where plain text would be another value": (
        """
        a: "b"
        c: 'no'
        d: "1.10"
        e: 'true'
        f: "2026-11-21"
        g: "12:30"
        h: 'x: y'
        i: "# z"
        j: ""
        "k": '-'
        'l m': "it's"
        n: 'say "hi"'
        o: "~"
        p: no
        q: "a\\tb"
        r: 'https://x/y'
        s: '*'
        t: "<<"
        """,
        """
        a: b
        c: "no"
        d: "1.10"
        e: "true"
        f: "2026-11-21"
        g: "12:30"
        h: "x: y"
        i: "# z"
        j: ""
        k: "-"
        l m: it's
        n: say "hi"
        o: "~"
        p: no
        q: "a\\tb"
        r: https://x/y
        s: "*"
        t: "<<"
        """,
    ),
    "brackets and braces stay while they fit": (
        f"a: [1,2 , {{b: 'c'}}]\nd: {{ }}\ne: [  ]\nf: [{', '.join(['abcdefghi'] * 12)}]\n",
        f"a: [1, 2, {{b: c}}]\nd: {{}}\ne: []\nf:\n{'  - abcdefghi' + chr(10)}" + "  - abcdefghi\n" * 11,
    ),
    "comments in brackets go above them": (
        "a: [1, # one\n  2] # two\nb: {c: 3, # three\n  # four\n  d: [] }\n",
        "# one\na: [1, 2] # two\n# three\n# four\nb: {c: 3, d: []}\n",
    ),
    "texts of several lines keep their form": (
        "a: |\n     x\n      y\n\n     z\nb: >-\n    folded\n    text\n\n    more\nc: |2\n   deep\n  d\n",
        "a: |\n  x\n   y\n\n  z\nb: >-\n  folded\n  text\n\n  more\nc: |2\n   deep\n  d\n",
    ),
    "plain and quoted texts of several lines become one line": (
        "a: b\n  c\nd: 'e\n\n  f'\n",
        'a: b c\nd: "e\\nf"\n',
    ),
    "documents are divided by one line": (
        "%YAML 1.2\n---\na: 1\n...\n---\n---\n# two\nb: 2\n---\n",
        "a: 1\n---\n# two\nb: 2\n",
    ),
    "an empty line may stand above the line between documents": (
        "a: 1\n\n\n---\n\nb: 2\n---\nc: 3\n\n",
        "a: 1\n\n---\nb: 2\n---\nc: 3\n",
    ),
    "comments of empty documents stay": (
        "# one\n---\n# two\n---\na: 1\n---\n# three\n---\n# four",
        "# one\n# two\na: 1\n# three\n# four\n",
    ),
    "a comment stays beside its entry, in its column where it can": (
        "a:    1     # one\n            # and more\nb: 'x'  # two\nccccccccccc: d # three\n",
        "a: 1        # one\n            # and more\nb: x    # two\nccccccccccc: d # three\n",
    ),
    "a comment stays above its entry, or at the end of its block": (
        """
        # head

        # a
        a:
            # b
            b:
            -   1
            # two
            -   2
            # end of list
            # not of b
        # c
        c: 3
        # end
        """,
        """
        # head

        # a
        a:
          # b
          b:
            - 1
            # two
            - 2
            # end of list
            # not of b
        # c
        c: 3
        # end
        """,
    ),
    "a comment in the line of a text of several lines": ("a: |   # why\n  x\n", "a: |   # why\n  x\n"),
    "a comment at the head of a text in a list goes above it": (
        "a:\n- 1\n- | # why\n  x\n- 2\n",
        "a:\n  - 1\n  # why\n  - |\n    x\n  - 2\n",
    ),
    "comments around a text of several lines that was indented less": (
        "a:\n b:\n  - |\n   x\n   # no comment\n  # two\n  - 1\n # b\n",
        "a:\n  b:\n    - |\n      x\n      # no comment\n    # two\n    - 1\n  # b\n",
    ),
    "empty lines at the end of a text stay where it keeps them": (
        "a: |+ # why\n   x\n\n\nb: |+\n y\n\n---\nc: 1\n",
        "a: |+ # why\n  x\n\n\nb: |+\n  y\n\n---\nc: 1\n",
    ),
    "a long line of brackets goes below, and the comments around it stay": (
        f"a: [{', '.join(['abcdefghi'] * 11)}] # one\n# two\nb: 1\n",
        f"a: # one\n{('  - abcdefghi' + chr(10)) * 11}# two\nb: 1\n",
    ),
    "a text at the very end of a file without a line break": ("a: |\n  x", "a: |-\n  x\n"),
    "a line of spaces that a text ends with": ("a: |\n  x\n    \nb: 1\n", "a: |\n  x\n    \nb: 1\n"),
    "a comment between a key and its text goes above": ("a: # x\n # y\n z\nb: 1\n", "# x\n# y\na: z\nb: 1\n"),
    "a text that is empty, and a comment below it": ("a:\n b: |\n # x\n c: 1\n", 'a:\n  b: ""\n  # x\n  c: 1\n'),
    "a comment beside a dash goes above it": (
        "a:\n  - |\n   x\n  - # b\n   c: 1\n",
        "a:\n  - |\n    x\n  # b\n  - c: 1\n",
    ),
    "a document in braces, and what is below it": (
        "{a: 1, # one\n b: 2} # two\n# three\n",
        "# one\n# two\n# three\na: 1\nb: 2\n",
    ),
    "characters that nobody sees are written as escapes": ('a: "b\\u202ec"\nd: "\\U000e0001"\n',) * 2,
}


@pytest.mark.parametrize(("before", "after"), FORMS.values(), ids=FORMS)
def test_form(before, after):
    assert text(body(before)) == body(after)
    assert text(body(after)) == body(after)


def test_line_ends_and_byte_order_mark_are_dropped():
    assert text(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y # z\r\n") == "a: 1\nb: |\n  x\n  y # z\n"


def test_quantities_are_written_short_where_a_field_takes_them():
    release = "release:\n      bake: 90s\n      drain: 0.5s\n      steps: [5.0%, weight: 25.50 %, '100%']\n"
    written = "release:\n      bake: 1m30s\n      drain: 500ms\n      steps: [5%, {weight: 25.5%}, 100%]\n"
    assert text(f"{MINIMAL}    {release}") == f"{MINIMAL}    {written}"
    blocks = MINIMAL.replace("app.py\n", "90s\n  stopDeadline: 60s\n  env: {A: 90s, B: '5.0%'}\n")
    assert text(blocks) == blocks.replace("60s", "1m").replace("'5.0%'", "5.0%")


def test_names_that_look_like_quantities_stay():
    named = MINIMAL.replace("version: v1", "version: 90s")
    assert text(named) == named


def test_numbers_of_seconds_stay_numbers():
    numbers = f"{MINIMAL}    release: {{bake: 90, drain: 1.50}}\n"
    assert text(numbers) == numbers


def test_a_file_with_problems_is_refused_with_them():
    found = tidied("f.yaml", b"a: 1\na: 2\nb: [\n")
    assert [problem.code for problem in found.problems] == ["yaml-duplicate", "yaml-syntax"]
    assert found.text == ""
    for content, code in (
        (b"- 1\n", "wrong-type"),
        (b"", "file-empty"),
        (b"x\n", "wrong-type"),
        (b"[" * 999, "yaml-limit"),
    ):
        assert [problem.code for problem in tidied("f.yaml", content).problems] == [code]


def test_unknown_fields_and_kinds_are_written_all_the_same():
    assert text("kind: Nothing\nfoo:   {a: 1}\n") == "kind: Nothing\nfoo: {a: 1}\n"
    assert text("kind: Project\nfoo:   {a: 1}\nenvironments: 5\nrelease: [1]\n").startswith(
        "kind: Project\nfoo: {a: 1}\n"
    )


def test_a_key_that_is_too_long_for_one_line_keeps_its_question_mark():
    assert text(f"?   {'k' * 2000}\n: 1\n") == f"? {'k' * 2000}\n: 1\n"


def test_a_comment_that_would_get_lost_is_named_and_the_file_left():
    found = tidied("f.yaml", b"a:\n  - - [1]\n    # x\n  - 2\n")
    (problem,) = found.problems
    assert (problem.code, problem.place.line, problem.place.column) == ("rewrite-refused", 3, 5)
    assert problem.message == "this comment would be lost when the file is written anew, so the file was left as it is"
    assert found.text == ""


def test_the_example_is_in_canonical_form():
    assert text(EXAMPLE.read_bytes()) == EXAMPLE.read_text()


def test_the_largest_files_take_seconds_at_most():
    import time

    for content in ("a:\n" + "  - 1 # x\n" * 20_000, "# x\n" * 100_000 + "a: 1\n", "a: [" + "1, " * 20_000 + "]\n"):
        start = time.process_time()
        assert text(content)
        assert time.process_time() - start < 6
