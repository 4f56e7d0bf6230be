"""The tables, in portable SQL: text, integers, floats and bytes, no triggers, no JSON operators.

A key is the text ``workspace/project/environment``. Audit times are whole microseconds, as they are hashed; all other times
are Unix seconds. A change here needs a migration and a new HEAD; a test compares the three.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0003"
"""The newest migration: the schema this version reads and writes."""

metadata = MetaData()
# SQLite makes a rowid of INTEGER only, and of nothing wider by name (it holds 64 bits all the same).
_Id = BigInteger().with_variant(Integer, "sqlite")

version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

states = Table(
    "states",
    metadata,
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)

plans = Table(
    "plans",
    metadata,
    Column("key", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("plan", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),
    Column("inputs", LargeBinary, nullable=False),
)

shapes = Table("shapes", metadata, Column("id", String(16), primary_key=True), Column("shape", Text, nullable=False))

ticks = Table(
    "ticks",
    metadata,
    Column("key", Text, primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),
    Column("shape", String(16), ForeignKey("shapes.id"), nullable=False),
    Column("numbers", Text, nullable=False),
    # The rows are small and read in the order of the key: one tree instead of a table and an index.
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("workspace", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("workspace", "seq", name="audit_chain"),
    Index("audit_workspace", "workspace", "id"),
    Index("audit_key", "key", "id"),
)

chains = Table(
    "chains",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("event", _Id, ForeignKey("audit.id"), nullable=False),
    Column("notifier", Text, nullable=False),
    Column("status", String(8), nullable=False),
    Column("due", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Index("deliveries_status", "status", "id"),
    # Rows are pruned: an id that comes back would let a late answer hit another delivery.
    sqlite_autoincrement=True,
)

requests = Table(
    "requests",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("expires", Float(53)),
    Column("accepted", Boolean),
    Column("message", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    Column("step", BigInteger, nullable=False, server_default="0"),
    Index("requests_key", "key", "id"),
    sqlite_autoincrement=True,
)

applied = Table(
    "applied",
    metadata,
    Column("repo", Text, primary_key=True),
    Column("commit", Text, nullable=False),
    Column("signer", Text, nullable=False),
    Column("name", Text, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("repo", Text, nullable=False),
    Column("path", Text, primary_key=True),
    Column("blob", Text, nullable=False),
    Column("why", Text, nullable=False),
)

carried = Table(
    "carried",
    metadata,
    Column("key", Text, primary_key=True),
    Column("carry", String(16), nullable=False),
    Column("desired", Text, nullable=False),
    Column("commit", Text, nullable=False),
)

since = Table(
    "since",
    metadata,
    Column("key", Text, primary_key=True),
    Column("commit", Text, nullable=False),
    sqlite_with_rowid=False,
)

survivors = Table(
    "survivors",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

granted = Table(
    "granted",
    metadata,
    Column("project", Text, primary_key=True),
    Column("usage", Text, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("source", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("commit", Text, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("blob", Text, primary_key=True),
    Column("language", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),
)
