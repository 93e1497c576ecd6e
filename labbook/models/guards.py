"""What the database itself refuses, whoever writes the row; installed idempotently on both engines.

========================  =============================================================================
guard                     refuses
========================  =============================================================================
no_overlap                two blocking allocations of one place at one instant
within_budget             draws of one utility above its capacity at any instant, and a capacity
                          lowered below what is already drawn
derived blocking          an allocation or draw whose ``blocking`` differs from its reservation's status
history_append_only       changing or deleting an entry of the history
========================  =============================================================================

PostgreSQL: an exclusion constraint (without btree_gist: the place as a one-point range) and triggers.
SQLite: triggers. Blocking rows of one place never overlap, so the check on SQLite is one index step:
the last row that starts before the new end must end before the new start.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from labbook.models.reservation import BLOCKING_SQL

NO_OVERLAP = "ex_allocations_no_overlap"
WITHIN_BUDGET = "guard_within_budget"
DERIVED = "guard_derived_blocking"
APPEND_ONLY = "guard_history_append_only"

# --- PostgreSQL -------------------------------------------------------------------------------------

_PG_CONSTRAINT = f"""
ALTER TABLE allocations ADD CONSTRAINT {NO_OVERLAP}
EXCLUDE USING gist (
    int4range(place_id::integer, place_id::integer, '[]') WITH &&,
    tstzrange(starts_at, ends_at) WITH &&
) WHERE (blocking)
"""

_PG_FUNCTIONS = (
    # FOR SHARE: a status that changes in another transaction must wait for this row, or this row
    # would keep a blocking that its reservation no longer has. What was its reservation's before is
    # locked, and a status that changes meanwhile waits for it: so there it need not be asked to wait.
    f"""
CREATE OR REPLACE FUNCTION labbook_derive_blocking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.reservation_id = OLD.reservation_id THEN
        SELECT ({BLOCKING_SQL}) INTO NEW.blocking FROM reservations WHERE id = NEW.reservation_id;
    ELSE
        SELECT ({BLOCKING_SQL}) INTO NEW.blocking
        FROM reservations WHERE id = NEW.reservation_id FOR SHARE;
    END IF;
    RETURN NEW;
END $$
""",
    # Once for a whole statement, so that a batch of steps pays once; always by the index, since the plan
    # that the first statement of a session gets is kept for those of every other size.
    f"""
CREATE OR REPLACE FUNCTION labbook_spread_blocking() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
    UPDATE allocations SET blocking = (changed.{BLOCKING_SQL}) FROM changed
    WHERE reservation_id = changed.id AND blocking <> (changed.{BLOCKING_SQL});
    UPDATE draws SET blocking = (changed.{BLOCKING_SQL}) FROM changed
    WHERE reservation_id = changed.id AND blocking <> (changed.{BLOCKING_SQL});
    RETURN NULL;
END $$
""",
    # A sum over time peaks at the start of one of its intervals: testing those is exact. Whoever holds the
    # lock must see what was committed before they got it, which an older snapshot would keep from them.
    f"""
CREATE OR REPLACE FUNCTION labbook_check_budget(the_utility bigint, since timestamptz, until timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    budget bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '{WITHIN_BUDGET}: draws are written under "read committed" only'
            USING ERRCODE = 'check_violation', CONSTRAINT = '{WITHIN_BUDGET}';
    END IF;
    SELECT capacity INTO budget FROM utilities WHERE id = the_utility FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT 1 FROM (
            SELECT since AS at
            UNION
            SELECT starts_at FROM draws
            WHERE utility_id = the_utility AND blocking AND starts_at > since AND starts_at < until
        ) AS peaks
        WHERE (
            SELECT coalesce(sum(amount), 0) FROM draws
            WHERE utility_id = the_utility AND blocking AND starts_at <= peaks.at AND ends_at > peaks.at
        ) > budget
    ) THEN
        RAISE EXCEPTION '{WITHIN_BUDGET}' USING ERRCODE = 'check_violation', CONSTRAINT = '{WITHIN_BUDGET}';
    END IF;
END $$
""",
    """
CREATE OR REPLACE FUNCTION labbook_guard_draw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.blocking THEN
        PERFORM labbook_check_budget(NEW.utility_id, NEW.starts_at, NEW.ends_at);
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE OR REPLACE FUNCTION labbook_guard_capacity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM labbook_check_budget(NEW.id, '-infinity', 'infinity');
    RETURN NULL;
END $$
""",
    f"""
CREATE OR REPLACE FUNCTION labbook_guard_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{APPEND_ONLY}' USING ERRCODE = 'check_violation', CONSTRAINT = '{APPEND_ONLY}';
END $$
""",
)

_PG_TRIGGERS = {
    "allocations_derive": "BEFORE INSERT OR UPDATE OF reservation_id, blocking ON allocations "
    "FOR EACH ROW EXECUTE FUNCTION labbook_derive_blocking()",
    "draws_derive": "BEFORE INSERT OR UPDATE OF reservation_id, blocking ON draws "
    "FOR EACH ROW EXECUTE FUNCTION labbook_derive_blocking()",
    "reservations_spread": "AFTER UPDATE ON reservations REFERENCING NEW TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE FUNCTION labbook_spread_blocking()",
    "draws_budget": "AFTER INSERT OR UPDATE ON draws FOR EACH ROW EXECUTE FUNCTION labbook_guard_draw()",
    "utilities_capacity": "AFTER UPDATE OF capacity ON utilities "
    "FOR EACH ROW WHEN (NEW.capacity < OLD.capacity) EXECUTE FUNCTION labbook_guard_capacity()",
    "history_frozen": "BEFORE UPDATE OR DELETE ON history "
    "FOR EACH ROW EXECUTE FUNCTION labbook_guard_history()",
    "history_kept": "BEFORE TRUNCATE ON history FOR EACH STATEMENT EXECUTE FUNCTION labbook_guard_history()",
}

# --- SQLite -----------------------------------------------------------------------------------------

_DERIVED = f"(SELECT {BLOCKING_SQL} FROM reservations WHERE id = NEW.reservation_id)"

# ``blocking = 1``, not ``blocking``: SQLite uses a partial index only for its own condition, word for word.
_OVERLAP = f"""
BEGIN
    SELECT RAISE(ABORT, '{NO_OVERLAP}')
    WHERE {_DERIVED} AND NEW.starts_at < (
        SELECT ends_at FROM allocations
        WHERE place_id = NEW.place_id AND blocking = 1 AND starts_at < NEW.ends_at AND id IS NOT NEW.id
        ORDER BY starts_at DESC LIMIT 1
    );
END
"""

_BUDGET = f"""
BEGIN
    SELECT RAISE(ABORT, '{WITHIN_BUDGET}')
    WHERE NEW.blocking AND EXISTS (
        SELECT 1 FROM (
            SELECT NEW.starts_at AS at
            UNION
            SELECT starts_at FROM draws
            WHERE utility_id = NEW.utility_id AND blocking = 1
              AND starts_at > NEW.starts_at AND starts_at < NEW.ends_at
        ) AS peaks
        WHERE (
            SELECT coalesce(sum(amount), 0) FROM draws
            WHERE utility_id = NEW.utility_id AND blocking = 1
              AND starts_at <= peaks.at AND ends_at > peaks.at
        ) > (SELECT capacity FROM utilities WHERE id = NEW.utility_id)
    );
END
"""


def _sqlite_derived(table: str) -> dict[str, str]:
    """Blocking follows the reservation: set after an insert or a change of owner, refused when forged."""
    follow = f"""
BEGIN
    UPDATE {table} SET blocking = {_DERIVED} WHERE id = NEW.id AND blocking IS NOT {_DERIVED};
END
"""
    return {
        f"{table}_derive_insert": f"AFTER INSERT ON {table} {follow}",
        f"{table}_derive_owner": f"AFTER UPDATE OF reservation_id ON {table} {follow}",
        f"{table}_derived_only": f"""BEFORE UPDATE OF blocking ON {table}
            WHEN NEW.blocking IS NOT {_DERIVED}
            BEGIN SELECT RAISE(ABORT, '{DERIVED}'); END""",
    }


_SQLITE_TRIGGERS = {
    **_sqlite_derived("allocations"),
    **_sqlite_derived("draws"),
    "allocations_overlap_insert": f"BEFORE INSERT ON allocations {_OVERLAP}",
    "allocations_overlap_update": (
        f"BEFORE UPDATE OF place_id, starts_at, ends_at, reservation_id, blocking ON allocations {_OVERLAP}"
    ),
    # Fires both for a raw insert that says blocking at once and for the derivation after an insert.
    "draws_budget_insert": f"AFTER INSERT ON draws {_BUDGET}",
    "draws_budget_update": (
        f"AFTER UPDATE OF utility_id, amount, starts_at, ends_at, blocking ON draws {_BUDGET}"
    ),
    "reservations_spread": f"""AFTER UPDATE OF status ON reservations
        WHEN (OLD.{BLOCKING_SQL}) IS NOT (NEW.{BLOCKING_SQL})
        BEGIN
            UPDATE allocations SET blocking = NEW.{BLOCKING_SQL}
            WHERE reservation_id = NEW.id AND blocking <> (NEW.{BLOCKING_SQL});
            UPDATE draws SET blocking = NEW.{BLOCKING_SQL}
            WHERE reservation_id = NEW.id AND blocking <> (NEW.{BLOCKING_SQL});
        END""",
    "utilities_capacity": f"""AFTER UPDATE OF capacity ON utilities WHEN NEW.capacity < OLD.capacity
        BEGIN
            SELECT RAISE(ABORT, '{WITHIN_BUDGET}') WHERE EXISTS (
                SELECT 1 FROM draws AS peak WHERE peak.utility_id = NEW.id AND peak.blocking = 1 AND (
                    SELECT sum(amount) FROM draws
                    WHERE utility_id = NEW.id AND blocking = 1
                      AND starts_at <= peak.starts_at AND ends_at > peak.starts_at
                ) > NEW.capacity
            );
        END""",
    # INSERT OR REPLACE changes a row without firing what watches updates of it.
    "utilities_replaced": f"""BEFORE INSERT ON utilities
        WHEN EXISTS (SELECT 1 FROM utilities WHERE id = NEW.id AND capacity > NEW.capacity)
        BEGIN SELECT RAISE(ABORT, '{WITHIN_BUDGET}'); END""",
    "history_frozen": f"BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END",
    "history_kept": f"BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END",
    # INSERT OR REPLACE deletes what it replaces without firing the trigger above.
    "history_added": f"""BEFORE INSERT ON history WHEN EXISTS (SELECT 1 FROM history WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END""",
}


def install(connection: Connection) -> None:
    """Put every guard in its newest form; safe to call at any time."""
    if connection.dialect.name == "sqlite":
        for name, body in _SQLITE_TRIGGERS.items():
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
            connection.execute(text(f"CREATE TRIGGER {name} {body}"))
        return
    for function in _PG_FUNCTIONS:
        connection.execute(text(function))
    for name, body in _PG_TRIGGERS.items():
        table = body.split(" ON ")[1].split()[0]
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name} ON {table}"))
        connection.execute(text(f"CREATE TRIGGER {name} {body}"))
    if not connection.scalar(text("SELECT 1 FROM pg_constraint WHERE conname = :n"), {"n": NO_OVERLAP}):
        connection.execute(text(_PG_CONSTRAINT))


def missing(connection: Connection) -> list[str]:
    """The names of guards that are not there (or, on PostgreSQL, are switched off)."""
    if connection.dialect.name == "sqlite":
        found = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
        return sorted(set(_SQLITE_TRIGGERS) - found)
    found = set(
        connection.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"))
    )
    found |= set(connection.scalars(text("SELECT conname FROM pg_constraint WHERE contype = 'x'")))
    return sorted({*_PG_TRIGGERS, NO_OVERLAP} - found)


def altered(connection: Connection) -> list[str]:
    """The names of guards that are there under their name and say something else."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
        expected = {name: f"CREATE TRIGGER {name} {body}" for name, body in _SQLITE_TRIGGERS.items()}
        return sorted(n for n, sql in rows if n in expected and sql.split() != expected[n].split())
    bodies: dict[str, str] = dict(
        connection.execute(text("SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'labbook%'")).all()
    )
    found = []
    for function in _PG_FUNCTIONS:
        name = function.split("FUNCTION ")[1].split("(")[0]
        if name in bodies and bodies[name] != function.split("$$")[1]:
            found.append(name)
    return sorted(found)
