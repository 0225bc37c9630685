//! An answer of a provider (SAML core §3.3.3, profiles §4.1.4), from its text to whoever it says has
//! signed in. Before the life of a request.
//!
//! The order: the text is read once, and refused where it has two readings; every assertion and every
//! signature stands where the profile has it; signatures are checked; and from then on nothing is read
//! but the text that was hashed for one of them.

use super::encryption::{self, DecryptionKey};
use super::error::SamlError;
use super::settings::{SamlProvider, UNSPECIFIED};
use super::xml::{self, ASSERTION, DSIG, PROTOCOL};
use super::{Own, signature, time};
use crate::CLOCKS_DIFFER;
use crate::oidc::{Key, MAX_GROUPS};
use crate::text::is_presentable;
use portcullis_core::principal::{Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use roxmltree::Node;
use std::collections::BTreeSet;
use std::time::Duration;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
/// In place of groups where there are more than are written (Microsoft Entra).
const GROUPS_ELSEWHERE: &str = "http://schemas.microsoft.com/claims/groups.link";
/// Longest time for which an assertion may be brought.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer is held against.
pub(super) struct Expected<'a> {
    pub(super) provider: &'a SamlProvider,
    pub(super) keys: &'a [Key],
    pub(super) decryption: &'a [DecryptionKey],
    pub(super) own: Own<'a>,
    /// The ID of the request it has to answer; `None` where nobody has asked.
    pub(super) request: Option<&'a str>,
    /// Since when its person must have signed in, where that is asked.
    pub(super) anew_since: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// What is believed of an answer.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) principal: Principal,
    /// The assertion's ID, unique at its issuer.
    pub(super) id: String,
    /// Until when it could be brought again.
    pub(super) until: Timestamp,
}

/// What an answer says of its issuer: good for choosing what it is held against, not to be believed.
pub(super) fn claimed_issuer(text: &str) -> Result<Option<String>, SamlError> {
    let document = xml::message(text)?;
    let issuer = xml::one(document.root_element(), ASSERTION, "Issuer")?;
    Ok(issuer.and_then(xml::text).map(str::to_owned))
}

/// Who an answer says has signed in.
pub(super) fn read(text: &str, expected: &Expected<'_>) -> Result<Believed, SamlError> {
    let document = xml::message(text)?;
    let response = document.root_element();
    check_response(response)?;
    let assertion = sole_assertion(response)?;
    check_envelope(response, expected)?;
    let signed_response = signature::signed(text, response, expected.keys)?;
    let Some(covered) = signed_response else {
        let assertion = assertion.ok_or(SamlError::NoAssertion)?;
        return from_assertion(text, assertion, false, expected);
    };
    let document = xml::message(&covered)?;
    let response = document.root_element();
    check_response(response)?;
    check_envelope(response, expected)?;
    if xml::attribute(response, "Destination").is_none() {
        // SAML bindings §3.5.5.2.
        return Err(SamlError::Profile("a signed answer needs a Destination"));
    }
    let covered_assertion = sole_assertion(response)?.ok_or(SamlError::NoAssertion)?;
    match assertion.filter(|assertion| is_signed(*assertion)) {
        // Its signature is over the text as it came, with all that is declared around it.
        Some(assertion) => from_assertion(text, assertion, true, expected),
        None => from_assertion(&covered, covered_assertion, true, expected),
    }
}

fn is_signed(assertion: Node<'_, '_>) -> bool {
    xml::children(assertion, DSIG, "Signature").next().is_some()
}

/// From the one assertion of an answer. `covered`: the answer's own signature is over it.
fn from_assertion(
    text: &str,
    assertion: Node<'_, '_>,
    covered: bool,
    expected: &Expected<'_>,
) -> Result<Believed, SamlError> {
    if xml::is(assertion, ASSERTION, "Assertion") {
        if expected.provider.require_encryption {
            return Err(SamlError::NotEncrypted);
        }
        return from_plain(text, assertion, covered, expected);
    }
    let cbc = expected.provider.allow_aes_cbc;
    let opened = encryption::decrypted(assertion, expected.decryption, cbc, covered)?;
    let document = xml::message(&opened)?;
    let around = document.root_element();
    let assertion = sole_assertion(around)?.ok_or(SamlError::NoAssertion)?;
    if !xml::is(assertion, ASSERTION, "Assertion")
        || around.children().filter(Node::is_element).count() != 1
    {
        return Err(SamlError::Profile("what was encrypted is not one Assertion"));
    }
    from_plain(&opened, assertion, covered, expected)
}

fn from_plain(
    text: &str,
    assertion: Node<'_, '_>,
    covered: bool,
    expected: &Expected<'_>,
) -> Result<Believed, SamlError> {
    match signature::signed(text, assertion, expected.keys)? {
        Some(covered) => believed(xml::message(&covered)?.root_element(), expected),
        None if covered => believed(assertion, expected),
        None => Err(SamlError::Unsigned),
    }
}

fn check_response(response: Node<'_, '_>) -> Result<(), SamlError> {
    if !xml::is(response, PROTOCOL, "Response")
        || xml::attribute(response, "Version") != Some("2.0")
    {
        return Err(SamlError::NotAResponse);
    }
    Ok(())
}

/// The one assertion of an answer, encrypted or not, if it has one. No other assertion, no other answer
/// and no signature of anything else is anywhere below.
fn sole_assertion<'a, 'i>(around: Node<'a, 'i>) -> Result<Option<Node<'a, 'i>>, SamlError> {
    let is_assertion = |node: Node<'_, '_>| {
        xml::is(node, ASSERTION, "Assertion") || xml::is(node, ASSERTION, "EncryptedAssertion")
    };
    for node in around.descendants().filter(|node| *node != around) {
        let parent = node.parent();
        let (what, good) = if is_assertion(node) {
            ("Assertion", parent == Some(around))
        } else if xml::is(node, PROTOCOL, "Response") {
            ("Response", false)
        } else if xml::is(node, DSIG, "Signature") {
            let of_assertion = parent
                .is_some_and(|p| xml::is(p, ASSERTION, "Assertion") && p.parent() == Some(around));
            ("Signature", parent == Some(around) || of_assertion)
        } else {
            continue;
        };
        if !good {
            return Err(SamlError::Misplaced { what, at: super::shown(&xml::place(node)) });
        }
    }
    let mut all = around.children().filter(|node| is_assertion(*node));
    match (all.next(), all.next()) {
        (first, None) => Ok(first),
        _ => Err(SamlError::SeveralAssertions),
    }
}

/// What the answer says around its assertion.
fn check_envelope(response: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), SamlError> {
    if let Some(issuer) = xml::one(response, ASSERTION, "Issuer")? {
        check_issuer(issuer, expected)?;
    }
    if xml::attribute(response, "Destination").is_some_and(|said| said != expected.own.acs) {
        return Err(SamlError::Destination);
    }
    check_status(response)?;
    match (expected.request, xml::attribute(response, "InResponseTo")) {
        (Some(asked), Some(said)) if asked == said => Ok(()),
        (None, None) if expected.provider.idp_initiated => Ok(()),
        (None, None) => Err(SamlError::Unsolicited),
        _ => Err(SamlError::InResponseTo),
    }
}

/// SAML core §2.2.5: an entity, where it says a format.
fn check_issuer(issuer: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), SamlError> {
    let format = xml::attribute(issuer, "Format").is_none_or(|format| format == ENTITY);
    if !format || xml::text(issuer) != Some(&expected.provider.entity_id) {
        return Err(SamlError::Issuer);
    }
    Ok(())
}

/// SAML core §3.2.2. Of a refusal, the last part of its codes is passed on, where that is a word.
fn check_status(response: Node<'_, '_>) -> Result<(), SamlError> {
    let missing = || SamlError::Profile("Status is missing");
    let status = xml::one(response, PROTOCOL, "Status")?.ok_or_else(missing)?;
    let mut code = xml::one(status, PROTOCOL, "StatusCode")?;
    if code.and_then(|code| xml::attribute(code, "Value")) == Some(SUCCESS) {
        return Ok(());
    }
    let mut said = Vec::new();
    while let Some(node) = code.filter(|_| said.len() < 3) {
        let word = xml::attribute(node, "Value").and_then(|value| value.rsplit(':').next());
        let word = word.filter(|word| !word.is_empty() && word.len() <= 64);
        let word = word.filter(|word| word.bytes().all(|b| b.is_ascii_alphanumeric()));
        said.push(word.unwrap_or("an unknown code"));
        code = xml::one(node, PROTOCOL, "StatusCode")?;
    }
    if said.is_empty() {
        return Err(missing());
    }
    Err(SamlError::Status(said.join(", ")))
}

/// Everything an assertion says, of which all was signed.
fn believed(assertion: Node<'_, '_>, expected: &Expected<'_>) -> Result<Believed, SamlError> {
    let profile = SamlError::Profile;
    if !xml::is(assertion, ASSERTION, "Assertion")
        || xml::attribute(assertion, "Version") != Some("2.0")
    {
        return Err(profile("what is signed is not an Assertion of SAML 2.0"));
    }
    let id = xml::attribute(assertion, "ID").filter(|id| is_presentable(id));
    let id = id.ok_or(profile("the assertion has no ID"))?;
    let issuer = xml::one(assertion, ASSERTION, "Issuer")?;
    check_issuer(issuer.ok_or(SamlError::Issuer)?, expected)?;
    let issued = instant(assertion, "IssueInstant")?.ok_or(profile("IssueInstant is missing"))?;
    not_before("IssueInstant", issued, expected)?;
    let conditions = check_conditions(assertion, expected)?;
    let subject = xml::one(assertion, ASSERTION, "Subject")?;
    let subject = subject.ok_or(profile("the assertion has no Subject"))?;
    let confirmed = check_confirmation(subject, expected)?;
    let expires = check_statements(assertion, expected)?;
    let attributes = Attributes::read(assertion);
    let name_id = match &expected.provider.subject_attribute {
        Some(name) => attributes.sole(name)?.ok_or_else(|| missing(name))?,
        None => name_id(subject, expected)?,
    };
    let principal = principal(expected.provider, name_id, (id, expires), &attributes)?;
    let until = conditions.map_or(confirmed, |end| end.min(confirmed));
    let until = until.plus(expected.provider.leeway());
    Ok(Believed { principal, id: id.to_owned(), until })
}

fn missing(attribute: &str) -> SamlError {
    SamlError::Attribute(super::shown(attribute))
}

fn principal(
    provider: &SamlProvider,
    subject: &str,
    (id, expires): (&str, Timestamp),
    attributes: &Attributes<'_>,
) -> Result<Principal, SamlError> {
    let name = match &provider.name_attribute {
        Some(name) => attributes.sole(name)?,
        None => None,
    };
    let kind = match &provider.kind_attribute {
        Some(name) => match attributes.sole(name)? {
            None => provider.default_kind,
            Some("person") => PrincipalKind::Person,
            Some("agent") => PrincipalKind::Agent,
            Some("workload") => PrincipalKind::Workload,
            Some(_) => return Err(missing(name)),
        },
        None => provider.default_kind,
    };
    Ok(Principal {
        kind,
        subject: subject.to_owned(),
        name: name.unwrap_or(subject).to_owned(),
        issuer: provider.entity_id.clone(),
        acting_for: None,
        acting_for_issuer: None,
        // What the provider calls somebody by that is an address is one it vouches for.
        email: [Some(subject), name]
            .into_iter()
            .flatten()
            .find(|it| it.contains('@'))
            .map(str::to_owned),
        groups: attributes.groups(&provider.groups_attribute)?,
        token_id: Some(id.to_owned()),
        expires,
    })
}

/// An attribute that is a time, where it is there.
fn instant(node: Node<'_, '_>, name: &'static str) -> Result<Option<Timestamp>, SamlError> {
    let Some(text) = xml::attribute(node, name) else { return Ok(None) };
    time(text).map(Some).ok_or(SamlError::Profile("a time is not one in UTC (SAML core §1.3.3)"))
}

fn not_before(what: &'static str, at: Timestamp, expected: &Expected<'_>) -> Result<(), SamlError> {
    if at > expected.now.plus(expected.provider.leeway()) {
        return Err(SamlError::NotYetValid { what, ahead: at.since(expected.now) });
    }
    Ok(())
}

fn not_after(what: &'static str, at: Timestamp, expected: &Expected<'_>) -> Result<(), SamlError> {
    if at.plus(expected.provider.leeway()) <= expected.now {
        return Err(SamlError::Expired { what, ago: expected.now.since(at) });
    }
    Ok(())
}

/// SAML core §2.5.1; profiles §4.1.4.2 asks for an audience. When they run out, if they say so.
fn check_conditions(
    assertion: Node<'_, '_>,
    expected: &Expected<'_>,
) -> Result<Option<Timestamp>, SamlError> {
    let conditions = xml::one(assertion, ASSERTION, "Conditions")?;
    let conditions = conditions.ok_or(SamlError::Profile("the assertion has no Conditions"))?;
    if let Some(at) = instant(conditions, "NotBefore")? {
        not_before("Conditions NotBefore", at, expected)?;
    }
    let until = instant(conditions, "NotOnOrAfter")?;
    if let Some(at) = until {
        not_after("Conditions NotOnOrAfter", at, expected)?;
    }
    let mut restricted = false;
    for condition in conditions.children().filter(Node::is_element) {
        let known = |name| xml::is(condition, ASSERTION, name);
        if known("AudienceRestriction") {
            let mut audiences = xml::children(condition, ASSERTION, "Audience");
            let ours = |node| xml::text(node).map(str::trim) == Some(expected.own.entity_id);
            if !audiences.any(ours) {
                return Err(SamlError::Audience);
            }
            restricted = true;
        } else if !known("OneTimeUse") && !known("ProxyRestriction") {
            // Every assertion is used once here, and none is passed on.
            return Err(SamlError::Condition(super::shown(condition.tag_name().name())));
        }
    }
    if !restricted {
        return Err(SamlError::Audience);
    }
    Ok(until)
}

/// Profiles §4.1.4.2, §4.1.4.3: a bearer, here, now, for this request. Until when the assertion could be
/// brought by any of its confirmations, also one that is not good here and now.
fn check_confirmation(
    subject: Node<'_, '_>,
    expected: &Expected<'_>,
) -> Result<Timestamp, SamlError> {
    let bearer = |node: &Node<'_, '_>| xml::attribute(*node, "Method") == Some(BEARER);
    let mut refused = SamlError::Profile("the subject has no confirmation of the method bearer");
    let (mut good, mut last) = (false, expected.now);
    for confirmation in xml::children(subject, ASSERTION, "SubjectConfirmation").filter(bearer) {
        let data = xml::children(confirmation, ASSERTION, "SubjectConfirmationData");
        let ends = data.filter_map(|data| instant(data, "NotOnOrAfter").ok().flatten());
        last = ends.fold(last, Timestamp::max);
        match check_bearer(confirmation, expected) {
            Ok(()) => good = true,
            Err(error) => refused = error,
        }
    }
    if good { Ok(last) } else { Err(refused) }
}

fn check_bearer(confirmation: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), SamlError> {
    let profile = SamlError::Profile;
    let data = xml::one(confirmation, ASSERTION, "SubjectConfirmationData")?;
    let data = data.ok_or(profile("the confirmation has no SubjectConfirmationData"))?;
    if xml::attribute(data, "Recipient") != Some(expected.own.acs) {
        return Err(SamlError::Recipient);
    }
    if xml::attribute(data, "NotBefore").is_some() {
        return Err(profile("the confirmation of a bearer has a NotBefore"));
    }
    let until = instant(data, "NotOnOrAfter")?;
    let until = until.ok_or(profile("the confirmation has no NotOnOrAfter"))?;
    not_after("SubjectConfirmationData NotOnOrAfter", until, expected)?;
    if until > expected.now.plus(LONGEST) {
        return Err(SamlError::LifetimeTooLong);
    }
    if xml::attribute(data, "InResponseTo") != expected.request {
        return Err(SamlError::InResponseTo);
    }
    Ok(())
}

/// SAML core §2.7.2: somebody has signed in, and until when the provider stands by it.
fn check_statements(
    assertion: Node<'_, '_>,
    expected: &Expected<'_>,
) -> Result<Timestamp, SamlError> {
    let mut expires = expected.now.plus(expected.provider.session());
    let mut any = false;
    for statement in xml::children(assertion, ASSERTION, "AuthnStatement") {
        any = true;
        let instant_of = instant(statement, "AuthnInstant")?;
        let since = instant_of.ok_or(SamlError::Profile("AuthnInstant is missing"))?;
        not_before("AuthnInstant", since, expected)?;
        if expected.anew_since.is_some_and(|asked| since.plus(CLOCKS_DIFFER) < asked) {
            return Err(SamlError::NotAnew);
        }
        if let Some(until) = instant(statement, "SessionNotOnOrAfter")? {
            if until <= expected.now {
                return Err(SamlError::SessionOver);
            }
            expires = expires.min(until);
        }
    }
    if any { Ok(expires) } else { Err(SamlError::Profile("the assertion has no AuthnStatement")) }
}

/// The name ID that is the subject: of the configured kind, of this provider and for this gateway.
fn name_id<'a>(subject: Node<'a, '_>, expected: &Expected<'_>) -> Result<&'a str, SamlError> {
    let refused = SamlError::Subject;
    let name = xml::one(subject, ASSERTION, "NameID")?;
    let name = name.ok_or(refused("it is not a NameID in the clear"))?;
    let format = xml::attribute(name, "Format").unwrap_or(UNSPECIFIED);
    if format.ends_with(":transient") {
        return Err(refused(
            "its name ID is transient, another one each time: configure persistent ones at the \
             provider, or subject_attribute here",
        ));
    }
    if format != expected.provider.name_id.uri() {
        return Err(refused(
            "its name ID is of another format than name_id has: configure it at the provider or \
             here, or set subject_attribute",
        ));
    }
    // SAML core §8.3.7: names of another provider, or for another service, are others' names.
    let fits =
        |attribute, own: &str| xml::attribute(name, attribute).is_none_or(|said| said == own);
    if !fits("NameQualifier", &expected.provider.entity_id)
        || !fits("SPNameQualifier", expected.own.entity_id)
    {
        return Err(refused("its name ID is qualified as another provider's or another service's"));
    }
    let text = xml::text(name).filter(|text| is_presentable(text));
    text.ok_or(refused("its name ID cannot be shown as it is"))
}

/// The attributes of an assertion.
struct Attributes<'a>(Vec<(&'a str, Vec<Option<&'a str>>)>);

impl<'a> Attributes<'a> {
    fn read(assertion: Node<'a, '_>) -> Self {
        let statements = xml::children(assertion, ASSERTION, "AttributeStatement");
        let all = statements.flat_map(|node| xml::children(node, ASSERTION, "Attribute"));
        let read = |node: Node<'a, '_>| {
            let values = xml::children(node, ASSERTION, "AttributeValue");
            Some((xml::attribute(node, "Name")?, values.map(xml::text).collect()))
        };
        Self(all.filter_map(read).collect())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = Option<&'a str>> {
        self.0.iter().filter(move |(known, _)| *known == name).flat_map(|(_, v)| v.iter().copied())
    }

    /// The one value of an attribute that decides, which can be shown; `None` where it is not there.
    fn sole(&self, name: &str) -> Result<Option<&'a str>, SamlError> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(Some(text)), None) if is_presentable(text) => Ok(Some(text)),
            _ => Err(missing(name)),
        }
    }

    /// The groups, all of them: half would miss one that forbids. Some providers write an attribute for
    /// each; an empty one is none.
    fn groups(&self, name: &str) -> Result<BTreeSet<String>, SamlError> {
        if self.0.iter().any(|(name, _)| *name == GROUPS_ELSEWHERE) {
            return Err(SamlError::Groups("there is a link in their place (groups.link)"));
        }
        let all: Vec<Option<&str>> = self.values(name).filter(|value| *value != Some("")).collect();
        if all.len() > MAX_GROUPS {
            return Err(SamlError::Groups("there are more than 1024"));
        }
        let group = |text: Option<&str>| text.filter(|t| is_presentable(t)).map(str::to_owned);
        let all: Option<BTreeSet<String>> = all.into_iter().map(group).collect();
        all.ok_or(SamlError::Groups("one cannot be shown as it is"))
    }
}
