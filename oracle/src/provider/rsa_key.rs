//! A provider's RSA key, as it hands it out: a certificate, a public key in PEM, or the base64 of one.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use std::fmt;
use thiserror::Error;
use x509_parser::{
    pem::parse_x509_pem,
    prelude::{FromDer, X509Certificate},
    x509::SubjectPublicKeyInfo,
};

/// What is wrong with a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidKey {
    /// None of the forms.
    #[error("that is no certificate and no public key: expected PEM, or the base64 of a public key")]
    Unreadable,
    /// Something else than RSA.
    #[error("that is no RSA key of 2048 to 8192 bits")]
    NotRsa,
}

/// An RSA key that checks signatures: PKCS #1 v1.5 with SHA-256.
#[derive(Clone)]
pub struct RsaKey {
    // RSAPublicKey of RFC 8017, in DER.
    key: Vec<u8>,
    /// The certificate's serial number, upper-case hexadecimal, where it came as one.
    serial: Option<String>,
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl RsaKey {
    /// The key in `text`.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKey> {
        let text = text.trim_ascii();
        if !text.starts_with(b"-----") {
            let plain: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            return Self::of_info(&BASE64_STANDARD.decode(plain).map_err(|_| InvalidKey::Unreadable)?, None);
        }
        let (_, pem) = parse_x509_pem(text).map_err(|_| InvalidKey::Unreadable)?;
        if pem.label != "CERTIFICATE" {
            return Self::of_info(&pem.contents, None);
        }
        let (_, certificate) = X509Certificate::from_der(&pem.contents).map_err(|_| InvalidKey::Unreadable)?;
        // DER has a zero before a first byte that would make it negative; providers show the number without.
        let serial = certificate.tbs_certificate.raw_serial();
        let serial = hex::encode_upper(serial.strip_prefix(&[0]).unwrap_or(serial));
        Self::of_info(certificate.public_key().raw, Some(serial))
    }

    fn of_info(der: &[u8], serial: Option<String>) -> Result<Self, InvalidKey> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| InvalidKey::Unreadable)?;
        // rsaEncryption of RFC 8017.
        if info.algorithm.algorithm.to_id_string() != "1.2.840.113549.1.1.1" {
            return Err(InvalidKey::NotRsa);
        }
        Ok(Self { key: info.subject_public_key.data.to_vec(), serial })
    }

    /// The serial number of the certificate that it came in.
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// Whether `signature`, in base64, is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let unreadable = |text: &[u8]| RsaKey::parse(text).unwrap_err();
        assert_eq!(unreadable(b""), InvalidKey::Unreadable);
        assert_eq!(unreadable(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), InvalidKey::Unreadable);
        assert_eq!(unreadable(b"AAAA"), InvalidKey::Unreadable);
        // An Ed25519 key: RFC 8410, section 10.1.
        let ed25519 = b"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        assert_eq!(unreadable(ed25519), InvalidKey::NotRsa);
    }
}
