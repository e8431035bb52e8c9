"""Published versions of notices: platform-wide, append-only, signed."""

from __future__ import annotations

from alembic import op

revision = "0030_notice"
down_revision = "0020_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of versions; what was published once is never changed or removed."""
    op.execute(
        """
        create table notice_version (
            id             uuid        not null primary key,
            notice         text        not null check (notice ~ '^[a-z][a-z0-9-]{0,63}$'),
            number         integer     not null check (number > 0),
            effective_on   date        not null,
            audiences      text[]      not null check (cardinality(audiences) > 0),
            source         text        not null,
            sha256         bytea       not null check (octet_length(sha256) = 32),
            signature      bytea       not null,
            published_at   timestamptz not null,
            published_by   uuid,
            second_person  uuid,
            is_founding    boolean     not null,
            unique (notice, number),
            check (is_founding or (published_by is not null and second_person is not null
                                   and second_person <> published_by))
        )
        """
    )
    op.execute("select platform_table('notice_version')")
    op.execute("create unique index notice_version_founding on notice_version (notice) where is_founding")
    op.execute("revoke update, delete on notice_version from troth_app")


def downgrade() -> None:
    """Drop the table of versions."""
    op.execute("drop table notice_version")
