"""What every memory of config repos has to do: a SQLite file, and SQLite in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.values import desired

from reconciler.core.desired import Component, Key, OnDelete
from reconciler.core.outcome import TerminalError
from reconciler.core.state import Record
from reconciler.memory import Applied, Carried, Carry, KnownFile, Memo, Remembered, Survivor
from reconciler.store import open_store

SHOP = Key("acme", "shop", "prod")
CART = Key("acme", "cart", "prod")


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    opened = open_store(tmp_path / "prodsprint.db" if request.param == "file" else ":memory:", ("log",))
    yield opened
    opened.close()


@pytest.fixture
def memory(store):
    return store.config


def file(path, blob="b" * 40, why=""):
    return KnownFile("main#", path, blob, why)


def test_a_new_memory_remembers_nothing(memory):
    assert memory.load() == Remembered()
    assert memory.records("1") == {}


def test_what_was_saved_is_loaded_as_it_was(memory):
    plain = desired("v1", SHOP)
    other = Component("worker", plain.artifact, "{}", "{}", 2, 9000)
    rich = replace(
        plain, after=("qa", "staging"), needs=(CART,), on_delete=OnDelete.DESTROY, component="web", components=(other,)
    )
    memo = Memo(
        (Applied("main#", "c" * 40, "ann@acme.example"),),
        {"a.prodsprint.yaml": file("a.prodsprint.yaml"), "x": file("x", "", "is a symbolic link")},
        {SHOP: Carried(SHOP, Carry.TOMBSTONE, rich, "d" * 40)},
        {SHOP: "e" * 40},
        {"Workspace/acme/acme": Survivor("Workspace/acme/acme", "w.prodsprint.yaml", b"draft")},
        {"acme/shop": (1, 2, 3)},
        {("/shop.git", "v1"): "f" * 40, ("/shop.git", "v2"): None},
        {"b" * 40: b"\0record"},
    )
    memory.save("1", memo)
    found = memory.load()
    assert found.applied == memo.applied
    assert sorted(found.files, key=lambda one: one.path) == [memo.files["a.prodsprint.yaml"], memo.files["x"]]
    assert found.carried == (memo.carried[SHOP],)
    assert found.since == {SHOP: "e" * 40}
    assert found.survivors == (memo.survivors["Workspace/acme/acme"],)
    assert found.granted == {"acme/shop": (1, 2, 3)}
    assert found.versions == {("/shop.git", "v1"): "f" * 40}
    assert memory.records("1") == {"b" * 40: b"\0record"}


def test_a_later_save_replaces_what_it_names_and_leaves_the_rest(memory):
    memory.save("1", Memo((Applied("main#", "1"),), {"a": file("a"), "b": file("b")}, since={SHOP: "1", CART: "1"}))
    memory.save("1", Memo((Applied("main#", "2"),), {"a": None, "b": file("b", "f" * 40)}, since={SHOP: None}))
    found = memory.load()
    assert found.applied == (Applied("main#", "2"),)
    assert found.files == (file("b", "f" * 40),)
    assert found.since == {CART: "1"}


def test_drafts_of_another_language_are_not_given_out(memory):
    memory.save("1", Memo(records={"a": b"1", "b": b"2"}))
    memory.save("2", Memo(records={"b": b"3"}))
    assert memory.records("1") == {"a": b"1"}
    assert memory.records("2") == {"b": b"3"}


def test_some_drafts_out_of_thousands_are_found(memory):
    memory.save("1", Memo(records={f"{n}": str(n).encode() for n in range(3000)}))
    wanted = [str(n) for n in range(0, 4000, 2)]
    assert memory.records("1", wanted) == {f"{n}": str(n).encode() for n in range(0, 3000, 2)}


def test_unused_drafts_are_forgotten(memory):
    memory.save("1", Memo(records={"a": b"1", "b": b"2"}))
    memory.save("2", Memo(records={"c": b"3"}))
    memory.forget_records("1", frozenset({"b"}))
    assert (memory.records("1"), memory.records("2")) == ({"b": b"2"}, {})


def test_a_note_is_an_entry_of_the_audit_and_an_event(store, memory):
    memory.note(Key("_config", "main", "repo"), (Record("config.rewritten", "daemon", "it was rewritten"),), 12.5)
    (entry,) = store.events(0, 10)
    assert (entry.workspace, entry.type, entry.message, entry.at) == (
        "_config",
        "config.rewritten",
        "it was rewritten",
        12.5,
    )
    assert [one.event.type for one in store.due(20.0, 10)] == ["config.rewritten"]
    assert [report.fault for report in store.verify()] == [""]


def test_what_cannot_be_read_is_named(store, memory):
    memory.save("1", Memo(carried={SHOP: Carried(SHOP, Carry.KEPT, desired("v1", SHOP), "c")}))
    with store._database.writing() as connection:
        connection.exec_driver_sql("update carried set desired = '{}'")
    with pytest.raises(TerminalError, match="acme/shop/prod"):
        memory.load()
