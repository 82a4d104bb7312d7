-- What was handed to the chain and may still land.

-- One row for each transaction, written before it is sent for the first time and deleted in the same transaction that says
-- what became of its records: whatever is in here has to be looked for, and sent again until its blockhash has expired.
CREATE TABLE submissions (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    platform          bytea       NOT NULL CHECK (length(platform) = 32),
    -- The transaction's first signature, by which the chain knows it.
    signature         bytea       NOT NULL UNIQUE CHECK (length(signature) = 64),
    -- As it is on the wire.
    transaction       bytea       NOT NULL CHECK (length(transaction) BETWEEN 65 AND 1232),
    -- The height of the last block that it can be in.
    last_block_height bigint      NOT NULL CHECK (last_block_height >= 0),
    -- Which records it carries, in the order in which it carries them. They are in state 2.
    records           bigint[]    NOT NULL CHECK (cardinality(records) BETWEEN 1 AND 255),
    written_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX submissions_platform ON submissions (platform, id);

-- Whose records are to reach the chain in the order in which they came: the user's key; for a refund, which does not name the
-- user, the hash of the order it refunds. Places as in the encoding of rebate_core::message.
ALTER TABLE records ADD COLUMN subject bytea NOT NULL GENERATED ALWAYS AS (
    CASE kind WHEN 1 THEN substring(record FROM 35 FOR 32) WHEN 4 THEN substring(record FROM 2 FOR 32)
              ELSE substring(record FROM 34 FOR 32) END
) STORED;
CREATE INDEX records_unfinished ON records (platform, subject, id) WHERE state IN (1, 2);
