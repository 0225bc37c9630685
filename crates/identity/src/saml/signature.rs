//! XML signatures (XML-Signature Syntax and Processing 1.1) in the one form SAML has (SAML core §5.4): in
//! the element that is signed, of that element, by exclusive canonicalization. Before the life of a
//! request.
//!
//! *Architecture invariant:* what a check gives back is the text that was hashed, to be read anew. So it
//! does not matter which element anybody would have found: nothing is read but what was signed. The same
//! holds for `SignedInfo`, of which only the text under the signature is read.

use super::error::SamlError;
use super::xml::{self, DSIG, EXCLUSIVE};
use crate::oidc::{Key, SignatureAlgorithm};
use aws_lc_rs::digest;
use roxmltree::Node;

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Most prefixes of an `InclusiveNamespaces`.
const MAX_PREFIXES: usize = 32;

/// The algorithms that are accepted (RFC 6931, RFC 9231 §2.3). None is over SHA-1, and none is symmetric.
const ALGORITHMS: [(&str, SignatureAlgorithm); 10] = {
    use SignatureAlgorithm as A;
    [
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", A::RS256),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", A::RS384),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", A::RS512),
        ("http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", A::PS256),
        ("http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1", A::PS384),
        ("http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1", A::PS512),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", A::ES256),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", A::ES384),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", A::ES512),
        ("http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519", A::EdDSA),
    ]
};

/// What of an element its signature covers, as the text that was hashed: canonical, without the
/// signature. `None` where it has no signature. `source` is the text the element was read from.
///
/// # Errors
/// [`SamlError`] where there is one that is not good.
pub(super) fn signed(
    source: &str,
    element: Node<'_, '_>,
    keys: &[Key],
) -> Result<Option<String>, SamlError> {
    let mut found = xml::children(element, DSIG, "Signature");
    let signature = match (found.next(), found.next()) {
        (None, _) => return Ok(None),
        (Some(only), None) => only,
        _ => return Err(SamlError::SignatureForm("an element has two signatures")),
    };
    let parts = Parts::read(signature)?;
    let prefixes = prefixes(parts.canonicalization)?;
    let text = xml::canonical(source, parts.info, None, &prefixes)?;
    let document = xml::message(&text)?;
    let info = SignedInfo::read(document.root_element())?;
    // From the same text, but nothing is taken for granted.
    if info.prefixes != prefixes {
        return Err(SamlError::SignatureForm("its canonicalization is not what is signed"));
    }
    if !keys.iter().any(|key| key.verifies(info.algorithm, text.as_bytes(), &parts.value)) {
        return Err(SamlError::Signature);
    }
    // Nothing is looked up by the reference: it has to be that of the element we are at.
    let id = xml::attribute(element, "ID").filter(|id| !id.is_empty());
    if id.is_none() || info.reference != id {
        return Err(SamlError::ReferenceElsewhere);
    }
    let covered = xml::canonical(source, element, Some(signature.id()), &info.transform_prefixes)?;
    if digest::digest(info.digest, covered.as_bytes()).as_ref() != info.value {
        return Err(SamlError::Digest);
    }
    Ok(Some(covered))
}

/// The parts of a `Signature` that are used. Keys that it names or carries (`KeyInfo`) are not.
struct Parts<'a, 'i> {
    info: Node<'a, 'i>,
    canonicalization: Node<'a, 'i>,
    value: Vec<u8>,
}

impl<'a, 'i> Parts<'a, 'i> {
    fn read(signature: Node<'a, 'i>) -> Result<Self, SamlError> {
        let form = SamlError::SignatureForm;
        let below: Vec<Node<'a, 'i>> = signature.children().filter(Node::is_element).collect();
        let (info, value) = match below.as_slice() {
            [info, value] => (info, value),
            [info, value, key] if xml::is(*key, DSIG, "KeyInfo") => (info, value),
            _ => return Err(form("expected SignedInfo, SignatureValue and KeyInfo alone")),
        };
        if !xml::is(*info, DSIG, "SignedInfo") || !xml::is(*value, DSIG, "SignatureValue") {
            return Err(form("expected SignedInfo, SignatureValue and KeyInfo alone"));
        }
        let canonicalization = info.first_element_child();
        let canonicalization = canonicalization
            .filter(|first| xml::is(*first, DSIG, "CanonicalizationMethod"))
            .ok_or(form("SignedInfo has no CanonicalizationMethod"))?;
        let value = xml::bytes(*value).ok_or(form("SignatureValue is not base64"))?;
        Ok(Self { info: *info, canonicalization, value })
    }
}

/// What was signed about what is signed.
struct SignedInfo<'a> {
    prefixes: Vec<&'a str>,
    algorithm: SignatureAlgorithm,
    /// The ID its one reference is to.
    reference: Option<&'a str>,
    transform_prefixes: Vec<&'a str>,
    digest: &'static digest::Algorithm,
    value: Vec<u8>,
}

impl<'a> SignedInfo<'a> {
    fn read(info: Node<'a, '_>) -> Result<Self, SamlError> {
        let form = SamlError::SignatureForm;
        let below: Vec<Node<'a, '_>> = info.children().filter(Node::is_element).collect();
        let [canonicalization, method, reference] = below.as_slice() else {
            return Err(form("SignedInfo has not one method of each kind and one Reference"));
        };
        if !xml::is(*canonicalization, DSIG, "CanonicalizationMethod")
            || !xml::is(*method, DSIG, "SignatureMethod")
            || !xml::is(*reference, DSIG, "Reference")
        {
            return Err(form("SignedInfo has not one method of each kind and one Reference"));
        }
        let name = algorithm(*method);
        let known = ALGORITHMS.iter().find(|(known, _)| *known == name);
        let (_, algorithm) = known.ok_or_else(|| not_accepted(name))?;
        if method.first_element_child().is_some() {
            return Err(form("SignatureMethod has parameters"));
        }
        let (transform_prefixes, digest, value) = read_reference(*reference)?;
        Ok(Self {
            prefixes: prefixes(*canonicalization)?,
            algorithm: *algorithm,
            reference: xml::attribute(*reference, "URI").and_then(|uri| uri.strip_prefix('#')),
            transform_prefixes,
            digest,
            value,
        })
    }
}

/// Prefixes, digest algorithm and digest of a `Reference`.
fn read_reference<'a>(
    reference: Node<'a, '_>,
) -> Result<(Vec<&'a str>, &'static digest::Algorithm, Vec<u8>), SamlError> {
    let form = SamlError::SignatureForm;
    let below: Vec<Node<'a, '_>> = reference.children().filter(Node::is_element).collect();
    let [transforms, method, value] = below.as_slice() else {
        return Err(form("Reference has not Transforms, DigestMethod and DigestValue alone"));
    };
    if !xml::is(*transforms, DSIG, "Transforms")
        || !xml::is(*method, DSIG, "DigestMethod")
        || !xml::is(*value, DSIG, "DigestValue")
    {
        return Err(form("Reference has not Transforms, DigestMethod and DigestValue alone"));
    }
    // SAML core §5.4.4: no other transforms, as they could leave out or put in anything.
    let two = "the transforms are not enveloped-signature and exclusive canonicalization";
    let all: Vec<Node<'a, '_>> = transforms.children().filter(Node::is_element).collect();
    let [enveloped, exclusive] = all.as_slice() else { return Err(form(two)) };
    if all.iter().any(|transform| !xml::is(*transform, DSIG, "Transform"))
        || algorithm(*enveloped) != ENVELOPED
        || enveloped.first_element_child().is_some()
    {
        return Err(form(two));
    }
    let prefixes = prefixes(*exclusive)?;
    let digest = match algorithm(*method) {
        "http://www.w3.org/2001/04/xmlenc#sha256" => &digest::SHA256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => &digest::SHA384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => &digest::SHA512,
        name => return Err(not_accepted(name)),
    };
    let value = xml::bytes(*value).ok_or(form("DigestValue is not base64"))?;
    Ok((prefixes, digest, value))
}

fn algorithm<'a>(method: Node<'a, '_>) -> &'a str {
    xml::attribute(method, "Algorithm").unwrap_or_default()
}

/// The `PrefixList` of a method or transform, which must be exclusive canonicalization without
/// comments.
fn prefixes<'a>(method: Node<'a, '_>) -> Result<Vec<&'a str>, SamlError> {
    let name = algorithm(method);
    if name != EXCLUSIVE {
        return Err(not_accepted(name));
    }
    let form = SamlError::SignatureForm;
    let mut below = method.children().filter(Node::is_element);
    let list = match (below.next(), below.next()) {
        (None, _) => return Ok(Vec::new()),
        (Some(only), None) if xml::is(only, EXCLUSIVE, "InclusiveNamespaces") => only,
        _ => return Err(form("canonicalization has unknown parameters")),
    };
    let list = xml::attribute(list, "PrefixList").unwrap_or_default();
    let all: Vec<&str> = list
        .split_ascii_whitespace()
        .map(|prefix| if prefix == "#default" { "" } else { prefix })
        .collect();
    if all.len() > MAX_PREFIXES {
        return Err(form("canonicalization lists too many prefixes"));
    }
    Ok(all)
}

fn not_accepted(name: &str) -> SamlError {
    let shown = if name.is_empty() { "(none)" } else { name };
    SamlError::Algorithm(super::shown(shown))
}
