//! Instructions: what they are called, whom they name in which order, who signs, and every byte of what they say.

use crate::given::{definition, effects};
use rebate_client::{
    Pubkey,
    address::{Addresses, ED25519, INSTRUCTIONS_SYSVAR, PROGRAM, SYSTEM},
    event::{AssetEntry, OffsetEntry},
    instruction::{self, PlatformSetting, PlatformSettings, RecordAccounts, Token},
    oracle::{self, SignedMessage},
};
use rebate_core::{
    message,
    payment::Payment,
    redemption::Redemption,
    refund::Refund,
    units::{Amount, AssetId, Day, OrderHash, RuleId, RuleVersion, ScopeId, Timestamp, UserKey},
    wallet::WalletLink,
    window::Scope,
};
use solana_keypair::Keypair;
use solana_program::{
    hash::hash,
    instruction::{AccountMeta, Instruction},
};
use solana_signature::Signature;
use solana_signer::Signer;
use std::collections::HashSet;

const WHO: Pubkey = Pubkey::new_from_array([91; 32]);
const OTHER: Pubkey = Pubkey::new_from_array([92; 32]);
const MINT: Pubkey = Pubkey::new_from_array([93; 32]);
const TOKEN_PROGRAM: Pubkey = Pubkey::new_from_array([94; 32]);
const USER: UserKey = UserKey([95; 32]);
const ORDER: OrderHash = OrderHash([96; 32]);
const ASSET: AssetId = AssetId(3);
const AMOUNT: [u8; 8] = [8, 7, 6, 5, 4, 3, 2, 1];
const TIME: [u8; 8] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

fn addresses() -> Addresses {
    Addresses::of(1)
}

/// An account that is only read.
fn r(address: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer: false, is_writable: false }
}

/// One that is written to.
fn w(address: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer: false, is_writable: true }
}

/// Somebody who signs and is not charged.
fn signs(address: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer: true, is_writable: false }
}

/// Somebody who signs and pays, or gets rent back.
fn pays(address: Pubkey) -> AccountMeta {
    AccountMeta { pubkey: address, is_signer: true, is_writable: true }
}

/// What stands last of what an instruction that emits events declares.
fn emitting(accounts: &[AccountMeta]) -> Vec<AccountMeta> {
    [accounts, &[r(addresses().event_authority), r(PROGRAM)]].concat()
}

/// What an instruction should be: its name, its accounts and its arguments.
type Expected = (&'static str, Vec<AccountMeta>, Vec<u8>);

fn check(cases: Vec<(Instruction, Expected)>) {
    for (instruction, (name, accounts, arguments)) in cases {
        assert_eq!(instruction.program_id, PROGRAM, "{name}");
        let digest = hash(format!("global:{name}").as_bytes()).to_bytes();
        let (head, body) = instruction.data.split_at(8);
        assert_eq!(head, &digest[..8], "{name}");
        assert_eq!(body, arguments, "{name}");
        assert_eq!(instruction.accounts, accounts, "{name}");
    }
}

fn settings() -> PlatformSettings {
    PlatformSettings {
        id: 1,
        admin: [2; 32],
        pauser: [3; 32],
        max_lateness: 4,
        timelock: 5,
        order_shards: 6,
        page_slots: 7,
        offsets: vec![OffsetEntry { from: -1, seconds: 7 }],
        assets: vec![AssetEntry { name: [8; 16], kind: 9, expiry_months: 10, mint: [11; 32] }],
    }
}

#[test]
fn a_platform_is_created_with_its_book_and_its_journal() {
    let of = addresses();
    let accounts = emitting(&[pays(WHO), w(of.platform), w(of.rule_book), w(of.journal), r(SYSTEM)]);
    let offset = [[0xff; 8].as_slice(), &[7, 0, 0, 0]].concat();
    let asset = [[8; 16].as_slice(), &[9, 10], &[11; 32]].concat();
    let numbers: [&[u8]; 4] = [&[1, 0, 0, 0, 0, 0, 0, 0], &[2; 32], &[3; 32], &[4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 7, 0]];
    let arguments = [&numbers.concat()[..], &[1, 0, 0, 0], &offset, &[1, 0, 0, 0], &asset].concat();
    check(vec![(instruction::create_platform(&WHO, &settings()), ("create_platform", accounts, arguments))]);
}

#[test]
fn what_the_admin_and_the_pauser_decide_is_signed_by_them_and_charged_to_nobody() {
    let of = addresses();
    let by_role = || emitting(&[signs(WHO), w(of.platform), w(of.journal)]);
    let over_rules = || emitting(&[signs(WHO), w(of.platform), r(of.rule_book), w(of.journal)]);
    let time = Timestamp(-2);
    let asset = AssetEntry { name: [8; 16], kind: 9, expiry_months: 10, mint: [11; 32] };
    let key = OTHER.to_bytes();
    check(vec![
        (
            instruction::register_oracle_key(&WHO, &of, &OTHER, time, Timestamp(5)),
            ("register_oracle_key", over_rules(), [&key[..], &TIME, &[5, 0, 0, 0, 0, 0, 0, 0]].concat()),
        ),
        (
            instruction::add_asset(&WHO, &of, &asset, time),
            ("add_asset", over_rules(), [&[8; 16][..], &[9, 10], &[11; 32], &TIME].concat()),
        ),
        (
            instruction::add_utc_offset(&WHO, &of, OffsetEntry { from: -2, seconds: -3 }),
            ("add_utc_offset", over_rules(), [&TIME[..], &[0xfd, 0xff, 0xff, 0xff]].concat()),
        ),
        (
            instruction::retire_oracle_key(&WHO, &of, &OTHER, time),
            ("retire_oracle_key", by_role(), [&key[..], &TIME].concat()),
        ),
        (
            instruction::change_setting(&WHO, &of, PlatformSetting::MaxLateness, 0x0102_0304, time),
            ("change_setting", by_role(), [&[1, 4, 3, 2, 1][..], &TIME].concat()),
        ),
        (
            instruction::change_setting(&WHO, &of, PlatformSetting::Timelock, 0x0102_0304, time),
            ("change_setting", by_role(), [&[2, 4, 3, 2, 1][..], &TIME].concat()),
        ),
        (
            instruction::set_order_shards(&WHO, &of, Day(0x0102_0304), 0x0506, 0x0708),
            ("set_order_shards", by_role(), vec![4, 3, 2, 1, 6, 5, 8, 7]),
        ),
        (instruction::propose_admin(&WHO, &of, &OTHER), ("propose_admin", by_role(), key.to_vec())),
        (instruction::accept_admin(&WHO, &of), ("accept_admin", by_role(), vec![])),
        (instruction::set_pauser(&WHO, &of, &OTHER), ("set_pauser", by_role(), key.to_vec())),
        (instruction::set_paused(&WHO, &of, true), ("set_paused", by_role(), vec![1])),
        (instruction::set_paused(&WHO, &of, false), ("set_paused", by_role(), vec![0])),
    ]);
}

#[test]
fn what_changes_the_rule_book_is_charged_to_the_admin() {
    let of = addresses();
    let accounts = || emitting(&[pays(WHO), r(of.platform), w(of.rule_book), w(of.journal), r(SYSTEM)]);
    let mut cases = vec![
        (
            instruction::end_rule(&WHO, &of, RuleId(0x0102), Timestamp(-2)),
            ("end_rule", accounts(), [&[2, 1][..], &TIME].concat()),
        ),
        (
            instruction::drop_rule(&WHO, &of, RuleId(0x0102), RuleVersion(0x0304)),
            ("drop_rule", accounts(), vec![2, 1, 4, 3]),
        ),
    ];
    for effect in effects() {
        let rule = definition(effect);
        let arguments = [borsh::to_vec(&rule).unwrap(), TIME.to_vec()].concat();
        let published = instruction::publish_rule(&WHO, &of, &rule, Timestamp(-2));
        cases.push((published, ("publish_rule", accounts(), arguments)));
    }
    check(cases);
}

#[test]
fn accounts_of_users_are_opened_and_grown_by_who_pays_and_expired_by_anybody() {
    let of = addresses();
    let user = of.user(&USER);
    let opening = |account| vec![pays(WHO), r(of.platform), w(account), r(SYSTEM)];
    let mut cases = vec![
        (instruction::open_user(&WHO, &of, &USER, 7), ("open_user", opening(user), [&USER.0[..], &[7]].concat())),
        (instruction::grow_user(&WHO, &of, &USER, 7), ("grow_user", opening(user), vec![7])),
        (
            instruction::expire_balances(&of, &USER),
            ("expire_balances", emitting(&[w(of.platform), w(user), w(of.journal)]), vec![]),
        ),
    ];
    let id = ScopeId(u64::from_le_bytes(AMOUNT));
    for (scope, number) in [(Scope::UserStreamer, 2), (Scope::UserSession, 3)] {
        let counter = of.counter(&USER, scope, id);
        let closing = vec![signs(WHO), r(of.platform), r(of.rule_book), w(counter), w(OTHER)];
        let arguments = [&USER.0[..], &[number], &AMOUNT, &[7]].concat();
        cases.extend([
            (instruction::open_counter(&WHO, &of, &USER, scope, id, 7), ("open_counter", opening(counter), arguments)),
            (instruction::grow_counter(&WHO, &of, &USER, scope, id, 7), ("grow_counter", opening(counter), vec![7])),
            (instruction::close_counter(&WHO, &of, &USER, scope, id, &OTHER), ("close_counter", closing, vec![])),
        ]);
    }
    check(cases);
}

#[test]
fn a_days_first_page_is_opened_by_itself_and_a_successor_seals_the_one_before() {
    let of = addresses();
    let (day, shard) = (Day(0x0102_0304), 0x0506);
    let page = |number| w(of.order_page(day, shard, number));
    let opening = |number| vec![pays(WHO), w(of.platform), page(number), r(SYSTEM)];
    let says = |number: u16| [&[4, 3, 2, 1, 6, 5][..], &number.to_le_bytes(), &[8, 7]].concat();
    let growing = vec![pays(WHO), r(of.platform), page(9), r(SYSTEM)];
    let open = |number| instruction::open_order_page(&WHO, &of, day, shard, number, 0x0708);
    let mut cases = vec![
        (open(0), ("open_order_page", opening(0), says(0))),
        (
            instruction::grow_order_page(&WHO, &of, day, shard, 9, 0x0102_0304),
            ("grow_order_page", growing, vec![4, 3, 2, 1]),
        ),
    ];
    for number in [1, 2, 0x0708, u16::MAX] {
        let accounts = [opening(number), vec![page(number - 1)]].concat();
        cases.push((open(number), ("open_order_page", accounts, says(number))));
    }
    check(cases);
}

#[test]
fn pages_are_closed_each_with_who_gets_its_rent_back() {
    let of = addresses();
    let address = |byte| Pubkey::new_from_array([byte; 32]);
    let declared = || emitting(&[signs(WHO), w(of.platform), w(of.journal)]);
    let pages = [(address(1), address(2)), (address(3), address(2))];
    let behind = [w(address(1)), w(address(2)), w(address(3)), w(address(2))];
    check(vec![
        (instruction::close_order_pages(&WHO, &of, &[]), ("close_order_pages", declared(), vec![])),
        (
            instruction::close_order_pages(&WHO, &of, &pages),
            ("close_order_pages", [&declared()[..], &behind].concat(), vec![]),
        ),
    ]);
}

#[test]
fn an_order_is_proved_by_who_opened_its_account() {
    let of = addresses();
    let refund = of.refund(&ORDER);
    let proving = || vec![signs(WHO), r(of.platform), r(of.journal), w(refund)];
    let node = |byte| [byte; 32];
    check(vec![
        (
            instruction::open_refund(&WHO, &of, &ORDER, 0x0102_0304),
            (
                "open_refund",
                vec![pays(WHO), r(of.platform), w(refund), r(SYSTEM)],
                [&ORDER.0[..], &[4, 3, 2, 1]].concat(),
            ),
        ),
        (
            instruction::write_refund(&WHO, &of, &ORDER, &[7, 8, 9]),
            ("write_refund", vec![signs(WHO), w(refund)], vec![3, 0, 0, 0, 7, 8, 9]),
        ),
        (
            instruction::prove_refund(&WHO, &of, &ORDER, &[node(1), node(2)]),
            ("prove_refund", proving(), [&[2, 0, 0, 0][..], &node(1), &node(2)].concat()),
        ),
        (instruction::prove_refund(&WHO, &of, &ORDER, &[]), ("prove_refund", proving(), vec![0; 4])),
        (
            instruction::close_refund(&WHO, &of, &ORDER, &OTHER),
            ("close_refund", vec![signs(WHO), w(refund), w(OTHER)], vec![]),
        ),
    ]);
}

#[test]
fn tokens_move_between_the_vault_and_the_account_that_is_named() {
    let of = addresses();
    let token = Token { mint: MINT, program: TOKEN_PROGRAM };
    let (vault, amount) = (of.vault(ASSET), Amount(u64::from_le_bytes(AMOUNT)));
    let opening = [pays(WHO), w(of.platform), r(MINT), w(vault), w(of.journal), r(TOKEN_PROGRAM), r(SYSTEM)];
    let moving = [signs(WHO), w(of.platform), r(MINT), w(vault), w(OTHER), w(of.journal), r(TOKEN_PROGRAM)];
    let claiming =
        [signs(WHO), w(of.platform), w(of.user(&USER)), r(MINT), w(vault), w(OTHER), w(of.journal), r(TOKEN_PROGRAM)];
    let how_much = || [&[3][..], &AMOUNT].concat();
    check(vec![
        (instruction::open_vault(&WHO, &of, ASSET, &token), ("open_vault", emitting(&opening), vec![3])),
        (instruction::deposit(&WHO, &of, ASSET, &token, &OTHER, amount), ("deposit", emitting(&moving), how_much())),
        (
            instruction::claim(&WHO, &of, &USER, ASSET, &token, &OTHER, amount),
            ("claim", emitting(&claiming), how_much()),
        ),
        (
            instruction::withdraw_surplus(&WHO, &of, ASSET, &token, &OTHER, amount),
            ("withdraw_surplus", emitting(&moving), how_much()),
        ),
    ]);
}

#[test]
fn no_two_instructions_share_a_discriminator() {
    let of = addresses();
    let (token, time) = (Token { mint: MINT, program: TOKEN_PROGRAM }, Timestamp(0));
    let (scope, id, day) = (Scope::UserSession, ScopeId(1), Day(1));
    let rule = definition(effects()[0].clone());
    let asset = AssetEntry { name: [8; 16], kind: 1, expiry_months: 0, mint: [0; 32] };
    let signed = SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3] };
    let [_, payments] = instruction::record_payments(&of, &[], &signed);
    let [_, refunds] = instruction::record_refunds(&of, &[], &signed);
    let [_, redemptions] = instruction::record_redemptions(&of, &[], &signed);
    let [_, links] = instruction::link_wallets(&of, &[], &signed);
    let all = [
        payments,
        refunds,
        redemptions,
        links,
        instruction::create_platform(&WHO, &settings()),
        instruction::register_oracle_key(&WHO, &of, &OTHER, time, time),
        instruction::retire_oracle_key(&WHO, &of, &OTHER, time),
        instruction::add_asset(&WHO, &of, &asset, time),
        instruction::add_utc_offset(&WHO, &of, OffsetEntry { from: 0, seconds: 0 }),
        instruction::change_setting(&WHO, &of, PlatformSetting::Timelock, 1, time),
        instruction::set_order_shards(&WHO, &of, day, 1, 8),
        instruction::propose_admin(&WHO, &of, &OTHER),
        instruction::accept_admin(&WHO, &of),
        instruction::set_pauser(&WHO, &of, &OTHER),
        instruction::set_paused(&WHO, &of, true),
        instruction::publish_rule(&WHO, &of, &rule, time),
        instruction::end_rule(&WHO, &of, RuleId(1), time),
        instruction::drop_rule(&WHO, &of, RuleId(1), RuleVersion(1)),
        instruction::open_user(&WHO, &of, &USER, 1),
        instruction::grow_user(&WHO, &of, &USER, 1),
        instruction::expire_balances(&of, &USER),
        instruction::open_counter(&WHO, &of, &USER, scope, id, 1),
        instruction::grow_counter(&WHO, &of, &USER, scope, id, 1),
        instruction::close_counter(&WHO, &of, &USER, scope, id, &OTHER),
        instruction::open_order_page(&WHO, &of, day, 0, 0, 8),
        instruction::grow_order_page(&WHO, &of, day, 0, 0, 8),
        instruction::close_order_pages(&WHO, &of, &[]),
        instruction::open_refund(&WHO, &of, &ORDER, 1),
        instruction::write_refund(&WHO, &of, &ORDER, &[]),
        instruction::prove_refund(&WHO, &of, &ORDER, &[]),
        instruction::close_refund(&WHO, &of, &ORDER, &OTHER),
        instruction::open_vault(&WHO, &of, ASSET, &token),
        instruction::deposit(&WHO, &of, ASSET, &token, &OTHER, Amount(1)),
        instruction::claim(&WHO, &of, &USER, ASSET, &token, &OTHER, Amount(1)),
        instruction::withdraw_surplus(&WHO, &of, ASSET, &token, &OTHER, Amount(1)),
    ];
    let heads: HashSet<_> = all.iter().map(|instruction| &instruction.data[..8]).collect();
    assert_eq!((heads.len(), all.len()), (35, 35));
}

// ---- Records ----

fn payment(order: &str, user: u8, paid_at: i64) -> Payment {
    Payment {
        order: OrderHash::of(order),
        user: UserKey([user; 32]),
        amount: Amount(5_000),
        paid_at: Timestamp(paid_at),
        ..Payment::default()
    }
}

/// Checks that what was signed is the message of these records, and that the signature is good for it alone.
fn signs_over<R: message::Record>(records: &[R]) {
    let (oracle, platform) = (Keypair::new(), addresses().platform);
    let signed = oracle::sign(&oracle, &platform, records).unwrap();
    assert_eq!(signed.message, message::encode(&PROGRAM.to_bytes(), &platform.to_bytes(), records).unwrap());
    assert_eq!(signed.key, oracle.pubkey().to_bytes());
    assert!(Signature::from(signed.signature).verify(&signed.key, &signed.message));
    assert!(!Signature::from(signed.signature).verify(&signed.key, &signed.message[1..]));
    assert!(!Signature::from(signed.signature).verify(&Keypair::new().pubkey().to_bytes(), &signed.message));
}

#[test]
fn what_the_oracle_signs_is_the_message_and_its_signature_verifies() {
    signs_over(&[payment("A1", 1, 0), payment("A2", 2, 0)]);
    signs_over(&[Refund { of: ORDER, amount: Amount(1), ..Refund::default() }]);
    signs_over(&[Redemption { user: USER, asset: ASSET, amount: Amount(1), ..Redemption::default() }]);
    signs_over(&[WalletLink { user: USER, ..WalletLink::default() }]);
    let many = vec![payment("A1", 1, 0); 256];
    assert!(oracle::sign(&Keypair::new(), &addresses().platform, &many[1..]).is_ok());
    assert!(oracle::sign(&Keypair::new(), &addresses().platform, &many).is_err());
}

#[test]
fn the_signature_instruction_has_the_one_layout_that_the_program_accepts() {
    let signed = SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3; 300] };
    let instruction = instruction::ed25519(&signed);
    assert_eq!(instruction.program_id, ED25519);
    assert!(instruction.accounts.is_empty());
    let header = [
        1, 0, // one signature, padding
        48, 0, 0xff, 0xff, // the signature, in this instruction
        16, 0, 0xff, 0xff, // the key, in this instruction
        112, 0, 44, 1, 0xff, 0xff, // the message, 300 bytes, in this instruction
    ];
    assert_eq!(instruction.data, [&header[..], &[1; 32], &[2; 64], &[3; 300]].concat());
}

#[test]
fn recording_names_what_each_record_needs_in_order_and_follows_the_signature_at_once() {
    let of = addresses();
    let signed = SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3; 300] };
    let address = |byte| Pubkey::new_from_array([byte; 32]);
    let records = [
        RecordAccounts {
            user: address(1),
            pages: vec![address(2), address(3)],
            refund: Some(address(4)),
            counters: vec![address(5), address(6)],
        },
        RecordAccounts { user: address(7), pages: vec![], refund: None, counters: vec![] },
        RecordAccounts::of(address(8), address(9)),
        // The same user again: the program reads by place, so that nobody is left out.
        RecordAccounts::of(address(8), address(9)),
    ];
    let declared = emitting(&[w(of.platform), w(of.rule_book), w(of.journal), r(INSTRUCTIONS_SYSVAR)]);
    let behind: Vec<_> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 9].map(|byte| w(address(byte))).to_vec();
    for (name, both, none) in [
        (
            "record_payments",
            instruction::record_payments(&of, &records, &signed),
            instruction::record_payments(&of, &[], &signed),
        ),
        (
            "record_refunds",
            instruction::record_refunds(&of, &records, &signed),
            instruction::record_refunds(&of, &[], &signed),
        ),
        (
            "record_redemptions",
            instruction::record_redemptions(&of, &records, &signed),
            instruction::record_redemptions(&of, &[], &signed),
        ),
        (
            "link_wallets",
            instruction::link_wallets(&of, &records, &signed),
            instruction::link_wallets(&of, &[], &signed),
        ),
    ] {
        let [verify, record] = both;
        assert_eq!(verify, instruction::ed25519(&signed), "{name}");
        let accounts = [declared.clone(), behind.clone()].concat();
        let [_, none] = none;
        check(vec![(record, (name, accounts, vec![])), (none, (name, declared.clone(), vec![]))]);
    }
}
