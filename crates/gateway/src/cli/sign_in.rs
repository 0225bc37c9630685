//! `portcullis login`, `logout`, `whoami`, `token`: people at a terminal, with the provider they have. The
//! provider is asked by this command itself (RFC 8252: a public client, PKCE, a redirect to loopback; RFC
//! 8628 where there is no browser); the gateway only says which there are, and checks what comes out.

use super::access::{Access, Client, NotDone, text, time};
use super::kept::{self, Asking, SignedInAt};
use super::page;
use crate::config::Config;
use crate::moment::now;
use crate::services;
use anyhow::{Context as _, bail};
use clap::Args;
use portcullis_identity::relying::{Answer, Polled, SIGN_IN_LIFE, SignInError, SignedIn};
use portcullis_ledger::visible;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Largest request of a browser, in bytes.
const MAX_REQUEST: usize = 16 * 1024;
/// How long one may take to come in.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Sign in with your identity provider.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// The provider; needed where the gateway has several.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    #[command(flatten)]
    gateway: AtGateway,
    /// Show a code to type in a browser elsewhere, even where there is a browser here.
    #[arg(long)]
    device: bool,
}

/// Which gateway.
#[derive(Debug, Args)]
pub(super) struct AtGateway {
    /// The gateway, such as `https://portcullis.example`; by default the one of the configuration, or
    /// that of your last `login`.
    #[arg(long, value_name = "URL", env = "PORTCULLIS_API")]
    gateway: Option<String>,
}

/// Sign out: forget the token that is kept, and have the provider forget it.
#[derive(Debug, Args)]
pub(super) struct Logout {
    #[command(flatten)]
    gateway: AtGateway,
}

/// Who you are to the gateway.
#[derive(Debug, Args)]
pub(super) struct Whoami {
    #[command(flatten)]
    access: Access,
}

/// Print your token, for scripts and as a password: `PGPASSWORD=$(portcullis token) psql …`. It is
/// refreshed where less than half of its life is left.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// That of the development provider for this person, agent or workload of `[dev_provider]`.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    gateway: AtGateway,
}

/// A provider, as `/auth/providers` has it.
#[derive(Debug, Deserialize)]
struct Offered {
    name: String,
    /// `oidc` or `saml`; gateways of before have the first alone.
    #[serde(default)]
    kind: String,
    issuer: String,
    cli_client_id: Option<String>,
    scope: Option<String>,
}

pub(super) async fn token(token: Token, config: &Config) -> anyhow::Result<ExitCode> {
    let token = match &token.name {
        Some(name) => services::development_token(config, name).await?,
        None => {
            kept::token(&super::access::gateway(token.gateway.gateway.as_deref(), config)?).await?
        }
    };
    say!("{token}");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn whoami(
    whoami: Whoami,
    config: &Config,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let me = whoami.access.client(config).await?.get("/api/v1/me").await?;
    match json {
        true => say!("{}", page::json(&me)?),
        false => say!("{}", described(&me)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Who somebody is, in some lines.
fn described(me: &Value) -> String {
    let list = |name: &str| {
        let all = me.get(name).and_then(Value::as_array).into_iter().flatten();
        let all: Vec<&str> = all.filter_map(Value::as_str).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    let whom = text(me, "/acting_for");
    let whom = if whom.is_empty() { String::new() } else { format!(" for {whom}") };
    let (name, kind) = (text(me, "/name"), text(me, "/kind"));
    let lines = [
        format!("{name}{whom} ({kind}, {} at {})", text(me, "/subject"), text(me, "/issuer")),
        format!("groups: {}", list("groups")),
        format!("rights: {}", list("rights")),
        format!("until:  {}", time(me, "/expires")),
    ];
    lines.map(|line| visible::escape(&line).into_owned()).join("\n")
}

pub(super) async fn logout(logout: Logout, config: &Config) -> anyhow::Result<ExitCode> {
    let gateway = super::access::gateway(logout.gateway.gateway.as_deref(), config)?;
    let store = kept::Store::open()?;
    let mut kept = store.read()?;
    let Some(own) = kept.gateways.remove(&gateway) else {
        return Err(NotDone(format!("you are not signed in at {gateway}")).into());
    };
    kept.current = kept.current.filter(|current| *current != gateway);
    store.write(&kept)?;
    if let Err(error) = own.forget().await {
        eprintln!("portcullis: the provider may still take the refresh token: {error}");
    }
    say!("signed out of {gateway}; sessions that run end with their token");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn login(login: Login, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let gateway = super::access::gateway(login.gateway.gateway.as_deref(), config)?;
    let offered = chosen(&gateway, login.provider.as_deref()).await?;
    if offered.kind == "saml" {
        return Err(NotDone(format!(
            "at \"{}\" people sign in by SAML, which is for browsers: go to {gateway}/auth/login",
            offered.name
        ))
        .into());
    }
    let Some(client) = &offered.cli_client_id else {
        return Err(NotDone(format!(
            "provider \"{}\" has no client for terminals: its operator sets \
             identity.providers.sign_in.cli_client_id",
            offered.name
        ))
        .into());
    };
    let scopes: Vec<String> =
        offered.scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect();
    let asking = Asking::new((&offered.name, &offered.issuer), client, scopes.clone())?;
    let since = now();
    let signed_in = match browser().filter(|_| !login.device) {
        Some(program) => in_browser(&asking, &offered.name, &program).await,
        None => by_device(&asking, &offered.name).await,
    };
    let signed_in = signed_in.map_err(|error| match error.downcast::<SignInError>() {
        Ok(error) => NotDone(error.to_string()).into(),
        Err(error) => error,
    })?;
    let own = SignedInAt::new(&signed_in, client, scopes, since);
    // What the gateway does not accept is not kept.
    let me = Client::new(gateway.clone(), own.token().to_owned()).get("/api/v1/me").await?;
    let expires = own.expires();
    let store = kept::Store::open()?;
    let mut all = store.read()?;
    all.gateways.insert(gateway.clone(), own);
    all.current = Some(gateway.clone());
    store.write(&all)?;
    if json {
        say!("{}", page::json(&json!({ "gateway": gateway, "me": me, "expires": expires }))?);
    } else {
        say!("signed in at {gateway}\n{}", described(&me));
    }
    Ok(ExitCode::SUCCESS)
}

/// The provider to sign in with.
async fn chosen(gateway: &str, name: Option<&str>) -> anyhow::Result<Offered> {
    let offered = Client::new(gateway.to_owned(), String::new()).ask("/auth/providers").await?;
    let mut offered: Vec<Offered> = serde_json::from_value(offered)
        .with_context(|| format!("{gateway} is no gateway to sign in at"))?;
    // Terminals need a client, which a SAML provider has not.
    if name.is_none() && offered.iter().any(|provider| provider.kind != "saml") {
        offered.retain(|provider| provider.kind != "saml");
    }
    let names: Vec<String> = offered.iter().map(|provider| provider.name.clone()).collect();
    let names = names.join(", ");
    match name {
        Some(name) => offered.retain(|provider| provider.name == name),
        None if offered.len() > 1 => {
            return Err(NotDone(format!("say with which provider: --provider {names}")).into());
        }
        None => {}
    }
    let none = || match (name, names.as_str()) {
        (_, "") => format!("nobody can sign in at {gateway}: see identity.providers.sign_in"),
        (Some(name), names) => format!("there is no provider \"{name}\" (there are: {names})"),
        (None, _) => String::new(),
    };
    offered.pop().ok_or_else(|| NotDone(none()).into())
}

/// The program that opens a page in a browser, where there is one.
fn browser() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    if let Some(program) = set("BROWSER") {
        return Some(program);
    }
    if cfg!(target_os = "macos") {
        return Some("open".to_owned());
    }
    set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY"))?;
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).any(|place| place.join("xdg-open").is_file());
    found.then(|| "xdg-open".to_owned())
}

/// RFC 8252 §7.3: the browser comes back to a port of this host.
async fn in_browser(asking: &Asking, provider: &str, program: &str) -> anyhow::Result<SignedIn> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let redirect = format!("http://127.0.0.1:{}/callback", listener.local_addr()?.port());
    let (url, pending) = asking.party.begin(provider, &redirect, false, now()).await?;
    eprintln!("opening your browser; where it does not open, go to:\n\n  {url}\n");
    let opened = Command::new(program)
        .arg(&url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = opened {
        eprintln!("{program}: {error}");
    }
    let answer = tokio::time::timeout(SIGN_IN_LIFE, answered(&listener, pending.state())).await;
    let answer = answer.map_err(|_| SignInError::TooLate)??;
    Ok(asking.party.finish(pending, answer, &asking.verifier, now()).await?)
}

/// The answer to the sign-in of this state. What else comes is turned away.
async fn answered(listener: &TcpListener, state: &str) -> anyhow::Result<Answer> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let request = tokio::time::timeout(REQUEST_TIME, request(&mut stream)).await;
        let answer = match request {
            Ok(Ok(Some(query))) => Answer::parse(&query).ok(),
            _ => None,
        };
        let ours = answer.filter(|answer| answer.state() == Some(state));
        let (status, words) = match &ours {
            Some(_) => ("200 OK", "The terminal goes on from here. You can close this window.\n"),
            None => ("404 Not Found", "This is not the sign-in that is waited for.\n"),
        };
        let head = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
                    X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
                    Connection: close";
        let page = format!(
            "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{words}",
            words.len()
        );
        // The answer counts whether or not its page could be shown.
        let _ = stream.write_all(page.as_bytes()).await;
        let _ = stream.shutdown().await;
        if let Some(answer) = ours {
            return Ok(answer);
        }
    }
}

/// The query of a request for `/callback`.
async fn request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await?;
        if read == 0 || bytes.len() > MAX_REQUEST {
            return Ok(None);
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    let path = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    Ok(path.and_then(|path| path.strip_prefix("/callback?")).map(str::to_owned))
}

/// RFC 8628: somebody signs in elsewhere.
async fn by_device(asking: &Asking, provider: &str) -> anyhow::Result<SignedIn> {
    let mut device = asking.party.begin_device(provider, now()).await.map_err(|error| {
        let without = "there is no browser here";
        match error {
            SignInError::NotOffered { .. } => anyhow::Error::new(NotDone(format!(
                "{error}, and {without}: set BROWSER, or run this where there is one"
            ))),
            error => error.into(),
        }
    })?;
    eprintln!(
        "to sign in, go to\n\n  {}\n\nand type  {}",
        device.verification_uri, device.user_code
    );
    if let Some(complete) = &device.verification_uri_complete {
        eprintln!("\nor go to\n\n  {complete}");
    }
    eprintln!("\nwaiting …");
    loop {
        tokio::time::sleep(device.interval).await;
        match asking.party.poll_device(&mut device, &asking.verifier, now()).await {
            Ok(Polled::SignedIn(signed_in)) => return Ok(*signed_in),
            Ok(Polled::Pending) => {}
            // RFC 8628 §3.5: one that cannot be reached is asked again, less often.
            Err(error) if error.is_temporary() => device.interval *= 2,
            Err(error) => bail!(error),
        }
    }
}
