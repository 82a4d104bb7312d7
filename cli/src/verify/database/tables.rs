//! Table by table, row by row in the order of the primary key. Which tables and columns there are, the catalogue says.

use super::Tables;
use anyhow::Context;
use rebate_client::Pubkey;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::cmp::Ordering;

/// How many rows are read at once.
const AT_ONCE: usize = 1_000;

/// What is not a function of the chain, and why.
const LEFT_OUT: [(&str, &str); 10] = [
    ("_sqlx_migrations", "the schema's version, which was checked"),
    ("cursor", "compared with the node's block by itself"),
    ("fanout_positions", "how far the fan-out published"),
    ("webhook_endpoints", "what an operator asked for"),
    ("webhook_deliveries", "what became of it"),
    ("integrity", "what the indexer found when it compared"),
    ("journal_months", "where rows are kept, which an upgrade decides too"),
    ("rollups_due", "what an upgrade has left to add to the roll-ups"),
    ("undo", "what a revert would need; gone once the chain is final"),
    ("provisional_stretches", "what a revert would need; gone once the chain is final"),
];

/// A table of the schema.
struct Table {
    name: String,
    /// Name and type.
    columns: Vec<(String, String)>,
    /// Of the primary key, places among the columns.
    key: Vec<usize>,
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }

    /// Which of its rows are the platform's, with the platform's address as $1; `None` where nothing says.
    fn whose(&self) -> Option<&'static str> {
        if self.has("platform") {
            Some("platform = $1")
        } else if self.name == "platforms" {
            Some("address = $1")
        } else if self.name == "transactions" {
            Some("signature IN (SELECT signature FROM events WHERE platform = $1)")
        } else {
            None
        }
    }

    /// The rows as texts, in the order of the key; the same in every locale.
    fn query(&self, whose: &str) -> String {
        let columns: Vec<_> = self.columns.iter().map(|(name, _)| format!("{}::text", quoted(name))).collect();
        let key = self.key.iter().filter_map(|at| self.columns.get(*at)).map(|(name, kind)| match kind.as_str() {
            "text" => format!("{} COLLATE \"C\"", quoted(name)),
            _ => quoted(name),
        });
        format!(
            "DECLARE rows NO SCROLL CURSOR FOR SELECT ARRAY[{}] FROM {} WHERE {whose} ORDER BY {}",
            columns.join(", "),
            quoted(&self.name),
            key.collect::<Vec<_>>().join(", ")
        )
    }

    /// The primary key of a row, for people.
    fn named(&self, row: &[Option<String>]) -> String {
        let parts = self.key.iter().filter_map(|at| Some((&self.columns.get(*at)?.0, row.get(*at)?)));
        parts.map(|(name, value)| format!("{name} {}", text(value))).collect::<Vec<_>>().join(", ")
    }

    fn order(&self, a: &[Option<String>], b: &[Option<String>]) -> Ordering {
        let parts = self.key.iter().map(|at| {
            let kind = self.columns.get(*at).map_or("", |(_, kind)| kind);
            let of = |row: &[Option<String>]| row.get(*at).cloned().flatten().unwrap_or_default();
            let (a, b) = (of(a), of(b));
            match kind {
                "bigint" | "integer" | "smallint" => number(&a).cmp(&number(&b)),
                kind if kind.starts_with("numeric") => number(&a).cmp(&number(&b)),
                // Digits of bytes, of a time in one zone, and text compare as they are.
                _ => a.cmp(&b),
            }
        });
        parts.fold(Ordering::Equal, Ordering::then)
    }
}

/// A number without digits behind the point, as every key has.
fn number(text: &str) -> Option<i128> {
    text.parse().ok()
}

fn text(value: &Option<String>) -> String {
    value.as_deref().map_or_else(|| "NULL".to_owned(), |value| value.strip_prefix("\\x").unwrap_or(value).to_owned())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Compares every table of the schema.
pub(super) async fn compare(
    stored: &mut PgConnection,
    written: &mut PgConnection,
    platform: &Pubkey,
    found: &mut Tables,
    on_rows: &(dyn Fn(u64) + Send + Sync),
) -> anyhow::Result<()> {
    for mut table in tables(stored).await? {
        if let Some((name, why)) = LEFT_OUT.iter().find(|(name, _)| *name == table.name) {
            found.left_out.push(format!("{name}: {why}"));
            continue;
        }
        let Some(whose) = table.whose() else {
            found.left_out.push(format!("{}: it has no column that says which platform's a row is", table.name));
            continue;
        };
        drop_placement(&mut table);
        drop_wall_clock(stored, &mut table, found).await?;
        if table.name == "transactions" && found.left_out.iter().any(|left| left.starts_with("transactions.position")) {
            leave_out(&mut table, "position");
        }
        rows(stored, written, &table, whose, platform, found, on_rows)
            .await
            .with_context(|| format!("comparing the table {}", table.name))?;
        found.tables = found.tables.saturating_add(1);
    }
    orphans(stored, found).await
}

/// The tables of the schema that is used, partitions as part of what they are partitions of.
async fn tables(stored: &mut PgConnection) -> anyhow::Result<Vec<Table>> {
    // Not checked when compiling: the names are not known then.
    let rows = sqlx::query(
        "SELECT pg_class.relname::text,
                array_agg(attname::text ORDER BY attnum),
                array_agg(format_type(atttypid, atttypmod) ORDER BY attnum),
                coalesce((
                    SELECT array_agg((
                        SELECT count(*) FROM pg_attribute AS before
                        WHERE before.attrelid = pg_class.oid AND before.attnum > 0 AND NOT before.attisdropped
                            AND before.attnum < key.attnum
                    ) ORDER BY key.place)
                    FROM unnest(indkey::smallint[]) WITH ORDINALITY AS key (attnum, place)
                ), '{}')
         FROM pg_class
         JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
         LEFT JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
         GROUP BY pg_class.oid, pg_class.relname, indkey
         ORDER BY pg_class.relname",
    )
    .fetch_all(stored)
    .await?;
    let table = |row: PgRow| {
        let (names, kinds): (Vec<String>, Vec<String>) = (row.try_get(1)?, row.try_get(2)?);
        let key: Vec<i64> = row.try_get(3)?;
        let mut key: Vec<usize> = key.into_iter().filter_map(|at| usize::try_from(at).ok()).collect();
        if key.is_empty() {
            key = (0..names.len()).collect();
        }
        Ok(Table { name: row.try_get(0)?, columns: names.into_iter().zip(kinds).collect(), key })
    };
    rows.into_iter().map(table).collect()
}

/// When a row was written is no function of the chain: columns whose default is the time.
async fn drop_wall_clock(stored: &mut PgConnection, table: &mut Table, found: &mut Tables) -> anyhow::Result<()> {
    // Not checked when compiling, like the other questions to the catalogue.
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attrdef
         JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
         WHERE adrelid = $1::text::regclass AND pg_get_expr(adbin, adrelid) ~* '(now\\(\\)|current_timestamp|clock_timestamp)'",
    )
    .bind(quoted(&table.name))
    .fetch_all(stored)
    .await?;
    for column in columns {
        leave_out(table, &column);
        found.left_out.push(format!("{}.{column}: when the row was written", table.name));
    }
    Ok(())
}

/// The columns that say in which partition a row lies. They are in the keys of partitioned tables only because Postgres wants
/// them there; what an older version wrote lies in one of its own.
const PLACEMENT: [&str; 2] = ["month", "payment_month"];

fn drop_placement(table: &mut Table) {
    for column in PLACEMENT {
        let Some(at) = table.columns.iter().position(|(name, _)| name == column) else { continue };
        table.key.retain(|key| *key != at);
        leave_out(table, column);
    }
}

/// A column that is no part of the key is not compared.
fn leave_out(table: &mut Table, column: &str) {
    let Some(at) = table.columns.iter().position(|(name, _)| name == column) else { return };
    if table.key.contains(&at) {
        return;
    }
    table.columns.remove(at);
    for key in &mut table.key {
        if *key > at {
            *key = key.saturating_sub(1);
        }
    }
}

/// Rows of a table, some at a time.
struct Rows<'a> {
    connection: &'a mut PgConnection,
    rows: std::vec::IntoIter<Vec<Option<String>>>,
    ended: bool,
}

impl<'a> Rows<'a> {
    async fn open(connection: &'a mut PgConnection, query: String, platform: &Pubkey) -> anyhow::Result<Self> {
        // The names in it are the catalogue's, quoted.
        sqlx::query(AssertSqlSafe(query)).bind(platform.to_bytes()).execute(&mut *connection).await?;
        Ok(Self { connection, rows: Vec::new().into_iter(), ended: false })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<Option<String>>>> {
        if self.rows.as_slice().is_empty() && !self.ended {
            let fetch = format!("FETCH {AT_ONCE} FROM rows");
            let fetched: Vec<Vec<Option<String>>> =
                sqlx::query_scalar(AssertSqlSafe(fetch)).persistent(false).fetch_all(&mut *self.connection).await?;
            self.ended = fetched.len() < AT_ONCE;
            self.rows = fetched.into_iter();
        }
        Ok(self.rows.next())
    }

    async fn close(self) -> anyhow::Result<()> {
        sqlx::query("CLOSE rows").execute(self.connection).await?;
        Ok(())
    }
}

async fn rows(
    stored: &mut PgConnection,
    written: &mut PgConnection,
    table: &Table,
    whose: &str,
    platform: &Pubkey,
    found: &mut Tables,
    on_rows: &(dyn Fn(u64) + Send + Sync),
) -> anyhow::Result<()> {
    let query = table.query(whose);
    let mut ours = Rows::open(stored, query.clone(), platform).await?;
    let mut theirs = Rows::open(written, query, platform).await?;
    let (mut is, mut should) = (ours.next().await?, theirs.next().await?);
    let mut in_table = 0;
    loop {
        let order = match (&is, &should) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(is), Some(should)) => table.order(is, should),
        };
        if order != Ordering::Greater {
            found.rows = found.rows.saturating_add(1);
            on_rows(found.rows);
        }
        match (order, &is, &should) {
            (Ordering::Less, Some(is), _) => {
                let row = table.named(is);
                found.differs(&mut in_table, format!("{}: the row {row} is stored and should not be", table.name));
            }
            (Ordering::Greater, _, Some(should)) => {
                let row = table.named(should);
                found.differs(&mut in_table, format!("{}: the row {row} is missing", table.name));
            }
            (Ordering::Equal, Some(is), Some(should)) => {
                for (((column, _), is_value), should_be) in table.columns.iter().zip(is).zip(should) {
                    if is_value != should_be {
                        let (row, is, should) = (table.named(is), text(is_value), text(should_be));
                        found.differs(
                            &mut in_table,
                            format!("{}: the row {row}: {column} is {is} and should be {should}", table.name),
                        );
                    }
                }
            }
            _ => {}
        }
        if order != Ordering::Greater {
            is = ours.next().await?;
        }
        if order != Ordering::Less {
            should = theirs.next().await?;
        }
    }
    if in_table > super::NAMED {
        let more = in_table.saturating_sub(super::NAMED);
        found.differences.push(format!("{}: and {more} more", table.name));
    }
    ours.close().await?;
    theirs.close().await
}

/// A transaction is stored for its events.
async fn orphans(stored: &mut PgConnection, found: &mut Tables) -> anyhow::Result<()> {
    // Not checked when compiling, like the rest here.
    let orphans: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT signature FROM transactions
         WHERE NOT EXISTS (SELECT FROM events WHERE events.signature = transactions.signature) LIMIT 100",
    )
    .fetch_all(stored)
    .await?;
    let mut in_table = 0;
    for signature in orphans {
        let what =
            format!("transactions: the row signature {} is stored, and no event is of it", hex::encode(signature));
        found.differs(&mut in_table, what);
    }
    Ok(())
}
