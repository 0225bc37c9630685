//! Who is calling: OIDC tokens to principals, and a development provider
