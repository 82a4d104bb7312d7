//! What was paid and granted over time, and what it brought.

use crate::{
    analytics::{
        Asked, By, Every, Format,
        calendar::Calendar,
        export,
        measure::{self, Definition, Figures, Measure, Unit},
        names::Names,
        rollups::{self, Wanted},
        uplift,
    },
    problem::{Kind, Problem, Problems},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A measure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Described {
    /// Its name.
    #[schema(inline)]
    measure: Measure,
    /// What it is.
    definition: Definition,
    /// In what its `value` is.
    #[schema(inline)]
    unit: Unit,
    /// Whether there is a row for each asset.
    by_asset: bool,
}

/// The measures there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Measures {
    /// All of them.
    measures: Vec<Described>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

const ALL: [Measure; 13] = [
    Measure::Participation,
    Measure::Payers,
    Measure::Arpu,
    Measure::Arppu,
    Measure::Frequency,
    Measure::Conversion,
    Measure::Grants,
    Measure::Reversals,
    Measure::Breakage,
    Measure::Cost,
    Measure::Roi,
    Measure::Influence,
    Measure::Uplift,
];

/// List what is measured
///
/// Every measure with its definition in words.
#[utoipa::path(
    get,
    path = "/v1/analytics",
    tag = "analytics",
    operation_id = "listMeasures",
    responses((status = 200, description = "The measures.", body = Measures), Problems),
)]
pub(crate) async fn definitions(snapshot: Snapshot) -> Answer<Measures> {
    let describe = |measure: Measure| Described {
        measure,
        definition: measure.definition(),
        unit: measure.unit(),
        by_asset: measure.is_by_asset(),
    };
    let as_of = snapshot.as_of();
    snapshot.answer(Measures { measures: ALL.into_iter().map(describe).collect(), as_of })
}

/// Measure
///
/// Exact as of the slot that the answer names: sums and distinct counts are kept with every event. Buckets are those of the
/// platform's calendar by its UTC offsets, and whole: the first and the last are not cut where `from` and `to` lie. A payment is in
/// the bucket of its `paid_at`, also where it came late; a refund and what it reverses are in the bucket of the refund's own
/// `paid_at`, under what the refunded payment is under. Numerators and denominators are whole numbers, or means with six
/// digits. The answer has at most 25,000 rows. A rule, group or effect has a row where it granted something.
#[utoipa::path(
    get,
    path = "/v1/analytics/{measure}",
    tag = "analytics",
    operation_id = "getMeasure",
    params(("measure" = inline(Measure), Path, description = "What to measure."), OfPlatform, Asked),
    responses(
        (status = 200, description = "The measure over time.", content(
            (Figures = "application/json"),
            (String = "text/csv"),
        )),
        Problems,
    ),
)]
pub(crate) async fn over_time(
    Path(measure): Path<Measure>,
    Query(of): Query<OfPlatform>,
    Query(asked): Query<Asked>,
    mut snapshot: Snapshot,
) -> Result<Response, Problem> {
    let platform = snapshot.platform(of).await?;
    rollups::require_filled(snapshot.connection(), &platform).await?;
    let names = Names::read(snapshot.connection(), &platform).await?;
    let asset = asset(measure, &asked)?;
    let (by, every, rows) = if measure == Measure::Uplift {
        (By::Rule, None, uplift::figures(snapshot.connection(), &platform, &asked, &names).await?)
    } else {
        let (by, every) = (asked.by.unwrap_or(By::None), asked.every.unwrap_or(Every::Day));
        measure.require(by)?;
        let value = asked.key.as_deref().map(|key| by.value(key)).transpose()?;
        let calendar = Calendar::read(snapshot.connection(), &platform).await?;
        let now = snapshot.position().time.0.unix_timestamp().saturating_add(1);
        let from = asked.from.map(|at| at.0.unix_timestamp());
        // What lies within a second is before its end.
        let to = asked.to.map_or(now, |at| at.0.unix_timestamp().saturating_add(i64::from(at.0.nanosecond() > 0)));
        let buckets = calendar.range(every, from, to)?;
        let wanted = Wanted { platform: &platform, every, by, buckets, value, asset };
        (by, Some(every), measure::figures(snapshot.connection(), measure, &wanted, &calendar, &names).await?)
    };
    let (definition, unit, as_of) = (measure.definition(), measure.unit(), snapshot.as_of());
    let figures = Figures { platform, measure, definition, unit, every, by, rows, as_of };
    Ok(match asked.format.unwrap_or_default() {
        Format::Json => snapshot.answer(figures).into_response(),
        Format::Csv => snapshot.answer_as(export::CSV, export::csv(&figures)?),
    })
}

/// The asset asked for.
fn asset(measure: Measure, asked: &Asked) -> Result<Option<i16>, Problem> {
    let refused = |why: &str| Err(Problem::new(Kind::InvalidParameter, format!("asset in the query: {why}")));
    match asked.asset {
        Some(asset) if !(1..=8).contains(&asset) => refused("it is not from 1 to 8"),
        Some(_) if !measure.is_by_asset() => refused("this measure is not by asset; leave it out"),
        asset => Ok(asset.map(i16::from)),
    }
}
