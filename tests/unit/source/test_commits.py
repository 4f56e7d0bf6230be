"""Commit objects that git would not write: two readers could understand them differently, so nobody is trusted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import NOW, SshKey, Work, lacking, payload, with_signature

from reconciler.source.commits import LARGEST, SignatureError, claimed_author, split
from reconciler.source.signatures import Keys, UntrustedError, verify

HEAD = b"tree " + b"1" * 40 + b"\nparent " + b"2" * 40 + b"\nauthor Ann <a@x> 1 +0000\ncommitter Bob <b@x> 2 +0000"
SIGNED = HEAD + b"\ngpgsig one\n two\n \n three\n\nwords\n"


def test_the_signature_is_cut_out_and_everything_else_is_what_was_signed():
    found = split(SIGNED)
    assert found.payload == HEAD + b"\n\nwords\n"
    assert found.signature == b"one\ntwo\n\nthree\n"
    assert (found.author, found.merge) == ("Ann <a@x>", False)
    assert split(HEAD + b"\n\n").signature == b""


def test_a_merge_with_all_that_git_writes_is_read():
    extra = b"\nencoding latin-1\nmergetag object 1\n type commit\n gpgsig no\nHG:x y\ngpgsig one\n two\n\nm\n"
    merge = HEAD.replace(b"\nauthor", b"\nparent " + b"3" * 40 + b"\nauthor") + extra
    found = split(merge)
    assert found.merge
    assert found.signature == b"one\ntwo\n"
    assert found.payload == merge.replace(b"\ngpgsig one\n two", b"")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (SIGNED.replace(b"\n\nwords", b"\ngpgsig again\n\nwords"), "more than one signature"),
        (SIGNED.replace(b"\n\nwords", b"\ngpgsig-sha256 again\n\nwords"), "more than one signature"),
        (SIGNED.replace(b"\n\nwords", b"\ntree " + b"4" * 40 + b"\n\nwords"), "not the one that git writes"),
        (SIGNED.replace(b"\n\nwords", b"\nparent " + b"4" * 40 + b"\n\nwords"), "not the one that git writes"),
        (SIGNED.replace(b"\n\nwords", b"\nauthor Eve <e@x> 1 +0000\n\nwords"), "not the one that git writes"),
        (HEAD.replace(b"author", b"gpgsig x\nauthor") + b"\n\nwords", "not the one that git writes"),
        (b"gpgsig x\n" + HEAD + b"\n\nwords", "not the one that git writes"),
        (HEAD.replace(b"\nauthor", b"\n more\nauthor") + b"\n\nwords", "not the one that git writes"),
        (b" x\n" + HEAD + b"\n\nwords", "not the one that git writes"),
        (HEAD + b"\nencoding a\nencoding b\n\nwords", "not the one that git writes"),
        (SIGNED.replace(b"two", b"t\0wo"), "no well-formed commit"),
        (SIGNED.replace(b"words", b"wor\0ds"), "no well-formed commit"),
        (HEAD, "no well-formed commit"),
        (b"", "no well-formed commit"),
        (HEAD + b"\ngpgsig " + b"x" * 70_000 + b"\n\nwords", "its signature has 70001 bytes"),
    ],
)
def test_what_git_would_not_write_is_refused(raw, why):
    with pytest.raises(SignatureError, match=why):
        split(raw)


def test_an_author_cannot_steer_the_terminal_or_the_line():
    raw = HEAD.replace(b"Ann", b"A\x1b[31m\rn\xff" + b"n" * 500)
    assert claimed_author(raw).isprintable()
    assert len(claimed_author(raw)) <= 120


@given(st.lists(st.sampled_from([*SIGNED.split(b"\n"), b" x", b"gpgsig-sha256 y", b"\0", b"mergetag"]), max_size=14))
@settings(max_examples=400, deadline=None)
def test_whatever_is_accepted_was_signed_whole(lines):
    raw = b"\n".join(lines)
    try:
        found = split(raw)
    except SignatureError:
        return
    kept = [line for line in raw.split(b"\n\n", 1)[0].split(b"\n") if line.startswith((b"tree", b"parent", b"author"))]
    assert all(line in found.payload.split(b"\n\n", 1)[0].split(b"\n") for line in kept)
    assert found.payload == payload(raw)


@pytest.mark.skipif(bool(lacking("git", "ssh-keygen")), reason=lacking("git", "ssh-keygen"))
def test_a_signed_commit_with_a_second_signature_or_a_second_tree_is_not_trusted(tmp_path):
    work, ann = Work(tmp_path / "work"), SshKey(tmp_path, "ann")
    (tmp_path / "signers").write_text(f"ann@x {ann.public}\n")
    start, head = work.commit(), work.commit(ann)
    raw, plain = work.raw(head), payload(work.raw(head))
    tree = work.raw(start).split(b"\n")[0]
    two_trees = plain.replace(b"\n", b"\n" + tree + b"\n", 1)
    hostile = [
        with_signature(raw, ann.sign(plain)),
        with_signature(raw, b"anything", b"gpgsig-sha256"),
        with_signature(two_trees, ann.sign(two_trees)),
        raw.replace(b"-----BEGIN SSH", b"-----BEGIN SIGNED", 1),
        plain + b"x" * LARGEST,
    ]
    for bad in hostile:
        with pytest.raises(UntrustedError):
            verify(work.git, start, work.write(bad), Keys(tmp_path / "signers"), now=NOW)
    assert verify(work.git, start, head, Keys(tmp_path / "signers"), now=NOW).signer == "ann@x"
