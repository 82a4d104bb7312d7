-- What came in: the providers' notices, the records they stand for, and what contradicts one another.

-- Everything that a provider or the platform's server said and that was answered with yes.
CREATE TABLE notices (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The provider's name in the settings; 'direct' for the platform's own server.
    provider    text        NOT NULL CHECK (provider <> ''),
    -- The provider's own id of the notice, the same however often it is sent.
    event       text        NOT NULL CHECK (event <> '' AND length(event) <= 256),
    received_at timestamptz NOT NULL DEFAULT now(),
    -- As it came.
    body        bytea       NOT NULL CHECK (length(body) <= 65536),
    -- What it stands for.
    record      bigint      NOT NULL,
    UNIQUE (provider, event)
);

-- One row for each order number: the outbox's queue, and what became of it.
CREATE TABLE records (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    platform    bytea       NOT NULL CHECK (length(platform) = 32),
    -- 1 payment, 2 refund, 3 redemption, 4 wallet link: the first byte of the encoding.
    kind        smallint    NOT NULL CHECK (kind BETWEEN 1 AND 4),
    -- The order's number, as the provider or the platform has it; a wallet link, which has none, is numbered
    -- 'link/<user key in hexadecimal>/<linked at>'.
    number      text        NOT NULL CHECK (number <> '' AND length(number) <= 256),
    -- SHA-256 of the number: what stands on chain.
    order_hash  bytea       NOT NULL CHECK (length(order_hash) = 32),
    -- The one encoding of rebate_core::message, without the message's header. The same number with other bytes is a conflict.
    record      bytea       NOT NULL CHECK (length(record) BETWEEN 73 AND 512 AND get_byte(record, 0) = kind),
    -- The user's id with the platform, where it is known; the chain only sees the key that follows from it.
    user_id     text        CHECK (user_id <> '' AND length(user_id) <= 256),
    -- Of a refund: the number of the order it refunds, where it is known. The record has its hash.
    refund_of   text        CHECK (refund_of <> '' AND length(refund_of) <= 256),
    -- Of a refund whose provider tells what was refunded of the order so far: that sum, in minor units. The record's amount is
    -- what it is more than those before it.
    refund_total bigint     CHECK (refund_total > 0),
    provider    text        NOT NULL CHECK (provider <> ''),
    received_at timestamptz NOT NULL DEFAULT now(),
    -- Where the record came signed: the oracle's key and its signature over the message with this one record.
    signed_key       bytea  CHECK (length(signed_key) = 32),
    signed_signature bytea  CHECK (length(signed_signature) = 64),
    -- 1 queued; 2 sent, its transaction may land; 3 recorded, confirmed on chain; 4 refused by the program, with the reason;
    -- 5 dead: it needs an operator, who can queue it again.
    state       smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    -- Why it was refused or is dead; of a queued one, why the last attempt failed.
    reason      text,
    -- The transaction that was sent last, or that recorded it, and the slot in which that landed.
    signature   bytea       CHECK (length(signature) = 64),
    slot        bigint      CHECK (slot >= 0),
    attempts    integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Not to be tried before.
    not_before  timestamptz,
    UNIQUE (platform, number),
    CHECK ((signed_key IS NULL) = (signed_signature IS NULL)),
    CHECK (state <> 3 OR slot IS NOT NULL),
    CHECK (state NOT IN (4, 5) OR reason IS NOT NULL),
    CHECK (kind = 2 OR refund_of IS NULL),
    CHECK (refund_total IS NULL OR refund_of IS NOT NULL)
);
-- The queue, oldest first.
CREATE INDEX records_queued ON records (id) WHERE state = 1;
CREATE INDEX records_sent ON records (id) WHERE state = 2;
-- What an operator looks at.
CREATE INDEX records_dead ON records (changed_at) WHERE state = 5;
CREATE INDEX records_order_hash ON records (order_hash);
-- An order's refunds.
CREATE INDEX records_refunds ON records (platform, refund_of) WHERE refund_of IS NOT NULL;

ALTER TABLE notices ADD FOREIGN KEY (record) REFERENCES records;
CREATE INDEX notices_record ON notices (record);

-- The same order, or the same notice, with other content: answered with no, never signed, for an operator to look at.
CREATE TABLE conflicts (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider    text        NOT NULL,
    event       text        NOT NULL,
    number      text        NOT NULL,
    -- What stands: the record with the number or of the notice.
    record      bigint      NOT NULL REFERENCES records,
    -- What came.
    came        bytea       NOT NULL CHECK (length(came) <= 512),
    body        bytea       NOT NULL CHECK (length(body) <= 65536),
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now(),
    -- How often it came: providers try again for days.
    times       bigint      NOT NULL DEFAULT 1,
    UNIQUE (provider, event, number, came)
);
CREATE INDEX conflicts_record ON conflicts (record);

-- With which of the platform's secrets a user's key was made. A user keeps the key that the first record was made with,
-- since the balances on chain stand under it.
CREATE TABLE users (
    platform bytea    NOT NULL CHECK (length(platform) = 32),
    user_id  text     NOT NULL CHECK (user_id <> '' AND length(user_id) <= 256),
    -- The secret's number in the settings.
    secret   smallint NOT NULL CHECK (secret >= 0),
    PRIMARY KEY (platform, user_id)
);
