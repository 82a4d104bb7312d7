-- Who may operate this platform, and what they did.

-- Operators' keys. Of a key only the SHA-256 of its secret half is kept: that is 32 random bytes, so nobody finds it from that.
CREATE TABLE keys (
    -- The public half, 16 hexadecimal digits: what a key is called in lists, logs and the audit log.
    id            text        PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    name          text        NOT NULL CHECK (name <> '' AND length(name) <= 100),
    role          text        NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    secret_sha256 bytea       NOT NULL CHECK (length(secret_sha256) = 32),
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- NULL for a key that holds until it is revoked.
    expires_at    timestamptz,
    revoked_at    timestamptz
);

-- Everything that operators did or tried to do. Rows are only ever added, by the transaction that does what they tell of.
CREATE TABLE audit (
    -- 1, 2, 3 and so on, without a gap.
    id            bigint      PRIMARY KEY CHECK (id > 0),
    at            timestamptz NOT NULL,
    -- The key's public half; NULL for the command line, which whoever reaches the database may use.
    operator      text        CHECK (operator ~ '^[0-9a-f]{16}$'),
    operator_name text        NOT NULL,
    -- What the key might do then.
    role          text        CHECK (role IN ('viewer', 'editor', 'admin')),
    -- What was done, like key.create, and on what.
    action        text        NOT NULL CHECK (action <> '' AND length(action) <= 100),
    target        text        NOT NULL CHECK (length(target) <= 500),
    -- begun: what became of it is another row; where there is none, nobody knows. refused: the role did not suffice.
    outcome       text        NOT NULL CHECK (outcome IN ('begun', 'done', 'failed', 'refused')),
    detail        text        CHECK (length(detail) <= 2000),
    request_id    text        CHECK (length(request_id) <= 200),
    -- The row's SHA-256, which includes that of the row before; operators/src/audit.rs says of which bytes.
    hash          bytea       NOT NULL CHECK (length(hash) = 32),
    CHECK ((operator IS NULL) = (role IS NULL))
);
CREATE INDEX audit_of_operator ON audit (operator, id);
CREATE INDEX audit_of_action ON audit (action, id);

-- Where the log ends. Who adds to it holds this row, so one comes after the other; and a log cut short does not fit it.
CREATE TABLE audit_head (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    entries bigint  NOT NULL CHECK (entries >= 0),
    -- Of the last row; 32 zeros before the first.
    hash    bytea   NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_head (entries, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
-- Also in sessions that replay what another server did.
ALTER TABLE audit ENABLE ALWAYS TRIGGER only_added_to, ENABLE ALWAYS TRIGGER never_emptied;
