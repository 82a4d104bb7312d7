//! The program's errors, by the numbers in `idl/rebate.json`.

use rebate_core::refusal::Refusal;
use thiserror::Error;

/// The first of the program's own error numbers.
pub const FIRST: u32 = 6000;

/// An error the program, or the framework it is written in, answered with.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("{} (error {code}): {}", self.name(), self.advice())]
pub struct ProgramError {
    /// Its number.
    pub code: u32,
}

impl ProgramError {
    /// Its name in the IDL, or a general one for a number that is not the program's.
    pub fn name(&self) -> &'static str {
        self.entry().map_or("FrameworkError", |(name, _)| name)
    }

    /// What is wrong and what to do.
    pub fn advice(&self) -> &'static str {
        self.entry()
            .map_or("an account or an argument of the instruction is not what the program needs", |(_, advice)| advice)
    }

    /// Whether it is the program's word on a record rather than on the instruction: a
    /// [`Refusal`](rebate_core::refusal::Refusal), whose numbers begin at 1 where the errors' begin at 0.
    pub fn is_refusal(&self) -> bool {
        Refusal::ALL.iter().any(|refusal| refusal.name() == self.name())
    }

    fn entry(&self) -> Option<(&'static str, &'static str)> {
        let at = usize::try_from(self.code.checked_sub(FIRST)?).ok()?;
        ERRORS.get(at).copied()
    }
}

/// Names and messages by number from 6000 on; `tests` holds them against the IDL.
pub const ERRORS: &[(&str, &str)] = &[
    ("ZeroAmount", "A payment of nothing; sign the amount that was paid"),
    ("TooLate", "Paid further back than the platform accepts; a record must arrive within max_lateness"),
    ("FromTheFuture", "Paid more than 60 seconds ahead of the chain's clock; check the oracle's clock"),
    ("DuplicateOrder", "This order was recorded before; nothing is left to do"),
    ("AmountOverflow", "A grant, a balance or a total would pass 2^64 - 1"),
    ("Paused", "The platform is paused; try again once it is unpaused"),
    ("NotAdmin", "Only the platform's admin may do this"),
    ("NotPauser", "Only the platform's pauser may do this"),
    ("WrongPlatform", "The account belongs to another platform"),
    ("NoSignature", "The instruction just before must be one of the Ed25519 program"),
    (
        "MalformedSignature",
        "The Ed25519 instruction must verify exactly one signature over data of its own at offsets 48, 16 and 112",
    ),
    ("UnknownOracle", "Signed by a key that is not an oracle key of this platform"),
    ("OracleNotValid", "The oracle key is not valid now"),
    ("MessageTruncated", "The signed message is cut off"),
    ("WrongDomain", "The signed message is not one for recording payments"),
    ("MessageForAnotherProgram", "The message was signed for another program"),
    ("MessageForAnotherPlatform", "The message was signed for another platform"),
    ("EmptyMessage", "The signed message holds no records"),
    ("UnknownRecord", "The signed message holds a record of an unknown kind"),
    ("NotCanonical", "A record of the signed message is not in its one canonical form"),
    ("TrailingBytes", "The signed message goes on after its last record"),
    ("WrongAccounts", "Pass the user's account and the order page of each record, in order, and nothing else"),
    ("WrongUser", "The account passed is not that of the record's user"),
    ("WrongOrderPage", "The order page passed is not that of the record's day and shard"),
    ("OrderPageFull", "The order page is full"),
    ("JournalFull", "The journal is full"),
    ("RuleName", "A rule's name has 1 to 32 bytes and no control characters"),
    ("RuleVersion", "The rule's version must be one more than the last published, from 1"),
    ("RuleSchedule", "The rule ends before it starts"),
    ("TooManyPredicates", "A condition has at most 12 predicates"),
    ("ClauseOrder", "A condition's clauses are numbered 0, 1, 2 in order"),
    ("InvalidPredicate", "A predicate's operator does not fit its field, or its value is out of range"),
    ("UnknownAsset", "The platform has no such asset"),
    ("InvalidEffect", "The rule can never grant anything, or its minimum is above its maximum"),
    ("TooEarly", "Too early: a rule version takes effect after the timelock, and after the version before it"),
    ("RuleBookFull", "The rule book is full"),
    ("InvalidSettings", "The platform's settings are out of range"),
    ("OracleKeys", "The platform has as many oracle keys as it can have, or has this one already"),
    ("InvalidOrderPage", "An order page has 8 to 1024 slots, for a day that is neither too late nor ahead of tomorrow"),
];
