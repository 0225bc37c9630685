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
//! [`relying`] signs people in at the providers they have; it gives principals as well.
//!
//! [`DevProvider`] is a small OpenID provider for development, tests and the demo. It goes through
//! the same verifier as any other provider and cannot be bound to anything but a loopback address.
//!
//! *Architecture invariant:* no clock is read for a decision; `now` is an argument. Nothing here
//! knows of targets or their credentials.

pub mod dev_provider;
pub mod oidc;
pub mod own;
pub mod relying;

pub use dev_provider::{
    DevAgent, DevIssuer, DevPerson, DevProvider, DevProviderError, DevProviderSettings, DevSecret,
    DevWorkload,
};
pub use oidc::{
    ActGroups, ClaimPath, GroupsFrom, IdentityError, Pinned, Pins, Provider, SettingsError, SignIn,
    SignatureAlgorithm, TrustRule, Verifier, Vouched, WorkloadKind, WorkloadPrincipal, check_rules,
    http_client,
};
pub use text::{has_invisible, is_presentable};

mod random;
mod text;
