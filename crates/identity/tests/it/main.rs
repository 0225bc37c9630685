//! The verifier and the development provider from outside, over real HTTP on loopback.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod attacks;
mod claims;
mod dev_provider;
mod fetching;
mod independent;
mod own;
mod passkey;
mod provider;
mod relying;
mod saml;
mod saml_support;
mod support;
mod tls;
mod workload;
