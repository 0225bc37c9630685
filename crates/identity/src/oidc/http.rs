//! How the gateway talks to providers: HTTP that follows nothing, waits for nothing and reads no more
//! than it must. Off the path of most requests.

use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url, header, redirect};
use std::error::Error as _;
use std::time::Duration;

/// Largest answer, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Longest time for all fetches of one refresh together.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The client that requests to providers start from: rustls, the system's certificate authorities,
/// and a proxy only where the environment names one.
pub fn http_client() -> ClientBuilder {
    Client::builder().user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
}

/// A client for one provider.
pub(crate) struct Http(Client);

impl Http {
    /// What keeps requests safe is set here, after whatever `client` says. `loopback`: the issuer is
    /// there; `plain`: nothing that is asked has a certificate.
    pub(crate) fn new(client: ClientBuilder, loopback: bool, plain: bool) -> Result<Self, String> {
        let client = client
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(FETCH_TIMEOUT)
            .connect_timeout(FETCH_TIMEOUT)
            .pool_max_idle_per_host(1)
            .https_only(!loopback);
        // Nothing on loopback is a proxy's business, and plain HTTP needs no certificates, which a
        // minimal machine may not even have.
        let client = if loopback { client.no_proxy() } else { client };
        let client = if plain { client.tls_certs_only([]) } else { client };
        let client = client.build();
        Ok(Self(client.map_err(|e| format!("cannot set up HTTPS: {}", chain(&e)))?))
    }

    /// What stands at an address.
    pub(crate) async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let (status, body) = self.answer(self.0.get(url.clone()), &url).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(format!("{url} answered {status}")) }
    }

    /// The same, with an access token.
    pub(crate) async fn get_with(&self, url: &Url, token: &str) -> Result<Vec<u8>, String> {
        let request = self.0.get(url.clone()).bearer_auth(token);
        let (status, body) = self.answer(request, url).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(format!("{url} answered {status}")) }
    }

    /// What is answered to a form, and with which status.
    pub(crate) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        basic: Option<(&str, &str)>,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let request = self.0.post(url.clone()).form(form);
        let request = match basic {
            Some((name, secret)) => request.basic_auth(name, Some(secret)),
            None => request,
        };
        self.answer(request, url).await
    }

    async fn answer(
        &self,
        request: RequestBuilder,
        url: &Url,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let request = request.header(header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|e| chain(&e))?;
        let too_large = || format!("{url} answered with more than {MAX_BODY} bytes");
        if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }
}

/// An error with its causes: reqwest's own text stops at "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
