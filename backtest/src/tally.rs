//! What was granted in the time that is tested: by the draft and really, by rule and by user.

use foldhash::fast::RandomState;
use rebate_client::replay::UserIndex;
use rebate_core::outcome::Reason;
use std::collections::HashMap;

/// By whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Draft,
    Really,
}

/// What one rule did with one asset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Did {
    /// How often it came to each reason.
    pub reasons: [u64; Reason::ALL.len()],
    /// What it granted, in the asset's smallest unit.
    pub granted: u128,
    /// What refunds took back.
    pub reversed: u128,
}

/// A rule and the asset it grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub rule: u16,
    pub asset: u8,
}

/// One rule with one asset.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub key: Key,
    pub draft: Did,
    pub really: Did,
}

/// How many lines a word of a user's marks is for.
const WORD: usize = 128;

/// Everything that is counted.
#[derive(Debug)]
pub struct Tally {
    lines: Vec<Line>,
    by_key: HashMap<Key, usize, RandomState>,
    /// For how many assets, and lines, every user has room.
    assets: usize,
    words: usize,
    /// Of every user one row: what was paid; for each asset what the draft granted, and what was granted really; marks of the
    /// lines that granted something, the draft's and the real ones.
    rows: Vec<u128>,
}

impl Tally {
    pub fn new(assets: usize) -> Self {
        Self { lines: Vec::new(), by_key: HashMap::default(), assets: assets.max(1), words: 1, rows: Vec::new() }
    }

    fn stride(&self) -> usize {
        Self::width(self.assets, self.words)
    }

    const fn width(assets: usize, words: usize) -> usize {
        assets.saturating_add(words).saturating_mul(2).saturating_add(1)
    }

    /// The line of a rule and an asset, a new one if there is none.
    pub fn line(&mut self, key: Key) -> usize {
        if let Some(at) = self.by_key.get(&key) {
            return *at;
        }
        let at = self.lines.len();
        self.by_key.insert(key, at);
        self.lines.push(Line { key, draft: Did::default(), really: Did::default() });
        let assets = self.assets.max(usize::from(key.asset));
        let words = self.lines.len().div_ceil(WORD).max(1);
        if (assets, words) != (self.assets, self.words) {
            self.widen(assets, words);
        }
        at
    }

    /// Room for more assets and lines in every row.
    fn widen(&mut self, assets: usize, words: usize) {
        let (stride, wider) = (self.stride(), Self::width(assets, words));
        let mut rows = vec![0; self.rows.len().checked_div(stride).unwrap_or(0).saturating_mul(wider)];
        for (new, old) in rows.chunks_exact_mut(wider).zip(self.rows.chunks_exact(stride)) {
            let (amounts, marks) = old.split_at(self.assets.saturating_mul(2).saturating_add(1));
            let (new_amounts, new_marks) = new.split_at_mut(assets.saturating_mul(2).saturating_add(1));
            for (new, old) in new_amounts.iter_mut().zip(amounts) {
                *new = *old;
            }
            for (new, old) in new_marks.chunks_exact_mut(words).zip(marks.chunks_exact(self.words)) {
                for (new, old) in new.iter_mut().zip(old) {
                    *new = *old;
                }
            }
        }
        (self.rows, self.assets, self.words) = (rows, assets, words);
    }

    /// A user paid.
    #[inline]
    pub fn paid(&mut self, user: UserIndex, amount: u64) {
        let stride = self.stride();
        let begin = user.0.saturating_mul(stride);
        if self.rows.len() <= begin {
            self.rows.resize(begin.saturating_add(stride), 0);
        }
        if let Some(paid) = self.rows.get_mut(begin) {
            *paid = paid.saturating_add(amount.into());
        }
    }

    /// A rule did something with a payment of a user that [`paid`](Self::paid).
    #[inline]
    pub fn outcome(&mut self, by: By, line: usize, user: UserIndex, reason: Reason, amount: u64) {
        let Some(Line { key, draft, really }) = self.lines.get_mut(line) else { return };
        let did = match by {
            By::Draft => draft,
            By::Really => really,
        };
        if let Some(count) = did.reasons.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
        if reason != Reason::Granted {
            return;
        }
        did.granted = did.granted.saturating_add(amount.into());
        let real = usize::from(by == By::Really);
        let slot = usize::from(key.asset).saturating_sub(1).saturating_mul(2).saturating_add(1).saturating_add(real);
        let marks = self.assets.saturating_mul(2).saturating_add(1).saturating_add(real.saturating_mul(self.words));
        let stride = self.stride();
        let begin = user.0.saturating_mul(stride);
        let Some(row) = self.rows.get_mut(begin..begin.saturating_add(stride)) else { return };
        if let Some(granted) = row.get_mut(slot) {
            *granted = granted.saturating_add(amount.into());
        }
        if let Some(mark) = row.get_mut(marks.saturating_add(line / WORD)) {
            *mark |= 1 << (line % WORD);
        }
    }

    /// A refund took back what a rule had granted.
    pub fn reversed(&mut self, by: By, line: usize, amount: u64) {
        let Some(line) = self.lines.get_mut(line) else { return };
        let did = match by {
            By::Draft => &mut line.draft,
            By::Really => &mut line.really,
        };
        did.reversed = did.reversed.saturating_add(amount.into());
        if let Some(count) = did.reasons.get_mut(Reason::Reversed as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// The lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Everybody who paid.
    pub fn users(&self) -> impl Iterator<Item = UserRow<'_>> {
        let rows = self.rows.chunks_exact(self.stride()).enumerate();
        rows.map(|(user, row)| UserRow { tally: self, user, row }).filter(|row| row.paid() > 0)
    }
}

/// What is counted of one user.
#[derive(Clone, Copy)]
pub struct UserRow<'a> {
    tally: &'a Tally,
    /// The user's number.
    pub user: usize,
    row: &'a [u128],
}

impl UserRow<'_> {
    /// What the user paid.
    pub fn paid(&self) -> u128 {
        self.row.first().copied().unwrap_or(0)
    }

    /// What the user was granted of an asset, from 1.
    pub fn granted(&self, by: By, asset: usize) -> u128 {
        let slot = asset.saturating_mul(2).saturating_sub(1).saturating_add(usize::from(by == By::Really));
        if asset > self.tally.assets { 0 } else { self.row.get(slot).copied().unwrap_or(0) }
    }

    /// Whether a line granted the user something.
    pub fn has(&self, by: By, line: usize) -> bool {
        let marks = self.tally.assets.saturating_mul(2).saturating_add(1);
        let of = if by == By::Really { self.tally.words } else { 0 };
        let word = self.row.get(marks.saturating_add(of).saturating_add(line / WORD)).copied().unwrap_or(0);
        word >> (line % WORD) & 1 == 1
    }
}
