from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from reconciler.core.desired import Key
from reconciler.core.outcome import TerminalError
from reconciler.core.state import KeyState
from reconciler.ports import Transition
from reconciler.store import open_store, tables
from reconciler.store.migrations import config

SCHEMA = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY 1, 2"
COLUMNS = 'SELECT m.name, p.* FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = "table" ORDER BY 1, 2'


def schema(path):
    with sqlite3.connect(path) as connection:
        found = connection.execute(SCHEMA).fetchall(), connection.execute(COLUMNS.replace('"', "'")).fetchall()
    connection.close()
    return found


def run(path, verb, revision):
    """Run Alembic on a file."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        verb(config(connection), revision)
    engine.dispose()


def test_the_head_constant_is_the_newest_migration():
    assert ScriptDirectory.from_config(config()).get_heads() == [tables.HEAD]


def test_the_migrations_make_the_same_schema_as_the_tables(tmp_path):
    run(tmp_path / "migrated.db", command.upgrade, "head")
    open_store(tmp_path / "made.db").close()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "made.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_an_older_schema_is_migrated_when_it_is_opened(tmp_path):
    path = tmp_path / "old.db"
    run(path, command.upgrade, "head")
    run(path, command.downgrade, "base")
    store = open_store(path)
    store.commit(Transition(KeyState(Key("a", "b", "c"), 1), (), (), 1.0, "{}"))
    store.close()
    assert [name for _, name, _ in schema(path)[0]].count("states") == 1
    with closing(open_store(path)) as again:
        assert again.load(Key("a", "b", "c")).revision == 1


def test_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "old.db"
    run(path, command.upgrade, "head")
    run(path, command.downgrade, "base")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE requests (mine TEXT)")  # in the way of the last step
    connection.close()
    before = schema(path)
    with pytest.raises(TerminalError, match=r"old\.db refused a statement .*requests"):
        open_store(path)
    assert schema(path) == before


def test_a_newer_schema_is_refused_with_both_versions(tmp_path):
    path = tmp_path / "new.db"
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.close()
    with pytest.raises(TerminalError, match=rf"new\.db was written by a newer .* is 0999, .* up to {tables.HEAD}"):
        open_store(path)


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(TerminalError, match="not one of prodsprint: it holds customers"):
        open_store(path)
    assert path.read_bytes() == before


def test_an_unknown_kind_of_url_is_refused():
    with pytest.raises(TerminalError, match="unknown kind of database 'mysql'"):
        open_store("mysql://host/db")


def test_a_url_and_a_path_name_the_same_file(tmp_path):
    path = tmp_path / "a b.db"
    store = open_store(f"sqlite:///{path}")
    store.commit(Transition(KeyState(Key("a", "b", "c"), 1), (), (), 1.0, "{}"))
    store.close()
    with closing(open_store(path)) as again:
        assert again.keys() == (Key("a", "b", "c"),)


def test_the_file_is_durable_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "prodsprint.db"
    store = open_store(path)
    store.commit(Transition(KeyState(Key("a", "b", "c"), 1), (), (), 1.0, "{}"))
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"prodsprint.db", "prodsprint.db-wal", "prodsprint.db-shm"}
    with store._database.writing() as connection:
        settings = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["prodsprint.db"]


def test_many_may_open_a_new_file_at_the_same_time(tmp_path):
    stores, errors = [], []

    def start():
        try:
            stores.append(open_store(tmp_path / "new.db"))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    for number, store in enumerate(stores, 1):
        store.commit(Transition(KeyState(Key("a", "b", "c"), number), (), (), 1.0, "{}"))
        store.close()
    assert len(stores) == 6


def test_opening_a_current_file_imports_no_migration_tool(tmp_path):
    program = (
        "import sys; from reconciler.store import open_store; store = open_store(sys.argv[1]); store.keys(); "
        "print([name for name in sys.modules if name.startswith(('alembic', 'mako'))])"
    )
    for _ in range(2):  # a new file, then the same again
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / "x.db"], capture_output=True, text=True, check=True
        )
        assert done.stdout == "[]\n"
