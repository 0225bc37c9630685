//! What may be made of tokens somebody has vouched for: whose credential, in which groups, for how
//! long. The rules of token exchange (RFC 8693), without its form.
//!
//! | tokens | the credential is for | its groups |
//! | --- | --- | --- |
//! | one | who the token is | those of the token |
//! | a person's, and an agent's or workload's as actor | the actor, for the person | those of the person that the connection lends, and, for a workload of a trust rule, the rule lends too |
//!
//! So nobody gets more than the person has, and the actor's own groups do not come along. It expires
//! with the first of the tokens.

use crate::oidc::{Borrows, Vouched};
use portcullis_core::principal::{Actor, Principal, PrincipalKind};
use std::collections::BTreeSet;

/// Most who may act one for the other, with the one at work.
pub(crate) const MAX_CHAIN: usize = 4;

/// What a credential may be made of. Made from [`Vouched`] alone, and used up by minting.
///
/// ```compile_fail
/// // One grant, one credential.
/// use portcullis_identity::own::{Grant, OwnIssuer, Terms};
/// fn twice(own: &OwnIssuer, grant: Grant, terms: &Terms<'_>, now: portcullis_core::time::Timestamp) {
///     let one = own.mint(grant, terms, now);
///     let two = own.mint(grant, terms, now);
/// }
/// ```
///
/// ```compile_fail
/// // Not from a principal, which a credential gives as well.
/// use portcullis_identity::own::Grant;
/// fn again(principal: portcullis_core::principal::Principal) {
///     let _ = Grant::own(principal);
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Grant {
    pub(super) principal: Principal,
    pub(super) actors: Vec<Actor>,
    pub(super) person: Option<Actor>,
    vouched_by: Vec<String>,
}

/// Why tokens make no credential. No variant carries anything of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The subject of an exchange with an actor is no person.
    #[error("subject_token is not a person's own: an agent acts for a person, and for nobody else")]
    NotAPerson,
    /// A person was to be the actor.
    #[error(
        "actor_token is a person's: agents and workloads act for somebody, people act themselves"
    )]
    PersonActs,
    /// The actor acts for somebody already.
    #[error("actor_token is for somebody who acts for somebody already: exchange it by itself")]
    ActsAlready,
    /// The subject's token says who may act, and this is another.
    #[error("subject_token names who may act (`may_act`), and the actor is another")]
    NotItsActor,
    /// The trust rule of the actor has no `lend_groups`.
    #[error(
        "the actor's trust rule lets it act for nobody: `lend_groups` would say what it may have"
    )]
    ActsForNobody,
    /// No group of the person is lent.
    #[error(
        "the person has no group that this connection lends to agents (its `lend_groups`), so the \
         credential could do nothing"
    )]
    NothingLent,
    /// Too many act for one another.
    #[error("more than {MAX_CHAIN} act one for the other")]
    TooManyActors,
}

impl Grant {
    /// One's own: the same principal, with a credential in place of the token.
    ///
    /// # Errors
    /// [`ExchangeError::TooManyActors`].
    pub fn own(vouched: Vouched) -> Result<Self, ExchangeError> {
        let Vouched { principal, by, actors, .. } = vouched;
        if actors.len() > MAX_CHAIN {
            return Err(ExchangeError::TooManyActors);
        }
        let person = principal.person().map(|(issuer, subject)| Actor {
            subject: subject.to_owned(),
            issuer: issuer.to_owned(),
        });
        Ok(Self { principal, actors, person, vouched_by: vec![by] })
    }

    /// `actor` for `subject`, a person, with what `lent`, the connection's `lend_groups`, leaves of
    /// the person's groups.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn delegated(
        subject: Vouched,
        actor: Vouched,
        lent: &BTreeSet<String>,
    ) -> Result<Self, ExchangeError> {
        use ExchangeError::{
            ActsAlready, ActsForNobody, NotAPerson, NotItsActor, NothingLent, PersonActs,
        };
        let (person, own) = (subject.principal, actor.principal);
        if person.kind != PrincipalKind::Person || person.acting_for.is_some() {
            return Err(NotAPerson);
        }
        if own.kind == PrincipalKind::Person {
            return Err(PersonActs);
        }
        if own.acting_for.is_some() || !actor.actors.is_empty() {
            return Err(ActsAlready);
        }
        let it = Actor { subject: own.subject.clone(), issuer: own.issuer.clone() };
        let named = |named: &crate::oidc::MayAct| {
            named.subject.as_ref() == Some(&it.subject)
                && named.issuer.as_ref().unwrap_or(&person.issuer) == &it.issuer
        };
        if !subject.may_act.as_ref().is_none_or(named) {
            return Err(NotItsActor);
        }
        let may_have = |group: &&String| match &actor.borrows {
            Borrows::Nothing => false,
            Borrows::These(these) => these.contains(*group),
            Borrows::AsLent => true,
        };
        if actor.borrows == Borrows::Nothing {
            return Err(ActsForNobody);
        }
        let groups: BTreeSet<String> =
            person.groups.intersection(lent).filter(may_have).cloned().collect();
        if groups.is_empty() {
            return Err(NothingLent);
        }
        Ok(Self {
            actors: vec![it],
            vouched_by: vec![subject.by, actor.by],
            principal: Principal {
                acting_for: Some(person.subject.clone()),
                acting_for_issuer: (person.issuer != own.issuer).then(|| person.issuer.clone()),
                email: person.email,
                groups,
                token_id: None,
                expires: own.expires.min(person.expires),
                ..own
            },
            person: Some(Actor { subject: person.subject, issuer: person.issuer }),
        })
    }

    /// Who would log in with the credential.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who acts, the one at work first; empty where nobody acts for somebody.
    #[must_use]
    pub fn actors(&self) -> &[Actor] {
        &self.actors
    }

    /// Whom it acts for, by issuer and subject.
    #[must_use]
    pub const fn person(&self) -> Option<&Actor> {
        self.person.as_ref()
    }

    /// The providers and trust rules that vouched for the tokens, in the order they were given.
    #[must_use]
    pub fn vouched_by(&self) -> &[String] {
        &self.vouched_by
    }
}
