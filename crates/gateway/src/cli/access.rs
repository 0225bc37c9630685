//! How commands reach the gateway's own API: where it is, and who asks.

use super::kept;
use crate::config::Config;
use crate::services;
use crate::sign_in::PublicUrl;
use anyhow::Context as _;
use clap::Args;
use reqwest::header::{self, HeaderMap};
use serde_json::Value;
use std::time::Duration;

/// Where the gateway's API is, and who asks.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// The gateway's API; by default the one of the configuration.
    #[arg(long, env = "PORTCULLIS_API", global = true)]
    api: Option<String>,
    /// Your token; by default that of `portcullis login`.
    #[arg(long, env = "PORTCULLIS_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Take a token of the development provider for this person instead.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "token", global = true)]
    name: Option<String>,
}

impl Access {
    /// A client that asks as this caller.
    pub(super) async fn client(&self, config: &Config) -> anyhow::Result<Client> {
        let api = gateway(self.api.as_deref(), config)?;
        let token = match (&self.token, &self.name) {
            (Some(token), _) => token.clone(),
            (None, Some(name)) => services::development_token(config, name).await?,
            (None, None) => kept::token(&api).await?,
        };
        Ok(Client::new(api, token))
    }
}

/// Where a gateway is: where the caller says, else where the configuration says, else where the caller
/// has signed in last. Tokens go over https, or plainly to loopback.
pub(super) fn gateway(given: Option<&str>, config: &Config) -> anyhow::Result<String> {
    let text = match given {
        Some(url) => url.to_owned(),
        None if config.is_there => format!("http://{}", config.listen.http.address),
        None => kept::current()?.context(
            "say which gateway: --gateway or --api URL (or PORTCULLIS_API), or --config FILE",
        )?,
    };
    let url = PublicUrl::parse(&text).map_err(|why| anyhow::anyhow!("the gateway's URL {why}"))?;
    Ok(url.origin)
}

/// The gateway understood, and did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotDone(pub(super) String);

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the API.
pub(super) struct Client {
    api: String,
    token: String,
    /// What it will log in with, shown beside the token.
    credential: Option<String>,
}

impl Client {
    pub(super) const fn new(api: String, token: String) -> Self {
        Self { api, token, credential: None }
    }

    /// Where it asks.
    pub(super) fn at(&self) -> &str {
        &self.api
    }

    /// Shows, beside the token, the credential that will log in.
    pub(super) fn showing(self, credential: Option<String>) -> Self {
        Self { credential, ..self }
    }

    /// Follows no redirect, so that no token goes elsewhere, and goes to loopback past any proxy.
    fn http(&self) -> anyhow::Result<reqwest::Client> {
        self.http_for(Some(PATIENCE))
    }

    fn http_for(&self, patience: Option<Duration>) -> anyhow::Result<reqwest::Client> {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = match patience {
            Some(patience) => client.timeout(patience),
            None => client.connect_timeout(PATIENCE),
        };
        let client = if self.api.starts_with("http://") { client.no_proxy() } else { client };
        client.build().context("no HTTP client can be made")
    }

    /// What everybody may ask, without a token.
    pub(super) async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.http()?.get(format!("{}{path}", self.api))).await
    }

    /// Gets one thing, or a list with all of its pages.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut whole = Vec::new();
        let mut path = path.to_owned();
        loop {
            match self.get_page(&path).await? {
                (Value::Array(rows), Some(next)) => {
                    whole.extend(rows);
                    path = next;
                }
                (Value::Array(rows), None) => {
                    whole.extend(rows);
                    return Ok(Value::Array(whole));
                }
                (one, _) => return Ok(one),
            }
        }
    }

    /// Gets one page, and the path of the next.
    pub(super) async fn get_page(&self, path: &str) -> anyhow::Result<(Value, Option<String>)> {
        let request = self.http()?.get(format!("{}{path}", self.api));
        let response = self.sent(self.authorized(request)).await?;
        let next = next_page(response.headers());
        // The same list, further on: what is asked is never for the answer to say.
        let list = path.split('?').next().unwrap_or(path);
        let next = next.map(|query| format!("{list}?{query}"));
        Ok((said(response).await?, next))
    }

    /// An answer that is taken as it comes, for as long as it takes.
    pub(super) async fn follow(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let http = self.http_for(None)?;
        let request = self.authorized(http.get(format!("{}{path}", self.api)));
        let response = self.sent(request).await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(not_done(response).await?),
        }
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http()?.post(format!("{}{path}", self.api)).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http()?.delete(format!("{}{path}", self.api))).await
    }

    /// Exchanges tokens (RFC 8693): the caller's own for a credential, or for one to act for `person`,
    /// whose token that is.
    pub(super) async fn exchange(
        &self,
        person: Option<&str>,
        terms: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
        let subject = person.unwrap_or(&self.token);
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", JWT),
        ];
        if person.is_some() {
            form.extend([("actor_token", self.token.as_str()), ("actor_token_type", JWT)]);
        }
        form.extend(terms);
        let request = self.http()?.post(format!("{}/api/v1/token", self.api));
        self.answer(request.form(&form)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        self.answer(self.authorized(request)).await
    }

    /// With what says who asks.
    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = match &self.credential {
            Some(credential) => request.header("Portcullis-Credential", credential),
            None => request,
        };
        request.bearer_auth(&self.token)
    }

    /// A page of text.
    pub(super) async fn page(&self, path: &str) -> anyhow::Result<String> {
        let request = self.http()?.get(format!("{}{path}", self.api));
        let response = self.sent(self.authorized(request)).await?;
        if !response.status().is_success() {
            return Err(not_done(response).await?);
        }
        response.text().await.context("the answer breaks off")
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        said(self.sent(request).await?).await
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        request.send().await.with_context(|| format!("no gateway answers at {}", self.api))
    }
}

/// What an answer says, where it is a success.
async fn said(response: reqwest::Response) -> anyhow::Result<Value> {
    match response.status().is_success() {
        true => response.json().await.context("the answer is not JSON"),
        false => Err(not_done(response).await?),
    }
}

/// Why the gateway did not do it.
async fn not_done(response: reqwest::Response) -> anyhow::Result<anyhow::Error> {
    let status = response.status();
    let body: Value = response.json().await.context("the answer is not JSON")?;
    let said = body.get("detail").or_else(|| body.get("error_description"));
    let why = said.and_then(Value::as_str).unwrap_or(status.as_str());
    Ok(NotDone(why.to_owned()).into())
}

/// The query of the next page of a list (RFC 8288), where it goes on.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(header::LINK)?.to_str().ok()?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    let query = target.split_once('?')?.1;
    (rest.trim() == "; rel=\"next\"").then(|| query.to_owned())
}

/// A length of time as people write it.
pub(super) fn span(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no length of time, such as 30m or 2h");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    std::time::Duration::try_from(span).map_err(|_| wrong())
}

/// The number at a place of an answer; 0 where there is none.
pub(super) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// The text at a place of an answer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// A point in time at a place of an answer.
pub(super) fn time(value: &Value, pointer: &str) -> String {
    let micros = value.pointer(pointer).and_then(Value::as_i64);
    let at = micros.map(portcullis_core::time::Timestamp::from_micros);
    at.map(|at| format!("{at:.0}")).unwrap_or_default()
}
