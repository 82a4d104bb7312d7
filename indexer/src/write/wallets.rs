//! Wallets: who may take a user's tokens, and what they took.

use super::{WriteError, contradiction, decimal, moment};
use crate::stretch::Found;
use rebate_client::{
    Pubkey,
    event::{Claimed, Event, WalletLinked},
};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;

/// Platform and user.
type Key = ([u8; 32], [u8; 32]);

/// The wallet in effect.
struct Linked {
    wallet: [u8; 32],
    at: OffsetDateTime,
}

/// Adds links and claims. A link is newer than the one before, and only the linked wallet claims.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found]) -> Result<(), WriteError> {
    let users: HashSet<Key> = fresh
        .iter()
        .filter_map(|found| match &found.event {
            Event::WalletLinked(event) => Some((event.platform, event.user)),
            Event::Claimed(event) => Some((event.platform, event.user)),
            _ => None,
        })
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    let mut wallets = read(connection, &users).await?;
    let (mut links, mut claims) = (Vec::new(), Vec::new());
    for found in fresh {
        match &found.event {
            Event::WalletLinked(event) => {
                let at = moment(found, "it was linked", event.linked_at)?;
                let key = (event.platform, event.user);
                if wallets.get(&key).is_some_and(|before| before.at >= at) {
                    return Err(contradiction(found, "it is no newer than the wallet link before it"));
                }
                wallets.insert(key, Linked { wallet: event.wallet, at });
                links.push((*found, event, at));
            }
            Event::Claimed(event) => {
                let linked = wallets.get(&(event.platform, event.user)).map(|linked| linked.wallet);
                if linked != Some(event.wallet) {
                    let wallet = Pubkey::new_from_array(event.wallet);
                    return Err(contradiction(found, format!("{wallet} is not the wallet linked to its user")));
                }
                claims.push((*found, event));
            }
            _ => {}
        }
    }
    add_links(connection, &links).await?;
    add_claims(connection, &claims).await
}

async fn read(connection: &mut PgConnection, users: &HashSet<Key>) -> Result<HashMap<Key, Linked>, WriteError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (platform, user_key) platform, user_key, wallet, linked_at FROM wallet_links
         WHERE (platform, user_key) IN (SELECT * FROM UNNEST($1::bytea[], $2::bytea[]))
         ORDER BY platform, user_key, linked_at DESC",
        &users.iter().map(|(platform, _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &users.iter().map(|(_, user)| *user).collect::<Vec<_>>() as &[[u8; 32]],
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let broken = || sqlx::Error::Decode("a row of wallet_links is not what this software writes".into());
            let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| broken());
            let linked = Linked { wallet: bytes(&row.wallet)?, at: row.linked_at };
            Ok(((bytes(&row.platform)?, bytes(&row.user_key)?), linked))
        })
        .collect()
}

async fn add_links(
    connection: &mut PgConnection,
    links: &[(&Found, &WalletLinked, OffsetDateTime)],
) -> Result<(), WriteError> {
    if links.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO wallet_links (platform, journal_index, user_key, wallet, oracle, linked_at)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::timestamptz[])",
        &links.iter().map(|(_, event, _)| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &links.iter().map(|(found, ..)| found.journal_index).collect::<Vec<_>>(),
        &links.iter().map(|(_, event, _)| event.user).collect::<Vec<_>>() as &[[u8; 32]],
        &links.iter().map(|(_, event, _)| event.wallet).collect::<Vec<_>>() as &[[u8; 32]],
        &links.iter().map(|(_, event, _)| event.oracle).collect::<Vec<_>>() as &[[u8; 32]],
        &links.iter().map(|(.., at)| *at).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_claims(connection: &mut PgConnection, claims: &[(&Found, &Claimed)]) -> Result<(), WriteError> {
    if claims.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO claims (platform, journal_index, user_key, wallet, asset, amount, destination)
         SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::smallint[], $6::numeric[],
                              $7::bytea[])",
        &claims.iter().map(|(_, event)| event.platform).collect::<Vec<_>>() as &[[u8; 32]],
        &claims.iter().map(|(found, _)| found.journal_index).collect::<Vec<_>>(),
        &claims.iter().map(|(_, event)| event.user).collect::<Vec<_>>() as &[[u8; 32]],
        &claims.iter().map(|(_, event)| event.wallet).collect::<Vec<_>>() as &[[u8; 32]],
        &claims.iter().map(|(_, event)| i16::from(event.asset)).collect::<Vec<_>>(),
        &claims.iter().map(|(_, event)| decimal(event.amount)).collect::<Vec<_>>(),
        &claims.iter().map(|(_, event)| event.destination).collect::<Vec<_>>() as &[[u8; 32]],
    )
    .execute(connection)
    .await?;
    Ok(())
}
