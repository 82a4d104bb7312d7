-- What users' wallets signed to sign in counts once. A nonce is in here from its use until it has ended.
CREATE TABLE used_nonces (
    sha256  bytea       PRIMARY KEY CHECK (length(sha256) = 32),
    ends_at timestamptz NOT NULL
);
CREATE INDEX used_nonces_ended ON used_nonces (ends_at);
