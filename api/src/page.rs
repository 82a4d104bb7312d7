//! Lists in pages, by keyset: a cursor says after which row to go on, so rows that come in meanwhile neither repeat nor
//! hide others.

use crate::problem::{CursorFault, Detail, Kind, Problem};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// How many items a page has where the request does not say.
pub const DEFAULT_LIMIT: u16 = 50;

/// How many it can have.
pub const MAX_LIMIT: u16 = 200;

/// The version of the cursors' layout.
const VERSION: u8 = 1;

/// Version and list before the key, digest behind it.
const HEAD: usize = 2;
const DIGEST: usize = 8;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Where to go on: `next_cursor` of the page before, as it is. It holds for the same list with the same filters.
    #[param(example = "AQIAAAAAAAAAKgABc4LrFyhZ-wE")]
    cursor: Option<String>,
}

/// The lists there are. The numbers stand in cursors: never renumber, only add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum List {
    /// Platforms.
    Platforms = 1,
    /// Entries of a user.
    Entries = 2,
    /// Orders.
    Orders = 3,
    /// Rule versions.
    Rules = 4,
    /// What is new.
    Live = 5,
    /// Streamers of a user.
    Streamers = 6,
    /// Live sessions of a user.
    Sessions = 7,
    // What operators see.
    /// Operators' keys.
    OperatorKeys = 32,
    /// The audit log.
    Audit = 33,
    /// The oracle's dead letters.
    DeadLetters = 34,
}

/// What a row is sorted by.
pub trait Key: Sized {
    /// The key's bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// The key again; `None` if these are not its bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A list with its filters.
#[derive(Clone, Debug)]
pub struct Scope {
    list: List,
    filters: [u8; 32],
}

impl Scope {
    /// `list`, narrowed down by `filters`, which must include the platform.
    pub fn new(list: List, filters: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for filter in filters {
            digest.update((filter.len() as u64).to_le_bytes());
            digest.update(filter);
        }
        Self { list, filters: digest.finalize().into() }
    }

    fn digest(&self, body: &[u8]) -> [u8; DIGEST] {
        let digest =
            Sha256::new().chain_update(b"rebate cursor").chain_update(self.filters).chain_update(body).finalize();
        let mut short = [0; DIGEST];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        short
    }

    /// The cursor that goes on after the row with `key`.
    pub fn cursor<K: Key>(&self, key: &K) -> String {
        let mut bytes = vec![VERSION, self.list as u8];
        key.write(&mut bytes);
        let digest = self.digest(&bytes);
        bytes.extend(digest);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The key in `cursor`. The digest keeps a cursor to its list and catches typing errors; there is nothing to protect
    /// in it, since a cursor only says where to go on.
    ///
    /// # Errors
    /// Where it is none of this list's.
    pub fn key<K: Key>(&self, cursor: &str) -> Result<K, Problem> {
        let refused = |fault| Problem::new(Kind::InvalidCursor, Detail::Cursor(fault));
        let broken = || refused(CursorFault::Broken);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| broken())?;
        let (body, digest) =
            bytes.len().checked_sub(DIGEST).and_then(|at| bytes.split_at_checked(at)).ok_or_else(broken)?;
        let (head, key) = body.split_at_checked(HEAD).ok_or_else(broken)?;
        match *head {
            [VERSION, list] if list == self.list as u8 => {}
            [VERSION, _] => return Err(refused(CursorFault::OtherList)),
            _ => return Err(broken()),
        }
        if digest != self.digest(body) {
            return Err(refused(CursorFault::Altered));
        }
        K::read(key).ok_or_else(broken)
    }
}

impl Page {
    /// How many rows to read: one more than the page has, which tells whether there is another page.
    ///
    /// # Errors
    /// Where the limit is out of range.
    pub fn rows(&self) -> Result<i64, Problem> {
        Ok(i64::from(self.limit()?).saturating_add(1))
    }

    fn limit(&self) -> Result<u16, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            Ok(limit)
        } else {
            Err(Problem::new(
                Kind::InvalidParameter,
                Detail::OutOfRange {
                    name: "limit",
                    found: limit.to_string(),
                    least: "1".to_owned(),
                    most: MAX_LIMIT.to_string(),
                },
            ))
        }
    }

    /// The key to go on after, `None` on the first page.
    ///
    /// # Errors
    /// Where the cursor is none of this list's.
    pub fn after<K: Key>(&self, scope: &Scope) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(|cursor| scope.key(cursor)).transpose()
    }
}

/// The page of a list. A type for each, since the description of a generic one would not name its items.
macro_rules! items {
    ($(#[$doc:meta])* $name:ident of $item:ty) => {
        $(#[$doc])*
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub(crate) struct $name {
            /// The items.
            items: Vec<$item>,
            /// What to pass as `cursor` for the next page; null on the last.
            #[schema(required, example = "AQIAAAAAAAAAKgABc4LrFyhZ-wE")]
            next_cursor: Option<String>,
            #[serde(flatten)]
            #[schema(inline = false)]
            as_of: crate::snapshot::AsOf,
        }
    };
}
pub(crate) use items;

/// The rows of a page, without the one that only told whether there is another, and that other's cursor.
///
/// # Errors
/// Where the limit is out of range.
pub fn cut<R, K: Key>(
    page: &Page,
    scope: &Scope,
    mut rows: Vec<R>,
    key: impl Fn(&R) -> K,
) -> Result<(Vec<R>, Option<String>), Problem> {
    let limit = usize::from(page.limit()?);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| scope.cursor(&key(row)));
    Ok((rows, next_cursor))
}
