//! What a gateway needs of others: its ports, the identity providers, and the targets.

use super::{Findings, Read, expiry, vault};
use crate::config::Config;
use crate::moment::now;
use portcullis_identity::{Verifier, http_client};
use portcullis_targets::{DialError, Dialer, Probe};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a peer on this machine, or a provider, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds that clocks may differ before tokens are refused now and then.
const SKEW: i64 = 30;

/// Whether the gateway's ports are its own.
pub(super) async fn ports(all: &mut Findings<'_>, config: &Config, running: bool) {
    let postgres = ("listen.postgres", config.listen.postgres.address);
    for (key, address) in [postgres, ("listen.http", config.listen.http.address)] {
        if address.port() == 0 {
            all.ok("ports", format!("{key}: the system chooses one"));
            continue;
        }
        if running {
            match answers(reachable(address)).await {
                Ok(()) => all.ok("ports", format!("{key}: {address} answers")),
                Err(error) => all.fail(
                    "ports",
                    format!("{key}: {address}: {error}"),
                    "the gateway runs, and nobody reaches it there",
                    "was the address changed since it was started? Restart it",
                ),
            }
            continue;
        }
        match TcpListener::bind(address) {
            Ok(_) => all.ok("ports", format!("{key}: {address} is free")),
            Err(error) => all.fail(
                "ports",
                format!("{key}: {address}: {error}"),
                "the gateway does not start: something else listens there, or it may not",
                "stop that (ss -ltnp), or choose another port",
            ),
        }
    }
}

/// Whether somebody listens there.
async fn answers(address: SocketAddr) -> io::Result<()> {
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
    connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(drop)
}

/// Where a listener on all addresses is reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() };
        address.set_ip(loopback);
    }
    address
}

/// Whether keys of providers can be had, and whether clocks agree.
pub(super) async fn providers(all: &mut Findings<'_>, config: &Config, running: bool) {
    let identity = &config.identity;
    let means = "nobody with a token of this provider can log in, once keys known so far are old";
    let next = "see that the gateway's machine reaches it, through its proxy and firewall";
    let verifier = Verifier::with_rules(identity.providers.clone(), identity.rules(), http_client);
    // What is wrong with the settings is said with the configuration.
    if let Ok(verifier) = verifier {
        let failures: BTreeMap<_, _> = verifier.warm(now()).await.into_iter().collect();
        let providers = identity.providers.iter().map(|p| (&p.name, &p.issuer));
        let rules = identity.rules();
        let rules = rules.iter().map(|rule| (&rule.name, &rule.issuer));
        // Rules of one issuer are one provider, which has the name of the first.
        let mut issuers: Vec<(&String, &String)> = Vec::new();
        for (name, issuer) in providers.chain(rules) {
            if !issuers.iter().any(|(_, known)| *known == issuer) {
                issuers.push((name, issuer));
            }
        }
        for (name, issuer) in issuers {
            all.about(Some(name));
            match failures.get(name) {
                None => all.ok("providers", format!("{name}: {issuer} gives its keys")),
                Some(error) => all.fail("providers", format!("{name}: {error}"), means, next),
            }
            skew(all, name, issuer).await;
        }
        all.about(None);
    }
    // Where the system has chosen a port, the file does not say which.
    let development = config.dev_provider.as_ref().filter(|dev| running && dev.listen.port() != 0);
    if let Some(provider) = development {
        match answers(provider.listen).await {
            Ok(()) => all.warn(
                "providers",
                format!("the development provider answers at {}", provider.listen),
                "who reaches it can be anybody in its list",
                "for production configure [[identity.providers]] and remove [dev_provider]",
            ),
            Err(error) => {
                let found = format!("development provider, {}: {error}", provider.listen);
                all.fail("providers", found, means, "restart the gateway");
            }
        }
    }
}

/// Compares this clock with a provider's, by the date of an answer of any kind.
async fn skew(all: &mut Findings<'_>, name: &str, issuer: &str) {
    let client = http_client().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    let Ok(client) = client.build() else { return };
    let Ok(answer) = client.head(issuer).send().await else { return };
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(date) = date else { return };
    let seconds = now().as_micros() / 1_000_000 - date.timestamp().as_second();
    if seconds.abs() > SKEW {
        all.fail(
            "providers",
            format!("{name}: its clock and this one differ by {seconds} s"),
            "tokens are refused as not good yet, or are good for too long",
            "keep this machine's time with NTP",
        );
    }
}

/// Whether targets can be reached and logged in to, and what the roles may do there.
pub(super) async fn targets(all: &mut Findings<'_>, config: &Config, rows: Read) {
    let targets = config.connections.iter().map(|(name, c)| (name.clone(), c.target.clone()));
    // What is wrong with settings is said with the configuration.
    let (Ok(dialer), Ok(secrets)) = (Dialer::new(targets.collect()), vault(config, rows)) else {
        return;
    };
    let dialer = dialer.with_secrets(secrets);
    for (name, connection) in &config.connections {
        all.about(Some(name));
        for role in connection.target.role_names() {
            let what = format!("connection {name}, role {role}");
            match dialer.probe(name, role).await {
                Ok(probe) => probed(all, &what, &probe),
                Err(error) => unreached(all, &what, &error),
            }
        }
    }
    all.about(None);
}

fn unreached(all: &mut Findings<'_>, what: &str, error: &DialError) {
    let next = match error {
        DialError::Credential(_) | DialError::NoCredential => {
            "set password_from, or what it names (docs/how-to/keep-secrets.md)"
        }
        DialError::Resolve { .. } | DialError::Io { .. } | DialError::Timeout(_) => {
            "see that the server runs, and that the gateway's machine reaches it"
        }
        DialError::NoTls | DialError::Tls(_) => {
            "see sslmode and sslrootcert (docs/how-to/connect-your-database.md)"
        }
        DialError::Refused { code, .. } if code == "28P01" => {
            "the password is not the role's: set the secret again"
        }
        DialError::Refused { .. } => "see pg_hba.conf, and the role and database at the server",
        _ => "see the connection's target in docs/reference/configuration.md",
    };
    all.fail("targets", format!("{what}: {error}"), "no session to it can be opened", next);
}

fn probed(all: &mut Findings<'_>, what: &str, probe: &Probe) {
    let channel = match (probe.encrypted, probe.verified, probe.local) {
        (true, true, _) => "TLS, verified",
        (true, false, _) => "TLS, not verified",
        (false, _, true) => "on this machine",
        (false, ..) => "not encrypted",
    };
    all.ok("targets", format!("{what}: PostgreSQL {}, {channel}", probe.version));
    if !probe.local && !probe.verified {
        all.warn(
            "targets",
            format!("{what}: {channel}"),
            "who is between here and the target can pose as it, or read everything",
            "write sslmode = \"verify-full\"",
        );
    }
    if let Some(ends) = probe.certificate_ends.filter(|_| probe.verified) {
        expiry(all, &format!("{what}: the target's certificate"), ends, "renew it at the target");
    }
    let rights = &probe.rights;
    let mut wide: Vec<String> = rights.attributes.iter().map(|a| (*a).to_owned()).collect();
    if rights.owns > 0 {
        wide.push(format!("owner of {} tables and views", rights.owns));
    }
    wide.extend(rights.member_of.iter().map(|roles| format!("member of {roles}")));
    if !wide.is_empty() {
        all.warn(
            "targets",
            format!("{what} has wide rights: {}", wide.join("; ")),
            "any mistake in a policy can do at the target what the role can do",
            "give it a role with the least rights (docs/how-to/connect-your-database.md)",
        );
    }
}
