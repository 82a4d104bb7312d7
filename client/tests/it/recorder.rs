//! What the recorder opens, what it passes on, when it looks again, and what the log lines of a transaction say.

mod chain;

use self::chain::{NOON, TestChain, book, counter, page, refused, unreachable, user};
use crate::given::definition;
use bytemuck::Zeroable;
use rebate_client::{
    Pubkey,
    account::{DecodeError, Refund as RefundAccount, UserState, VERSION},
    address::{Addresses, day_of},
    chain::SubmitError,
    event::{EffectEntry, RuleDefinition},
    oracle::SignedMessage,
    recorder::{LEGACY_TRANSACTION, RecordError, Recorder, refusals},
};
use rebate_core::{
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    rule::Rule,
    units::{Amount, AssetId, OrderHash, ScopeId, Timestamp, UserKey},
    wallet::WalletLink,
    window::Scope,
};
use solana_keypair::Keypair;
use solana_message::Message;
use solana_signer::Signer;

const DAY: i64 = 86_400;

/// Rule `id`, which counts in this scope and ends at this time; 0 for open.
fn rule(id: u16, scope: Scope, ends_at: i64) -> Rule {
    let sound = definition(EffectEntry::Fixed { asset: 1, amount: 1 });
    RuleDefinition { id, scope: scope as u8, ends_at, ..sound }.rule(Timestamp(0)).unwrap()
}

fn payment(order: &str, user: u8) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: UserKey([user; 32]),
        amount: Amount(100),
        paid_at: Timestamp(NOON),
        streamer: 7,
        session: 8,
        ..Payment::default()
    }
}

fn signed() -> SignedMessage {
    SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3; 100] }
}

fn of() -> Addresses {
    Addresses::of(1)
}

/// The page of a day of which there is one shard.
fn page_at(at: i64, number: u16) -> Pubkey {
    of().order_page(day_of(Timestamp(at)), 0, number)
}

async fn recorder<'a>(chain: &'a TestChain, payer: &'a Keypair) -> Recorder<'a> {
    Recorder::new(chain, of().platform, payer).await.unwrap()
}

#[tokio::test]
async fn a_platform_that_is_not_there_or_not_understood_is_said_to_be_so() {
    let (payer, platform) = (Keypair::new(), of().platform);
    let chain = TestChain::with(&of(), &[]);
    let fails = async || Recorder::new(&chain, platform, &payer).await.err();
    chain.put(of().rule_book, b"something else".to_vec());
    let another = DecodeError::AnotherAccount("RuleBook");
    assert_eq!(fails().await, Some(RecordError::Account(of().rule_book, another)));
    chain.put(platform, b"something else".to_vec());
    assert_eq!(fails().await, Some(RecordError::Platform(platform, DecodeError::AnotherAccount("Platform"))));
    chain.state().accounts.remove(&platform);
    assert_eq!(fails().await, Some(RecordError::NoPlatform(platform)));
    chain.state().unanswered.insert(platform);
    assert_eq!(fails().await, Some(RecordError::Submit(SubmitError::Chain(unreachable()))));
}

#[tokio::test]
async fn what_payments_need_is_opened_once_and_passed_in_the_order_the_program_reads_it() {
    // Two rules of the user's own, and one towards the streamer; the one of the session is over.
    let ended = rule(4, Scope::UserSession, NOON);
    let rules = [rule(1, Scope::User, 0), rule(2, Scope::User, 0), rule(3, Scope::UserStreamer, 0), ended];
    let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let payments = [payment("A1", 1), payment("A2", 1), payment("A3", 2)];
    recorder.record(&payments, &signed()).await.unwrap();
    let [_, record] = recorder.instructions(&payments, &signed());
    assert_eq!(chain.last(), record);
    assert_eq!(
        chain.landed(),
        [
            vec!["open_user", "open_order_page", "open_counter", "open_user", "open_counter"],
            vec!["ed25519", "record_payments"],
        ]
    );
    let behind: Vec<_> = record.accounts[6..].iter().map(|meta| meta.pubkey).collect();
    let counter_of = |user| of().counter(&UserKey([user; 32]), Scope::UserStreamer, ScopeId(7));
    let expected = [1, 1, 2].map(|user| [of().user(&UserKey([user; 32])), page_at(NOON, 0), counter_of(user)]);
    assert_eq!(behind, expected.concat());
    let opened = UserState::decode(&chain.state().accounts[&of().user(&UserKey([1; 32]))]).unwrap();
    assert_eq!((opened.user.balance_slots, opened.user.counter_slots), (2, 2));
    assert_eq!(chain.state().accounts[&counter_of(1)], counter(1));

    // All of it is known now.
    chain.state().asked = 0;
    recorder.record(&payments, &signed()).await.unwrap();
    assert_eq!((chain.landed(), chain.state().asked), (vec![vec!["ed25519", "record_payments"]], 0));
}

#[tokio::test]
async fn versions_of_a_rule_share_their_counters_room() {
    let mut rules = [rule(1, Scope::User, 0), rule(1, Scope::User, 0), rule(2, Scope::User, 0)];
    rules[1].version.0 = 2;
    let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
    recorder(&chain, &payer).await.open_for(&[payment("A1", 1)]).await.unwrap();
    let opened = UserState::decode(&chain.state().accounts[&of().user(&UserKey([1; 32]))]).unwrap();
    assert_eq!(opened.counters.len(), 2);
}

#[tokio::test]
async fn what_is_too_small_is_grown_and_what_is_large_enough_is_left_alone() {
    let rules = [1, 2].map(|id| rule(id, Scope::User, 0)).into_iter().chain([rule(3, Scope::UserStreamer, 0)]);
    let rules: Vec<_> = rules.collect();
    let key = UserKey([1; 32]);
    let (address, streamer) = (of().user(&key), of().counter(&key, Scope::UserStreamer, ScopeId(7)));
    for (before, counters, expected) in [
        (user(key.0, 2, 1), counter(0), vec![vec!["grow_user", "grow_counter"]]),
        // An asset was added; the room for counters is not made smaller.
        (user(key.0, 1, 5), counter(1), vec![vec!["grow_user"]]),
        (user(key.0, 2, 5), counter(9), vec![]),
    ] {
        let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
        chain.put(page_at(NOON, 0), page(8, 0, false));
        chain.put(streamer, counters);
        let slots_before = UserState::decode(&before).unwrap().counters.len();
        chain.put(address, before);
        recorder(&chain, &payer).await.open_for(&[payment("A1", 1)]).await.unwrap();
        assert_eq!(chain.landed(), expected);
        let after = UserState::decode(&chain.state().accounts[&address]).unwrap();
        assert_eq!((after.user.balance_slots, after.counters.len()), (2, slots_before.max(2)));
    }
}

#[tokio::test]
async fn lamports_that_somebody_sent_to_an_address_open_nothing() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    chain.put(of().user(&UserKey([1; 32])), Vec::new());
    chain.put(page_at(NOON, 0), Vec::new());
    recorder(&chain, &payer).await.open_for(&[payment("A1", 1)]).await.unwrap();
    assert_eq!(chain.landed(), [["open_user", "open_order_page"]]);
}

#[tokio::test]
async fn a_record_that_is_refused_for_its_amount_or_its_time_has_no_page() {
    let (chain, payer) = (TestChain::with(&of(), &[rule(1, Scope::UserStreamer, 0)]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let at = |seconds| Payment { paid_at: Timestamp(NOON + seconds), ..payment("A1", 1) };
    let nothing = Payment { amount: Amount(0), ..payment("A1", 1) };
    recorder.open_for(&[at(-8 * DAY), at(DAY), nothing]).await.unwrap();
    assert_eq!(chain.landed(), [["open_user"]]);
    let redemption = Redemption { user: UserKey([1; 32]), redeemed_at: Timestamp(NOON + DAY), ..Redemption::default() };
    recorder.redeem(&redemption, &signed()).await.unwrap();
    let refund = Refund { amount: Amount(1), paid_at: Timestamp(NOON - 8 * DAY), ..Refund::default() };
    recorder.refund(&refund, &payment("A1", 1), &signed()).await.unwrap();
    assert_eq!(chain.landed(), [["ed25519", "record_redemptions"], ["ed25519", "record_refunds"]]);
}

#[tokio::test]
async fn a_page_is_followed_by_another_once_it_has_no_place_for_all_of_a_batch() {
    let batch = |count| (0..count).map(|at| payment(&format!("A{at}"), 1)).collect::<Vec<_>>();
    // Of 1 024 slots 896 are taken, of 8 seven; a successor can be had once three quarters are.
    for (slots, taken, count, opens) in [
        (1_024, 895, 1, false),
        (1_024, 896, 1, true),
        (1_024, 892, 4, false),
        (1_024, 893, 4, true),
        (8, 6, 1, false),
        (8, 6, 2, true),
        (8, 5, 3, false),
        (8, 7, 1, true),
    ] {
        let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
        chain.put(of().user(&UserKey([1; 32])), user([1; 32], 2, 0));
        chain.put(page_at(NOON, 0), page(slots, taken, false));
        let mut recorder = recorder(&chain, &payer).await;
        recorder.open_for(&batch(count)).await.unwrap();
        let expected = if opens { vec![vec!["open_order_page"]] } else { vec![] };
        assert_eq!(chain.landed(), expected, "{taken} of {slots} slots are taken, {count} more");
        let pages: Vec<_> = (0..=u16::from(opens)).map(|number| page_at(NOON, number)).collect();
        assert_eq!(recorder.pages_of(&OrderHash::of("A1"), Timestamp(NOON)), pages);
    }
}

#[tokio::test]
async fn the_places_of_other_days_are_none_of_a_batchs_business() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    chain.put(of().user(&UserKey([1; 32])), user([1; 32], 2, 0));
    chain.put(page_at(NOON, 0), page(8, 6, false));
    chain.put(page_at(NOON - DAY, 0), page(8, 6, false));
    let yesterday = Payment { paid_at: Timestamp(NOON - DAY), ..payment("A2", 1) };
    recorder(&chain, &payer).await.open_for(&[payment("A1", 1), yesterday]).await.unwrap();
    assert!(chain.landed().is_empty());
}

#[tokio::test]
async fn every_page_of_a_day_is_passed_and_a_sealed_one_is_never_the_last() {
    for (last, opens) in [(page(1_024, 800, false), false), (page(1_024, 896, false), true)] {
        let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
        chain.put(of().user(&UserKey([1; 32])), user([1; 32], 2, 0));
        chain.put(page_at(NOON, 0), page(8, 6, true));
        chain.put(page_at(NOON, 1), page(16, 14, true));
        chain.put(page_at(NOON, 2), last);
        let mut recorder = recorder(&chain, &payer).await;
        recorder.record(&[payment("A1", 1)], &signed()).await.unwrap();
        let pages: Vec<_> = (0..3 + u16::from(opens)).map(|number| page_at(NOON, number)).collect();
        assert_eq!(recorder.pages_of(&OrderHash::of("A1"), Timestamp(NOON)), pages);
        let passed: Vec<_> = chain.last().accounts[7..].iter().map(|meta| meta.pubkey).collect();
        assert_eq!(passed, pages);
    }
}

#[tokio::test]
async fn looking_opens_nothing() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    for (there, expected) in [
        (vec![], 1),
        (vec![page(8, 0, false)], 1),
        (vec![page(8, 7, false)], 1),
        (vec![page(8, 7, true), page(16, 0, false)], 2),
        (vec![page(8, 7, true), page(16, 14, false)], 2),
    ] {
        for (number, page) in (0..).zip(there) {
            chain.put(page_at(NOON, number), page);
        }
        recorder.refresh().await.unwrap();
        recorder.look(&[payment("A1", 1), payment("A2", 1)]).await.unwrap();
        assert_eq!(recorder.pages_of(&OrderHash::of("A1"), Timestamp(NOON)).len(), expected);
    }
    assert!(chain.landed().is_empty());
}

#[tokio::test]
async fn what_changed_meanwhile_is_looked_at_once_more_and_nothing_is_tried_a_third_time() {
    for name in ["WrongAccounts", "WrongOrderPage", "OrderPageFull", "WrongCounter", "CounterMissing", "NoRoom"] {
        let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
        let mut recorder = recorder(&chain, &payer).await;
        recorder.open_for(&[payment("A0", 1)]).await.unwrap();
        chain.landed();
        // Somebody publishes a rule and fills the page.
        chain.next(move |state| {
            state.accounts.insert(of().rule_book, book(&[rule(1, Scope::UserSession, 0), rule(2, Scope::User, 0)]));
            state.accounts.insert(page_at(NOON, 0), page(1_024, 896, false));
            Some(refused(name))
        });
        recorder.record(&[payment("A1", 1)], &signed()).await.unwrap();
        let passed: Vec<_> = chain.last().accounts[6..].iter().map(|meta| meta.pubkey).collect();
        let key = UserKey([1; 32]);
        let counter = of().counter(&key, Scope::UserSession, ScopeId(8));
        assert_eq!(passed, [of().user(&key), page_at(NOON, 0), page_at(NOON, 1), counter], "{name}");
        let expected = [vec!["grow_user", "open_order_page", "open_counter"], vec!["ed25519", "record_payments"]];
        assert_eq!(chain.landed(), expected, "{name}");

        chain.fail_next(refused(name));
        chain.fail_next(refused(name));
        let twice = recorder.record(&[payment("A2", 1)], &signed()).await;
        assert_eq!(twice, Err(RecordError::Submit(refused(name))));
        assert!(chain.landed().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_tried_again() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let (paid, key) = (payment("A1", 1), UserKey([1; 32]));
    let redemption = Redemption { user: key, redeemed_at: Timestamp(NOON), ..Redemption::default() };
    let refund = Refund { amount: Amount(1), paid_at: Timestamp(NOON), ..Refund::default() };
    recorder.open_for(&[paid]).await.unwrap();
    chain.landed();
    for error in [refused("DuplicateOrder"), refused("Paused"), SubmitError::Chain(unreachable())] {
        let expected = RecordError::Submit(error.clone());
        chain.fail_next(error.clone());
        assert_eq!(recorder.record(&[paid], &signed()).await, Err(expected.clone()));
        chain.fail_next(error.clone());
        assert_eq!(recorder.redeem(&redemption, &signed()).await, Err(expected.clone()));
        chain.fail_next(error);
        assert_eq!(recorder.refund(&refund, &paid, &signed()).await, Err(expected));
    }
    assert!(chain.landed().is_empty());
}

#[tokio::test]
async fn redemptions_and_refunds_look_once_more_as_payments_do() {
    let (chain, payer) = (TestChain::with(&of(), &[rule(1, Scope::UserStreamer, 0)]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let key = UserKey([1; 32]);
    let redemption = Redemption {
        order: OrderHash::of("R1"),
        user: key,
        asset: AssetId(1),
        amount: Amount(5),
        redeemed_at: Timestamp(NOON),
    };
    recorder.redeem(&redemption, &signed()).await.unwrap();
    assert_eq!(chain.landed(), [vec!["open_user", "open_order_page"], vec!["ed25519", "record_redemptions"]]);
    chain.next(|state| {
        state.accounts.insert(page_at(NOON, 0), page(1_024, 896, false));
        Some(refused("OrderPageFull"))
    });
    recorder.redeem(&redemption, &signed()).await.unwrap();
    let pages = [page_at(NOON, 0), page_at(NOON, 1)];
    let passed = |chain: &TestChain| chain.last().accounts[6..].iter().map(|meta| meta.pubkey).collect::<Vec<_>>();
    assert_eq!(passed(&chain), [&[of().user(&key)], &pages[..]].concat());
    assert_eq!(chain.landed(), [vec!["open_order_page"], vec!["ed25519", "record_redemptions"]]);

    // A refund brings what was paid towards the streamer, also where it was closed, and the refunded order.
    let (paid, of_order) = (payment("A1", 1), OrderHash::of("A1"));
    let refund = Refund { order: OrderHash::of("F1"), of: of_order, amount: Amount(5), paid_at: Timestamp(NOON - DAY) };
    recorder.refund(&refund, &paid, &signed()).await.unwrap();
    let streamer = of().counter(&key, Scope::UserStreamer, ScopeId(7));
    let expected = [of().user(&key), page_at(NOON - DAY, 0), of().refund(&of_order), streamer];
    assert_eq!(passed(&chain), expected);
    assert_eq!(chain.landed(), [vec!["open_order_page"], vec!["ed25519", "record_refunds"]]);
    chain.next(|state| {
        state.accounts.insert(of().rule_book, book(&[rule(2, Scope::UserSession, 0)]));
        Some(refused("CounterMissing"))
    });
    recorder.refund(&refund, &paid, &signed()).await.unwrap();
    assert_eq!(passed(&chain)[3..], [of().counter(&key, Scope::UserSession, ScopeId(8))]);
}

#[tokio::test]
async fn a_refund_brings_counters_of_every_scope_in_the_book_also_of_rules_that_are_over() {
    let rules = [rule(1, Scope::UserSession, NOON - DAY), rule(2, Scope::User, 0), rule(3, Scope::UserStreamer, 0)];
    let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
    let recorder = recorder(&chain, &payer).await;
    let counter = |scope, id| of().counter(&UserKey([1; 32]), scope, ScopeId(id));
    let expected = [counter(Scope::UserStreamer, 7), counter(Scope::UserSession, 8)];
    assert_eq!(recorder.counters_of_refund(&payment("A1", 1)), expected);
}

#[tokio::test]
async fn a_wallet_link_needs_the_user_and_no_page() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let link = WalletLink { user: UserKey([1; 32]), ..WalletLink::default() };
    recorder(&chain, &payer).await.link(&link, &signed()).await.unwrap();
    let passed: Vec<_> = chain.last().accounts[6..].iter().map(|meta| meta.pubkey).collect();
    assert_eq!(passed, [of().user(&link.user)]);
    assert_eq!(chain.landed(), [vec!["open_user"], vec!["ed25519", "link_wallets"]]);
}

#[tokio::test]
async fn what_somebody_else_opened_meanwhile_keeps_nothing_else_from_being_opened() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    chain.next(|state| {
        state.accounts.insert(of().user(&UserKey([2; 32])), user([2; 32], 2, 0));
        None
    });
    let payments = [payment("A1", 1), payment("A2", 2), payment("A3", 3)];
    recorder.record(&payments, &signed()).await.unwrap();
    let expected = [vec!["open_user"], vec!["open_order_page"], vec!["open_user"], vec!["ed25519", "record_payments"]];
    assert_eq!(chain.landed(), expected);
}

#[tokio::test]
async fn room_that_somebody_else_made_meanwhile_is_as_good() {
    let rules: Vec<_> = (1..4).map(|id| rule(id, Scope::User, 0)).collect();
    let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
    chain.put(of().user(&UserKey([1; 32])), user([1; 32], 2, 1));
    let mut recorder = recorder(&chain, &payer).await;
    chain.next(|state| {
        state.accounts.insert(of().user(&UserKey([1; 32])), user([1; 32], 2, 9));
        None
    });
    recorder.open_for(&[payment("A1", 1)]).await.unwrap();
    assert_eq!(chain.landed(), [["open_order_page"]]);
}

#[tokio::test]
async fn room_that_cannot_be_made_is_said_to_be_so() {
    let (chain, payer) = (TestChain::with(&of(), &[rule(1, Scope::User, 0)]), Keypair::new());
    chain.put(of().user(&UserKey([1; 32])), user([1; 32], 2, 0));
    chain.put(page_at(NOON, 0), page(8, 0, false));
    let mut recorder = recorder(&chain, &payer).await;
    let poor = SubmitError::Failed { why: "the payer has no lamports".to_owned(), logs: Vec::new() };
    chain.fail_next(poor.clone());
    chain.fail_next(poor.clone());
    let failed = recorder.open_for(&[payment("A1", 1)]).await;
    assert_eq!(failed, Err(RecordError::Submit(poor)), "the account is there, and the reason is another");
    assert!(chain.landed().is_empty());
}

#[tokio::test]
async fn what_was_not_opened_is_opened_the_next_time() {
    let (chain, payer) = (TestChain::with(&of(), &[rule(1, Scope::UserStreamer, 0)]), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let gone = || SubmitError::Chain(unreachable());
    let all = vec!["open_user", "open_order_page", "open_counter"];
    let recorded = vec!["ed25519", "record_payments"];
    chain.fail_next(gone());
    assert_eq!(recorder.record(&[payment("A1", 1)], &signed()).await, Err(RecordError::Submit(gone())));
    assert!(chain.landed().is_empty());
    recorder.record(&[payment("A1", 1)], &signed()).await.unwrap();
    assert_eq!(chain.landed(), [all.clone(), recorded.clone()]);

    // Broken off while it looked: the second user's account was not answered for.
    let second = of().user(&UserKey([3; 32]));
    chain.state().unanswered.insert(second);
    let payments = [payment("A2", 2), payment("A3", 3)];
    assert_eq!(recorder.open_for(&payments).await, Err(RecordError::Submit(gone())));
    chain.state().unanswered.clear();
    recorder.record(&payments, &signed()).await.unwrap();
    assert_eq!(chain.landed(), [vec!["open_user", "open_counter", "open_user", "open_counter"], recorded]);
}

#[tokio::test]
async fn many_accounts_are_opened_in_transactions_that_each_fit() {
    let rules = [rule(1, Scope::UserStreamer, 0), rule(2, Scope::UserSession, 0)];
    let (chain, payer) = (TestChain::with(&of(), &rules), Keypair::new());
    let mut recorder = recorder(&chain, &payer).await;
    let payments: Vec<_> = (0..12)
        .map(|at| Payment { paid_at: Timestamp(NOON - i64::from(at % 7) * DAY), ..payment(&format!("A{at}"), at) })
        .collect();
    // The last page of each day is full: a successor brings one account more.
    for at in (0..7).map(|days| NOON - days * DAY) {
        chain.put(page_at(at, 0), page(1_024, 896, false));
    }
    recorder.open_for(&payments).await.unwrap();
    for instructions in chain.transactions() {
        let size = Message::new(&instructions, Some(&payer.pubkey())).serialize().len() + 65;
        assert!(size <= LEGACY_TRANSACTION, "{size} bytes");
        assert!(recorder.fits(&instructions));
    }
    let landed = chain.landed();
    assert!(landed.iter().all(|instructions| instructions.len() <= 6));
    let count = |name| landed.iter().flatten().filter(|instruction| **instruction == name).count();
    assert_eq!((count("open_user"), count("open_order_page"), count("open_counter")), (12, 7, 24));
}

#[tokio::test]
async fn a_transaction_fits_up_to_its_last_byte() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let recorder = recorder(&chain, &payer).await;
    let fits = |length| {
        let signed = SignedMessage { message: vec![0; length], ..signed() };
        recorder.fits(&recorder.instructions(&[payment("A1", 1)], &signed))
    };
    let most = (0..LEGACY_TRANSACTION).take_while(|length| fits(*length)).count();
    let signed = SignedMessage { message: vec![0; most - 1], ..signed() };
    let instructions = recorder.instructions(&[payment("A1", 1)], &signed);
    // A signature and how many there are, then the message.
    assert_eq!(Message::new(&instructions, Some(&payer.pubkey())).serialize().len() + 64 + 1, LEGACY_TRANSACTION);
    assert!(!fits(most) && !fits(LEGACY_TRANSACTION));
}

#[tokio::test]
async fn an_order_is_proved_once_its_account_says_so() {
    let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
    let recorder = recorder(&chain, &payer).await;
    let order = OrderHash::of("A1");
    let address = of().refund(&order);
    assert_eq!(recorder.is_proved(&order).await, Ok(false), "there is none");
    chain.put(address, Vec::new());
    assert_eq!(recorder.is_proved(&order).await, Ok(false), "lamports are no account");
    for (stage, expected) in [(0, false), (1, false), (2, true)] {
        let account = RefundAccount { stage, version: VERSION, ..RefundAccount::zeroed() };
        chain.put(address, chain::data("Refund", &account, &[]));
        assert_eq!(recorder.is_proved(&order).await, Ok(expected), "stage {stage}");
    }
    chain.put(address, b"something else".to_vec());
    let another = DecodeError::AnotherAccount("Refund");
    assert_eq!(recorder.is_proved(&order).await, Err(RecordError::Account(address, another)));
}

#[tokio::test]
async fn the_pieces_of_a_proof_share_a_transaction_where_they_fit_into_one() {
    for (event, nodes, expected) in [
        (100, 0, vec![vec!["open_refund", "write_refund", "prove_refund"]]),
        (600, 3, vec![vec!["open_refund", "write_refund", "prove_refund"]]),
        (900, 20, vec![vec!["open_refund", "write_refund"], vec!["prove_refund"]]),
        (
            1_900,
            40,
            vec![
                vec!["open_refund", "write_refund"],
                vec!["write_refund"],
                vec!["write_refund", "prove_refund"],
                vec!["prove_refund"],
            ],
        ),
    ] {
        let (chain, payer) = (TestChain::with(&of(), &[]), Keypair::new());
        let recorder = recorder(&chain, &payer).await;
        recorder.prove(&OrderHash::of("A1"), &vec![1; event], &vec![[2; 32]; nodes]).await.unwrap();
        assert!(chain.transactions().iter().all(|instructions| recorder.fits(instructions)));
        assert_eq!(chain.landed(), expected, "{event} bytes, {nodes} nodes");
    }
}

fn logs(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn refusals_are_told_from_the_log_lines_in_order_and_nothing_else_is() {
    let logs = logs(&[
        "Program ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u invoke [1]",
        "Program log: order 0f1e2d3c4b5a6978: refused, DuplicateOrder",
        "Program log: order 1111111111111111: 1000 of asset 1 by rule 1, 0 -> 1000",
        "Program log: order 2222222222222222: refused, ZeroAmount",
        "Program log: order 0f1e2d3c4b5a6978: refused, DuplicateOrder",
        "order 3333333333333333: refused, TooLate",
        "Program data: order 3333333333333333: refused, TooLate",
        "Program log: an order 3333333333333333: refused, TooLate",
        "Program ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u success",
    ]);
    let refused = |order: &str, reason: &str| (order.to_owned(), reason.to_owned());
    assert_eq!(
        refusals(&logs),
        [
            refused("0f1e2d3c4b5a6978", "DuplicateOrder"),
            refused("2222222222222222", "ZeroAmount"),
            refused("0f1e2d3c4b5a6978", "DuplicateOrder"),
        ]
    );
    assert_eq!(refusals(&[]), []);
}
