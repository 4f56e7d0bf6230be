"""Which commits of a config repo are trusted: hostile list, item 10, and history that was rewritten."""

from __future__ import annotations

from datetime import UTC, datetime

import pygit2
import pytest
from signing import DAY, NOW, SshKey, Work, lacking, payload, with_signature

from reconciler.core.outcome import TerminalError, TransientError
from reconciler.source import signature_tools
from reconciler.source.signatures import Keys, UntrustedError, identity, verify

pytestmark = pytest.mark.skipif(bool(lacking("git", "ssh-keygen")), reason=lacking("git", "ssh-keygen"))


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    return SshKey(tmp_path_factory.mktemp("ann"), "ann")


@pytest.fixture(scope="module")
def mallory(tmp_path_factory):
    return SshKey(tmp_path_factory.mktemp("mallory"), "mallory")


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "work")


@pytest.fixture
def allow(tmp_path):
    """Writes the signers file; gives the keys."""

    def write(*lines: str, revoked: str = "") -> Keys:
        file = tmp_path / "signers"
        file.write_text("".join(f"{line}\n" for line in lines))
        if not revoked:
            return Keys(file)
        (tmp_path / "revoked").write_text(revoked + "\n")
        return Keys(file, revoked_signers=tmp_path / "revoked")

    return write


def refused(work, applied, head, keys, **options):
    with pytest.raises(UntrustedError) as error:
        verify(work.git, applied, head, keys, **{"now": NOW, **options})
    return error.value


def test_every_commit_since_the_applied_one_is_verified_and_named_after_its_signer(work, ann, mallory, allow):
    start = work.commit()
    one, two = work.commit(ann), work.commit(mallory)
    keys = allow(f"ann@example.org {ann.public}", f"mal@example.org {mallory.public}")
    found = verify(work.git, start, two, keys, now=NOW)
    assert {commit: signer.name for commit, signer in found.signers.items()} == {
        one: "ann@example.org",
        two: "mal@example.org",
    }
    assert (found.head, found.signer) == (two, "mal@example.org")
    assert found.signers[one].key.startswith("SHA256:")


def test_nothing_new_needs_no_key_and_no_program(work, monkeypatch):
    head = work.commit()
    monkeypatch.setenv("PATH", "")
    assert verify(work.git, head, head, Keys(), now=NOW).signer == ""


def test_an_unsigned_commit_between_two_signed_ones_is_named_with_its_claimed_author(work, ann, allow):
    start, _, bad, head = work.commit(), work.commit(ann), work.commit(), work.commit(ann)
    error = refused(work, start, head, allow(f"ann@example.org {ann.public}"))
    assert (error.commit, error.author) == (bad, "Ann Author <claimed@example.org>")
    assert str(error).startswith(f"commit {bad[:12]}, which claims to be by Ann Author <claimed@example.org>, is not")
    assert "it is not signed" in str(error)


def test_the_oldest_bad_commit_is_the_one_that_is_named(work, ann, allow):
    start, first, head = work.commit(), work.commit(), work.commit()
    assert refused(work, start, head, allow(f"ann@example.org {ann.public}")).commit == first


def test_commits_of_a_merged_branch_have_to_be_signed_too(work, ann, allow):
    start = work.commit()
    work.run("checkout", "-q", "-b", "side")
    bad = work.commit()
    work.run("checkout", "-q", "main")
    work.commit(ann)
    work.run(*ann.options(), "merge", "-q", "-S", "--no-edit", "side")
    assert refused(work, start, work.head(), allow(f"ann@example.org {ann.public}")).commit == bad


def test_a_commit_by_an_unknown_signer_is_refused_with_the_fingerprint_of_the_key(work, ann, mallory, allow):
    start, head = work.commit(), work.commit(mallory)
    why = refused(work, start, head, allow(f"ann@example.org {ann.public}")).why
    assert "is no allowed signer's" in why
    assert "SHA256:" in why


@pytest.mark.parametrize(
    ("options", "now", "why"),
    [
        ('valid-before="{tomorrow}"', NOW + 3 * DAY, "its key has expired"),
        ('valid-after="{tomorrow}"', NOW, "its key is not valid yet"),
        ('namespaces="file"', NOW, "may not sign commits"),
    ],
    ids=["expired", "not valid yet", "another namespace"],
)
def test_a_key_that_may_not_sign_now_is_refused_and_may_at_another_time(work, ann, allow, options, now, why):
    tomorrow = datetime.fromtimestamp(NOW + DAY, UTC).strftime("%Y%m%d%H%M%S")
    start, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {options.format(tomorrow=tomorrow)} {ann.public}")
    assert why in refused(work, start, head, keys, now=now).why
    if "valid" in options:
        other = NOW if now > NOW else NOW + 3 * DAY
        assert verify(work.git, start, head, keys, now=other).signer == "ann@example.org"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_times_in_the_signers_file_are_utc_wherever_the_daemon_runs(work, ann, allow, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    start, head = work.commit(), work.commit(ann)
    at = datetime.fromtimestamp(NOW + 600, UTC).strftime("%Y%m%d%H%M%S")
    keys = allow(f'ann@example.org valid-before="{at}" {ann.public}')
    assert verify(work.git, start, head, keys, now=NOW).signer == "ann@example.org"
    assert "expired" in refused(work, start, head, keys, now=NOW + 1200).why


def test_a_revoked_key_is_refused(work, ann, mallory, allow):
    start, head = work.commit(), work.commit(ann)
    line = f"ann@example.org {ann.public}"
    assert refused(work, start, head, allow(line, revoked=ann.public)).why == "its key is revoked"
    assert verify(work.git, start, head, allow(line, revoked=mallory.public), now=NOW).signer == "ann@example.org"


def test_certificates_of_an_authority_name_their_holder_and_expire(work, ann, allow, tmp_path):
    authority = SshKey(tmp_path, "authority")
    holder = SshKey(tmp_path, "holder").certified(authority, "ann@example.org")
    late = SshKey(tmp_path, "late").certified(authority, "ann@example.org", "20200101:20210101")
    stranger = SshKey(tmp_path, "stranger").certified(authority, "eve@example.com")
    keys = allow(f"*@example.org cert-authority {authority.public}")
    start, head = work.commit(), work.commit(holder)
    assert verify(work.git, start, head, keys, now=NOW).signer == "ann@example.org"
    for bad in (stranger, late):
        work.run("reset", "-q", "--hard", head)
        why = "its certificate names no allowed signer, or is not valid now"
        assert refused(work, head, work.commit(bad), keys).why == why


def test_changing_any_signed_byte_is_noticed(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    raw, keys = work.raw(head), allow(f"ann@example.org {ann.public}")
    other = work.raw(start).split(b"\n")[0]
    for old, new in (
        (b"change 2", b"change 3"),
        (b"Ann Author", b"Eve Author"),
        (raw.split(b"\n")[0], other),
        (b"\nparent " + start.encode(), b""),
    ):
        assert old in raw
        assert refused(work, None, work.write(raw.replace(old, new, 1)), keys).why == (
            "its content was changed after it was signed"
        )


def test_a_signature_for_another_purpose_or_another_commit_is_refused(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    keys, plain = allow(f"ann@example.org {ann.public}"), payload(work.raw(head))
    as_file = work.write(with_signature(plain, ann.sign(plain, "file")))
    assert refused(work, start, as_file, keys).why == "its signature was made for something else than git"
    moved = work.write(with_signature(plain, ann.sign(payload(work.raw(start)))))
    assert refused(work, start, moved, keys).why == "its content was changed after it was signed"


def test_a_merge_made_and_signed_by_the_forge_says_so_unless_its_key_is_allowed(work, ann, mallory, allow):
    forge = mallory
    start = work.commit()
    work.run("checkout", "-q", "-b", "side")
    work.commit(ann)
    work.run("checkout", "-q", "main")
    work.run(*forge.options(), "merge", "-q", "-S", "--no-ff", "--no-edit", "side")
    line = f"ann@example.org {ann.public}"
    assert "is signed by the forge" in refused(work, start, work.head(), allow(line)).why
    both = allow(line, f"forge.example.org {forge.public}")
    assert verify(work.git, start, work.head(), both, now=NOW).signer == "forge.example.org"


def test_what_was_pinned_as_the_first_commit_is_taken_on_trust_and_nothing_after_it(work, ann, allow):
    work.commit()
    first = work.commit()
    keys = allow(f"ann@example.org {ann.public}")
    assert verify(work.git, None, first, keys, first=first, now=NOW).signer == ""
    good = work.commit(ann)
    assert verify(work.git, None, good, keys, first=first, now=NOW).signer == "ann@example.org"
    bad, head = work.commit(), work.commit(ann)
    assert refused(work, None, head, keys, first=first).commit == bad


def test_with_nothing_applied_and_nothing_pinned_the_head_alone_is_verified(work, ann, allow):
    unsigned = work.commit()
    keys = allow(f"ann@example.org {ann.public}")
    assert refused(work, None, unsigned, keys).commit == unsigned
    assert list(verify(work.git, None, work.commit(ann), keys, now=NOW).signers) == [work.head()]


def test_rewritten_history_is_verified_from_where_it_parts(work, ann, allow):
    base = work.commit()
    applied = work.commit(ann)
    work.run("reset", "-q", "--hard", base)
    bad, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}")
    assert refused(work, applied, head, keys).commit == bad
    work.run("reset", "-q", "--hard", base)
    good = work.commit(ann)
    assert list(verify(work.git, applied, good, keys, now=NOW).signers) == [good]


def test_unrelated_history_has_to_be_signed_from_its_root(work, ann, allow):
    applied = work.commit(ann)
    work.run("checkout", "-q", "--orphan", "new")
    root, head = work.commit(), work.commit(ann)
    assert refused(work, applied, head, allow(f"ann@example.org {ann.public}")).commit == root


def test_a_branch_that_went_back_is_no_way_around_a_signature(work, ann, allow):
    unsigned, signed, first, applied = work.commit(), work.commit(ann), work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}")
    for options in ({}, {"first": first}):
        assert refused(work, applied, unsigned, keys, **options).commit == unsigned
        assert verify(work.git, applied, signed, keys, now=NOW, **options).signer == "ann@example.org"
    assert refused(work, None, unsigned, keys, first=first).commit == unsigned


def test_an_applied_or_pinned_commit_that_is_gone_holds_until_another_is_pinned(work, ann, allow):
    pin, head, keys = work.commit(), work.commit(ann), allow(f"ann@example.org {ann.public}")
    for applied, first in (("1" * 40, ""), ("1" * 40, "2" * 40), (None, "1" * 40)):
        why = refused(work, applied, head, keys, first=first).why
        assert why == "111111111111, in force or pinned, is not in the repo: nobody knows what is new"
    assert verify(work.git, "1" * 40, head, keys, first=pin, now=NOW).signer == "ann@example.org"


def test_more_new_commits_than_are_verified_at_once_hold(work, ann, allow):
    start = work.commit()
    heads = [work.commit(ann) for _ in range(3)]
    keys = allow(f"ann@example.org {ann.public}")
    assert "more than 2 commits are new" in refused(work, start, heads[-1], keys, most=2).why
    assert len(verify(work.git, start, heads[-1], keys, most=2, first=heads[0], now=NOW).signers) == 2


@pytest.mark.parametrize("principal", ["-Oprint-pubkey", "--help", '"ann b@example.org"', "$(touch pwned)@x", "ann'@x"])
def test_odd_principals_are_names_and_nothing_else(work, ann, allow, principal):
    start, head = work.commit(), work.commit(ann)
    line = f"{principal} {ann.public}" if " " not in principal or '"' in principal else f'"{principal}" {ann.public}'
    assert verify(work.git, start, head, allow(line), now=NOW).signer == principal.strip('"')


def test_a_pattern_is_nobodys_name(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    assert "only by a pattern" in refused(work, start, head, allow(f"*@example.org {ann.public}")).why


def test_one_key_on_two_lines_is_the_first_ones(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    keys = allow("# people", f"ann@example.org,bob@example.org {ann.public}", f"eve@example.org {ann.public}")
    assert verify(work.git, start, head, keys, now=NOW).signer == "ann@example.org"


def test_a_broken_line_in_the_signers_file_costs_only_itself(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    keys = allow("garbage", 'eve@x valid-before="no" ssh-ed25519 AAAA', f"ann@example.org {ann.public}")
    assert verify(work.git, start, head, keys, now=NOW).signer == "ann@example.org"


def test_a_signers_file_that_vanished_is_empty_or_is_not_given_holds(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}")
    keys.allowed_signers.write_text(" \n")
    with pytest.raises(TerminalError, match=r"the signers file .* is empty; no commit is accepted"):
        verify(work.git, start, head, keys, now=NOW)
    keys.allowed_signers.unlink()
    with pytest.raises(TerminalError, match=r"No such file .*; no commit is accepted"):
        verify(work.git, start, head, keys, now=NOW)
    assert "no `allowedSigners` are given" in refused(work, start, head, Keys()).why


def test_a_list_of_revoked_signers_that_vanished_holds(work, ann, allow):
    start, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}", revoked=ann.public)
    keys.revoked_signers.unlink()
    with pytest.raises(TerminalError, match="the file of revoked signers"):
        verify(work.git, start, head, keys, now=NOW)


def test_without_ssh_keygen_nothing_is_trusted(work, ann, allow, monkeypatch):
    start, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TerminalError, match="ssh-keygen is not installed; install the package openssh-client"):
        verify(work.git, start, head, keys, now=NOW)


def test_a_program_that_hangs_is_ended_and_nothing_is_trusted(work, ann, allow, monkeypatch, tmp_path):
    start, head = work.commit(), work.commit(ann)
    keys = allow(f"ann@example.org {ann.public}")
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(signature_tools, "DEADLINE", 0.2)
    with pytest.raises(TransientError, match=r"did not check a signature within 0.2 s"):
        verify(work.git, start, head, keys, now=NOW)


def test_a_commit_has_an_identity_or_none(work, ann, mallory, allow):
    unsigned, mine, theirs = work.commit(), work.commit(ann), work.commit(mallory)
    keys = allow(f"ann@example.org {ann.public}")
    assert [identity(work.git, one, keys, now=NOW) for one in (unsigned, mine, theirs)] == [
        None,
        "ann@example.org",
        None,
    ]


def test_an_object_that_is_no_commit_is_not_trusted(work, ann, allow):
    blob = str(work.git.create_blob(b"x"))
    assert "it is no commit" in refused(work, None, blob, allow(f"ann@example.org {ann.public}")).why


def test_an_object_stored_under_the_id_of_another_is_noticed(work, ann, allow):
    """What was verified is what is read: the mirror's bytes are checked against the id that names them."""
    head, other = work.commit(ann), work.commit()
    objects = work.path / ".git" / "objects"
    stored_under, good = (objects / one[:2] / one[2:] for one in (other, head))
    stored_under.chmod(0o644)
    stored_under.write_bytes(good.read_bytes())
    with pytest.raises(pygit2.GitError, match="hash"):
        verify(work.git, None, other, allow(f"ann@example.org {ann.public}"), now=NOW)
