//! Which records share a transaction: payments that need the same accounts, and one user's payments in order.

use super::{queue::Due, record::Record};
use rebate_core::units::{Day, OrderHash, Timestamp, UserKey};
use std::collections::HashSet;

/// The user of a record that names one.
pub(super) fn user(due: &Due) -> Option<UserKey> {
    Record::decode(&due.bytes)?.user()
}

/// Groups of at most `batch` payments, a transaction each, of users' payments in order. Those of the same order pages share one,
/// since each account that one more payment brings costs 32 bytes; the group with the oldest record goes first.
pub(super) fn groups(
    users: Vec<Vec<Due>>,
    batch: usize,
    shard_of: impl Fn(&OrderHash, Timestamp) -> (Day, u16),
) -> Vec<Vec<Due>> {
    let mut placed: Vec<_> = users.into_iter().map(|own| (place(&own, &shard_of), own)).collect();
    placed.sort_by_key(|(place, own)| (*place, own.first().map(|due| due.id)));
    let mut groups: Vec<Vec<Due>> = Vec::new();
    for (_, mut own) in placed {
        own.truncate(batch);
        match groups.last_mut() {
            Some(group) if group.len().saturating_add(own.len()) <= batch => group.append(&mut own),
            _ => groups.push(own),
        }
    }
    groups.sort_by_key(|group| group.iter().map(|due| due.id).min());
    groups
}

fn place(own: &[Due], shard_of: impl Fn(&OrderHash, Timestamp) -> (Day, u16)) -> Option<(Day, u16)> {
    match Record::decode(&own.first()?.bytes)? {
        Record::Payment(payment) => Some(shard_of(&payment.order, payment.paid_at)),
        _ => None,
    }
}

/// What is left of a group from `at` on. What comes after a record of the same user that stays is not among it: it is due
/// once that is through.
pub(super) fn cut(group: &mut Vec<Due>, at: usize) -> Vec<Due> {
    let rest = group.split_off(at.min(group.len()));
    let staying: HashSet<_> = group.iter().map(user).collect();
    rest.into_iter().filter(|due| !staying.contains(&user(due))).collect()
}

/// The same by user, in order.
pub(super) fn by_user(records: Vec<Due>) -> Vec<Vec<Due>> {
    let mut users: Vec<(Option<UserKey>, Vec<Due>)> = Vec::new();
    for due in records {
        let of = user(&due);
        match users.iter_mut().find(|(known, _)| *known == of) {
            Some((_, own)) => own.push(due),
            None => users.push((of, vec![due])),
        }
    }
    users.into_iter().map(|(_, own)| own).collect()
}

/// Whether each record is its user's first in the group.
pub(super) fn firsts(group: &[Due]) -> Vec<bool> {
    let mut met = HashSet::new();
    group.iter().map(|due| met.insert(user(due))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rebate_core::{message::Record as _, payment::Payment, units::Amount};
    use std::time::Duration;

    /// The payment with this id, of a user, whose order's shard is its product.
    fn due(id: i64, user: u8, shard: u16) -> Due {
        let payment = Payment {
            order: OrderHash([shard.to_le_bytes()[0]; 32]),
            user: UserKey([user; 32]),
            amount: Amount(1),
            paid_at: Timestamp(0),
            ..Payment::default()
        };
        let mut bytes = Vec::new();
        payment.encode(&mut bytes);
        Due { id, bytes, signed: None, attempts: 0, age: Duration::ZERO }
    }

    fn ids(group: &[Due]) -> Vec<i64> {
        group.iter().map(|due| due.id).collect()
    }

    fn shard(order: &OrderHash, _: Timestamp) -> (Day, u16) {
        (Day(0), u16::from(order.0[0]))
    }

    #[test]
    fn payments_of_one_page_share_a_transaction_and_the_oldest_goes_first() {
        let users = [(1, 1, 2), (2, 2, 1), (3, 3, 2), (4, 4, 1), (5, 5, 2)];
        let users = users.map(|(id, user, shard)| vec![due(id, user, shard)]).to_vec();
        let groups = groups(users, 2, shard);
        assert_eq!(groups.iter().map(|group| ids(group)).collect::<Vec<_>>(), [vec![1, 3], vec![2, 4], vec![5]]);
    }

    #[test]
    fn one_users_payments_stay_together_and_in_order() {
        let users = vec![vec![due(7, 1, 3), due(8, 1, 1), due(9, 1, 2)], vec![due(10, 2, 3)], vec![due(4, 3, 3)]];
        let groups = groups(users, 4, shard);
        assert_eq!(groups.iter().map(|group| ids(group)).collect::<Vec<_>>(), [vec![4, 7, 8, 9], vec![10]]);
    }

    #[test]
    fn of_a_group_that_is_cut_nobodys_later_payment_goes_beside_an_earlier_one() {
        let mut group = vec![due(1, 1, 0), due(2, 2, 0), due(5, 2, 0), due(3, 3, 0)];
        assert_eq!(ids(&cut(&mut group, 2)), [3]);
        assert_eq!(ids(&group), [1, 2]);
        assert_eq!(firsts(&[due(1, 1, 0), due(2, 1, 0), due(3, 2, 0)]), [true, false, true]);
    }
}
