//! How far a user is with every rule in force, and what expires when.

use crate::{
    book::Book,
    problem::{Problem, Problems},
    request::{OfPlatform, Path, Query},
    snapshot::{Answer, AsOf, Snapshot},
    standing::{Holdings, Since, Terms, rebuild},
    value::{Address, Amount, Count, Hash, Instant, LocalMoment, Number},
    words::{self, Words},
};
use rebate_client::replay::Standing;
use rebate_core::{
    balance::Balance,
    counters::Counters,
    holdout,
    rule::{Effect, Rule},
    time::LocalTime,
    units::{self, AssetId, Months, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Towards whom the rules count that count by streamer or session.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Towards {
    /// The streamer whose counters to show, of rules that count by streamer: the first 8 bytes, little-endian, of SHA-256 of
    /// the platform's id; 0 for payments without one.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}$", default = "0", example = "0")]
    streamer: Option<u64>,
    /// The live session whose counters to show, likewise.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}$", default = "0", example = "0")]
    session: Option<u64>,
}

impl Towards {
    fn id(self, scope: Scope) -> u64 {
        match scope {
            Scope::User => 0,
            Scope::UserStreamer => self.streamer.unwrap_or(0),
            Scope::UserSession => self.session.unwrap_or(0),
        }
    }
}

/// How far a user is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Progress {
    /// The platform.
    platform: Address,
    /// The user's key.
    user: Hash,
    /// What time it is: that of the last block read, on the platform's clocks.
    #[schema(required)]
    now: Option<LocalMoment>,
    /// Every rule in force now, in order of evaluation.
    rules: Vec<OfRule>,
    /// What the user has, one for each asset of the platform.
    balances: Vec<Held>,
    #[serde(flatten)]
    #[schema(inline = false)]
    as_of: AsOf,
}

/// How far a user is with one rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfRule {
    /// The rule.
    #[schema(minimum = 0, maximum = 65_535, example = 1)]
    rule: u16,
    /// The version in force.
    #[schema(minimum = 1, maximum = 65_535, example = 1)]
    version: u16,
    /// Its name.
    #[schema(example = "spend and save")]
    rule_name: String,
    /// How far the user is, for people, in the language that `Accept-Language` asks for.
    #[schema(example = "‘spend and save’: you spent 3000 that week; 2000 more reaches the next tier at 5000")]
    text: String,
    /// The asset it grants.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: u8,
    /// The asset's name.
    #[schema(example = "coins")]
    asset_name: String,
    /// What it grants: `fixed`, `ratio`, `tiers`, `streak` or `multiplier`.
    #[schema(example = "tiers")]
    effect: &'static str,
    /// Over which time it counts: `day`, `week`, `month`, `lifetime` or `schedule`.
    #[schema(example = "week")]
    window: &'static str,
    /// When the current window began, on the platform's clocks; null for open.
    #[schema(required)]
    window_start: Option<LocalMoment>,
    /// When the next one begins, or the rule's schedule ends; null for open.
    #[schema(required)]
    window_end: Option<LocalMoment>,
    /// Whose counters it uses: `user`, `user_streamer` or `user_session`.
    #[schema(example = "user")]
    scope: &'static str,
    /// The streamer or the session that these counters are of; 0 for none.
    scope_id: Number,
    /// Whether the user is in the control group, which the rule never grants to.
    held_out: bool,
    /// What the user paid in the window by payments that count.
    spend: Amount,
    /// How many payments of the window count.
    #[schema(minimum = 0, example = 3)]
    payments: u32,
    /// What the rule granted the user in the window, less what refunds of its payments took back.
    granted: Amount,
    /// How often the rule granted the user in the window.
    #[schema(minimum = 0, example = 1)]
    grants: u32,
    /// What the user's limits leave in the window.
    left: Left,
    /// What is left of the rule's budget, for everybody.
    budget_left: Left,
    /// The next tier; null where the rule has none, or all are reached.
    #[schema(required)]
    next_tier: Option<NextTier>,
    /// The days in a row; null where the rule does not pay for those.
    #[schema(required)]
    streak: Option<Streak>,
}

/// What limits leave; null for no limit.
#[derive(Serialize, ToSchema)]
pub(crate) struct Left {
    /// How much, in the asset's smallest unit.
    #[schema(required)]
    amount: Option<Amount>,
    /// How often.
    #[schema(required)]
    count: Option<Count>,
}

/// The next tier of a rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextTier {
    /// The spend that reaches it.
    threshold: Amount,
    /// How much of that is missing.
    missing: Amount,
    /// An amount of the asset, or basis points, as the rule's effect says.
    value: Amount,
}

/// Days in a row.
#[derive(Serialize, ToSchema)]
pub(crate) struct Streak {
    /// On how many days in a row there was a payment that counts, up to today or yesterday.
    #[schema(minimum = 0, example = 5)]
    days: u32,
    /// Whether today is one of them.
    today: bool,
    /// The length that pays next; null where it was paid and pays once.
    #[schema(required, minimum = 1, example = 7)]
    pays_at: Option<u32>,
    /// How many days more that takes.
    #[schema(required, minimum = 1, example = 2)]
    days_needed: Option<u32>,
}

/// What a user has of one asset, and what of it expires when.
#[derive(Serialize, ToSchema)]
pub(crate) struct Held {
    /// The asset's number.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    asset: u8,
    /// Its name.
    #[schema(example = "coins")]
    asset_name: String,
    /// How much the user has now, without what has expired by now.
    balance: Amount,
    /// How much the user owes.
    debt: Amount,
    /// What of the balance on record has expired by now; an entry says so once the chain is told.
    expired: Amount,
    /// What expires when, unless it is spent before, in order of time. Empty where the asset does not expire.
    expires: Vec<Expires>,
}

/// What expires at one time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Expires {
    /// How much.
    amount: Amount,
    /// The first moment that it is gone, on the platform's clocks.
    #[schema(required)]
    at: Option<LocalMoment>,
}

fn amount(amount: u64) -> Amount {
    Amount(amount.into())
}

/// Show how far a user is with every rule
///
/// For every rule in force as of the slot: the window, what was spent and granted in it, what limits leave, what is missing for
/// the next tier, and days in a row. And what the user has with what of it expires when. A user who never paid has nothing,
/// and that is an answer too.
#[utoipa::path(
    get,
    path = "/v1/users/{user}/progress",
    tag = "users",
    operation_id = "getProgress",
    params(("user" = Hash, Path, description = "The user's key."), Towards, OfPlatform),
    responses((status = 200, description = "How far the user is.", body = Progress), Problems),
)]
pub(crate) async fn of_user(
    Path(user): Path<Hash>,
    Query(towards): Query<Towards>,
    Query(of): Query<OfPlatform>,
    mut snapshot: Snapshot,
) -> Result<Answer<Progress>, Problem> {
    let platform = snapshot.platform(of).await?;
    let Instant(read) = snapshot.position().time;
    let now = read.unix_timestamp();
    let book = Book::of(&mut snapshot, platform).await?;
    let terms = Terms::of(&mut snapshot, platform).await?;
    let holdings = Holdings::of(&mut snapshot, platform, user, &book, &terms.periods).await?;
    let rules = book.rules();
    let since = Since::of(&book, &rules, now);
    let standing = rebuild(&mut snapshot, platform, user, &book, since, i64::MAX).await?;
    let words = snapshot.language().words();
    let asked = Asked { book: &book, words, standing: &standing, towards, user, now };
    let in_force = rules.iter().filter(|rule| rule.in_force(Timestamp(now)));
    let rules = in_force.map(|rule| asked.progress(rule)).collect();
    let assets = (1u8..).map(AssetId).zip(&holdings.balances).zip(&terms.periods);
    let there = assets.filter(|((asset, _), _)| book.has_asset(*asset));
    let balances = there.map(|((asset, balance), months)| held(&book, asset, *balance, *months, now)).collect();
    let as_of = snapshot.as_of();
    let now = book.clock.local(now).map(LocalMoment);
    Ok(snapshot.answer(Progress { platform, user, now, rules, balances, as_of }))
}

struct Asked<'a> {
    book: &'a Book,
    words: &'static dyn Words,
    standing: &'a Standing,
    towards: Towards,
    user: Hash,
    now: i64,
}

impl Asked<'_> {
    /// What the rule counts, in the window that it is now.
    fn counters(&self, rule: &Rule) -> Counters {
        let id = self.towards.id(rule.scope());
        let standing = self.standing.counters(rule.scope(), ScopeId(id));
        let mut counters = standing.iter().find(|counters| counters.rule == rule.id).copied().unwrap_or_default();
        // A payment of the next minute may have been counted already.
        let _later = counters.roll(rule.epoch, rule.window().index(self.book.clock.at(self.now)));
        counters
    }

    fn progress(&self, rule: &Rule) -> OfRule {
        let Self { book, words, now, .. } = *self;
        let counters = self.counters(rule);
        let span = book.window(rule, now);
        let local = |at: Option<i64>| at.and_then(|at| book.clock.local(at)).map(LocalMoment);
        let held_out = holdout::is_held_out(rule.id, &UserKey(self.user.0), rule.holdout());
        let limits = rule.limits;
        let left_of = |limit: u64, used: u64| (limit != 0).then(|| limit.saturating_sub(used));
        let left_amount = left_of(limits.user_amount.0, counters.granted.0);
        let left_count = left_of(limits.user_count, u64::from(counters.grants));
        let next_tier = next_tier(rule, &counters);
        let streak = self.streak(rule, &counters);
        let next = match (held_out, &streak, rule.effect()) {
            (true, ..) => words::Next::Holdout,
            (_, Some(Streak { days, pays_at: Some(pays_at), .. }), _) => {
                words::Next::Streak { days: *days, pays_at: *pays_at }
            }
            (_, Some(_), _) => words::Next::StreakDone,
            (_, None, Some(Effect::Tiers { .. })) => match next_tier {
                Some((threshold, _)) => words::Next::Tier(words::Missing { spend: counters.spend.0, threshold }),
                None => words::Next::AllTiers,
            },
            _ => words::Next::Nothing,
        };
        let asset_name = book.asset(rule.asset());
        let text = words.progress(&words::Progress {
            rule: rule.name(),
            asset: asset_name,
            counted: Book::counted(rule),
            spend: counters.spend.0,
            granted: counters.granted.0,
            next,
            left: (left_amount, left_count),
            reset: book.reset(rule, now, now),
        });
        OfRule {
            rule: rule.id.0,
            version: rule.version.0,
            rule_name: rule.name().to_owned(),
            text,
            asset: rule.asset().0,
            asset_name: asset_name.to_owned(),
            effect: rule.effect().map_or("unknown", |effect| effect.kind().name()),
            window: rule.window().name(),
            window_start: local(span.start),
            window_end: local(span.end),
            scope: rule.scope().name(),
            scope_id: Number(self.towards.id(rule.scope()).into()),
            held_out,
            spend: amount(counters.spend.0),
            payments: counters.payments,
            granted: amount(counters.granted.0),
            grants: counters.grants,
            left: Left { amount: left_amount.map(amount), count: left_count.map(|left| Count(left.into())) },
            budget_left: Left {
                amount: left_of(limits.total_amount.0, rule.budget_spent.0).map(amount),
                count: left_of(limits.total_count, rule.budget_grants).map(|left| Count(left.into())),
            },
            next_tier: next_tier.map(|(threshold, value)| NextTier {
                threshold: amount(threshold),
                missing: amount(threshold.saturating_sub(counters.spend.0)),
                value: amount(value),
            }),
            streak,
        }
    }

    fn streak(&self, rule: &Rule, counters: &Counters) -> Option<Streak> {
        let Some(Effect::Streak { days: length, recurring, .. }) = rule.effect() else { return None };
        let today = self.book.clock.at(self.now).day();
        let goes_on = counters.streak != 0 && counters.streak_day.0.saturating_add(1) >= today.0;
        let days = if goes_on { counters.streak } else { 0 };
        let pays_at = if recurring {
            days.checked_div(length).and_then(|times| times.checked_add(1)?.checked_mul(length))
        } else {
            (days < length).then_some(length)
        };
        Some(Streak {
            days,
            today: goes_on && counters.streak_day >= today,
            pays_at,
            days_needed: pays_at.map(|pays_at| pays_at.saturating_sub(days)),
        })
    }
}

/// Threshold and value of the next tier.
fn next_tier(rule: &Rule, counters: &Counters) -> Option<(u64, u64)> {
    let Some(Effect::Tiers { steps, .. }) = rule.effect() else { return None };
    steps.iter().find(|step| step.threshold > counters.spend).map(|step| (step.threshold.0, step.value))
}

/// What is left of a balance at `now`, and what of that expires when.
fn held(book: &Book, asset: AssetId, mut balance: Balance, months: Months, now: i64) -> Held {
    let period = months.period(LocalTime::at(Timestamp(now), book.clock.offsets()));
    let expired = period.map_or(units::Amount(0), |period| balance.expire(period));
    // Periods are counted in months since the year 0.
    let begins = |period: i32| {
        let months = i32::from(months.0).checked_mul(period)?.checked_sub(1_970 * 12)?;
        book.clock.month(months).and_then(|at| book.clock.local(at)).map(LocalMoment)
    };
    let parts = [(balance.previous, 1), (balance.current, 2)];
    let expires = period.into_iter().flat_map(|period| {
        parts
            .into_iter()
            .filter(|(part, _)| part.0 != 0)
            .map(move |(part, after)| (part, period.0.saturating_add(after)))
    });
    Held {
        asset: asset.0,
        asset_name: book.asset(asset).to_owned(),
        balance: amount(balance.total().0),
        debt: amount(balance.debt.0),
        expired: amount(expired.0),
        expires: expires.map(|(part, period)| Expires { amount: amount(part.0), at: begins(period) }).collect(),
    }
}
