from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.audit import FORM, GENESIS, form, link, microseconds, verify
from reconciler.ports import AuditEntry


def chain(length):
    entries, head = [], GENESIS
    for seq in range(1, length + 1):
        entry = AuditEntry(
            seq * 3, "acme", seq, 1.25 * seq, "daemon", "acme/shop/prod", 1, "a.b", f"no. {seq} ü", '{"a":1}', head, ""
        )
        entries.append(replace(entry, hash=link(entry)))
        head = entries[-1].hash
    return entries


def checked(entries, seq=5, head=None):
    return verify(entries, seq, chain(5)[-1].hash if head is None else head)


def test_the_form_is_a_json_array_of_every_column_but_id_and_hash():
    (entry,) = chain(1)
    assert form(entry) == (
        f'["{FORM}","acme",1,1250000,"daemon","acme/shop/prod",1,"a.b","no. 1 ü","{{\\"a\\":1}}","{GENESIS}"]'
    )


def test_the_hash_of_a_known_entry_never_changes():
    assert chain(1)[0].hash == "a2e3993e53bad52f926c2f1726f88a1b9f0a66cc69952d42a7fe4b88440f842f"
    assert chain(2)[1].hash == "3ac339f873452fa6cd476368facf0ce92d35680b0b26e720df635756652f443b"


def test_an_untouched_chain_verifies():
    result = checked(chain(5))
    assert (result.entries, result.head, result.fault) == (5, chain(5)[-1].hash, "")


def test_an_empty_chain_verifies():
    assert verify((), 0, GENESIS).fault == ""


CHANGES = {
    "workspace": "zoo",
    "at": 3.75000100,
    "actor": "eve",
    "key": "acme/shop/staging",
    "generation": 2,
    "type": "a.c",
    "message": "no. 3",
    "body": "{}",
    "hash": "f" * 64,
}


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_is_found(column):
    entries = chain(5)
    entries[2] = replace(entries[2], **{column: CHANGES[column]})
    result = checked(entries)
    assert (result.entries, result.fault.split(":")[0]) == (2, "entry 3 was changed")


def test_every_column_is_covered():
    free = {"id", "seq", "previous"}  # each has a test of its own below
    assert set(AuditEntry.__slots__) == CHANGES.keys() | free


def test_a_changed_entry_with_a_fitting_hash_breaks_the_next_one():
    entries = chain(5)
    forged = replace(entries[2], message="nothing happened")
    entries[2] = replace(forged, hash=link(forged))
    assert checked(entries).fault.startswith("entry 4 does not continue entry 3")


def test_a_forged_last_entry_does_not_fit_the_head():
    entries = chain(5)
    forged = replace(entries[4], message="nothing happened")
    entries[4] = replace(forged, hash=link(forged))
    assert checked(entries).fault == "the head names another hash than entry 5 has"


def test_a_missing_entry_is_found():
    entries = chain(5)
    del entries[2]
    assert checked(entries).fault == "entry 3 is missing: 2 is followed by 4"


def test_a_missing_entry_is_found_after_renumbering():
    entries = chain(5)
    del entries[2]
    renumbered = [replace(entry, seq=seq) for seq, entry in enumerate(entries, 1)]
    assert checked(renumbered).fault.startswith("entry 3 does not continue entry 2")


def test_an_inserted_entry_is_found():
    entries = chain(5)
    entries.insert(2, entries[1])
    assert checked(entries).fault == "entry 2 is there twice"


def test_reordered_entries_are_found():
    entries = chain(5)
    entries[1], entries[2] = entries[2], entries[1]
    assert checked(entries).fault == "entry 2 is missing: 1 is followed by 3"


def test_exchanged_ids_are_found():
    entries = chain(5)
    entries[1], entries[2] = replace(entries[1], id=9), replace(entries[2], id=6)
    assert checked(entries).fault == "entry 3 was moved: its id 6 is not greater than 9"


def test_a_cut_tail_is_found():
    assert checked(chain(3)).fault == "the last 2 of 5 entries are missing"
    assert checked([]).fault == "the last 5 of 5 entries are missing"


def test_entries_behind_the_head_are_found():
    assert checked(chain(6)).fault == "entries after 5 were added behind the head"


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_none_is_refused(odd):
    with pytest.raises(ValueError, match="not a time"):
        microseconds(odd)


@given(st.integers(0, 2**52))
def test_microseconds_survive_the_way_through_seconds(count):
    assert microseconds(count / 1_000_000) == count
