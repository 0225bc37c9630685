//! From verified claims to a principal: every check that is not the signature, in the order a
//! caller can make use of (for whom, when, who). Last step of the first station.

use super::error::IdentityError;
use super::jws::Verified;
use super::settings::{ActGroups, Provider};
use super::trust::TrustRule;
use super::vouched::{Borrows, MayAct, Vouched};
use crate::text::is_presentable;
use portcullis_core::principal::{Actor, Principal, PrincipalKind};
use portcullis_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Most groups a principal can have; a token with more has none.
pub(crate) const MAX_GROUPS: usize = 1024;

/// Deepest chain of actors (RFC 8693 §4.1, nested `act`).
const MAX_ACTORS: usize = 8;

/// The last second of the year 9999: a date beyond it is milliseconds taken for seconds, or worse.
const MAX_SECONDS: i64 = 253_402_300_799;

type Claims = Map<String, Value>;

/// Where in a token a value stands. Three spellings, told apart by their form alone:
/// `realm_access.roles` (names divided by dots), `/kubernetes.io/namespace` (a JSON pointer,
/// RFC 6901, for names with dots in them) and `https://corp.example/groups` (a name that is a URL).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimPath {
    text: String,
    names: Vec<String>,
}

impl ClaimPath {
    pub(crate) fn name(name: &str) -> Self {
        Self { text: name.to_owned(), names: vec![name.to_owned()] }
    }

    /// The names on the way to it, outermost first.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let (first, rest) = self.names.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
    }
}

impl TryFrom<String> for ClaimPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let names: Vec<String> = if let Some(pointer) = text.strip_prefix('/') {
            pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
        } else if text.contains("://") {
            vec![text.clone()]
        } else {
            text.split('.').map(str::to_owned).collect()
        };
        if names.len() > 8 || names.iter().any(String::is_empty) {
            return Err(format!(
                "`{}` is not a claim: expected `name`, `outer.inner`, `/outer/in.ner` or a URL",
                text.chars().take(80).collect::<String>()
            ));
        }
        Ok(Self { text, names })
    }
}

impl From<ClaimPath> for String {
    fn from(path: ClaimPath) -> Self {
        path.text
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl schemars::JsonSchema for ClaimPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimPath".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = String::json_schema(generator);
        schema.insert(
            "description".into(),
            "A claim: `name`, `outer.inner`, `/outer/in.ner` (JSON pointer) or a URL.".into(),
        );
        schema
    }
}

/// Who a verified token of a provider stands for, at `now`.
pub(crate) fn of_provider(
    provider: &Provider,
    verified: &Verified,
    now: Timestamp,
) -> Result<Vouched, IdentityError> {
    let (claims, expires) = checked(provider, verified, now)?;
    let caller = caller(provider, claims)?;
    let principal = Principal {
        kind: caller.kind,
        name: name_of(provider, caller.about, caller.subject),
        subject: caller.subject.to_owned(),
        issuer: provider.issuer.clone(),
        acting_for: caller.acting_for.map(str::to_owned),
        acting_for_issuer: None,
        email: verified_email(claims),
        groups: groups_of(provider, caller.groups_in),
        token_id: token_id(claims)?,
        expires,
    };
    let (by, may_act) = (provider.name.clone(), may_act(claims));
    Ok(Vouched { principal, by, actors: caller.actors, may_act, borrows: Borrows::AsLent })
}

/// Who a verified token stands for by trust rules, at `now`: by the one rule whose pins it meets.
pub(crate) fn of_rules(
    rules: &[TrustRule],
    verified: &Verified,
    now: Timestamp,
) -> Result<Vouched, IdentityError> {
    let claims = verified.claims();
    let mut meeting = rules.iter().filter(|rule| rule.check_pins(claims).is_ok());
    let rule = match (meeting.next(), meeting.next(), rules) {
        (Some(rule), None, _) | (None, None, [rule]) => rule,
        // Rules that two can meet are refused when they are loaded.
        _ => return Err(IdentityError::NoRule),
    };
    let provider = rule.provider();
    if !provider.algorithms.contains(&verified.algorithm()) {
        return Err(IdentityError::Algorithm);
    }
    let subject = rule.subject(claims)?;
    let (claims, expires) = checked(&provider, verified, now)?;
    let principal = Principal {
        kind: rule.principal_kind(),
        name: rule.name.clone(),
        subject,
        issuer: provider.issuer,
        acting_for: None,
        acting_for_issuer: None,
        email: None,
        groups: rule.groups.clone(),
        token_id: token_id(claims)?,
        expires,
    };
    let borrows = rule.lend_groups.clone().map_or(Borrows::Nothing, Borrows::These);
    Ok(Vouched { principal, by: rule.name.clone(), actors: Vec::new(), may_act: None, borrows })
}

/// The claims of a token that is for us, good at `now`, and what configuration requires; and when
/// it expires.
pub(crate) fn checked<'a>(
    provider: &Provider,
    verified: &'a Verified,
    now: Timestamp,
) -> Result<(&'a Claims, Timestamp), IdentityError> {
    let claims = verified.claims();
    if text(claims, "iss")? != provider.issuer {
        return Err(IdentityError::UnknownIssuer);
    }
    check_audience(provider, claims)?;
    let expires = check_times(provider, claims, now)?;
    check_use(claims)?;
    check_client(provider, claims)?;
    for (path, pinned) in &provider.required {
        if !path.find(claims).is_some_and(|value| pinned.is(value)) {
            return Err(IdentityError::Pin { claim: path.to_string() });
        }
    }
    Ok((claims, expires))
}

/// The token's own id, where it has one.
fn token_id(claims: &Claims) -> Result<Option<String>, IdentityError> {
    claims.get("jti").map(|_| text(claims, "jti").map(str::to_owned)).transpose()
}

/// Who alone may act for the token's subject (RFC 8693 §4.4). One that cannot be read lets nobody.
fn may_act(claims: &Claims) -> Option<MayAct> {
    let allowed = claims.get("may_act")?;
    let text = |name| allowed.get(name).and_then(Value::as_str).map(str::to_owned);
    // An issuer that is no text is not taken for one that is absent.
    let readable = allowed.get("iss").is_none_or(Value::is_string);
    Some(MayAct { subject: text("sub").filter(|_| readable), issuer: text("iss") })
}

/// A claim that must be a text which can be shown faithfully.
pub(crate) fn text<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, IdentityError> {
    match claims.get(name) {
        None => Err(IdentityError::MissingClaim(name.to_owned())),
        Some(Value::String(text)) if is_presentable(text) => Ok(text),
        Some(_) => Err(IdentityError::InvalidClaim(name.to_owned())),
    }
}

/// RFC 7519 §4.1.3: one text or a list of them.
fn check_audience(provider: &Provider, claims: &Claims) -> Result<(), IdentityError> {
    let ours = |value: &Value| value.as_str().is_some_and(|aud| provider.takes_as_bearer(aud));
    let good = match claims.get("aud") {
        None => return Err(IdentityError::MissingClaim("aud".into())),
        Some(value @ Value::String(_)) => ours(value),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => list.iter().any(ours),
        Some(_) => return Err(IdentityError::InvalidClaim("aud".into())),
    };
    if good {
        Ok(())
    } else {
        Err(IdentityError::WrongAudience { expected: provider.audiences.clone() })
    }
}

/// RFC 7519 §4.1.4 to §4.1.6. The leeway is for clocks that run ahead of ours (`nbf`, `iat`);
/// `exp` has none, because a session would not outlive it anyway.
fn check_times(
    provider: &Provider,
    claims: &Claims,
    now: Timestamp,
) -> Result<Timestamp, IdentityError> {
    let expires = date(claims, "exp")?.ok_or_else(|| IdentityError::MissingClaim("exp".into()))?;
    if expires <= now {
        return Err(IdentityError::Expired { ago: now.since(expires) });
    }
    let latest = now.plus(provider.leeway());
    for claim in ["nbf", "iat"] {
        if let Some(at) = date(claims, claim)?
            && at > latest
        {
            return Err(IdentityError::NotYetValid { claim, ahead: at.since(now) });
        }
    }
    let limit = provider.max_lifetime();
    let issued = date(claims, "iat")?.unwrap_or(now);
    if expires.since(issued) > limit {
        return Err(IdentityError::LifetimeTooLong { limit });
    }
    Ok(expires)
}

/// A NumericDate (RFC 7519 §2): seconds since the epoch, possibly with a fraction.
fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, IdentityError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let invalid = || IdentityError::InvalidClaim(name.to_owned());
    let seconds = match value.as_i64() {
        Some(whole) => whole,
        // A fraction is cut off: a token then ends early rather than late. The cast saturates.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is range-checked next")]
        None => value.as_f64().ok_or_else(invalid)?.floor() as i64,
    };
    if !(0..=MAX_SECONDS).contains(&seconds) {
        return Err(invalid());
    }
    Ok(Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000))))
}

/// Tokens that are signed by the same issuer but are no bearer tokens.
fn check_use(claims: &Claims) -> Result<(), IdentityError> {
    // RFC 7800 §3.1: whoever presents it must prove possession of the key. We cannot ask for that.
    if claims.contains_key("cnf") {
        return Err(IdentityError::KeyBound);
    }
    // Security event and logout tokens (RFC 8417 §2.2, OpenID Connect Back-Channel Logout §2.4).
    if claims.contains_key("events") {
        return Err(IdentityError::InvalidClaim("events".into()));
    }
    Ok(())
}

/// The one text of an `aud`.
pub(crate) fn sole(audience: &Value) -> Option<&str> {
    match audience {
        Value::String(text) => Some(text),
        Value::Array(list) => match list.as_slice() {
            [one] => one.as_str(),
            _ => None,
        },
        _ => None,
    }
}

/// OpenID Connect Core 1.0 §3.1.3.7 (4, 5); RFC 9068 §2.2 names the client in `client_id`.
fn check_client(provider: &Provider, claims: &Claims) -> Result<(), IdentityError> {
    if provider.clients.is_empty() {
        return Ok(());
    }
    let client = match (claims.get("azp"), claims.get("client_id")) {
        (Some(azp), _) => azp.as_str(),
        (None, Some(client)) => client.as_str(),
        // The ID token of `portcullis login`: its one audience is the client it was issued to.
        (None, None) => claims.get("aud").and_then(sole).filter(|_| provider.sign_in.is_some()),
    };
    let terminal = provider.terminal_client();
    match client {
        Some(client) if provider.clients.iter().any(|c| c == client) => Ok(()),
        Some(client) if terminal == Some(client) => Ok(()),
        _ => Err(IdentityError::WrongClient),
    }
}

/// Who is calling, before name and groups.
struct Caller<'a> {
    kind: PrincipalKind,
    subject: &'a str,
    acting_for: Option<&'a str>,
    /// The claims about the caller itself: the token's, or those of its `act`.
    about: &'a Claims,
    groups_in: &'a Claims,
    /// Who acts, the one at work first; empty where nobody acts for somebody.
    actors: Vec<Actor>,
}

fn caller<'a>(provider: &Provider, claims: &'a Claims) -> Result<Caller<'a>, IdentityError> {
    let subject = text(claims, "sub")?;
    if let Some(act) = claims.get("act") {
        let (actor, actors) = current_actor(provider, act)?;
        let groups_in = match provider.act_groups {
            ActGroups::Actor => actor,
            ActGroups::Subject => claims,
        };
        return Ok(Caller {
            kind: PrincipalKind::Agent,
            subject: text(actor, "sub").map_err(|_| IdentityError::InvalidClaim("act".into()))?,
            acting_for: Some(subject),
            about: actor,
            groups_in,
            actors,
        });
    }
    let acting_for = match provider.acting_for_claim.as_ref().map(|path| (path, path.find(claims)))
    {
        None | Some((_, None)) => None,
        Some((_, Some(Value::String(person)))) if is_presentable(person) => Some(person.as_str()),
        Some((path, Some(_))) => return Err(IdentityError::InvalidClaim(path.to_string())),
    };
    let kind = match (kind_of(provider, claims)?, acting_for) {
        // Whoever acts for somebody is not a person at the keyboard, whatever else is claimed.
        (PrincipalKind::Person, Some(_)) => PrincipalKind::Agent,
        (kind, _) => kind,
    };
    let own = Actor { subject: subject.to_owned(), issuer: provider.issuer.clone() };
    let actors = acting_for.map(|_| own).into_iter().collect();
    Ok(Caller { kind, subject, acting_for, about: claims, groups_in: claims, actors })
}

/// RFC 8693 §4.1: the outermost `act` is the current actor; those nested in it are history, which
/// is bounded and must be well-formed but decides nothing. An actor of another issuer is refused:
/// its subject would mean somebody else here.
fn current_actor<'a>(
    provider: &Provider,
    act: &'a Value,
) -> Result<(&'a Claims, Vec<Actor>), IdentityError> {
    let invalid = || IdentityError::InvalidClaim("act".into());
    let current = act.as_object().ok_or_else(invalid)?;
    let mut link = Some(act);
    let mut actors: Vec<Actor> = Vec::new();
    while let Some(value) = link {
        let actor = value.as_object().ok_or_else(invalid)?;
        let issuer = match actor.get("iss") {
            None => Some(provider.issuer.as_str()),
            Some(Value::String(issuer)) if *issuer == provider.issuer => Some(issuer.as_str()),
            // In history it may be somebody of elsewhere.
            Some(issuer) if !actors.is_empty() => Some(issuer.as_str().unwrap_or_default()),
            Some(_) => None,
        };
        let (Some(issuer), Ok(subject)) = (issuer, text(actor, "sub")) else {
            return Err(invalid());
        };
        if actors.len() >= MAX_ACTORS {
            return Err(invalid());
        }
        actors.push(Actor { subject: subject.to_owned(), issuer: issuer.to_owned() });
        link = actor.get("act");
    }
    Ok((current, actors))
}

fn kind_of(provider: &Provider, claims: &Claims) -> Result<PrincipalKind, IdentityError> {
    let Some(path) = &provider.kind_claim else { return Ok(provider.default_kind) };
    match path.find(claims) {
        None => Ok(provider.default_kind),
        Some(Value::String(word)) if word == "person" => Ok(PrincipalKind::Person),
        Some(Value::String(word)) if word == "agent" => Ok(PrincipalKind::Agent),
        Some(Value::String(word)) if word == "workload" => Ok(PrincipalKind::Workload),
        Some(_) => Err(IdentityError::InvalidClaim(path.to_string())),
    }
}

/// The display name, falling back to the subject. It decides nothing: OpenID Connect Core §5.7
/// says that only `sub` and `iss` together identify.
fn name_of(provider: &Provider, about: &Claims, subject: &str) -> String {
    let shown = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|name| is_presentable(name)).map(str::to_owned)
    };
    let name = match &provider.name_claim {
        Some(path) => shown(path.find(about)),
        None => shown(about.get("preferred_username")).or_else(|| {
            let unverified = about.get("email_verified") == Some(&Value::Bool(false));
            shown(about.get("email")).filter(|_| !unverified)
        }),
    };
    name.unwrap_or_else(|| subject.to_owned())
}

/// The address of whom the token is about, where its issuer says that it has verified it (OpenID Connect
/// Core §5.1).
fn verified_email(claims: &Claims) -> Option<String> {
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let email = claims.get("email").and_then(Value::as_str).filter(|email| is_presentable(email));
    email.filter(|_| verified).map(str::to_owned)
}

/// The groups, or none: where the claim is missing, is not a list of texts, is too long, or the
/// provider says that there are more than it wrote (`_claim_names`, OpenID Connect Core §5.6.2;
/// `hasgroups` and `groups:src1` of Microsoft Entra). Half a list would miss a group that forbids.
pub(crate) fn groups_of(provider: &Provider, claims: &Claims) -> BTreeSet<String> {
    if claims.contains_key("_claim_names") || claims.contains_key("hasgroups") {
        return BTreeSet::new();
    }
    let Some(Value::Array(list)) = provider.groups_claim.find(claims) else {
        return BTreeSet::new();
    };
    if list.len() > MAX_GROUPS {
        return BTreeSet::new();
    }
    let group =
        |value: &Value| value.as_str().filter(|name| is_presentable(name)).map(str::to_owned);
    list.iter().map(group).collect::<Option<BTreeSet<_>>>().unwrap_or_default()
}
