//! The IDL says what the client does: names and messages of errors, layouts of accounts, and every byte of events and of
//! instructions. Bytes are read by what the IDL says alone and held against what the client wrote.

use rebate_client::{
    Pubkey,
    account::{self, Asset, Journal, OracleKey, OrderPage, Platform, RuleBook, User},
    address::{Addresses, PROGRAM},
    error,
    event::{
        AssetEntry, EffectEntry, Event, OffsetEntry, OracleKeyRegistered, OutcomeEntry, PauseChanged, PaymentRecorded,
        PlatformCreated, PredicateEntry, RuleDefinition, RulePublished,
    },
    instruction::{self, PlatformSettings},
};
use rebate_core::{
    time::UtcOffset,
    units::{Day, Timestamp, UserKey},
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
                Platform: id, admin, pauser, max_lateness, timelock, order_shards, version, bump, paused, oracle_count,
                offset_count, asset_count, oracles, offsets, assets, reserved
            ),
        ),
        ("Journal", client_layout!(Journal: platform, count, peaks, version, bump, reserved)),
        ("User", client_layout!(User: platform, key, balances, payments, version, bump, reserved)),
        ("OrderPage", client_layout!(OrderPage: platform, day, taken, shard, version, bump, reserved)),
        ("RuleBook", client_layout!(RuleBook: platform, payments, version, bump, reserved)),
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
        ("Asset", client_layout!(Asset: name, kind, name_length, reserved)),
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
    AssetEntry { name, kind }
    PredicateEntry { clause, negated, field, operator, value }
    RuleDefinition { id, version, name, priority, starts_at, ends_at, condition, effect }
    OutcomeEntry { rule, version, reason, clause, asset, amount, before, after }
    PlatformCreated {
        journal_index, at, platform, id, admin, pauser, max_lateness, timelock, order_shards, offsets, assets,
    }
    OracleKeyRegistered { journal_index, at, platform, key, valid_from, valid_until }
    RulePublished { journal_index, at, platform, effective_at, rule }
    PauseChanged { journal_index, at, platform, paused, by }
    PaymentRecorded {
        journal_index, at, platform, oracle, order, user, amount, paid_at, product, streamer, session, tier, segments,
        number, outcomes,
    }
    PlatformSettings { id, admin, pauser, max_lateness, timelock, order_shards, offsets, assets }
}

impl ByName for EffectEntry {
    fn by_name(&self) -> Value {
        match *self {
            Self::Fixed { asset, amount } => json!({"Fixed": {"asset": asset, "amount": amount}}),
            Self::Ratio { asset, bps, min, max } => {
                json!({"Ratio": {"asset": asset, "bps": bps, "min": min, "max": max}})
            }
        }
    }
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
        condition: vec![
            PredicateEntry { clause: 6, negated: true, field: 7, operator: 8, value: 9 },
            PredicateEntry { clause: 10, negated: false, field: 11, operator: 12, value: u64::MAX },
        ],
        effect,
    }
}

const FIXED: EffectEntry = EffectEntry::Fixed { asset: 13, amount: 14 };
const RATIO: EffectEntry = EffectEntry::Ratio { asset: 15, bps: 16, min: 17, max: 18 };

fn settings() -> PlatformSettings {
    PlatformSettings {
        id: 0x2121_2121,
        admin: [22; 32],
        pauser: [23; 32],
        max_lateness: 24,
        timelock: 25,
        order_shards: 26,
        offsets: vec![OffsetEntry { from: -27, seconds: -28 }, OffsetEntry { from: 29, seconds: 30 }],
        assets: vec![AssetEntry { name: [31; 16], kind: 32 }, AssetEntry { name: [33; 16], kind: 34 }],
    }
}

#[test]
fn every_event_is_written_in_the_client_as_the_idl_says() {
    let idl = idl();
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
        Event::PaymentRecorded(PaymentRecorded {
            journal_index,
            at: 50,
            platform,
            oracle: [51; 32],
            order: [52; 32],
            user: [53; 32],
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
    ];
    for paused in [false, true] {
        events.push(Event::PauseChanged(PauseChanged { journal_index, at: 48, platform, paused, by: [49; 32] }));
    }
    for effect in [FIXED, RATIO] {
        let rule = rule(effect);
        events.push(Event::RulePublished(RulePublished { journal_index, at: 62, platform, effective_at: -63, rule }));
    }
    assert_eq!(events.iter().map(Event::name).collect::<BTreeSet<_>>(), names(&idl["events"]));
    for event in events {
        let bytes = event.encode().expect("bytes");
        let (head, body) = bytes.split_at(8);
        assert_eq!(head, discriminator(named(&idl["events"], event.name())), "{}", event.name());
        let of_client = match &event {
            Event::PlatformCreated(event) => event.by_name(),
            Event::OracleKeyRegistered(event) => event.by_name(),
            Event::RulePublished(event) => event.by_name(),
            Event::PauseChanged(event) => event.by_name(),
            Event::PaymentRecorded(event) => event.by_name(),
        };
        let of_idl = read_all(&idl, &json!({"defined": {"name": event.name()}}), body);
        assert_eq!(of_idl, of_client, "{}", event.name());
    }
}

#[test]
fn every_instruction_is_written_in_the_client_as_the_idl_says() {
    let idl = idl();
    let (key, other) = (Pubkey::new_from_array([91; 32]), Pubkey::new_from_array([92; 32]));
    let addresses = Addresses::of(settings().id);
    let (from, until) = (Timestamp(-93), Timestamp(94));
    let publish = |effect| instruction::publish_rule(&key, &addresses, &rule(effect), Timestamp(-95));
    let published = |effect| json!({"rule": rule(effect).by_name(), "effective_at": -95});
    let cases: Vec<(&str, Instruction, Value)> = vec![
        ("create_platform", instruction::create_platform(&key, &settings()), json!({"settings": settings().by_name()})),
        (
            "register_oracle_key",
            instruction::register_oracle_key(&key, &addresses, &other, from, until),
            json!({"key": {"key": vec![92; 32], "valid_from": -93, "valid_until": 94}}),
        ),
        ("publish_rule", publish(FIXED), published(FIXED)),
        ("publish_rule", publish(RATIO), published(RATIO)),
        ("set_paused", instruction::set_paused(&key, &addresses, true), json!({"paused": true})),
        ("set_paused", instruction::set_paused(&key, &addresses, false), json!({"paused": false})),
        ("open_user", instruction::open_user(&key, &addresses, &UserKey([96; 32])), json!({"key": vec![96; 32]})),
        (
            "open_order_page",
            instruction::open_order_page(&key, &addresses, Day(97), 98, 99),
            json!({"day": 97, "shard": 98, "slots": 99}),
        ),
        ("record_payments", instruction::record(&addresses, 1, &[]), json!({})),
    ];
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
