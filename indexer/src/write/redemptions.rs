//! Redemptions: what users spent with the platform.

use super::{Plan, WriteError, decimal, moment};
use crate::stretch::Found;
use rebate_client::event::{Event, Redeemed};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Adds the redemptions; the ledger has what they took.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found], plan: &Plan) -> Result<(), WriteError> {
    let mut redeemed: Vec<(&Found, &Redeemed, OffsetDateTime)> = Vec::new();
    for found in fresh {
        if let Event::Redeemed(event) = &found.event {
            redeemed.push((*found, event, moment(found, "it was redeemed", event.redeemed_at)?));
        }
    }
    if redeemed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO redemptions (platform, journal_index, order_hash, user_key, oracle, asset, amount, redeemed_at,
                                  month)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::smallint[],
                              $7::numeric[], $8::timestamptz[], $9::date[])",
        &redeemed.iter().map(|(_, event, _)| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &redeemed.iter().map(|(found, ..)| found.journal_index).collect::<Vec<_>>(),
        &redeemed.iter().map(|(_, event, _)| event.order).collect::<Vec<_>>() as &[[u8; 32]],
        &redeemed.iter().map(|(_, event, _)| event.user).collect::<Vec<_>>() as &[[u8; 32]],
        &redeemed.iter().map(|(_, event, _)| event.oracle).collect::<Vec<_>>() as &[[u8; 32]],
        &redeemed.iter().map(|(_, event, _)| i16::from(event.asset)).collect::<Vec<_>>(),
        &redeemed.iter().map(|(_, event, _)| decimal(event.amount)).collect::<Vec<_>>(),
        &redeemed.iter().map(|(.., at)| *at).collect::<Vec<_>>(),
        &redeemed.iter().map(|(found, ..)| plan.months.of_event(found).first_day()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
