//! Whom to tell of a vulnerability: <https://github.com/neodyme-labs/solana-security-txt>.

#[cfg(not(feature = "no-entrypoint"))]
solana_security_txt::security_txt! {
    name: "Rebate",
    project_url: "https://example.org/rebate",
    contacts: "email:security@example.org",
    policy: "https://example.org/rebate/security",
    preferred_languages: "en,zh"
}
