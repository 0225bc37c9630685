//! `portcullis saml …`: metadata, of the gateway for its SAML providers, and of a provider for whoever
//! configures it. Asks no gateway.

use super::access::NotDone;
use super::page;
use crate::config::Config;
use crate::sign_in::PublicUrl;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use portcullis_identity::saml::{IdpMetadata, SamlParties};
use portcullis_ledger::visible;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What SAML providers and the gateway have to know of each other.
#[derive(Debug, Subcommand)]
pub(super) enum Saml {
    /// Print the gateway's metadata, to be given to a provider. A running gateway has it at
    /// /auth/saml/metadata as well.
    Metadata(Metadata),
    /// Read a provider's metadata, and print what to add to the configuration.
    Inspect(Inspect),
}

/// The gateway's metadata.
#[derive(Debug, Args)]
pub(super) struct Metadata {
    /// For which provider, by its configured name, where there are several.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// A provider's metadata.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The file.
    file: PathBuf,
    /// Whose, where it is that of a federation.
    #[arg(long, value_name = "ENTITY ID")]
    entity_id: Option<String>,
}

pub(super) fn run(command: &Saml, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Saml::Metadata(command) => metadata(command, &Config::load(config)?),
        Saml::Inspect(command) => inspect(command, json),
    }
}

fn metadata(command: &Metadata, config: &Config) -> anyhow::Result<ExitCode> {
    let http = &config.listen.http;
    let public = match &http.public_url {
        Some(url) => PublicUrl::parse(url).map_err(anyhow::Error::msg)?,
        None => PublicUrl::of(http.address),
    };
    let parties = SamlParties::new(&config.identity.saml)?;
    let mut names = parties.providers().map(|provider| &provider.name);
    let name = match (&command.provider, names.next(), names.next()) {
        (Some(name), ..) | (None, Some(name), None) => name,
        (None, None, _) => return Err(NotDone("there is no [[identity.saml]]".into()).into()),
        _ => return Err(NotDone("there are several: --provider NAME says which".into()).into()),
    };
    let text = parties.metadata(name, &public.saml());
    let text = text.map_err(|_| NotDone(format!("there is no SAML provider \"{name}\"")))?;
    say!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn inspect(command: &Inspect, json: bool) -> anyhow::Result<ExitCode> {
    let Inspect { file, entity_id } = command;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let about = IdpMetadata::parse(&text, entity_id.as_deref())
        .map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?;
    if json {
        let about = json!({
            "entity_id": about.entity_id,
            "sign_on": about.sign_on.as_str(),
            "valid_until": about.valid_until,
            "fingerprints": about.fingerprints,
        });
        say!("{}", page::json(&about)?);
        return Ok(ExitCode::SUCCESS);
    }
    for fingerprint in &about.fingerprints {
        say!("# signing certificate, SHA-256 {fingerprint}");
    }
    say!("# compare them with what the provider shows; people are sent to {}", about.sign_on);
    if let Some(until) = about.valid_until {
        say!("# it may be used until {until:.0}");
    }
    let entity_id = toml::Value::String(visible::escape(&about.entity_id).into_owned());
    let path = toml::Value::String(file.display().to_string());
    say!("[[identity.saml]]\nname = \"corp\"\nentity_id = {entity_id}\nmetadata_file = {path}");
    say!("default_kind = \"person\"");
    Ok(ExitCode::SUCCESS)
}
