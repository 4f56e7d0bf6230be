"""Whatever a person wrote: written anew once it stays so, no comment is lost, and no value changes."""

from __future__ import annotations

from collections import Counter

from fuzz.targets import excused
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.manifest.layout import comments
from reconciler.manifest.load import load
from reconciler.manifest.rewrite import migrated, tidied

SCALARS = (
    *("1", "-0.5", "1e3", "no", '"no"', "'it''s'", '"\\u263a \\\\ \\n"', "90s", "5.0%", '"1.10"', "~x", "a b", "x:y"),
    *("[1, 'a', {b: c}]", "{}", "[]", "{d: [], 'e f': \"g\"}", "[\n      1,\n        2 ]"),
    *("plain\n      more", "'x\n\n      y'"),
)
KEYS = ("k#:", "longer key # :", '"q#":', "'s #':", "#:", "? c#\n:")
TEXTS = (["x"], ["x", "", "  y"], ["# x", "z", ""])
NOTES = ("# a", "#b", "#", "# c: d", '# "e', "# - f", "#\u202e")


class Layout:
    """Lines of a mapping or list in any layout, with comments wherever they may stand."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.count = iter(range(10_000))

    def one(self, *choices):
        return self.draw(st.sampled_from(choices))

    def gap(self, pad):
        for kind in self.draw(st.lists(st.sampled_from(["blank", "own", "deep", "left"]), max_size=3)):
            if kind == "blank":
                yield self.one("", " ")
            else:
                column = {"own": pad, "deep": f"{pad}   ", "left": pad[: len(pad) // 2]}[kind]
                yield column + self.one(*NOTES)

    def beside(self, line):
        note = self.one("", "", "", *NOTES)
        return f"{line}{' ' * self.draw(st.integers(1, 4))}{note}" if note else line

    def block(self, pad, depth):
        keys = ("-",) if self.draw(st.booleans()) else KEYS
        for _ in range(self.draw(st.integers(1, 3))):
            yield from self.gap(pad)
            key = self.one(*keys).replace("#", str(next(self.count))).replace("\n", f"\n{pad}")
            yield from self.value(pad, key, depth)
        yield from self.gap(pad)

    def value(self, pad, key, depth):
        inner = pad + " " * self.draw(st.integers(1, 5))
        kind = self.one("scalar", "scalar", "text", *(["block"] * depth))
        if kind == "scalar":
            yield self.beside(f"{pad}{key} {self.one(*SCALARS)}".replace("\n ", f"\n {pad}"))
        elif kind == "text":
            yield self.beside(f"{pad}{key} {self.one('|', '|-', '>', '>-', '|+')}")
            yield from (f"{inner}{line}" for line in self.one(*TEXTS))
        else:
            yield self.beside(f"{pad}{key}")
            yield from self.block(inner, depth - 1)


@st.composite
def files(draw):
    """The text of a manifest."""
    layout = Layout(draw)
    middle = [*layout.gap(""), *layout.value("", "root:", 3), *layout.gap("")]
    lines = [*layout.gap(""), "kind: Project", *middle, "last: 1", *layout.gap("")]
    return layout.one("\n", "\r\n").join("\n".join(lines).split("\n")) + layout.one("", "\n", "\n\n")


def check(content: str) -> None:
    before = load("f", content.encode())
    assume(not before.problems)
    found = tidied("f", content.encode())
    assume(not (found.problems and excused(before, found)))
    assert not found.problems, found.problems[0]
    after = load("f", found.text.encode())
    assert not after.problems
    assert [document.value for document in after.documents] == [document.value for document in before.documents]
    assert Counter(one.text for one in comments(found.text)) == Counter(one.text for one in comments(content))
    assert tidied("f", found.text.encode()).text == found.text
    assert found.text.endswith("\n")
    assert "\r" not in found.text


@given(files())
@settings(max_examples=150, deadline=None)
def test_any_layout_becomes_canonical_once_and_for_all(content):
    check(content)


@given(
    files(),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from([*"[]{}:,-?|>'\"#\n 1a", " # c", "\n\n", "\n# d\n"]))),
)
@settings(max_examples=150, deadline=None)
def test_any_edit_of_any_layout_does_too(content, edits):
    for at, text in edits[:5]:
        content = content[: at % len(content)] + text + content[at % len(content) :]
    before = load("f", content.encode())
    assume(not before.problems)
    assume(all(isinstance(document.value, dict) for document in before.documents))
    check(content)


@given(files())
@settings(max_examples=100, deadline=None)
def test_any_old_document_is_migrated_once(content):
    old = content.replace("kind: Project", "apiVersion: prodsprint/v1alpha1", 1).replace("root:", "spec:", 1)
    before = load("f", old.encode())
    assume(not before.problems)
    found = migrated("f", old.encode())
    inner = before.documents[0].value["spec"]
    if not isinstance(inner, dict):
        assert [problem.code for problem in found.problems] == ["rewrite-refused"]
        return
    assume(not (found.problems and excused(before, found)))
    assert not found.problems, found.problems[0]
    after = load("f", found.text.encode())
    assert after.documents[0].value == {"apiVersion": "prodsprint/v1", **inner, "last": 1}
    assert Counter(one.text for one in comments(found.text)) == Counter(one.text for one in comments(old))
    again = migrated("f", found.text.encode())
    assert (again.text, again.steps) == (found.text, ())
