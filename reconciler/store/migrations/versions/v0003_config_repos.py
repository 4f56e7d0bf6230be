"""What is remembered of config repos; and an environment may come after several others, so that ``after`` is a list."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from reconciler.store.upgrade_0003 import upgrade as upgraded

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and rewrite states and plans."""
    _remembered()
    _rewrite("states", ("key",), "state")
    _rewrite("plans", ("key", "generation"), "plan")


def _remembered() -> None:
    text = sa.Text()
    op.create_table(
        "applied",
        sa.Column("repo", text, primary_key=True),
        sa.Column("commit", text, nullable=False),
        sa.Column("signer", text, nullable=False),
        sa.Column("name", text, nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("repo", text, nullable=False),
        sa.Column("path", text, primary_key=True),
        sa.Column("blob", text, nullable=False),
        sa.Column("why", text, nullable=False),
    )
    op.create_table(
        "carried",
        sa.Column("key", text, primary_key=True),
        sa.Column("carry", sa.String(16), nullable=False),
        sa.Column("desired", text, nullable=False),
        sa.Column("commit", text, nullable=False),
    )
    op.create_table(
        "since",
        sa.Column("key", text, primary_key=True),
        sa.Column("commit", text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "survivors",
        sa.Column("identity", text, primary_key=True),
        sa.Column("path", text, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "granted",
        sa.Column("project", text, primary_key=True),
        sa.Column("usage", text, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("source", text, primary_key=True),
        sa.Column("version", text, primary_key=True),
        sa.Column("commit", text, nullable=False),
    )
    op.create_table(
        "drafts",
        sa.Column("blob", text, primary_key=True),
        sa.Column("language", text, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )


def _rewrite(name: str, identity: Sequence[str], column: str) -> None:
    connection = op.get_bind()
    columns: list[sa.ColumnClause[object]] = [sa.column(one) for one in (*identity, column)]
    table = sa.table(name, *columns)
    for row in connection.execute(sa.select(*columns)).all():
        text = row._mapping[column]  # noqa: SLF001 - the public view of a row by name
        try:
            form = json.loads(text)
        except ValueError:
            continue  # damaged: whoever loads it says so
        new = json.dumps(upgraded(form), separators=(",", ":"), ensure_ascii=False)
        same = sa.and_(*(sa.column(one) == row._mapping[one] for one in identity))  # noqa: SLF001
        connection.execute(sa.update(table).where(same).values({column: new}))


def downgrade() -> None:
    """Drop the tables; what was rewritten stays as it is."""
    for table in ("drafts", "versions", "granted", "survivors", "since", "carried", "files", "applied"):
        op.drop_table(table)
