//! Who is calling: OIDC tokens to principals, and a development provider. First station on the
//! life of a request, before anything a caller says about itself is believed.
//!
//! [`Verifier`] takes a bearer token as a client sent it (for PostgreSQL: as the password) and
//! gives a [`Principal`](portcullis_core::principal::Principal) or an [`IdentityError`] that names
//! the check that failed. Algorithm and key come from configuration and from the issuer's own key
//! set, never from the token.
//!
//! Tokens of workloads (clusters, CI services, SPIFFE) are verified alike, and mapped by
//! [`TrustRule`]s. [`own`] are the gateway's own credentials, made from tokens and good for one
//! connection.
//!
//! [`relying`] signs people in at the OpenID providers they have, [`saml`] at the SAML providers; both
//! give principals as well.
//!
//! [`passkey`] reads what browsers give of passkeys, and checks what was signed with one.
//!
//! [`DevProvider`] is a small OpenID provider for development, tests and the demo. It goes through
//! the same verifier as any other provider and cannot be bound to anything but a loopback address.
//!
//! *Architecture invariant:* no clock is read for a decision; `now` is an argument. Nothing here
//! knows of targets or their credentials.

pub mod dev_provider;
pub mod oidc;
pub mod own;
pub mod passkey;
pub mod relying;
pub mod saml;

pub use dev_provider::{
    DevAgent, DevIssuer, DevPerson, DevProvider, DevProviderError, DevProviderSettings, DevSecret,
    DevWorkload,
};
pub use oidc::{
    ActGroups, ClaimPath, GroupsFrom, IdentityError, Pinned, Pins, Provider, SettingsError, SignIn,
    SignatureAlgorithm, TrustRule, Verifier, Vouched, WorkloadKind, WorkloadPrincipal, check_rules,
    http_client,
};
pub use text::{Escaped, has_invisible, is_presentable};

mod random;
mod text;

/// How late a provider's clock may be, where its word is that somebody has signed in since they were asked.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_secs(10);
