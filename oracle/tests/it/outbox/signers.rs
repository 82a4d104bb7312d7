//! Keys from files and from elsewhere, which nobody sees.

use rebate_client::Pubkey;
use rebate_oracle::signer::{
    Sign, SignError, environment, file,
    remote::{RemoteKey, RemoteSettings},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::fs;

#[tokio::test]
async fn a_key_from_a_file_signs_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (key, path) = (Keypair::new(), folder.path().join("key"));
    let numbers = serde_json::to_string(&key.to_bytes().to_vec()).unwrap();
    for text in [numbers, format!("{}\n", key.to_base58_string())] {
        fs::write(&path, &text).unwrap();
        let signer = file::read(&path).unwrap();
        assert_eq!(signer.key(), key.pubkey());
        let signature = signer.sign(b"a message").await.unwrap();
        assert!(signature.verify(key.pubkey().as_ref(), b"a message"));
        assert_eq!(format!("{signer:?}"), format!("LocalKey({})", key.pubkey()));
    }
}

#[test]
fn what_is_no_key_is_refused_without_being_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let mut wrong = Keypair::new().to_bytes();
    // The public half of another key.
    wrong[40] ^= 1;
    for text in ["secret words".to_owned(), "[1, 2, 3]".to_owned(), format!("{wrong:?}"), String::new()] {
        fs::write(&path, &text).unwrap();
        let error = file::read(&path).unwrap_err().to_string();
        assert!(error.contains("no key from the file"), "{error}");
        assert!(text.is_empty() || !error.contains(&text), "{error}");
    }
    let missing = environment::read("REBATE_NO_SUCH_KEY").unwrap_err();
    assert!(matches!(missing, SignError::NoKey { .. }), "{missing}");
}

#[test]
fn a_remote_signer_is_reached_by_https_alone() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("nothing");
    let settings = |url: &str| RemoteSettings {
        url: url.to_owned(),
        key: Pubkey::default(),
        authority: nothing.clone(),
        identity: nothing.clone(),
    };
    let error =
        RemoteKey::new(&settings("http://signer:secret@example.com/sign?token=secret")).unwrap_err().to_string();
    assert!(error.contains("must begin with https") && !error.contains("secret"), "{error}");
    let error = RemoteKey::new(&settings("https://signer.example.com")).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}
