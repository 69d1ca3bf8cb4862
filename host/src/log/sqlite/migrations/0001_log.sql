-- The change log: one row a version of a resource, in commit order. AUTOINCREMENT keeps the highest number ever
-- used, so that none is used again even where the newest rows are gone.
CREATE TABLE log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_type TEXT NOT NULL,
    id TEXT NOT NULL,
    status INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- The resource's version before this one. The chain is the resource's history: a second index by resource would
    -- cost each write another random page.
    previous INTEGER,
    -- The only copy of the bytes. NULL is kept free for bytes that were erased.
    resource BLOB,
    -- A JSON array of topic ids; NULL for none.
    topics TEXT,
    topics_known INTEGER NOT NULL,
    source_version TEXT,
    source_last_updated INTEGER
);
-- Histories of a type.
CREATE INDEX log_by_type ON log (resource_type);

-- The current state: each resource's newest version, a deleted one included.
CREATE TABLE resource (
    resource_type TEXT NOT NULL,
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    versions INTEGER NOT NULL,
    -- What lookups find it by, eight bytes each; NULL for nothing.
    tokens BLOB,
    PRIMARY KEY (resource_type, id)
) WITHOUT ROWID;
-- Searches by the time of the last update.
CREATE INDEX resource_by_update ON resource (resource_type, last_updated);

-- The same tokens as rows: numbers made of the identifiers' values of living resources.
CREATE TABLE token (
    token INTEGER NOT NULL,
    resource_type TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (token, resource_type, id)
) WITHOUT ROWID;

-- Topics by number, so that `matched` stays narrow.
CREATE TABLE topic (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
);

-- The changes that each topic wanted. `ordinal` counts them, from 1 and without gaps within a topic, so "how many
-- after this offset" is the difference of two ordinals: two look-ups, however many are waiting.
CREATE TABLE matched (
    topic INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (topic, sequence)
) WITHOUT ROWID;

CREATE TABLE destination (
    id TEXT PRIMARY KEY,
    uuid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    start INTEGER NOT NULL,
    acked INTEGER NOT NULL,
    next_batch INTEGER NOT NULL,
    planned TEXT,
    state TEXT NOT NULL,
    counters TEXT NOT NULL,
    last_errors TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    acked_at INTEGER
) WITHOUT ROWID;

CREATE TABLE dead_letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL REFERENCES destination (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    resource_type TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    detail TEXT,
    row_in_change INTEGER,
    column_name TEXT,
    row_values TEXT
);
CREATE INDEX dead_letter_by_destination ON dead_letter (destination, number);

CREATE TABLE kept (
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (space, name)
) WITHOUT ROWID;

-- One row. `fence` is the highest fence ever given.
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    fence INTEGER NOT NULL
);
INSERT INTO store (only, fence) VALUES (1, 0);
