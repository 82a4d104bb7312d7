-- What the indexer found when it last compared a platform's tables with the chain. While one of them does not agree,
-- nothing is written.
CREATE TABLE integrity (
    platform    bytea       PRIMARY KEY CHECK (length(platform) = 32),
    checked_at  timestamptz NOT NULL,
    -- The last slot that the tables had read.
    slot        bigint      NOT NULL CHECK (slot >= 0),
    -- How many of the stored events were hashed.
    leaf_count  bigint      NOT NULL CHECK (leaf_count >= 0),
    agrees      boolean     NOT NULL,
    -- What differs: [{"kind": "altered_events", "first_index": 8, "last_index": 11, "detail": "events 8 to 11 do not …"}]
    differences jsonb       NOT NULL,
    CHECK (agrees = (differences = '[]'))
);
CREATE INDEX integrity_mismatches ON integrity (platform) WHERE NOT agrees;
