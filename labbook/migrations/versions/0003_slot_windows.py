"""Slot windows that enforce themselves: timing, deputies, long tests, waitlist, kiosks, rigs, preferences."""

from alembic import op
import sqlalchemy as sa
from labbook.models.base import Instant
revision = '0003'
down_revision = '0002'

# Word for word, because SQLite's way of adding a column with a reference would rebuild the table.
COLUMNS = {
    'environment_versions': ["readouts JSON DEFAULT '[]' NOT NULL"],
    'equipment': ["timing JSON DEFAULT '{}' NOT NULL"],
    'facilities': ["timing JSON DEFAULT '{}' NOT NULL"],
    'outbox': ["digest BOOLEAN DEFAULT false NOT NULL", "withheld_at INSTANT"],
    'reservations': [
        "timing JSON DEFAULT '{}' NOT NULL",
        "taken JSON DEFAULT '[]' NOT NULL",
        "hold VARCHAR CONSTRAINT ck_reservations_hold CHECK (hold IN ('option','offer'))",
        "customer VARCHAR DEFAULT '' NOT NULL",
        "displaced_since INSTANT",
        "freed_at INSTANT",
        "grow_at INSTANT",
        "permit_required BOOLEAN DEFAULT false NOT NULL",
        "permit_signed_at INSTANT",
        "permit_signed_by_id KEY CONSTRAINT fk_reservations_permit_signed_by_id REFERENCES users (id)",
    ],
    'scheduler_heartbeats': [
        "swept INTEGER DEFAULT 0 NOT NULL",
        "failed INTEGER DEFAULT 0 NOT NULL",
        "sent INTEGER DEFAULT 0 NOT NULL",
        "lateness_ms BIGINT DEFAULT 0 NOT NULL",
        "lateness JSON DEFAULT '[]' NOT NULL",
    ],
    'users': [
        "calendar_by VARCHAR DEFAULT 'feed' NOT NULL"
        " CONSTRAINT ck_users_calendar_by CHECK (calendar_by IN ('feed','invitation'))",
        "kiosk_code_hash VARCHAR",
        "mail_refused_at INSTANT",
        "mail_refusal VARCHAR",
    ],
}


def upgrade() -> None:
    op.create_table('deputies',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('facility_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('manager_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('deputy_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('starts_at', Instant(), nullable=False),
    sa.Column('ends_at', Instant(), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.CheckConstraint('deputy_id <> manager_id', name=op.f('ck_deputies_another')),
    sa.CheckConstraint('ends_at > starts_at', name=op.f('ck_deputies_order')),
    sa.ForeignKeyConstraint(['deputy_id'], ['users.id'], name=op.f('fk_deputies_deputy_id')),
    sa.ForeignKeyConstraint(['facility_id'], ['facilities.id'], name=op.f('fk_deputies_facility_id')),
    sa.ForeignKeyConstraint(['manager_id'], ['users.id'], name=op.f('fk_deputies_manager_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deputies'))
    )
    op.create_index('ix_deputies_deputy_id', 'deputies', ['deputy_id'], unique=False)
    op.create_index('ix_deputies_facility_id', 'deputies', ['facility_id'], unique=False)
    op.create_index('ix_deputies_manager_id', 'deputies', ['manager_id'], unique=False)

    op.create_table('notification_preferences',
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('topic', sa.String(), nullable=False),
    sa.Column('mode', sa.String(), nullable=False),
    sa.CheckConstraint("mode IN ('at_once','daily','never')", name=op.f('ck_notification_preferences_mode')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notification_preferences_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'topic', name=op.f('pk_notification_preferences'))
    )
    op.create_table('kiosk_devices',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('equipment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('organisation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('token_hash', sa.String(), nullable=False),
    sa.Column('created_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('last_seen_at', Instant(), nullable=True),
    sa.Column('revoked_at', Instant(), nullable=True),
    sa.ForeignKeyConstraint(['created_by_id'], ['users.id'], name=op.f('fk_kiosk_devices_created_by_id')),
    sa.ForeignKeyConstraint(['equipment_id'], ['equipment.id'], name=op.f('fk_kiosk_devices_equipment_id')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_kiosk_devices_organisation_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_kiosk_devices')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_kiosk_devices_token_hash'))
    )
    op.create_index('ix_kiosk_devices_equipment_id', 'kiosk_devices', ['equipment_id'], unique=False)

    op.create_table('webhooks',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('equipment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('secret', sa.String(), nullable=False),
    sa.Column('on_close', sa.String(), server_default='nothing', nullable=False),
    sa.Column('active', sa.Boolean(), server_default=sa.text('(false)'), nullable=False),
    sa.Column('created_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.CheckConstraint("on_close IN ('nothing','signal')", name=op.f('ck_webhooks_on_close')),
    sa.ForeignKeyConstraint(['created_by_id'], ['users.id'], name=op.f('fk_webhooks_created_by_id')),
    sa.ForeignKeyConstraint(['equipment_id'], ['equipment.id'], name=op.f('fk_webhooks_equipment_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhooks')),
    sa.UniqueConstraint('equipment_id', name=op.f('uq_webhooks_equipment_id'))
    )
    op.create_table('fault_reports',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('equipment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reported_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('device_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('severity', sa.String(), nullable=False),
    sa.Column('remark_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('closed_at', Instant(), nullable=True),
    sa.Column('closed_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.CheckConstraint("severity IN ('unusable','impaired','note')", name=op.f('ck_fault_reports_severity')),
    sa.ForeignKeyConstraint(['closed_by_id'], ['users.id'], name=op.f('fk_fault_reports_closed_by_id')),
    sa.ForeignKeyConstraint(['device_id'], ['kiosk_devices.id'], name=op.f('fk_fault_reports_device_id')),
    sa.ForeignKeyConstraint(['equipment_id'], ['equipment.id'], name=op.f('fk_fault_reports_equipment_id')),
    sa.ForeignKeyConstraint(['remark_id'], ['remarks.id'], name=op.f('fk_fault_reports_remark_id')),
    sa.ForeignKeyConstraint(['reported_by_id'], ['users.id'], name=op.f('fk_fault_reports_reported_by_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fault_reports')),
    sa.UniqueConstraint('public_id', name=op.f('uq_fault_reports_public_id'))
    )
    op.create_index('ix_fault_reports_equipment', 'fault_reports', ['equipment_id', 'closed_at'], unique=False)

    op.create_table('pauses',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('starts_at', Instant(), nullable=False),
    sa.Column('ends_at', Instant(), nullable=True),
    sa.Column('by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('remark_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.CheckConstraint('ends_at > starts_at', name=op.f('ck_pauses_order')),
    sa.ForeignKeyConstraint(['by_id'], ['users.id'], name=op.f('fk_pauses_by_id')),
    sa.ForeignKeyConstraint(['remark_id'], ['remarks.id'], name=op.f('fk_pauses_remark_id')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_pauses_reservation_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pauses'))
    )
    op.create_index('ix_pauses_reservation', 'pauses', ['reservation_id', 'starts_at'], unique=False)
    op.create_index('uq_pauses_open', 'pauses', ['reservation_id'], unique=True, postgresql_where=sa.text('ends_at IS NULL'), sqlite_where=sa.text('ends_at IS NULL'))

    op.create_table('relays',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('equipment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('sender_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('device_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('matter', sa.String(), nullable=False),
    sa.Column('remark_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('answer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('answered_at', Instant(), nullable=True),
    sa.Column('answered_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.ForeignKeyConstraint(['answer_id'], ['remarks.id'], name=op.f('fk_relays_answer_id')),
    sa.ForeignKeyConstraint(['answered_by_id'], ['users.id'], name=op.f('fk_relays_answered_by_id')),
    sa.ForeignKeyConstraint(['device_id'], ['kiosk_devices.id'], name=op.f('fk_relays_device_id')),
    sa.ForeignKeyConstraint(['equipment_id'], ['equipment.id'], name=op.f('fk_relays_equipment_id')),
    sa.ForeignKeyConstraint(['remark_id'], ['remarks.id'], name=op.f('fk_relays_remark_id')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_relays_reservation_id')),
    sa.ForeignKeyConstraint(['sender_id'], ['users.id'], name=op.f('fk_relays_sender_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_relays')),
    sa.UniqueConstraint('public_id', name=op.f('uq_relays_public_id'))
    )
    op.create_index('ix_relays_equipment', 'relays', ['equipment_id', 'at'], unique=False)
    op.create_index('ix_relays_reservation_id', 'relays', ['reservation_id'], unique=False)
    op.create_index('ix_relays_sender_id', 'relays', ['sender_id'], unique=False)

    op.create_table('relay_receivers',
    sa.Column('relay_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['relay_id'], ['relays.id'], name=op.f('fk_relay_receivers_relay_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_relay_receivers_user_id')),
    sa.PrimaryKeyConstraint('relay_id', 'user_id', name=op.f('pk_relay_receivers'))
    )
    op.create_index('ix_relay_receivers_user_id', 'relay_receivers', ['user_id'], unique=False)

    op.create_table('sent_invitations',
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('method', sa.String(), nullable=False),
    sa.Column('fingerprint', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('starts_at', Instant(), nullable=False),
    sa.Column('ends_at', Instant(), nullable=False),
    sa.Column('sent_at', Instant(), nullable=False),
    sa.CheckConstraint("method IN ('REQUEST','CANCEL')", name=op.f('ck_sent_invitations_method')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_sent_invitations_reservation_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sent_invitations_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'reservation_id', name=op.f('pk_sent_invitations'))
    )
    op.create_index('ix_sent_invitations_open', 'sent_invitations', ['ends_at'], unique=False, postgresql_where=sa.text("method = 'REQUEST'"), sqlite_where=sa.text("method = 'REQUEST'"))
    op.create_index('ix_sent_invitations_reservation_id', 'sent_invitations', ['reservation_id'], unique=False)

    op.create_table('visits',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('after', sa.Integer(), nullable=True),
    sa.Column('planned_at', Instant(), nullable=False),
    sa.Column('length', sa.Integer(), nullable=False),
    sa.Column('fixed', sa.Boolean(), server_default=sa.text('(false)'), nullable=False),
    sa.Column('staffed', sa.Boolean(), server_default=sa.text('(true)'), nullable=False),
    sa.Column('remark_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('done_at', Instant(), nullable=True),
    sa.Column('done_by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('dropped_at', Instant(), nullable=True),
    sa.Column('revision', sa.Integer(), server_default='1', nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('changed_at', Instant(), nullable=False),
    sa.Column('announced_for', Instant(), nullable=True),
    sa.Column('due_at', Instant(), nullable=True),
    sa.Column('due_attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('due_error', sa.String(), nullable=True),
    sa.CheckConstraint("kind IN ('readout','visit')", name=op.f('ck_visits_kind')),
    sa.CheckConstraint('length > 0', name=op.f('ck_visits_length')),
    sa.ForeignKeyConstraint(['done_by_id'], ['users.id'], name=op.f('fk_visits_done_by_id')),
    sa.ForeignKeyConstraint(['remark_id'], ['remarks.id'], name=op.f('fk_visits_remark_id')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_visits_reservation_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_visits')),
    sa.UniqueConstraint('public_id', name=op.f('uq_visits_public_id'))
    )
    op.create_index('ix_visits_due', 'visits', ['due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'), sqlite_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_visits_reservation', 'visits', ['reservation_id', 'planned_at'], unique=False)

    op.create_table('waitlist',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('user_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('facility_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('mode', sa.String(), nullable=False),
    sa.Column('state', sa.String(), server_default='waiting', nullable=False),
    sa.Column('earliest', Instant(), nullable=False),
    sa.Column('latest', Instant(), nullable=False),
    sa.Column('duration', sa.Integer(), nullable=False),
    sa.Column('places', sa.Integer(), server_default='1', nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('project_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('activity', sa.String(), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('offered_at', Instant(), nullable=True),
    sa.Column('closed_at', Instant(), nullable=True),
    sa.Column('due_at', Instant(), nullable=True),
    sa.Column('due_attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('due_error', sa.String(), nullable=True),
    sa.CheckConstraint("activity IN ('economic','collaboration','research','teaching','maintenance')", name=op.f('ck_waitlist_activity')),
    sa.CheckConstraint("mode IN ('offer','book')", name=op.f('ck_waitlist_mode')),
    sa.CheckConstraint("state IN ('waiting','offered','taken','lapsed','withdrawn','ended')", name=op.f('ck_waitlist_state')),
    sa.CheckConstraint('latest > earliest AND duration > 0 AND places >= 1', name=op.f('ck_waitlist_order')),
    sa.ForeignKeyConstraint(['facility_id'], ['facilities.id'], name=op.f('fk_waitlist_facility_id')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_waitlist_project_id')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_waitlist_reservation_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_waitlist_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_waitlist')),
    sa.UniqueConstraint('public_id', name=op.f('uq_waitlist_public_id'))
    )
    op.create_index('ix_waitlist_due', 'waitlist', ['due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'), sqlite_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_waitlist_facility_id', 'waitlist', ['facility_id'], unique=False)
    op.create_index('ix_waitlist_reservation_id', 'waitlist', ['reservation_id'], unique=False)
    op.create_index('ix_waitlist_user', 'waitlist', ['user_id', 'state'], unique=False)

    op.create_table('webhook_deliveries',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('public_id', sa.String(), nullable=False),
    sa.Column('webhook_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reservation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('event', sa.String(), nullable=False),
    sa.Column('payload', sa.JSON(), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('due_at', Instant(), nullable=True),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('error', sa.String(), nullable=True),
    sa.Column('response_status', sa.Integer(), nullable=True),
    sa.Column('delivered_at', Instant(), nullable=True),
    sa.Column('failed_at', Instant(), nullable=True),
    sa.CheckConstraint("event IN ('window.opened','window.closed','test')", name=op.f('ck_webhook_deliveries_event')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_webhook_deliveries_reservation_id')),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhooks.id'], name=op.f('fk_webhook_deliveries_webhook_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_deliveries')),
    sa.UniqueConstraint('public_id', name=op.f('uq_webhook_deliveries_public_id'))
    )
    op.create_index('ix_webhook_deliveries_due', 'webhook_deliveries', ['due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'), sqlite_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_webhook_deliveries_failed', 'webhook_deliveries', ['failed_at'], unique=False, postgresql_where=sa.text('failed_at IS NOT NULL'), sqlite_where=sa.text('failed_at IS NOT NULL'))
    op.create_index('ix_webhook_deliveries_reservation_id', 'webhook_deliveries', ['reservation_id'], unique=False)
    op.create_index('ix_webhook_deliveries_webhook', 'webhook_deliveries', ['webhook_id', 'id'], unique=False)

    op.create_table('waitlist_wants',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('equipment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['waitlist.id'], name=op.f('fk_waitlist_wants_entry_id')),
    sa.ForeignKeyConstraint(['equipment_id'], ['equipment.id'], name=op.f('fk_waitlist_wants_equipment_id')),
    sa.PrimaryKeyConstraint('entry_id', 'equipment_id', name=op.f('pk_waitlist_wants'))
    )
    op.create_index('ix_waitlist_wants_equipment_id', 'waitlist_wants', ['equipment_id'], unique=False)

    sqlite = op.get_bind().dialect.name == 'sqlite'
    instant, key = ('BIGINT', 'INTEGER') if sqlite else ('TIMESTAMP WITH TIME ZONE', 'BIGINT')
    for table, columns in COLUMNS.items():
        for column in columns:
            words = column.replace(' INSTANT', f' {instant}').replace(' KEY ', f' {key} ')
            op.execute(f'ALTER TABLE {table} ADD COLUMN {words}')
    op.create_index('ix_reservations_put_aside', 'reservations', ['facility_id', 'due_at'], unique=False, postgresql_where=sa.text('due_error IS NOT NULL'), sqlite_where=sa.text('due_error IS NOT NULL'))
    op.create_index('ix_outbox_failed', 'outbox', ['failed_at'], unique=False, postgresql_where=sa.text('failed_at IS NOT NULL'), sqlite_where=sa.text('failed_at IS NOT NULL'))
    op.create_index('uq_users_kiosk_code_hash', 'users', ['kiosk_code_hash'], unique=True)
    op.create_index('ix_users_invited', 'users', ['id'], unique=False, postgresql_where=sa.text("calendar_by = 'invitation'"), sqlite_where=sa.text("calendar_by = 'invitation'"))
    op.execute(
        'UPDATE reservations SET permit_required = true WHERE environment_version_id IN'
        ' (SELECT id FROM environment_versions WHERE permit)'
    )
    # Reminders and openings are new: each of these is looked at once, and says itself when it is due.
    op.execute(
        "UPDATE reservations SET due_at = changed_at WHERE status IN ('requested','approved','in_use')"
    )
