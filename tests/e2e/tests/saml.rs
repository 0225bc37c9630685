//! People sign in with a real SAML provider (pysaml2 with xmlsec1, its pages driven over plain HTTP): by
//! signed and by encrypted assertions, from the gateway and from the provider; what the gateway and the
//! provider learn of each other; and what is refused, each with its own reason.

#[path = "../../../crates/identity/tests/it/provider.rs"]
#[allow(dead_code, unreachable_pub, reason = "its processes are driven alike")]
mod provider;
#[path = "shared/saml.rs"]
mod saml;

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::browser;
use portcullis_testkit::web::{Answer, Browser, form};
use provider::Node;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A provider, and a gateway that trusts it.
struct Stage {
    idp: Node,
    entity: String,
    arena: Arena,
    _folder: tempfile::TempDir,
}

/// `more` are settings of the provider, and whatever follows.
fn start(more: &str, encrypting: bool) -> Option<Stage> {
    start_at("127.0.0.1", more, encrypting)
}

/// The same, for a provider that is called by this name of loopback.
fn start_at(host: &str, more: &str, encrypting: bool) -> Option<Stage> {
    let folder = tempfile::tempdir().unwrap();
    let saml::Provider { process: mut idp, entity, metadata } = saml::start(folder.path(), host)?;
    let mut files = Vec::new();
    let mut keys = "";
    if encrypting {
        let (key, certificate) = key_pair(folder.path());
        files = vec![("saml.key", key), ("saml.pem", certificate)];
        keys = "key_file = \"saml.key\"\ncertificate_file = \"saml.pem\"\n";
    }
    let mut setup = Setup::agent_safe();
    setup.more = format!(
        "[[identity.saml]]\nname = \"corp\"\nentity_id = \"{entity}\"\nmetadata_file = \"{metadata}\"\n\
         name_attribute = \"urn:oid:2.16.840.1.113730.3.1.241\"\ndefault_kind = \"person\"\n{keys}{more}"
    );
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let arena = Arena::start_with(&setup, &files).unwrap();
    idp.tell(&json!({ "gateway": format!("http://{}", arena.http) }));
    Some(Stage { idp, entity, arena, _folder: folder })
}

fn key_pair(folder: &Path) -> (String, String) {
    let (key, certificate) = (folder.join("own.key"), folder.join("own.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=gateway"]);
    let done = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let read = |path| std::fs::read_to_string(path).unwrap();
    (read(key), read(certificate))
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.arena.http)
    }

    fn me(&self, browser: &mut Browser) -> Answer {
        browser.get(&self.at("/api/v1/me")).unwrap()
    }

    /// Where the gateway sends a browser that wants to sign in.
    fn sent(&self, browser: &mut Browser) -> String {
        let url = self.at("/auth/login?provider=corp&return_to=/api/v1/me");
        let answer = browser.get(&url).unwrap();
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.location().to_owned()
    }

    /// The form a provider's page posts at the end, for somebody of this name.
    fn answer(&self, browser: &mut Browser, name: &str) -> Vec<(String, String)> {
        let url = self.sent(browser);
        let (_, query) = url.split_once('?').unwrap();
        let place = format!("{}/sso", self.entity.trim_end_matches("/metadata"));
        let body = format!("{query}&{}", form(&[("login", name)]));
        fields(&browser.send("POST", &place, &[FORM], &body).unwrap().body)
    }

    /// What the gateway says to a form, which comes from another site and so without cookies.
    fn post(&self, fields: &[(String, String)]) -> Answer {
        let pairs: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let from = ("Origin", "http://127.0.0.1:1");
        let headers = [FORM, from, ("Sec-Fetch-Site", "cross-site"), ("Accept", "text/html")];
        let place = self.at("/auth/saml/acs");
        Browser::default().send("POST", &place, &headers, &form(&pairs)).unwrap()
    }

    /// What comes of signing in as somebody in this browser.
    fn try_sign_in(&self, browser: &mut Browser, name: &str) -> Answer {
        let fields = self.answer(browser, name);
        let arrived = self.post(&fields);
        if arrived.status != 303 {
            return arrived;
        }
        assert!(arrived.location().starts_with("/auth/saml/finish?ticket="), "{}", arrived.head);
        assert!(arrived.headers("set-cookie").next().is_none(), "{}", arrived.head);
        browser.get(&self.at(arrived.location())).unwrap()
    }

    fn signed_in(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let answer = self.try_sign_in(&mut browser, name);
        assert_eq!((answer.status, answer.location()), (303, "/api/v1/me"), "{}", answer.body);
        browser
    }

    /// What a browser's person confirms by the form of a page, which says where it is from.
    fn confirm(&self, browser: &mut Browser, fields: &[(String, String)]) -> Answer {
        let pairs: Vec<(&str, &str)> =
            fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let origin = self.at("");
        let headers = [FORM, ("Origin", origin.as_str()), ("Accept", "text/html")];
        browser.send("POST", &self.at("/auth/saml/finish"), &headers, &form(&pairs)).unwrap()
    }

    fn unsolicited(&self, name: &str, place: &str) -> Vec<(String, String)> {
        let base = self.entity.trim_end_matches("/metadata");
        let url = format!("{base}/unsolicited?{}", form(&[("login", name), ("RelayState", place)]));
        fields(&Browser::default().get(&url).unwrap().body)
    }
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// What is hidden in a page's form.
fn fields(page: &str) -> Vec<(String, String)> {
    let of = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let tags = page.split("<input").skip(1);
    let all: Vec<_> = tags.filter_map(|tag| Some((of(tag, "name")?, of(tag, "value")?))).collect();
    assert!(!all.is_empty(), "{page}");
    all
}

fn refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(why), "{}", answer.body);
}

fn is_ana(stage: &Stage, browser: &mut Browser) {
    let me = stage.me(browser).json();
    assert_eq!((&me["name"], &me["kind"]), (&json!("Ana"), &json!("person")), "{me}");
    assert_eq!((&me["subject"], &me["issuer"]), (&json!("u-ana"), &json!(stage.entity)));
    assert_eq!(
        (&me["groups"], &me["rights"]),
        (&json!(["admins", "dba"]), &json!(["reviewer", "administrator"]))
    );
}

const ADMINISTRATORS: &str = "[administration]\ngroups = [\"admins\"]\n";

#[test]
fn people_sign_in_by_signed_assertions() {
    let Some(mut stage) = start(ADMINISTRATORS, false) else { return };
    let offered = Browser::default().get(&stage.at("/auth/providers")).unwrap().json();
    let corp =
        offered.as_array().unwrap().iter().find(|one| one["name"] == "corp").unwrap().clone();
    assert_eq!((&corp["kind"], &corp["issuer"]), (&json!("saml"), &json!(stage.entity)));
    let mut ana = stage.signed_in("ana.dba.admins");
    is_ana(&stage, &mut ana);
    // By the answer's signature, and by both.
    for (response, assertion) in [(true, false), (true, true)] {
        stage.idp.tell(&json!({ "sign_response": response, "sign_assertion": assertion }));
        is_ana(&stage, &mut stage.signed_in("ana.dba.admins"));
    }
    stage.idp.tell(&json!({ "sign_response": false, "sign_assertion": false }));
    let mut bo = Browser::default();
    refused(
        &stage.try_sign_in(&mut bo, "bo"),
        400,
        "neither the answer nor its assertion is signed",
    );
    stage.idp.tell(&json!({ "sign_assertion": true, "sha1": true }));
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "xmldsig#rsa-sha1 is not accepted");
    stage.idp.tell(&json!({ "sha1": false, "transient": true }));
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "its name ID is transient");
    stage.idp.tell(&json!({ "transient": false, "lifetime": -120 }));
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "has run out");
    // A new key, as soon as the provider's metadata have it.
    stage.idp.tell(&json!({ "lifetime": 300, "rotate": true }));
    is_ana(&stage, &mut stage.signed_in("ana.dba.admins"));
    // The session ends with the provider's.
    stage.idp.tell(&json!({ "session": 3 }));
    let mut short = stage.signed_in("cy");
    assert_eq!(stage.me(&mut short).status, 200);
    std::thread::sleep(Duration::from_millis(3_500));
    refused(&stage.me(&mut short), 401, "word for you has run out");
    // Out, here.
    let origin = stage.at("");
    let headers = [("X-Portcullis", "1"), ("Origin", origin.as_str())];
    let mut before = ana.clone();
    let out = ana.send("POST", &stage.at("/auth/logout"), &headers, "").unwrap();
    assert_eq!(out.json(), json!({ "signed_out": true, "end_session": null }));
    refused(&stage.me(&mut before), 401, "this session has ended");
}

#[test]
fn people_sign_in_by_encrypted_assertions() {
    let more = format!("require_encryption = true\n{ADMINISTRATORS}");
    let Some(mut stage) = start(&more, true) else { return };
    let mut bo = Browser::default();
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "is not encrypted, and has to be");
    // The provider checks the request's signature, and knows the key from the gateway's metadata.
    stage.idp.tell(&json!({ "encrypt": true }));
    assert!(stage.sent(&mut bo).contains("&SigAlg="));
    is_ana(&stage, &mut stage.signed_in("ana.dba.admins"));
    stage.idp.tell(&json!({ "sign_response": true }));
    is_ana(&stage, &mut stage.signed_in("ana.dba.admins"));
    let cbc = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
    stage.idp.tell(&json!({ "cipher": cbc }));
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "xmlenc#aes256-cbc is not accepted");
    let cli = stage.arena.portcullis(&["saml", "metadata"]).unwrap();
    let served = Browser::default().get(&stage.at("/auth/saml/metadata")).unwrap();
    assert!(cli.status.success(), "{cli:?}");
    let written = String::from_utf8(cli.stdout).unwrap();
    assert!(served.body.contains("<md:KeyDescriptor use=\"encryption\">"), "{}", served.body);
    // The address is that of the listener, which the command does not know where none is configured.
    assert_eq!(written.lines().count(), served.body.lines().count());
    let file = stage._folder.path().join("idp.xml");
    let shown = stage.arena.portcullis(&["saml", "inspect", file.to_str().unwrap()]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&format!("entity_id = \"{}\"", stage.entity)), "{shown}");
}

#[test]
fn what_is_allowed_to_be_encrypted_by_cbc_is_opened() {
    let more = format!("allow_aes_cbc = true\n{ADMINISTRATORS}");
    let Some(mut stage) = start(&more, true) else { return };
    let cbc = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
    stage.idp.tell(&json!({ "encrypt": true, "cipher": cbc }));
    let mut bo = Browser::default();
    refused(&stage.try_sign_in(&mut bo, "bo"), 400, "the answer around it is not signed");
    stage.idp.tell(&json!({ "sign_response": true }));
    is_ana(&stage, &mut stage.signed_in("ana.dba.admins"));
}

#[test]
fn a_provider_begins_only_where_it_may() {
    let Some(stage) = start(ADMINISTRATORS, false) else { return };
    let answer = stage.unsolicited("ana.dba.admins", "/reviews");
    refused(&stage.post(&answer), 400, "nobody here has asked for this answer");

    let more = format!("idp_initiated = true\n{ADMINISTRATORS}");
    let Some(mut stage) = start(&more, false) else { return };
    let answer = stage.unsolicited("ana.dba.admins", "/api/v1/me?x=1");
    let arrived = stage.post(&answer);
    assert_eq!(arrived.status, 303, "{}", arrived.body);
    // Nobody is signed in before they have said so, and nowhere but in that browser.
    let mut ana = Browser::default();
    let asked = ana.get(&stage.at(arrived.location())).unwrap();
    assert_eq!(asked.status, 200);
    assert!(asked.body.contains("<b>Ana</b> (u-ana)"), "{}", asked.body);
    assert_eq!(stage.me(&mut ana).status, 401);
    let policy = asked.headers("content-security-policy").collect::<Vec<_>>();
    assert_eq!(policy, ["default-src 'none'; form-action 'self'; frame-ancestors 'none'"]);
    // The cookie is that of other sign-ins as well, and lives as long.
    let kept = asked.headers("set-cookie").next().unwrap();
    assert!(kept.contains("; Max-Age=600;"), "{kept}");
    let ticket = fields(&asked.body);
    refused(&stage.confirm(&mut Browser::default(), &ticket), 400, "(`state`)");
    refused(&stage.confirm(&mut ana, &ticket), 400, "(`state`)");
    refused(&stage.post(&answer), 400, "used already (replay)");
    // Whoever follows an address has confirmed nothing.
    let arrived = stage.post(&stage.unsolicited("ana.dba.admins", "/"));
    let asked = ana.get(&stage.at(arrived.location())).unwrap();
    let address = format!("/auth/saml/finish?ticket={}", fields(&asked.body)[0].1);
    refused(&ana.get(&stage.at(&address)).unwrap(), 400, "(`state`)");
    assert_eq!(stage.me(&mut ana).status, 401);
    let arrived = stage.post(&stage.unsolicited("ana.dba.admins", "/api/v1/me?x=1"));
    let asked = ana.get(&stage.at(arrived.location())).unwrap();
    let done = stage.confirm(&mut ana, &fields(&asked.body));
    assert_eq!((done.status, done.location()), (303, "/api/v1/me?x=1"), "{}", done.body);
    is_ana(&stage, &mut ana);
    // Elsewhere is nowhere. Who was signed in before is not any more.
    let mut before = ana.clone();
    let arrived = stage.post(&stage.unsolicited("ana", "https://evil.example/"));
    let asked = ana.get(&stage.at(arrived.location())).unwrap();
    let ticket = fields(&asked.body);
    let other = [FORM, ("Origin", "http://evil.example")];
    let place = stage.at("/auth/saml/finish");
    refused(&ana.send("POST", &place, &other, "ticket=x").unwrap(), 403, "another origin");
    let done = stage.confirm(&mut ana, &ticket);
    assert_eq!(done.location(), "/");
    refused(&stage.me(&mut before), 401, "this session has ended");
    // What was used stays used.
    stage.arena.stop_gateway();
    stage.arena.start_gateway().unwrap();
    refused(&stage.post(&answer), 400, "used already (replay)");
}

#[test]
fn attacks_on_a_sign_in_by_saml_are_refused_each_for_its_reason() {
    let Some(stage) = start(ADMINISTRATORS, false) else { return };
    // An attacker's answer in a victim's browser.
    let (mut mallory, mut victim) = (Browser::default(), Browser::default());
    stage.sent(&mut victim);
    let arrived = stage.post(&stage.answer(&mut mallory, "mallory"));
    refused(&victim.get(&stage.at(arrived.location())).unwrap(), 400, "(`state`)");
    assert_eq!(stage.me(&mut victim).status, 401);
    refused(&mallory.get(&stage.at(arrived.location())).unwrap(), 400, "(`state`)");
    // A ticket of nobody's, a state that was used, an answer to another sign-in, one without its state.
    refused(&victim.get(&stage.at("/auth/saml/finish?ticket=x")).unwrap(), 400, "(`state`)");
    refused(&victim.get(&stage.at("/auth/saml/finish")).unwrap(), 400, "(`state`)");
    let first = stage.answer(&mut victim, "ana.dba.admins");
    assert_eq!(stage.post(&first).status, 303);
    refused(&stage.post(&first), 400, "nobody here has asked for this answer");
    let second = stage.answer(&mut victim, "ana.dba.admins");
    let of = |all: &[(String, String)], wanted: &str| {
        all.iter().find(|(name, _)| name == wanted).unwrap().clone()
    };
    let mixed = [of(&first, "SAMLResponse"), of(&second, "RelayState")];
    refused(&stage.post(&mixed), 400, "(InResponseTo)");
    let third = stage.answer(&mut victim, "ana.dba.admins");
    let nobodys = [of(&third, "SAMLResponse")];
    refused(&stage.post(&nobodys), 400, "nobody here has asked for this answer");
    // One that was changed.
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let edited = |from: &str, to: &str| {
        let mut browser = Browser::default();
        let mut fields = stage.answer(&mut browser, "ana.dba");
        let text = STANDARD.decode(&fields[0].1).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(from), "{text}");
        fields[0].1 = STANDARD.encode(text.replace(from, to));
        stage.post(&fields)
    };
    refused(&edited(">u-ana<", ">u-eve<"), 400, "the digest is another");
    refused(&edited(">u-ana<", ">u-<!---->ana<"), 400, "has a comment");
    refused(&edited("<ns0:Response", "<!DOCTYPE x><ns0:Response"), 400, "document type");
    // By OpenID Connect's way back, and the other way round.
    let state = of(&stage.answer(&mut victim, "ana"), "RelayState").1;
    let callback = stage.at(&format!("/auth/callback?code=x&state={state}"));
    refused(&victim.get(&callback).unwrap(), 400, "(`state`)");
    // With a cookie: an answer speaks for itself, and a session that was there before ends.
    let mut ana = stage.signed_in("ana.dba.admins");
    let before = ana.cookie(&stage.arena.http.to_string(), "portcullis").unwrap().to_owned();
    let fields = stage.answer(&mut ana, "ana.dba.admins");
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let arrived = ana.send("POST", &stage.at("/auth/saml/acs"), &[FORM], &form(&pairs)).unwrap();
    assert_eq!(arrived.status, 303, "{}", arrived.body);
    assert_eq!(ana.get(&stage.at(arrived.location())).unwrap().status, 303);
    let mut thief = Browser::default();
    thief.set_cookie(&stage.arena.http.to_string(), "portcullis", &before);
    refused(&stage.me(&mut thief), 401, "this session has ended");
    is_ana(&stage, &mut ana);
    // Nothing that could be brought again is in the log.
    let log = std::fs::read_to_string(stage.arena.log_file()).unwrap();
    let sent: &Value = &json!(fields[0].1);
    assert!(!log.contains(&sent.as_str().unwrap()[..200]));
}

/// `localhost` is another site than `127.0.0.1`.
#[test]
fn a_real_browser_comes_back_from_another_site() {
    let more = format!("idp_initiated = true\n{ADMINISTRATORS}");
    let Some(stage) = start_at("localhost", &more, false) else { return };
    let idp = stage.entity.trim_end_matches("/metadata").to_owned();
    browser::run(&stage.arena, "saml.mjs", &[("IDP", idp)]).unwrap();
}

#[test]
fn whoever_is_not_said_to_be_a_person_is_not_signed_in() {
    let Some(stage) = start("kind_attribute = \"groups\"\n", false) else { return };
    let mut robot = Browser::default();
    refused(&stage.try_sign_in(&mut robot, "robot.agent"), 403, "only a person signs in");
    assert_eq!(stage.me(&mut robot).status, 401);
    let log = std::fs::read_dir(stage.arena.data().join("journal")).unwrap();
    let texts: String =
        log.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok()).collect();
    assert!(texts.contains("sign_in_refused"), "{texts}");
}
