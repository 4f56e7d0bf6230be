"""OpenPGP signatures of commits, made by a real gpg: hostile list, item 10."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from signing import DAY, NOW, PgpKeys, SshKey, Work, lacking, payload, with_signature

from reconciler.core.outcome import TerminalError
from reconciler.source.signatures import Keys, UntrustedError, verify

pytestmark = pytest.mark.skipif(bool(lacking("git", "gpg", "gpgconf")), reason=lacking("git", "gpg", "gpgconf"))


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """Keys of Ann (for ever), Tom (for a day), Eve (not allowed)."""
    keys = PgpKeys(tmp_path_factory.mktemp("pgp") / "home")
    try:
        keys.ann = keys.make("Ann Author <ann@example.org>")
        keys.tom = keys.make("Tom (until tomorrow) <tom@example.org>", "2d")
        keys.eve = keys.make("Eve <eve@example.org>")
        yield keys
    finally:
        keys.close()


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "work")


@pytest.fixture
def keys(ring, tmp_path):
    file = tmp_path / "keys.asc"
    file.write_bytes(ring.public(ring.ann, ring.tom))
    return Keys(openpgp_keys=file)


def commit(work, ring, key):
    work.run("config", "gpg.program", "gpg")
    file = work.path / ".gnupg-wrapper"
    file.write_text(f'#!/bin/sh\nGNUPGHOME={ring.home} exec gpg --batch --passphrase "" "$@"\n')
    file.chmod(0o755)
    return work.commit(options=[*ring.options(key), "-c", f"gpg.program={file}"])


def refused(work, applied, head, keys, now=NOW):
    with pytest.raises(UntrustedError) as error:
        verify(work.git, applied, head, keys, now=now)
    return error.value.why


def test_a_signed_commit_is_its_keys_first_user_ids(work, ring, keys):
    start, head = work.commit(), commit(work, ring, ring.ann)
    found = verify(work.git, start, head, keys, now=NOW)
    assert found.signer == "ann@example.org"
    assert found.signers[head].key == ring.ann


def test_a_file_of_binary_keys_is_read_too(work, ring, keys):
    keys.openpgp_keys.write_bytes(ring.gpg("--export", ring.ann))
    start, head = work.commit(), commit(work, ring, ring.ann)
    assert verify(work.git, start, head, keys, now=NOW).signer == "ann@example.org"


def test_ssh_and_openpgp_signatures_may_follow_each_other(work, ring, keys, tmp_path):
    ssh = SshKey(tmp_path, "bob")
    (tmp_path / "signers").write_text(f"bob@example.org {ssh.public}\n")
    both = Keys(tmp_path / "signers", keys.openpgp_keys)
    start = work.commit()
    made = [work.commit(ssh), commit(work, ring, ring.ann), work.commit(ssh)]
    found = verify(work.git, start, made[-1], both, now=NOW).signers
    assert [found[one].name for one in made] == ["bob@example.org", "ann@example.org", "bob@example.org"]


def test_a_key_that_is_not_allowed_is_named_by_its_id(work, ring, keys):
    start, head = work.commit(), commit(work, ring, ring.eve)
    assert refused(work, start, head, keys) == f"its OpenPGP key {ring.eve} is none of the allowed ones"


def test_a_key_that_has_expired_is_refused(work, ring, keys):
    start, head = work.commit(), commit(work, ring, ring.tom)
    assert verify(work.git, start, head, keys, now=NOW).signer == "tom@example.org"
    assert refused(work, start, head, keys, NOW + 30 * DAY) == "its key has expired"


def test_a_key_from_the_future_is_refused(work, ring, keys):
    start, head = work.commit(), commit(work, ring, ring.ann)
    with pytest.raises(TerminalError, match=r"holds no usable key: key .* was created .* in the future"):
        verify(work.git, start, head, keys, now=NOW - 30 * DAY)


def test_a_revoked_key_is_refused_even_for_what_it_signed_before(work, ring, keys, tmp_path):
    own = PgpKeys(tmp_path / "own")
    try:
        key = own.make("Rob <rob@example.org>")
        start, head = work.commit(), commit(work, own, key)
        keys.openpgp_keys.write_bytes(own.public(key))
        assert verify(work.git, start, head, keys, now=NOW).signer == "rob@example.org"
        revocation = (own.home / "openpgp-revocs.d" / f"{key}.rev").read_bytes()
        own.gpg("--import", data=revocation.replace(b":-----BEGIN", b"-----BEGIN"))
        keys.openpgp_keys.write_bytes(own.public(key))
        assert refused(work, start, head, keys) == "its key is revoked"
    finally:
        own.close()


def test_changing_a_signed_byte_is_noticed(work, ring, keys):
    start, head = work.commit(), commit(work, ring, ring.ann)
    changed = work.write(work.raw(head).replace(b"change 2", b"change 3"))
    assert refused(work, start, changed, keys) == "its content was changed after it was signed"


def signed(work, ring, head, *how):
    plain = payload(work.raw(head))
    armor = ring.sign(ring.ann, plain, *how).replace(b"PGP MESSAGE", b"PGP SIGNATURE")
    return work.write(with_signature(plain, armor))


def test_a_signed_message_in_the_place_of_a_signature_is_refused(work, ring, keys):
    start, head = work.commit(), work.commit()
    for how in (("--sign",), ("--sign", "--compress-algo", "none"), ("--store",)):
        assert refused(work, start, signed(work, ring, head, *how), keys) == (
            "its OpenPGP signature is not exactly one signature"
        )


def test_a_signature_over_lines_instead_of_bytes_is_refused(work, ring, keys):
    start, head = work.commit(), work.commit()
    made = signed(work, ring, head, "--textmode", "--detach-sign")
    assert refused(work, start, made, keys) == "its signature is not one over its exact bytes"


def test_a_signature_with_a_broken_hash_is_refused(work, ring, keys, tmp_path):
    start, head = work.commit(), work.commit()
    own = PgpKeys(tmp_path / "own")
    try:
        key = own.make("Old <old@example.org>", kind="rsa2048")
        plain = payload(work.raw(head))
        made = own.sign(key, plain, "--digest-algo", "SHA1", "--detach-sign")
        keys.openpgp_keys.write_bytes(own.public(key))
        assert "a hash that is broken" in refused(work, start, work.write(with_signature(plain, made)), keys)
        good = own.sign(key, plain, "--digest-algo", "SHA512", "--detach-sign")
        assert verify(work.git, start, work.write(with_signature(plain, good)), keys, now=NOW).signer
    finally:
        own.close()


def armored(data):
    text = base64.encodebytes(data).decode().strip()
    return f"-----BEGIN PGP SIGNATURE-----\n\n{text}\n-----END PGP SIGNATURE-----".encode()


@pytest.mark.parametrize(
    "armor",
    [
        armored(b"\xa3\x02" + b"\x78\x9c" * 500),  # a compressed packet without a stated end
        armored(b"\xc8\x10" + b"\x00" * 16),  # a compressed packet
        armored(b"\xc2\xe1\x00\x00\x00\x00\x00"),  # a packet in pieces
        armored(b"\xc2\xff\xff\xff\xff\xff\x00"),
        armored(b"\x88"),
        armored(b""),
        b"-----BEGIN PGP SIGNATURE-----\n\n!!!!\n-----END PGP SIGNATURE-----",
        b"-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----",
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----BEGIN PGP SIGNATURE-----\n\n" + b"A" * 60_000 + b"\n-----END PGP SIGNATURE-----",
    ],
)
def test_what_is_no_single_signature_packet_never_reaches_gnupg(work, keys, armor, monkeypatch, tmp_path):
    start, head = work.commit(), work.commit()
    bad = work.write(with_signature(payload(work.raw(head)), armor))
    assert "its OpenPGP signature" in refused(work, start, bad, keys)


def test_two_signatures_in_one_are_refused(work, ring, keys):
    start, head = work.commit(), work.commit()
    plain = payload(work.raw(head))
    one = subprocess.run(["gpg", "--dearmor"], input=ring.sign(ring.ann, plain), capture_output=True, check=True).stdout
    assert verify(work.git, start, work.write(with_signature(plain, armored(one))), keys, now=NOW).signer
    assert "not exactly one" in refused(work, start, work.write(with_signature(plain, armored(one * 2))), keys)


def test_without_usable_keys_nothing_is_trusted(work, ring, keys, monkeypatch):
    start, head = work.commit(), commit(work, ring, ring.ann)
    assert "no `openpgpKeys` are given" in refused(work, start, head, Keys())
    secret = ring.gpg("--armor", "--pinentry-mode", "loopback", "--export-secret-keys", ring.ann)
    for content, why in ((secret, "private keys"), (b"nonsense", "no usable key"), (b"\n", "is empty")):
        keys.openpgp_keys.write_bytes(content)
        with pytest.raises(TerminalError, match=why):
            verify(work.git, start, head, keys, now=NOW)
    keys.openpgp_keys.unlink()
    with pytest.raises(TerminalError, match="No such file"):
        verify(work.git, start, head, keys, now=NOW)


def test_without_gnupg_nothing_is_trusted(work, ring, keys, monkeypatch):
    start, head = work.commit(), commit(work, ring, ring.ann)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TerminalError, match="gpg is not installed; install the package gnupg"):
        verify(work.git, start, head, keys, now=NOW)


def test_no_agent_and_no_folder_is_left_behind(work, ring, keys, monkeypatch, tmp_path):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    start, head = work.commit(), commit(work, ring, ring.ann)
    assert verify(work.git, start, head, keys, now=NOW).signer
    assert list((tmp_path / "scratch").iterdir()) == []
    lines = [one.read_bytes() for one in Path("/proc").glob("[0-9]*/cmdline") if one.exists()]
    assert not [line for line in lines if b"prodsprint-keys-" in line]
