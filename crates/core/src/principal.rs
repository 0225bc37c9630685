//! Who is calling, after verification. First station on the life of a request.

use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What kind of caller a principal is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// Software that decides by itself what to ask next.
    Agent,
    /// A program with a fixed job: a CI run, a service.
    Workload,
}

impl PrincipalKind {
    /// The name used in policies (`Person`, `Agent`, `Workload`).
    #[must_use]
    pub const fn entity_type(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Agent => "Agent",
            Self::Workload => "Workload",
        }
    }
}

/// A verified caller. Every field comes from a verified token or from configuration, never from
/// what the caller says of itself on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Principal {
    /// What kind of caller it is.
    pub kind: PrincipalKind,
    /// The stable identifier: the token's subject, unique within `issuer`.
    pub subject: String,
    /// The name people know it by; falls back to the subject.
    pub name: String,
    /// The issuer that vouches for it (OpenID Connect Core, `iss`).
    pub issuer: String,
    /// The person an agent or workload acts for, by that person's subject.
    pub acting_for: Option<String>,
    /// The issuer that vouches for that person, where it is another than [`issuer`](Self::issuer):
    /// subjects of two issuers that read alike are two people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting_for_issuer: Option<String>,
    /// The e-mail address that its issuer has verified, where it says so: of the person acted for, where
    /// there is one. It gives no right, and takes some: whoever shares it may be the same human being.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Groups, from the configured claim. Missing groups mean no rights.
    pub groups: BTreeSet<String>,
    /// The token's own id (`jti`), where it has one.
    pub token_id: Option<String>,
    /// When the token expires: a session does not outlive it.
    pub expires: Timestamp,
}

/// Who did something, as the record names them. Subjects are unique within an issuer alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct By {
    /// The subject; or what it was, where it was no principal.
    pub subject: String,
    /// Who vouches for that subject. `None` where it was no principal: the gateway itself, a command on its
    /// machine; and in records from before issuers were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// As it stands in records, where it was a text once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Subject(String),
    Whole { subject: String, issuer: Option<String> },
}

impl From<Written> for By {
    fn from(written: Written) -> Self {
        match written {
            Written::Subject(subject) => Self { subject, issuer: None },
            Written::Whole { subject, issuer } => Self { subject, issuer },
        }
    }
}

impl From<&Principal> for By {
    fn from(principal: &Principal) -> Self {
        Self { subject: principal.subject.clone(), issuer: Some(principal.issuer.clone()) }
    }
}

impl By {
    /// What is no principal: the gateway, or a command on its machine.
    #[must_use]
    pub fn no_principal(what: impl Into<String>) -> Self {
        Self { subject: what.into(), issuer: None }
    }
}

impl fmt::Display for By {
    /// The subject, and at which issuer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "{} ({issuer})", self.subject),
            None => f.write_str(&self.subject),
        }
    }
}

impl Principal {
    /// Whom it acts for, by issuer and subject.
    #[must_use]
    pub fn person(&self) -> Option<(&str, &str)> {
        let issuer = self.acting_for_issuer.as_deref().unwrap_or(&self.issuer);
        Some((issuer, self.acting_for.as_deref()?))
    }

    /// True for a person who acts for nobody but itself: what no agent and no workload is, and
    /// nobody who acts for somebody.
    #[must_use]
    pub const fn is_person_alone(&self) -> bool {
        matches!(self.kind, PrincipalKind::Person) && self.acting_for.is_none()
    }

    /// True for the same caller, acting for the same person or for nobody.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.issuer == other.issuer
            && self.subject == other.subject
            && self.person() == other.person()
    }

    /// True where nobody can tell that the human beings behind the two are two: a subject that reads alike,
    /// at whatever issuer, of caller or person acted for, or the same verified e-mail address. For what two
    /// people have to do, and for nothing that gives a right.
    #[must_use]
    pub fn could_be(&self, other: &Self) -> bool {
        let subjects = |of: &Self| [Some(of.subject.clone()), of.acting_for.clone()];
        let others = subjects(other);
        let mut own = subjects(self).into_iter().flatten();
        own.any(|subject| others.iter().flatten().any(|other| reads_alike(&subject, other)))
            || shares_email(self.email.as_deref(), other.email.as_deref())
    }

    /// True where `other` is this caller, or somebody who acts for this person: what is `other`'s is
    /// this one's to see, and to take back.
    #[must_use]
    pub fn answers_for(&self, other: &Self) -> bool {
        let acts_for_it = other.person() == Some((&self.issuer, &self.subject));
        self.is_same(other) || self.is_person_alone() && acts_for_it
    }
}

/// True for two subjects that may be one person's: neither case nor space around them tells people apart.
#[must_use]
pub fn reads_alike(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// True for one e-mail address that both have.
#[must_use]
pub fn shares_email(one: Option<&str>, other: Option<&str>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if reads_alike(one, other))
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.acting_for {
            Some(person) => write!(f, " for {person}"),
            None => Ok(()),
        }
    }
}

/// Somebody who acts for somebody else (RFC 8693 §4.1): one link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Its subject, unique within `issuer`.
    pub subject: String,
    /// The issuer that vouches for it.
    pub issuer: String,
}

/// A person who may decide reviews. An agent or a workload can never become one: the only way to
/// this type refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewer(Principal);

/// Why a principal cannot decide reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only a person decides reviews; an agent's or a workload's token never can")]
pub struct NotAPerson;

impl Reviewer {
    /// The principal, if it is a person.
    ///
    /// # Errors
    /// [`NotAPerson`] for agents and workloads, whatever their groups say.
    pub fn new(principal: Principal) -> Result<Self, NotAPerson> {
        match principal.kind {
            PrincipalKind::Person => Ok(Self(principal)),
            PrincipalKind::Agent | PrincipalKind::Workload => Err(NotAPerson),
        }
    }

    /// The person.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}

/// A person who acts for nobody, as [`Principal::is_person_alone`] has it: who alone can have a session
/// in a browser. An agent or a workload can never become one, not even out of a store that somebody has
/// edited: the only way to this type refuses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Principal", into = "Principal")]
pub struct Person(Principal);

/// Why a principal cannot sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "only a person signs in; an agent or a workload, or whoever acts for somebody, never can (the \
     provider's `kind_claim` and `default_kind` say who is a person)"
)]
pub struct SignsInNever;

impl Person {
    /// The principal, if it is a person who acts for nobody.
    ///
    /// # Errors
    /// [`SignsInNever`] for agents, workloads and whoever acts for somebody.
    pub fn new(principal: Principal) -> Result<Self, SignsInNever> {
        if principal.is_person_alone() { Ok(Self(principal)) } else { Err(SignsInNever) }
    }

    /// Who it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}

impl TryFrom<Principal> for Person {
    type Error = SignsInNever;
    fn try_from(principal: Principal) -> Result<Self, SignsInNever> {
        Self::new(principal)
    }
}

impl From<Person> for Principal {
    fn from(person: Person) -> Self {
        person.0
    }
}

/// A person who may end anybody's session, and stop agents from doing things. An agent or a workload
/// can never become one, nor can anybody who acts for somebody: the only way to this type refuses
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator(Principal);

/// Why a principal is no administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAdministrator {
    /// It is no person, or acts for somebody.
    #[error(
        "only a person administers; the token of an agent or a workload, or of whoever acts for \
         somebody, never can"
    )]
    NotAPerson,
    /// It is in no group that the configuration names.
    #[error("you are in none of the groups of administrators (`[administration] groups`)")]
    NotAsked,
}

impl Administrator {
    /// The principal, if it is a person, acts for nobody, and is in one of the groups that the
    /// configuration names.
    ///
    /// # Errors
    /// [`NotAnAdministrator::NotAPerson`] for agents, workloads and whoever acts for somebody,
    /// whatever their groups say; [`NotAnAdministrator::NotAsked`] for other people.
    pub fn new(principal: Principal, groups: &[String]) -> Result<Self, NotAnAdministrator> {
        if !principal.is_person_alone() {
            return Err(NotAnAdministrator::NotAPerson);
        }
        if !groups.iter().any(|group| principal.groups.contains(group)) {
            return Err(NotAnAdministrator::NotAsked);
        }
        Ok(Self(principal))
    }

    /// The person.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(kind: PrincipalKind, subject: &str, acting_for: Option<&str>) -> Principal {
        Principal {
            kind,
            subject: subject.to_owned(),
            name: subject.to_owned(),
            issuer: "https://issuer".to_owned(),
            acting_for: acting_for.map(str::to_owned),
            acting_for_issuer: None,
            email: None,
            groups: BTreeSet::from(["admins".to_owned()]),
            token_id: None,
            expires: Timestamp::from_micros(i64::MAX),
        }
    }

    #[test]
    fn only_persons_who_act_for_nobody_administer() {
        use PrincipalKind::{Agent, Person, Workload};
        let admins = ["others".to_owned(), "admins".to_owned()];
        for kind in [Agent, Person, Workload] {
            for acting_for in [None, Some("bo"), Some("x")] {
                let administrator = Administrator::new(principal(kind, "x", acting_for), &admins);
                let expect = kind == Person && acting_for.is_none();
                assert_eq!(administrator.is_ok(), expect, "{kind:?} for {acting_for:?}");
                if !expect {
                    assert_eq!(administrator, Err(NotAnAdministrator::NotAPerson));
                }
            }
        }
        let bo = principal(Person, "bo", None);
        assert_eq!(Administrator::new(bo.clone(), &[]), Err(NotAnAdministrator::NotAsked));
        let others = ["others".to_owned()];
        assert_eq!(Administrator::new(bo, &others), Err(NotAnAdministrator::NotAsked));
    }

    #[test]
    fn only_persons_who_act_for_nobody_sign_in() {
        use PrincipalKind::{Agent, Person as Human, Workload};
        for kind in [Agent, Human, Workload] {
            for acting_for in [None, Some("bo"), Some("x")] {
                let principal = principal(kind, "x", acting_for);
                let expect = kind == Human && acting_for.is_none();
                assert_eq!(Person::new(principal.clone()).is_ok(), expect, "{principal:?}");
                // Nor out of what was stored.
                let stored = serde_json::to_string(&principal).unwrap();
                assert_eq!(serde_json::from_str::<Person>(&stored).is_ok(), expect, "{stored}");
            }
        }
    }

    #[test]
    fn who_could_be_one_person_is_no_second_one() {
        use PrincipalKind::{Agent, Person};
        let (ana, bo) = (principal(Person, "ana", None), principal(Person, "bo", None));
        let anas = principal(Agent, "claude", Some("ana"));
        let elsewhere =
            |who: &Principal| Principal { issuer: "https://other".to_owned(), ..who.clone() };
        let known = |who: &Principal, email: &str| Principal {
            email: Some(email.to_owned()),
            ..who.clone()
        };
        for (one, other, expect) in [
            (ana.clone(), bo.clone(), false),
            (ana.clone(), elsewhere(&ana), true),
            (elsewhere(&principal(Person, " Ana", None)), ana.clone(), true),
            (elsewhere(&ana), anas.clone(), true),
            (bo.clone(), anas.clone(), false),
            (anas, principal(Agent, "other", Some("ana")), true),
            (known(&ana, "a@x"), known(&bo, "A@x"), true),
            (known(&ana, "a@x"), known(&bo, "b@x"), false),
            (known(&ana, "a@x"), bo, false),
        ] {
            assert_eq!(one.could_be(&other), expect, "{one:?} {other:?}");
            assert_eq!(other.could_be(&one), expect, "{other:?} {one:?}");
        }
    }

    #[test]
    fn people_answer_for_their_agents_and_agents_for_themselves() {
        use PrincipalKind::{Agent, Person};
        let (ana, bo) = (principal(Person, "ana", None), principal(Person, "bo", None));
        let anas = principal(Agent, "claude", Some("ana"));
        let bos = principal(Agent, "claude", Some("bo"));
        let nobodys = principal(Agent, "claude", None);
        for (who, whom, expect) in [
            (&ana, &ana, true),
            (&ana, &anas, true),
            (&ana, &bos, false),
            (&ana, &bo, false),
            (&anas, &anas, true),
            (&anas, &bos, false),
            (&anas, &ana, false),
            (&nobodys, &anas, false),
        ] {
            assert_eq!(who.answers_for(whom), expect, "{who:?} for {whom:?}");
        }
        // An agent that others act for answers for none of them, nor does anybody of another issuer.
        let under = principal(Agent, "sub", Some("claude"));
        assert!(!anas.answers_for(&under) && !nobodys.answers_for(&under));
        let elsewhere = Principal { issuer: "https://other".to_owned(), ..ana.clone() };
        assert!(!elsewhere.answers_for(&ana) && !elsewhere.answers_for(&anas));
        // Whoever acts for a person of another issuer acts for nobody of its own.
        let others =
            Principal { acting_for_issuer: Some(elsewhere.issuer.clone()), ..anas.clone() };
        assert!(elsewhere.answers_for(&others) && !ana.answers_for(&others));
        assert!(!anas.answers_for(&others) && !anas.is_same(&others));
        let own = Principal { acting_for_issuer: Some(ana.issuer.clone()), ..anas.clone() };
        assert!(ana.answers_for(&own) && anas.is_same(&own));
    }

    #[test]
    fn who_it_was_is_read_as_it_was_written_once_too() {
        let read = |text: &str| serde_json::from_str::<By>(text).unwrap();
        let bo = By::from(&principal(PrincipalKind::Person, "bo", None));
        let written = serde_json::to_string(&bo).unwrap();
        assert_eq!(
            written,
            format!(r#"{{"subject":"bo","issuer":"{}"}}"#, bo.issuer.clone().unwrap())
        );
        assert_eq!(read(&written), bo);
        assert_eq!(read("\"bo\""), By::no_principal("bo"));
        assert_eq!(serde_json::to_string(&By::no_principal("x")).unwrap(), r#"{"subject":"x"}"#);
        // As entries have it: flattened, and told apart by what happened.
        let old = r#"{"at":1,"event":"session_killed","by":"bo","reason":"amok"}"#;
        let old: crate::journal::Entry = serde_json::from_str(old).unwrap();
        let by = By::no_principal("bo");
        let event = crate::journal::Event::SessionKilled { by, reason: "amok".to_owned() };
        assert_eq!(old.event, event);
    }
}
