//! An issuer's public keys (JWK set, RFC 7517) and the signature check. The key's own type decides
//! which algorithms it can be used with, so a token cannot choose.

use super::error::IdentityError;
use super::settings::SignatureAlgorithm;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Most keys in a set. Large providers publish fewer than ten.
const MAX_KEYS: usize = 100;

/// The usable keys of a set.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// One public key for signatures.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Option<SignatureAlgorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point on the curve of the algorithm.
    Ec(SignatureAlgorithm, Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

/// RFC 7517 §4, RFC 7518 §6, RFC 8037 §2; members that are not needed are not read.
#[derive(Deserialize)]
struct RawKey {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds, for other uses or that are malformed are left out, as
    /// RFC 7517 §5 asks; a set that is no set, or has too many keys, is an error.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set: RawSet =
            serde_json::from_slice(bytes).map_err(|e| format!("not a JWK set: {e}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("the JWK set has {} keys, over {MAX_KEYS}", set.keys.len()));
        }
        let keys =
            set.keys.into_iter().filter_map(|raw| Key::read(serde_json::from_value(raw).ok()?));
        Ok(Self(keys.collect()))
    }

    /// How many keys can be used.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// True where a token that names `key_id` could be checked with a key of this set.
    pub(crate) fn knows(&self, key_id: Option<&str>) -> bool {
        match key_id {
            Some(_) => self.0.iter().any(|key| key.id.as_deref() == key_id),
            None => !self.0.is_empty(),
        }
    }

    /// The keys a token with this `kid` and `alg` may be checked with: those of that id, or, where
    /// it names none, the only one there is.
    pub(crate) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: SignatureAlgorithm,
    ) -> Result<impl Iterator<Item = &Key>, IdentityError> {
        if key_id.is_none() && self.0.len() > 1 {
            return Err(IdentityError::NoKeyId);
        }
        let named = move |key: &&Key| key_id.is_none() || key.id.as_deref() == key_id;
        let fitting = move |key: &&Key| named(key) && key.fits(algorithm);
        if !self.0.iter().any(|key| fitting(&key)) {
            return Err(IdentityError::KeyMismatch);
        }
        Ok(self.0.iter().filter(fitting))
    }
}

impl Key {
    /// The key of an X.509 certificate. Nothing else of the certificate is looked at: whoever has put it
    /// in place vouches for the key.
    pub(crate) fn of_certificate(der: &[u8]) -> Result<Self, String> {
        use SignatureAlgorithm as A;
        let unusable = || "its key is not RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519";
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|e| format!("it cannot be read: {e}"))?;
        if !rest.is_empty() {
            return Err("there is something behind it".to_owned());
        }
        let info = certificate.public_key();
        let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
        let material = match (info.parsed(), info.algorithm.algorithm.to_id_string().as_str()) {
            (Ok(PublicKey::RSA(key)), _) => {
                let bare = |bytes: &[u8]| -> Vec<u8> {
                    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
                };
                let (n, e) = (bare(key.modulus), bare(key.exponent));
                let fits = (256..=1024).contains(&n.len()) && !e.is_empty() && e.len() <= 8;
                fits.then_some(Material::Rsa { n, e })
            }
            (Ok(PublicKey::EC(point)), _) => {
                let (algorithm, size) = match curve.as_str() {
                    "1.2.840.10045.3.1.7" => (A::ES256, 32),
                    "1.3.132.0.34" => (A::ES384, 48),
                    "1.3.132.0.35" => (A::ES512, 66),
                    _ => return Err(unusable().to_owned()),
                };
                let point = point.data().to_vec();
                (point.len() == 2 * size + 1).then_some(Material::Ec(algorithm, point))
            }
            (_, "1.3.101.112") => {
                let key = info.subject_public_key.data.to_vec();
                (key.len() == 32).then_some(Material::Ed25519(key))
            }
            _ => None,
        };
        let material = material.ok_or_else(|| unusable().to_owned())?;
        Ok(Self { id: None, algorithm: None, material })
    }

    fn read(raw: RawKey) -> Option<Self> {
        // SPIFFE-Trust-Domain-and-Bundle §4.2.2 has a word of its own for keys of JWT-SVIDs.
        let usage = |usage: &str| matches!(usage, "sig" | "jwt-svid");
        let for_signatures = raw.usage.as_deref().is_none_or(usage)
            && raw.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures {
            return None;
        }
        let algorithm = match &raw.alg {
            Some(name) => Some(SignatureAlgorithm::from_name(name)?),
            None => None,
        };
        let material = Material::read(&raw)?;
        Some(Self { id: raw.kid, algorithm, material })
    }

    /// True where `algorithm` is one for this kind of key, and the one the key is reserved for.
    fn fits(&self, algorithm: SignatureAlgorithm) -> bool {
        use SignatureAlgorithm as A;
        let kind = match &self.material {
            Material::Rsa { .. } => {
                matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512)
            }
            Material::Ec(of_curve, _) => algorithm == *of_curve,
            Material::Ed25519(_) => algorithm == A::EdDSA,
        };
        kind && self.algorithm.is_none_or(|reserved| reserved == algorithm)
    }

    /// Checks one signature. RSA keys under 2048 or over 8192 bits never verify.
    pub(crate) fn verifies(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        use SignatureAlgorithm as A;
        if !self.fits(algorithm) {
            return false;
        }
        let check = |parameters: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(parameters, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => rsa_parameters(algorithm).is_some_and(|parameters| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, signature).is_ok()
            }),
            (Material::Ec(_, point), A::ES256) => check(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::Ec(_, point), A::ES384) => check(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ec(_, point), A::ES512) => check(&signature::ECDSA_P521_SHA512_FIXED, point),
            (Material::Ed25519(key), _) => check(&signature::ED25519, key),
            (Material::Ec(..), _) => false,
        }
    }
}

const fn rsa_parameters(
    algorithm: SignatureAlgorithm,
) -> Option<&'static signature::RsaParameters> {
    use SignatureAlgorithm as A;
    Some(match algorithm {
        A::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        A::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        A::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        A::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        A::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        A::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        A::ES256 | A::ES384 | A::ES512 | A::EdDSA => return None,
    })
}

impl Material {
    fn read(raw: &RawKey) -> Option<Self> {
        use SignatureAlgorithm as A;
        match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(raw.n.as_ref())?, bytes(raw.e.as_ref())?);
                // 8192 bits, and an exponent that fits 64: what verification accepts at most.
                (n.len() <= 1025 && !e.is_empty() && e.len() <= 8).then_some(Self::Rsa { n, e })
            }
            ("EC", Some("P-256")) => Some(Self::Ec(A::ES256, point(raw, 32)?)),
            ("EC", Some("P-384")) => Some(Self::Ec(A::ES384, point(raw, 48)?)),
            ("EC", Some("P-521")) => Some(Self::Ec(A::ES512, point(raw, 66)?)),
            ("OKP", Some("Ed25519")) => {
                let key = bytes(raw.x.as_ref())?;
                (key.len() == 32).then_some(Self::Ed25519(key))
            }
            _ => None,
        }
    }
}

/// SEC 1 §2.3.3, uncompressed; coordinates have full length (RFC 7518 §6.2.1.2).
fn point(raw: &RawKey, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(raw.x.as_ref())?, bytes(raw.y.as_ref())?);
    (x.len() == size && y.len() == size).then(|| [&[4u8][..], &x, &y].concat())
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_left_out() {
        let check = |keys: &str, expect: usize| {
            let set = KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).unwrap();
            assert_eq!(set.len(), expect, "{keys}");
        };
        let x = URL_SAFE_NO_PAD.encode([7u8; 32]);
        check(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#), 1);
        check(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"enc"}}"#), 0);
        check(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","key_ops":["sign"]}}"#), 0);
        check(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","alg":"HS256"}}"#), 0);
        check(&format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#), 0);
        check(&format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{x}"}}"#), 0);
        check(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#), 1);
        check(r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#, 0);
        check(r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"},7,null,{}"#, 0);
        check(r#"{"kty":"RSA","n":"not base64!","e":"AQAB"}"#, 0);
    }

    #[test]
    fn a_set_is_bounded() {
        let many = vec!["{}"; MAX_KEYS + 1].join(",");
        assert!(KeySet::parse(format!(r#"{{"keys":[{many}]}}"#).as_bytes()).is_err());
        assert!(KeySet::parse(b"[]").is_err());
        assert!(KeySet::parse(br#"{"keys":{}}"#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = KeySet::parse(&bytes);
        }
    }
}
