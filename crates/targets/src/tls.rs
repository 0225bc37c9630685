//! Who the target is: certificate checks in libpq's grades, and the certificate's digest that
//! binds a SCRAM log-in to the channel it runs over.

use crate::settings::{SslMode, Target};
use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The protocol's name in TLS (registered with IANA; sent by libpq since PostgreSQL 17).
const ALPN: &[u8] = b"postgresql";

/// How a target is asked for TLS, and what of it is believed.
#[derive(Debug, Clone)]
pub(crate) struct TlsPlan {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    /// True where plain text is an answer to be taken.
    pub(crate) optional: bool,
    /// True where the certificate proves who the target is.
    pub(crate) verified: bool,
}

/// How much of a certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// Nothing: encryption alone.
    Nothing,
    /// That it leads to an authority.
    Chain,
    /// That it leads to an authority and names the host.
    ChainAndName,
}

impl TlsPlan {
    /// The plan for a target; `None` where TLS is not used.
    pub(crate) fn of(target: &Target) -> Result<Option<Self>, String> {
        // libpq ignores sslmode on Unix sockets.
        if target.is_unix() || target.mode() == SslMode::Disable {
            return Ok(None);
        }
        let file = target.sslrootcert.as_deref().filter(|root| *root != "system");
        let grade = match target.mode() {
            SslMode::VerifyFull => Grade::ChainAndName,
            SslMode::VerifyCa => Grade::Chain,
            // libpq: with a root certificate, `require` is `verify-ca`.
            SslMode::Require if file.is_some() => Grade::Chain,
            SslMode::Disable | SslMode::Prefer | SslMode::Require => Grade::Nothing,
        };
        let anchors = match (grade, file) {
            (Grade::Nothing, _) => Vec::new(),
            (_, Some(path)) => anchors_in(path)?,
            (_, None) => rustls_native_certs::load_native_certs().certs,
        };
        let verifier = TargetVerifier::new(grade, anchors)?;
        let provider = verifier.provider.clone();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed handshake would not look at the certificate again.
        config.resumption = Resumption::disabled();
        let name = target.server_name().ok_or("`host` is neither a DNS name nor an address")?;
        let optional = target.mode() == SslMode::Prefer;
        let verified = grade != Grade::Nothing;
        Ok(Some(Self { config: Arc::new(config), name, optional, verified }))
    }

    /// The same plan without plain text as a way out.
    pub(crate) fn required(&self) -> Self {
        Self { optional: false, ..self.clone() }
    }
}

fn anchors_in(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |e: rustls_pki_types::pem::Error| format!("cannot read sslrootcert {path}: {e}");
    let anchors: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if anchors.is_empty() {
        return Err(format!("there is no certificate in sslrootcert {path}"));
    }
    Ok(anchors)
}

/// Looks at a target's certificate as far as its `sslmode` says.
#[derive(Debug)]
struct TargetVerifier {
    grade: Grade,
    roots: RootCertStore,
    /// The authorities as given: a target's own self-signed certificate among them is believed as
    /// it is, as OpenSSL (and so libpq) does.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl TargetVerifier {
    fn new(grade: Grade, anchors: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let (_usable, _ignored) = roots.add_parsable_certificates(anchors.iter().cloned());
        if grade != Grade::Nothing && roots.is_empty() {
            return Err("no usable certificate authority was found for `sslrootcert`".to_owned());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { grade, roots, pinned: anchors, provider })
    }

    fn check_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.pinned.iter().any(|pin| pin == end_entity) {
            return check_dates(end_entity, now);
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
    }
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let bad = |error| Error::InvalidCertificate(error);
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| bad(CertificateError::BadEncoding))?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| bad(CertificateError::Expired))?;
    if now < parsed.validity().not_before {
        return Err(bad(CertificateError::NotValidYet));
    }
    if now > parsed.validity().not_after {
        return Err(bad(CertificateError::Expired));
    }
    Ok(())
}

impl ServerCertVerifier for TargetVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.grade != Grade::Nothing {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            self.check_chain(end_entity, &parsed, intermediates, now)?;
            if self.grade == Grade::ChainAndName {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// When a certificate runs out, in seconds since 1970.
pub(crate) fn ends(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

/// When the first of the certificates of a PEM file runs out, in seconds since 1970; `None` where
/// there is none to read.
#[must_use]
pub fn certificate_ends(pem: &[u8]) -> Option<i64> {
    let mut all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.next().as_ref().and_then(ends)
}

/// `tls-server-end-point` (RFC 5929 §4.1): the digest of the certificate, by the hash function of
/// its signature algorithm, SHA-256 in place of MD5 and SHA-1. `None` where that is undefined
/// (Ed25519 has no separate hash function).
pub(crate) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let identifier = &parsed.signature_algorithm;
    let mut algorithm = identifier.algorithm.clone();
    if let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(identifier)
    {
        algorithm = parameters.hash_algorithm_oid().to_owned();
    }
    let table = [
        (oid::OID_PKCS1_MD5WITHRSAENC, &digest::SHA256),
        (oid::OID_PKCS1_SHA1WITHRSA, &digest::SHA256),
        (oid::OID_HASH_SHA1, &digest::SHA256),
        (oid::OID_PKCS1_SHA224WITHRSA, &digest::SHA224),
        (oid::OID_PKCS1_SHA256WITHRSA, &digest::SHA256),
        (oid::OID_PKCS1_SHA384WITHRSA, &digest::SHA384),
        (oid::OID_PKCS1_SHA512WITHRSA, &digest::SHA512),
        (oid::OID_SIG_ECDSA_WITH_SHA224, &digest::SHA224),
        (oid::OID_SIG_ECDSA_WITH_SHA256, &digest::SHA256),
        (oid::OID_SIG_ECDSA_WITH_SHA384, &digest::SHA384),
        (oid::OID_SIG_ECDSA_WITH_SHA512, &digest::SHA512),
        (oid::OID_NIST_HASH_SHA256, &digest::SHA256),
        (oid::OID_NIST_HASH_SHA384, &digest::SHA384),
        (oid::OID_NIST_HASH_SHA512, &digest::SHA512),
    ];
    let (_, hash) = table.iter().find(|(known, _)| *known == algorithm)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_point_follows_the_certificates_signature() {
        let cases: [(&rcgen::SignatureAlgorithm, Option<usize>); 5] = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_RSA_SHA256, Some(32)),
            (&rcgen::PKCS_RSA_SHA512, Some(64)),
            (&rcgen::PKCS_ED25519, None),
        ];
        for (algorithm, length) in cases {
            let key = match rcgen::KeyPair::generate_for(algorithm) {
                Ok(key) => key,
                Err(error) => panic!("{algorithm:?}: {error}"),
            };
            let params = rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let hash = end_point(certificate.der());
            assert_eq!(hash.map(|h| h.len()), length, "{algorithm:?}");
        }
        assert_eq!(end_point(&CertificateDer::from(vec![0x30, 0x80])), None);
    }
}
