-- What chain this is, how far it was read, and every event as it was emitted.

-- One row: the chain and the last block taken. Moving it is a compare-and-set on (slot, blockhash), which fences a
-- stale writer.
CREATE TABLE cursor (
    one          boolean     PRIMARY KEY DEFAULT true CHECK (one),
    genesis_hash bytea       NOT NULL CHECK (length(genesis_hash) = 32),
    commitment   text        NOT NULL CHECK (commitment IN ('confirmed', 'finalized')),
    slot         bigint      NOT NULL CHECK (slot >= 0),
    blockhash    bytea       NOT NULL CHECK (length(blockhash) = 32),
    -- When the producer of that block says it was produced.
    block_time   timestamptz,
    written_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transactions (
    signature  bytea       PRIMARY KEY CHECK (length(signature) = 64),
    slot       bigint      NOT NULL CHECK (slot >= 0),
    -- Position in its block.
    position   integer     NOT NULL CHECK (position >= 0),
    block_time timestamptz
);

-- An event is known by its place in its platform's journal; bytes are what was hashed.
CREATE TABLE events (
    platform      bytea       NOT NULL CHECK (length(platform) = 32),
    journal_index bigint      NOT NULL CHECK (journal_index >= 0),
    kind          text        NOT NULL CHECK (kind <> ''),
    -- The chain's clock.
    at            timestamptz NOT NULL,
    signature     bytea       NOT NULL REFERENCES transactions,
    bytes         bytea       NOT NULL CHECK (length(bytes) >= 8),
    PRIMARY KEY (platform, journal_index)
);
CREATE INDEX events_by_transaction ON events (signature);

-- The journal rebuilt from the events written so far: peaks[h + 1] is the root of a complete tree of 2^h events,
-- meaningful where bit h of leaf_count is set.
CREATE TABLE journals (
    platform   bytea   PRIMARY KEY CHECK (length(platform) = 32),
    leaf_count bigint  NOT NULL CHECK (leaf_count >= 0),
    peaks      bytea[] NOT NULL
);
