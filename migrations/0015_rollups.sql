-- What analytics are read from: sums and exact distinct counts by bucket of the platform's local time and by dimension, kept
-- in the transaction that writes the events they are of.
--
-- A payment belongs to the bucket of its paid_at, a refund and what it reverses to that of its own paid_at and to the
-- dimensions of the payment it refunds, and what expires to that of the chain's clock. Local time is that of the rules'
-- windows (core/src/time.rs); buckets are numbers on the platform's calendar:
--   every 1 hour  hours since 1970-01-01 00:00     every 4 month  months since January 1970
--         2 day   days since 1970-01-01                  5 year   the year
--         3 week  weeks, from Monday on, since that of 1970-01-01
-- Dimensions, and what their values are:
--         0 none      0                               5 streamer  its number, 0 for none
--         1 rule      the rule                        6 tier      the tier, 0 for none
--         2 group     the rule's group                7 segment   the number of the bit, for each that is set
--         3 effect    the kind of the rule's effect:  8 newness   1 where the payment's bucket is that of its user's first
--                     1 fixed, 2 ratio, 3 tiers,                  payment, 0 where it is not. The first is the one numbered 1
--                     4 streak, 5 multiplier                      on chain.
--         4 product   the product
-- A payment is under a rule, group or effect where that granted something on it, and under all else it has.

CREATE TABLE rollups (
    platform       bytea         NOT NULL CHECK (length(platform) = 32),
    every          smallint      NOT NULL CHECK (every BETWEEN 1 AND 5),
    dimension      smallint      NOT NULL CHECK (dimension BETWEEN 0 AND 8),
    bucket         integer       NOT NULL,
    value          numeric(20,0) NOT NULL CHECK (value BETWEEN 0 AND 18446744073709551615),
    payments       bigint        NOT NULL CHECK (payments >= 0),
    paid           numeric(30,0) NOT NULL CHECK (paid >= 0),
    refunds        bigint        NOT NULL CHECK (refunds >= 0),
    refunded       numeric(30,0) NOT NULL CHECK (refunded >= 0),
    -- Users with such a payment, each counted once.
    payers         bigint        NOT NULL CHECK (payers >= 0),
    -- Those of them who were granted something on one of these payments.
    granted_payers bigint        NOT NULL CHECK (granted_payers >= 0),
    -- What these paid in the bucket: with such payments, or, under a rule, group or effect, with all.
    granted_spent  numeric(30,0) NOT NULL CHECK (granted_spent >= 0),
    -- First payments of users, and how many of these users have paid again since.
    new_payers     bigint        NOT NULL CHECK (new_payers >= 0),
    converted      bigint        NOT NULL CHECK (converted >= 0),
    PRIMARY KEY (platform, every, dimension, bucket, value)
) WITH (fillfactor = 60);

-- The same by asset, for what is granted of it. Weeks are sums of days and years of months, but by newness.
CREATE TABLE rollup_grants (
    platform  bytea         NOT NULL CHECK (length(platform) = 32),
    every     smallint      NOT NULL CHECK (every BETWEEN 1 AND 5 AND (every IN (1, 2, 4) OR dimension = 8)),
    dimension smallint      NOT NULL CHECK (dimension BETWEEN 0 AND 8),
    bucket    integer       NOT NULL,
    value     numeric(20,0) NOT NULL CHECK (value BETWEEN 0 AND 18446744073709551615),
    asset     smallint      NOT NULL CHECK (asset BETWEEN 1 AND 8),
    grants    bigint        NOT NULL CHECK (grants >= 0),
    granted   numeric(30,0) NOT NULL CHECK (granted >= 0),
    reversals bigint        NOT NULL CHECK (reversals >= 0),
    reversed  numeric(30,0) NOT NULL CHECK (reversed >= 0),
    -- Under dimension 0 only: a balance does not know who granted it.
    expiries  bigint        NOT NULL CHECK (expiries >= 0 AND (expiries = 0 OR dimension = 0)),
    expired   numeric(30,0) NOT NULL CHECK (expired >= 0),
    -- The payments on which some of the asset was granted there, and what was refunded of such payments.
    paid      numeric(30,0) NOT NULL CHECK (paid >= 0),
    refunded  numeric(30,0) NOT NULL CHECK (refunded >= 0),
    PRIMARY KEY (platform, every, dimension, bucket, value, asset)
) WITH (fillfactor = 60);

-- A user's first payment: the one numbered 1.
CREATE TABLE payers (
    platform  bytea       NOT NULL,
    user_key  bytea       NOT NULL CHECK (length(user_key) = 32),
    joined_at timestamptz NOT NULL,
    -- Its product, streamer and so on (indexer/src/write/rollups/visit.rs).
    visit     bytea       NOT NULL,
    PRIMARY KEY (user_key, platform)
);

-- What a user did in a month of the platform's calendar: enough to tell whether the user was counted in a bucket before.
CREATE TABLE user_months (
    platform    bytea         NOT NULL,
    user_key    bytea         NOT NULL CHECK (length(user_key) = 32),
    -- Since January 1970.
    local_month integer       NOT NULL,
    paid        numeric(30,0) NOT NULL CHECK (paid >= 0),
    refunded    numeric(30,0) NOT NULL CHECK (refunded >= 0),
    -- What was paid by hour, product, streamer and so on (indexer/src/write/rollups/history.rs).
    log         bytea         NOT NULL,
    PRIMARY KEY (user_key, platform, local_month)
) WITH (fillfactor = 60);

-- When a rule that holds users out first looked at a user whose payment met its conditions, and what it decided.
CREATE TABLE exposures (
    platform      bytea         NOT NULL CHECK (length(platform) = 32),
    rule          integer       NOT NULL CHECK (rule BETWEEN 0 AND 65535),
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    version       integer       NOT NULL,
    held_out      boolean       NOT NULL,
    -- The share of users that the version holds out.
    holdout_bps   integer       NOT NULL CHECK (holdout_bps BETWEEN 1 AND 10000),
    -- The payment, and when it was paid.
    journal_index bigint        NOT NULL,
    exposed_at    timestamptz   NOT NULL,
    -- What the user paid before, less what was refunded of it by then.
    spent_before  numeric(30,0) NOT NULL CHECK (spent_before >= 0),
    PRIMARY KEY (platform, rule, user_key)
);

-- Platforms whose stored events are not in the roll-ups yet: a version without them wrote these. The indexer adds them in
-- steps before it writes anything else.
CREATE TABLE rollups_due (
    platform   bytea  PRIMARY KEY CHECK (length(platform) = 32),
    next_index bigint NOT NULL CHECK (next_index >= 0)
);
INSERT INTO rollups_due (platform, next_index) SELECT platform, 0 FROM journals WHERE leaf_count > 0;

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['rollups', 'rollup_grants', 'payers', 'user_months', 'exposures'] LOOP
        CALL put_under_undo(relation::regclass);
    END LOOP;
END $$;
