//! `rebate operator`.

use crate::arguments::{OperatorArguments, OperatorCommand, OperatorKeyCommand};
use anyhow::{Context, bail};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rebate_operators::{
    audit::{self, Actor, Head, Verdict},
    database,
    keys::{self, Draft, Listed},
};
use sqlx::PgPool;
use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// Connections to the operators' database.
const CONNECTIONS: u32 = 2;

/// Keys read in one go.
const STRIDE: i64 = 500;

/// Does what the command says.
///
/// # Errors
/// One clear reason; that the log was tampered with is one.
pub async fn run(arguments: OperatorArguments) -> anyhow::Result<()> {
    let url = arguments.database_url.context("no database: set OPERATORS_DATABASE_URL or pass --database-url")?;
    let pool = database::connect(&url, CONNECTIONS).await?;
    match arguments.command {
        OperatorCommand::Key(OperatorKeyCommand::Create { name, role, expires }) => {
            let draft = Draft { name: &name, role, expires_at: expires };
            let (key, listed) = keys::create(&pool, &Actor::CommandLine, None, &draft).await?;
            // Only the key, for whoever puts it into a file or a variable.
            println!("{}", key.reveal());
            eprintln!(
                "{}: the {role} {:?}, {}; keep the key above, it is not shown again",
                listed.identity.id,
                listed.identity.name,
                held(&listed)
            );
            Ok(())
        }
        OperatorCommand::Key(OperatorKeyCommand::List) => list(&pool).await,
        OperatorCommand::Key(OperatorKeyCommand::Revoke { id }) => {
            keys::revoke(&pool, &Actor::CommandLine, None, &id).await?;
            println!("{id}: revoked");
            Ok(())
        }
        OperatorCommand::Audit { since } => check(&pool, since).await,
    }
}

async fn list(pool: &PgPool) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["id", "name", "role", "made", "holds"]);
    let mut after = None;
    loop {
        let keys = keys::list(pool, after.as_ref(), STRIDE).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.identity.id.clone());
        for key in keys {
            let made = text(key.created_at);
            let holds = held(&key);
            table.add_row([key.identity.id.to_string(), key.identity.name, key.identity.role.to_string(), made, holds]);
        }
    }
    println!("{table}");
    Ok(())
}

async fn check(pool: &PgPool, since: Option<Head>) -> anyhow::Result<()> {
    match audit::verify(pool, since).await? {
        Verdict::Sound(head) => {
            println!("{head}");
            eprintln!("{} entries, all as they were written; keep the line above for --since", head.entries);
            Ok(())
        }
        Verdict::Tampered { id, what } => bail!("the log was tampered with at entry {id}: {what}"),
    }
}

fn held(key: &Listed) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", text(at)),
        (None, Some(end)) if !key.is_in_force(OffsetDateTime::now_utc()) => format!("expired {}", text(end)),
        (None, Some(end)) => format!("until {}", text(end)),
        (None, None) => "until revoked".to_owned(),
    }
}

fn text(moment: OffsetDateTime) -> String {
    let seconds = moment.to_offset(UtcOffset::UTC).replace_nanosecond(0).unwrap_or(moment);
    seconds.format(&Rfc3339).unwrap_or_else(|_| seconds.to_string())
}

/// A moment, or the day at whose beginning, in UTC, it is.
///
/// # Errors
/// Where it is neither.
pub fn moment(text: &str) -> Result<OffsetDateTime, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map(|day| day.midnight().assume_utc())
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .map_err(|_| "it is a day or a moment, like 2027-01-31 or 2027-01-31T18:00:00+08:00".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_expires_at_a_moment_or_where_a_day_begins() {
        let day = moment("2027-01-31").unwrap();
        assert_eq!(day, moment("2027-01-31T08:00:00+08:00").unwrap());
        assert!(moment("tomorrow").is_err());
    }
}
