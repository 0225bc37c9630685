//! The whole story in one run: people of two real identity providers, an agent's psql, and the console in a real
//! browser. `tests/console/story.mjs` says what is done there.

#[path = "../../../crates/identity/tests/it/provider.rs"]
#[allow(dead_code, reason = "not every suite needs all of it")]
mod provider;
#[path = "shared/saml.rs"]
mod saml;

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::browser;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Output;

/// What the administrator edits in the browser.
const POLICY: &str = "@id(\"people-stay\")\n@reason(\"nobody is deleted\")\n\
    forbid (principal is Agent, action == Action::\"delete\", resource is Relation)\n\
    when { resource.name == \"customers\" };\n";

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One gateway for people of both providers, and for agents of the development provider.
fn arena(issuer: &str, partner: &saml::Provider) -> Arena {
    let mut setup = Setup::agent_safe();
    setup.more = format!(
        "[[identity.providers]]\nname = \"corp\"\nissuer = \"{issuer}\"\nkind_claim = \"kind\"\n\
         audiences = [\"portcullis\"]\n[identity.providers.sign_in]\nclient_id = \"gateway\"\n\
         client_secret_file = \"client.secret\"\nscopes = [\"openid\"]\n\
         [[identity.saml]]\nname = \"partner\"\nentity_id = \"{}\"\nmetadata_file = \"{}\"\n\
         name_attribute = \"urn:oid:2.16.840.1.113730.3.1.241\"\ndefault_kind = \"person\"\n\
         [administration]\ngroups = [\"admins\"]\n[audit]\ngroups = [\"auditors\"]\n",
        partner.entity, partner.metadata
    );
    let arena = Arena::start_with(&setup, &[("client.secret", provider::SECRET)]).unwrap();
    let documents = arena.directory().join("documents");
    fs::create_dir_all(documents.join("policies")).unwrap();
    fs::write(documents.join("policies/people-stay.cedar"), POLICY).unwrap();
    let path = documents.to_str().unwrap();
    good(arena.portcullis(&["apply", "--as", "max", "-f", path, "--yes"]).unwrap());
    arena
}

#[test]
fn from_signing_in_to_an_agent_that_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut partner) = saml::start(folder.path(), "localhost") else { return };
    if !provider::installed() {
        return;
    }
    let (mut corp, said) = provider::run(&["people.mjs", "{}"]);
    let issuer = said["issuer"].as_str().unwrap();
    let arena = arena(issuer, &partner);
    let gateway = json!({ "gateway": format!("http://{}", arena.http) });
    corp.tell(&gateway);
    partner.process.tell(&gateway);
    let credential = [
        "credential",
        "--as",
        "claude",
        "create",
        "--connection",
        "shop",
        "--purpose",
        "for the night's work",
    ];
    let credential = good(arena.portcullis(&credential).unwrap());
    let at = partner.entity.trim_end_matches("/metadata").to_owned();
    let told = browser::run(
        &arena,
        "story.mjs",
        &[
            ("OIDC", issuer.to_owned()),
            ("SAML", at),
            ("CREDENTIAL", credential.trim().to_owned()),
            ("ANA", arena.token("ana").unwrap()),
        ],
    );
    println!("{}", told.unwrap());
    // What was approved has run, once, and the record of it all is whole.
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE status = 'test'").unwrap(), "160");
    let verified = good(arena.portcullis(&["audit", "verify"]).unwrap());
    assert!(verified.starts_with("good: "), "{verified}");
    let all = journal(&arena.data().join("journal"));
    let decided = r#""event":"decided""#;
    let one = all.lines().find(|line| line.contains(decided)).unwrap();
    assert!(one.contains("bea.dba"), "{one}");
    for event in ["signed_in", "session_killed", "credential_revoked"] {
        assert!(all.contains(&format!("\"event\":\"{event}\"")), "{event} is not recorded");
    }
}

fn journal(place: &Path) -> String {
    let files = fs::read_dir(place).unwrap();
    files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok()).collect()
}
