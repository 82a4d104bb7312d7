//! The program's errors. Codes begin at 6000 and are part of the interface: never renumber, only add at the end.

use anchor_lang::prelude::*;
use rebate_core::{book::NotNext, message::InvalidMessage, refusal::Refusal, rule::InvalidRule};

#[error_code]
pub enum RebateError {
    #[msg("A payment of nothing; sign the amount that was paid")]
    ZeroAmount = 0,
    #[msg("Paid further back than the platform accepts; a record must arrive within max_lateness")]
    TooLate = 1,
    #[msg("Paid more than 60 seconds ahead of the chain's clock; check the oracle's clock")]
    FromTheFuture = 2,
    #[msg("This order was recorded before; nothing is left to do")]
    DuplicateOrder = 3,
    #[msg("A grant, a balance or a total would pass 2^64 - 1")]
    AmountOverflow = 4,
    #[msg("The platform is paused; try again once it is unpaused")]
    Paused = 5,
    #[msg("Only the platform's admin may do this")]
    NotAdmin = 6,
    #[msg("Only the platform's pauser may do this")]
    NotPauser = 7,
    #[msg("The account belongs to another platform")]
    WrongPlatform = 8,
    #[msg("The instruction just before must be one of the Ed25519 program")]
    NoSignature = 9,
    #[msg("The Ed25519 instruction must verify exactly one signature over data of its own at offsets 48, 16 and 112")]
    MalformedSignature = 10,
    #[msg("Signed by a key that is not an oracle key of this platform")]
    UnknownOracle = 11,
    #[msg("The oracle key is not valid now")]
    OracleNotValid = 12,
    #[msg("The signed message is cut off")]
    MessageTruncated = 13,
    #[msg("The signed message is not one of records")]
    WrongDomain = 14,
    #[msg("The message was signed for another program")]
    MessageForAnotherProgram = 15,
    #[msg("The message was signed for another platform")]
    MessageForAnotherPlatform = 16,
    #[msg("The signed message holds no records")]
    EmptyMessage = 17,
    #[msg("The signed message holds a record of another kind than the instruction takes")]
    UnknownRecord = 18,
    #[msg("A record of the signed message is not in its one canonical form")]
    NotCanonical = 19,
    #[msg("The signed message goes on after its last record")]
    TrailingBytes = 20,
    #[msg(
        "Pass for each record, in order, the user's account, the order pages of its day and shard, and the counters it needs; nothing else"
    )]
    WrongAccounts = 21,
    #[msg("The account passed is not that of the record's user")]
    WrongUser = 22,
    #[msg("The order page passed is not that of the record's day and shard")]
    WrongOrderPage = 23,
    #[msg("The order page is full; open the next one")]
    OrderPageFull = 24,
    #[msg("The journal is full")]
    JournalFull = 25,
    #[msg("A rule's name has 1 to 32 bytes and no control characters")]
    RuleName = 26,
    #[msg("The rule's version must be one more than the last published, from 1")]
    RuleVersion = 27,
    #[msg("The rule ends before it starts")]
    RuleSchedule = 28,
    #[msg("A condition has at most 12 predicates")]
    TooManyPredicates = 29,
    #[msg("A condition's clauses are numbered 0, 1, 2 in order")]
    ClauseOrder = 30,
    #[msg("A predicate's operator does not fit its field, or its value is out of range")]
    InvalidPredicate = 31,
    #[msg("The platform has no such asset")]
    UnknownAsset = 32,
    #[msg("The rule can never grant anything, or its minimum is above its maximum")]
    InvalidEffect = 33,
    #[msg("Too early: a rule version takes effect after the timelock, and after the version before it")]
    TooEarly = 34,
    #[msg("The rule book is full")]
    RuleBookFull = 35,
    #[msg("The platform's settings are out of range")]
    InvalidSettings = 36,
    #[msg("The platform has as many oracle keys as it can have, or has this one already")]
    OracleKeys = 37,
    #[msg(
        "A day's first order page has at least as many slots as the platform says, a successor twice as many up to 1024, for a day that is neither closed nor too late nor more than 32 days ahead"
    )]
    InvalidOrderPage = 38,
    #[msg("The order that is refunded is not proved; prove it with open_refund, write_refund and prove_refund first")]
    UnknownOrder = 39,
    #[msg("More would be refunded than was paid")]
    OverRefund = 40,
    #[msg("The user has less than would be redeemed")]
    InsufficientBalance = 41,
    #[msg("Only points and vouchers of the platform can be redeemed; tokens are claimed")]
    NotRedeemable = 42,
    #[msg("The wallet link is no newer than the one in effect")]
    StaleLink = 43,
    #[msg(
        "A rule in force needs counters that were not passed; the log names the rule and the scope. Open them with open_counter"
    )]
    CounterMissing = 44,
    #[msg(
        "The account has no room for another rule's counters; the log names the rule. Make room with grow_user or grow_counter"
    )]
    NoRoom = 45,
    #[msg("At most 10000 basis points of the users can be held out")]
    InvalidHoldout = 46,
    #[msg("The rule names a window, a scope, a mode or a way to treat limits that does not exist")]
    UnknownRuleNumber = 47,
    #[msg("The other rules of the group in the book compete in another way; all of a group have one mode")]
    GroupMode = 48,
    #[msg("A payment can still come for this version; close the days before its end first")]
    RuleInForce = 49,
    #[msg("Rules up to this id were dropped; give a new rule a greater id")]
    RuleIdUsed = 50,
    #[msg("The rule book has no such rule version, or it ends already")]
    NoSuchRule = 51,
    #[msg("The counters passed are not those of the record's user, streamer or session")]
    WrongCounter = 52,
    #[msg("These counters can still be counted into; close them after their window's days are closed")]
    CounterInUse = 53,
    #[msg(
        "An order page closes once its day is beyond max_lateness, grows while it is empty, and has a successor once it is nearly full"
    )]
    OrderPageInUse = 54,
    #[msg("The refund account passed is not that of the refunded order")]
    WrongRefund = 55,
    #[msg("The event is not this order's payment, or the path does not lead to a peak of the journal")]
    InvalidProof = 56,
    #[msg("The order is proved; its refund account stays")]
    RefundInUse = 57,
    #[msg("Only who opened the account may do this")]
    NotPayer = 58,
    #[msg("The platform has as many assets as it can have, or the asset is not one it could grant")]
    AssetsFull = 59,
    #[msg("The table of UTC offsets is full, and its oldest row is still needed")]
    OffsetsFull = 60,
    #[msg(
        "Shards and page sizes change only from a day that no page was opened for yet, and at most four times within the open days; a first page has 8 to 1267 slots"
    )]
    InvalidOrderShards = 61,
    #[msg("Only the proposed admin may do this, after the timelock")]
    NotNextAdmin = 62,
    #[msg("The asset is not a token, or its vault is not open")]
    NotAToken = 63,
    #[msg("The mint is not the asset's")]
    WrongMint = 64,
    #[msg("The token account is of another mint or another owner")]
    WrongTokenAccount = 65,
    #[msg("The mint has an extension that could take or stop the vault's tokens")]
    UnsupportedMint = 66,
    #[msg("The account is not the asset's vault")]
    WrongVault = 67,
    #[msg("Only the wallet linked to the user may claim")]
    NotWallet = 68,
    #[msg("The user has less of the asset than would be claimed, or nothing")]
    NothingToClaim = 69,
    #[msg("Only what no user has a claim to can be withdrawn")]
    BelowLiability = 70,
}

impl From<Refusal> for RebateError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ZeroAmount => Self::ZeroAmount,
            Refusal::TooLate => Self::TooLate,
            Refusal::FromTheFuture => Self::FromTheFuture,
            Refusal::DuplicateOrder => Self::DuplicateOrder,
            Refusal::AmountOverflow => Self::AmountOverflow,
            Refusal::UnknownOrder => Self::UnknownOrder,
            Refusal::OverRefund => Self::OverRefund,
            Refusal::InsufficientBalance => Self::InsufficientBalance,
            Refusal::NotRedeemable => Self::NotRedeemable,
            Refusal::StaleLink => Self::StaleLink,
        }
    }
}

impl From<InvalidMessage> for RebateError {
    fn from(invalid: InvalidMessage) -> Self {
        match invalid {
            InvalidMessage::Truncated => Self::MessageTruncated,
            InvalidMessage::WrongDomain => Self::WrongDomain,
            InvalidMessage::WrongProgram => Self::MessageForAnotherProgram,
            InvalidMessage::WrongPlatform => Self::MessageForAnotherPlatform,
            InvalidMessage::Empty => Self::EmptyMessage,
            InvalidMessage::UnknownKind => Self::UnknownRecord,
            InvalidMessage::NotCanonical => Self::NotCanonical,
            InvalidMessage::TrailingBytes => Self::TrailingBytes,
        }
    }
}

impl From<InvalidRule> for RebateError {
    fn from(invalid: InvalidRule) -> Self {
        match invalid {
            InvalidRule::Name => Self::RuleName,
            InvalidRule::Version => Self::RuleVersion,
            InvalidRule::Schedule => Self::RuleSchedule,
            InvalidRule::TooManyPredicates => Self::TooManyPredicates,
            InvalidRule::ClauseOrder => Self::ClauseOrder,
            InvalidRule::Predicate => Self::InvalidPredicate,
            InvalidRule::Asset => Self::UnknownAsset,
            InvalidRule::Effect => Self::InvalidEffect,
            InvalidRule::Holdout => Self::InvalidHoldout,
            InvalidRule::Unknown => Self::UnknownRuleNumber,
        }
    }
}

impl From<NotNext> for RebateError {
    fn from(not_next: NotNext) -> Self {
        match not_next {
            NotNext::Version => Self::RuleVersion,
            NotNext::TooEarly => Self::TooEarly,
            NotNext::GroupMode => Self::GroupMode,
        }
    }
}
