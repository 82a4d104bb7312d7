-- What the platform's server is told by webhook: one row for each record that was decided.

CREATE TABLE deliveries (
    record          bigint      PRIMARY KEY REFERENCES records ON DELETE CASCADE,
    -- The state it is told: 3 recorded, 4 refused, 5 dead. A dead record that an operator queues again is told of once more.
    state           smallint    NOT NULL CHECK (state BETWEEN 3 AND 5),
    enqueued_at     timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- When to try next, and until then nobody else does; NULL where it is over.
    next_attempt_at timestamptz DEFAULT now(),
    last_error      text,
    delivered_at    timestamptz,
    failed_at       timestamptz,
    CHECK ((next_attempt_at IS NULL) = (delivered_at IS NOT NULL OR failed_at IS NOT NULL)),
    CHECK (delivered_at IS NULL OR failed_at IS NULL)
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_over ON deliveries (enqueued_at) WHERE next_attempt_at IS NULL;

-- In the transaction that decides a record, so that no decision can go without its delivery.
CREATE FUNCTION enqueue_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (record, state) VALUES (NEW.id, NEW.state)
    ON CONFLICT (record) DO UPDATE SET state = excluded.state, enqueued_at = now(), attempts = 0, next_attempt_at = now(),
        last_error = NULL, delivered_at = NULL, failed_at = NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER decided AFTER UPDATE OF state ON records
    FOR EACH ROW WHEN (NEW.state >= 3 AND NEW.state IS DISTINCT FROM OLD.state) EXECUTE FUNCTION enqueue_delivery();
