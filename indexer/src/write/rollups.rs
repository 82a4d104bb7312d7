//! Roll-ups: what analytics are read from, exact as of every block (migration 0015).
//!
//! Sums of a stretch are put together here and added to the tables in one statement each. Whether a user is new in a bucket
//! follows from what is stored of what the user did in the months around it, which is read for all users of the stretch at
//! once and written back with what the stretch adds: so a payment that comes late is counted as if it had come in time.

mod calendar;
mod exposures;
mod fill;
mod history;
mod people;
mod refunded;
mod sums;
mod visit;

pub(super) use fill::Filled;

use super::{WriteError, contradiction, rules::Facts};
use crate::stretch::Found;
use calendar::{Buckets, Clocks, Every};
use exposures::Exposures;
use foldhash::fast::RandomState;
use history::months_around;
use people::{Asked, People, Person, Who};
use rebate_client::event::{Event, PaymentRecorded, RefundRecorded};
use refunded::Refunded;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use sums::{Counted, Newness, Sums};
use visit::{Dimension, Visit, bits};

/// Adds events that are stored and not yet in the roll-ups. `facts` are those of every rule version that one of them names.
pub(super) async fn add(connection: &mut PgConnection, fresh: &[&Found], facts: &Facts) -> Result<(), WriteError> {
    let platforms: BTreeSet<[u8; 32]> = fresh
        .iter()
        .filter(|found| {
            matches!(found.event, Event::PaymentRecorded(_) | Event::RefundRecorded(_) | Event::BalanceExpired(_))
        })
        .map(|found| found.event.platform())
        .collect();
    if platforms.is_empty() {
        return Ok(());
    }
    let clocks = Clocks::read(connection, &platforms.into_iter().collect::<Vec<_>>()).await?;
    let refunded = refunded::read(connection, fresh).await?;
    let mut people = People::read(connection, &asked(fresh, &clocks), &clocks).await?;
    let (mut sums, mut exposures) = (Sums::default(), Exposures::default());
    for found in fresh {
        match &found.event {
            Event::PaymentRecorded(payment) => {
                let at = clocks.buckets(&payment.platform, payment.paid_at);
                let person = people.get_mut(&(payment.user, payment.platform));
                exposures.note(found, payment, facts, person.net)?;
                pay(found, payment, facts, at, person, &mut sums)?;
            }
            Event::RefundRecorded(refund) => {
                let at = clocks.buckets(&refund.platform, refund.paid_at);
                let of = refunded.get(&(refund.platform, found.journal_index));
                let of = of.ok_or_else(|| contradiction(found, "the payment that it refunds is not stored"))?;
                let paid = clocks.buckets(&refund.platform, of.paid_at);
                let person = people.get_mut(&(refund.user, refund.platform));
                give_back(found, refund, of, (at, paid), person, &mut sums)?;
            }
            Event::BalanceExpired(event) => {
                let at = clocks.buckets(&event.platform, event.at);
                sums.expire(event.platform, at, event.asset, event.amount);
            }
            _ => {}
        }
    }
    // Before the months, which it reads as they were.
    exposures.write(connection, &people).await?;
    people.write(connection).await?;
    sums.write(connection).await
}

/// What is to be read of the users.
fn asked(fresh: &[&Found], clocks: &Clocks) -> HashMap<Who, Asked, RandomState> {
    let mut asked: HashMap<Who, Asked, RandomState> = HashMap::default();
    for found in fresh {
        match &found.event {
            Event::PaymentRecorded(payment) => {
                let months = months_around(clocks.buckets(&payment.platform, payment.paid_at));
                let (is_new, wants_visit) = (payment.number == 1, payment.number == 2);
                let asked = asked.entry((payment.user, payment.platform));
                let asked = asked.or_insert(Asked { months, is_new, wants_visit });
                asked.widen(months);
                asked.wants_visit |= wants_visit;
            }
            Event::RefundRecorded(refund) => {
                let month = clocks.buckets(&refund.platform, refund.paid_at).month;
                let asked = asked.entry((refund.user, refund.platform));
                asked
                    .or_insert(Asked { months: (month, month), is_new: false, wants_visit: false })
                    .widen((month, month));
            }
            _ => {}
        }
    }
    asked
}

fn pay(
    found: &Found,
    payment: &PaymentRecorded,
    facts: &Facts,
    at: Buckets,
    person: &mut Person,
    sums: &mut Sums,
) -> Result<(), WriteError> {
    let PaymentRecorded { platform, amount, .. } = *payment;
    let (visit, granted) = Visit::of(found, payment, facts)?;
    if payment.number == 1 {
        person.join(payment.paid_at, at, visit.clone());
    }
    let joined = person.joined(found)?;
    let newness = Newness::of(at, joined.buckets);
    if payment.number == 2 {
        let first = joined.visit.as_ref();
        let first = first.ok_or_else(|| contradiction(found, "the first payment of its user is not stored"))?;
        sums.convert(platform, joined.buckets, first);
    }
    if !person.history.is_more_of_the_same(at, &visit) {
        for every in Every::ALL {
            for counted in counted(person, every, at, newness, &visit, amount) {
                sums.count(platform, at, counted);
            }
        }
    }
    person.history.pay(at, &visit, amount);
    person.net = person.net.saturating_add(amount.into());
    sums.pay(platform, at, newness, visit, (amount, &granted), payment.number == 1);
    Ok(())
}

/// What a payment means for who is counted in its bucket, and for what those who were granted something spent there. That
/// a payment which was granted something adds to the latter itself is left to [`Sums::pay`].
fn counted(person: &Person, every: Every, at: Buckets, newness: Newness, visit: &Visit, amount: u64) -> Vec<Counted> {
    let before = person.history.before(every, at, visit);
    let amount = u128::from(amount);
    let granted_now = visit.is_granted();
    let counted = |(dimension, value), is_seen: bool, was_granted: bool, spent_before: &dyn Fn() -> u128| {
        let is_granted = granted_now && !was_granted;
        let spent = match (was_granted, granted_now) {
            (true, false) => amount,
            (false, true) => spent_before(),
            _ => 0,
        };
        Counted { every, dimension, value, is_payer: !is_seen, is_granted, spent }
    };
    let mut all = Vec::new();
    for (key, part) in visit.single().into_iter().zip(before.single) {
        all.push(counted(key, part.is_seen, part.is_granted, &|| part.spent));
        if key.0 == Dimension::None {
            all.push(counted(newness.key(every), part.is_seen, part.is_granted, &|| part.spent));
        }
    }
    // Only those for which it means something.
    let changed = (visit.segments & !before.segments)
        | if granted_now {
            visit.segments & !before.granted_segments
        } else {
            visit.segments & before.granted_segments
        };
    for segment in bits(changed) {
        let has = |bits: u32| bits >> segment & 1 == 1;
        let key = (Dimension::Segment, segment.into());
        let spent = || person.history.spent_in_segment(every, at, segment);
        all.push(counted(key, has(before.segments), has(before.granted_segments), &spent));
    }
    // Under what granted something, everybody is granted, and spends with all payments.
    let [everything, ..] = before.single;
    let granting = visit.granting();
    for (dimension, value) in &granting {
        let is_new = !before.granting.contains(&(*dimension, *value));
        let spent = if is_new { everything.spent } else { 0 };
        all.push(Counted { every, dimension: *dimension, value: *value, is_payer: is_new, is_granted: is_new, spent });
    }
    for (dimension, value) in before.granting.iter().filter(|key| !granting.contains(key)) {
        let (dimension, value) = (*dimension, *value);
        all.push(Counted { every, dimension, value, is_payer: false, is_granted: false, spent: amount });
    }
    all
}

fn give_back(
    found: &Found,
    refund: &RefundRecorded,
    of: &Refunded,
    (at, paid): (Buckets, Buckets),
    person: &mut Person,
    sums: &mut Sums,
) -> Result<(), WriteError> {
    let newness = Newness::of(paid, person.joined(found)?.buckets);
    let reversed: Vec<Option<u64>> = of
        .visit
        .granted
        .iter()
        .map(|granted| {
            refund.outcomes.iter().find(|outcome| outcome.rule == granted.rule).map(|outcome| outcome.amount)
        })
        .collect();
    person.history.refund(at, refund.amount);
    person.net = person.net.saturating_sub(refund.amount.into());
    sums.refund(refund.platform, at, newness, &of.visit, refund.amount, &reversed);
    Ok(())
}
