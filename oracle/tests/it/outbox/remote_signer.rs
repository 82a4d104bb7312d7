//! A remote signer over real TLS, where each end shows a certificate.

use axum::{Json, Router, http::StatusCode, routing::post, serve::Listener};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rebate_oracle::signer::{
    Sign, SignError,
    remote::{RemoteKey, RemoteSettings},
};
use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

/// Who issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Takes connections of those alone who show a certificate of the authority.
struct Guarded {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Guarded {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A signer that has `key`, and what reaches it.
struct RemoteSigner {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl RemoteSigner {
    /// Shows a certificate of `its` authority and asks for one of `ours`.
    async fn start(its: &Authority, ours: &Authority, key: Keypair) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(ours.der.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let (certificate, its_key) = its.issue("localhost");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(its_key.serialize_der()).into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, key) = (Arc::clone(&asked), Arc::new(key));
        let sign = async move |Json(request): Json<Value>| {
            counter.fetch_add(1, Ordering::SeqCst);
            if request["key"] != key.pubkey().to_string() {
                return Err(StatusCode::NOT_FOUND);
            }
            let message = BASE64_STANDARD.decode(request["message"].as_str().unwrap()).unwrap();
            // One that signs something else than it was asked to.
            let message = if message == b"spoil" { b"spoilt".to_vec() } else { message };
            Ok(Json(json!({ "signature": key.sign_message(&message).to_string() })))
        };
        let app = Router::new().route("/sign", post(sign));
        let guarded = Guarded { listener, tls: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(guarded, app).await });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Our end: believes `its` authority, and shows a certificate that `ours` issued.
fn remote(folder: &TempDir, port: u16, its: &Authority, ours: &Authority, key: &Keypair) -> RemoteKey {
    let file = |name: &str, content: String| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (certificate, our_key) = ours.issue("oracle");
    RemoteKey::new(&RemoteSettings {
        url: format!("https://localhost:{port}/sign?token=secret"),
        key: key.pubkey(),
        authority: file("authority.pem", its.pem.clone()),
        identity: file("identity.pem", format!("{}{}", certificate.pem(), our_key.serialize_pem())),
    })
    .unwrap()
}

#[tokio::test]
async fn a_remote_signer_signs_where_both_ends_show_certificates_and_what_it_signs_is_verified() {
    let (folder, its, ours) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let key = Keypair::new();
    let signer = RemoteSigner::start(&its, &ours, key.insecure_clone()).await;
    let remote_key = remote(&folder, signer.port, &its, &ours, &key);
    for message in [&b"a record"[..], &[0xff; 1_232], b""] {
        let signature = remote_key.sign(message).await.unwrap();
        assert!(signature.verify(key.pubkey().as_ref(), message));
    }
    assert_eq!(signer.asked(), 3);

    let wrong = remote_key.sign(b"spoil").await.unwrap_err();
    assert!(matches!(wrong, SignError::WrongSignature { .. }), "{wrong}");
    // One that does not have the key.
    let other = remote(&folder, signer.port, &its, &ours, &Keypair::new());
    let error = other.sign(b"a record").await.unwrap_err();
    assert!(matches!(&error, SignError::Unreachable { why, .. } if why.contains("404")), "{error}");
    for shown in [wrong.to_string(), error.to_string(), format!("{remote_key:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[tokio::test]
async fn a_remote_signer_hears_nothing_where_either_end_shows_a_strangers_certificate() {
    let (folder, its, ours, stranger) =
        (tempfile::tempdir().unwrap(), Authority::new(), Authority::new(), Authority::new());
    let key = Keypair::new();
    let signer = RemoteSigner::start(&its, &ours, key.insecure_clone()).await;
    for (its, ours) in [(&stranger, &ours), (&its, &stranger), (&ours, &ours)] {
        let error = remote(&folder, signer.port, its, ours, &key).sign(b"a record").await.unwrap_err();
        assert!(matches!(error, SignError::Unreachable { .. }), "{error}");
    }
    assert_eq!(signer.asked(), 0);
    remote(&folder, signer.port, &its, &ours, &key).sign(b"a record").await.unwrap();
    assert_eq!(signer.asked(), 1);
}
