//! What the four instructions have in common that record what an oracle signed: the message, and the accounts of each of
//! its records.

use crate::{
    error::RebateError,
    events::BalanceExpired,
    journal::Emitter,
    log, signed_message,
    state::{Counter, Journal, OrderPage, Platform, RuleBookAccount, User, counter, order_page},
};
use alloc::vec::Vec;
use anchor_lang::prelude::*;
use rebate_core::{
    admission::Admission,
    balance::Balances,
    counters::Counters,
    evaluate::CountersByScope,
    expiry::{Expired, expire},
    message,
    order::{self, Place},
    refusal::Refusal,
    time::{self, LocalTime},
    units::{Day, OrderHash, ScopeId, Timestamp, UserKey},
    window::Scope,
};

/// Behind these come, for each record in order: the account of its user; every order page of its day and shard, in order; for
/// a refund, the refunded order's account; the counters that rules need. Anybody may submit: what counts is who signed.
#[event_cpi]
#[derive(Accounts)]
pub struct RecordSigned {
    #[account(mut)]
    pub platform: Account<Platform>,
    #[account(mut, constraint = anchor_lang::address_eq(&rule_book.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub rule_book: RuleBookAccount,
    #[account(mut, constraint = anchor_lang::address_eq(&journal.platform, platform.address()) @ RebateError::WrongPlatform)]
    pub journal: Account<Journal>,
    /// The framework checks the sysvar's address.
    pub instructions: Sysvar<SysvarInstructions>,
}

/// What a record is recorded with.
pub struct Desk<'a> {
    pub platform: &'a mut Account<Platform>,
    pub book: &'a mut RuleBookAccount,
    pub journal: &'a mut Account<Journal>,
    pub emitter: Emitter<'a>,
    /// The oracle key that signed.
    pub oracle: [u8; 32],
    /// The chain's clock.
    pub now: Timestamp,
    pub admission: Admission,
    pub program: &'a Address,
}

/// What became of a record. The outer error fails the whole instruction; the inner refusal, this record.
pub type Recorded = Result<core::result::Result<(), Refusal>>;

/// Records the message of the instruction just before, record by record.
///
/// - The platform must be running.
/// - The message must be signed by an oracle key valid now, for this program and this platform, and be of one kind.
/// - A refused record changes nothing, and the others go on. If every one is refused, the instruction fails with the first
///   one's error.
#[inline(always)]
pub fn each<R: message::Record>(
    ctx: &mut Context<RecordSigned>,
    mut take: impl FnMut(&mut Desk<'_>, AccountView, &[AccountView], &R) -> Recorded,
) -> Result<()> {
    log::mark();
    ctx.accounts.platform.require_running()?;
    let passed = ctx.remaining_accounts()?;
    let accounts = &mut ctx.accounts;
    let now = Timestamp(Clock::get()?.unix_timestamp);
    let ed25519 = signed_message::instruction_before(&accounts.instructions)?;
    let signed = signed_message::read(&ed25519, &accounts.platform, now)?;
    let mut records = message::open(signed.bytes, ctx.program_id.as_array(), accounts.platform.address().as_array())
        .map_err(RebateError::from)?;

    let mut desk = Desk {
        emitter: Emitter::new(&accounts.event_authority, ctx.bumps.event_authority, ctx.program_id),
        oracle: signed.oracle.key,
        now,
        admission: accounts.platform.admission(now),
        platform: &mut accounts.platform,
        book: &mut accounts.rule_book,
        journal: &mut accounts.journal,
        program: ctx.program_id,
    };
    log::mark();
    let mut rest = passed.as_slice();
    let mut first_refusal = None;
    let mut accepted = false;
    while let Some(record) = records.next::<R>().map_err(RebateError::from)? {
        // A user's account begins what belongs to a record.
        let (user, others) = rest.split_first().ok_or(RebateError::WrongAccounts)?;
        let length = others.iter().position(is_user).unwrap_or(others.len());
        let (own, others) = others.split_at_checked(length).ok_or(RebateError::WrongAccounts)?;
        rest = others;
        match take(&mut desk, *user, own, &record)? {
            Ok(()) => accepted = true,
            Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
        }
    }
    require!(rest.is_empty(), RebateError::WrongAccounts);
    match first_refusal {
        Some(refusal) if !accepted => Err(RebateError::from(refusal).into()),
        _ => Ok(()),
    }
}

/// Whether the account's first bytes are a user's. Whether it is one of this program's is checked where it is loaded.
#[inline(always)]
fn is_user(account: &AccountView) -> bool {
    // SAFETY: only read here, before anything of the record is loaded.
    unsafe { account.borrow_unchecked() }.starts_with(User::DISCRIMINATOR)
}

impl Desk<'_> {
    /// The account of a record's user.
    ///
    /// # Errors
    /// [`RebateError::WrongUser`].
    #[inline(always)]
    pub fn user(&self, account: AccountView, key: &UserKey) -> Result<Account<User>> {
        // SAFETY: the framework refuses a trailing account that is one of the declared ones; the one loaded for a record is
        // dropped before the next record, and no other account of a record is a user's.
        let user = unsafe { Account::<User>::load_mut(account)? };
        require!(user.is(self.platform.address(), key), RebateError::WrongUser);
        Ok(user)
    }

    /// Looks an order up in every page of its day and shard, and returns the page it belongs into and its place there. Takes
    /// the pages off `accounts`.
    ///
    /// # Errors
    /// [`Refusal::DuplicateOrder`] inside; outside [`RebateError::WrongOrderPage`] unless every page was passed, and
    /// [`RebateError::OrderPageFull`].
    #[inline(always)]
    pub fn page(
        &self,
        accounts: &mut &[AccountView],
        order: &OrderHash,
        at: Timestamp,
    ) -> Result<core::result::Result<(Account<OrderPage>, usize), Refusal>> {
        let day = time::utc_day(at).unwrap_or(Day(0));
        let shard = order::shard(order, self.platform.order_shards(day));
        let mut number = 0u16;
        loop {
            let (account, rest) = accounts.split_first().ok_or(RebateError::WrongAccounts)?;
            *accounts = rest;
            // SAFETY: as for users; the pages of a record have different numbers.
            let page = unsafe { Account::<OrderPage>::load_mut(*account).map_err(|_| RebateError::WrongOrderPage)? };
            require!(page.is(self.platform.address(), day, shard, number), RebateError::WrongOrderPage);
            match order_page::look_up(&page, order)? {
                Place::Taken => return Ok(Err(Refusal::DuplicateOrder)),
                _ if page.sealed != 0 => {}
                Place::Free(place) => return Ok(Ok((page, place))),
                Place::Full => return Err(RebateError::OrderPageFull.into()),
            }
            number = number.saturating_add(1);
        }
    }

    /// The balances without what expired by now, and what expired. Nothing is written.
    #[inline(always)]
    pub fn expire(&self, balances: &mut Balances, expired: &mut Vec<Expired>) {
        expired.clear();
        if let Some(periods) = self.platform.periods() {
            let now = LocalTime::at(self.now, self.platform.offsets());
            expire(balances, &periods, now, |asset| expired.push(asset));
        }
    }

    /// Emits what expired.
    #[inline(always)]
    pub fn emit_expired(&mut self, user: &UserKey, expired: &[Expired]) -> Result<()> {
        let platform = self.platform.address().to_bytes();
        for expired in expired {
            self.emitter.emit(self.journal, |index| BalanceExpired {
                journal_index: index.0,
                at: self.now.0,
                platform,
                user: user.0,
                asset: expired.asset.0,
                amount: expired.amount.0,
                before: expired.before.0,
                after: expired.after.0,
            })?;
        }
        Ok(())
    }
}

/// The counters towards a record's streamer and in its session, as far as they were passed.
#[derive(Default)]
pub struct Brought {
    streamer: Option<Account<Counter>>,
    session: Option<Account<Counter>>,
}

impl Brought {
    /// Loads the counters among `accounts`: those of `user` in the scopes with the numbers that `id` gives.
    ///
    /// # Errors
    /// [`RebateError::WrongCounter`].
    #[inline(always)]
    pub fn load(
        accounts: &[AccountView],
        platform: &Address,
        user: &UserKey,
        id: impl Fn(Scope) -> ScopeId,
    ) -> Result<Self> {
        let mut brought = Self::default();
        for account in accounts {
            // SAFETY: as for users; one that is passed twice is refused below.
            let counter = unsafe { Account::<Counter>::load_mut(*account).map_err(|_| RebateError::WrongCounter)? };
            let is = |scope| counter.is(platform, user, scope, id(scope));
            let place = if is(Scope::UserStreamer) {
                &mut brought.streamer
            } else if is(Scope::UserSession) {
                &mut brought.session
            } else {
                return Err(RebateError::WrongCounter.into());
            };
            require!(place.is_none(), RebateError::WrongCounter);
            *place = Some(counter);
        }
        Ok(brought)
    }

    /// Whether the counters of a scope were passed.
    pub fn has(&self, scope: Scope) -> bool {
        match scope {
            Scope::User => true,
            Scope::UserStreamer => self.streamer.is_some(),
            Scope::UserSession => self.session.is_some(),
        }
    }

    /// All counters of a record, `user` being the user's own.
    #[inline(always)]
    pub fn by_scope<'a>(&'a mut self, user: &'a mut [Counters]) -> Result<CountersByScope<'a>> {
        // SAFETY: the slices live no longer than this value is borrowed, and nothing else makes any.
        let slice = |account: &Account<Counter>| unsafe { counter::counters(account) };
        Ok(CountersByScope {
            user,
            streamer: self.streamer.as_ref().map(slice).transpose()?,
            session: self.session.as_ref().map(slice).transpose()?,
        })
    }
}

/// Fails the instruction where the accounts that were passed are not enough, and says which rule needs what.
pub fn stopped(stop: rebate_core::evaluate::Stop) -> Recorded {
    use rebate_core::evaluate::Stop;
    match stop {
        Stop::Refused(refusal) => Ok(Err(refusal)),
        Stop::MissingCounters(rule, scope) => {
            log::missing(rule, scope);
            Err(RebateError::CounterMissing.into())
        }
        Stop::NoRoom(rule, scope) => {
            log::missing(rule, scope);
            Err(RebateError::NoRoom.into())
        }
    }
}
