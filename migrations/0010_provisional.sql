-- What was read before it was final, and how to take it back.
--
-- A stretch of blocks is provisional until an audit finds its last block on the chain's final fork. Until then every row
-- that its transaction changed has a copy in undo, from which take_back restores the tables as they were before it.

-- The last block known to be final; NULL where none is yet, and where an older version wrote what was confirmed only.
ALTER TABLE cursor
    ADD COLUMN final_slot bigint CHECK (final_slot >= 0),
    ADD COLUMN final_hash bytea  CHECK (length(final_hash) = 32),
    ADD CONSTRAINT cursor_final_check CHECK (final_slot <= slot AND (final_slot IS NULL) = (final_hash IS NULL));
UPDATE cursor SET final_slot = slot, final_hash = blockhash WHERE commitment = 'finalized';

-- The stretches that were written and are not final. Each begins where the one before ends.
CREATE TABLE provisional_stretches (
    end_slot   bigint      PRIMARY KEY CHECK (end_slot >= 0),
    end_hash   bytea       NOT NULL CHECK (length(end_hash) = 32),
    -- Where the cursor was before; NULL if there was none.
    start_slot bigint      CHECK (start_slot < end_slot),
    start_hash bytea       CHECK (length(start_hash) = 32),
    -- Its transactions that emitted something, and the slot of each.
    signatures bytea[]     NOT NULL,
    slots      bigint[]    NOT NULL,
    CHECK ((start_slot IS NULL) = (start_hash IS NULL)),
    CHECK (cardinality(signatures) = cardinality(slots))
);

-- One row for every row that a statement of a provisional stretch touched.
CREATE TABLE undo (
    -- Later statements have greater numbers.
    statement bigint NOT NULL,
    -- The stretch.
    end_slot  bigint NOT NULL,
    relation  text   NOT NULL,
    operation text   NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    -- As it was inserted, or as it was before.
    content   jsonb  NOT NULL
);
CREATE INDEX undo_by_statement ON undo (end_slot, statement);
CREATE SEQUENCE undo_statements;

-- Keeps what a statement touched, for the stretch whose end_slot the transaction has set rebate.provisional to.
CREATE FUNCTION keep_undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO undo (statement, end_slot, relation, operation, content)
    SELECT this.statement, current_setting('rebate.provisional')::bigint,
           format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), TG_OP, to_jsonb(touched.*)
    FROM nextval('undo_statements') AS this (statement), touched;
    RETURN NULL;
END $$;

-- Puts a table under undo. Every table that the indexer writes must be, but for those that take_back names. It must have a
-- primary key, whose values never change.
CREATE PROCEDURE put_under_undo(relation regclass) LANGUAGE plpgsql AS $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s TABLE AS touched FOR EACH STATEMENT
             WHEN (current_setting(''rebate.provisional'', true) <> '''') EXECUTE FUNCTION keep_undo()',
            'keep_undo_' || lower(event), event, relation, CASE event WHEN 'INSERT' THEN 'NEW' ELSE 'OLD' END
        );
    END LOOP;
END $$;

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'cursor', 'journals', 'journal_months', 'tree_nodes', 'platforms', 'utc_offsets', 'assets', 'vaults',
        'order_shards', 'oracle_keys', 'rules', 'refunds', 'wallet_links', 'claims', 'users', 'balances'
    ] LOOP
        CALL put_under_undo(relation::regclass);
    END LOOP;
END $$;

-- Undoes the stretches that end at first_end or later, statement by statement from the last one on. Returns how many rows
-- it touched; fails where one is not there any more.
--
-- The partitioned tables are not under undo: rows are only ever added to them, and a trigger that looks at what is added
-- makes every COPY buffer its rows, also where it does not fire. They go by their keys: what the journals did not count
-- before.
CREATE FUNCTION take_back(first_end bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    step     record;
    keys     text;
    columns  text;
    contents text;
    command  text;
    touched  bigint;
    total    bigint := 0;
    grown    text;
BEGIN
    FOR step IN
        SELECT platform, before.leaf_count, journals.leaf_count - before.leaf_count AS kept
        FROM (
            SELECT (content ->> 'platform')::bytea AS platform,
                   min(CASE operation WHEN 'INSERT' THEN 0 ELSE (content ->> 'leaf_count')::bigint END) AS leaf_count
            FROM undo WHERE relation::regclass = 'journals'::regclass AND end_slot >= first_end GROUP BY 1
        ) AS before JOIN journals USING (platform)
    LOOP
        FOREACH grown IN ARRAY ARRAY['events', 'payments', 'outcomes', 'entries', 'redemptions'] LOOP
            EXECUTE format('DELETE FROM %I WHERE platform = $1 AND journal_index >= $2', grown)
            USING step.platform, step.leaf_count;
            GET DIAGNOSTICS touched = ROW_COUNT;
            IF grown = 'events' AND touched <> step.kept THEN
                RAISE EXCEPTION 'taking back % rows of events found %: somebody else wrote to the database',
                    step.kept, touched;
            END IF;
            total := total + touched;
        END LOOP;
    END LOOP;
    SELECT coalesce(sum(cardinality(signatures)), 0) AS kept INTO step FROM provisional_stretches
    WHERE end_slot >= first_end;
    DELETE FROM transactions USING provisional_stretches, unnest(signatures) AS emitted (signature)
    WHERE end_slot >= first_end AND transactions.signature = emitted.signature;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> step.kept THEN
        RAISE EXCEPTION 'taking back % rows of transactions found %: somebody else wrote to the database',
            step.kept, touched;
    END IF;
    total := total + touched;

    FOR step IN
        SELECT end_slot, statement, relation, operation, count(*) AS kept FROM undo WHERE end_slot >= first_end
        GROUP BY end_slot, statement, relation, operation ORDER BY end_slot DESC, statement DESC
    LOOP
        SELECT string_agg(format('now_there.%1$I = before.%1$I', attname), ' AND ') INTO keys
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = step.relation::regclass AND indisprimary;
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
               string_agg(format('before.%I', attname), ', ' ORDER BY attnum)
        INTO columns, contents
        FROM pg_attribute
        WHERE attrelid = step.relation::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        command := CASE step.operation
            WHEN 'INSERT' THEN format(
                'DELETE FROM %1$s AS now_there USING undo, jsonb_populate_record(NULL::%1$s, undo.content) AS before
                 WHERE undo.end_slot = $1 AND undo.statement = $2 AND %2$s',
                step.relation, keys
            )
            -- A column that a migration has added since keeps what it has.
            WHEN 'UPDATE' THEN format(
                'UPDATE %1$s AS now_there
                 SET (%3$s) = (SELECT %4$s FROM jsonb_populate_record(now_there, undo.content) AS before)
                 FROM undo, jsonb_populate_record(NULL::%1$s, undo.content) AS before
                 WHERE undo.end_slot = $1 AND undo.statement = $2 AND %2$s',
                step.relation, keys, columns, contents
            )
            ELSE format(
                'INSERT INTO %1$s (%2$s)
                 SELECT %3$s FROM undo, jsonb_populate_record(NULL::%1$s, undo.content) AS before
                 WHERE undo.end_slot = $1 AND undo.statement = $2',
                step.relation, columns, contents
            )
        END;
        EXECUTE command USING step.end_slot, step.statement;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> step.kept THEN
            RAISE EXCEPTION 'taking back an % of % rows of % found %: somebody else wrote to the database',
                step.operation, step.kept, step.relation, touched;
        END IF;
        total := total + touched;
    END LOOP;
    DELETE FROM undo WHERE end_slot >= first_end;
    RETURN total;
END $$;
