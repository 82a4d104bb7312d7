//! What is tested, and how it takes the place of what was published.

use crate::error::BacktestError;
use rebate_client::{
    event::{AssetEntry, RuleDefinition},
    replay::{Ledger, NotPublished},
};
use rebate_core::{
    book::NotNext,
    rule::Rule,
    units::{RuleId, Timestamp},
};
use rebate_rulefile::RuleFile;

/// The rules that are tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// Those of a rule file, in place of all that were published.
    File(Box<RuleFile>),
    /// Those that were published, as they were: what they grant is what was granted.
    Published,
}

impl Draft {
    /// The rules of a file.
    pub fn file(&self) -> Option<&RuleFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Published => None,
        }
    }
}

/// Puts the rules of a draft into the book, for payments from `from` on; 0 for all there ever were, where the book is empty.
///
/// # Errors
/// [`BacktestError::Draft`], where the chain would not take a rule either.
pub fn take_effect(ledger: &mut Ledger, draft: &[RuleDefinition], from: Timestamp) -> Result<(), BacktestError> {
    let mut book = ledger.rules().to_vec();
    // What was to take effect later does not, and does not end what came before it.
    book.retain(|rule| from.0 != 0 && rule.effective_at < from);
    for rule in &mut book {
        if rule.superseded_at >= from {
            rule.superseded_at = Timestamp(0);
        }
    }
    let siblings = |id: RuleId| book.iter().filter(|rule| rule.id == id).count();
    let counts: Vec<_> = book.iter().map(|rule| siblings(rule.id)).collect();
    for (rule, count) in book.iter_mut().zip(counts) {
        rule.has_siblings = u8::from(count > 1);
    }
    let mut last: Vec<&mut Rule> = Vec::new();
    for rule in &mut book {
        match last.iter_mut().find(|other| other.id == rule.id) {
            Some(other) if other.version < rule.version => *other = rule,
            Some(_) => {}
            None => last.push(rule),
        }
    }
    let mut stays = Vec::new();
    for rule in last.into_iter().filter(|rule| rule.superseded_at.0 == 0) {
        match draft.iter().any(|new| new.id == rule.id.0 && new.says_the_same(rule)) {
            true => stays.push(rule.id.0),
            false => rule.superseded_at = from,
        }
    }
    ledger.set_rules(book);
    for new in draft.iter().filter(|new| !stays.contains(&new.id)) {
        let versions = ledger.rules().iter().filter(|rule| rule.id.0 == new.id);
        let last = versions.map(|rule| rule.version.0).max();
        let next = RuleDefinition { version: last.unwrap_or(0).saturating_add(1), ..new.clone() };
        ledger.publish(&next, from).map_err(|error| BacktestError::Draft(refusal(&next, error)))?;
    }
    Ok(())
}

fn refusal(rule: &RuleDefinition, error: NotPublished) -> String {
    let what = match error {
        NotPublished::NotNext(NotNext::GroupMode) => format!(
            "the rules of group {} that are in the rule book compete in another way; give it another number",
            rule.group
        ),
        NotPublished::NotNext(NotNext::Version) => "it has had 65535 versions; give it another number".to_owned(),
        NotPublished::NotNext(NotNext::TooEarly) => "its last version takes effect later".to_owned(),
        NotPublished::Invalid(why) => format!("it is no sound rule: {why:?}"),
    };
    format!("rule {} \"{}\" cannot be published: {what}", rule.id, rule.name)
}

/// Checks that the draft's assets are the platform's; it may have more.
///
/// # Errors
/// [`BacktestError::Draft`], the first asset that is another.
pub fn check_assets(draft: &RuleFile, platform: &[AssetEntry]) -> Result<(), BacktestError> {
    for (id, (ours, theirs)) in (1..).zip(draft.assets.iter().zip(platform)) {
        let same_mint = ours.mint == [0; 32] || ours.mint == theirs.mint;
        if (ours.name, ours.kind, ours.expiry_months) != (theirs.name, theirs.kind, theirs.expiry_months) || !same_mint
        {
            let what = format!(
                "its asset {id}, \"{}\", differs from the platform's, \"{}\", in name, kind, expiry or mint",
                ours.name(),
                theirs.name()
            );
            return Err(BacktestError::Draft(what));
        }
    }
    Ok(())
}
