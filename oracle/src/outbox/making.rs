//! Making transactions: what records need is opened, the oracle signs them, and a simulation says whether they would succeed.

use super::{
    OutboxError, grouping, landing,
    landing::Word,
    queue::{Due, Submission},
    record::{self, Record},
    round::{Flight, Round},
    sender::SendError,
};
use futures_util::future::join_all;
use rebate_client::{
    chain::{Dispatch, Lifetime, SubmitError},
    oracle::SignedMessage,
    plan::{Missing, Plan},
    recorder::refusals,
};
use rebate_core::payment::Payment;
use solana_program::instruction::Instruction;
use tokio::time::Instant;

/// How many transactions are made at once.
const AT_ONCE: usize = 8;

/// What a group of records came to before it was sent.
pub(super) enum Attempt {
    /// A transaction that succeeds as things are now.
    Ready(Box<Flight>),
    /// It does not fit into a transaction.
    TooLarge,
    /// The program would refuse every record.
    Refused(Vec<(i64, Word)>),
    /// Somebody changed the rules or filled a page meanwhile.
    Outdated(String),
    /// It would fail, perhaps for one record's sake.
    Spoiled {
        /// Why.
        why: String,
        /// Whether it always will.
        for_good: bool,
    },
    /// The chain does not take the lookup table; without it, it may go.
    NoTable(String),
    /// The program does not take the oracle's key.
    KeyRefused(String),
    /// Nothing can succeed now.
    Hold(String),
}

/// What groups of records came to.
pub(super) struct Made {
    /// Each, or as much of it as fits into a transaction.
    pub(super) attempts: Vec<(Vec<Due>, Attempt)>,
    /// Payments that did not fit.
    pub(super) left: Vec<Due>,
}

impl<C: Dispatch + Clone + 'static> Round<'_, C> {
    /// Makes a transaction of each group of records, all payments or a single one, or of as many of them as fit. No two
    /// groups share a user.
    pub(super) async fn attempts(&mut self, groups: Vec<Vec<Due>>) -> Result<Made, OutboxError> {
        let (mut attempts, mut left) = (Vec::new(), Vec::new());
        let mut drafts = Vec::new();
        let users: Vec<_> = groups.iter().flatten().filter_map(|due| Record::decode(&due.bytes)?.user()).collect();
        self.plan.read_users(&self.outbox.chain, &users).await?;
        for group in groups {
            match self.draft(&group).await? {
                Ok(draft) => drafts.push((group, draft)),
                Err(attempt) => attempts.push((group, attempt)),
            }
        }
        // What several need is opened before, all of it at once.
        let (mut opening, mut openings) = (Vec::new(), Vec::new());
        for (_, draft) in &mut drafts {
            let shared = std::mem::take(&mut draft.shared);
            openings.push(shared.len());
            opening.extend(shared);
        }
        let mut opened = self.open(opening).await?.into_iter();
        let mut composed = Vec::new();
        for ((mut group, draft), count) in drafts.into_iter().zip(openings) {
            let trouble = opened.by_ref().take(count).flatten().last();
            let attempt = match trouble {
                Some(trouble) => Err(trouble),
                None => {
                    let (attempt, rest) = self.compose(&mut group, draft).await?;
                    left.extend(rest);
                    attempt
                }
            };
            match attempt {
                Ok(draft) => composed.push((group, draft)),
                Err(attempt) => attempts.push((group, attempt)),
            }
        }
        if composed.is_empty() {
            return Ok(Made { attempts, left });
        }
        // Opening took as long as a confirmation does: only now does their time begin.
        let lifetime = self.outbox.chain.lifetime().await?;
        let mut rest = composed.into_iter();
        loop {
            let some: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(Made { attempts, left });
            }
            let made = join_all(some.iter().map(|(group, draft)| self.make(group, draft, &lifetime))).await;
            for ((group, draft), made) in some.into_iter().zip(made) {
                let made = made?;
                if !matches!(made, Attempt::Ready(_)) {
                    self.plan.unopened(&draft.own);
                }
                attempts.push((group, made));
            }
        }
    }

    /// What a group of records needs.
    async fn draft(&mut self, group: &[Due]) -> Result<Result<Draft, Attempt>, OutboxError> {
        let chain = &self.outbox.chain;
        let records: Option<Vec<_>> = group.iter().map(|due| Record::decode(&due.bytes)).collect();
        let spoiled = |why: &str, for_good| Ok(Err(Attempt::Spoiled { why: why.to_owned(), for_good }));
        let Some(records) = records else { return spoiled("the stored record cannot be read", true) };
        let paid = group.first().and_then(|due| self.proved.get(&due.id)).copied();
        let missing = match (records.first(), &paid) {
            (Some(Record::Payment(_)), _) => self.plan.for_payments(chain, &payments(&records)).await?,
            (Some(Record::Redemption(redemption)), _) => self.plan.for_redemption(chain, redemption).await?,
            (Some(Record::Refund(refund)), Some(paid)) => self.plan.for_refund(chain, refund, paid).await?,
            (Some(Record::Link(link)), _) => self.plan.for_user(chain, &link.user).await?,
            _ => return spoiled("the order that is refunded is not proved", false),
        };
        // It is, or what was to open it says that it is not.
        self.plan.opened();
        let (own, shared) = missing.into_iter().partition(|missing| missing.user.is_some());
        Ok(Ok(Draft { records, paid, own, shared, is_inline: true, signed: self.unsigned(group) }))
    }

    /// The message that carries these records. It is sized before it is signed: the signer may be far away.
    fn unsigned(&self, group: &[Due]) -> SignedMessage {
        let message = record::message(&self.outbox.platform.to_bytes(), group.iter().map(|due| due.bytes.as_slice()));
        SignedMessage { key: self.outbox.oracle.key().to_bytes(), signature: [0; 64], message }
    }

    /// Takes as many of a group's payments as fit into a transaction and hands back the rest. Opens beforehand what does not
    /// fit beside a single record.
    async fn compose(
        &mut self,
        group: &mut Vec<Due>,
        mut draft: Draft,
    ) -> Result<(Result<Draft, Attempt>, Vec<Due>), OutboxError> {
        let mut rest = Vec::new();
        while !self.fits(&draft) && group.len() > 1 {
            let last = group.len().saturating_sub(1);
            rest.extend(grouping::cut(group, last));
            draft.records.truncate(group.len());
            let users: Vec<_> = draft.records.iter().filter_map(Record::user).collect();
            let (own, others) =
                draft.own.into_iter().partition(|own| own.user.is_some_and(|user| users.contains(&user)));
            draft.own = own;
            let others: Vec<Missing> = others;
            self.plan.unopened(&others);
            draft.signed = self.unsigned(group);
        }
        if self.fits(&draft) {
            return Ok((Ok(draft), rest));
        }
        draft.is_inline = false;
        if !self.fits(&draft) {
            self.plan.unopened(&draft.own);
            return Ok((Err(Attempt::TooLarge), rest));
        }
        // One needs the other: an account its user's.
        for missing in std::mem::take(&mut draft.own) {
            if let Some(trouble) = self.open(vec![missing]).await?.pop().flatten() {
                return Ok((Err(trouble), rest));
            }
        }
        Ok((Ok(draft), rest))
    }

    fn fits(&self, draft: &Draft) -> bool {
        self.sender.fits(&draft.instructions(&self.plan), self.keeper.table())
    }

    /// Signs it, and finds out by simulation what it takes.
    async fn make(&self, group: &[Due], draft: &Draft, lifetime: &Lifetime) -> Result<Attempt, OutboxError> {
        let mut signed = draft.signed.clone();
        match group.first().and_then(|due| due.signed.clone()) {
            Some((key, signature)) => {
                signed.key = key.try_into().unwrap_or_default();
                signed.signature = signature.try_into().unwrap_or([0; 64]);
            }
            None => match self.outbox.oracle.sign(&signed.message).await {
                Ok(signature) => signed.signature = signature.into(),
                Err(error) => return Ok(Attempt::Hold(error.to_string())),
            },
        }
        let instructions = draft.signed_by(&self.plan, &signed);
        let (made, logs) = match self.sender.make(&instructions, lifetime, self.keeper.table()).await {
            Ok(made) => made,
            Err(error) => return self.trouble(group, error).await,
        };
        // What is refused may be tried again: what the same user paid later must not be through before.
        let is_in_order = grouping::firsts(group).into_iter().all(|is_first| is_first) || refusals(&logs).is_empty();
        if !is_in_order {
            let why = "a payment would be refused that later ones of its user follow".to_owned();
            return Ok(Attempt::Spoiled { why, for_good: false });
        }
        let Ok(transaction) = wincode::serialize(&made.transaction) else {
            return Ok(Attempt::Spoiled { why: "the transaction cannot be written down".to_owned(), for_good: true });
        };
        let submission = Submission {
            signature: made.signature,
            transaction,
            last_block_height: made.last_block_height,
            records: group.to_vec(),
        };
        Ok(Attempt::Ready(Box::new(Flight { submission, transaction: made.transaction, sent: Instant::now() })))
    }

    /// Opens accounts, each by itself and all at once; says of each what to do with the records that need it where that does
    /// not succeed.
    async fn open(&mut self, missing: Vec<Missing>) -> Result<Vec<Option<Attempt>>, OutboxError> {
        let sender = &self.sender;
        let delivered =
            join_all(missing.iter().map(|missing| sender.deliver(std::slice::from_ref(&missing.instruction)))).await;
        let mut troubles = Vec::new();
        for (missing, delivered) in missing.iter().zip(delivered) {
            let Err(error) = delivered else {
                troubles.push(None);
                continue;
            };
            if let SendError::Submit(error) = &error
                && self.plan.is_done(&self.outbox.chain, missing, error).await?
            {
                troubles.push(None);
                continue;
            }
            self.plan.forget();
            // The program's word is on the account here, not on a record.
            troubles.push(Some(match self.trouble(&[], error).await? {
                Attempt::Refused(_) => {
                    Attempt::Spoiled { why: "an account cannot be opened".to_owned(), for_good: false }
                }
                trouble => trouble,
            }));
        }
        Ok(troubles)
    }

    /// What to do where a transaction could not be made.
    pub(super) async fn trouble(&self, group: &[Due], error: SendError) -> Result<Attempt, OutboxError> {
        Ok(match error {
            SendError::Submit(SubmitError::Chain(error)) => return Err(error.into()),
            SendError::Sign(error) => Attempt::Hold(error.to_string()),
            SendError::TooLarge => Attempt::TooLarge,
            SendError::Submit(SubmitError::NoTable { why }) => Attempt::NoTable(why),
            SendError::Expired => Attempt::Hold(error.to_string()),
            SendError::Submit(SubmitError::Refused { error, logs }) if error.is_refusal() => {
                Attempt::Refused(landing::refused(group, &logs, error.name()))
            }
            SendError::Submit(SubmitError::Refused { error, .. }) if error.is_outdated() => {
                Attempt::Outdated(error.to_string())
            }
            SendError::Submit(SubmitError::Refused { error, .. }) if error.name() == "Paused" => {
                Attempt::Hold(error.to_string())
            }
            SendError::Submit(SubmitError::Refused { error, .. })
                if ["UnknownOracle", "OracleNotValid"].contains(&error.name())
                    && group.first().is_some_and(|due| due.signed.is_none()) =>
            {
                let key = self.outbox.oracle.key();
                Attempt::KeyRefused(format!(
                    "{}: {error}; register {key} with `rebate platform add-oracle`, or set another key",
                    error.name()
                ))
            }
            SendError::Submit(error) => {
                let funds = self.outbox.funds().await?;
                if funds < self.outbox.options.least_funds {
                    let payer = self.outbox.payer.key();
                    return Ok(Attempt::Hold(format!(
                        "the payer {payer} is out of funds, it has {funds} lamports; fund it: {error}"
                    )));
                }
                let for_good = matches!(&error, SubmitError::Refused { error, .. } if is_for_good(error.name()));
                Attempt::Spoiled { why: error.to_string(), for_good }
            }
        })
    }
}

/// A transaction that is not signed yet.
pub(super) struct Draft {
    records: Vec<Record>,
    /// For a refund, what was paid.
    paid: Option<Payment>,
    /// What only these records' users need.
    own: Vec<Missing>,
    /// What others need as well.
    shared: Vec<Missing>,
    /// Whether the transaction opens what its users need itself.
    is_inline: bool,
    /// The records; the signature is missing.
    signed: SignedMessage,
}

impl Draft {
    fn instructions(&self, plan: &Plan) -> Vec<Instruction> {
        self.signed_by(plan, &self.signed)
    }

    fn signed_by(&self, plan: &Plan, signed: &SignedMessage) -> Vec<Instruction> {
        let record = match (self.records.first(), &self.paid) {
            (Some(Record::Redemption(redemption)), _) => plan.redemption(redemption, signed),
            (Some(Record::Refund(refund)), Some(paid)) => plan.refund(refund, paid, signed),
            (Some(Record::Link(link)), _) => plan.link(link, signed),
            _ => plan.payments(&payments(&self.records), signed),
        };
        let opening = self.own.iter().filter(|_| self.is_inline).map(|missing| missing.instruction.clone());
        opening.chain(record).collect()
    }
}

fn payments(records: &[Record]) -> Vec<Payment> {
    let payment = |record: &Record| match record {
        Record::Payment(payment) => Some(*payment),
        _ => None,
    };
    records.iter().filter_map(payment).collect()
}

/// Whether an error says that the message itself is wrong, which it always will be.
fn is_for_good(error: &str) -> bool {
    [
        "MessageTruncated",
        "WrongDomain",
        "MessageForAnotherProgram",
        "MessageForAnotherPlatform",
        "EmptyMessage",
        "UnknownRecord",
        "NotCanonical",
        "TrailingBytes",
    ]
    .contains(&error)
}
