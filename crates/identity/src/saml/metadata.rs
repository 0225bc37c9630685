//! Metadata (SAML metadata 2.0): what a provider says of itself, as an operator has put it in place, and
//! what the gateway says of itself. Before the life of a request.

use super::error::SamlError;
use super::settings::{NameIdFormat, SamlProvider};
use super::xml::{self, DSIG, METADATA, PROTOCOL};
use crate::oidc::Key;
use crate::text::Escaped;
use portcullis_core::time::Timestamp;
use reqwest::Url;
use roxmltree::Node;

/// Longest metadata file, in bytes: that of a federation of some hundred.
const MAX_FILE: usize = 4 << 20;
/// Most signing keys of a provider.
const MAX_KEYS: usize = 16;
pub(super) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(super) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// What is needed of a provider's metadata.
#[derive(Debug)]
pub struct IdpMetadata {
    /// Its entity ID.
    pub entity_id: String,
    /// Where browsers are sent with a request (HTTP-Redirect binding).
    pub sign_on: Url,
    /// Until when it may be used, where it says so.
    pub valid_until: Option<Timestamp>,
    /// The SHA-256 fingerprints of its signing certificates, in hexadecimal.
    pub fingerprints: Vec<String>,
    pub(super) keys: Vec<Key>,
}

impl IdpMetadata {
    /// Reads metadata. Where it is that of a federation, `entity_id` says whose is wanted; without it,
    /// there must be one identity provider.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, entity_id: Option<&str>) -> Result<Self, String> {
        if text.len() > MAX_FILE {
            return Err(format!("it is over {MAX_FILE} bytes"));
        }
        let document = xml::configured(text).map_err(|error| error.to_string())?;
        let is_provider = |node: &Node<'_, '_>| {
            xml::is(*node, METADATA, "EntityDescriptor")
                && xml::children(*node, METADATA, "IDPSSODescriptor").next().is_some()
                && entity_id.is_none_or(|wanted| xml::attribute(*node, "entityID") == Some(wanted))
        };
        let mut found = document.descendants().filter(is_provider);
        let entity = match (found.next(), found.next()) {
            (Some(entity), None) => entity,
            (None, _) => {
                let whose = entity_id.map(|id| format!(" {id}")).unwrap_or_default();
                return Err(format!("it has no identity provider{whose} (EntityDescriptor)"));
            }
            _ => return Err("it has several identity providers: say which".to_owned()),
        };
        let mut roles = xml::children(entity, METADATA, "IDPSSODescriptor").filter(|role| {
            let protocols = xml::attribute(*role, "protocolSupportEnumeration").unwrap_or_default();
            protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL)
        });
        let (Some(role), None) = (roles.next(), roles.next()) else {
            return Err("it has not one IDPSSODescriptor of SAML 2.0".to_owned());
        };
        let valid_until = valid_until(role)?;
        let (keys, fingerprints) = signing_keys(role)?;
        let entity_id = xml::attribute(entity, "entityID").unwrap_or_default().to_owned();
        Ok(Self { entity_id, sign_on: sign_on(role)?, valid_until, fingerprints, keys })
    }

    /// The keys, at a time at which the metadata may be used.
    pub(super) fn keys_at(&self, now: Timestamp) -> Result<&[Key], String> {
        match self.valid_until {
            Some(until) if until <= now => {
                Err(format!("it has run out at {until:.0} (validUntil): put the new one in place"))
            }
            _ => Ok(&self.keys),
        }
    }
}

/// The earliest `validUntil` of an element and of those around it.
fn valid_until(role: Node<'_, '_>) -> Result<Option<Timestamp>, String> {
    let all = role.ancestors().filter_map(|node| xml::attribute(node, "validUntil"));
    let all: Result<Vec<Timestamp>, String> = all
        .map(|text| super::time(text).ok_or(format!("validUntil `{text}` is no time")))
        .collect();
    Ok(all?.into_iter().min())
}

fn signing_keys(role: Node<'_, '_>) -> Result<(Vec<Key>, Vec<String>), String> {
    let for_signing =
        |node: &Node<'_, '_>| !matches!(xml::attribute(*node, "use"), Some("encryption"));
    let (mut keys, mut fingerprints) = (Vec::new(), Vec::new());
    for descriptor in xml::children(role, METADATA, "KeyDescriptor").filter(for_signing) {
        let mut certificates =
            descriptor.descendants().filter(|node| xml::is(*node, DSIG, "X509Certificate"));
        let first = certificates.next();
        // Those of a chain are of others, who sign certificates and no answers.
        if certificates.next().is_some() {
            return Err("a KeyDescriptor has several certificates: leave the one that signs".into());
        }
        if let Some(certificate) = first {
            let der = xml::bytes(certificate).ok_or("an X509Certificate is not base64")?;
            let key = Key::of_certificate(&der).map_err(|why| format!("a certificate: {why}"))?;
            fingerprints.push(super::fingerprint(&der));
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err("it has no signing certificate (KeyDescriptor)".to_owned());
    }
    if keys.len() > MAX_KEYS {
        return Err(format!("it has more than {MAX_KEYS} signing certificates"));
    }
    Ok((keys, fingerprints))
}

fn sign_on(role: Node<'_, '_>) -> Result<Url, String> {
    let mut services = xml::children(role, METADATA, "SingleSignOnService");
    let service = services.find(|service| xml::attribute(*service, "Binding") == Some(REDIRECT));
    let location = service.and_then(|service| xml::attribute(service, "Location"));
    let location = location.ok_or("it has no SingleSignOnService of the binding HTTP-Redirect")?;
    let url = Url::parse(location).map_err(|e| format!("SingleSignOnService `{location}`: {e}"))?;
    let loopback = crate::oidc::is_loopback(&url);
    if !(url.scheme() == "https" || url.scheme() == "http" && loopback) || url.fragment().is_some()
    {
        return Err(format!(
            "SingleSignOnService `{location}` must be https (http only on loopback)"
        ));
    }
    Ok(url)
}

/// The gateway's own metadata at a provider (SAML metadata §2.4.4).
pub(super) fn own(
    provider: &SamlProvider,
    own: &super::Own<'_>,
    certificate: Option<&[u8]>,
) -> String {
    use base64::Engine as _;
    let keys = certificate.map(|der| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let key = |usage: &str, methods: &str| {
            format!(
                "    <md:KeyDescriptor use=\"{usage}\">\n      <ds:KeyInfo><ds:X509Data>\
                 <ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\n\
                 {methods}    </md:KeyDescriptor>\n"
            )
        };
        let methods = [
            "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            "http://www.w3.org/2009/xmlenc11#aes128-gcm",
            "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
        ];
        let methods: String = methods
            .iter()
            .map(|method| format!("      <md:EncryptionMethod Algorithm=\"{method}\"/>\n"))
            .collect();
        key("signing", "") + &key("encryption", &methods)
    });
    let format = match &provider.subject_attribute {
        Some(_) => String::new(),
        None => format!("    <md:NameIDFormat>{}</md:NameIDFormat>\n", provider.name_id.uri()),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <md:EntityDescriptor xmlns:md=\"{METADATA}\" xmlns:ds=\"{DSIG}\" entityID=\"{entity}\">\n  \
         <md:SPSSODescriptor AuthnRequestsSigned=\"{signs}\" WantAssertionsSigned=\"true\" \
         protocolSupportEnumeration=\"{PROTOCOL}\">\n{keys}{format}    \
         <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{acs}\" index=\"0\" \
         isDefault=\"true\"/>\n  </md:SPSSODescriptor>\n</md:EntityDescriptor>\n",
        entity = Escaped(own.entity_id),
        signs = certificate.is_some(),
        keys = keys.unwrap_or_default(),
        acs = Escaped(own.acs),
    )
}

/// The request of a sign-in (SAML core §3.4.1, profiles §4.1.4.1).
pub(super) fn request(
    provider: &SamlProvider,
    own: &super::Own<'_>,
    (id, destination): (&str, &str),
    anew: bool,
    now: Timestamp,
) -> String {
    let policy = match (&provider.subject_attribute, provider.name_id) {
        (Some(_), _) | (None, NameIdFormat::Unspecified) => String::new(),
        (None, format) => format!(
            "<samlp:NameIDPolicy Format=\"{}\" AllowCreate=\"true\"></samlp:NameIDPolicy>",
            format.uri()
        ),
    };
    let forced = if anew { " ForceAuthn=\"true\"" } else { "" };
    format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" ID=\"{id}\" Version=\"2.0\" \
         IssueInstant=\"{now:.0}\" Destination=\"{}\" AssertionConsumerServiceURL=\"{}\" \
         ProtocolBinding=\"{POST}\"{forced}><saml:Issuer xmlns:saml=\"{}\">{}</saml:Issuer>{policy}\
         </samlp:AuthnRequest>",
        Escaped(destination),
        Escaped(own.acs),
        xml::ASSERTION,
        Escaped(own.entity_id),
    )
}

/// A text as the HTTP-Redirect binding has it (SAML bindings §3.4.4.1): base64 of raw DEFLATE (RFC 1951),
/// here in blocks that are stored as they are (its §3.2.4).
pub(super) fn deflated(text: &str) -> Result<String, SamlError> {
    use base64::Engine as _;
    let length =
        u16::try_from(text.len()).map_err(|_| SamlError::Own("the request is too long"))?;
    let mut out = vec![1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.as_bytes());
    Ok(base64::engine::general_purpose::STANDARD.encode(out))
}
