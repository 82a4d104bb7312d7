//! What a back-test came to.

use crate::{
    followed::Followed,
    tally::{By, Did, Line, UserRow},
};
use rebate_client::replay::Ledger;
use rebate_core::{outcome::Reason, rule::Rule, units::Timestamp};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// What a draft would have granted in some time, beside what was really granted. Amounts are whole numbers in quotes, in the
/// smallest unit of the platform's currency or of an asset; assets are never added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestReport)]
pub struct Report {
    /// The first time of payment that was tested; null for open.
    #[schema(required, example = "2026-10-01T00:00:00Z")]
    pub from: Option<String>,
    /// The first time of payment that was no longer tested; null for open.
    #[schema(required, example = "2026-11-01T00:00:00Z")]
    pub to: Option<String>,
    /// How many events of the journal were followed.
    pub events: u64,
    /// How many payments made before `from` the published rules decided first.
    pub payments_before: u64,
    /// How many payments were made in that time.
    pub payments: u64,
    /// What was paid with them.
    #[schema(example = "1296000")]
    pub paid: String,
    /// By how many users.
    pub users: u64,
    /// How many refunds were paid back in that time.
    pub refunds: u64,
    /// What was paid back with them.
    #[schema(example = "64800")]
    pub refunded: String,
    /// How many payments the draft's balances could not have taken, since they would be too large; their users got nothing.
    pub refused: u64,
    /// How many of the payments that the published rules decided do not come to what was granted. Anything but 0 means that the
    /// tables are not what the chain has.
    pub differing: u64,
    /// By asset.
    pub assets: Vec<AssetResult>,
    /// By rule and asset, in order.
    pub rules: Vec<RuleResult>,
    /// By tenths of the users, those who paid least first.
    pub deciles: Vec<Decile>,
    /// What to know about these figures, in sentences.
    pub notes: Vec<String>,
}

/// What was granted of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestAsset)]
pub struct AssetResult {
    /// The asset.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    pub asset: u8,
    /// Its name.
    #[schema(example = "coins")]
    pub name: String,
    /// By the draft.
    pub draft: Side,
    /// Really.
    pub really: Side,
    /// What the draft granted more; with a minus, less.
    #[schema(example = "-1200")]
    pub difference: String,
}

/// What was granted, by the draft or really.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestSide)]
pub struct Side {
    /// How much.
    #[schema(example = "48000")]
    pub granted: String,
    /// How often.
    pub grants: u64,
    /// To how many users.
    pub users: u64,
    /// What refunds took back in that time, whenever it was granted.
    #[schema(example = "0")]
    pub reversed: String,
}

/// What one rule did with one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestRule)]
pub struct RuleResult {
    /// The rule.
    #[schema(example = 2)]
    pub rule: u16,
    /// Its name: the draft's, or that of the last version in the rule book.
    #[schema(example = "weekend bonus")]
    pub name: String,
    /// The asset it grants.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    pub asset: u8,
    /// By the draft; null where the draft did not decide anything by it.
    #[schema(required)]
    pub draft: Option<RuleSide>,
    /// Really; null where it was not in force.
    #[schema(required)]
    pub really: Option<RuleSide>,
    /// What the draft granted more; with a minus, less.
    #[schema(example = "-1200")]
    pub difference: String,
    /// How much of its budget the rule of the draft had used at the end; null where the draft does not have the rule.
    #[schema(required)]
    pub budget: Option<Budget>,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestRuleSide)]
pub struct RuleSide {
    /// What it granted.
    #[serde(flatten)]
    #[schema(inline = false)]
    pub side: Side,
    /// How many payments it granted nothing for, by the reason.
    pub not_granted: Reasons,
}

/// How many payments a rule granted nothing for, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = BacktestReasons)]
pub struct Reasons {
    /// The condition does not hold.
    pub not_matched: u64,
    /// The condition holds, and the reward comes to nothing.
    pub nothing_due: u64,
    /// A payment of a later window was counted before.
    pub late_for_window: u64,
    /// The user is in the control group.
    pub holdout: u64,
    /// The user's limit in the window is reached.
    pub user_limit: u64,
    /// The rule's budget is spent.
    pub budget_spent: u64,
    /// Another rule of the group pays.
    pub group_taken: u64,
    /// A rule that paid excludes this one.
    pub excluded: u64,
    /// The vault does not hold enough.
    pub vault_short: u64,
}

/// How much of its budget a rule used, in all its versions, from its first payment to the end of the time tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestBudget)]
pub struct Budget {
    /// What it granted, less what was reversed.
    #[schema(example = "48000")]
    pub spent: String,
    /// What it may grant; null for no bound.
    #[schema(required, example = "5000000")]
    pub total_amount: Option<String>,
    /// How often it granted.
    pub grants: u64,
    /// How often it may; null for no bound.
    #[schema(required)]
    pub total_count: Option<u64>,
}

/// A tenth of the users who paid in that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestDecile)]
pub struct Decile {
    /// 1 for those who paid least, 10 for those who paid most.
    #[schema(minimum = 1, maximum = 10, example = 10)]
    pub decile: u8,
    /// How many users.
    pub users: u64,
    /// What they paid in that time.
    #[schema(example = "129600")]
    pub spend: String,
    /// What the one who paid least did; null where there is nobody.
    #[schema(required, example = "100")]
    pub least: Option<String>,
    /// What the one who paid most did; null where there is nobody.
    #[schema(required, example = "9000")]
    pub most: Option<String>,
    /// What they were granted, by asset.
    pub assets: Vec<DecileAsset>,
}

/// What a tenth of the users was granted of an asset for their payments of that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestDecileAsset)]
pub struct DecileAsset {
    /// The asset.
    #[schema(minimum = 1, maximum = 8, example = 1)]
    pub asset: u8,
    /// By the draft.
    #[schema(example = "4800")]
    pub draft: String,
    /// Really.
    #[schema(example = "6000")]
    pub really: String,
    /// What the draft granted more; with a minus, less.
    #[schema(example = "-1200")]
    pub difference: String,
}

/// `a - b`.
fn difference(a: u128, b: u128) -> String {
    match a.checked_sub(b) {
        Some(more) => more.to_string(),
        None => format!("-{}", b.saturating_sub(a)),
    }
}

pub(crate) fn moment(at: Timestamp) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp(at.0).ok().filter(|_| at.0 != 0)?;
    moment.format(&Rfc3339).ok()
}

fn reasons(did: &Did) -> Reasons {
    let of = |reason: Reason| did.reasons.get(reason as usize).copied().unwrap_or(0);
    Reasons {
        not_matched: of(Reason::NotMatched),
        nothing_due: of(Reason::NothingDue),
        late_for_window: of(Reason::LateForWindow),
        holdout: of(Reason::Holdout),
        user_limit: of(Reason::UserLimit),
        budget_spent: of(Reason::BudgetSpent),
        group_taken: of(Reason::GroupTaken),
        excluded: of(Reason::Excluded),
        vault_short: of(Reason::VaultShort),
    }
}

fn grants(did: &Did) -> u64 {
    did.reasons.first().copied().unwrap_or(0)
}

/// The last version of a rule in the book.
fn last(ledger: &Ledger, rule: u16) -> Option<&Rule> {
    ledger.rules().iter().filter(|other| other.id.0 == rule).max_by_key(|other| other.version)
}

pub(crate) fn of(followed: &Followed) -> Report {
    let (tally, figures, ledger) = (&followed.tally, followed.figures, followed.ledger());
    let users: Vec<UserRow<'_>> = tally.users().collect();
    let mut notes = Vec::new();
    if figures.differing > 0 {
        notes.push(format!(
            "{} payments that the published rules decided do not come to what was granted: compare the tables with the chain",
            figures.differing
        ));
    }
    if figures.refused > 0 {
        notes.push(format!(
            "{} payments could not have been recorded under the draft: a balance or a counter would be too large",
            figures.refused
        ));
    }
    if let Some(file) = followed.draft().file() {
        let theirs = &ledger.terms().offsets;
        let same = file.offsets.len() == theirs.len()
            && file.offsets.iter().zip(theirs).all(|(a, b)| (a.from, a.seconds) == (b.from.0, b.seconds));
        if !same {
            notes.push("the draft's utc_offsets are not the platform's, by which its days were counted".to_owned());
        }
        if ledger.rules().iter().any(|rule| ledger.vault(rule.asset()).is_some()) {
            notes.push(
                "vaults are filled as they were; what was sent to one without a deposit counts from the next deposit or \
                 withdrawal on"
                    .to_owned(),
            );
        }
    }
    Report {
        from: moment(followed.range.from),
        to: moment(followed.range.to),
        events: figures.events,
        payments_before: figures.warm_up,
        payments: figures.payments,
        paid: figures.paid.to_string(),
        users: users.len() as u64,
        refunds: figures.refunds,
        refunded: figures.refunded.to_string(),
        refused: figures.refused,
        differing: figures.differing,
        assets: assets(followed, &users),
        rules: rules(followed, &users),
        deciles: deciles(followed, &users),
        notes,
    }
}

/// The numbers and names of all assets.
fn names(followed: &Followed) -> Vec<(u8, String)> {
    let known = followed.assets.iter();
    let drafted = followed.draft().file().map(|file| file.assets.as_slice()).unwrap_or_default();
    let more = drafted.iter().skip(followed.assets.len());
    (1..).zip(known.chain(more).map(|asset| asset.name())).collect()
}

fn assets(followed: &Followed, users: &[UserRow<'_>]) -> Vec<AssetResult> {
    let tally = &followed.tally;
    let side = |asset: u8, by: By| {
        let did = |line: &Line| if by == By::Draft { line.draft } else { line.really };
        let lines = tally.lines().iter().filter(|line| line.key.asset == asset).map(did);
        let (mut granted, mut count, mut reversed) = (0u128, 0u64, 0u128);
        for did in lines {
            granted = granted.saturating_add(did.granted);
            count = count.saturating_add(grants(&did));
            reversed = reversed.saturating_add(did.reversed);
        }
        let users = users.iter().filter(|user| user.granted(by, asset.into()) > 0).count() as u64;
        (granted, Side { granted: granted.to_string(), grants: count, users, reversed: reversed.to_string() })
    };
    let result = |(asset, name): (u8, String)| {
        let ((by_draft, draft), (granted, really)) = (side(asset, By::Draft), side(asset, By::Really));
        AssetResult { asset, name, draft, really, difference: difference(by_draft, granted) }
    };
    names(followed).into_iter().map(result).collect()
}

fn rules(followed: &Followed, users: &[UserRow<'_>]) -> Vec<RuleResult> {
    let (tally, ledger) = (&followed.tally, followed.ledger());
    let side = |at: usize, did: &Did, by: By| {
        let happened = did.reasons.iter().any(|count| *count > 0);
        happened.then(|| RuleSide {
            side: Side {
                granted: did.granted.to_string(),
                grants: grants(did),
                users: users.iter().filter(|user| user.has(by, at)).count() as u64,
                reversed: did.reversed.to_string(),
            },
            not_granted: reasons(did),
        })
    };
    let drafted = |rule: u16, asset: u8| {
        let file = followed.draft().file();
        file.is_none_or(|file| file.rules.iter().any(|one| one.id == rule && one.effect.asset().0 == asset))
    };
    let mut lines: Vec<_> = tally.lines().iter().enumerate().collect();
    lines.sort_by_key(|(_, line)| line.key);
    let mut results = Vec::new();
    for (at, line) in lines {
        let (draft, really) = (side(at, &line.draft, By::Draft), side(at, &line.really, By::Really));
        let last = last(ledger, line.key.rule);
        let budget = last.filter(|_| drafted(line.key.rule, line.key.asset)).map(|rule| {
            let spent = followed.spent.get(&line.key.rule).copied().unwrap_or_default();
            Budget {
                spent: spent.amount.to_string(),
                total_amount: Some(rule.limits.total_amount.0).filter(|most| *most != 0).map(|most| most.to_string()),
                grants: spent.grants,
                total_count: Some(rule.limits.total_count).filter(|most| *most != 0),
            }
        });
        // One that was only in the book for another time.
        if draft.is_none() && really.is_none() && (budget.is_none() || followed.draft().file().is_none()) {
            continue;
        }
        results.push(RuleResult {
            rule: line.key.rule,
            name: followed.name(line.key.rule),
            asset: line.key.asset,
            difference: difference(line.draft.granted, line.really.granted),
            draft,
            really,
            budget,
        });
    }
    results
}

fn deciles(followed: &Followed, users: &[UserRow<'_>]) -> Vec<Decile> {
    let keys = followed.keys();
    let mut by_spend: Vec<_> = users.iter().map(|user| (user.paid(), keys.get(user.user), user)).collect();
    by_spend.sort_unstable_by_key(|(paid, key, _)| (*paid, *key));
    let count = by_spend.len();
    // Where there are few, the one who paid most is in the last.
    let at = |tenth: usize| count.saturating_mul(tenth) / 10;
    let decile = |number: u8| {
        let (begin, end) = (at(usize::from(number).saturating_sub(1)), at(number.into()));
        let some = by_spend.get(begin..end).unwrap_or_default();
        let sum = |by: By, asset: u8| {
            some.iter().fold(0u128, |sum, (.., user)| sum.saturating_add(user.granted(by, asset.into())))
        };
        let asset = |(asset, _)| {
            let (draft, really) = (sum(By::Draft, asset), sum(By::Really, asset));
            DecileAsset {
                asset,
                draft: draft.to_string(),
                really: really.to_string(),
                difference: difference(draft, really),
            }
        };
        Decile {
            decile: number,
            users: some.len() as u64,
            spend: some.iter().fold(0u128, |sum, (paid, ..)| sum.saturating_add(*paid)).to_string(),
            least: some.first().map(|(paid, ..)| paid.to_string()),
            most: some.last().map(|(paid, ..)| paid.to_string()),
            assets: names(followed).into_iter().map(asset).collect(),
        }
    };
    (1..=10).map(decile).collect()
}
