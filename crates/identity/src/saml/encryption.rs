//! Encrypted assertions (XML Encryption 1.1 in the form of SAML core §6): one element, under a key of its
//! own that is encrypted to the gateway. Before the life of a request.
//!
//! AES-GCM and RSA-OAEP alone: what is encrypted by AES-CBC or RSA PKCS#1 1.5 can be read by whoever may
//! ask often enough whether it decrypts (Jager and Somorovsky 2011, Bleichenbacher 1998). AES-CBC can be
//! allowed for providers that know nothing else, and then what is encrypted is opened only where the
//! provider has signed it as it is, so that nobody else can ask.

use super::error::SamlError;
use super::xml::{self, ASSERTION, DSIG, XENC};
use crate::text::Escaped;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use roxmltree::Node;
use zeroize::Zeroizing;

const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// Most encrypted keys of an assertion: providers encrypt to each certificate of the metadata.
const MAX_KEYS: usize = 4;

/// A private key that assertions are encrypted to.
pub(super) struct DecryptionKey(OaepPrivateDecryptingKey);

impl DecryptionKey {
    /// An RSA key from its PKCS #8 form.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(der).ok()?;
        OaepPrivateDecryptingKey::new(key).ok().map(Self)
    }
}

/// How content is encrypted.
#[derive(Clone, Copy)]
enum Cipher {
    Gcm(&'static aead::Algorithm),
    Cbc(&'static aws_lc_rs::cipher::Algorithm, usize),
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::Gcm(algorithm) => algorithm.key_len(),
            Self::Cbc(_, length) => length,
        }
    }
}

/// The text of the assertion in an `EncryptedAssertion`, in an element that declares what was declared
/// around it. `covered`: a good signature is over all of it, as it is encrypted.
pub(super) fn decrypted(
    element: Node<'_, '_>,
    keys: &[DecryptionKey],
    allow_cbc: bool,
    covered: bool,
) -> Result<Zeroizing<String>, SamlError> {
    if keys.is_empty() {
        return Err(SamlError::NoDecryptionKey);
    }
    let missing = SamlError::Profile("EncryptedAssertion has no EncryptedData");
    let data = xml::one(element, XENC, "EncryptedData")?.ok_or(missing)?;
    let cipher = cipher(data, allow_cbc)?;
    if matches!(cipher, Cipher::Cbc(..)) && !covered {
        return Err(SamlError::CbcUnsigned);
    }
    let info = xml::one(data, DSIG, "KeyInfo")?;
    let beside = xml::children(element, XENC, "EncryptedKey");
    let within = info.into_iter().flat_map(|info| xml::children(info, XENC, "EncryptedKey"));
    let encrypted_keys: Vec<Node<'_, '_>> = within.chain(beside).collect();
    if encrypted_keys.is_empty() || encrypted_keys.len() > MAX_KEYS {
        return Err(SamlError::Profile("EncryptedAssertion has no EncryptedKey, or too many"));
    }
    let sealed = value(data)?;
    for encrypted_key in encrypted_keys {
        let oaep = transport(encrypted_key)?;
        let wrapped = value(encrypted_key)?;
        for key in keys {
            let opened = unwrapped(key, oaep, &wrapped, cipher.key_length());
            if let Some(text) = opened.and_then(|key| opened_text(cipher, &key, sealed.clone())) {
                return Ok(in_context(element, &text));
            }
        }
    }
    Err(SamlError::Decryption)
}

/// How the content is encrypted, where that is accepted.
fn cipher(data: Node<'_, '_>, allow_cbc: bool) -> Result<Cipher, SamlError> {
    match method(data)? {
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Ok(Cipher::Gcm(&aead::AES_128_GCM)),
        "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Ok(Cipher::Gcm(&aead::AES_192_GCM)),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Ok(Cipher::Gcm(&aead::AES_256_GCM)),
        "http://www.w3.org/2001/04/xmlenc#aes128-cbc" if allow_cbc => Ok(Cipher::Cbc(&AES_128, 16)),
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc" if allow_cbc => Ok(Cipher::Cbc(&AES_256, 32)),
        name => Err(SamlError::Algorithm(super::shown(name))),
    }
}

/// How the key is encrypted (XML Encryption 1.1 §5.5.2). Over SHA-1 where it says nothing else: OAEP does
/// not lean on collisions.
fn transport(encrypted_key: Node<'_, '_>) -> Result<&'static OaepAlgorithm, SamlError> {
    let name = method(encrypted_key)?;
    let node = xml::one(encrypted_key, XENC, "EncryptionMethod")?;
    let of = |namespace, element| -> Result<&str, SamlError> {
        let found = node.map(|node| xml::one(node, namespace, element)).transpose()?.flatten();
        Ok(found.and_then(|found| xml::attribute(found, "Algorithm")).unwrap_or_default())
    };
    if node.is_some_and(|node| xml::children(node, XENC, "OAEPparams").next().is_some()) {
        return Err(SamlError::Algorithm("RSA-OAEP with OAEPparams".into()));
    }
    let (hash, mask) = (of(DSIG, "DigestMethod")?, of(XENC11, "MGF")?);
    let mask = match (name, mask) {
        ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "")
        | (
            "http://www.w3.org/2009/xmlenc11#rsa-oaep",
            "" | "http://www.w3.org/2009/xmlenc11#mgf1sha1",
        ) => "sha1",
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", mask) => {
            mask.strip_prefix("http://www.w3.org/2009/xmlenc11#mgf1").unwrap_or_default()
        }
        _ => return Err(SamlError::Algorithm(super::shown(name))),
    };
    match (hash, mask) {
        ("" | "http://www.w3.org/2000/09/xmldsig#sha1", "sha1") => Ok(&OAEP_SHA1_MGF1SHA1),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "sha256") => Ok(&OAEP_SHA256_MGF1SHA256),
        ("http://www.w3.org/2001/04/xmldsig-more#sha384", "sha384") => Ok(&OAEP_SHA384_MGF1SHA384),
        ("http://www.w3.org/2001/04/xmlenc#sha512", "sha512") => Ok(&OAEP_SHA512_MGF1SHA512),
        (hash, mask) => {
            let what =
                format!("RSA-OAEP with {} and MGF1 {}", super::shown(hash), super::shown(mask));
            Err(SamlError::Algorithm(what))
        }
    }
}

fn method<'a>(node: Node<'a, '_>) -> Result<&'a str, SamlError> {
    let method = xml::one(node, XENC, "EncryptionMethod")?;
    let missing = SamlError::Profile("EncryptionMethod is missing");
    method.and_then(|method| xml::attribute(method, "Algorithm")).ok_or(missing)
}

/// What is encrypted: in place, never elsewhere (`CipherReference`).
fn value(node: Node<'_, '_>) -> Result<Vec<u8>, SamlError> {
    let data = xml::one(node, XENC, "CipherData")?;
    let value = data.map(|data| xml::one(data, XENC, "CipherValue")).transpose()?.flatten();
    let missing = SamlError::Profile("CipherValue is missing, or is not base64");
    value.and_then(xml::bytes).ok_or(missing)
}

fn unwrapped(
    DecryptionKey(key): &DecryptionKey,
    algorithm: &'static OaepAlgorithm,
    wrapped: &[u8],
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let opened = key.decrypt(algorithm, wrapped, &mut out, None).ok()?;
    (opened.len() == length).then(|| Zeroizing::new(opened.to_vec()))
}

/// XML Encryption 1.1 §5.2: the nonce or initialisation vector stands before what is encrypted.
fn opened_text(cipher: Cipher, key: &[u8], mut sealed: Vec<u8>) -> Option<Zeroizing<String>> {
    let opened = match cipher {
        Cipher::Gcm(algorithm) => {
            let (nonce, rest) = sealed.split_at_mut_checked(12)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
            let opened = key.open_in_place(nonce, Aad::empty(), rest).ok()?;
            Zeroizing::new(opened.to_vec())
        }
        Cipher::Cbc(algorithm, _) => {
            let (vector, rest) = sealed.split_at_mut_checked(16)?;
            let vector = FixedLength::<16>::try_from(&*vector).ok()?;
            let key = UnboundCipherKey::new(algorithm, key).ok()?;
            let key = PaddedBlockDecryptingKey::cbc_iso10126(key).ok()?;
            let opened = key.decrypt(rest, DecryptionContext::Iv128(vector)).ok()?;
            Zeroizing::new(opened.to_vec())
        }
    };
    std::str::from_utf8(&opened).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// A text in an element that declares all that was declared where it stood (XML Encryption 1.1 §4.5): so
/// prefixes that were declared further out are known.
fn in_context(place: Node<'_, '_>, text: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::from(
        "<portcullis-context:EncryptedAssertion xmlns:portcullis-context=\"",
    ));
    whole.push_str(ASSERTION);
    whole.push('"');
    for namespace in place.namespaces() {
        match namespace.name() {
            Some("portcullis-context" | "xml") => {}
            Some(prefix) => {
                whole.push_str(&format!(" xmlns:{prefix}=\"{}\"", Escaped(namespace.uri())));
            }
            None => whole.push_str(&format!(" xmlns=\"{}\"", Escaped(namespace.uri()))),
        }
    }
    whole.push('>');
    whole.push_str(text);
    whole.push_str("</portcullis-context:EncryptedAssertion>");
    whole
}
