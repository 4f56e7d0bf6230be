"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    _remembered()
    _measured()
    _audited()
    _sent()
    _asked()


def downgrade() -> None:
    """Drop every table, and all that is in them."""
    for table in ("requests", "deliveries", "chains", "audit", "ticks", "shapes", "decisions", "plans", "states"):
        op.drop_table(table)


def _remembered() -> None:
    op.create_table(
        "states",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("generation", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("revision", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
    )


def _measured() -> None:
    op.create_table(
        "shapes",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("shape", sa.Text(), nullable=False),
    )
    op.create_table(
        "ticks",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("attempt", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("shape", sa.String(16), sa.ForeignKey("shapes.id"), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )


def _audited() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ID, primary_key=True, autoincrement=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("workspace", "seq", name="audit_chain"),
    )
    op.create_index("audit_workspace", "audit", ["workspace", "id"])
    op.create_index("audit_key", "audit", ["key", "id"])
    op.create_table(
        "chains",
        sa.Column("workspace", sa.Text(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def _sent() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("event", _ID, sa.ForeignKey("audit.id"), nullable=False),
        sa.Column("notifier", sa.Text(), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("due", sa.Float(53), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_status", "deliveries", ["status", "id"])


def _asked() -> None:
    op.create_table(
        "requests",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("expires", sa.Float(53)),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("message", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("requests_key", "requests", ["key", "id"])
