-- The other records beside payments: refunds, redemptions, wallet links, claims, expiry; and debts.

CREATE TABLE refunds (
    platform      bytea         NOT NULL,
    journal_index bigint        NOT NULL,
    -- The refund's own.
    order_hash    bytea         NOT NULL CHECK (length(order_hash) = 32),
    -- The payment it refunds. Where the oracle signed one order number for two days of payment, the first that fits.
    payment_index bigint        NOT NULL,
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    oracle        bytea         NOT NULL CHECK (length(oracle) = 32),
    amount        numeric(20,0) NOT NULL CHECK (amount BETWEEN 1 AND 18446744073709551615),
    -- What of the order was refunded so far, this refund included.
    refunded      numeric(20,0) NOT NULL CHECK (refunded BETWEEN amount AND 18446744073709551615),
    -- When it was paid back.
    paid_at       timestamptz   NOT NULL,
    PRIMARY KEY (platform, journal_index),
    FOREIGN KEY (platform, journal_index) REFERENCES events,
    FOREIGN KEY (platform, payment_index) REFERENCES payments,
    CHECK (payment_index < journal_index)
);
CREATE INDEX refunds_by_order ON refunds (platform, order_hash, journal_index);
CREATE UNIQUE INDEX refunds_by_payment ON refunds (platform, payment_index, refunded);

CREATE TABLE redemptions (
    platform      bytea         NOT NULL,
    journal_index bigint        NOT NULL,
    order_hash    bytea         NOT NULL CHECK (length(order_hash) = 32),
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    oracle        bytea         NOT NULL CHECK (length(oracle) = 32),
    asset         smallint      NOT NULL,
    amount        numeric(20,0) NOT NULL CHECK (amount BETWEEN 1 AND 18446744073709551615),
    redeemed_at   timestamptz   NOT NULL,
    PRIMARY KEY (platform, journal_index),
    FOREIGN KEY (platform, journal_index) REFERENCES events,
    FOREIGN KEY (platform, asset) REFERENCES assets
);
CREATE INDEX redemptions_by_order ON redemptions (platform, order_hash, journal_index);

-- Every wallet a user ever had; the latest linked_at counts.
CREATE TABLE wallet_links (
    platform      bytea       NOT NULL,
    journal_index bigint      NOT NULL,
    user_key      bytea       NOT NULL CHECK (length(user_key) = 32),
    wallet        bytea       NOT NULL CHECK (length(wallet) = 32),
    oracle        bytea       NOT NULL CHECK (length(oracle) = 32),
    linked_at     timestamptz NOT NULL,
    PRIMARY KEY (platform, journal_index),
    FOREIGN KEY (platform, journal_index) REFERENCES events
);
CREATE UNIQUE INDEX wallet_links_by_user ON wallet_links (platform, user_key, linked_at);

-- Tokens that users took out of a vault.
CREATE TABLE claims (
    platform      bytea         NOT NULL,
    journal_index bigint        NOT NULL,
    user_key      bytea         NOT NULL CHECK (length(user_key) = 32),
    wallet        bytea         NOT NULL CHECK (length(wallet) = 32),
    asset         smallint      NOT NULL,
    amount        numeric(20,0) NOT NULL CHECK (amount BETWEEN 1 AND 18446744073709551615),
    -- The token account they went to.
    destination   bytea         NOT NULL CHECK (length(destination) = 32),
    PRIMARY KEY (platform, journal_index),
    FOREIGN KEY (platform, journal_index) REFERENCES events,
    FOREIGN KEY (platform, asset) REFERENCES vaults
);

-- Refunds have outcomes too: reason 10, Reversed, and only grants that lose something.
ALTER TABLE outcomes
    DROP CONSTRAINT outcomes_platform_journal_index_fkey,
    ADD CONSTRAINT outcomes_platform_journal_index_fkey FOREIGN KEY (platform, journal_index) REFERENCES events,
    DROP CONSTRAINT outcomes_reason_check,
    ADD CONSTRAINT outcomes_reason_check CHECK (reason BETWEEN 0 AND 10);

-- An entry is a change of a balance, of a debt, or of both: a grant pays what the user owes before it adds to the
-- balance, and what a reversal does not find there is owed. What was granted or reversed is the change of the balance
-- less that of the debt. Redemptions, claims and expiry come from no rule, and the latter two from no order; of a
-- reversal, the order is the refund's own.
ALTER TABLE entries
    DROP CONSTRAINT entries_platform_journal_index_position_fkey,
    ADD CONSTRAINT entries_platform_journal_index_fkey FOREIGN KEY (platform, journal_index) REFERENCES events,
    DROP CONSTRAINT entries_operation_check,
    ADD CONSTRAINT entries_operation_check
        CHECK (operation IN ('grant', 'reversal', 'redemption', 'claim', 'expiry')),
    ADD COLUMN debt_before numeric(20,0) NOT NULL DEFAULT 0 CHECK (debt_before BETWEEN 0 AND 18446744073709551615),
    ADD COLUMN debt_after  numeric(20,0) NOT NULL DEFAULT 0 CHECK (debt_after BETWEEN 0 AND 18446744073709551615),
    ALTER COLUMN order_hash DROP NOT NULL,
    ALTER COLUMN rule DROP NOT NULL,
    ALTER COLUMN version DROP NOT NULL,
    DROP CONSTRAINT entries_change_check,
    ADD CONSTRAINT entries_change_check CHECK (CASE operation
        WHEN 'grant' THEN change >= 0 AND debt_after <= debt_before
        WHEN 'reversal' THEN change <= 0 AND debt_after >= debt_before
        ELSE change < 0 AND debt_after = debt_before
    END AND (change <> 0 OR debt_after <> debt_before)),
    ADD CONSTRAINT entries_order_check CHECK ((operation IN ('claim', 'expiry')) = (order_hash IS NULL)),
    ADD CONSTRAINT entries_rule_check CHECK (
        (operation IN ('grant', 'reversal')) = (rule IS NOT NULL) AND (rule IS NULL) = (version IS NULL)
    );
ALTER TABLE entries ALTER COLUMN debt_before DROP DEFAULT, ALTER COLUMN debt_after DROP DEFAULT;

-- Who owes has nothing.
ALTER TABLE balances
    ADD COLUMN debt numeric(20,0) NOT NULL DEFAULT 0 CHECK (debt BETWEEN 0 AND 18446744073709551615),
    ADD CONSTRAINT balances_debt_or_balance CHECK (debt = 0 OR balance = 0);
ALTER TABLE balances ALTER COLUMN debt DROP DEFAULT;

-- What the user was paid back.
ALTER TABLE users ADD COLUMN refunded numeric(30,0) NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND paid);
