//! Planted secrets are looked for in everything that left the gateway: bytes to clients, journal,
//! recordings, database, log at trace level. None may be there.

use portcullis_testkit::arena::{APP_PASSWORD, Arena, SUPERUSER_PASSWORD, Setup, contents_below};
use portcullis_testkit::raw::RawClient;
use std::fs;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----";
const AWS: &str = "AKIAQ3EGPZ7YLXK2MVTB";
/// Part of a held statement: the store of reviews keeps it, because reviewers approve exact bytes.
/// It may be nowhere else.
const HELD: &str = "AKIAZ5KQ3WLMX7RTB2VN";
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
/// Not secret: it shows that the search finds what is there.
const CANARY: &str = "canary-4711-not-a-secret";

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|w| w == needle)
}

/// Secrets among bound values, in what a client prepares, and in answers to several formats.
fn values_and_holds(arena: &Arena, token: &str) -> Vec<u8> {
    let mut client = RawClient::log_in(arena.postgres, "claude", "shop", token).unwrap();
    let mut seen = Vec::new();
    for script in [
        format!(
            "Parse \"\" \"SELECT id FROM customers WHERE name = $1\"\nBind \"\" \"\" \"{AWS}\"\n\
             Execute \"\" 0\nSync\nuntil Z\n"
        ),
        format!(
            "Parse \"\" \"SELECT $1::text, $2::int\"\nBind \"\" \"\" \"{JWT}\" \"{AWS}\"\n\
             Execute \"\" 0\nSync\nuntil Z\n"
        ),
        "Parse \"n\" \"SELECT note FROM orders WHERE id < 4\"\nBindBinary \"\" \"n\"\nDescribe P \"\"\n\
         Execute \"\" 2\nFlush\nuntil s\nExecute \"\" 0\nSync\nuntil Z\n"
            .to_owned(),
        "Query \"SELECT array_agg(note), json_agg(o) FROM orders o WHERE id < 4\"\nuntil Z\n".to_owned(),
        "Query \"SELECT split_part(note, ' ', 2), note::xml FROM orders WHERE id < 4\"\nuntil Z\n".to_owned(),
        // Held with a secret in it, and taken back.
        format!("Query \"DELETE FROM orders WHERE id = 900 AND note = '{HELD}'\"\nuntil N\n"),
    ] {
        seen.extend_from_slice(
            portcullis_testkit::script::run(&mut client, &script).unwrap().as_bytes(),
        );
    }
    let shown = String::from_utf8_lossy(&seen);
    assert!(shown.contains("held for review"), "{shown}");
    seen
}

/// What the command line shows of sessions.
fn command_line(arena: &Arena) -> Vec<u8> {
    let list = arena.portcullis(&["session", "list"]).unwrap().stdout;
    let mut seen = list.clone();
    let list = String::from_utf8(list).unwrap();
    let sessions: Vec<&str> =
        list.split_whitespace().filter(|word| word.starts_with("ses_")).collect();
    assert!(sessions.len() > 10, "{list}");
    for id in sessions {
        let shown = arena.portcullis(&["session", "show", id]).unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        seen.extend(shown.stdout);
    }
    assert!(contains(&seen, CANARY.as_bytes()), "the sessions show nothing");
    seen.extend(arena.portcullis(&["--json", "session", "list"]).unwrap().stdout);
    for arguments in [
        &["audit", "verify"][..],
        &["config", "check"],
        &["doctor"],
        &["--json", "doctor"],
        &["secret", "list"],
        &["secret", "check"],
        &["secret", "init"],
        &["backup", "no-such-directory/x"],
        &["restore", "app.password", "--force"],
    ] {
        let output = arena.portcullis(arguments).unwrap();
        seen.extend(output.stdout);
        seen.extend(output.stderr);
    }
    seen
}

#[test]
fn no_planted_secret_leaves() {
    let mut arena = Arena::start(&Setup::agent_safe()).unwrap();
    for (id, secret) in [(1, PEM), (2, AWS), (3, JWT)] {
        let sql = format!("UPDATE orders SET note = '{secret}' WHERE id = {id}");
        arena.server.sql("shop", &sql).unwrap();
    }
    let token = arena.token("claude").unwrap();
    let mut seen = Vec::new();
    for sql in [
        "SELECT * FROM customers",
        "SELECT * FROM orders WHERE id < 5",
        "SELECT * FROM payments LIMIT 50",
        "SELECT note::int FROM orders WHERE id = 2",
        "SELECT email::int FROM customers",
        "SELECT ('x' || email)::date FROM customers",
        "COPY customers TO STDOUT",
        "COPY (SELECT * FROM orders WHERE id < 9) TO STDOUT (FORMAT csv)",
        "COPY orders TO STDOUT (FORMAT binary)",
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM customers; FETCH 10 FROM c; COMMIT",
        "PREPARE p AS SELECT email, card_number FROM customers; EXECUTE p",
        "DROP TABLE customers",
        "SELECT 1/0, email FROM customers",
        "SELECT 'canary-4711-not-a-secret'",
        "SELECT '4111 1111 1111 1111', 'someone@private.example', 'AKIAQ3EGPZ7YLXK2MVTB'",
    ] {
        let mut client = RawClient::log_in(arena.postgres, "claude", "shop", &token).unwrap();
        client.ask(sql).unwrap();
        // A session may end over an answer that cannot be masked.
        for message in client.until(b'Z').unwrap() {
            seen.extend_from_slice(&message.body);
            seen.push(b'\n');
        }
    }
    seen.extend(values_and_holds(&arena, &token));
    seen.extend(command_line(&arena));
    // A log-in that fails must not repeat the token.
    let wrong = RawClient::log_in(arena.postgres, "claude", "nowhere", &token).unwrap_err();
    seen.extend_from_slice(wrong.to_string().as_bytes());
    arena.stop_gateway();

    let mut places = vec![("client bytes".to_owned(), seen)];
    for (file, bytes) in contents_below(&arena.data()) {
        places.push((file.display().to_string(), bytes));
    }
    places.push(("log".to_owned(), fs::read(arena.log_file()).unwrap()));
    let columns =
        "SELECT unnest(ARRAY[email, card_number]) FROM customers UNION SELECT iban FROM payments";
    let stored = arena.truth(columns).unwrap();
    let mut secrets: Vec<&str> = stored.lines().collect();
    assert!(secrets.len() > 200);
    secrets.extend([APP_PASSWORD, SUPERUSER_PASSWORD, AWS, HELD, JWT, "someone@private.example"]);
    secrets.push("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF");
    secrets.push(&token);
    let signature = token.rsplit('.').next().unwrap();
    secrets.push(signature);
    let mut hits = Vec::new();
    for (place, bytes) in &places {
        let may_hold = place.contains("portcullis.db");
        for secret in secrets.iter().filter(|secret| contains(bytes, secret.as_bytes())) {
            if may_hold && *secret == HELD {
                continue;
            }
            hits.push(format!("{secret:.40} is in {place}"));
        }
    }
    assert!(hits.is_empty(), "{}", hits.join("\n"));
    let found: Vec<&str> = places
        .iter()
        .filter(|(_, bytes)| contains(bytes, CANARY.as_bytes()))
        .map(|(place, _)| place.as_str())
        .collect();
    assert!(found.contains(&"client bytes"), "{found:?}");
    assert!(found.iter().any(|p| p.contains("journal")), "the search finds nothing: {found:?}");
    assert!(found.iter().any(|p| p.contains("recordings")), "{found:?}");
}
