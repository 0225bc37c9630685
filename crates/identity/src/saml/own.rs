//! The gateway's own keys at a provider: one that signs its requests, and those that assertions are
//! encrypted to. Before the life of a request.

use super::encryption::DecryptionKey;
use super::error::SamlError;
use super::settings::SamlProvider;
use crate::oidc::SettingsError;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use reqwest::Url;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::path::Path;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// The keys of one provider's settings.
pub(super) struct OwnKeys {
    pair: Option<(RsaKeyPair, Vec<u8>)>,
    decryption: Vec<DecryptionKey>,
}

impl OwnKeys {
    pub(super) fn read(provider: &SamlProvider) -> Result<Self, SettingsError> {
        let mut decryption = Vec::new();
        let mut pair = None;
        if let (Some(key_file), Some(certificate_file)) =
            (&provider.key_file, &provider.certificate_file)
        {
            let wrong = |why: String| provider.wrong("key_file", why);
            let key = private_key(key_file).map_err(wrong)?;
            let signing = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der());
            let signing = signing.map_err(|_| wrong(no_key(key_file)))?;
            let certificate = certificate(certificate_file, &signing)
                .map_err(|why| provider.wrong("certificate_file", why))?;
            decryption.push(decryption_key(&key, key_file).map_err(wrong)?);
            pair = Some((signing, certificate));
        }
        for file in &provider.former_key_files {
            let key = private_key(file).and_then(|key| decryption_key(&key, file));
            decryption.push(key.map_err(|why| provider.wrong("former_key_files", why))?);
        }
        Ok(Self { pair, decryption })
    }

    pub(super) fn decryption(&self) -> &[DecryptionKey] {
        &self.decryption
    }

    /// The certificate, where there is one.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.pair.as_ref().map(|(_, certificate)| certificate.as_slice())
    }

    /// Signs a request in the address of the HTTP-Redirect binding (SAML bindings §3.4.4.1), where there
    /// is a key: over the query as it is from `SAMLRequest` on.
    pub(super) fn sign(&self, url: &mut Url) -> Result<(), SamlError> {
        let Some((key, _)) = &self.pair else { return Ok(()) };
        url.query_pairs_mut().append_pair("SigAlg", RSA_SHA256);
        let query = url.query().unwrap_or_default();
        let own = query.find("SAMLRequest=").and_then(|start| query.get(start..));
        let own = own.unwrap_or_default().as_bytes();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), own, &mut signature)
            .map_err(|_| SamlError::Own("the request cannot be signed"))?;
        let signature = base64::engine::general_purpose::STANDARD.encode(signature);
        url.query_pairs_mut().append_pair("Signature", &signature);
        Ok(())
    }
}

fn no_key(file: &Path) -> String {
    format!("{} is not an RSA key of 2048 bits or more, as PKCS #8 in PEM", file.display())
}

fn private_key(file: &Path) -> Result<PrivatePkcs8KeyDer<'static>, String> {
    PrivatePkcs8KeyDer::from_pem_file(file).map_err(|error| match error {
        rustls_pki_types::pem::Error::Io(error) => format!("{}: {error}", file.display()),
        _ => no_key(file),
    })
}

fn decryption_key(key: &PrivatePkcs8KeyDer<'_>, file: &Path) -> Result<DecryptionKey, String> {
    DecryptionKey::from_pkcs8(key.secret_pkcs8_der()).ok_or_else(|| no_key(file))
}

/// The certificate of a file, which has to be that of the key.
fn certificate(file: &Path, key: &RsaKeyPair) -> Result<Vec<u8>, String> {
    let der = CertificateDer::from_pem_file(file);
    let der = der.map_err(|error| format!("{}: {error}", file.display()))?;
    let (_, parsed) = X509Certificate::from_der(&der)
        .map_err(|_| format!("{} is not a certificate", file.display()))?;
    let public = parsed.public_key().subject_public_key.data.as_ref();
    if public != key.public_key().as_ref() {
        return Err(format!("{} is not the certificate of key_file", file.display()));
    }
    Ok(der.to_vec())
}
