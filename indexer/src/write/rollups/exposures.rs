//! Which users a rule that holds some out has looked at, and on which side they were.

use super::{
    super::{WriteError, moment, rules::Facts},
    people::{People, Who},
};
use crate::stretch::Found;
use rebate_client::event::PaymentRecorded;
use rebate_core::outcome::Reason;
use rust_decimal::{Decimal, prelude::FromPrimitive};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Platform, rule, user.
type Key = ([u8; 32], u16, [u8; 32]);

struct Exposure {
    version: u16,
    is_held_out: bool,
    holdout_bps: u16,
    journal_index: i64,
    at: OffsetDateTime,
    /// What the user spent in the stretch before.
    net: i128,
}

/// Those of a stretch, each user's first under each rule.
#[derive(Default)]
pub(super) struct Exposures(BTreeMap<Key, Exposure>);

impl Exposures {
    /// Notes under which rules a payment met the conditions, where the user has spent `net` in the stretch before.
    pub fn note(
        &mut self,
        found: &Found,
        payment: &PaymentRecorded,
        facts: &Facts,
        net: i128,
    ) -> Result<(), WriteError> {
        for outcome in &payment.outcomes {
            let key = (payment.platform, outcome.rule, outcome.version);
            let Some(holdout_bps) = facts.get(&key).map(|fact| fact.holdout_bps).filter(|bps| *bps > 0) else {
                continue;
            };
            // Whether a user is held out is asked once the conditions hold; all later answers are on the other side.
            let reason = Reason::from_number(outcome.reason);
            if matches!(reason, None | Some(Reason::NotMatched | Reason::LateForWindow | Reason::Reversed)) {
                continue;
            }
            let at = moment(found, "it was paid", payment.paid_at)?;
            self.0.entry((payment.platform, outcome.rule, payment.user)).or_insert(Exposure {
                version: outcome.version,
                is_held_out: reason == Some(Reason::Holdout),
                holdout_bps,
                journal_index: found.journal_index,
                at,
                net,
            });
        }
        Ok(())
    }

    /// Writes those of users whom the rule had not looked at before. What they had spent before this stretch is read from their
    /// months, so the stretch must not be in there yet.
    pub async fn write(self, connection: &mut PgConnection, people: &People) -> Result<(), WriteError> {
        let all = self.0;
        if all.is_empty() {
            return Ok(());
        }
        let places = sqlx::query_scalar!(
            r#"SELECT asked.place AS "place!"
               FROM UNNEST($1::bytea[], $2::integer[], $3::bytea[]) WITH ORDINALITY AS asked (platform, rule, user_key, place)
               WHERE NOT EXISTS (
                   SELECT FROM exposures WHERE exposures.platform = asked.platform AND exposures.rule = asked.rule
                       AND exposures.user_key = asked.user_key
               )"#,
            &all.keys().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &all.keys().map(|(_, rule, _)| i32::from(*rule)).collect::<Vec<_>>(),
            &all.keys().map(|(.., user)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        )
        .fetch_all(&mut *connection)
        .await?;
        let places: BTreeSet<i64> = places.into_iter().collect();
        let new: Vec<(Key, Exposure)> =
            all.into_iter().zip(1_i64..).filter(|(_, place)| places.contains(place)).map(|(new, _)| new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let spent = spent_before(connection, people, &new).await?;
        sqlx::query!(
            "INSERT INTO exposures (platform, rule, user_key, version, held_out, holdout_bps, journal_index, exposed_at,
                                    spent_before)
             SELECT * FROM UNNEST($1::bytea[], $2::integer[], $3::bytea[], $4::integer[], $5::boolean[], $6::integer[],
                                  $7::bigint[], $8::timestamptz[], $9::numeric[])",
            &new.iter().map(|((platform, ..), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &new.iter().map(|((_, rule, _), _)| i32::from(*rule)).collect::<Vec<_>>(),
            &new.iter().map(|((.., user), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &new.iter().map(|(_, exposure)| i32::from(exposure.version)).collect::<Vec<_>>(),
            &new.iter().map(|(_, exposure)| exposure.is_held_out).collect::<Vec<_>>(),
            &new.iter().map(|(_, exposure)| i32::from(exposure.holdout_bps)).collect::<Vec<_>>(),
            &new.iter().map(|(_, exposure)| exposure.journal_index).collect::<Vec<_>>(),
            &new.iter().map(|(_, exposure)| exposure.at).collect::<Vec<_>>(),
            &spent,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// What each had spent when it was exposed, less what was refunded.
async fn spent_before(
    connection: &mut PgConnection,
    people: &People,
    new: &[(Key, Exposure)],
) -> Result<Vec<Decimal>, WriteError> {
    let known: BTreeSet<Who> =
        new.iter().map(|((platform, _, user), _)| (*user, *platform)).filter(|who| !people.is_new(who)).collect();
    let mut before: BTreeMap<Who, Decimal> = BTreeMap::new();
    if !known.is_empty() {
        let rows = sqlx::query!(
            r#"SELECT asked.place AS "place!", sum(paid - refunded) AS "spent!"
               FROM UNNEST($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (user_key, platform, place)
               JOIN user_months ON user_months.user_key = asked.user_key AND user_months.platform = asked.platform
               GROUP BY asked.place ORDER BY asked.place"#,
            &known.iter().map(|(user, _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &known.iter().map(|(_, platform)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        )
        .fetch_all(connection)
        .await?;
        let mut rows = rows.into_iter().peekable();
        for (who, place) in known.iter().zip(1_i64..) {
            if let Some(row) = rows.next_if(|row| row.place == place) {
                before.insert(*who, row.spent);
            }
        }
    }
    new.iter()
        .map(|((platform, _, user), exposure)| {
            let before = before.get(&(*user, *platform)).copied().unwrap_or_default();
            let net = Decimal::from_i128(exposure.net);
            net.and_then(|net| before.checked_add(net))
                .ok_or_else(|| sqlx::Error::Encode("what a user spent is too large".into()).into())
        })
        .collect()
}
