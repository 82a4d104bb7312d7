//! The settings' file.

use rebate_oracle::Settings;
use rebate_oracle::outbox::{Options, settings::KeyPlace};
use rebate_oracle::settings::Limits;

const EXAMPLE: &str = include_str!("../../settings.example.toml");

/// The example without the line that begins so.
fn without(beginning: &str) -> Settings {
    let (gone, left): (Vec<&str>, Vec<&str>) = EXAMPLE.lines().partition(|line| line.starts_with(beginning));
    assert_eq!(gone.len(), 1, "{beginning}");
    Settings::parse(&left.join("\n")).unwrap()
}

#[test]
fn the_example_is_read_and_its_limits_are_the_defaults() {
    let settings = Settings::parse(EXAMPLE).unwrap();
    assert_eq!(settings.providers.len(), 4);
    assert_eq!(format!("{:?}", settings.limits), format!("{:?}", Limits::default()));
    assert_eq!(settings.keep_notices, without("keep_notices").keep_notices);
    let outbox = |settings: &Settings| settings.outbox.clone().map(|outbox| format!("{outbox:?}"));
    let defaults =
        ["batch = 8", "gather_ms", "under_way", "attempts", "lookup_table", "fee_percentile", "fee_least", "fee_most"];
    for default in defaults {
        assert_eq!(outbox(&settings), outbox(&without(default)), "{default}");
    }
    // Where a secret is missing, it says where.
    let error = settings.user_secrets().unwrap_err().to_string();
    assert!(error.contains("/run/secrets/platform-secret"), "{error}");
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for (from, to) in [
        ("[providers.shop]", "[providers.direct]"),
        ("[providers.shop]", "[providers.Shop]"),
        ("currency = \"CNY\"", "currency = \"yuan\""),
        ("batch = 128", "batch = 0"),
        ("writers = 4", "writer = 4"),
        ("sha256 = \"9f", "sha256 = \""),
        ("platform = \"Re", "platform = \"0O"),
    ] {
        let changed = EXAMPLE.replacen(from, to, 1);
        assert_ne!(changed, EXAMPLE);
        assert!(Settings::parse(&changed).is_err(), "{to}");
    }
    // Nobody could be asked to prove anything.
    let nothing = Settings::parse(&EXAMPLE.replace("secrets = [{ env = \"SHOP_SECRET\" }]", "secrets = []")).unwrap();
    let error = nothing.providers().err().unwrap().to_string();
    assert!(!error.is_empty());
}

#[test]
fn the_outbox_is_read_with_its_keys_in_a_file_a_variable_or_a_remote_signer_and_nothing_misspelt_is() {
    let section = r#"
[outbox]
rpc = { env = "SOLANA_RPC" }
oracle_key = { remote = { url = "https://signer.internal:8443", key = "ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u", authority = "/run/secrets/authority.pem", identity = "/run/secrets/identity.pem" } }
payer_key = { file = "/run/secrets/payer.json" }
batch = 3
fee_percentile = 90
"#;
    // The example with this section in the place of its own.
    let (before, own) = EXAMPLE.split_once("[outbox]").unwrap();
    let (_, after) = own.split_once("\n[").unwrap();
    let parse = |section: &str| Settings::parse(&format!("{before}[{after}{section}"));
    let outbox = parse(section).unwrap().outbox.unwrap();
    assert_eq!((outbox.batch, outbox.fee_percentile), (3, 90));
    // What is not said is the default.
    let defaults = Options::default();
    assert_eq!(outbox.under_way, defaults.under_way);
    assert_eq!((u128::from(outbox.gather_ms), outbox.attempts), (defaults.gather.as_millis(), defaults.attempts));
    assert!(matches!(outbox.oracle_key, KeyPlace::Remote { .. }));
    // A key that is not where the settings say is an error that says where.
    let error = outbox.payer_key.signer().err().unwrap().to_string();
    assert!(error.contains("/run/secrets/payer.json"), "{error}");
    let in_a_variable = section.replacen("file = \"/run/secrets/payer.json\"", "env = \"NO_SUCH_VARIABLE\"", 1);
    let error = parse(&in_a_variable).unwrap().outbox.unwrap().payer_key.signer().err().unwrap().to_string();
    assert!(error.contains("NO_SUCH_VARIABLE"), "{error}");
    for (from, to) in [("batch = 3", "bach = 3"), ("{ file = ", "{ path = "), ("rpc = { env = \"SOLANA_RPC\" }", "")] {
        let changed = section.replacen(from, to, 1);
        assert_ne!(changed, section);
        assert!(parse(&changed).is_err(), "{to}");
    }
}
