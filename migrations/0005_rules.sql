-- Everything a rule says and does: groups, exclusion, windows, limits, control groups, reversals, ends.

-- Rules from before were all of one kind, which the defaults describe. Rules from now on say it themselves.
ALTER TABLE rules
    ADD COLUMN group_number   smallint      NOT NULL DEFAULT 0 CHECK (group_number BETWEEN 0 AND 255),
    ADD COLUMN group_mode     text          NOT NULL DEFAULT 'stackable'
        CHECK (group_mode IN ('stackable', 'first', 'best')),
    -- Bit sets.
    ADD COLUMN tags           bigint        NOT NULL DEFAULT 0 CHECK (tags BETWEEN 0 AND 4294967295),
    ADD COLUMN excludes       bigint        NOT NULL DEFAULT 0 CHECK (excludes BETWEEN 0 AND 4294967295),
    -- Over which time, and whose, its counters are.
    ADD COLUMN counter_window text          NOT NULL DEFAULT 'lifetime'
        CHECK (counter_window IN ('day', 'week', 'month', 'lifetime', 'schedule')),
    ADD COLUMN counter_scope  text          NOT NULL DEFAULT 'user'
        CHECK (counter_scope IN ('user', 'user_streamer', 'user_session')),
    -- 0 for no limit.
    ADD COLUMN user_amount    numeric(20,0) NOT NULL DEFAULT 0 CHECK (user_amount BETWEEN 0 AND 18446744073709551615),
    ADD COLUMN user_count     numeric(20,0) NOT NULL DEFAULT 0 CHECK (user_count BETWEEN 0 AND 18446744073709551615),
    ADD COLUMN total_amount   numeric(20,0) NOT NULL DEFAULT 0 CHECK (total_amount BETWEEN 0 AND 18446744073709551615),
    ADD COLUMN total_count    numeric(20,0) NOT NULL DEFAULT 0 CHECK (total_count BETWEEN 0 AND 18446744073709551615),
    ADD COLUMN on_limit       text          NOT NULL DEFAULT 'clip' CHECK (on_limit IN ('clip', 'reject')),
    ADD COLUMN holdout_bps    integer       NOT NULL DEFAULT 0 CHECK (holdout_bps BETWEEN 0 AND 10000),
    -- What refunds took back of what it granted.
    ADD COLUMN reversed       numeric(20,0) NOT NULL DEFAULT 0,
    -- When it was decided that it ends at superseded_at without a successor, by the chain's clock.
    ADD COLUMN ended_at       timestamptz,
    -- When it left the rule book, by the chain's clock.
    ADD COLUMN dropped_at     timestamptz,
    ADD CONSTRAINT rules_reversed_check CHECK (reversed BETWEEN 0 AND granted);
ALTER TABLE rules
    ALTER COLUMN group_number DROP DEFAULT,
    ALTER COLUMN group_mode DROP DEFAULT,
    ALTER COLUMN tags DROP DEFAULT,
    ALTER COLUMN excludes DROP DEFAULT,
    ALTER COLUMN counter_window DROP DEFAULT,
    ALTER COLUMN counter_scope DROP DEFAULT,
    ALTER COLUMN user_amount DROP DEFAULT,
    ALTER COLUMN user_count DROP DEFAULT,
    ALTER COLUMN total_amount DROP DEFAULT,
    ALTER COLUMN total_count DROP DEFAULT,
    ALTER COLUMN on_limit DROP DEFAULT,
    ALTER COLUMN holdout_bps DROP DEFAULT;

-- rules.definition has more kinds of effect. Thresholds and values are u64, so strings; a value is an amount with
-- "fixed", basis points with the other modes:
-- {"kind": "tiers", "asset": 1, "mode": "fixed" | "slab" | "marginal", "steps": [["10000", "500"], …]}
-- {"kind": "streak", "asset": 1, "days": 7, "amount": "1000", "recurring": true}
-- {"kind": "multiplier", "asset": 1, "bps": 15000}
ALTER TABLE rules ADD CONSTRAINT rules_effect_check
    CHECK (definition -> 'effect' ->> 'kind' IN ('fixed', 'ratio', 'tiers', 'streak', 'multiplier'));

-- What a rule's budget is held against: all its versions together, less what was reversed; refunds do not give counts
-- back.
CREATE VIEW rule_budgets AS
    SELECT platform, rule, sum(granted - reversed) AS spent, sum(grants) AS grants FROM rules GROUP BY platform, rule;
