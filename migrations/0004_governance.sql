-- What a platform's people decide: assets of every kind and their vaults, roles, settings that are to change, oracle
-- keys that end, order shards by day, days that are closed.

ALTER TABLE assets
    DROP CONSTRAINT assets_kind_check,
    ADD CONSTRAINT assets_kind_check CHECK (kind IN ('points', 'token', 'voucher')),
    -- The calendar period it expires by, in months; 0 for never.
    ADD COLUMN expiry_months smallint      NOT NULL DEFAULT 0 CHECK (expiry_months BETWEEN 0 AND 24),
    -- Of a token.
    ADD COLUMN mint          bytea         CHECK (length(mint) = 32),
    -- The first paid_at a rule may grant it for, Unix seconds; 0 for open.
    ADD COLUMN active_from   bigint        NOT NULL DEFAULT 0,
    -- What all users have of it: the sum of their balances. Of a token, what the vault must hold at least. Points of
    -- many users can be more than a u64 holds.
    ADD COLUMN liability     numeric(30,0) NOT NULL DEFAULT 0 CHECK (liability >= 0),
    ADD CONSTRAINT assets_mint_of_a_token CHECK ((kind = 'token') = (mint IS NOT NULL));
UPDATE assets SET liability = coalesce((
    SELECT sum(balance) FROM balances
    WHERE balances.platform = assets.platform AND balances.asset = assets.asset
), 0);

-- The tokens behind a token asset.
CREATE TABLE vaults (
    platform      bytea         NOT NULL,
    asset         smallint      NOT NULL,
    address       bytea         NOT NULL CHECK (length(address) = 32),
    -- By the events. Tokens that somebody sends there otherwise are not in it until a deposit counts them.
    funds         numeric(20,0) NOT NULL DEFAULT 0 CHECK (funds BETWEEN 0 AND 18446744073709551615),
    opened_at     timestamptz   NOT NULL,
    -- The event that changed the funds last.
    journal_index bigint        NOT NULL,
    PRIMARY KEY (platform, asset),
    FOREIGN KEY (platform, asset) REFERENCES assets,
    FOREIGN KEY (platform, journal_index) REFERENCES events
);

-- A setting holds until next_…_from, Unix seconds, and next_… from then on; 0 where nothing is to follow.
ALTER TABLE platforms
    ADD COLUMN next_max_lateness      bigint CHECK (next_max_lateness BETWEEN 1 AND 4294967295),
    ADD COLUMN next_max_lateness_from bigint NOT NULL DEFAULT 0,
    ADD COLUMN next_timelock          bigint CHECK (next_timelock BETWEEN 0 AND 4294967295),
    ADD COLUMN next_timelock_from     bigint NOT NULL DEFAULT 0,
    -- Who may take up the role of admin, and from when on, Unix seconds.
    ADD COLUMN next_admin             bytea  CHECK (length(next_admin) = 32),
    ADD COLUMN next_admin_from        bigint NOT NULL DEFAULT 0,
    -- The last day, since 1970-01-01 in UTC, whose records are refused for good; with all before it.
    ADD COLUMN closed_through         bigint CHECK (closed_through BETWEEN 0 AND 4294967295);

-- When a key's validity was cut short, by the chain's clock.
ALTER TABLE oracle_keys ADD COLUMN retired_at timestamptz;

-- Into how many pages the orders of the days from from_day on are spread; days since 1970-01-01 in UTC.
CREATE TABLE order_shards (
    platform bytea   NOT NULL REFERENCES platforms,
    from_day bigint  NOT NULL CHECK (from_day BETWEEN 0 AND 4294967295),
    shards   integer NOT NULL CHECK (shards BETWEEN 1 AND 65535),
    PRIMARY KEY (platform, from_day)
);
INSERT INTO order_shards (platform, from_day, shards) SELECT address, 0, order_shards FROM platforms;
ALTER TABLE platforms DROP COLUMN order_shards;
