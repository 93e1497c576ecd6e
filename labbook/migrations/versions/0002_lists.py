"""Lists are read in their order, and what somebody asked for is found, without reading all the rest."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_reservations_start", "reservations", ["starts_at", "public_id"])
    op.create_index("ix_reservations_requested_by", "reservations", ["requested_by_id", "occupied_until"])
