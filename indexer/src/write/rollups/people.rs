//! The users of a stretch, as far as it takes to tell what is new with them.

use super::{
    super::{WriteError, contradiction},
    calendar::{Buckets, Clocks},
    history::{History, Month},
    sums::number,
    visit::Visit,
};
use crate::stretch::Found;
use foldhash::fast::RandomState;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;

/// User and platform.
pub(super) type Who = ([u8; 32], [u8; 32]);

/// What is to be read of a user.
pub(super) struct Asked {
    /// The months, since January 1970, the last included.
    pub months: (i32, i32),
    /// Whether the first payment is in the stretch: nothing is stored then.
    pub is_new: bool,
    /// Whether what the first payment was counted by is asked for, too.
    pub wants_visit: bool,
}

impl Asked {
    /// Asks for more months.
    pub fn widen(&mut self, (first, last): (i32, i32)) {
        self.months = (self.months.0.min(first), self.months.1.max(last));
    }
}

/// A user's first payment.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    /// When it was paid, Unix seconds.
    pub at: i64,
    pub buckets: Buckets,
    /// As far as it was asked for.
    pub visit: Option<Visit>,
}

/// A user.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub history: History,
    pub joined: Option<Joined>,
    /// Whether the first payment is in this stretch.
    is_new: bool,
    /// What was paid less what was refunded in this stretch so far.
    pub net: i128,
}

impl Person {
    /// Notes the first payment.
    pub fn join(&mut self, at: i64, buckets: Buckets, visit: Visit) {
        self.is_new = true;
        self.joined = Some(Joined { at, buckets, visit: Some(visit) });
    }

    /// The first payment, which is there for everybody who paid.
    pub fn joined(&self, found: &Found) -> Result<&Joined, WriteError> {
        self.joined.as_ref().ok_or_else(|| contradiction(found, "the first payment of its user is not stored"))
    }
}

/// The users of a stretch.
pub(super) struct People {
    order: Vec<Who>,
    people: HashMap<Who, Person, RandomState>,
}

impl People {
    pub fn get_mut(&mut self, who: &Who) -> &mut Person {
        self.people.entry(*who).or_default()
    }

    /// Whether this stretch has the first payment.
    pub fn is_new(&self, who: &Who) -> bool {
        self.people.get(who).is_some_and(|person| person.is_new)
    }

    pub async fn read(
        connection: &mut PgConnection,
        asked: &HashMap<Who, Asked, RandomState>,
        clocks: &Clocks,
    ) -> Result<Self, WriteError> {
        let mut order: Vec<Who> = asked.keys().copied().collect();
        order.sort_unstable();
        let mut this = Self { order, people: HashMap::with_capacity_and_hasher(asked.len(), RandomState::default()) };
        let known: Vec<(Who, &Asked)> = this
            .order
            .iter()
            .filter_map(|who| Some((*who, asked.get(who)?)))
            .filter(|(_, asked)| !asked.is_new)
            .collect();
        this.read_months(connection, &known, clocks).await?;
        let joined = |who: &Who| this.people.get(who).is_some_and(|person| person.joined.is_some());
        let unknown: Vec<Who> =
            known.iter().filter(|(who, asked)| asked.wants_visit || !joined(who)).map(|(who, _)| *who).collect();
        this.read_first_payments(connection, &unknown, clocks).await?;
        Ok(this)
    }

    async fn read_months(
        &mut self,
        connection: &mut PgConnection,
        asked: &[(Who, &Asked)],
        clocks: &Clocks,
    ) -> Result<(), WriteError> {
        if asked.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            r#"SELECT asked.place AS "place!", local_month, paid, refunded, log
               FROM UNNEST($1::bytea[], $2::bytea[], $3::integer[], $4::integer[]) WITH ORDINALITY
                   AS asked (user_key, platform, first, last, place)
               JOIN user_months ON user_months.user_key = asked.user_key AND user_months.platform = asked.platform
                   AND local_month BETWEEN asked.first AND asked.last"#,
            &asked.iter().map(|((user, _), _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &asked.iter().map(|((_, platform), _)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
            &asked.iter().map(|(_, asked)| asked.months.0).collect::<Vec<_>>(),
            &asked.iter().map(|(_, asked)| asked.months.1).collect::<Vec<_>>(),
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let broken = || sqlx::Error::Decode("a row of user_months is not what this software writes".into());
            let place = usize::try_from(row.place - 1).map_err(|_| broken())?;
            let (who, _) = asked.get(place).ok_or_else(broken)?;
            let sum = |sum: Decimal| sum.to_u128().ok_or_else(broken);
            let (month, joined) = Month::decode(&row.log, sum(row.paid)?, sum(row.refunded)?)?;
            let person = self.people.entry(*who).or_default();
            person.history.months.insert(row.local_month, month);
            person.joined.get_or_insert_with(|| {
                let buckets = clocks.buckets(&who.1, joined);
                Joined { at: joined, buckets, visit: None }
            });
        }
        Ok(())
    }

    async fn read_first_payments(
        &mut self,
        connection: &mut PgConnection,
        asked: &[Who],
        clocks: &Clocks,
    ) -> Result<(), WriteError> {
        if asked.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            r#"SELECT asked.place AS "place!", joined_at, visit
               FROM UNNEST($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (user_key, platform, place)
               JOIN payers ON payers.user_key = asked.user_key AND payers.platform = asked.platform"#,
            &asked.iter().map(|(user, _)| *user).collect::<Vec<_>>() as &[[u8; 32]],
            &asked.iter().map(|(_, platform)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let broken = || sqlx::Error::Decode("a row of payers is not what this software writes".into());
            let place = usize::try_from(row.place - 1).map_err(|_| broken())?;
            let who = asked.get(place).ok_or_else(broken)?;
            let at = row.joined_at.unix_timestamp();
            let (buckets, visit) = (clocks.buckets(&who.1, at), Some(Visit::decode(&row.visit)?));
            self.people.entry(*who).or_default().joined = Some(Joined { at, buckets, visit });
        }
        Ok(())
    }

    /// Writes what has changed of them.
    pub async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        let (mut first, mut known, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for who in &self.order {
            let Some(person) = self.people.get(who) else { continue };
            let Some(joined) = &person.joined else { continue };
            if let Some(visit) = joined.visit.as_ref().filter(|_| person.is_new) {
                first.push((who, joined.at, visit.encode()?));
            }
            for (number, month) in person.history.months.iter().filter(|(_, month)| month.is_changed) {
                let row = (who, *number, month, month.encode(joined.at)?);
                if month.is_stored { known.push(row) } else { new.push(row) }
            }
        }
        insert_first_payments(connection, &first).await?;
        update_months(connection, &known).await?;
        insert_months(connection, &new).await
    }
}

async fn insert_first_payments(
    connection: &mut PgConnection,
    first: &[(&Who, i64, Vec<u8>)],
) -> Result<(), WriteError> {
    if first.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO payers (user_key, platform, joined_at, visit)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::timestamptz[], $4::bytea[])",
        &first.iter().map(|((user, _), ..)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &first.iter().map(|((_, platform), ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &first.iter().map(|(_, at, _)| moment(*at)).collect::<Vec<_>>(),
        &first.iter().map(|(.., visit)| visit.as_slice()).collect::<Vec<_>>() as &[&[u8]],
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn moment(seconds: i64) -> OffsetDateTime {
    // It came from one.
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// User, month, and what is stored of it.
type Row<'a> = (&'a Who, i32, &'a Month, Vec<u8>);

async fn update_months(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<(), WriteError> {
    if rows.is_empty() {
        return Ok(());
    }
    // As with users.
    sqlx::query!(
        "UPDATE user_months SET paid = new.paid, refunded = new.refunded, log = new.log
         FROM UNNEST($1::bytea[], $2::bytea[], $3::integer[], $4::numeric[], $5::numeric[], $6::bytea[])
              AS new (user_key, platform, local_month, paid, refunded, log)
         WHERE user_months.user_key = new.user_key AND user_months.platform = new.platform
             AND user_months.local_month = new.local_month",
        &rows.iter().map(|((user, _), ..)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &rows.iter().map(|((_, platform), ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &rows.iter().map(|(_, month, ..)| *month).collect::<Vec<_>>(),
        &rows.iter().map(|(_, _, month, _)| number(month.paid)).collect::<Result<Vec<_>, _>>()?,
        &rows.iter().map(|(_, _, month, _)| number(month.refunded)).collect::<Result<Vec<_>, _>>()?,
        &rows.iter().map(|(.., log)| log.as_slice()).collect::<Vec<_>>() as &[&[u8]],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_months(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<(), WriteError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO user_months (user_key, platform, local_month, paid, refunded, log)
         SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::integer[], $4::numeric[], $5::numeric[], $6::bytea[])",
        &rows.iter().map(|((user, _), ..)| *user).collect::<Vec<_>>() as &[[u8; 32]],
        &rows.iter().map(|((_, platform), ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &rows.iter().map(|(_, month, ..)| *month).collect::<Vec<_>>(),
        &rows.iter().map(|(_, _, month, _)| number(month.paid)).collect::<Result<Vec<_>, _>>()?,
        &rows.iter().map(|(_, _, month, _)| number(month.refunded)).collect::<Result<Vec<_>, _>>()?,
        &rows.iter().map(|(.., log)| log.as_slice()).collect::<Vec<_>>() as &[&[u8]],
    )
    .execute(connection)
    .await?;
    Ok(())
}
