-- no-transaction
-- What grows with every payment is kept by month, each in a partition of its own: indexes stay small, what is old is
-- never vacuumed again, and a month can be moved away or dropped without touching the others.
--
-- A row's month is that of its block by the chain's clock, and never earlier than that of a block before it. So a month
-- is a stretch of the chain, and of each journal a range of indices, which journal_months tells. It is a column of its
-- own because a partitioned table's primary key must contain it, and what is unique is so within a month only. That no
-- event is written twice was never up to that index alone: the cursor and the journals' counts decide what is new.
--
-- Rows from before this migration stay where they are, without being rewritten: the table as it was becomes the first
-- partition, for the month 0001-01-01. This runs in three transactions, each of which may be repeated. The first and
-- the last lock the tables for as long as changing a catalog takes; the second, which reads them whole, keeps only
-- writers waiting, and the writer is who runs it.
--
-- Foreign keys between tables that grow cost a lookup for every row. They repeated what the only writer checks anyway,
-- and what is compared with the chain continuously: that the event is in the journal (write/journals.rs), that a
-- refund's payment is there (write/refunds.rs), that rule, asset and balance are (write/rules.rs, write/assets.rs,
-- write/ledger.rs).

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';

ALTER TABLE events DROP CONSTRAINT IF EXISTS events_signature_fkey;
ALTER TABLE payments DROP CONSTRAINT IF EXISTS payments_platform_journal_index_fkey;
ALTER TABLE outcomes
    DROP CONSTRAINT IF EXISTS outcomes_platform_journal_index_fkey,
    DROP CONSTRAINT IF EXISTS outcomes_platform_rule_version_fkey;
ALTER TABLE entries DROP CONSTRAINT IF EXISTS entries_platform_journal_index_fkey;
ALTER TABLE redemptions
    DROP CONSTRAINT IF EXISTS redemptions_platform_journal_index_fkey,
    DROP CONSTRAINT IF EXISTS redemptions_platform_asset_fkey;
ALTER TABLE refunds
    DROP CONSTRAINT IF EXISTS refunds_platform_journal_index_fkey,
    DROP CONSTRAINT IF EXISTS refunds_platform_payment_index_fkey;
ALTER TABLE wallet_links DROP CONSTRAINT IF EXISTS wallet_links_platform_journal_index_fkey;
ALTER TABLE claims DROP CONSTRAINT IF EXISTS claims_platform_journal_index_fkey;
ALTER TABLE rules DROP CONSTRAINT IF EXISTS rules_platform_journal_index_fkey;
ALTER TABLE vaults DROP CONSTRAINT IF EXISTS vaults_platform_journal_index_fkey;
ALTER TABLE balances
    DROP CONSTRAINT IF EXISTS balances_platform_user_key_fkey,
    DROP CONSTRAINT IF EXISTS balances_platform_asset_fkey;

-- It only served the foreign key.
DROP INDEX IF EXISTS events_by_transaction;

-- A user's rows are changed with every payment. Where a page has room for the new row, no index is touched.
ALTER TABLE users SET (fillfactor = 60);
ALTER TABLE balances SET (fillfactor = 60);

-- A constant default is not written into the rows.
ALTER TABLE cursor ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01';
ALTER TABLE journals ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01';
ALTER TABLE refunds
    ADD COLUMN IF NOT EXISTS month         date NOT NULL DEFAULT '0001-01-01',
    ADD COLUMN IF NOT EXISTS payment_month date NOT NULL DEFAULT '0001-01-01';
ALTER TABLE transactions ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS transactions_before,
    ADD CONSTRAINT transactions_before CHECK (month = '0001-01-01') NOT VALID;
ALTER TABLE events ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS events_before,
    ADD CONSTRAINT events_before CHECK (month = '0001-01-01') NOT VALID;
ALTER TABLE payments ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS payments_before,
    ADD CONSTRAINT payments_before CHECK (month = '0001-01-01') NOT VALID;
ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS outcomes_before,
    ADD CONSTRAINT outcomes_before CHECK (month = '0001-01-01') NOT VALID;
ALTER TABLE entries ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS entries_before,
    ADD CONSTRAINT entries_before CHECK (month = '0001-01-01') NOT VALID;
ALTER TABLE redemptions ADD COLUMN IF NOT EXISTS month date NOT NULL DEFAULT '0001-01-01',
    DROP CONSTRAINT IF EXISTS redemptions_before,
    ADD CONSTRAINT redemptions_before CHECK (month = '0001-01-01') NOT VALID;
COMMIT;

-- What takes long. Readers go on.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_before_key ON transactions (signature, month);
CREATE UNIQUE INDEX IF NOT EXISTS events_before_key ON events (platform, journal_index, month);
CREATE UNIQUE INDEX IF NOT EXISTS payments_before_key ON payments (platform, journal_index, month);
CREATE UNIQUE INDEX IF NOT EXISTS outcomes_before_key ON outcomes (platform, journal_index, position, month);
CREATE UNIQUE INDEX IF NOT EXISTS entries_before_key ON entries (platform, journal_index, position, month);
CREATE UNIQUE INDEX IF NOT EXISTS redemptions_before_key ON redemptions (platform, journal_index, month);
CREATE INDEX IF NOT EXISTS payments_before_by_order ON payments (order_hash, platform, journal_index);
CREATE INDEX IF NOT EXISTS payments_before_by_user ON payments (user_key, platform, journal_index);
CREATE INDEX IF NOT EXISTS entries_before_by_user ON entries (user_key, platform, journal_index, position);
ALTER TABLE transactions VALIDATE CONSTRAINT transactions_before;
ALTER TABLE events VALIDATE CONSTRAINT events_before;
ALTER TABLE payments VALIDATE CONSTRAINT payments_before;
ALTER TABLE outcomes VALIDATE CONSTRAINT outcomes_before;
ALTER TABLE entries VALIDATE CONSTRAINT entries_before;
ALTER TABLE redemptions VALIDATE CONSTRAINT redemptions_before;
COMMIT;

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';
LOCK TABLE transactions, events, payments, outcomes, entries, redemptions IN ACCESS EXCLUSIVE MODE;

ALTER TABLE transactions RENAME TO transactions_before;
ALTER TABLE transactions_before
    DROP CONSTRAINT transactions_pkey,
    ADD CONSTRAINT transactions_before_pkey PRIMARY KEY USING INDEX transactions_before_key;
CREATE TABLE transactions (
    slot       bigint  NOT NULL CONSTRAINT transactions_slot_check CHECK (slot >= 0),
    block_time timestamptz,
    -- Position in its block.
    position   integer NOT NULL CONSTRAINT transactions_position_check CHECK (position >= 0),
    month      date    NOT NULL,
    signature  bytea   NOT NULL CONSTRAINT transactions_signature_check CHECK (length(signature) = 64),
    PRIMARY KEY (signature, month)
) PARTITION BY RANGE (month);

ALTER TABLE events RENAME TO events_before;
ALTER TABLE events_before
    DROP CONSTRAINT events_pkey,
    ADD CONSTRAINT events_before_pkey PRIMARY KEY USING INDEX events_before_key;
CREATE TABLE events (
    journal_index bigint      NOT NULL CONSTRAINT events_journal_index_check CHECK (journal_index >= 0),
    -- The chain's clock.
    at            timestamptz NOT NULL,
    -- That of its transaction.
    month         date        NOT NULL,
    platform      bytea       NOT NULL CONSTRAINT events_platform_check CHECK (length(platform) = 32),
    -- The transaction it came with.
    signature     bytea       NOT NULL,
    kind          text        NOT NULL CONSTRAINT events_kind_check CHECK (kind <> ''),
    bytes         bytea       NOT NULL CONSTRAINT events_bytes_check CHECK (length(bytes) >= 8),
    PRIMARY KEY (platform, journal_index, month)
) PARTITION BY RANGE (month);

ALTER TABLE payments RENAME TO payments_before;
DROP INDEX payments_by_order, payments_by_user;
ALTER TABLE payments_before
    DROP CONSTRAINT payments_pkey,
    ADD CONSTRAINT payments_before_pkey PRIMARY KEY USING INDEX payments_before_key;
CREATE TABLE payments (
    journal_index bigint        NOT NULL,
    paid_at       timestamptz   NOT NULL,
    segments      bigint        NOT NULL CONSTRAINT payments_segments_check CHECK (segments BETWEEN 0 AND 4294967295),
    -- The how-manieth payment of the user it is, from 1.
    number        bigint        NOT NULL CONSTRAINT payments_number_check CHECK (number >= 1),
    product       integer       NOT NULL CONSTRAINT payments_product_check CHECK (product BETWEEN 0 AND 65535),
    -- That of its event.
    month         date          NOT NULL,
    tier          smallint      NOT NULL CONSTRAINT payments_tier_check CHECK (tier BETWEEN 0 AND 255),
    platform      bytea         NOT NULL,
    order_hash    bytea         NOT NULL CONSTRAINT payments_order_hash_check CHECK (length(order_hash) = 32),
    user_key      bytea         NOT NULL CONSTRAINT payments_user_key_check CHECK (length(user_key) = 32),
    oracle        bytea         NOT NULL CONSTRAINT payments_oracle_check CHECK (length(oracle) = 32),
    amount        numeric(20,0) NOT NULL
        CONSTRAINT payments_amount_check CHECK (amount BETWEEN 1 AND 18446744073709551615),
    streamer      numeric(20,0) NOT NULL
        CONSTRAINT payments_streamer_check CHECK (streamer BETWEEN 0 AND 18446744073709551615),
    session       numeric(20,0) NOT NULL
        CONSTRAINT payments_session_check CHECK (session BETWEEN 0 AND 18446744073709551615),
    PRIMARY KEY (platform, journal_index, month)
) PARTITION BY RANGE (month);
-- Not unique: the chain takes an order once per day of payment, and what the chain did is shown, not hidden. What tells
-- most comes first: finding the place of a new row then compares one value and not two.
CREATE INDEX payments_by_order ON payments (order_hash, platform, journal_index);
CREATE INDEX payments_by_user ON payments (user_key, platform, journal_index);

ALTER TABLE outcomes RENAME TO outcomes_before;
ALTER TABLE outcomes_before
    DROP CONSTRAINT outcomes_pkey,
    ADD CONSTRAINT outcomes_before_pkey PRIMARY KEY USING INDEX outcomes_before_key;
CREATE TABLE outcomes (
    journal_index  bigint        NOT NULL,
    -- That of its event.
    month          date          NOT NULL,
    rule           integer       NOT NULL,
    version        integer       NOT NULL,
    -- Order of evaluation, from 0.
    position       smallint      NOT NULL CONSTRAINT outcomes_position_check CHECK (position >= 0),
    -- A number of rebate_core::outcome::Reason; 0 is Granted.
    reason         smallint      NOT NULL,
    clause         smallint      NOT NULL CONSTRAINT outcomes_clause_check CHECK (clause BETWEEN 0 AND 255),
    asset          smallint      NOT NULL CONSTRAINT outcomes_asset_check CHECK (asset BETWEEN 1 AND 8),
    platform       bytea         NOT NULL,
    amount         numeric(20,0) NOT NULL
        CONSTRAINT outcomes_amount_check CHECK (amount BETWEEN 0 AND 18446744073709551615),
    balance_before numeric(20,0) NOT NULL
        CONSTRAINT outcomes_balance_before_check CHECK (balance_before BETWEEN 0 AND 18446744073709551615),
    balance_after  numeric(20,0) NOT NULL
        CONSTRAINT outcomes_balance_after_check CHECK (balance_after BETWEEN 0 AND 18446744073709551615),
    PRIMARY KEY (platform, journal_index, position, month),
    CONSTRAINT outcomes_reason_check CHECK (reason BETWEEN 0 AND 10)
) PARTITION BY RANGE (month);

ALTER TABLE entries RENAME TO entries_before;
DROP INDEX entries_by_user;
ALTER TABLE entries_before
    DROP CONSTRAINT entries_pkey,
    ADD CONSTRAINT entries_before_pkey PRIMARY KEY USING INDEX entries_before_key;
-- One row per change of a balance, of a debt, or of both; see 0006.
CREATE TABLE entries (
    journal_index  bigint        NOT NULL,
    at             timestamptz   NOT NULL,
    -- That of its event.
    month          date          NOT NULL,
    rule           integer,
    version        integer,
    -- Place among the event's outcomes.
    position       smallint      NOT NULL,
    asset          smallint      NOT NULL CONSTRAINT entries_asset_check CHECK (asset BETWEEN 1 AND 8),
    platform       bytea         NOT NULL,
    user_key       bytea         NOT NULL CONSTRAINT entries_user_key_check CHECK (length(user_key) = 32),
    order_hash     bytea         CONSTRAINT entries_order_hash_check CHECK (length(order_hash) = 32),
    operation      text          NOT NULL,
    -- Signed.
    change         numeric(20,0) NOT NULL,
    balance_before numeric(20,0) NOT NULL
        CONSTRAINT entries_balance_before_check CHECK (balance_before BETWEEN 0 AND 18446744073709551615),
    balance_after  numeric(20,0) NOT NULL
        CONSTRAINT entries_balance_after_check CHECK (balance_after BETWEEN 0 AND 18446744073709551615),
    debt_before    numeric(20,0) NOT NULL
        CONSTRAINT entries_debt_before_check CHECK (debt_before BETWEEN 0 AND 18446744073709551615),
    debt_after     numeric(20,0) NOT NULL
        CONSTRAINT entries_debt_after_check CHECK (debt_after BETWEEN 0 AND 18446744073709551615),
    PRIMARY KEY (platform, journal_index, position, month),
    CONSTRAINT entries_check CHECK (balance_before + change = balance_after),
    CONSTRAINT entries_operation_check
        CHECK (operation IN ('grant', 'reversal', 'redemption', 'claim', 'expiry')),
    CONSTRAINT entries_change_check CHECK (CASE operation
        WHEN 'grant' THEN change >= 0 AND debt_after <= debt_before
        WHEN 'reversal' THEN change <= 0 AND debt_after >= debt_before
        ELSE change < 0 AND debt_after = debt_before
    END AND (change <> 0 OR debt_after <> debt_before)),
    CONSTRAINT entries_order_check CHECK ((operation IN ('claim', 'expiry')) = (order_hash IS NULL)),
    CONSTRAINT entries_rule_check CHECK (
        (operation IN ('grant', 'reversal')) = (rule IS NOT NULL) AND (rule IS NULL) = (version IS NULL)
    )
) PARTITION BY RANGE (month);
CREATE INDEX entries_by_user ON entries (user_key, platform, journal_index, position);

ALTER TABLE redemptions RENAME TO redemptions_before;
ALTER INDEX redemptions_by_order RENAME TO redemptions_before_by_order;
ALTER TABLE redemptions_before
    DROP CONSTRAINT redemptions_pkey,
    ADD CONSTRAINT redemptions_before_pkey PRIMARY KEY USING INDEX redemptions_before_key;
CREATE TABLE redemptions (
    journal_index bigint        NOT NULL,
    redeemed_at   timestamptz   NOT NULL,
    -- That of its event.
    month         date          NOT NULL,
    asset         smallint      NOT NULL,
    platform      bytea         NOT NULL,
    order_hash    bytea         NOT NULL CONSTRAINT redemptions_order_hash_check CHECK (length(order_hash) = 32),
    user_key      bytea         NOT NULL CONSTRAINT redemptions_user_key_check CHECK (length(user_key) = 32),
    oracle        bytea         NOT NULL CONSTRAINT redemptions_oracle_check CHECK (length(oracle) = 32),
    amount        numeric(20,0) NOT NULL
        CONSTRAINT redemptions_amount_check CHECK (amount BETWEEN 1 AND 18446744073709551615),
    PRIMARY KEY (platform, journal_index, month)
) PARTITION BY RANGE (month);
CREATE INDEX redemptions_by_order ON redemptions (platform, order_hash, journal_index);

-- Where nothing was written before, nothing is kept of it.
DO $$
DECLARE
    parent text;
    filled boolean;
BEGIN
    FOREACH parent IN ARRAY ARRAY['transactions', 'events', 'payments', 'outcomes', 'entries', 'redemptions'] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', parent || '_before') INTO filled;
        IF filled THEN
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (''1970-01-01'')',
                parent, parent || '_before'
            );
        ELSE
            EXECUTE format('DROP TABLE %I', parent || '_before');
        END IF;
    END LOOP;
END $$;

-- From which index on a platform's events are of a month; up to the next one's.
CREATE TABLE journal_months (
    platform    bytea  NOT NULL CHECK (length(platform) = 32),
    month       date   NOT NULL,
    first_index bigint NOT NULL CHECK (first_index >= 0),
    PRIMARY KEY (platform, month)
);
INSERT INTO journal_months (platform, month, first_index) SELECT platform, '0001-01-01', 0 FROM journals;

-- In which month an event of a platform is.
CREATE FUNCTION month_of(of_platform bytea, journal_index bigint) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT max(month) FROM journal_months WHERE platform = of_platform AND first_index <= journal_index
$$;

-- Makes the partitions of these months, each by its first day, where they are missing. A table that is made first and
-- then attached keeps nobody waiting who reads.
CREATE FUNCTION make_months(months date[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    first  date;
    made   bigint := 0;
BEGIN
    FOREACH first IN ARRAY months LOOP
        FOREACH parent IN ARRAY ARRAY['transactions', 'events', 'payments', 'outcomes', 'entries', 'redemptions'] LOOP
            CONTINUE WHEN to_regclass(parent || to_char(first, '_YYYY_MM')) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', parent || to_char(first, '_YYYY_MM'), parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, parent || to_char(first, '_YYYY_MM'), first, (first + interval '1 month')::date
            );
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
COMMIT;
