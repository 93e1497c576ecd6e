"""Test environments: who stands by, what is asked and feared, whose recipe it is, and what was asked for."""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"

# Word for word, because SQLite's way of adding a column with a reference would rebuild the table.
COLUMNS = {
    "environments": [
        "organisation_id KEY CONSTRAINT fk_environments_organisation_id REFERENCES organisations (id)",
        "owner_id KEY CONSTRAINT fk_environments_owner_id REFERENCES users (id)",
        "open_from INTEGER DEFAULT 1 NOT NULL",
        "retired_at INSTANT",
    ],
    "environment_versions": [
        "run INTEGER",
        "description JSON DEFAULT '{}' NOT NULL",
        "staffing VARCHAR CONSTRAINT ck_environment_versions_staffing"
        " CHECK (staffing IN ('attended','unattended'))",
        "on_call VARCHAR DEFAULT '' NOT NULL",
        "safe_state VARCHAR DEFAULT '' NOT NULL",
        "qualifications JSON DEFAULT '[]' NOT NULL",
        "hazards JSON DEFAULT '[]' NOT NULL",
        "note VARCHAR DEFAULT '' NOT NULL",
        "created_at INSTANT",
        "created_by_id KEY CONSTRAINT fk_environment_versions_created_by_id REFERENCES users (id)",
    ],
    "reservations": [
        "needs JSON DEFAULT '[]' NOT NULL",
        "ambient JSON DEFAULT '{}' NOT NULL",
        "draws_stated JSON DEFAULT '{}' NOT NULL",
    ],
}


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    instant, key = ("BIGINT", "INTEGER") if sqlite else ("TIMESTAMP WITH TIME ZONE", "BIGINT")
    for table, columns in COLUMNS.items():
        for column in columns:
            words = column.replace(" INSTANT", f" {instant}").replace(" KEY ", f" {key} ")
            op.execute(f"ALTER TABLE {table} ADD COLUMN {words}")
    op.create_index("ix_environments_organisation", "environments", ["organisation_id"])
    _index_what_is_looked_up()


def _index_what_is_looked_up() -> None:
    """What a page or a step asks for often is found without reading the rest."""
    op.drop_index("ix_relays_sender_id", table_name="relays")
    op.create_index("ix_relays_sender", "relays", ["sender_id", "at"])
    op.create_index("ix_relays_device", "relays", ["device_id", "at"])
    op.create_index("ix_fault_reports_reporter", "fault_reports", ["reported_by_id", "at"])
    op.create_index("ix_fault_reports_device", "fault_reports", ["device_id", "at"])
    op.drop_index("ix_waitlist_facility_id", table_name="waitlist")
    op.create_index("ix_waitlist_facility", "waitlist", ["facility_id", "state"])
    still_open = text("closed_at IS NULL")
    op.create_index(
        "ix_fault_reports_open",
        "fault_reports",
        ["at"],
        postgresql_where=still_open,
        sqlite_where=still_open,
    )
    op.create_index(
        "ix_outbox_digest",
        "outbox",
        ["user_id", "due_at"],
        postgresql_where=text("digest"),
        sqlite_where=text("digest = 1"),
    )
