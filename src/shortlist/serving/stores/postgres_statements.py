"""What PostgreSQL is asked, and the tables that it is asked of."""

from __future__ import annotations

from shortlist.serving.stores.exposures import FIELDS as EXPOSURE_FIELDS

MIGRATIONS = (
    """
    CREATE TABLE shortlist_events (
        sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        "user" TEXT NOT NULL,
        item TEXT NOT NULL,
        time BIGINT NOT NULL,
        type TEXT,
        context TEXT
    );
    CREATE INDEX shortlist_events_of_user ON shortlist_events ("user", time, sequence);
    CREATE TABLE shortlist_items (item TEXT PRIMARY KEY, columns TEXT, version BIGINT NOT NULL UNIQUE);
    CREATE TABLE shortlist_items_version (version BIGINT NOT NULL);
    INSERT INTO shortlist_items_version VALUES (0);
    CREATE TABLE shortlist_features ("user" TEXT PRIMARY KEY, "values" TEXT NOT NULL);
    """,
    """
    CREATE TABLE shortlist_exposures (
        place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        "user" TEXT NOT NULL,
        time BIGINT NOT NULL,
        experiment TEXT NOT NULL,
        arm TEXT NOT NULL,
        probability DOUBLE PRECISION NOT NULL,
        bundle TEXT NOT NULL,
        shown INT NOT NULL,
        content TEXT NOT NULL
    );
    CREATE INDEX shortlist_exposures_of_user ON shortlist_exposures ("user", place);
    CREATE TABLE shortlist_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
)

ADD = """
    INSERT INTO shortlist_events (id, "user", item, time, type, context)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
    ON CONFLICT (id) DO NOTHING
    RETURNING id
"""
LATEST = """
    SELECT e.id, e."user", e.item, e.time, e.type, e.context
    FROM unnest(%s::text[]) AS asked ("user")
    CROSS JOIN LATERAL (
        SELECT * FROM shortlist_events WHERE "user" = asked."user"
        ORDER BY time DESC, sequence DESC LIMIT %s
    ) AS e
    ORDER BY e."user", e.time, e.sequence
"""
PUT_ITEM = """
    INSERT INTO shortlist_items VALUES (%s, %s, %s)
    ON CONFLICT (item) DO UPDATE SET columns = excluded.columns, version = excluded.version
"""
PUT_FEATURES = """
    INSERT INTO shortlist_features VALUES (%s, %s)
    ON CONFLICT ("user") DO UPDATE SET "values" = excluded."values"
"""
EXPOSE = f"""
    INSERT INTO shortlist_exposures ({EXPOSURE_FIELDS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING
"""
EXPOSURES = f"SELECT place, {EXPOSURE_FIELDS} FROM shortlist_exposures"
PUT_SETTING = """
    INSERT INTO shortlist_settings VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
