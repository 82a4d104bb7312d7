-- Platforms with their settings, and every rule version ever published.

CREATE TABLE platforms (
    address       bytea         PRIMARY KEY CHECK (length(address) = 32),
    id            numeric(20,0) NOT NULL CHECK (id BETWEEN 0 AND 18446744073709551615),
    admin         bytea         NOT NULL CHECK (length(admin) = 32),
    pauser        bytea         NOT NULL CHECK (length(pauser) = 32),
    -- Seconds.
    max_lateness  bigint        NOT NULL CHECK (max_lateness BETWEEN 1 AND 4294967295),
    -- Seconds.
    timelock      bigint        NOT NULL CHECK (timelock BETWEEN 0 AND 4294967295),
    order_shards  integer       NOT NULL CHECK (order_shards BETWEEN 1 AND 65535),
    paused        boolean       NOT NULL DEFAULT false,
    created_at    timestamptz   NOT NULL
);

CREATE TABLE utc_offsets (
    platform bytea   NOT NULL REFERENCES platforms,
    -- Unix seconds from which local minus UTC is `seconds`.
    starts   bigint  NOT NULL,
    seconds  integer NOT NULL CHECK (seconds BETWEEN -50400 AND 50400),
    PRIMARY KEY (platform, starts)
);

CREATE TABLE assets (
    platform bytea    NOT NULL REFERENCES platforms,
    asset    smallint NOT NULL CHECK (asset BETWEEN 1 AND 8),
    name     text     NOT NULL CHECK (name <> ''),
    kind     text     NOT NULL CHECK (kind IN ('points')),
    PRIMARY KEY (platform, asset)
);

CREATE TABLE oracle_keys (
    platform    bytea  NOT NULL REFERENCES platforms,
    key         bytea  NOT NULL CHECK (length(key) = 32),
    -- Half-open, Unix seconds; 0 for open. Anybody may register any number on a platform of his own, also one that is no
    -- date.
    valid_from  bigint NOT NULL,
    valid_until bigint NOT NULL,
    PRIMARY KEY (platform, key)
);

CREATE TABLE rules (
    platform      bytea         NOT NULL REFERENCES platforms,
    rule          integer       NOT NULL CHECK (rule BETWEEN 0 AND 65535),
    version       integer       NOT NULL CHECK (version BETWEEN 1 AND 65535),
    name          text          NOT NULL CHECK (name <> ''),
    priority      integer       NOT NULL CHECK (priority BETWEEN 0 AND 65535),
    asset         smallint      NOT NULL CHECK (asset BETWEEN 1 AND 8),
    -- Half-open, against paid_at, Unix seconds; 0 for open.
    starts_at     bigint        NOT NULL,
    ends_at       bigint        NOT NULL,
    effective_at  bigint        NOT NULL,
    -- 0 while there is no later version.
    superseded_at bigint        NOT NULL DEFAULT 0,
    -- Condition and effect. Fields, operators and kinds by the names and signs that rule files use; u64 as strings, since
    -- JSON readers lose them otherwise; an `any` value is the bit set itself:
    -- {"condition": [{"clause": 0, "negated": false, "field": "payment_number", "operator": "==", "value": "1"}],
    --  "effect": {"kind": "fixed", "asset": 1, "amount": "1000"}
    --         or {"kind": "ratio", "asset": 1, "bps": 2000, "min": "0", "max": "100000"}}  (max "0": no limit)
    definition    jsonb         NOT NULL,
    published_at  timestamptz   NOT NULL,
    journal_index bigint        NOT NULL,
    granted       numeric(20,0) NOT NULL DEFAULT 0 CHECK (granted BETWEEN 0 AND 18446744073709551615),
    grants        bigint        NOT NULL DEFAULT 0 CHECK (grants >= 0),
    PRIMARY KEY (platform, rule, version),
    FOREIGN KEY (platform, asset) REFERENCES assets,
    FOREIGN KEY (platform, journal_index) REFERENCES events
);
