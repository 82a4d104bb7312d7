//! One state of the database, for one answer.
//!
//! A [`Snapshot`] is a repeatable-read transaction that began with reading the cursor, so that every row an answer is made
//! of is as of the slot that the answer names. The cursor also makes the ETag: where nothing was indexed since, a client
//! that has the answer gets 304 before any of the data is read.

use crate::{
    language::{self, Language},
    problem::{Detail, Kind, Problem, Thing},
    request::OfPlatform,
    state::ApiState,
    value::{Address, Hash, Instant},
};
use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use utoipa::ToSchema;

/// How sure something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// Voted for by two thirds of the stake; a fork can still take it back.
    Confirmed,
    /// Rooted: it stays.
    Finalized,
}

/// What an answer is as of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AsOf {
    /// The last slot that was read when this was answered: nothing later is in it, nothing earlier is missing.
    #[schema(minimum = 0, example = 312_456_789)]
    pub as_of_slot: i64,
    /// How sure that slot is. What is in the answer and older can be surer.
    pub finality: Finality,
    /// The last slot that is finalized: what is from there or before stays. Null where none is yet.
    #[schema(required, minimum = 0, example = 312_456_757)]
    pub final_slot: Option<i64>,
}

impl AsOf {
    /// As of `slot`, where all up to `final_slot` is finalized.
    pub(crate) fn new(slot: i64, final_slot: Option<i64>) -> Self {
        let as_of = Self { as_of_slot: slot, finality: Finality::Confirmed, final_slot };
        Self { finality: as_of.finality_of(slot), ..as_of }
    }

    /// How sure something of `slot` is.
    pub fn finality_of(&self, slot: i64) -> Finality {
        match self.final_slot {
            Some(last) if slot <= last => Finality::Finalized,
            _ => Finality::Confirmed,
        }
    }
}

/// The last block that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub genesis_hash: Hash,
    pub blockhash: Hash,
    /// The chain's clock there.
    pub time: Instant,
    pub as_of: AsOf,
}

/// One state of the database, for one answer. Dropping it ends its transaction.
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    position: Position,
    default_platform: Option<Address>,
    language: Language,
    etag: Option<HeaderValue>,
}

impl Snapshot {
    /// The state of the database now.
    ///
    /// # Errors
    /// Where it does not answer, or holds nothing yet.
    pub(crate) async fn take(pool: &PgPool, default_platform: Option<Address>) -> Result<Self, Problem> {
        let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let cursor = sqlx::query!(
            r#"SELECT genesis_hash AS "genesis_hash: Hash", slot, final_slot,
                      blockhash AS "blockhash: Hash", coalesce(block_time, written_at) AS "time!: Instant"
               FROM cursor"#
        )
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or_else(Problem::nothing_indexed)?;
        Ok(Self {
            transaction,
            position: Position {
                genesis_hash: cursor.genesis_hash,
                blockhash: cursor.blockhash,
                time: cursor.time,
                as_of: AsOf::new(cursor.slot, cursor.final_slot),
            },
            default_platform,
            language: Language::English,
            etag: None,
        })
    }

    /// The same, for an answer in the language that these headers ask for.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) async fn of(state: &ApiState, headers: &HeaderMap) -> Result<Self, Problem> {
        let default_platform = state.settings().platform.map(|platform| Address(platform.to_bytes()));
        let snapshot = Self::take(state.pool(), default_platform).await?;
        Ok(Self { language: Language::of(headers), ..snapshot })
    }

    /// What the answer is as of.
    pub fn as_of(&self) -> AsOf {
        self.position.as_of
    }

    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// The connection to read with.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The platform the request is about, which is on record.
    ///
    /// # Errors
    /// Where it is not, or where it cannot be told.
    pub async fn platform(&mut self, of: OfPlatform) -> Result<Address, Problem> {
        if let Some(platform) = of.platform.or(self.default_platform) {
            let known = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM platforms WHERE address = $1) AS "known!""#,
                &platform.0
            )
            .fetch_one(&mut *self.transaction)
            .await?;
            return if known { Ok(platform) } else { Err(self.missing(Thing::Platform(Some(platform)))) };
        }
        let platforms =
            sqlx::query_scalar!(r#"SELECT address AS "address: Address" FROM platforms ORDER BY address LIMIT 2"#)
                .fetch_all(&mut *self.transaction)
                .await?;
        match *platforms.as_slice() {
            [only] => Ok(only),
            [] => Err(self.missing(Thing::Platform(None))),
            _ => Err(Problem::new(Kind::PlatformNotNamed, Detail::PlatformNotNamed)),
        }
    }

    /// The problem of something that is not on record.
    pub fn unknown(&self, what: &dyn std::fmt::Display) -> Problem {
        self.missing(Thing::Other(what.to_string()))
    }

    /// The same of what has a name in every language.
    pub fn missing(&self, thing: Thing) -> Problem {
        Problem::new(Kind::NotFound, Detail::NotOnRecord(thing, self.position.as_of.as_of_slot))
    }

    /// The language to answer in.
    pub fn language(&self) -> Language {
        self.language
    }

    /// An answer that is no JSON, with its ETag.
    pub fn answer_as(self, media_type: &'static str, body: String) -> Response {
        let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response();
        cacheable(self.etag, response.headers_mut());
        response
    }

    /// The answer, with its ETag.
    pub fn answer<T: Serialize>(self, body: T) -> Answer<T> {
        Answer { etag: self.etag, language: self.language, body }
    }
}

/// Why there is no snapshot.
pub enum NoSnapshot {
    /// The client has the answer already.
    NotModified(HeaderValue),
    /// There is nothing to answer from.
    Problem(Problem),
}

impl From<Problem> for NoSnapshot {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// An answer is good until the next block; caches may keep it and must ask whether it still is.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, no-cache");

impl IntoResponse for NoSnapshot {
    fn into_response(self) -> Response {
        match self {
            Self::NotModified(etag) => {
                let headers = [(header::ETAG, etag), (header::CACHE_CONTROL, REVALIDATE)];
                let mut response = (StatusCode::NOT_MODIFIED, headers).into_response();
                language::vary(response.headers_mut());
                response
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl FromRequestParts<ApiState> for Snapshot {
    type Rejection = NoSnapshot;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, NoSnapshot> {
        let default_platform = state.settings().platform.map(|platform| Address(platform.to_bytes()));
        let mut snapshot = Self::take(state.pool(), default_platform).await?;
        snapshot.language = Language::of(&parts.headers);
        let etag = etag(&snapshot, state, parts).map_err(|error| Problem::internal(&error))?;
        if is_known(&parts.headers, &etag) {
            return Err(NoSnapshot::NotModified(etag));
        }
        snapshot.etag = Some(etag);
        Ok(snapshot)
    }
}

/// Weak, since what leaves here may be compressed on its way. It covers everything an answer depends on: the block it is
/// as of, what is final of that, the request with its language, and how this server is configured.
fn etag(snapshot: &Snapshot, state: &ApiState, parts: &Parts) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let Snapshot { position, language, .. } = snapshot;
    let settings = state.settings();
    let mut digest = Sha256::new();
    for part in [
        env!("CARGO_PKG_VERSION"),
        &settings.cluster.to_string(),
        &settings.platform.map_or_else(String::new, |platform| platform.to_string()),
        &format!("{:?}", position.as_of.final_slot),
        language.tag(),
        parts.uri.path(),
        parts.uri.query().unwrap_or_default(),
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(position.genesis_hash.0);
    digest.update(position.blockhash.0);
    let digest = digest.finalize();
    let short = digest.get(..12).unwrap_or(&digest);
    HeaderValue::try_from(format!("W/\"{}-{}\"", position.as_of.as_of_slot, hex::encode(short)))
}

/// RFC 9110 §13.1.2, by weak comparison.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(etag) = etag.to_str().map(opaque) else {
        return false;
    };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}

/// An answer as of a slot.
pub struct Answer<T> {
    etag: Option<HeaderValue>,
    language: Language,
    body: T,
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        self.language.mark(response.headers_mut());
        cacheable(self.etag, response.headers_mut());
        response
    }
}

fn cacheable(etag: Option<HeaderValue>, headers: &mut HeaderMap) {
    if let Some(etag) = etag {
        headers.insert(header::ETAG, etag);
        headers.insert(header::CACHE_CONTROL, REVALIDATE);
    } else {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
