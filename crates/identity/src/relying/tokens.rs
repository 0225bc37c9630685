//! The token endpoint (RFC 6749 §3.2): codes, device codes and refresh tokens go in, tokens come out;
//! and from an ID token to somebody who is signed in, with every check only an ID token has.

use super::error::SignInError;
use super::{Party, SignedIn, Tokens};
use crate::CLOCKS_DIFFER;
use crate::oidc::{GroupsFrom, SignatureAlgorithm, Verified, Verifier, groups_of, object, sole};
use crate::random::same_secret;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::time::Timestamp;
use reqwest::StatusCode;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// What a token endpoint has answered.
pub(super) enum Answered {
    Tokens(Issued),
    /// Its error code (RFC 6749 §5.2).
    Error(String),
}

/// Tokens as they came.
pub(super) struct Issued {
    id: Option<Zeroizing<String>>,
    access: Option<Zeroizing<String>>,
    refresh: Option<Zeroizing<String>>,
}

/// What an ID token has to go with.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) nonce: Option<&'a str>,
    /// The issuer and subject it must be of.
    pub(super) same: Option<(&'a str, &'a str)>,
    /// Since when its person must have signed in.
    pub(super) anew_since: Option<Timestamp>,
}

impl Party {
    /// Asks the token endpoint. The client proves itself by its secret, where it has one (RFC 6749
    /// §2.3.1), else it says who it is.
    pub(super) async fn ask(
        &self,
        form: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Answered, SignInError> {
        let metadata = self.metadata(now).await?;
        let (status, body) = self.post(&metadata.token, form, &metadata).await?;
        let body = object(&body).map_err(|e| self.unavailable(format!("token endpoint: {e}")))?;
        let text = |name: &str| {
            let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(|text| Zeroizing::new(text.to_owned()))
        };
        match status {
            StatusCode::OK => Ok(Answered::Tokens(Issued {
                id: text("id_token"),
                access: text("access_token"),
                refresh: text("refresh_token"),
            })),
            status if status.is_client_error() => Ok(Answered::Error(error_code(&body))),
            status => Err(self.unavailable(format!("the token endpoint answered {status}"))),
        }
    }

    /// Posts a form to an endpoint as the client.
    pub(super) async fn post(
        &self,
        url: &reqwest::Url,
        form: &[(&str, &str)],
        metadata: &super::metadata::Metadata,
    ) -> Result<(StatusCode, Vec<u8>), SignInError> {
        let secret = self
            .client
            .secret()
            .map_err(|cause| SignInError::Secret { provider: self.provider.name.clone(), cause })?;
        let id = self.client.client_id.as_str();
        let (id_encoded, secret_encoded);
        let mut form = form.to_vec();
        let basic = match &secret {
            Some(secret) if !metadata.secret_in_form => {
                (id_encoded, secret_encoded) = (encoded(id), Zeroizing::new(encoded(secret)));
                Some((id_encoded.as_str(), secret_encoded.as_str()))
            }
            secret => {
                form.push(("client_id", id));
                form.extend(secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
                None
            }
        };
        let answered = self.discovery.http.post(url, &form, basic).await;
        answered.map_err(|cause| self.unavailable(cause))
    }

    /// Who has signed in, by the tokens that came.
    pub(super) async fn signed_in(
        &self,
        issued: Issued,
        wanted: Wanted<'_>,
        (verifier, now): (&Verifier, Timestamp),
    ) -> Result<SignedIn, SignInError> {
        let id = issued.id.ok_or(SignInError::NoToken("ID token"))?;
        let asked = self.provider.for_id_tokens_of(&self.client.client_id);
        let (vouched, verified) = verifier.identify(&id, &asked, now).await?;
        let access = issued.access.as_ref().map(|token| token.as_str());
        check_id_token(&verified, &self.client.client_id, wanted, access)?;
        let mut principal = vouched.into_principal();
        if let Some((issuer, subject)) = wanted.same
            && (principal.issuer != issuer || verified.claims().get("sub") != Some(&subject.into()))
        {
            return Err(SignInError::OtherPerson);
        }
        if self.provider.groups_from == GroupsFrom::Userinfo {
            let access = access.ok_or(SignInError::NoToken("access token"))?;
            let about = self.userinfo(access, verified.claims(), now).await?;
            principal.groups = groups_of(&self.provider, &about);
        }
        let tokens = Tokens { id, refresh: issued.refresh };
        Ok(SignedIn { provider: self.provider.name.clone(), principal, tokens })
    }

    /// OpenID Connect Core 1.0 §5.3: what the provider says of whoever the access token is about, who
    /// must be the subject of the ID token.
    async fn userinfo(
        &self,
        access: &str,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, SignInError> {
        let metadata = self.metadata(now).await?;
        let url = metadata.userinfo.as_ref().ok_or_else(|| self.not_offered("userinfo"))?;
        let body = self.discovery.http.get_with(url, access).await;
        let body = body.map_err(|cause| self.unavailable(cause))?;
        let about = object(&body).map_err(|e| self.unavailable(format!("userinfo: {e}")))?;
        match (about.get("sub"), claims.get("sub")) {
            (Some(Value::String(one)), Some(Value::String(other))) if one == other => Ok(about),
            _ => Err(SignInError::OtherSubject),
        }
    }
}

/// What only an ID token has (OpenID Connect Core 1.0 §3.1.3.7, steps 3 to 5 and 11; §3.1.3.8).
fn check_id_token(
    verified: &Verified,
    client: &str,
    wanted: Wanted<'_>,
    access: Option<&str>,
) -> Result<(), SignInError> {
    let claims = verified.claims();
    if let Some(nonce) = wanted.nonce {
        let said = claims.get("nonce").and_then(Value::as_str);
        if !said.is_some_and(|said| same_secret(said, nonce)) {
            return Err(SignInError::Nonce);
        }
    }
    if let Some(since) = wanted.anew_since {
        let at = claims.get("auth_time").and_then(Value::as_i64).ok_or(SignInError::NoAuthTime)?;
        let at = at.checked_mul(1_000_000).map(Timestamp::from_micros);
        if at.is_none_or(|at| at.plus(CLOCKS_DIFFER) < since) {
            return Err(SignInError::NotAnew);
        }
    }
    let party = match claims.get("azp") {
        Some(azp) => azp.as_str(),
        None => claims.get("aud").and_then(sole),
    };
    if party != Some(client) {
        return Err(SignInError::AuthorizedParty);
    }
    match (claims.get("at_hash"), access) {
        (None, _) => Ok(()),
        (Some(Value::String(said)), Some(access))
            if *said == half_hash(verified.algorithm(), access) =>
        {
            Ok(())
        }
        _ => Err(SignInError::AccessTokenHash),
    }
}

/// OpenID Connect Core 1.0 §3.1.3.6: the left half of the hash that the signature's algorithm has.
fn half_hash(algorithm: SignatureAlgorithm, token: &str) -> String {
    use SignatureAlgorithm::{
        ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512,
    };
    let hash = match algorithm {
        RS256 | PS256 | ES256 => &digest::SHA256,
        RS384 | PS384 | ES384 => &digest::SHA384,
        // Ed25519 hashes with SHA-512.
        RS512 | PS512 | ES512 | EdDSA => &digest::SHA512,
    };
    let hash = digest::digest(hash, token.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(half)
}

/// An error code, where it is one (RFC 6749 §5.2): nothing else of an answer is passed on.
pub(super) fn error_code(body: &Map<String, Value>) -> String {
    known_code(body.get("error").and_then(Value::as_str).unwrap_or_default())
}

/// The same, of a code at hand.
pub(super) fn known_code(code: &str) -> String {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    match code {
        "" => "no error code".to_owned(),
        code if code.len() <= 64 && code.bytes().all(word) => code.to_owned(),
        _ => "an unknown error code".to_owned(),
    }
}

/// A text as `application/x-www-form-urlencoded` has it, which RFC 6749 §2.3.1 asks of both halves.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_hash() {
        // OpenID Connect Core 1.0 appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(SignatureAlgorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(half_hash(SignatureAlgorithm::ES384, token).len(), 32);
        assert_eq!(half_hash(SignatureAlgorithm::EdDSA, token).len(), 43);
    }

    #[test]
    fn codes_and_secrets() {
        assert_eq!(known_code("access_denied"), "access_denied");
        assert_eq!(known_code("<script>"), "an unknown error code");
        assert_eq!(known_code(""), "no error code");
        assert_eq!(encoded("a b:ü~"), "a%20b%3A%C3%BC~");
    }
}
