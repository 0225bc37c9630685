//! Lists page by page, entity tags, and calls that are made once.

use crate::stage::{Kind, Stage, start};
use portcullis_testkit::web::{Answer, http};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn get(stage: &Stage, name: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let token = stage.bearer(name);
    let headers = [headers, &[("Authorization", token.as_str())]].concat();
    http(stage.arena.http, &format!("GET {path}"), &headers, "").unwrap()
}

/// The path of the next page.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.headers("link").next()?;
    let (path, rest) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(rest, "; rel=\"next\"");
    Some(path.to_owned())
}

/// The ids on each page of a list.
fn pages(stage: &Stage, name: &str, path: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut at = Some(path.to_owned());
    while let Some(path) = at {
        let answer = get(stage, name, &path, &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let rows = answer.json();
        let ids = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        pages.push(ids.collect());
        at = next(&answer);
        assert!(pages.len() < 100, "{path} does not end");
    }
    pages
}

#[test]
fn every_list_goes_on_where_its_page_ends() {
    let Some(mut stage) = start() else { return };
    for (kind, path, who) in [
        (Kind::Review, "/api/v1/reviews", "bo"),
        (Kind::Pattern, "/api/v1/patterns", "bo"),
        (Kind::Session, "/api/v1/sessions", "ada"),
        (Kind::Recording, "/api/v1/recordings?connection=shop", "ana"),
        (Kind::Freeze, "/api/v1/freezes", "cy"),
        (Kind::Credential, "/api/v1/credentials", "ana"),
        (Kind::BrowserSession, "/api/v1/browser-sessions?all=true", "ada"),
    ] {
        let made: BTreeSet<String> = (0..5).map(|_| stage.make(kind)).collect();
        let with = |limit: u32| {
            format!("{path}{}limit={limit}", if path.contains('?') { "&" } else { "?" })
        };
        let whole = pages(&stage, who, &with(500)).concat();
        let found: BTreeSet<String> = whole.iter().cloned().collect();
        assert_eq!(found.len(), whole.len(), "{path}: something is there twice");
        assert!(kind == Kind::Session || found.is_superset(&made), "{path}: {found:?} {made:?}");
        for limit in [1, 2, 3, whole.len() as u32] {
            let pages = pages(&stage, who, &with(limit));
            assert_eq!(pages.concat(), whole, "{path} by {limit}");
            assert!(pages.iter().all(|page| page.len() <= limit as usize), "{path} by {limit}");
            assert_eq!(
                pages.len(),
                whole.len().div_ceil(limit as usize),
                "{path} by {limit}: {pages:?}"
            );
        }
        for wrong in [
            "limit=0",
            "limit=501",
            "limit=x",
            "limit=-1",
            "cursor=x",
            "cursor=",
            "cursor=MSB4JyBPUg",
        ] {
            let at = format!("{path}{}{wrong}", if path.contains('?') { "&" } else { "?" });
            let answer = get(&stage, who, &at, &[]);
            assert_eq!(answer.status, 400, "{at}: {}", answer.body);
            assert_eq!(
                answer.json()["type"],
                "urn:portcullis:problem:bad-request",
                "{}",
                answer.body
            );
        }
    }
}

/// What a cursor says is where, not what: with that of somebody else's list one sees one's own.
#[test]
fn a_cursor_shows_nobody_what_is_not_theirs() {
    let Some(mut stage) = start() else { return };
    let reviews: Vec<String> = (0..4).map(|_| stage.make(Kind::Review)).collect();
    let first = get(&stage, "bo", "/api/v1/reviews?limit=1", &[]);
    let on = next(&first).unwrap();
    for (who, sees) in
        [("cy", 0), ("deckard", 0), ("roy", 0), ("ada", 0), ("ana", 3), ("claude", 3)]
    {
        let answer = get(&stage, who, &on.replace("limit=1", "limit=9"), &[]);
        assert_eq!(answer.json().as_array().unwrap().len(), sees, "{who}: {}", answer.body);
        assert_eq!(next(&answer), None, "{who}");
    }
    // Rows that somebody may not see leave no trace in the pages of who may see those around them.
    for who in ["cy", "roy", "ada"] {
        let answer = get(&stage, who, "/api/v1/reviews?all=true&limit=1", &[]);
        assert_eq!((answer.body.as_str(), next(&answer)), ("[]", None), "{who}");
    }
    let seen = pages(&stage, "ana", "/api/v1/reviews?limit=3").concat();
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), reviews.iter().collect());
    // The command line has all of them.
    let listed = stage.arena.portcullis(&["--json", "review", "--as", "bo", "list"]).unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), reviews.len());
}

#[test]
fn what_is_known_is_not_sent_again_and_what_has_changed_is_not_decided() {
    let Some(mut stage) = start() else { return };
    let review = format!("/api/v1/reviews/{}", stage.make(Kind::Review));
    for path in [review.as_str(), "/api/v1/credentials/keys", "/api/v1/openapi.json"] {
        let answer = get(&stage, "bo", path, &[]);
        let tag = answer.headers("etag").next().unwrap().to_owned();
        assert_eq!(answer.headers("cache-control").next(), Some("no-cache"));
        let again = get(&stage, "bo", path, &[("If-None-Match", tag.as_str())]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(get(&stage, "bo", path, &[("If-None-Match", "\"x\"")]).status, 200, "{path}");
    }
    // Who may not see it is not told whether it is the same.
    let tag = get(&stage, "bo", &review, &[]).headers("etag").next().unwrap().to_owned();
    assert_eq!(get(&stage, "cy", &review, &[("If-None-Match", tag.as_str())]).status, 404);
    let approve = |tag: &str| {
        let token = stage.bearer("bo");
        let headers = [("Authorization", token.as_str()), ("If-Match", tag)];
        http(stage.arena.http, &format!("POST {review}/approve"), &headers, "").unwrap()
    };
    let no = approve("\"another\"");
    assert_eq!(
        (no.status, &no.json()["type"]),
        (412, &json!("urn:portcullis:problem:changed-meanwhile"))
    );
    assert_eq!(get(&stage, "bo", &review, &[]).json()["status"], "pending");
    assert_eq!(approve(&tag).status, 200);
}

/// A freeze that is made twice by mistake is made once; and a key is its caller's own.
#[test]
fn a_call_with_a_key_is_made_once() {
    let Some(mut stage) = start() else { return };
    let post = |name: &str, path: &str, key: &str, body: &str| {
        let token = stage.bearer(name);
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", key)];
        http(stage.arena.http, &format!("POST {path}"), &headers, body).unwrap()
    };
    let freeze = r#"{"scope":"writes","connection":"spare","seconds":60,"reason":"once"}"#;
    let one = post("ada", "/api/v1/freezes", "k1", freeze);
    assert_eq!((one.status, one.headers("idempotency-replayed").next()), (201, None));
    let again = post("ada", "/api/v1/freezes", "k1", freeze);
    assert_eq!((again.status, &again.body), (201, &one.body));
    assert_eq!(again.headers("idempotency-replayed").next(), Some("true"));
    assert_eq!(stage.asks("ada", "GET /api/v1/freezes", "").as_array().unwrap().len(), 1);
    // Another body, another path, another key, another caller.
    assert_eq!(post("ada", "/api/v1/freezes", "k1", &freeze.replace("60", "61")).status, 422);
    assert_eq!(post("ada", "/api/v1/sessions/kill", "k1", freeze).status, 422);
    for who in ["cy", "claude", "roy"] {
        let other = post(who, "/api/v1/freezes", "k1", freeze);
        assert_eq!(
            (other.status, other.headers("idempotency-replayed").next()),
            (403, None),
            "{who}"
        );
        assert!(!other.body.contains("once"), "{}", other.body);
    }
    let mut everybody = post("max", "/api/v1/freezes", "k1", freeze);
    assert_eq!(everybody.status, 201);
    assert_ne!(everybody.json()["id"], one.json()["id"]);
    // Who has no (good) token hears nothing, whatever the key.
    let none = [("Idempotency-Key", "k1")];
    everybody = http(stage.arena.http, "POST /api/v1/freezes", &none, freeze).unwrap();
    assert_eq!(everybody.status, 401);
    for wrong in ["", " ", "a b", "\u{e9}"] {
        assert_eq!(post("ada", "/api/v1/freezes", wrong, freeze).status, 400, "{wrong:?}");
    }
    // At the same time.
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| post("ada", "/api/v1/freezes", "k2", freeze));
        let asking: Vec<_> = (0..6).map(|_| ask()).collect();
        let answers = asking.into_iter().map(|thread| thread.join().unwrap());
        answers.filter(|a| a.status != 409).map(|a| a.json()["id"].to_string()).collect()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    // A decision whose answer was lost is not told to have been made by somebody else.
    let review = stage.make(Kind::Review);
    let path = format!("/api/v1/reviews/{review}/approve");
    let post = |key: &str| {
        let token = stage.bearer("bo");
        let headers = [("Authorization", token.as_str()), ("Idempotency-Key", key)];
        http(stage.arena.http, &format!("POST {path}"), &headers, "").unwrap()
    };
    let first = post("d1");
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!((post("d1").status, post("d2").status), (200, 409));
    assert_eq!(post("d1").body, first.body);
}
