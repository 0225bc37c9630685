//! Who was vouched for: a principal with what is needed to make a credential from it. Between the
//! first station of a request's life and the exchange of tokens.

use portcullis_core::principal::{Actor, Principal};
use std::collections::BTreeSet;

/// A principal whose token an issuer of the configuration has signed, never one of the gateway's
/// own credentials: only [`Verifier::vouch`](super::Verifier::vouch) makes one, and that knows
/// nothing of them. It is not `Clone`: one verification, one use.
///
/// ```compile_fail
/// // Nobody else makes one, not even from another one.
/// fn forged(known: portcullis_identity::Vouched, principal: portcullis_core::principal::Principal)
///     -> portcullis_identity::Vouched {
///     portcullis_identity::Vouched { principal, ..known }
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Vouched {
    pub(crate) principal: Principal,
    /// The name of the provider or trust rule.
    pub(crate) by: String,
    /// Who acts, the one at work first; empty where nobody acts for somebody.
    pub(crate) actors: Vec<Actor>,
    /// Who alone may act for it (RFC 8693 §4.4), where its token says so.
    pub(crate) may_act: Option<MayAct>,
    pub(crate) borrows: Borrows,
}

/// What a token says of who may act for its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MayAct {
    pub(crate) subject: Option<String>,
    pub(crate) issuer: Option<String>,
}

/// Which groups of a person somebody may have when acting for that person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Borrows {
    /// None: it acts for nobody.
    Nothing,
    /// At most these.
    These(BTreeSet<String>),
    /// Those the connection lends.
    AsLent,
}

impl Vouched {
    /// Who it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name of the provider or trust rule that vouches for it.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Who it is, for a caller that needs no more.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}
