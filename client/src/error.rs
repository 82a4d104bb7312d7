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

    /// Whether accounts that were opened or rules that were published meanwhile can be the cause: looking again helps.
    pub fn is_outdated(&self) -> bool {
        ["WrongAccounts", "WrongOrderPage", "OrderPageFull", "WrongCounter", "CounterMissing", "NoRoom"]
            .contains(&self.name())
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
    ("WrongDomain", "The signed message is not one of records"),
    ("MessageForAnotherProgram", "The message was signed for another program"),
    ("MessageForAnotherPlatform", "The message was signed for another platform"),
    ("EmptyMessage", "The signed message holds no records"),
    ("UnknownRecord", "The signed message holds a record of another kind than the instruction takes"),
    ("NotCanonical", "A record of the signed message is not in its one canonical form"),
    ("TrailingBytes", "The signed message goes on after its last record"),
    (
        "WrongAccounts",
        "Pass for each record, in order, the user's account, the order pages of its day and shard, and the counters it needs; nothing else",
    ),
    ("WrongUser", "The account passed is not that of the record's user"),
    ("WrongOrderPage", "The order page passed is not that of the record's day and shard"),
    ("OrderPageFull", "The order page is full; open the next one"),
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
    (
        "InvalidOrderPage",
        "A day's first order page has at least as many slots as the platform says, a successor twice as many up to 1024, for a day that is neither closed nor too late nor more than 32 days ahead",
    ),
    (
        "UnknownOrder",
        "The order that is refunded is not proved; prove it with open_refund, write_refund and prove_refund first",
    ),
    ("OverRefund", "More would be refunded than was paid"),
    ("InsufficientBalance", "The user has less than would be redeemed"),
    ("NotRedeemable", "Only points and vouchers of the platform can be redeemed; tokens are claimed"),
    ("StaleLink", "The wallet link is no newer than the one in effect"),
    (
        "CounterMissing",
        "A rule in force needs counters that were not passed; the log names the rule and the scope. Open them with open_counter",
    ),
    (
        "NoRoom",
        "The account has no room for another rule's counters; the log names the rule. Make room with grow_user or grow_counter",
    ),
    ("InvalidHoldout", "At most 10000 basis points of the users can be held out"),
    ("UnknownRuleNumber", "The rule names a window, a scope, a mode or a way to treat limits that does not exist"),
    ("GroupMode", "The other rules of the group in the book compete in another way; all of a group have one mode"),
    ("RuleInForce", "A payment can still come for this version; close the days before its end first"),
    ("RuleIdUsed", "Rules up to this id were dropped; give a new rule a greater id"),
    ("NoSuchRule", "The rule book has no such rule version, or it ends already"),
    ("WrongCounter", "The counters passed are not those of the record's user, streamer or session"),
    ("CounterInUse", "These counters can still be counted into; close them after their window's days are closed"),
    (
        "OrderPageInUse",
        "An order page closes once its day is beyond max_lateness, grows while it is empty, and has a successor once it is nearly full",
    ),
    ("WrongRefund", "The refund account passed is not that of the refunded order"),
    ("InvalidProof", "The event is not this order's payment, or the path does not lead to a peak of the journal"),
    ("RefundInUse", "The order is proved; its refund account stays"),
    ("NotPayer", "Only who opened the account may do this"),
    ("AssetsFull", "The platform has as many assets as it can have, or the asset is not one it could grant"),
    ("OffsetsFull", "The table of UTC offsets is full, and its oldest row is still needed"),
    (
        "InvalidOrderShards",
        "Shards and page sizes change only from a day that no page was opened for yet, and at most four times within the open days; a first page has 8 to 1267 slots",
    ),
    ("NotNextAdmin", "Only the proposed admin may do this, after the timelock"),
    ("NotAToken", "The asset is not a token, or its vault is not open"),
    ("WrongMint", "The mint is not the asset's"),
    ("WrongTokenAccount", "The token account is of another mint or another owner"),
    ("UnsupportedMint", "The mint has an extension that could take or stop the vault's tokens"),
    ("WrongVault", "The account is not the asset's vault"),
    ("NotWallet", "Only the wallet linked to the user may claim"),
    ("NothingToClaim", "The user has less of the asset than would be claimed, or nothing"),
    ("BelowLiability", "Only what no user has a claim to can be withdrawn"),
];
