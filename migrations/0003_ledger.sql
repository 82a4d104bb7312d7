-- Payments, what every rule did with each, and the ledger that follows from it. Rows are only ever added; balances and
-- users are their running sums.

CREATE TABLE payments (
    platform      bytea         NOT NULL,
    journal_index bigint        NOT NULL,
    order_hash    bytea         NOT NULL CHECK (length(order_hash) = 32),
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    oracle        bytea         NOT NULL CHECK (length(oracle) = 32),
    amount        numeric(20,0) NOT NULL CHECK (amount BETWEEN 1 AND 18446744073709551615),
    paid_at       timestamptz   NOT NULL,
    product       integer       NOT NULL CHECK (product BETWEEN 0 AND 65535),
    streamer      numeric(20,0) NOT NULL CHECK (streamer BETWEEN 0 AND 18446744073709551615),
    session       numeric(20,0) NOT NULL CHECK (session BETWEEN 0 AND 18446744073709551615),
    tier          smallint      NOT NULL CHECK (tier BETWEEN 0 AND 255),
    segments      bigint        NOT NULL CHECK (segments BETWEEN 0 AND 4294967295),
    -- The how-manieth payment of the user it is, from 1.
    number        bigint        NOT NULL CHECK (number >= 1),
    PRIMARY KEY (platform, journal_index),
    FOREIGN KEY (platform, journal_index) REFERENCES events
);
-- Not unique: the chain takes an order once per day of payment, and what the chain did is shown, not hidden.
CREATE INDEX payments_by_order ON payments (platform, order_hash, journal_index);
CREATE INDEX payments_by_user ON payments (platform, user_key, journal_index);

CREATE TABLE outcomes (
    platform       bytea         NOT NULL,
    journal_index  bigint        NOT NULL,
    -- Order of evaluation, from 0.
    position       smallint      NOT NULL CHECK (position >= 0),
    rule           integer       NOT NULL,
    version        integer       NOT NULL,
    -- A number of rebate_core::outcome::Reason; 0 is Granted.
    reason         smallint      NOT NULL CHECK (reason BETWEEN 0 AND 255),
    clause         smallint      NOT NULL CHECK (clause BETWEEN 0 AND 255),
    asset          smallint      NOT NULL CHECK (asset BETWEEN 1 AND 8),
    amount         numeric(20,0) NOT NULL CHECK (amount BETWEEN 0 AND 18446744073709551615),
    balance_before numeric(20,0) NOT NULL CHECK (balance_before BETWEEN 0 AND 18446744073709551615),
    balance_after  numeric(20,0) NOT NULL CHECK (balance_after BETWEEN 0 AND 18446744073709551615),
    PRIMARY KEY (platform, journal_index, position),
    FOREIGN KEY (platform, journal_index) REFERENCES payments,
    FOREIGN KEY (platform, rule, version) REFERENCES rules
);

-- One row per change of a balance.
CREATE TABLE entries (
    platform       bytea         NOT NULL,
    journal_index  bigint        NOT NULL,
    -- Place among the event's outcomes.
    position       smallint      NOT NULL,
    user_key       bytea         NOT NULL CHECK (length(user_key) = 32),
    operation      text          NOT NULL CHECK (operation IN ('grant')),
    asset          smallint      NOT NULL CHECK (asset BETWEEN 1 AND 8),
    -- Signed.
    change         numeric(20,0) NOT NULL CHECK (change <> 0),
    balance_before numeric(20,0) NOT NULL CHECK (balance_before BETWEEN 0 AND 18446744073709551615),
    balance_after  numeric(20,0) NOT NULL CHECK (balance_after BETWEEN 0 AND 18446744073709551615),
    order_hash     bytea         NOT NULL CHECK (length(order_hash) = 32),
    rule           integer       NOT NULL,
    version        integer       NOT NULL,
    at             timestamptz   NOT NULL,
    PRIMARY KEY (platform, journal_index, position),
    FOREIGN KEY (platform, journal_index, position) REFERENCES outcomes,
    CHECK (balance_before + change = balance_after)
);
CREATE INDEX entries_by_user ON entries (platform, user_key, journal_index, position);

CREATE TABLE users (
    platform      bytea         NOT NULL,
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    payments      bigint        NOT NULL CHECK (payments >= 1),
    paid          numeric(30,0) NOT NULL CHECK (paid >= 1),
    first_paid_at timestamptz   NOT NULL,
    last_paid_at  timestamptz   NOT NULL,
    PRIMARY KEY (platform, user_key)
);

CREATE TABLE balances (
    platform      bytea         NOT NULL,
    user_key      bytea         NOT NULL,
    asset         smallint      NOT NULL CHECK (asset BETWEEN 1 AND 8),
    balance       numeric(20,0) NOT NULL CHECK (balance BETWEEN 0 AND 18446744073709551615),
    entries       bigint        NOT NULL CHECK (entries >= 1),
    -- The event that changed it last.
    journal_index bigint        NOT NULL,
    PRIMARY KEY (platform, user_key, asset),
    FOREIGN KEY (platform, user_key) REFERENCES users,
    FOREIGN KEY (platform, asset) REFERENCES assets
);
