//! The settings' file.

use rebate_oracle::Settings;
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
    let defaults = ["batch = 4", "gather_ms", "under_way", "attempts", "fee_percentile", "fee_least", "fee_most"];
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
