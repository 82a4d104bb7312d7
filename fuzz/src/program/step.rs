//! What can happen to a platform, as bytes say it. Zeros, which is also what no bytes are left for, are what is usual.

use arbitrary::{Arbitrary, Result, Unstructured};
use rebate_core::{rule::GroupMode, time::DAY};
use std::fmt;

/// The most steps that are played.
const MOST: usize = 48;

/// A platform, and what happens to it.
#[derive(Debug)]
pub struct Scenario {
    pub timelock: u32,
    pub order_shards: u16,
    pub expiry_months: u8,
    pub modes: [GroupMode; 4],
    /// The rules that there are from the beginning, drawn by lot.
    pub lots: Vec<u16>,
    /// What the vault holds at first; `None` where there is none.
    pub funds: Option<u64>,
    /// Whether a rule grants a quarter of every payment in tokens.
    pub grants_tokens: bool,
    /// Whether pages are opened with so little room that they fill.
    pub small_pages: bool,
    pub steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Scenario {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut scenario = Self {
            timelock: one(bytes, &[0, 0, 3_600])?,
            order_shards: one(bytes, &[1, 1, 2])?,
            expiry_months: one(bytes, &[0, 1])?,
            modes: [mode(bytes)?, mode(bytes)?, mode(bytes)?, mode(bytes)?],
            lots: Vec::new(),
            funds: one(bytes, &[Some(100_000), Some(1_000), Some(0), None])?,
            grants_tokens: one(bytes, &[true, false])?,
            small_pages: one(bytes, &[true, false])?,
            steps: Vec::new(),
        };
        for _ in 0..one(bytes, &[3, 0, 1, 2, 4, 5])? {
            scenario.lots.push(bytes.arbitrary()?);
        }
        while !bytes.is_empty() && scenario.steps.len() < MOST {
            scenario.steps.push(bytes.arbitrary()?);
        }
        Ok(scenario)
    }
}

/// Something that is tried.
#[derive(Arbitrary, Debug)]
pub struct Step {
    #[arbitrary(with = what)]
    pub what: What,
    /// Who signs instead of who should.
    pub by: Rarely<u8>,
    /// What becomes of it on its way.
    pub twist: Rarely<Twist>,
}

/// Something that is there once in five times.
#[derive(Clone, Copy)]
pub struct Rarely<T>(pub Option<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Rarely<T> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        // Not there where the bytes end.
        let is_there = u8::arbitrary(bytes)? >= 205;
        Ok(Self(if is_there { Some(bytes.arbitrary()?) } else { None }))
    }
}

impl<T: fmt::Debug> fmt::Debug for Rarely<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[derive(Arbitrary, Debug)]
pub enum What {
    Pay(Pay),
    Refund(Refund),
    Redeem(Redeem),
    Link(Link),
    Rule(Rule),
    Page(Page),
    Account(Account),
    Proof(Proof),
    Vault(Vault),
    Govern(Govern),
    Wait(#[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &WAITS))] i64),
    /// A transaction of before is sent again, as it was.
    Again(u8),
}

const WAITS: [i64; 9] = [1, 60, 3_600, 40_000, DAY, 100_000, 3 * DAY, 600_000, 3_000_000];

/// One message of payments.
#[derive(Arbitrary, Debug)]
pub struct Pay {
    #[arbitrary(with = some_payments)]
    pub payments: Vec<Paid>,
    /// Whether the accounts it needs stay as they are, missing or not.
    pub unprepared: Rarely<()>,
    /// Whether it is for another platform.
    #[arbitrary(with = |bytes: &mut Unstructured<'_>| bytes.ratio(1, 40))]
    pub elsewhere: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Paid {
    #[arbitrary(with = few::<3>)]
    pub user: u8,
    /// 0 for one that there never was.
    #[arbitrary(with = few::<16>)]
    pub order: u8,
    #[arbitrary(with = amount)]
    pub amount: u64,
    #[arbitrary(with = late)]
    pub late: i64,
    #[arbitrary(with = few::<3>)]
    pub product: u8,
    #[arbitrary(with = few::<3>)]
    pub streamer: u8,
    #[arbitrary(with = few::<2>)]
    pub session: u8,
    #[arbitrary(with = few::<3>)]
    pub tier: u8,
    #[arbitrary(with = few::<8>)]
    pub segments: u8,
}

#[derive(Arbitrary, Debug)]
pub struct Refund {
    /// Which of the payments that were accepted.
    pub of: u8,
    /// 0 for one that there never was.
    #[arbitrary(with = few::<16>)]
    pub order: u8,
    /// How many quarters of what was paid.
    #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[1, 2, 3, 4, 5, 0]))]
    pub quarters: u8,
    #[arbitrary(with = late)]
    pub late: i64,
    /// Whether the accounts it needs stay as they are.
    pub unprepared: Rarely<()>,
}

#[derive(Arbitrary, Debug)]
pub struct Redeem {
    #[arbitrary(with = few::<3>)]
    pub user: u8,
    /// 0 for one that there never was.
    #[arbitrary(with = few::<16>)]
    pub order: u8,
    #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[1, 2, 3, 4, 0]))]
    pub asset: u8,
    /// `None` for all there is.
    #[arbitrary(with = amount_or_all)]
    pub amount: Option<u64>,
    #[arbitrary(with = late)]
    pub late: i64,
}

#[derive(Arbitrary, Debug)]
pub struct Link {
    #[arbitrary(with = few::<3>)]
    pub user: u8,
    #[arbitrary(with = few::<2>)]
    pub wallet: u8,
    #[arbitrary(with = late)]
    pub late: i64,
}

#[derive(Arbitrary, Debug)]
pub enum Rule {
    /// The next version of a rule, drawn by lot; with another version number than the next one, rarely.
    Publish {
        #[arbitrary(with = few::<5>)]
        id: u8,
        lot: u16,
        #[arbitrary(with = when)]
        from: When,
        version: Rarely<u16>,
    },
    /// One of the book ends.
    End {
        which: u8,
        #[arbitrary(with = when)]
        at: When,
    },
    /// A version whose days are closed is dropped, if there is one.
    DropOver,
    /// One of the book is dropped.
    Drop { which: u8 },
}

#[derive(Arbitrary, Debug)]
pub enum Page {
    Open {
        at: PageAt,
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[8, 8, 8, 16, 32, 7, 1_024]))]
        slots: u16,
    },
    Grow {
        /// Which of the pages that there are.
        which: u8,
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[9, 64, 1_200, 3_000]))]
        slots: u32,
    },
    /// All that are over.
    CloseOver,
    Close {
        /// Which of the pages that there are.
        which: [u8; 2],
    },
}

/// A page, by its day counted from today.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct PageAt {
    #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[0, -1, -2, -3, -4, -5, -7, -35, 1, 32, 33]))]
    pub day: i64,
    #[arbitrary(with = few::<3>)]
    pub shard: u8,
    #[arbitrary(with = few::<4>)]
    pub number: u8,
}

#[derive(Arbitrary, Debug)]
pub enum Account {
    OpenUser {
        #[arbitrary(with = few::<4>)]
        user: u8,
        #[arbitrary(with = few::<6>)]
        slots: u8,
    },
    GrowUser {
        #[arbitrary(with = few::<4>)]
        user: u8,
        #[arbitrary(with = few::<9>)]
        slots: u8,
    },
    Expire {
        #[arbitrary(with = few::<3>)]
        user: u8,
    },
    OpenCounter {
        at: CounterAt,
        #[arbitrary(with = few::<4>)]
        slots: u8,
    },
    GrowCounter {
        /// Which of the counters that there are.
        which: u8,
        #[arbitrary(with = few::<6>)]
        slots: u8,
    },
    CloseCounter {
        which: u8,
    },
    /// Somebody sends lamports to an address that was named before.
    Gift {
        to: u8,
    },
}

/// Counters of a user towards a streamer or in a session.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct CounterAt {
    #[arbitrary(with = few::<3>)]
    pub user: u8,
    pub of_session: bool,
    #[arbitrary(with = few::<3>)]
    pub id: u8,
}

/// The steps of a proof one by one; `of` is one of the payments that were accepted.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Proof {
    /// What comes next.
    Next {
        of: u8,
    },
    Open {
        of: u8,
        more: Rarely<u8>,
    },
    /// So many of the event's next bytes.
    Write {
        of: u8,
        bytes: u8,
        wrong: Rarely<u8>,
    },
    /// So many of the path's next nodes.
    Prove {
        of: u8,
        #[arbitrary(with = few::<4>)]
        nodes: u8,
    },
    Close {
        of: u8,
    },
}

#[derive(Arbitrary, Debug)]
pub enum Vault {
    Open,
    Deposit {
        #[arbitrary(with = amount)]
        amount: u64,
    },
    /// Tokens that come to the vault in another way.
    Send {
        #[arbitrary(with = few::<200>)]
        amount: u8,
    },
    Claim {
        /// Which of the users who have a wallet, and tokens if anybody does.
        user: u8,
        #[arbitrary(with = all_or_amount)]
        amount: u64,
    },
    Withdraw {
        #[arbitrary(with = all_or_amount)]
        amount: u64,
    },
}

#[derive(Arbitrary, Debug)]
pub enum Govern {
    Pause(#[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[false, false, true]))] bool),
    MaxLateness {
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[DAY as u32, 0, 3 * DAY as u32, 5 * DAY as u32]))]
        seconds: u32,
        #[arbitrary(with = when)]
        from: When,
    },
    Timelock {
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[0, 60, 3_600, 7 * DAY as u32]))]
        seconds: u32,
        #[arbitrary(with = when)]
        from: When,
    },
    Shards {
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[0, 1, 2, 5, 33, -1]))]
        day: i64,
        #[arbitrary(with = few::<4>)]
        shards: u8,
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[8, 16, 256, 1_267, 7, 1_268]))]
        page_slots: u16,
    },
    Offset {
        #[arbitrary(with = when)]
        from: When,
        #[arbitrary(with = |bytes: &mut Unstructured<'_>| one(bytes, &[0, 9 * 3_600, -12_600, 14 * 3_600 + 1]))]
        seconds: i32,
    },
    Asset {
        #[arbitrary(with = few::<5>)]
        kind: u8,
        #[arbitrary(with = when)]
        from: When,
    },
    Register {
        key: u8,
        #[arbitrary(with = when)]
        from: When,
        #[arbitrary(with = when)]
        until: When,
    },
    Retire {
        key: u8,
        #[arbitrary(with = when)]
        until: When,
    },
    Propose {
        next: u8,
    },
    Accept,
    Pauser {
        next: u8,
    },
    /// The platform that there is already, once more.
    Create,
}

/// A moment, by the clock.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Zero,
    FromNow(i64),
}

/// What goes wrong with a transaction on its way: with its last instruction, or with the one before.
#[derive(Arbitrary, Clone, Debug)]
pub struct Twist {
    pub first: Rarely<()>,
    #[arbitrary(with = how)]
    pub how: How,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum How {
    /// An account becomes another one that was named before.
    Swap {
        at: u8,
        with: u8,
    },
    /// Two accounts of the instruction change places.
    Exchange {
        at: u8,
        with: u8,
    },
    /// An account is named twice, the second time in the place of another.
    Twice {
        at: u8,
        of: u8,
    },
    Without {
        at: u8,
    },
    Insert {
        at: u8,
        with: u8,
    },
    Flags {
        at: u8,
        signer: bool,
        writable: bool,
    },
    Data {
        at: u16,
        xor: u8,
    },
    Cut {
        bytes: u8,
    },
    Longer {
        bytes: u8,
    },
    /// All of it twice in one transaction.
    Double,
}

/// One of them; the first where the bytes end.
fn one<T: Copy>(bytes: &mut Unstructured<'_>, of: &[T]) -> Result<T> {
    bytes.choose(of).copied()
}

fn few<const N: u8>(bytes: &mut Unstructured<'_>) -> Result<u8> {
    bytes.int_in_range(0..=N - 1)
}

fn mode(bytes: &mut Unstructured<'_>) -> Result<GroupMode> {
    one(bytes, &GroupMode::ALL)
}

fn amount(bytes: &mut Unstructured<'_>) -> Result<u64> {
    one(bytes, &[1_000, 1, 99, 100, 500, 3_333, 10_000, 0, 1 << 40, u64::MAX / 2, u64::MAX])
}

fn amount_or_all(bytes: &mut Unstructured<'_>) -> Result<Option<u64>> {
    one(bytes, &[None, Some(1), Some(10), Some(100), Some(500), Some(0), Some(u64::MAX)])
}

/// 0 for all.
fn all_or_amount(bytes: &mut Unstructured<'_>) -> Result<u64> {
    one(bytes, &[0, 0, 1, 100, 1_000, 1 << 40, u64::MAX])
}

fn late(bytes: &mut Unstructured<'_>) -> Result<i64> {
    one(bytes, &[0, 0, 0, 1, 30, 3_600, 40_000, 90_000, 200_000, 3 * DAY, 3 * DAY + 1, -30, -61, i64::MAX, i64::MIN])
}

fn when(bytes: &mut Unstructured<'_>) -> Result<When> {
    let moments = [0, 1, 3_600, 3_601, DAY, 30 * DAY, -DAY];
    match bytes.int_in_range(0..=moments.len())? {
        0 => Ok(When::Zero),
        at => Ok(When::FromNow(moments[at - 1])),
    }
}

/// Every third is a payment: most else is about payments that there were.
fn what(bytes: &mut Unstructured<'_>) -> Result<What> {
    if bytes.ratio(1, 3)? { bytes.arbitrary().map(What::Pay) } else { bytes.arbitrary() }
}

/// Half of it is an account in the place of another.
fn how(bytes: &mut Unstructured<'_>) -> Result<How> {
    if bytes.ratio(1, 2)? {
        Ok(How::Swap { at: bytes.arbitrary()?, with: bytes.arbitrary()? })
    } else {
        bytes.arbitrary()
    }
}

fn some_payments(bytes: &mut Unstructured<'_>) -> Result<Vec<Paid>> {
    let count = one(bytes, &[1, 1, 1, 2, 3])?;
    (0..count).map(|_| bytes.arbitrary()).collect()
}
