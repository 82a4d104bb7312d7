//! The message that a wallet signs to sign in, as Sign-In With Solana has it
//! (<https://github.com/phantom/sign-in-with-solana>): like EIP-4361, with `Solana` for `Ethereum`.

use crate::value::Address;
use std::fmt;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Longest message that is read, in bytes.
pub(crate) const LONGEST: usize = 4_096;

const INTRODUCTION: &str = " wants you to sign in with your Solana account:";

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Who asks for it: a host, with its port where it is not the usual one.
    pub domain: String,
    /// Who signs.
    pub address: Address,
    /// What people read, one line.
    pub statement: Option<String>,
    /// What it is for.
    pub uri: String,
    /// The format's: 1.
    pub version: String,
    /// Which chain: `mainnet`, `devnet`, `testnet` or `localnet`, with `solana:` before it or not.
    pub chain_id: String,
    /// What makes it count once.
    pub nonce: String,
    /// When it was made.
    pub issued_at: Moment,
    /// Until when it holds.
    pub expiration_time: Moment,
    /// Since when it holds.
    pub not_before: Option<Moment>,
    /// What the asker knows it by.
    pub request_id: Option<String>,
    /// What else it is for.
    pub resources: Vec<String>,
}

/// A moment as it was written: the wallet signs the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    text: String,
    /// The moment.
    pub at: OffsetDateTime,
}

impl Moment {
    /// A moment, to the second.
    pub(crate) fn new(at: OffsetDateTime) -> Option<Self> {
        let at = at.replace_nanosecond(0).ok()?;
        Some(Self { text: at.format(&Rfc3339).ok()?, at })
    }

    fn read(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self { text: text.to_owned(), at })
    }
}

/// Why a text is no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// Longer than any is.
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    /// A part is missing or is not what it should be.
    #[error("{0} is missing, not in its place, or not written as it should be")]
    Part(&'static str),
}

impl Message {
    /// The message that `text` is. What is written another way than [`Display`](fmt::Display) writes it is none, so two readers cannot
    /// read two things into it.
    pub(crate) fn read(text: &str) -> Result<Self, Unreadable> {
        use Unreadable::Part;
        if text.len() > LONGEST {
            return Err(Unreadable::Long);
        }
        let mut lines = text.split('\n').peekable();
        let domain = lines.next().and_then(|line| line.strip_suffix(INTRODUCTION)).ok_or(Part("the first line"))?;
        let address = lines.next().and_then(|line| line.parse().ok()).ok_or(Part("the address"))?;
        if lines.next() != Some("") {
            return Err(Part("the empty line below the address"));
        }
        let mut statement = None;
        if lines.peek().is_some_and(|line| !line.starts_with("URI: ")) {
            statement = lines.next();
            if lines.next() != Some("") {
                return Err(Part("the empty line below the statement"));
            }
        }
        let mut field = |name: &str| {
            let value = lines.peek()?.strip_prefix(name)?.strip_prefix(": ")?;
            lines.next();
            Some(value.to_owned())
        };
        let moment = |text: String, name| Moment::read(&text).ok_or(Part(name));
        let message = Self {
            domain: domain.to_owned(),
            address,
            statement: statement.map(str::to_owned),
            uri: field("URI").ok_or(Part("URI"))?,
            version: field("Version").ok_or(Part("Version"))?,
            chain_id: field("Chain ID").ok_or(Part("Chain ID"))?,
            nonce: field("Nonce").ok_or(Part("Nonce"))?,
            issued_at: moment(field("Issued At").ok_or(Part("Issued At"))?, "Issued At")?,
            expiration_time: moment(field("Expiration Time").ok_or(Part("Expiration Time"))?, "Expiration Time")?,
            not_before: field("Not Before").map(|text| moment(text, "Not Before")).transpose()?,
            request_id: field("Request ID"),
            resources: match lines.next() {
                None => Vec::new(),
                Some("Resources:") => lines
                    .by_ref()
                    .map(|line| line.strip_prefix("- ").map(str::to_owned).ok_or(Part("Resources")))
                    .collect::<Result<_, _>>()?,
                Some(_) => return Err(Part("the line behind the last field")),
            },
        };
        if message.to_string() == text { Ok(message) } else { Err(Part("what is written in one way alone")) }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INTRODUCTION}\n{}\n", self.domain, self.address)?;
        if let Some(statement) = &self.statement {
            write!(f, "\n{statement}\n")?;
        }
        for (name, value) in [
            ("URI", Some(&self.uri)),
            ("Version", Some(&self.version)),
            ("Chain ID", Some(&self.chain_id)),
            ("Nonce", Some(&self.nonce)),
            ("Issued At", Some(&self.issued_at.text)),
            ("Expiration Time", Some(&self.expiration_time.text)),
            ("Not Before", self.not_before.as_ref().map(|moment| &moment.text)),
            ("Request ID", self.request_id.as_ref()),
        ] {
            if let Some(value) = value {
                write!(f, "\n{name}: {value}")?;
            }
        }
        if !self.resources.is_empty() {
            f.write_str("\nResources:")?;
            self.resources.iter().try_for_each(|resource| write!(f, "\n- {resource}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the specification's example has it, with the fields that are wanted here.
    const WHOLE: &str = "app.example wants you to sign in with your Solana account:
ReBo6PHCPNUAdG9RMgkdmMmoW6gDbtJ8aMVU7AJgm5u

Sign in to see your orders.

URI: https://app.example/login
Version: 1
Chain ID: mainnet
Nonce: oBbLoEldZs
Issued At: 2026-10-03T12:00:00.000Z
Expiration Time: 2026-10-03T12:05:00.000Z
Not Before: 2026-10-03T11:59:00Z
Request ID: 7
Resources:
- https://app.example/terms
- https://app.example/privacy";

    #[test]
    fn a_message_is_read_and_written_as_it_was() {
        let message = Message::read(WHOLE).unwrap();
        assert_eq!(message.to_string(), WHOLE);
        assert_eq!(message.domain, "app.example");
        assert_eq!(message.statement.as_deref(), Some("Sign in to see your orders."));
        assert_eq!((message.resources.len(), message.nonce.as_str()), (2, "oBbLoEldZs"));
        assert_eq!(message.expiration_time.at.unix_timestamp(), 1_791_029_100);
        let short = Message { statement: None, not_before: None, request_id: None, resources: Vec::new(), ..message };
        assert_eq!(Message::read(&short.to_string()), Ok(short));
    }

    #[test]
    fn what_is_written_another_way_is_no_message() {
        for (from, to) in [
            (" wants you", " wants  you"),
            ("Solana", "Ethereum"),
            ("ReBo6", "0OIl"),
            ("\n\nURI", "\nURI"),
            ("\n\nSign", "\nSign"),
            ("orders.\n", "orders.\n\nnonce: x\n"),
            ("Version: 1\n", ""),
            ("Chain ID: mainnet\nNonce: oBbLoEldZs\n", "Nonce: oBbLoEldZs\nChain ID: mainnet\n"),
            ("Nonce: oBbLoEldZs", "Nonce: oBbLoEldZs\nNonce: other"),
            ("Issued At: 2026-10-03T12:00:00.000Z", "Issued At: yesterday"),
            ("Expiration Time: 2026-10-03T12:05:00.000Z\n", ""),
            ("- https://app.example/terms", "https://app.example/terms"),
            ("Resources:\n", "Resources\n"),
            ("privacy", "privacy\n"),
            ("\n", "\r\n"),
        ] {
            let text = WHOLE.replace(from, to);
            assert_ne!(text, WHOLE, "{from}");
            assert!(Message::read(&text).is_err(), "{text}");
        }
        assert_eq!(Message::read(&"x".repeat(LONGEST + 1)), Err(Unreadable::Long));
        assert!(Message::read("").is_err());
        assert!(Message::read(&WHOLE[..WHOLE.len() / 2]).is_err());
    }
}
