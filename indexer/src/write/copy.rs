//! Rows in the binary format of COPY (PostgreSQL documentation, COPY, "Binary Format"), for stretches with many of them.

use super::{WriteError, month::Month};
use sqlx::PgConnection;
use time::{OffsetDateTime, macros::datetime};

/// So much is sent at once: the database works at it while the next is put together.
const PART: usize = 64 * 1024;

/// Signature, flags, and the length of an extension that is not there.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// In place of a row's number of columns.
const TRAILER: i16 = -1;

/// In place of a value's length.
const NULL: i32 = -1;

/// From here Postgres counts microseconds and days.
const EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00:00 UTC);

/// Rows as they are sent. A row is its number of columns, then each column's value.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    /// Begins a row of so many columns.
    pub fn row(&mut self, columns: i16) -> &mut Self {
        self.bytes.extend(columns.to_be_bytes());
        self
    }

    /// A `bytea`, or the characters of a `text`.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        // An event has at most some thousand bytes.
        self.length(value.len() as i32);
        self.bytes.extend(value);
        self
    }

    pub fn null(&mut self) -> &mut Self {
        self.length(NULL);
        self
    }

    pub fn smallint(&mut self, value: i16) -> &mut Self {
        self.length(2);
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub fn integer(&mut self, value: i32) -> &mut Self {
        self.length(4);
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.length(8);
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A `timestamptz`. All moments that an event or a block can name are within what it holds.
    pub fn moment(&mut self, value: OffsetDateTime) -> &mut Self {
        self.bigint((value - EPOCH).whole_microseconds() as i64)
    }

    /// A `date`.
    pub fn month(&mut self, value: Month) -> &mut Self {
        self.integer((value.first_day() - EPOCH.date()).whole_days() as i32)
    }

    /// A `numeric` without a fraction: its digits to the base of 10,000, the weight of the first one and the sign.
    pub fn numeric(&mut self, value: i128) -> &mut Self {
        const BASE: u128 = 10_000;
        const NEGATIVE: u16 = 0x4000;
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        let mut rest = value.unsigned_abs();
        // Ten digits hold every difference of two u64.
        while rest > 0 && first >= 2 {
            first -= 2;
            if let Some(digit) = digits.get_mut(first..first + 2) {
                digit.copy_from_slice(&((rest % BASE) as u16).to_be_bytes());
            }
            rest /= BASE;
        }
        let digits = digits.get(first..).unwrap_or_default();
        let count = (digits.len() / 2) as i16;
        self.length(8 + digits.len() as i32);
        self.bytes.extend(count.to_be_bytes());
        self.bytes.extend((count - 1).max(0).to_be_bytes());
        self.bytes.extend(if value < 0 { NEGATIVE } else { 0 }.to_be_bytes());
        self.bytes.extend(0_i16.to_be_bytes());
        self.bytes.extend(digits);
        self
    }

    fn length(&mut self, length: i32) {
        self.bytes.extend(length.to_be_bytes());
    }
}

/// Executes `statement`, a COPY … FROM STDIN (FORMAT binary), with a row for each of `items`, which `put` adds.
pub(super) async fn copy<T>(
    connection: &mut PgConnection,
    statement: &str,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Rows, T),
) -> Result<(), WriteError> {
    // Not checked when compiling: Postgres has nothing to say about a COPY before it is executed.
    let mut copying = connection.copy_in_raw(statement).await?;
    let mut rows = Rows::default();
    rows.bytes.extend(HEADER);
    for item in items {
        put(&mut rows, item);
        if rows.bytes.len() >= PART {
            copying.send(rows.bytes.as_slice()).await?;
            rows.bytes.clear();
        }
    }
    rows.bytes.extend(TRAILER.to_be_bytes());
    copying.send(rows.bytes.as_slice()).await?;
    copying.finish().await?;
    Ok(())
}
