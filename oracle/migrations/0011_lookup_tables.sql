-- Where each platform's lookup table is on chain: what every record needs is named there, so that more records fit into a
-- transaction. Written before the table is made. What it holds is read from the chain before it is used; without this row,
-- another one is made.
CREATE TABLE lookup_tables (
    platform bytea       PRIMARY KEY CHECK (length(platform) = 32),
    address  bytea       NOT NULL CHECK (length(address) = 32),
    made_at  timestamptz NOT NULL DEFAULT now()
);
