-- Numbers the versions of all resources. Its numbers grow in the order in which they are taken, which is not the order
-- in which they are committed; see `transaction`.
CREATE SEQUENCE lakefeed.sequence AS bigint;

-- The change log: one row a version of a resource. `transaction` is the number of the writing transaction above the
-- store's base: together with `sequence` it orders the log in a way that no later commit can change.
CREATE TABLE lakefeed.log (
    sequence bigint NOT NULL,
    transaction bigint NOT NULL,
    last_updated bigint NOT NULL,
    created_at bigint NOT NULL,
    -- The resource's version before this one. The chain is the resource's history: an index by resource would cost each
    -- write another random page.
    previous bigint,
    topics_known bigint NOT NULL,
    source_last_updated bigint,
    status smallint NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    -- A JSON array of topic ids; NULL for none.
    topics text,
    source_version text,
    -- The only copy of the bytes. NULL is kept free for bytes that were erased.
    resource bytea,
    PRIMARY KEY (sequence)
) PARTITION BY RANGE (sequence);
CREATE INDEX log_by_transaction ON lakefeed.log (transaction, sequence);
CREATE INDEX log_by_type ON lakefeed.log (resource_type, sequence) INCLUDE (last_updated);

-- A server that was built without lz4 compresses in its own way.
DO $$
BEGIN
    ALTER TABLE lakefeed.log ALTER COLUMN resource SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

-- The partitions of `log` and `matched`. Every row in a partition or in a later one has at least `first_transaction`; no
-- row in a partition has more than `last_transaction`, which is known once nobody can write there any more.
CREATE TABLE lakefeed.partition (
    number bigint PRIMARY KEY,
    first_sequence bigint NOT NULL,
    behind_sequence bigint NOT NULL,
    first_transaction bigint NOT NULL,
    last_transaction bigint,
    -- How often its tables were replaced by smaller ones, which bear this number behind the partition's.
    round bigint NOT NULL DEFAULT 0,
    -- Versions in it since it was replaced last, and the sequence at which it was looked at last.
    retained bigint,
    looked_at bigint
);

-- The current state: each resource's newest version, a deleted one included.
CREATE TABLE lakefeed.resource (
    sequence bigint NOT NULL,
    last_updated bigint NOT NULL,
    versions bigint NOT NULL,
    deleted boolean NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    -- What lookups find it by: numbers made of its identifiers' values.
    tokens bigint[],
    PRIMARY KEY (resource_type, id)
);
CREATE INDEX resource_by_update ON lakefeed.resource (resource_type, last_updated, id);

-- The tokens of the resources, as rows.
CREATE TABLE lakefeed.token (
    token bigint NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL
);
-- No key: who writes knows what is there, and holds the locks.
CREATE INDEX token_by_number ON lakefeed.token (token, id);

-- Topics by number, so that `matched` stays narrow.
CREATE TABLE lakefeed.topic (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE
);

-- The changes that each topic wanted.
CREATE TABLE lakefeed.matched (
    topic integer NOT NULL,
    transaction bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, transaction, sequence)
) PARTITION BY RANGE (sequence);

-- Now and then: how many rows `matched` has for a topic up to and with a place. Between two of them it is counted.
CREATE TABLE lakefeed.matched_count (
    topic integer NOT NULL,
    transaction bigint NOT NULL,
    sequence bigint NOT NULL,
    ordinal bigint NOT NULL,
    PRIMARY KEY (topic, transaction, sequence)
);

CREATE TABLE lakefeed.destination (
    id text COLLATE "C" PRIMARY KEY,
    uuid text NOT NULL,
    generation bigint NOT NULL,
    fence bigint NOT NULL,
    start_transaction bigint NOT NULL,
    start_sequence bigint NOT NULL,
    acked_transaction bigint NOT NULL,
    acked_sequence bigint NOT NULL,
    next_batch bigint NOT NULL,
    planned text,
    state text NOT NULL,
    counters text NOT NULL,
    last_errors text NOT NULL,
    created_at bigint NOT NULL,
    acked_at bigint
);

CREATE TABLE lakefeed.dead_letter (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    destination text COLLATE "C" NOT NULL REFERENCES lakefeed.destination (id) ON DELETE CASCADE,
    at bigint NOT NULL,
    transaction bigint NOT NULL,
    sequence bigint NOT NULL,
    resource_type text NOT NULL,
    id text NOT NULL,
    version bigint NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    detail text,
    row_in_change bigint,
    column_name text,
    row_values text
);
CREATE INDEX dead_letter_by_destination ON lakefeed.dead_letter (destination, number);

CREATE TABLE lakefeed.kept (
    space text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (space, name)
);

-- One row.
CREATE TABLE lakefeed.store (
    single boolean PRIMARY KEY CHECK (single),
    -- The highest fence ever given to who holds a destination.
    fence bigint NOT NULL,
    -- The host that may write; grows with each that opens the store.
    host bigint NOT NULL,
    -- What is added to the server's transaction numbers, which begin anew in a restored store.
    base bigint NOT NULL,
    -- How many sequences a partition spans.
    width bigint NOT NULL CHECK (width > 0)
);

-- One row, once a host had the store.
CREATE TABLE lakefeed.identity (
    single boolean PRIMARY KEY CHECK (single),
    -- The server, database and table that the store's base belongs to.
    identity text NOT NULL,
    -- The transaction that wrote this row. A row that was loaded from a dump was written by another.
    written_by bigint NOT NULL
);

-- For SQL users: the living resources as documents. Reading many of them takes apart much text.
CREATE VIEW lakefeed.current_resource AS
SELECT
    r.resource_type AS type,
    r.id,
    r.sequence AS version,
    to_timestamp(r.last_updated / 1000000.0) AS last_updated,
    convert_from(l.resource, 'UTF8')::jsonb AS resource
FROM lakefeed.resource r
JOIN lakefeed.log l ON l.sequence = r.sequence
WHERE NOT r.deleted;
