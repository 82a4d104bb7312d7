//! The program's errors. Codes begin at 6000 and are part of the interface: never renumber, only add at the end.

use anchor_lang::prelude::*;
use rebate_core::{message::InvalidMessage, refusal::Refusal, rule::InvalidRule};

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
    #[msg("The signed message is not one for recording payments")]
    WrongDomain = 14,
    #[msg("The message was signed for another program")]
    MessageForAnotherProgram = 15,
    #[msg("The message was signed for another platform")]
    MessageForAnotherPlatform = 16,
    #[msg("The signed message holds no records")]
    EmptyMessage = 17,
    #[msg("The signed message holds a record of an unknown kind")]
    UnknownRecord = 18,
    #[msg("A record of the signed message is not in its one canonical form")]
    NotCanonical = 19,
    #[msg("The signed message goes on after its last record")]
    TrailingBytes = 20,
    #[msg("Pass the user's account and the order page of each record, in order, and nothing else")]
    WrongAccounts = 21,
    #[msg("The account passed is not that of the record's user")]
    WrongUser = 22,
    #[msg("The order page passed is not that of the record's day and shard")]
    WrongOrderPage = 23,
    #[msg("The order page is full")]
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
    #[msg("An order page has 8 to 1024 slots, for a day that is neither too late nor ahead of tomorrow")]
    InvalidOrderPage = 38,
}

impl From<Refusal> for RebateError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ZeroAmount => Self::ZeroAmount,
            Refusal::TooLate => Self::TooLate,
            Refusal::FromTheFuture => Self::FromTheFuture,
            Refusal::DuplicateOrder => Self::DuplicateOrder,
            Refusal::AmountOverflow => Self::AmountOverflow,
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
        }
    }
}
