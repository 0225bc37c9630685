//! The device authorization grant (RFC 8628): a terminal without a browser shows a code, and a person
//! signs in with it somewhere else.

use super::error::SignInError;
use super::tokens::{Answered, Wanted};
use super::{RelyingParty, SignedIn};
use crate::oidc::{Verifier, object};
use crate::text::is_presentable;
use portcullis_core::time::Timestamp;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use std::time::Duration;
use zeroize::Zeroizing;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long to wait between two questions unless the provider says (RFC 8628 §3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait between two questions, whatever the provider says.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The longest life of a code, whatever the provider says.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// A sign-in that a person has to finish elsewhere.
pub struct Device {
    provider: String,
    code: Zeroizing<String>,
    /// What the person types there.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where the provider gives one.
    pub verification_uri_complete: Option<String>,
    /// Until when.
    pub expires: Timestamp,
    /// How long to wait before the next question.
    pub interval: Duration,
}

/// What has become of it so far.
pub enum Polled {
    /// Nothing yet: ask again after [`Device::interval`].
    Pending,
    /// The person has signed in.
    SignedIn(Box<SignedIn>),
}

impl RelyingParty {
    /// Begins a sign-in at a provider (RFC 8628 §3.1).
    ///
    /// # Errors
    /// [`SignInError::NotOffered`] where the provider has no such thing.
    pub async fn begin_device(
        &self,
        provider: &str,
        now: Timestamp,
    ) -> Result<Device, SignInError> {
        let party = self.party(provider)?;
        let metadata = party.metadata(now).await?;
        let url = metadata.device.as_ref().ok_or_else(|| party.not_offered("device codes"))?;
        let scope = party.client.scope();
        let (status, body) = party.post(url, &[("scope", &scope)], &metadata).await?;
        let body = object(&body).map_err(|e| party.unavailable(format!("device codes: {e}")))?;
        if status != StatusCode::OK {
            return Err(SignInError::Refused { error: super::tokens::error_code(&body) });
        }
        let text = |name: &str| {
            let text = body.get(name).and_then(Value::as_str).filter(|text| is_presentable(text));
            text.ok_or(SignInError::Answer("a device code without what people need"))
        };
        let seconds = |name: &str| body.get(name).and_then(Value::as_u64).map(Duration::from_secs);
        let address = |text: &str| match Url::parse(text).as_ref().map(Url::scheme) {
            Ok("https" | "http") => Ok(text.to_owned()),
            _ => Err(SignInError::Answer("the address for device codes is no web address")),
        };
        let complete = body.get("verification_uri_complete").is_some();
        let complete = complete.then(|| text("verification_uri_complete")).transpose()?;
        Ok(Device {
            provider: party.provider.name.clone(),
            code: Zeroizing::new(text("device_code")?.to_owned()),
            user_code: text("user_code")?.to_owned(),
            verification_uri: address(text("verification_uri")?)?,
            verification_uri_complete: complete.map(address).transpose()?,
            expires: now.plus(seconds("expires_in").unwrap_or(LONGEST).min(LONGEST)),
            interval: seconds("interval").unwrap_or(INTERVAL).min(LONGEST_INTERVAL),
        })
    }

    /// Asks whether the person has signed in (RFC 8628 §3.4, §3.5). Waits for nothing: that is for
    /// the caller to do, [`Device::interval`] each time.
    ///
    /// # Errors
    /// [`SignInError`]; all but temporary ones end it.
    pub async fn poll_device(
        &self,
        device: &mut Device,
        verifier: &Verifier,
        now: Timestamp,
    ) -> Result<Polled, SignInError> {
        if device.expires <= now {
            return Err(SignInError::TooLate);
        }
        let party = self.party(&device.provider)?;
        let form = [("grant_type", GRANT_TYPE), ("device_code", device.code.as_str())];
        match party.ask(&form, now).await? {
            Answered::Tokens(issued) => {
                let wanted = Wanted::default();
                let signed_in = party.signed_in(issued, wanted, (verifier, now)).await?;
                Ok(Polled::SignedIn(Box::new(signed_in)))
            }
            Answered::Error(error) => match error.as_str() {
                "authorization_pending" => Ok(Polled::Pending),
                "slow_down" => {
                    device.interval += INTERVAL;
                    Ok(Polled::Pending)
                }
                "expired_token" => Err(SignInError::TooLate),
                _ => Err(SignInError::Refused { error }),
            },
        }
    }
}
