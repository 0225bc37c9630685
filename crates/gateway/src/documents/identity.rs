//! Documents that say who callers are: providers, trust rules and groups. Beside the life of a request.
//!
//! Whoever writes one of these may become anybody, by a provider of their own. So the configuration file has
//! to say that there may be such documents; each says the same as it would in that file, and is held against
//! the same; and what it names on the gateway's machine has to be listed there.

use super::kind::{Kind, Wrong};
use crate::config::{Config, line_of, with_nearest};
use crate::groups::GroupSettings;
use portcullis_identity::saml::SamlProvider;
use portcullis_identity::{Provider, SettingsError, SignIn, TrustRule};
use portcullis_targets::Reference;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The name of the provider for development, which no other has.
const DEVELOPMENT: &str = "development";

/// Takes one into a configuration.
pub(super) fn take(
    kind: Kind,
    config: &mut Config,
    base: &Config,
    (name, text): (&str, &str),
) -> Result<(), Wrong> {
    let wrong = |what: String| kind.wrong(name, None, what);
    if !base.documents.identity {
        let what = "the configuration file does not let documents say who callers are: set \
                    documents.identity = true there, and restart the gateway (whoever may change \
                    documents can then become anybody)";
        return Err(wrong(what.to_owned()));
    }
    match kind {
        Kind::Provider => {
            let mut provider: Provider = named(kind, (name, text))?;
            provider.validate().map_err(|error| wrong(told(&error)))?;
            unshadowed(base, name, &provider.issuer).map_err(wrong)?;
            if let Some(client) = &mut provider.sign_in {
                secret(client, &provider.issuer, base).map_err(wrong)?;
            }
            config.identity.providers.push(provider);
        }
        Kind::Saml => {
            let mut provider: SamlProvider = named(kind, (name, text))?;
            provider.validate().map_err(|error| wrong(told(&error)))?;
            unshadowed(base, name, &provider.entity_id).map_err(wrong)?;
            files(&mut provider, base).map_err(wrong)?;
            config.identity.saml.push(provider);
        }
        Kind::Workload => {
            let rule: Spanned<TrustRule> = named(kind, (name, text))?;
            rule.get_ref().validate().map_err(|error| wrong(told(&error)))?;
            unshadowed(base, name, "").map_err(wrong)?;
            config.identity.workloads.push(rule);
        }
        _ => {
            let group: GroupSettings = named(kind, (name, text))?;
            if let Some(fault) = group.fault() {
                return Err(wrong(fault));
            }
            if base.groups.iter().any(|own| own.name == name) {
                return Err(wrong(of_the_file("group")));
            }
            config.groups.push(group);
        }
    }
    Ok(())
}

/// What stands in a document, with the name of the document.
fn named<T: DeserializeOwned>(kind: Kind, (name, text): (&str, &str)) -> Result<T, Wrong> {
    let table: Result<toml::Table, _> = toml::from_str(text);
    if table.is_ok_and(|table| table.contains_key("name")) {
        let what = "name: it is that of the document: leave it out";
        return Err(kind.wrong(name, None, what));
    }
    // Names of documents have nothing in them that TOML would read as something else.
    let first = format!("name = \"{name}\"\n");
    toml::from_str(&format!("{first}{text}")).map_err(|error| {
        let start = error.span().map(|span| span.start.saturating_sub(first.len()));
        let line = start.map(|start| line_of(text, start));
        kind.wrong(name, line, with_nearest(error.message()))
    })
}

/// What is wrong, without the name, which stands before it.
fn told(error: &SettingsError) -> String {
    format!("{}: {}", error.key, error.problem)
}

fn of_the_file(what: &str) -> String {
    format!(
        "this {what} is the configuration file's: change it there, and restart the gateway, or take it \
         out there first"
    )
}

/// Whether the file has nobody of this name, nor a provider of this issuer.
fn unshadowed(base: &Config, name: &str, issuer: &str) -> Result<(), String> {
    let identity = &base.identity;
    let providers = identity.providers.iter().chain(&identity.development);
    let providers = providers.map(|one| (one.name.as_str(), one.issuer.as_str()));
    let saml = identity.saml.iter().map(|one| (one.name.as_str(), one.entity_id.as_str()));
    let rules = identity.workloads.iter().map(|rule| (rule.get_ref().name.as_str(), ""));
    let mut all = providers.chain(saml).chain(rules);
    let taken = |(of, by): (&str, &str)| of == name || !issuer.is_empty() && by == issuer;
    if name == DEVELOPMENT {
        return Err("this name is that of the provider for development".to_owned());
    }
    match all.find(|one| taken(*one)) {
        None => Ok(()),
        Some((of, _)) if of == name => Err(of_the_file("name")),
        Some((of, _)) => Err(format!(
            "issuer: it is that of \"{of}\" in the configuration file, and each issuer is one provider's"
        )),
    }
}

/// Whether a reference is one that documents may open.
fn listed(reference: &Reference, key: &str, base: &Config) -> Result<(), String> {
    if base.documents.credentials.contains(reference) {
        return Ok(());
    }
    Err(format!(
        "{key}: `{reference}` is not listed in documents.credentials of the configuration file, so no \
         document may name it: it would be sent to where the document says"
    ))
}

/// Whether a secret is one that documents may have sent to this issuer.
fn of_client(
    reference: &Reference,
    (key, issuer): (&str, &str),
    base: &Config,
) -> Result<(), String> {
    let mut listed = base.documents.client_secrets.iter();
    if listed.any(|one| one.secret == *reference && one.issuer == issuer) {
        return Ok(());
    }
    Err(format!(
        "{key}: `{reference}` is not listed for {issuer} in documents.client_secrets of the configuration \
         file (issuer and secret), so no document may have it sent there"
    ))
}

/// The secret of the gateway as a client.
fn secret(client: &mut SignIn, issuer: &str, base: &Config) -> Result<(), String> {
    if let Some(name) = &client.client_secret_env {
        let reference = Reference::Environment(name.clone());
        of_client(&reference, ("sign_in.client_secret_env", issuer), base)?;
    }
    if let Some(file) = &mut client.client_secret_file {
        let reference = Reference::File(file.clone());
        of_client(&reference, ("sign_in.client_secret_file", issuer), base)?;
        resolve(file, base);
    }
    Ok(())
}

/// The files of a SAML provider: those that decide whom to believe, and those with secrets.
fn files(provider: &mut SamlProvider, base: &Config) -> Result<(), String> {
    let trusted = |path: &Path| {
        let named = path.to_string_lossy();
        base.documents.certificates.iter().any(|listed| *listed == named)
    };
    let believed = [
        ("metadata_file", Some(&provider.metadata_file)),
        ("certificate_file", provider.certificate_file.as_ref()),
    ];
    for (key, path) in believed {
        if let Some(path) = path.filter(|path| !trusted(path)) {
            return Err(format!(
                "{key}: `{}` is not listed in documents.certificates of the configuration file, so no \
                 document may name it",
                path.display()
            ));
        }
    }
    let keys = provider.key_file.iter().map(|file| ("key_file", file));
    let former = provider.former_key_files.iter().map(|file| ("former_key_files", file));
    for (key, file) in keys.chain(former) {
        listed(&Reference::File(file.clone()), key, base)?;
    }
    provider.files_mut().for_each(|file| resolve(file, base));
    Ok(())
}

fn resolve(path: &mut PathBuf, base: &Config) {
    *path = base.documents.base.join(&*path);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[documents]\nidentity = true\n\
        client_secrets = [{ issuer = \"https://lab.example\", secret = \"file:client.secret\" },\n\
        { issuer = \"https://lab.example\", secret = \"env:S\" }]\n\
        certificates = [\"/etc/idp.xml\"]\n\
        [[identity.providers]]\nname = \"corp\"\nissuer = \"https://corp.example\"\naudiences = [\"p\"]\n\
        [[groups]]\nname = \"dba\"\nincludes = [\"x\"]\n";

    fn wrong_by(file: &str, kind: Kind, name: &str, text: &str) -> String {
        let base: Config = toml::from_str(file).unwrap();
        let mut config = base.clone();
        let taken = kind.take(&mut config, &base, name, text);
        taken.err().map(|wrong| wrong.to_string()).unwrap_or_default()
    }

    fn wrong(kind: Kind, name: &str, text: &str) -> String {
        wrong_by(FILE, kind, name, text)
    }

    const PROVIDER: &str = "issuer = \"https://lab.example\"\naudiences = [\"p\"]\n";

    #[test]
    fn a_provider_says_what_it_would_in_the_file_and_is_nobody_elses() {
        assert_eq!(wrong(Kind::Provider, "lab", PROVIDER), "");
        let check = |name: &str, text: &str, what: &str| {
            let found = wrong(Kind::Provider, name, text);
            let at = format!("providers/{name}.toml");
            assert!(found.starts_with(&at) && found.contains(what), "{found}");
        };
        check("corp", PROVIDER, "is the configuration file's");
        check("lab", &PROVIDER.replace("lab", "corp"), "that of \"corp\"");
        check("development", PROVIDER, "for development");
        check("lab", &format!("name = \"x\"\n{PROVIDER}"), "leave it out");
        check("lab", &format!("{PROVIDER}audience = 1\n"), "providers/lab.toml:3: unknown field");
        check("lab", &format!("{PROVIDER}leeway_seconds = 301\n"), "leeway_seconds: at most 300");
        check("lab", &PROVIDER.replace("https", "http"), "issuer: ");
        let off = wrong_by(&FILE.replace("true", "false"), Kind::Provider, "lab", PROVIDER);
        assert!(off.contains("documents.identity = true"), "{off}");
    }

    #[test]
    fn a_clients_secret_is_never_in_a_document_and_opens_only_what_is_listed() {
        let client = |line: &str| format!("{PROVIDER}[sign_in]\nclient_id = \"p\"\n{line}\n");
        let told = |line: &str| wrong(Kind::Provider, "lab", &client(line));
        for good in ["", "client_secret_file = \"client.secret\"", "client_secret_env = \"S\""] {
            assert_eq!(told(good), "", "{good}");
        }
        for bad in ["client_secret_file = \"/etc/shadow\"", "client_secret_env = \"HOME\""] {
            assert!(told(bad).contains("documents.client_secrets"), "{bad}");
        }
        // A secret goes to its own issuer alone.
        let other = client("client_secret_env = \"S\"").replace("lab.example", "evil.example");
        assert!(wrong(Kind::Provider, "lab", &other).contains("not listed for https://evil"));
        assert!(told("client_secret = \"hunter2\"").contains("unknown field"));
        let saml = |file: &str| {
            let text = format!("entity_id = \"urn:idp\"\nmetadata_file = \"{file}\"\n");
            wrong(Kind::Saml, "lab", &text)
        };
        assert_eq!(saml("/etc/idp.xml"), "");
        assert!(saml("/etc/other.xml").contains("documents.certificates"));
        let key = "entity_id = \"urn:idp\"\nmetadata_file = \"/etc/idp.xml\"\nkey_file = \"k\"\n\
                   certificate_file = \"/etc/idp.xml\"\n";
        assert!(wrong(Kind::Saml, "lab", key).contains("key_file: `file:k`"));
    }

    #[test]
    fn a_trust_rule_that_does_not_say_whose_is_refused() {
        let rule = |pins: &str| {
            format!("kind = \"oidc\"\nissuer = \"https://ci.example\"\naudiences = [\"p\"]\n{pins}")
        };
        let told = |pins: &str| wrong(Kind::Workload, "ci", &rule(pins));
        assert_eq!(told("pins = { sub = \"a\" }\n"), "");
        assert!(told("pins = {}\n").contains("they do not say whose tokens these are"));
        assert!(told("pins = { sub = \"a*\" }\n").contains("there are no wildcards"));
        assert!(told("").contains("missing field `pins`"));
        let corp = wrong(Kind::Workload, "corp", &rule("pins = { sub = \"a\" }\n"));
        assert!(corp.contains("is the configuration file's"), "{corp}");
    }

    #[test]
    fn a_group_is_not_one_of_the_file() {
        let group = "includes = [\"eng\"]\n";
        assert_eq!(wrong(Kind::Group, "leads", group), "");
        assert!(wrong(Kind::Group, "dba", group).contains("is the configuration file's"));
        assert!(wrong(Kind::Group, "leads", "").contains("nobody is in it"));
    }
}
