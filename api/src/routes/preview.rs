//! What a user's next payment would earn.

use super::orders::outcomes::{self, Outcome};
use crate::{
    book::Book,
    problem::{Detail, Kind, Problem, Problems},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    standing::{Holdings, Since, Terms, rebuild},
    value::{Address, Amount, Hash, Instant, Number},
};
use rebate_client::replay::Moment;
use rebate_core::{
    payment::Payment,
    rule::Rule,
    units::{self, AssetId, OrderHash, PaymentNumber, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The payment to preview.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Payable {
    /// What would be paid, in the platform's minor currency unit; more than 0.
    #[param(value_type = String, pattern = "^[0-9]{0,18}[1-9]$", example = "5000")]
    amount: u64,
    /// What would be bought.
    #[param(minimum = 0, maximum = 65_535, default = 0, example = 1)]
    product: Option<u16>,
    /// The number of the streamer it would be for: the first 8 bytes, little-endian, of SHA-256 of the platform's id; 0 for
    /// none.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}$", default = "0", example = "0")]
    streamer: Option<u64>,
    /// The number of the live session it would be made in, likewise.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}$", default = "0", example = "0")]
    session: Option<u64>,
    /// The user's tier then; 0 for none.
    #[param(minimum = 0, maximum = 255, default = 0, example = 0)]
    tier: Option<u8>,
    /// The user's segments then, as a bit set.
    #[param(minimum = 0, maximum = 4_294_967_295_u64, default = 0, example = 0)]
    segments: Option<u32>,
    /// When it would be paid. Left out, it is the time of the last block read. A time that is later than that stands for a
    /// payment recorded then, with none between.
    at: Option<Instant>,
}

/// What a payment would earn.
#[derive(Serialize, ToSchema)]
pub(crate) struct Preview {
    /// The platform.
    platform: Address,
    /// The user's key.
    user: Hash,
    /// What would be paid.
    amount: Amount,
    /// When.
    paid_at: Instant,
    /// What would be bought.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    product: u16,
    /// The streamer it would be for.
    streamer: Number,
    /// The live session it would be made in.
    session: Number,
    /// The user's tier then.
    #[schema(minimum = 0, maximum = 255, example = 0)]
    tier: u8,
    /// The user's segments then, as a bit set.
    #[schema(minimum = 0, maximum = 4_294_967_295_u64, example = 0)]
    segments: u32,
    /// The how-manieth payment of the user it would be, from 1.
    #[schema(minimum = 1, example = 13)]
    payment_number: u64,
    /// Whether the platform takes no records just now; then this is what it would earn once it does again.
    paused: bool,
    /// Why the payment would be refused as a whole; null where it would not.
    #[schema(required, example = "TooLate")]
    refusal: Option<&'static str>,
    /// The same for people, in the language that `Accept-Language` asks for.
    #[schema(required, example = "It was made further back than the platform takes records of.")]
    refusal_text: Option<&'static str>,
    /// What every rule in force would do with it, in order of evaluation.
    outcomes: Vec<Outcome>,
    /// What would be granted in all, by asset.
    granted: Vec<Granted>,
    /// What of the user's balances would expire before.
    expired: Vec<Expired>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// What would be granted of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct Granted {
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: u8,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much.
    amount: Amount,
    /// The user's balance before.
    before: Amount,
    /// The user's balance after. Less than the sum where a part pays what the user owes.
    after: Amount,
}

/// What would expire of one asset.
#[derive(Serialize, ToSchema)]
pub(crate) struct Expired {
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: u8,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much.
    amount: Amount,
}

fn amount(amount: units::Amount) -> Amount {
    Amount(amount.0.into())
}

/// Preview what a payment would earn
///
/// Decided by the code that the program on the chain runs, over the rules, budgets, vaults and the user's counters as they
/// are as of the slot. It is no promise: what others do meanwhile can use up a budget. A user who never paid has a preview
/// too.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/preview",
    tag = "users",
    operation_id = "previewPayment",
    params(("user" = Hash, Path, description = "The user's key."), Payable, OfPlatform),
    responses((status = 200, description = "What it would earn.", body = Preview), Problems),
)]
pub(crate) async fn of_user(
    Path(user): Path<Hash>,
    Query(payable): Query<Payable>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Preview>, Problem> {
    if payable.amount == 0 {
        return Err(Problem::new(
            Kind::InvalidParameter,
            Detail::OutOfRange {
                name: "amount",
                found: "0".to_owned(),
                least: "1".to_owned(),
                most: u64::MAX.to_string(),
            },
        ));
    }
    let platform = snapshot.platform(of).await?;
    let read = snapshot.position().time;
    let paid_at = payable.at.unwrap_or(read);
    let (at, now) = (paid_at.0.unix_timestamp(), read.0.unix_timestamp().max(paid_at.0.unix_timestamp()));
    let book = Book::of(&mut snapshot, platform).await?;
    let terms = Terms::of(&mut snapshot, platform).await?;
    let holdings = Holdings::of(&mut snapshot, platform, user, &book, &terms.periods).await?;
    let mut rules = book.rules();
    let since = Since::of(&book, &rules, at);
    let mut standing = rebuild(&mut snapshot, platform, user, &book, since, i64::MAX).await?;
    let payment = Payment {
        order: OrderHash::default(),
        user: UserKey(user.0),
        amount: units::Amount(payable.amount),
        paid_at: Timestamp(at),
        product: payable.product.unwrap_or(0),
        streamer: payable.streamer.unwrap_or(0),
        session: payable.session.unwrap_or(0),
        tier: payable.tier.unwrap_or(0),
        segments: payable.segments.unwrap_or(0),
    };
    let number = holdings.payments.saturating_add(1);
    let moment = Moment {
        now: Timestamp(now),
        admission: terms.admission(now),
        offsets: book.clock.offsets(),
        periods: terms.periods,
        free: terms.free,
    };
    let decided = standing.decide(&payment, PaymentNumber(number), &mut rules, holdings.balances, &moment);
    let words = snapshot.language().words();
    let as_of = snapshot.as_of();
    let mut preview = Preview {
        platform,
        user,
        amount: amount(payment.amount),
        paid_at,
        product: payment.product,
        streamer: Number(payment.streamer.into()),
        session: Number(payment.session.into()),
        tier: payment.tier,
        segments: payment.segments,
        payment_number: number,
        paused: terms.paused,
        refusal: None,
        refusal_text: None,
        outcomes: Vec::new(),
        granted: Vec::new(),
        expired: Vec::new(),
        as_of,
    };
    match decided {
        Err(refusal) => {
            preview.refusal = Some(refusal.name());
            preview.refusal_text = Some(words.refusal(refusal));
        }
        Ok(decision) => {
            let counters = |rule: &Rule| {
                let id = match rule.scope() {
                    Scope::User => 0,
                    Scope::UserStreamer => payment.streamer,
                    Scope::UserSession => payment.session,
                };
                standing.counters(rule.scope(), ScopeId(id)).iter().find(|counters| counters.rule == rule.id)
            };
            preview.outcomes = outcomes::decided(&book, words, (at, now), &decision.outcomes, counters)?;
            preview.granted = granted(&book, &decision.outcomes);
            preview.expired = decision
                .expired
                .iter()
                .map(|gone| Expired {
                    asset: gone.asset.0,
                    asset_name: book.asset(gone.asset).to_owned(),
                    amount: amount(gone.amount),
                })
                .collect();
        }
    }
    Ok(snapshot.answer(preview))
}

/// The grants, by asset.
fn granted(book: &Book, outcomes: &[rebate_core::outcome::Outcome]) -> Vec<Granted> {
    let of_asset = |asset: AssetId| {
        let mut grants = outcomes
            .iter()
            .filter(|outcome| outcome.asset == asset && outcome.reason == rebate_core::outcome::Reason::Granted)
            .peekable();
        let before = grants.peek()?.before;
        let (mut sum, mut after) = (0u128, before);
        for grant in grants {
            sum = sum.saturating_add(u128::from(grant.amount.0));
            after = grant.after;
        }
        Some(Granted {
            asset: asset.0,
            asset_name: book.asset(asset).to_owned(),
            amount: Amount(rust_decimal::Decimal::try_from(sum).ok()?),
            before: amount(before),
            after: amount(after),
        })
    };
    (1..=8).map(AssetId).filter_map(of_asset).collect()
}
