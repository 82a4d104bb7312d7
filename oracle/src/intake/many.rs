//! What is new goes in by one statement.

use super::{Incoming, writer::Writer};
use crate::OracleError;
use std::collections::HashSet;

impl Writer {
    /// Stores those whose number and notice are new, and returns their numbers. One statement, hence one transaction and one
    /// round trip; all is sorted, so that two such statements wait for each other in one order.
    pub(super) async fn store_new(&self, new: &[&Incoming]) -> Result<HashSet<String>, OracleError> {
        if new.is_empty() {
            return Ok(HashSet::new());
        }
        let providers: Vec<&str> = new.iter().map(|one| &*one.provider).collect();
        let events: Vec<&str> = new.iter().map(|one| one.event.as_str()).collect();
        let bodies: Vec<&[u8]> = new.iter().map(|one| &*one.body).collect();
        let kinds: Vec<i16> = new.iter().map(|one| i16::from(one.record.kind)).collect();
        let numbers: Vec<&str> = new.iter().map(|one| one.record.number.as_str()).collect();
        let hashes: Vec<&[u8]> = new.iter().map(|one| one.record.order_hash.as_slice()).collect();
        let records: Vec<&[u8]> = new.iter().map(|one| one.record.record.as_slice()).collect();
        let users: Vec<Option<&str>> =
            new.iter().map(|one| one.record.user.as_ref().map(|(user, _)| user.as_str())).collect();
        let secrets: Vec<Option<i16>> =
            new.iter().map(|one| one.record.user.as_ref().map(|(_, secret)| *secret)).collect();
        let refunds: Vec<Option<&str>> = new.iter().map(|one| one.record.refund_of.as_deref()).collect();
        let keys: Vec<Option<&[u8]>> =
            new.iter().map(|one| one.record.signed.as_ref().map(|(key, _)| key.as_slice())).collect();
        let signatures: Vec<Option<&[u8]>> =
            new.iter().map(|one| one.record.signed.as_ref().map(|(_, signature)| signature.as_slice())).collect();
        let recorded = sqlx::query_scalar!(
            r#"WITH came AS MATERIALIZED (
                 SELECT * FROM unnest($2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::text[], $7::bytea[], $8::bytea[],
                                      $9::text[], $10::smallint[], $11::text[], $12::bytea[], $13::bytea[])
                   AS came(provider, event, body, kind, number, order_hash, record, user_id, secret, refund_of, key, signature)
             ), new_records AS (
                 INSERT INTO records (platform, kind, number, order_hash, record, user_id, refund_of, provider,
                                      signed_key, signed_signature)
                 SELECT $1, kind, number, order_hash, record, user_id, refund_of, provider, key, signature FROM came
                 WHERE NOT EXISTS (SELECT FROM notices WHERE notices.provider = came.provider AND notices.event = came.event)
                 ORDER BY number
                 ON CONFLICT (platform, number) DO NOTHING
                 RETURNING id, number
             ), new_notices AS (
                 INSERT INTO notices (provider, event, body, record)
                 SELECT provider, event, body, id FROM came JOIN new_records USING (number) ORDER BY provider, event
             ), new_users AS (
                 INSERT INTO users (platform, user_id, secret)
                 -- Left to the conflict: asked for beforehand, a plan from before the first statistics reads all users.
                 SELECT DISTINCT ON (user_id) $1, user_id, secret FROM came WHERE user_id IS NOT NULL
                 ORDER BY user_id
                 ON CONFLICT DO NOTHING
             )
             SELECT number AS "number!" FROM new_records"#,
            self.platform.as_slice(),
            providers.as_slice() as &[&str],
            events.as_slice() as &[&str],
            bodies.as_slice() as &[&[u8]],
            &kinds,
            numbers.as_slice() as &[&str],
            hashes.as_slice() as &[&[u8]],
            records.as_slice() as &[&[u8]],
            users.as_slice() as &[Option<&str>],
            secrets.as_slice() as &[Option<i16>],
            refunds.as_slice() as &[Option<&str>],
            keys.as_slice() as &[Option<&[u8]>],
            signatures.as_slice() as &[Option<&[u8]>],
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(recorded.into_iter().collect())
    }
}
