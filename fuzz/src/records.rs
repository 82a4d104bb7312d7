//! The record parser, and what clients decode: no bytes make it panic, and what it reads has no second encoding.

use arbitrary::{Arbitrary, Unstructured};
use rebate_client::{
    account::{self, Counter, Journal, OrderPage, Platform, Refund as RefundAccount, RuleBook, UserState},
    event::{DecodeError, Event},
};
use rebate_core::{
    message::{self, InvalidMessage, Record},
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, Day, OrderHash, Timestamp, UserKey},
    wallet::WalletLink,
};
use solana_program::hash::hash;
use std::fmt::Debug;

/// Every event, by name.
pub const EVENTS: [&str; 22] = [
    "PlatformCreated",
    "OracleKeyRegistered",
    "RulePublished",
    "PauseChanged",
    "PaymentRecorded",
    "OracleKeyRetired",
    "RuleEnded",
    "RuleDropped",
    "AssetAdded",
    "OffsetAdded",
    "RoleChanged",
    "SettingChanged",
    "OrderShardsChanged",
    "DayClosed",
    "RefundRecorded",
    "Redeemed",
    "BalanceExpired",
    "WalletLinked",
    "Claimed",
    "VaultOpened",
    "Deposited",
    "SurplusWithdrawn",
];

const ACCOUNTS: [&str; 7] = ["Platform", "Journal", "User", "Counter", "OrderPage", "Refund", "RuleBook"];

/// Reads the bytes as everything that is read. The first byte says what they are dressed up as, so that they get past what
/// nobody guesses: a header's addresses, a discriminator.
pub fn check(bytes: &[u8]) {
    message_as_it_is(bytes);
    event(bytes);
    accounts(bytes);

    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => message_as_it_is(&dressed(&message::DOMAIN, rest)),
        1 => values(rest),
        2 => event(&dressed(&event_discriminator(EVENTS[usize::from(choice / 4) % EVENTS.len()]), rest)),
        _ => accounts(&dressed(&account::discriminator(ACCOUNTS[usize::from(choice / 4) % ACCOUNTS.len()]), rest)),
    }
}

/// The first eight bytes of an event.
pub fn event_discriminator(name: &str) -> [u8; 8] {
    let digest = hash(format!("event:{name}").as_bytes()).to_bytes();
    digest[..8].try_into().expect("eight bytes")
}

fn dressed(head: &[u8; 8], body: &[u8]) -> Vec<u8> {
    [head, body].concat()
}

/// A message is of one kind at most, and is exactly what its records are encoded as.
fn message_as_it_is(bytes: &[u8]) {
    let kinds = [
        is_message_of::<Payment>(bytes),
        is_message_of::<Refund>(bytes),
        is_message_of::<Redemption>(bytes),
        is_message_of::<WalletLink>(bytes),
    ];
    assert!(kinds.iter().filter(|is| **is).count() <= 1, "records of two kinds: {kinds:?}");
}

fn is_message_of<R: Record + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let address = |at: usize| -> [u8; 32] {
        bytes.get(at..at + 32).and_then(|address| address.try_into().ok()).unwrap_or_default()
    };
    // For whatever program and platform the message says it is.
    let (program, platform) = (address(8), address(40));
    let Ok(records) = read::<R>(bytes, &program, &platform) else { return false };
    assert_eq!(message::encode(&program, &platform, &records).as_deref(), Ok(bytes), "another encoding of {records:?}");

    let mut other = program;
    other[0] ^= 1;
    let opened = |program, platform| message::open(bytes, program, platform).err();
    assert_eq!(opened(&other, &platform), Some(InvalidMessage::WrongProgram));
    let mut other = platform;
    other[31] ^= 1;
    assert_eq!(opened(&program, &other), Some(InvalidMessage::WrongPlatform));
    true
}

fn read<R: Record>(bytes: &[u8], program: &[u8; 32], platform: &[u8; 32]) -> Result<Vec<R>, InvalidMessage> {
    let mut records = message::open(bytes, program, platform)?;
    let announced = records.left();
    let mut read = Vec::new();
    while let Some(record) = records.next()? {
        read.push(record);
        assert_eq!(records.left() + read.len(), announced);
    }
    assert_eq!(read.len(), announced);
    Ok(read)
}

/// Records made of the bytes come back as they were sent.
fn values(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(kind) = u8::arbitrary(&mut bytes) else { return };
    let count = usize::from(kind / 4) % 6 + 1;
    // What no bytes are left for is 0.
    match kind % 4 {
        0 => comes_back(&many(count, || payment(&mut bytes).unwrap_or_default())),
        1 => comes_back(&many(count, || refund(&mut bytes).unwrap_or_default())),
        2 => comes_back(&many(count, || redemption(&mut bytes).unwrap_or_default())),
        _ => comes_back(&many(count, || link(&mut bytes).unwrap_or_default())),
    }
}

fn many<R>(count: usize, mut make: impl FnMut() -> R) -> Vec<R> {
    (0..count).map(|_| make()).collect()
}

fn comes_back<R: Record + PartialEq + Debug>(records: &[R]) {
    let (program, platform) = ([1; 32], [2; 32]);
    let message = message::encode(&program, &platform, records).expect("a few records");
    assert!(message.len() <= message::HEADER + records.len() * R::MAX_SIZE);
    assert_eq!(read::<R>(&message, &program, &platform).as_deref(), Ok(records));
    for end in 0..message.len() {
        assert!(read::<R>(&message[..end], &program, &platform).is_err(), "cut off after {end} bytes");
    }
}

fn payment(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Payment> {
    Ok(Payment {
        order: OrderHash(bytes.arbitrary()?),
        user: UserKey(bytes.arbitrary()?),
        amount: Amount(bytes.arbitrary()?),
        paid_at: Timestamp(bytes.arbitrary()?),
        product: bytes.arbitrary()?,
        streamer: bytes.arbitrary()?,
        session: bytes.arbitrary()?,
        tier: bytes.arbitrary()?,
        segments: bytes.arbitrary()?,
    })
}

fn refund(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Refund> {
    Ok(Refund {
        order: OrderHash(bytes.arbitrary()?),
        of: OrderHash(bytes.arbitrary()?),
        amount: Amount(bytes.arbitrary()?),
        paid_at: Timestamp(bytes.arbitrary()?),
    })
}

fn redemption(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Redemption> {
    Ok(Redemption {
        order: OrderHash(bytes.arbitrary()?),
        user: UserKey(bytes.arbitrary()?),
        asset: AssetId(bytes.arbitrary()?),
        amount: Amount(bytes.arbitrary()?),
        redeemed_at: Timestamp(bytes.arbitrary()?),
    })
}

fn link(bytes: &mut Unstructured<'_>) -> arbitrary::Result<WalletLink> {
    Ok(WalletLink {
        user: UserKey(bytes.arbitrary()?),
        wallet: bytes.arbitrary()?,
        linked_at: Timestamp(bytes.arbitrary()?),
    })
}

/// An event is exactly what it is encoded as, and a published rule that is none does no harm.
fn event(bytes: &[u8]) {
    match Event::decode(bytes) {
        Ok(event) => {
            assert_eq!(event.encode().expect("bytes"), bytes, "another encoding of {event:?}");
            if let Event::RulePublished(published) = event
                && let Ok(rule) = published.rule.rule(Timestamp(published.effective_at))
            {
                assert_eq!((rule.id.0, rule.version.0), (published.rule.id, published.rule.version));
                published.rule.check().expect("it is no other rule at another time");
            }
        }
        Err(DecodeError::UnknownEvent { discriminator }) => {
            assert!(EVENTS.iter().all(|name| event_discriminator(name) != discriminator));
        }
        Err(DecodeError::Malformed { .. }) => {}
    }
}

/// What is read of an account that is none, or none of ours.
fn accounts(bytes: &[u8]) {
    if let Ok(platform) = Platform::decode(bytes) {
        assert!(platform.assets().len() <= platform.assets.len());
        assert!(platform.offsets().len() <= platform.offsets.len());
        assert!(platform.oracles().len() <= platform.oracles.len());
        let at = Timestamp(platform.next_admin_from);
        let _ = (platform.order_shards(Day(platform.last_opened)), platform.admission(at).check_time(at));
        let _ = (0..=u8::MAX).filter_map(|asset| platform.asset_name(AssetId(asset))).count();
    }
    if let Ok(journal) = Journal::decode(bytes) {
        let _ = journal.root();
    }
    if let Ok(user) = UserState::decode(bytes) {
        assert_eq!(user.counters.len(), usize::from(user.user.counter_slots));
    }
    if let Ok((counter, counters)) = Counter::decode_with_counters(bytes) {
        assert_eq!(counters.len(), usize::from(counter.slots));
    }
    if let Ok((_, rules)) = RuleBook::decode_with_rules(bytes) {
        for rule in rules {
            let _ = (rule.order(), rule.end(), rule.in_force(rule.effective_at), rule.window(), rule.scope());
            let _ = (rule.effect(), rule.condition(), rule.name(), rule.holdout(), rule.on_limit(), rule.group_mode());
        }
    }
    let _ = (OrderPage::decode(bytes), OrderPage::slots(bytes), RefundAccount::decode(bytes));
}
