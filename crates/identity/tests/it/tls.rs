//! An issuer behind TLS: its certificate is checked, and the caller may know another authority.

use crate::support::{NOW, Signer, now};
use portcullis_identity::{IdentityError, Provider, Verifier, http_client};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Serves discovery and `keys` under a certificate for `name`; gives its port and certificate.
async fn serve(name: &str, keys: Value) -> (u16, reqwest::Certificate) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let issuer = format!("https://localhost:{port}");
    let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
    let keys = json!({ "keys": [keys] }).to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let body = if request[..length].starts_with(b"GET /keys") { &keys } else { &discovery };
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
            let answer = format!("{head} {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (port, reqwest::Certificate::from_der(cert.der()).unwrap())
}

#[tokio::test]
async fn an_issuers_certificate_is_checked() {
    let signer = Signer::ec("P-256");
    for (name, trusted, good) in
        [("localhost", true, true), ("localhost", false, false), ("id.example", true, false)]
    {
        let (port, certificate) = serve(name, signer.jwk("k")).await;
        let issuer = format!("https://localhost:{port}");
        let claims = json!({"iss": issuer, "aud": "p", "sub": "alice", "exp": NOW + 60});
        let token = signer.token(r#"{"alg":"ES256","kid":"k"}"#, &claims.to_string());
        let (_, stranger) = serve("localhost", json!({})).await;
        let authority = if trusted { certificate } else { stranger };
        let client = || http_client().tls_certs_only([authority.clone()]);
        let verifier = Verifier::new(vec![Provider::new("corp", &issuer, "p")], client).unwrap();
        let said = verifier.verify(&token, now()).await;
        if good {
            assert!(said.is_ok(), "{said:?}");
        } else {
            let Err(IdentityError::Unavailable { cause, .. }) = said else { panic!("{said:?}") };
            assert!(cause.contains("certificate"), "{cause}");
        }
    }
}
