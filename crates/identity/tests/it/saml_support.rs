//! A SAML identity provider that shares no code with the reader: what it signs it writes in canonical form
//! to begin with, so it needs no canonicalization.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::{aead, digest, signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::principal::PrincipalKind;
use portcullis_core::time::Timestamp;
use portcullis_identity::saml::{
    Asserted, Posted, SamlAddresses, SamlError, SamlParties, SamlPending, SamlProvider,
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use std::path::Path;
use std::rc::Rc;
use std::sync::OnceLock;

pub(crate) const IDP: &str = "https://idp.example/entity";
pub(crate) const SP: &str = "https://gate.example/auth/saml/metadata";
pub(crate) const ACS: &str = "https://gate.example/auth/saml/acs";
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const EXC: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// A key with its certificate.
pub(crate) struct Keys {
    pub(crate) pair: KeyPair,
    pub(crate) certificate: Vec<u8>,
    pub(crate) pem: String,
}

impl Keys {
    fn generate() -> Self {
        Self::of(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    }

    pub(crate) fn of(pair: KeyPair) -> Self {
        let certificate = CertificateParams::new(vec!["x".into()]).unwrap();
        let certificate = certificate.self_signed(&pair).unwrap();
        Self { pem: certificate.pem(), certificate: certificate.der().to_vec(), pair }
    }

    /// By the algorithm of this name, or `rsa-sha256` where it is none of the key.
    fn sign_by(&self, method: &str, text: &str) -> Vec<u8> {
        let (key, text) = (self.pair.serialize_der(), text.as_bytes());
        let random = SystemRandom::new();
        let ec = |algorithm| {
            let key = signature::EcdsaKeyPair::from_pkcs8(algorithm, &key).unwrap();
            key.sign(&random, text).unwrap().as_ref().to_vec()
        };
        let rsa = |padding: &'static dyn signature::RsaEncoding| {
            let key = signature::RsaKeyPair::from_pkcs8(&key).unwrap();
            let mut out = vec![0; key.public_modulus_len()];
            key.sign(padding, &random, text, &mut out).unwrap();
            out
        };
        match method.rsplit('#').next().unwrap() {
            "ecdsa-sha256" if self.is_ec() => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ecdsa-sha384" if self.is_ec() => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            "ecdsa-sha512" if self.is_ec() => ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            "eddsa-ed25519" => {
                let key = signature::Ed25519KeyPair::from_pkcs8(&key).unwrap();
                key.sign(text).as_ref().to_vec()
            }
            "rsa-sha384" => rsa(&signature::RSA_PKCS1_SHA384),
            "rsa-sha512" => rsa(&signature::RSA_PKCS1_SHA512),
            "sha256-rsa-MGF1" => rsa(&signature::RSA_PSS_SHA256),
            "sha384-rsa-MGF1" => rsa(&signature::RSA_PSS_SHA384),
            "sha512-rsa-MGF1" => rsa(&signature::RSA_PSS_SHA512),
            _ => rsa(&signature::RSA_PKCS1_SHA256),
        }
    }

    fn is_ec(&self) -> bool {
        self.pair.algorithm() != &PKCS_RSA_SHA256
    }

    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        let key = signature::RsaKeyPair::from_pkcs8(&self.pair.serialize_der()).unwrap();
        let mut out = vec![0; key.public_modulus_len()];
        let random = SystemRandom::new();
        key.sign(&signature::RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut out).unwrap();
        out
    }
}

/// Keys of the provider (two, for rollover), of somebody else, and of the gateway.
pub(crate) struct AllKeys {
    pub(crate) idp: Keys,
    pub(crate) next: Keys,
    pub(crate) stranger: Keys,
    pub(crate) own: Keys,
}

pub(crate) fn keys() -> &'static AllKeys {
    static KEYS: OnceLock<AllKeys> = OnceLock::new();
    KEYS.get_or_init(|| AllKeys {
        idp: Keys::generate(),
        next: Keys::generate(),
        stranger: Keys::generate(),
        own: Keys::generate(),
    })
}

pub(crate) const NOW: i64 = 1_790_000_000;

pub(crate) fn now() -> Timestamp {
    at(0)
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((NOW + seconds) * 1_000_000)
}

pub(crate) fn time(seconds: i64) -> String {
    format!("{:.0}", at(seconds))
}

pub(crate) fn addresses() -> SamlAddresses {
    SamlAddresses { acs: ACS.into(), metadata: SP.into() }
}

pub(crate) fn metadata(entity: &str, certificates: &[&Keys], more: &str) -> String {
    let keys: String = certificates
        .iter()
        .map(|keys| {
            format!(
                "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{}\n\
                 </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                STANDARD.encode(&keys.certificate)
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><!-- as it is --><md:EntityDescriptor \
         xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"{DS}\" entityID=\"{entity}\"{more}>\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"{SAMLP}\">{keys}<md:SingleSignOnService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.example/sso?x=1\"/></md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

/// A gateway and its provider.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) parties: SamlParties,
}

pub(crate) fn world(change: impl FnOnce(&mut SamlProvider, &Path)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let all = keys();
    let text = metadata(IDP, &[&all.idp, &all.next], "");
    std::fs::write(path.join("idp.xml"), text).unwrap();
    std::fs::write(path.join("other.xml"), metadata("https://other.example", &[&all.stranger], ""))
        .unwrap();
    std::fs::write(path.join("own.key"), all.own.pair.serialize_pem()).unwrap();
    std::fs::write(path.join("own.pem"), &all.own.pem).unwrap();
    let mut provider = SamlProvider::new("corp", IDP, path.join("idp.xml"));
    provider.default_kind = PrincipalKind::Person;
    change(&mut provider, path);
    let mut other = SamlProvider::new("other", "https://other.example", path.join("other.xml"));
    other.default_kind = PrincipalKind::Person;
    World { parties: SamlParties::new(&[provider, other]).unwrap(), folder }
}

pub(crate) fn posted(xml: &str) -> Posted {
    let response = STANDARD.encode(xml).replace('+', "%2B").replace('=', "%3D");
    Posted::parse(&format!("SAMLResponse={response}&RelayState=x")).unwrap()
}

impl World {
    /// A sign-in that was begun, and the ID of its request.
    pub(crate) fn begun(&self) -> (SamlPending, String) {
        let (pending, id, request) = self.begun_at(false);
        assert!(!request.contains("ForceAuthn"), "{request}");
        (pending, id)
    }

    /// The same, with the request; `anew`: its person has to sign in anew.
    pub(crate) fn begun_at(&self, anew: bool) -> (SamlPending, String, String) {
        let (url, pending) = self.parties.begin("corp", &addresses(), anew, now()).unwrap();
        assert_eq!(pending.is_anew(), anew);
        let url = reqwest::Url::parse(&url).unwrap();
        let request = url.query_pairs().find(|(name, _)| name == "SAMLRequest").unwrap().1;
        let request = STANDARD.decode(&*request).unwrap();
        let request = std::str::from_utf8(&request[5..]).unwrap().to_owned();
        let id = request.split("ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (pending, id, request)
    }

    pub(crate) fn answered(
        &self,
        make: impl FnOnce(&str) -> String,
    ) -> Result<Asserted, SamlError> {
        let (pending, id) = self.begun();
        self.parties.finish(Some(pending), &posted(&make(&id)), &addresses(), now())
    }
}

/// An assertion, part by part, in canonical form.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) id: String,
    pub(crate) issuer: String,
    pub(crate) issued: String,
    pub(crate) name_id: String,
    pub(crate) confirmation: String,
    pub(crate) conditions: String,
    pub(crate) statement: String,
    pub(crate) attributes: String,
}

pub(crate) const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

pub(crate) fn confirmation(request: Option<&str>, until: i64, recipient: &str) -> String {
    let request = request.map(|id| format!(" InResponseTo=\"{id}\"")).unwrap_or_default();
    format!(
        "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
         <saml:SubjectConfirmationData{request} NotOnOrAfter=\"{}\" Recipient=\"{recipient}\">\
         </saml:SubjectConfirmationData></saml:SubjectConfirmation>",
        time(until)
    )
}

pub(crate) fn conditions(from: i64, until: i64, more: &str) -> String {
    format!(
        "<saml:Conditions NotBefore=\"{}\" NotOnOrAfter=\"{}\">{more}</saml:Conditions>",
        time(from),
        time(until)
    )
}

pub(crate) fn audience(audience: &str) -> String {
    format!(
        "<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
    )
}

pub(crate) fn attribute(name: &str, values: &[&str]) -> String {
    let values: String = values
        .iter()
        .map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>"))
        .collect();
    format!("<saml:Attribute Name=\"{name}\">{values}</saml:Attribute>")
}

impl Says {
    pub(crate) fn good(request: Option<&str>) -> Self {
        Self {
            id: "_a1".into(),
            issuer: format!("<saml:Issuer>{IDP}</saml:Issuer>"),
            issued: time(-5),
            name_id: format!("<saml:NameID Format=\"{PERSISTENT}\">u-ana</saml:NameID>"),
            confirmation: confirmation(request, 300, ACS),
            conditions: conditions(-60, 300, &audience(SP)),
            statement: format!(
                "<saml:AuthnStatement AuthnInstant=\"{}\" SessionIndex=\"s1\"></saml:AuthnStatement>",
                time(-10)
            ),
            attributes: attribute("groups", &["dba", "developers"]),
        }
    }

    /// Without a signature.
    pub(crate) fn text(&self) -> String {
        let Self { id, issuer, issued, name_id, confirmation, conditions, statement, attributes } =
            self;
        format!(
            "<saml:Assertion xmlns:saml=\"{SAML}\" ID=\"{id}\" IssueInstant=\"{issued}\" \
             Version=\"2.0\">{issuer}<saml:Subject>{name_id}{confirmation}</saml:Subject>{conditions}\
             {statement}<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"
        )
    }

    pub(crate) fn signed(&self) -> String {
        Sig::of(&self.id).on(&self.text())
    }
}

/// A signature, part by part.
#[derive(Clone)]
pub(crate) struct Sig {
    pub(crate) uri: String,
    pub(crate) canonicalization: String,
    pub(crate) method: String,
    pub(crate) transforms: Vec<String>,
    pub(crate) hash: String,
    pub(crate) more: String,
    pub(crate) key_info: String,
    pub(crate) stranger: bool,
    pub(crate) next: bool,
    pub(crate) by: Option<Rc<Keys>>,
}

impl Sig {
    pub(crate) fn of(id: &str) -> Self {
        Self {
            uri: format!("#{id}"),
            canonicalization: EXC.into(),
            method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256".into(),
            transforms: vec![ENVELOPED.into(), EXC.into()],
            hash: "http://www.w3.org/2001/04/xmlenc#sha256".into(),
            more: String::new(),
            key_info: String::new(),
            stranger: false,
            next: false,
            by: None,
        }
    }

    /// The signature of a canonical text.
    pub(crate) fn over(&self, text: &str) -> String {
        let hash = match self.hash.rsplit('#').next().unwrap() {
            "sha384" => &digest::SHA384,
            "sha512" => &digest::SHA512,
            _ => &digest::SHA256,
        };
        let digest = STANDARD.encode(digest::digest(hash, text.as_bytes()));
        let transforms: String = self
            .transforms
            .iter()
            .map(|name| format!("<ds:Transform Algorithm=\"{name}\"></ds:Transform>"))
            .collect();
        let reference = format!(
            "<ds:Reference URI=\"{}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod \
             Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>",
            self.uri, self.hash
        );
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{}\">\
             </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
             {reference}{}</ds:SignedInfo>",
            self.canonicalization, self.method, self.more
        );
        let all = keys();
        let key = match (&self.by, self.stranger, self.next) {
            (Some(key), ..) => key,
            (_, true, _) => &all.stranger,
            (_, _, true) => &all.next,
            _ => &all.idp,
        };
        let value = STANDARD.encode(key.sign_by(&self.method, &info));
        // Where it stands, its namespace is declared already.
        let info = info.replacen(&format!(" xmlns:ds=\"{DS}\""), "", 1);
        format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>{}\
             </ds:Signature>",
            self.key_info
        )
    }

    /// A canonical text with its signature, behind its issuer.
    pub(crate) fn on(&self, text: &str) -> String {
        with_signature(text, &self.over(text))
    }
}

pub(crate) fn with_signature(text: &str, signature: &str) -> String {
    text.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

/// An answer around something, in canonical form, with the ID `_r1`.
pub(crate) fn response(request: Option<&str>, inner: &str) -> String {
    response_with(request, &format!(" Destination=\"{ACS}\""), "Success", inner)
}

pub(crate) fn response_with(
    request: Option<&str>,
    destination: &str,
    status: &str,
    inner: &str,
) -> String {
    let request = request.map(|id| format!(" InResponseTo=\"{id}\"")).unwrap_or_default();
    format!(
        "<samlp:Response xmlns:samlp=\"{SAMLP}\"{destination} ID=\"_r1\"{request} \
         IssueInstant=\"{}\" Version=\"2.0\"><saml:Issuer xmlns:saml=\"{SAML}\">{IDP}</saml:Issuer>\
         <samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:{status}\">\
         </samlp:StatusCode></samlp:Status>{inner}</samlp:Response>",
        time(-5)
    )
}

/// How an assertion is encrypted.
pub(crate) struct Sealing {
    pub(crate) data: &'static str,
    pub(crate) key: &'static str,
    pub(crate) to_stranger: bool,
    pub(crate) flip: bool,
}

impl Default for Sealing {
    fn default() -> Self {
        Self {
            data: "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            key: "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
            to_stranger: false,
            flip: false,
        }
    }
}

impl Sealing {
    pub(crate) fn sealed(&self, text: &str) -> String {
        let secret = [7u8; 32];
        let mut sealed = text.as_bytes().to_vec();
        let vector = match self.data.ends_with("#aes256-cbc") {
            true => {
                let key = UnboundCipherKey::new(&AES_256, &secret).unwrap();
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap();
                let DecryptionContext::Iv128(vector) = key.encrypt(&mut sealed).unwrap() else {
                    panic!("CBC has a vector of 128 bits");
                };
                vector.as_ref().to_vec()
            }
            false => {
                let nonce = [9u8; 12];
                let key = aead::UnboundKey::new(&aead::AES_256_GCM, &secret).unwrap();
                let at = aead::Nonce::assume_unique_for_key(nonce);
                let key = aead::LessSafeKey::new(key);
                key.seal_in_place_append_tag(at, aead::Aad::empty(), &mut sealed).unwrap();
                nonce.to_vec()
            }
        };
        if self.flip {
            sealed[3] ^= 1;
        }
        let sealed = STANDARD.encode([vector, sealed].concat());
        let all = keys();
        let to = if self.to_stranger { &all.stranger } else { &all.own };
        let public = PublicEncryptingKey::from_der(&to.pair.subject_public_key_info()).unwrap();
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        let mut wrapped = vec![0; public.ciphertext_size()];
        let wrapped = public.encrypt(&OAEP_SHA1_MGF1SHA1, &secret, &mut wrapped, None).unwrap();
        format!(
            "<saml:EncryptedAssertion xmlns:saml=\"{SAML}\"><xenc:EncryptedData \
             xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" \
             Type=\"http://www.w3.org/2001/04/xmlenc#Element\"><xenc:EncryptionMethod \
             Algorithm=\"{}\"></xenc:EncryptionMethod><ds:KeyInfo xmlns:ds=\"{DS}\"><xenc:EncryptedKey>\
             <xenc:EncryptionMethod Algorithm=\"{}\"></xenc:EncryptionMethod><xenc:CipherData>\
             <xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>\
             <xenc:CipherData><xenc:CipherValue>{sealed}</xenc:CipherValue></xenc:CipherData>\
             </xenc:EncryptedData></saml:EncryptedAssertion>",
            self.data,
            self.key,
            STANDARD.encode(wrapped)
        )
    }
}
