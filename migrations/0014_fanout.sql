-- What others are told of the events: how far each stream got, and who is sent what by webhook.

-- From where on a platform's events are not yet acknowledged by a stream.
CREATE TABLE fanout_positions (
    stream     text        NOT NULL CHECK (stream <> ''),
    platform   bytea       NOT NULL CHECK (length(platform) = 32),
    -- When the stream was created, by its server: one that was deleted and made anew gets everything again.
    created    timestamptz NOT NULL,
    next_index bigint      NOT NULL CHECK (next_index >= 0),
    -- Of the last event acknowledged.
    slot       bigint      NOT NULL CHECK (slot >= 0),
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, platform)
);

-- Who is sent events. The secret that signs them is not here: it follows from the id and a key that only the sender has.
CREATE TABLE webhook_endpoints (
    id         text        PRIMARY KEY DEFAULT 'ep_' || replace(gen_random_uuid()::text, '-', ''),
    url        text        NOT NULL CHECK (url <> ''),
    -- Which kinds of events; NULL for all.
    kinds      text[]      CHECK (cardinality(kinds) > 0),
    -- Whether it is sent anything just now; what comes meanwhile waits.
    enabled    boolean     NOT NULL DEFAULT true,
    -- Only events of later slots are sent: those after it was added, and none that were forgotten since.
    since_slot bigint      NOT NULL CHECK (since_slot >= -1),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What is to be sent or was: one row for each event and endpoint. What became of it long ago is removed.
CREATE TABLE webhook_deliveries (
    endpoint        text        NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    platform        bytea       NOT NULL CHECK (length(platform) = 32),
    journal_index   bigint      NOT NULL CHECK (journal_index >= 0),
    slot            bigint      NOT NULL CHECK (slot >= 0),
    enqueued_at     timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- When to try next, and until then nobody else does; NULL where it is decided.
    next_attempt_at timestamptz DEFAULT now(),
    -- What the endpoint answered last, NULL where it did not answer; and why that was no success.
    last_status     integer     CHECK (last_status BETWEEN 100 AND 999),
    last_error      text,
    delivered_at    timestamptz,
    failed_at       timestamptz,
    PRIMARY KEY (endpoint, platform, journal_index),
    CHECK ((next_attempt_at IS NULL) = (delivered_at IS NOT NULL OR failed_at IS NOT NULL)),
    CHECK (delivered_at IS NULL OR failed_at IS NULL)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_decided ON webhook_deliveries (enqueued_at) WHERE next_attempt_at IS NULL;
