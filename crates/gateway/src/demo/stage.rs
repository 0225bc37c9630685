//! What the demo runs on: a database server with a shop in it, a gateway, a development provider.

use crate::config::Config;
use crate::moment::random;
use crate::services::{Gateway, development_token};
use anyhow::Context as _;
use portcullis_sandbox::postgres::{Options, Postgres};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The shop's tables and rows.
const SHOP: &str = include_str!("shop.sql");

/// A running demo.
pub(crate) struct Stage {
    directory: TempDir,
    keep: bool,
    pub(crate) server: Postgres,
    pub(crate) gateway: Gateway,
    pub(crate) config: Config,
    config_file: PathBuf,
}

impl Stage {
    /// Starts everything.
    pub(crate) fn set(runtime: &Runtime, keep: bool) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?;
        eprintln!("starting PostgreSQL in {}", directory.path().display());
        let superuser = secret();
        let server = Postgres::start(directory.path(), &superuser, &Options::default())?;
        let app = secret();
        server.sql("postgres", "CREATE DATABASE shop")?;
        server.sql("shop", &format!("\\set app_password {app}\n{SHOP}"))?;
        let password_file = directory.path().join("shop_app.password");
        private_file(&password_file, &app)?;
        let config_file = directory.path().join("portcullis.toml");
        fs::write(&config_file, configuration(server.port()))?;
        let mut config = Config::load(&config_file)?;
        let gateway = runtime.block_on(Gateway::start(config.clone()))?;
        config.listen.http.address = gateway.http_address;
        config.listen.postgres.address = gateway.postgres_address;
        if let (Some(provider), Some(address)) = (&mut config.dev_provider, gateway.dev_address) {
            provider.listen = address;
        }
        // Whoever pastes the table's commands reads the same addresses from the file.
        let text = fs::read_to_string(&config_file)?
            .replace("@postgres@", &gateway.postgres_address.to_string());
        fs::write(&config_file, pinned(&text, &gateway))?;
        Ok(Self { directory, keep, server, gateway, config, config_file })
    }

    /// The directory everything is in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// A token of the development provider.
    pub(crate) async fn token(&self, name: &str) -> anyhow::Result<String> {
        development_token(&self.config, name).await
    }

    /// Ends everything, and removes the directory unless it is to be kept.
    pub(crate) fn strike(self, runtime: &Runtime) {
        runtime.block_on(self.gateway.stop());
        drop(self.server);
        if self.keep {
            eprintln!("kept {}", self.directory.keep().display());
        }
    }

    /// What to try, with commands to paste.
    pub(crate) fn table(&self) -> String {
        let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("portcullis"));
        let portcullis = format!("{} --config {}", exe.display(), self.config_file.display());
        let address = self.gateway.postgres_address;
        let psql = |who: &str, sql: &str| {
            format!(
                "PGPASSWORD=$({portcullis} token --as {who}) psql \
                 \"host={} port={} dbname=shop user={who} sslmode=require\" -c \"{sql}\"",
                address.ip(),
                address.port()
            )
        };
        let rows = [
            (
                "a masked read",
                psql("claude", "SELECT id, name, email, card_number FROM customers LIMIT 3"),
                "rows, with e-mail and card number masked",
            ),
            (
                "an alias hides nothing",
                psql("claude", "SELECT upper(email) AS city FROM customers LIMIT 3"),
                "masked all the same: the origin counts, not the name",
            ),
            (
                "a refused DROP",
                psql("claude", "DROP TABLE payments"),
                "refused, with the rule, the reason and what to do instead",
            ),
            (
                "a held DELETE",
                psql("claude", "DELETE FROM orders WHERE status = 'test' AND id > 800"),
                "waits for a reviewer; leave it running and decide in another terminal:",
            ),
            ("… what waits", format!("{portcullis} review --as bo list"), "the review's id"),
            (
                "… decide it",
                format!("{portcullis} review --as bo approve REVIEW"),
                "the DELETE runs, once; the agent itself (--as claude) may not approve",
            ),
            (
                "… or in a browser",
                format!("{portcullis} token --as bo"),
                &format!("a token to sign in with at http://{}/", self.gateway.http_address),
            ),
            ("what happened", format!("{portcullis} session list"), "then: session replay SESSION"),
            (
                "is the record whole?",
                format!("{portcullis} audit verify"),
                "yes; with --keep, edit a byte below data/journal once this has ended, and ask again",
            ),
        ];
        let mut table = String::from("\nThe gateway is running. Try, in another terminal:\n\n");
        for (what, command, outcome) in rows {
            table.push_str(&format!("  {what}\n    {command}\n    → {outcome}\n\n"));
        }
        table.push_str(if self.keep {
            "Ctrl-C ends it; the directory stays.\n"
        } else {
            "Ctrl-C ends it and removes everything.\n"
        });
        table
    }
}

fn secret() -> String {
    random::<16>().iter().map(|b| format!("{b:02x}")).collect()
}

fn private_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).with_context(|| path.display().to_string())?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Ports are chosen by the system; the file people use names those chosen.
fn pinned(text: &str, gateway: &Gateway) -> String {
    let mut text = text
        .replacen("\"127.0.0.1:0\" # postgres", &format!("\"{}\"", gateway.postgres_address), 1)
        .replacen("\"127.0.0.1:0\" # http", &format!("\"{}\"", gateway.http_address), 1);
    if let Some(address) = gateway.dev_address {
        text = text.replacen("\"127.0.0.1:0\" # provider", &format!("\"{address}\""), 1);
    }
    text
}

fn configuration(target_port: u16) -> String {
    format!(
        r#"# The demo's configuration: start from it for your own.
data_dir = "data"

[listen.postgres]
address = "127.0.0.1:0" # postgres

[listen.http]
address = "127.0.0.1:0" # http

# For development only. In production: [[identity.providers]].
[dev_provider]
listen = "127.0.0.1:0" # provider
people = [
  {{ name = "ana", groups = ["developers"] }},
  {{ name = "bo", groups = ["developers", "dba"] }},
  {{ name = "sam", groups = ["auditors"] }},
]
agents = [
  {{ name = "claude", acting_for = "ana", groups = ["agents"] }},
]

# Who may end sessions of others, and freeze what agents do.
[administration]
groups = ["dba"]

[policy]
packs = ["agent-safe"]

[connections.shop]
environment = "demo"
groups = ["agents", "developers"]
sensitive = [
  {{ column = "public.customers.email", label = "email", mask = "partial" }},
  {{ column = "public.customers.card_number", label = "card", mask = "partial" }},
  {{ column = "public.payments.iban", label = "iban", mask = "redact" }},
]

[connections.shop.target]
host = "127.0.0.1"
port = {target_port}
database = "shop"
user = "shop_app"
password_file = "shop_app.password"
"#
    )
}
