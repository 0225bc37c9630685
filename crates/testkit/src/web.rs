//! Plain HTTP by hand, and a browser that keeps cookies and fills in forms.

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The headers of this name.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        pairs.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON, or null.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Where it sends the browser.
    #[must_use]
    pub fn location(&self) -> &str {
        self.headers("location").next().unwrap_or_default()
    }
}

/// One request, such as `GET /path`, on a connection of its own.
pub fn http(
    at: SocketAddr,
    request: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = if host { String::new() } else { format!("Host: {at}\r\n") };
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{request} HTTP/1.1\r\n{host}Connection: close\r\n{headers}");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    // A file is for those who look at its head.
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let mut answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    if answer.headers("transfer-encoding").next().is_some() {
        answer.body = unchunked(&answer.body).context("broken chunks")?;
    }
    Ok(answer)
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Pairs as a form has them.
#[must_use]
pub fn form(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
        text.bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    pairs.iter().map(|(n, v)| format!("{n}={}", escaped(v))).collect::<Vec<_>>().join("&")
}

/// A browser, as far as signing in needs one.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// Cookies by host and port.
    jars: BTreeMap<String, BTreeMap<String, String>>,
}

/// Host and port of a plain URL, and what follows.
fn parts(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not plain http"))?;
    let end = rest.find('/').unwrap_or(rest.len());
    Ok(rest.split_at(end))
}

impl Browser {
    /// A cookie it keeps for a host and port.
    #[must_use]
    pub fn cookie(&self, authority: &str, name: &str) -> Option<&str> {
        self.jars.get(authority)?.get(name).map(String::as_str)
    }

    /// Puts a cookie in place.
    pub fn set_cookie(&mut self, authority: &str, name: &str, value: &str) {
        let jar = self.jars.entry(authority.to_owned()).or_default();
        jar.insert(name.to_owned(), value.to_owned());
    }

    /// One request, with its cookies. Follows nothing.
    pub fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let (authority, path) = parts(url)?;
        let path = path.split('#').next().filter(|path| !path.is_empty()).unwrap_or("/");
        let jar = self.jars.entry(authority.to_owned()).or_default();
        let cookies: Vec<String> =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let answer = http(authority.parse()?, &format!("{method} {path}"), &headers, body)?;
        for cookie in answer.headers("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            let attributes = attributes.to_lowercase();
            if attributes.contains("max-age=0") || attributes.contains("01 jan 1970") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }

    /// The same for what a page shows.
    pub fn get(&mut self, url: &str) -> anyhow::Result<Answer> {
        self.send("GET", url, &[("Accept", "text/html")], "")
    }

    /// Goes where it is sent, and fills in every form, as somebody of this name, until it would come to
    /// a place that `stop` names: that place. Or what it has come to.
    pub fn go(
        &mut self,
        url: &str,
        name: &str,
        stop: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Result<String, Answer>> {
        let mut url = url.to_owned();
        let mut answer = self.get(&url)?;
        for _ in 0..20 {
            let next = if (300..400).contains(&answer.status) {
                answer.location().to_owned()
            } else {
                match filled(&answer.body, name) {
                    Some((action, body)) => {
                        url = resolved(&url, &action)?;
                        let kind = ("Content-Type", "application/x-www-form-urlencoded");
                        answer = self.send("POST", &url, &[kind], &body)?;
                        continue;
                    }
                    None => return Ok(Err(answer)),
                }
            };
            url = resolved(&url, &next)?;
            if stop(&url) {
                return Ok(Ok(url));
            }
            answer = self.get(&url)?;
        }
        bail!("it goes round in circles at {url}")
    }
}

fn resolved(base: &str, place: &str) -> anyhow::Result<String> {
    if place.contains("://") {
        return Ok(place.to_owned());
    }
    let (authority, path) = parts(base)?;
    match place {
        "" => Ok(format!("http://{authority}{}", path.split('?').next().unwrap_or("/"))),
        place => Ok(format!("http://{authority}{place}")),
    }
}

/// The first form of a page that is sent by `POST`, with what is hidden in it, and a name where one is
/// asked for.
fn filled(page: &str, name: &str) -> Option<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    };
    let mut forms = page.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
    let form_of = forms.find(|text| text.to_lowercase().contains("method=\"post\""))?;
    let action = attribute(form_of, "action").unwrap_or_default();
    let mut pairs = Vec::new();
    // Those that belong to a form by `form=` stand behind it.
    for tag in page.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
        if let (Some("hidden"), Some(name)) =
            (attribute(tag, "type").as_deref(), attribute(tag, "name"))
        {
            pairs.push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    if form_of.contains("name=\"login\"") {
        pairs.push(("login".to_owned(), name.to_owned()));
        pairs.push(("password".to_owned(), "any".to_owned()));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    Some((action, form(&pairs)))
}
