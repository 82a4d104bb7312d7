//! The IDL says what the client does: names and messages of errors, layouts of accounts, and every byte of events and of
//! instructions. Bytes are read by what the IDL says alone and held against what the client wrote.

use rebate_client::{
    Pubkey,
    account::{
        self, Asset, Counter, Journal, OracleKey, OrderPage, OrderShards, Platform, Refund, RuleBook, Setting, User,
    },
    address::{Addresses, PROGRAM},
    error,
    event::{
        AssetAdded, AssetEntry, BalanceExpired, Claimed, DayClosed, Deposited, EffectEntry, Event, LimitsEntry,
        OffsetAdded, OffsetEntry, OracleKeyRegistered, OracleKeyRetired, OrderShardsChanged, OutcomeEntry,
        PauseChanged, PaymentRecorded, PlatformCreated, PredicateEntry, Redeemed, RefundRecorded, RoleChanged,
        RuleDefinition, RuleDropped, RuleEnded, RulePublished, SettingChanged, StepEntry, SurplusWithdrawn,
        VaultOpened, WalletLinked,
    },
    instruction::{self, PlatformSetting, PlatformSettings, Token},
    oracle::SignedMessage,
};
use rebate_core::{
    time::UtcOffset,
    units::{Amount, AssetId, Day, OrderHash, RuleId, RuleVersion, ScopeId, Timestamp, UserKey},
    window::Scope,
};
use serde_json::{Map, Value, json};
use solana_program::instruction::Instruction;
use std::{collections::BTreeSet, mem::offset_of};

fn idl() -> Value {
    let text = include_str!("../../../idl/rebate.json");
    serde_json::from_str(text).expect("idl/rebate.json is JSON")
}

#[test]
fn the_clients_error_names_and_messages_are_those_of_the_idl() {
    let idl = idl();
    let of_idl: Vec<_> = idl["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["code"].as_u64(), error["name"].as_str(), error["msg"].as_str()))
        .collect();
    let of_client: Vec<_> = error::ERRORS
        .iter()
        .zip(u64::from(error::FIRST)..)
        .map(|((name, message), code)| (Some(code), Some(*name), Some(*message)))
        .collect();
    assert_eq!(of_client, of_idl);
}

#[test]
fn the_clients_program_address_is_that_of_the_idl() {
    assert_eq!(idl()["address"], PROGRAM.to_string());
}

// ---- What the IDL says ----

/// The entry named `name` of a list of the IDL.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let entries = list.as_array().expect("a list");
    entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("the IDL has no {name}"))
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().map(|entry| entry["name"].as_str().expect("a name")).collect()
}

fn discriminator(entry: &Value) -> Vec<u8> {
    let bytes = entry["discriminator"].as_array().expect("a discriminator");
    bytes.iter().map(|byte| u8::try_from(byte.as_u64().expect("a number")).expect("a byte")).collect()
}

fn fields(definition: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = definition["fields"].as_array().expect("fields");
    fields.iter().map(|field| (field["name"].as_str().expect("a name"), &field["type"]))
}

/// What a type of the IDL is, by its one key or its name.
enum Shape<'a> {
    Integer { bytes: usize, signed: bool },
    Bool,
    String,
    Array(&'a Value, usize),
    List(&'a Value),
    Defined(&'a Value),
}

fn shape<'a>(idl: &'a Value, of: &'a Value) -> Shape<'a> {
    static BYTE: Value = Value::Null;
    if let Some(name) = of.as_str() {
        return match name {
            "bool" => Shape::Bool,
            "string" => Shape::String,
            // Thirty-two bytes.
            "pubkey" => Shape::Array(&BYTE, 32),
            integer => Shape::Integer {
                bytes: integer[1..].parse::<usize>().expect("a number of bits") / 8,
                signed: integer.starts_with('i'),
            },
        };
    }
    // An address's element.
    if of.is_null() {
        return Shape::Integer { bytes: 1, signed: false };
    }
    let (key, inner) = of.as_object().and_then(|object| object.iter().next()).expect("a type");
    match key.as_str() {
        "array" => {
            Shape::Array(&inner[0], inner[1].as_u64().and_then(|length| length.try_into().ok()).expect("a length"))
        }
        "vec" => Shape::List(inner),
        "defined" => Shape::Defined(&named(&idl["types"], inner["name"].as_str().expect("a name"))["type"]),
        other => panic!("a kind of type this test does not know: {other}"),
    }
}

// ---- Accounts: bytes as they lie ----

/// Name, offset and size of a field.
type Placed = (String, usize, usize);

/// Size and alignment of a type as C lays it out.
fn extent(idl: &Value, of: &Value) -> (usize, usize) {
    match shape(idl, of) {
        Shape::Integer { bytes, .. } => (bytes, bytes),
        Shape::Bool => (1, 1),
        Shape::Array(element, length) => {
            let (size, alignment) = extent(idl, element);
            (size * length, alignment)
        }
        Shape::Defined(definition) => {
            let (placed, size) = laid_out(idl, definition);
            let alignment = fields(definition).map(|(_, of)| extent(idl, of).1).max().unwrap_or(1);
            assert!(!placed.is_empty());
            (size, alignment)
        }
        Shape::String | Shape::List(_) => panic!("an account has a fixed layout"),
    }
}

/// The fields of a `repr(C)` struct of the IDL, and its size.
fn laid_out(idl: &Value, definition: &Value) -> (Vec<Placed>, usize) {
    let (mut end, mut widest) = (0usize, 1);
    let mut placed = Vec::new();
    for (name, of) in fields(definition) {
        let (size, alignment) = extent(idl, of);
        let begin = end.next_multiple_of(alignment);
        assert_eq!(begin, end, "{name} has no padding before it");
        placed.push((name.to_owned(), begin, size));
        end = begin + size;
        widest = widest.max(alignment);
    }
    assert_eq!(end, end.next_multiple_of(widest), "no padding behind the last field");
    (placed, end)
}

fn size_of_field<T, F>(_: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The fields of a struct of the client, each of them, and its size.
macro_rules! client_layout {
    ($type:ident: $($field:ident),* $(,)?) => {{
        // Does not compile when a field is missing here.
        let _ = |whole: $type| { let $type { $($field: _),* } = whole; };
        let mut placed: Vec<Placed> = vec![$((
            stringify!($field).to_owned(),
            offset_of!($type, $field),
            size_of_field(|whole: &$type| &whole.$field),
        )),*];
        placed.sort_by_key(|(_, offset, _)| *offset);
        (placed, size_of::<$type>())
    }};
}

#[test]
fn every_account_lies_in_the_client_as_the_idl_says() {
    let idl = idl();
    let accounts = [
        (
            "Platform",
            client_layout!(
                Platform: id, admin, pauser, next_admin, next_admin_from, max_lateness, timelock, order_shards,
                open_from, last_opened, version, bump, paused, oracle_count, offset_count, asset_count, shard_rows,
                padding, oracles, offsets, assets, reserved
            ),
        ),
        ("Journal", client_layout!(Journal: platform, count, peaks, version, bump, reserved)),
        (
            "User",
            client_layout!(
                User: platform, key, wallet, wallet_linked_at, payments, balance_slots, counter_slots, version, bump,
                reserved
            ),
        ),
        ("Counter", client_layout!(Counter: platform, user, payer, scope_id, scope, slots, version, bump, reserved)),
        (
            "OrderPage",
            client_layout!(
                OrderPage: platform, payer, day, taken, shard, number, sealed, version, bump, reserved
            ),
        ),
        (
            "Refund",
            client_layout!(
                Refund: platform, order, payer, node, user, journal_index, paid, paid_at, streamer, session, refunded,
                opened_at, event_length, written, grants, stage, height, version, bump, reserved
            ),
        ),
        ("RuleBook", client_layout!(RuleBook: platform, payments, first_new_id, version, bump, reserved)),
    ];
    assert_eq!(accounts.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), names(&idl["accounts"]));
    for (name, of_client) in accounts {
        assert_eq!(named(&idl["types"], name)["repr"]["kind"], "c", "{name}");
        assert_eq!(of_client, laid_out(&idl, &named(&idl["types"], name)["type"]), "{name}");
        let of_idl = discriminator(named(&idl["accounts"], name));
        assert_eq!(account::discriminator(name).to_vec(), of_idl, "{name}'s discriminator");
    }
    for (name, of_client) in [
        ("OracleKey", client_layout!(OracleKey: key, valid_from, valid_until)),
        ("UtcOffsetRow", client_layout!(UtcOffset: from, seconds, reserved)),
        ("Setting", client_layout!(Setting: value, next, next_from)),
        ("OrderShards", client_layout!(OrderShards: from_day, shards, page_slots)),
        (
            "Asset",
            client_layout!(
                Asset: name, kind, name_length, expiry_months, has_vault, vault_bump, reserved, active_from, liability,
                funds, mint
            ),
        ),
    ] {
        assert_eq!(of_client, laid_out(&idl, &named(&idl["types"], name)["type"]), "{name}");
    }
}

// ---- Events and arguments: Borsh ----

/// Reads one value by what the IDL says of its type.
fn read(idl: &Value, of: &Value, bytes: &mut &[u8]) -> Value {
    match shape(idl, of) {
        Shape::Integer { bytes: width, signed } => {
            let (head, rest) = bytes.split_at(width);
            *bytes = rest;
            let mut wide = [if signed && head[width - 1] > 127 { 0xff } else { 0 }; 8];
            wide[..width].copy_from_slice(head);
            if signed { json!(i64::from_le_bytes(wide)) } else { json!(u64::from_le_bytes(wide)) }
        }
        Shape::Bool => {
            let byte = read(idl, &json!("u8"), bytes);
            assert!(byte == 0 || byte == 1, "{byte} is no truth value");
            json!(byte == 1)
        }
        Shape::String => {
            let letters = read(idl, &json!({"vec": "u8"}), bytes);
            let letters = letters.as_array().expect("bytes").iter().map(|byte| byte.as_u64().expect("a byte") as u8);
            json!(String::from_utf8(letters.collect()).expect("UTF-8"))
        }
        Shape::Array(element, length) => (0..length).map(|_| read(idl, element, bytes)).collect(),
        Shape::List(element) => {
            let length = read(idl, &json!("u32"), bytes).as_u64().expect("a length");
            (0..length).map(|_| read(idl, element, bytes)).collect()
        }
        Shape::Defined(definition) if definition["kind"] == "enum" => {
            let variant = read(idl, &json!("u8"), bytes).as_u64().and_then(|variant| variant.try_into().ok());
            let variant = &definition["variants"][variant.unwrap_or(usize::MAX)];
            let inside = fields(variant).map(|(name, of)| (name.to_owned(), read(idl, of, bytes)));
            json!({ variant["name"].as_str().expect("a variant"): inside.collect::<Map<_, _>>() })
        }
        Shape::Defined(definition) => {
            fields(definition).map(|(name, of)| (name.to_owned(), read(idl, of, bytes))).collect::<Map<_, _>>().into()
        }
    }
}

fn read_all(idl: &Value, of: &Value, mut bytes: &[u8]) -> Value {
    let value = read(idl, of, &mut bytes);
    assert_eq!(bytes, [0; 0], "bytes behind {value}");
    value
}

/// A struct of the client by the names of its fields, each of them.
macro_rules! by_name {
    ($type:ident { $($field:ident),* $(,)? } = $value:expr) => {{
        // Does not compile when a field is missing here.
        let $type { $($field),* } = $value.clone();
        let mut object = Map::new();
        $(object.insert(stringify!($field).to_owned(), $field.by_name());)*
        Value::Object(object)
    }};
}

/// What a value of the client is called by the IDL.
trait ByName {
    fn by_name(&self) -> Value;
}

macro_rules! plain {
    ($($type:ty),*) => {
        $(impl ByName for $type {
            fn by_name(&self) -> Value {
                json!(self)
            }
        })*
    };
}

plain!(u8, u16, u32, u64, i32, i64, bool, String);

impl<const N: usize> ByName for [u8; N] {
    fn by_name(&self) -> Value {
        self.iter().map(|byte| json!(byte)).collect()
    }
}

impl<T: ByName> ByName for Vec<T> {
    fn by_name(&self) -> Value {
        self.iter().map(ByName::by_name).collect()
    }
}

macro_rules! structs {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        $(impl ByName for $type {
            fn by_name(&self) -> Value {
                by_name!($type { $($field),* } = self)
            }
        })*
    };
}

structs! {
    OffsetEntry { from, seconds }
    AssetEntry { name, kind, expiry_months, mint }
    PredicateEntry { clause, negated, field, operator, value }
    StepEntry { threshold, value }
    LimitsEntry { user_amount, user_count, total_amount, total_count, on_limit }
    RuleDefinition {
        id, version, name, priority, starts_at, ends_at, group, group_mode, tags, excludes, condition, window, scope,
        effect, limits, holdout_bps,
    }
    OutcomeEntry { rule, version, reason, clause, asset, amount, before, after }
    PlatformSettings { id, admin, pauser, max_lateness, timelock, order_shards, page_slots, offsets, assets }
}

impl ByName for EffectEntry {
    fn by_name(&self) -> Value {
        match self {
            Self::Fixed { asset, amount } => json!({"Fixed": {"asset": asset, "amount": amount}}),
            Self::Ratio { asset, bps, min, max } => {
                json!({"Ratio": {"asset": asset, "bps": bps, "min": min, "max": max}})
            }
            Self::Tiers { asset, mode, steps } => {
                json!({"Tiers": {"asset": asset, "mode": mode, "steps": steps.by_name()}})
            }
            Self::Streak { asset, days, amount, recurring } => {
                json!({"Streak": {"asset": asset, "days": days, "amount": amount, "recurring": recurring}})
            }
            Self::Multiplier { asset, bps } => json!({"Multiplier": {"asset": asset, "bps": bps}}),
        }
    }
}

macro_rules! events {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        structs! { $($type { $($field),* })* }

        fn of_client(event: &Event) -> Value {
            match event {
                $(Event::$type(event) => event.by_name(),)*
            }
        }
    };
}

events! {
    PlatformCreated {
        journal_index, at, platform, id, admin, pauser, max_lateness, timelock, order_shards, page_slots, offsets,
        assets,
    }
    OracleKeyRegistered { journal_index, at, platform, key, valid_from, valid_until }
    OracleKeyRetired { journal_index, at, platform, key, valid_until }
    RulePublished { journal_index, at, platform, effective_at, rule }
    RuleEnded { journal_index, at, platform, rule, version, ends_at }
    RuleDropped { journal_index, at, platform, rule, version, granted, grants, reversed }
    AssetAdded { journal_index, at, platform, asset, entry, active_from }
    OffsetAdded { journal_index, at, platform, offset }
    RoleChanged { journal_index, at, platform, role, holder, effective_at }
    SettingChanged { journal_index, at, platform, setting, value, effective_at }
    OrderShardsChanged { journal_index, at, platform, from_day, shards, page_slots }
    PauseChanged { journal_index, at, platform, paused, by }
    DayClosed { journal_index, at, platform, day }
    PaymentRecorded {
        journal_index, at, platform, oracle, order, user, amount, paid_at, product, streamer, session, tier, segments,
        number, outcomes,
    }
    RefundRecorded { journal_index, at, platform, oracle, order, of, user, amount, paid_at, refunded, outcomes }
    Redeemed { journal_index, at, platform, oracle, order, user, asset, amount, redeemed_at, before, after }
    BalanceExpired { journal_index, at, platform, user, asset, amount, before, after }
    WalletLinked { journal_index, at, platform, oracle, user, wallet, linked_at }
    Claimed { journal_index, at, platform, user, wallet, asset, amount, before, after, destination }
    VaultOpened { journal_index, at, platform, asset, mint, vault }
    Deposited { journal_index, at, platform, asset, by, amount, funds }
    SurplusWithdrawn { journal_index, at, platform, asset, destination, amount, funds, liability }
}

/// Every value in it is another one, so that two fields that changed places are noticed.
fn rule(effect: EffectEntry) -> RuleDefinition {
    RuleDefinition {
        id: 0x0101,
        version: 0x0202,
        name: "a rule with a näme".to_owned(),
        priority: 0x0303,
        starts_at: -4,
        ends_at: 0x0505_0505_0505,
        group: 100,
        group_mode: 101,
        tags: 102,
        excludes: 103,
        condition: vec![
            PredicateEntry { clause: 6, negated: true, field: 7, operator: 8, value: 9 },
            PredicateEntry { clause: 10, negated: false, field: 11, operator: 12, value: u64::MAX },
        ],
        window: 104,
        scope: 105,
        effect,
        limits: LimitsEntry { user_amount: 106, user_count: 107, total_amount: 108, total_count: 109, on_limit: 110 },
        holdout_bps: 111,
    }
}

/// One of each kind.
fn effects() -> [EffectEntry; 5] {
    [
        EffectEntry::Fixed { asset: 13, amount: 14 },
        EffectEntry::Ratio { asset: 15, bps: 16, min: 17, max: 18 },
        EffectEntry::Tiers {
            asset: 112,
            mode: 113,
            steps: vec![StepEntry { threshold: 114, value: 115 }, StepEntry { threshold: 116, value: 117 }],
        },
        EffectEntry::Streak { asset: 118, days: 119, amount: 120, recurring: true },
        EffectEntry::Multiplier { asset: 121, bps: 122 },
    ]
}

fn asset(first: u8) -> AssetEntry {
    AssetEntry { name: [first; 16], kind: first + 1, expiry_months: first + 2, mint: [first + 3; 32] }
}

fn settings() -> PlatformSettings {
    PlatformSettings {
        id: 0x2121_2121,
        admin: [22; 32],
        pauser: [23; 32],
        max_lateness: 24,
        timelock: 25,
        order_shards: 26,
        page_slots: 48,
        offsets: vec![OffsetEntry { from: -27, seconds: -28 }, OffsetEntry { from: 29, seconds: 30 }],
        assets: vec![asset(31), asset(35)],
    }
}

/// At least one of each kind, with every value in it another one.
fn events() -> Vec<Event> {
    let settings = settings();
    let outcome = |first: u64| OutcomeEntry {
        rule: 71,
        version: 72,
        reason: 73,
        clause: 74,
        asset: 75,
        amount: first,
        before: first + 1,
        after: first + 2,
    };
    let (journal_index, platform) = (0x4141_4141_4141, [43; 32]);
    let (oracle, order, user) = ([51; 32], [52; 32], [53; 32]);
    let mut events = vec![
        Event::PlatformCreated(PlatformCreated {
            journal_index,
            at: -42,
            platform,
            id: settings.id,
            admin: settings.admin,
            pauser: settings.pauser,
            max_lateness: settings.max_lateness,
            timelock: settings.timelock,
            order_shards: settings.order_shards,
            page_slots: settings.page_slots,
            offsets: settings.offsets,
            assets: settings.assets,
        }),
        Event::OracleKeyRegistered(OracleKeyRegistered {
            journal_index,
            at: 44,
            platform,
            key: [45; 32],
            valid_from: -46,
            valid_until: 47,
        }),
        Event::OracleKeyRetired(OracleKeyRetired { journal_index, at: 44, platform, key: [45; 32], valid_until: -46 }),
        Event::RuleEnded(RuleEnded { journal_index, at: 44, platform, rule: 45, version: 46, ends_at: -47 }),
        Event::RuleDropped(RuleDropped {
            journal_index,
            at: 44,
            platform,
            rule: 45,
            version: 46,
            granted: 47,
            grants: 48,
            reversed: 49,
        }),
        Event::AssetAdded(AssetAdded {
            journal_index,
            at: 44,
            platform,
            asset: 45,
            entry: asset(46),
            active_from: -50,
        }),
        Event::OffsetAdded(OffsetAdded {
            journal_index,
            at: 44,
            platform,
            offset: OffsetEntry { from: -45, seconds: -46 },
        }),
        Event::RoleChanged(RoleChanged {
            journal_index,
            at: 44,
            platform,
            role: 45,
            holder: [46; 32],
            effective_at: -47,
        }),
        Event::SettingChanged(SettingChanged {
            journal_index,
            at: 44,
            platform,
            setting: 45,
            value: 46,
            effective_at: -47,
        }),
        Event::OrderShardsChanged(OrderShardsChanged {
            journal_index,
            at: 44,
            platform,
            from_day: 45,
            shards: 46,
            page_slots: 47,
        }),
        Event::DayClosed(DayClosed { journal_index, at: 44, platform, day: 45 }),
        Event::PaymentRecorded(PaymentRecorded {
            journal_index,
            at: 50,
            platform,
            oracle,
            order,
            user,
            amount: 54,
            paid_at: -55,
            product: 56,
            streamer: 57,
            session: 58,
            tier: 59,
            segments: 60,
            number: 61,
            outcomes: vec![outcome(80), outcome(u64::MAX - 2)],
        }),
        Event::RefundRecorded(RefundRecorded {
            journal_index,
            at: 50,
            platform,
            oracle,
            order,
            of: [54; 32],
            user,
            amount: 55,
            paid_at: -56,
            refunded: 57,
            outcomes: vec![outcome(80), outcome(90)],
        }),
        Event::Redeemed(Redeemed {
            journal_index,
            at: 50,
            platform,
            oracle,
            order,
            user,
            asset: 54,
            amount: 55,
            redeemed_at: -56,
            before: 57,
            after: 58,
        }),
        Event::BalanceExpired(BalanceExpired {
            journal_index,
            at: 50,
            platform,
            user,
            asset: 54,
            amount: 55,
            before: 56,
            after: 57,
        }),
        Event::WalletLinked(WalletLinked {
            journal_index,
            at: 50,
            platform,
            oracle,
            user,
            wallet: [54; 32],
            linked_at: -55,
        }),
        Event::Claimed(Claimed {
            journal_index,
            at: 50,
            platform,
            user,
            wallet: [54; 32],
            asset: 55,
            amount: 56,
            before: 57,
            after: 58,
            destination: [59; 32],
        }),
        Event::VaultOpened(VaultOpened { journal_index, at: 50, platform, asset: 54, mint: [55; 32], vault: [56; 32] }),
        Event::Deposited(Deposited { journal_index, at: 50, platform, asset: 54, by: [55; 32], amount: 56, funds: 57 }),
        Event::SurplusWithdrawn(SurplusWithdrawn {
            journal_index,
            at: 50,
            platform,
            asset: 54,
            destination: [55; 32],
            amount: 56,
            funds: 57,
            liability: 58,
        }),
    ];
    for paused in [false, true] {
        events.push(Event::PauseChanged(PauseChanged { journal_index, at: 48, platform, paused, by: [49; 32] }));
    }
    for effect in effects() {
        let rule = rule(effect);
        events.push(Event::RulePublished(RulePublished { journal_index, at: 62, platform, effective_at: -63, rule }));
    }
    events
}

#[test]
fn every_event_is_written_in_the_client_as_the_idl_says() {
    let idl = idl();
    assert_eq!(events().iter().map(Event::name).collect::<BTreeSet<_>>(), names(&idl["events"]));
    for event in events() {
        let bytes = event.encode().expect("bytes");
        let (head, body) = bytes.split_at(8);
        assert_eq!(head, discriminator(named(&idl["events"], event.name())), "{}", event.name());
        let of_idl = read_all(&idl, &json!({"defined": {"name": event.name()}}), body);
        assert_eq!(of_idl, of_client(&event), "{}", event.name());
        assert_eq!(Event::decode(&bytes).as_ref(), Ok(&event));
    }
}

/// Of every type of the IDL that has variants, each by name and number, as the client writes it.
#[test]
fn every_effect_of_the_idl_is_one_the_client_knows() {
    let idl = idl();
    let enums: BTreeSet<_> = idl["types"]
        .as_array()
        .expect("types")
        .iter()
        .filter(|of| of["type"]["kind"] == "enum")
        .filter_map(|of| of["name"].as_str())
        .collect();
    assert_eq!(enums, BTreeSet::from(["EffectEntry"]), "an enum this test does not know");
    let variants = names(&named(&idl["types"], "EffectEntry")["type"]["variants"]);
    let known: Vec<_> = effects().iter().map(ByName::by_name).collect();
    let known = known.iter().flat_map(|effect| effect.as_object().into_iter().flat_map(|named| named.keys()));
    assert_eq!(known.map(String::as_str).collect::<BTreeSet<_>>(), variants);
}

#[test]
fn every_instruction_is_written_in_the_client_as_the_idl_says() {
    let idl = idl();
    let (key, other) = (Pubkey::new_from_array([91; 32]), Pubkey::new_from_array([92; 32]));
    let addresses = Addresses::of(settings().id);
    let (from, until) = (Timestamp(-93), Timestamp(94));
    let (user, order) = (UserKey([96; 32]), OrderHash([97; 32]));
    let signed = SignedMessage { key: [98; 32], signature: [99; 64], message: vec![100] };
    let last = |instructions: [Instruction; 2]| instructions[1].clone();
    let counter = (Scope::UserSession, ScopeId(0x0101_0101_0101));
    let token = Token { mint: Pubkey::new_from_array([103; 32]), program: Pubkey::new_from_array([104; 32]) };
    let mut cases: Vec<(&str, Instruction, Value)> = vec![
        ("create_platform", instruction::create_platform(&key, &settings()), json!({"settings": settings().by_name()})),
        (
            "register_oracle_key",
            instruction::register_oracle_key(&key, &addresses, &other, from, until),
            json!({"key": {"key": vec![92; 32], "valid_from": -93, "valid_until": 94}}),
        ),
        (
            "retire_oracle_key",
            instruction::retire_oracle_key(&key, &addresses, &other, from),
            json!({"key": vec![92; 32], "valid_until": -93}),
        ),
        (
            "add_asset",
            instruction::add_asset(&key, &addresses, &asset(10), from),
            json!({"asset": asset(10).by_name(), "active_from": -93}),
        ),
        (
            "add_utc_offset",
            instruction::add_utc_offset(&key, &addresses, OffsetEntry { from: -1, seconds: -2 }),
            json!({"offset": {"from": -1, "seconds": -2}}),
        ),
        (
            "change_setting",
            instruction::change_setting(&key, &addresses, PlatformSetting::MaxLateness, 101, from),
            json!({"setting": 1, "value": 101, "effective_at": -93}),
        ),
        (
            "change_setting",
            instruction::change_setting(&key, &addresses, PlatformSetting::Timelock, 101, from),
            json!({"setting": 2, "value": 101, "effective_at": -93}),
        ),
        (
            "set_order_shards",
            instruction::set_order_shards(&key, &addresses, Day(101), 102, 103),
            json!({"from_day": 101, "shards": 102, "page_slots": 103}),
        ),
        ("propose_admin", instruction::propose_admin(&key, &addresses, &other), json!({"next": vec![92; 32]})),
        ("accept_admin", instruction::accept_admin(&key, &addresses), json!({})),
        ("set_pauser", instruction::set_pauser(&key, &addresses, &other), json!({"pauser": vec![92; 32]})),
        ("set_paused", instruction::set_paused(&key, &addresses, true), json!({"paused": true})),
        ("set_paused", instruction::set_paused(&key, &addresses, false), json!({"paused": false})),
        ("end_rule", instruction::end_rule(&key, &addresses, RuleId(101), from), json!({"rule": 101, "ends_at": -93})),
        (
            "drop_rule",
            instruction::drop_rule(&key, &addresses, RuleId(101), RuleVersion(102)),
            json!({"rule": 101, "version": 102}),
        ),
        (
            "open_user",
            instruction::open_user(&key, &addresses, &user, 101),
            json!({"key": vec![96; 32], "counter_slots": 101}),
        ),
        ("grow_user", instruction::grow_user(&key, &addresses, &user, 101), json!({"counter_slots": 101})),
        ("expire_balances", instruction::expire_balances(&addresses, &user), json!({})),
        (
            "open_counter",
            instruction::open_counter(&key, &addresses, &user, counter.0, counter.1, 102),
            json!({"user": vec![96; 32], "scope": 3, "scope_id": 0x0101_0101_0101u64, "slots": 102}),
        ),
        (
            "grow_counter",
            instruction::grow_counter(&key, &addresses, &user, counter.0, counter.1, 102),
            json!({"slots": 102}),
        ),
        ("close_counter", instruction::close_counter(&key, &addresses, &user, counter.0, counter.1, &other), json!({})),
        (
            "open_order_page",
            instruction::open_order_page(&key, &addresses, Day(97), 98, 0, 99),
            json!({"day": 97, "shard": 98, "number": 0, "slots": 99}),
        ),
        (
            "grow_order_page",
            instruction::grow_order_page(&key, &addresses, Day(97), 98, 100, 99_000),
            json!({"slots": 99_000}),
        ),
        ("close_order_pages", instruction::close_order_pages(&key, &addresses, &[]), json!({})),
        ("record_payments", last(instruction::record_payments(&addresses, &[], &signed)), json!({})),
        ("record_refunds", last(instruction::record_refunds(&addresses, &[], &signed)), json!({})),
        ("record_redemptions", last(instruction::record_redemptions(&addresses, &[], &signed)), json!({})),
        ("link_wallets", last(instruction::link_wallets(&addresses, &[], &signed)), json!({})),
        (
            "open_refund",
            instruction::open_refund(&key, &addresses, &order, 101),
            json!({"order": vec![97; 32], "event_length": 101}),
        ),
        (
            "write_refund",
            instruction::write_refund(&key, &addresses, &order, &[101, 102]),
            json!({"bytes": [101, 102]}),
        ),
        (
            "prove_refund",
            instruction::prove_refund(&key, &addresses, &order, &[[101; 32], [102; 32]]),
            json!({"path": [vec![101; 32], vec![102; 32]]}),
        ),
        ("close_refund", instruction::close_refund(&key, &addresses, &order, &other), json!({})),
        ("open_vault", instruction::open_vault(&key, &addresses, AssetId(101), &token), json!({"asset": 101})),
        (
            "deposit",
            instruction::deposit(&key, &addresses, AssetId(101), &token, &other, Amount(102)),
            json!({"asset": 101, "amount": 102}),
        ),
        (
            "claim",
            instruction::claim(&key, &addresses, &user, AssetId(101), &token, &other, Amount(102)),
            json!({"asset": 101, "amount": 102}),
        ),
        (
            "withdraw_surplus",
            instruction::withdraw_surplus(&key, &addresses, AssetId(101), &token, &other, Amount(102)),
            json!({"asset": 101, "amount": 102}),
        ),
    ];
    for effect in effects() {
        let published = json!({"rule": rule(effect.clone()).by_name(), "effective_at": -95});
        cases.push((
            "publish_rule",
            instruction::publish_rule(&key, &addresses, &rule(effect), Timestamp(-95)),
            published,
        ));
    }
    assert_eq!(cases.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>(), names(&idl["instructions"]));
    for (name, of_client, expected) in cases {
        assert_eq!(of_client.program_id, PROGRAM, "{name}");
        let of_idl = named(&idl["instructions"], name);
        let (head, mut body) = of_client.data.split_at(8);
        assert_eq!(head, discriminator(of_idl), "{name}");
        let arguments = of_idl["args"].as_array().expect("arguments").iter();
        let read: Map<_, _> = arguments
            .map(|argument| {
                (argument["name"].as_str().expect("a name").to_owned(), read(&idl, &argument["type"], &mut body))
            })
            .collect();
        assert_eq!((Value::Object(read), body), (expected, &[][..]), "{name}");
        accounts_agree(name, &of_client, &of_idl["accounts"], &addresses);
    }
}

/// What a record brings stands behind what the IDL declares, all of it to be written to: user, pages, refund, counters.
#[test]
fn the_accounts_of_records_stand_behind_the_declared_ones_in_the_order_the_program_reads_them() {
    let addresses = Addresses::of(1);
    let signed = SignedMessage { key: [1; 32], signature: [2; 64], message: vec![3] };
    let address = |byte| Pubkey::new_from_array([byte; 32]);
    let records = [
        instruction::RecordAccounts {
            user: address(1),
            pages: vec![address(2), address(3)],
            refund: Some(address(4)),
            counters: vec![address(5), address(6)],
        },
        instruction::RecordAccounts::of(address(7), address(8)),
    ];
    let [_, refunds] = instruction::record_refunds(&addresses, &records, &signed);
    let declared = named(&idl()["instructions"], "record_refunds")["accounts"].as_array().expect("accounts").len();
    let behind: Vec<_> =
        refunds.accounts[declared..].iter().map(|meta| (meta.pubkey, meta.is_writable, meta.is_signer)).collect();
    assert_eq!(behind, (1..9).map(|byte| (address(byte), true, false)).collect::<Vec<_>>());
}

/// As many accounts, each as writable and as much a signer, and where the IDL names or derives an address, that one.
fn accounts_agree(instruction: &str, of_client: &Instruction, of_idl: &Value, addresses: &Addresses) {
    let of_idl = of_idl.as_array().expect("accounts");
    assert_eq!(of_client.accounts.len(), of_idl.len(), "{instruction}");
    for (meta, account) in of_client.accounts.iter().zip(of_idl) {
        let name = account["name"].as_str().expect("a name");
        let flag = |flag: &str| account[flag].as_bool().unwrap_or(false);
        assert_eq!((meta.is_writable, meta.is_signer), (flag("writable"), flag("signer")), "{instruction}: {name}");
        let known = match name {
            "platform" => Some(addresses.platform.to_string()),
            "rule_book" => Some(addresses.rule_book.to_string()),
            "journal" => Some(addresses.journal.to_string()),
            "event_authority" => Some(addresses.event_authority.to_string()),
            "program" => Some(PROGRAM.to_string()),
            _ => account["address"].as_str().map(str::to_owned),
        };
        if let Some(known) = known {
            assert_eq!(meta.pubkey.to_string(), known, "{instruction}: {name}");
        }
    }
}

#[test]
fn anchor_builds_and_tests_the_program_at_the_clients_address() {
    let anchor = include_str!("../../../Anchor.toml");
    let address = format!("rebate_program = \"{PROGRAM}\"");
    assert!(anchor.contains(&address), "Anchor.toml has {address}");
}
