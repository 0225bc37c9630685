//! Holding for a human, on the wire: who may decide, what an approval fits, and how a hold ends.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient, message};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn client(arena: &Arena, name: &str) -> RawClient {
    let token = arena.token(name).unwrap();
    RawClient::log_in(arena.postgres, name, "shop", &token).unwrap()
}

fn send(client: &mut RawClient, sql: &str) {
    client.send(&message(b'Q', &[sql.as_bytes(), b"\0"].concat())).unwrap();
}

/// Reads notices until one names the review.
fn held(client: &mut RawClient) -> String {
    let message = client.receive().unwrap().unwrap();
    let shown = message.shown();
    assert_eq!(message.tag, b'N', "not held: {shown}");
    assert!(shown.contains("nothing has run yet"), "{shown}");
    let start = shown.find("review rev_").unwrap() + "review ".len();
    shown[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn rest(client: &mut RawClient) -> Vec<String> {
    client.until(b'Z').unwrap().iter().map(Message::shown).collect()
}

fn review(arena: &Arena, arguments: &[&str]) -> (bool, String) {
    let output = arena.portcullis(&[&["review", "--as"], arguments].concat()).unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

fn orders(arena: &Arena) -> u32 {
    arena.truth("SELECT count(*) FROM orders").unwrap().parse().unwrap()
}

fn setup(review: &str) -> Setup {
    let setup = Setup::agent_safe();
    Setup { policy: format!("{}[review]\n{review}\n", setup.policy), ..setup }
}

#[test]
fn holds_are_decided_by_other_people_and_bind_bytes() {
    let mut arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = client(&arena, "claude");
    let before = orders(&arena);

    // Approved, once, by another person.
    send(&mut agent, "DELETE FROM orders WHERE id = 1");
    let first = held(&mut agent);
    for (who, why) in [("claude", "only a person"), ("ana", "on your behalf")] {
        let (decided, text) = review(&arena, &[who, "approve", &first]);
        assert!(!decided && text.contains(why), "{who}: {text}");
    }
    let (shown, page) = review(&arena, &["bo", "show", &first]);
    assert!(shown && page.contains("DELETE FROM orders WHERE id = 1"), "{page}");
    assert!(
        page.contains("claude (agent ")
            && page.contains(") for ana")
            && page.contains("writes-need-review"),
        "{page}"
    );
    assert_eq!(orders(&arena), before, "it ran before anybody approved");
    assert!(review(&arena, &["bo", "approve", &first]).0);
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    assert!(!review(&arena, &["bo", "approve", &first]).0, "a used review was approved again");
    let journal = std::fs::read_dir(arena.data().join("journal")).unwrap();
    let journal: String =
        journal.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
    let decided = |line: &&str| line.contains("\"decided\"") && line.contains(first.as_str());
    assert_eq!(journal.lines().filter(decided).count(), 1, "only what was decided is recorded so");

    // The same again is a new question; rejected, with words for the caller.
    send(&mut agent, "DELETE FROM orders WHERE id = 1");
    let second = held(&mut agent);
    assert_ne!(first, second);
    assert!(review(&arena, &["bo", "reject", &second, "--reason", "not on a Friday"]).0);
    let answer = rest(&mut agent);
    assert!(answer[0].contains("42501") && answer[0].contains("not on a Friday"), "{answer:?}");

    approval_fits_its_own_bytes_alone(&arena, &mut agent);
    repeats_collapse(&arena, &mut agent);
    parameters_are_bound(&arena, &mut agent);
    all_that_runs_is_shown(&arena, &mut agent);
    copied_rows_are_not_covered(&arena, &mut agent);
    takes_back(&arena, &mut agent);
    transactions(&arena, &mut agent);
    agents_decide_nothing(&arena, &mut agent);
    an_approval_is_not_a_licence(&arena, &mut agent);
    survives_a_restart(&mut arena, agent);
}

fn approval_fits_its_own_bytes_alone(arena: &Arena, agent: &mut RawClient) {
    let mut other = client(arena, "claude");
    send(agent, "DELETE FROM orders WHERE id = 2");
    let review_a = held(agent);
    send(&mut other, "DELETE FROM orders WHERE id = 3");
    let review_b = held(&mut other);
    assert_ne!(review_a, review_b);
    assert!(review(arena, &["bo", "approve", &review_a]).0);
    assert!(rest(agent).iter().any(|l| l.starts_with("C DELETE 1")));
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 3").unwrap(), "1");
    assert!(review(arena, &["bo", "reject", &review_b, "--reason", "no"]).0);
    assert!(rest(&mut other)[0].contains("42501"));
}

fn repeats_collapse(arena: &Arena, agent: &mut RawClient) {
    let mut other = client(arena, "claude");
    send(agent, "DELETE FROM orders WHERE id = 4");
    let one = held(agent);
    send(&mut other, "DELETE FROM orders WHERE id = 4");
    assert_eq!(held(&mut other), one, "a repeat asked twice");
    assert!(review(arena, &["bo", "approve", &one]).0);
    let answers = [rest(agent), rest(&mut other)].concat();
    let ran = answers.iter().filter(|l| l.starts_with("C DELETE")).count();
    assert_eq!(ran, 1, "one approval, one execution: {answers:?}");
}

/// A reviewer sees what names stand for and every parameter; what cannot be shown whole is not held.
fn all_that_runs_is_shown(arena: &Arena, agent: &mut RawClient) {
    send(agent, "PREPARE px (int) AS DELETE FROM orders WHERE id <> $1");
    rest(agent);
    send(agent, "EXECUTE px(3)");
    let id = held(agent);
    let (_, page) = review(arena, &["bo", "show", &id]);
    assert!(page.contains("EXECUTE px(3)") && page.contains("WHERE id <> $1"), "{page}");
    assert!(review(arena, &["bo", "reject", &id, "--reason", "no"]).0);
    rest(agent);
    // Filler in front does not push the parameters that matter out of sight.
    let with = |filler: &str, count: usize| {
        let listed =
            |f: &dyn Fn(usize) -> String| (1..=count).map(f).collect::<Vec<_>>().join(", ");
        let places = listed(&|n| format!("${n}::text"));
        let values = (0..count).map(|_| format!("\"{filler}\" ")).collect::<String>();
        let (from, to) = (count + 1, count + 2);
        format!(
            "Parse \"\" \"DELETE FROM orders WHERE note NOT IN ({places}) AND id BETWEEN ${from} AND ${to}\"\n\
             Bind \"\" \"\" {values}\"17\" \"18\"\nExecute \"\" 0\nSync\n"
        )
    };
    portcullis_testkit::script::run(agent, &with(&"x".repeat(200), 60)).unwrap();
    let id = held(agent);
    let (_, page) = review(arena, &["bo", "show", &id]);
    assert!(page.contains("$61 = '17'") && page.contains("$62 = '18'"), "{page}");
    assert!(review(arena, &["bo", "reject", &id, "--reason", "no"]).0);
    rest(agent);
    portcullis_testkit::script::run(agent, &with(&"x".repeat(3000), 40)).unwrap();
    let answer = rest(agent);
    assert!(answer[0].contains("reviewable-requests"), "{answer:?}");
}

/// What the approval does not cover is said to who gives it, and in the record.
fn copied_rows_are_not_covered(arena: &Arena, agent: &mut RawClient) {
    send(agent, "COPY orders (id) FROM STDIN");
    let id = held(agent);
    let (shown, page) = review(arena, &["bo", "show", &id]);
    assert!(shown && page.contains("not shown    the rows that COPY brings in"), "{page}");
    assert!(review(arena, &["bo", "reject", &id, "--reason", "which rows?"]).0);
    assert!(rest(agent)[0].contains("which rows?"));
}

fn parameters_are_bound(arena: &Arena, agent: &mut RawClient) {
    let script = "Parse \"\" \"DELETE FROM orders WHERE id = $1\" 23\nBind \"\" \"\" \"5\"\nExecute \"\" 0\nSync\n";
    // Preparing alone waits for nobody.
    let prepared = portcullis_testkit::script::run(
        agent,
        "Parse \"d\" \"DELETE FROM orders WHERE id = $1\" 23\nDescribe S \"d\"\nSync\nuntil Z\n",
    )
    .unwrap();
    assert!(prepared.starts_with("1\n") && prepared.contains("\nn\n"), "{prepared}");
    portcullis_testkit::script::run(agent, script).unwrap();
    let id = held(agent);
    let (_, page) = review(arena, &["bo", "show", &id]);
    assert!(page.contains("$1 = '5'"), "{page}");
    assert!(review(arena, &["bo", "approve", &id]).0);
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
}

fn cancel(arena: &Arena, key: &(u32, Vec<u8>)) {
    let mut socket = TcpStream::connect(arena.postgres).unwrap();
    let body = [&80_877_102u32.to_be_bytes()[..], &key.0.to_be_bytes(), &key.1].concat();
    socket.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
    socket.write_all(&body).unwrap();
}

fn takes_back(arena: &Arena, agent: &mut RawClient) {
    send(agent, "DELETE FROM orders WHERE id = 6");
    let id = held(agent);
    let key = agent.cancel_key.clone().unwrap();
    cancel(arena, &(key.0, vec![0; key.1.len()]));
    std::thread::sleep(Duration::from_millis(300));
    cancel(arena, &key);
    let answer = rest(agent);
    assert!(answer[0].contains("57014") && answer[0].contains("withdrawn"), "{answer:?}");
    assert!(!review(arena, &["bo", "approve", &id]).0, "a withdrawn review was approved");

    let mut leaver = client(arena, "claude");
    send(&mut leaver, "DELETE FROM orders WHERE id = 6");
    let id = held(&mut leaver);
    drop(leaver);
    let deadline = Instant::now() + Duration::from_secs(5);
    while review(arena, &["bo", "show", &id]).1.contains("pending") {
        assert!(Instant::now() < deadline, "hanging up did not withdraw the review");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!review(arena, &["bo", "approve", &id]).0);
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 6").unwrap(), "1");
}

fn transactions(arena: &Arena, agent: &mut RawClient) {
    agent.query("BEGIN").unwrap();
    send(agent, "DELETE FROM orders WHERE id = 7");
    let answer = rest(agent);
    assert!(answer[0].contains("42501") && answer[0].contains("roll back"), "{answer:?}");
    assert_eq!(answer.last().unwrap(), "Z E");
    let start = answer[0].find("rev_").unwrap();
    let id: String =
        answer[0][start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    agent.query("ROLLBACK").unwrap();
    assert!(review(arena, &["bo", "approve", &id]).0);
    agent.query("BEGIN").unwrap();
    send(agent, "DELETE FROM orders WHERE id = 7");
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    agent.query("COMMIT").unwrap();
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 7").unwrap(), "0");
}

fn survives_a_restart(arena: &mut Arena, mut agent: RawClient) {
    send(&mut agent, "DELETE FROM orders WHERE id = 8");
    let id = held(&mut agent);
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    let (listed, text) = review(arena, &["bo", "list"]);
    assert!(listed && text.contains(&id), "{text}");
    assert!(review(arena, &["bo", "approve", &id]).0);
    let mut agent = client(arena, "claude");
    send(&mut agent, "DELETE FROM orders WHERE id = 8");
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
}

#[test]
fn an_unanswered_review_expires_and_says_so() {
    let arena = Arena::start(&setup("expires = \"7s\"")).unwrap();
    let mut agent = client(&arena, "claude");
    send(&mut agent, "DELETE FROM orders WHERE id = 999");
    let started = Instant::now();
    let id = held(&mut agent);
    assert_eq!(held(&mut agent), id, "the second notice names another review");
    assert!((4..7).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    let answer = rest(&mut agent);
    assert!(answer[0].contains("57014") && answer[0].contains("in time"), "{answer:?}");
    assert_eq!(answer.last().unwrap(), "Z I");
    assert!(!review(&arena, &["bo", "approve", &id]).0, "an expired review was approved");
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 999").unwrap(), "1");
}

/// An agent in the reviewers' group is still an agent, and whoever it acts for has asked as well.
fn agents_decide_nothing(arena: &Arena, agent: &mut RawClient) {
    send(agent, "DELETE FROM orders WHERE id = 20");
    let id = held(agent);
    let (decided, text) = review(arena, &["deckard", "approve", &id]);
    assert!(!decided && text.contains("only a person"), "{text}");
    let (decided, text) = review(arena, &["deckard", "reject", &id, "--reason", "x"]);
    assert!(!decided && text.contains("only a person"), "{text}");
    assert!(review(arena, &["bo", "reject", &id, "--reason", "no"]).0);
    assert!(rest(agent)[0].contains("42501"));

    let mut deckard = client(arena, "deckard");
    send(&mut deckard, "DELETE FROM orders WHERE id = 20");
    let id = held(&mut deckard);
    let (decided, text) = review(arena, &["bo", "approve", &id]);
    assert!(!decided && text.contains("on your behalf"), "{text}");
    drop(deckard);
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 20").unwrap(), "1");
}

/// One approval, and everything near it: other bytes, other values, other callers.
fn an_approval_is_not_a_licence(arena: &Arena, agent: &mut RawClient) {
    let digest = |id: &str| {
        let (_, page) = review(arena, &["bo", "show", id]);
        let line = page.lines().find(|line| line.starts_with("digest")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // Approved in advance: asked for inside a transaction, and not run yet.
    agent.query("BEGIN").unwrap();
    send(agent, "DELETE FROM orders WHERE id = 30");
    let answer = rest(agent).remove(0);
    let start = answer.find("rev_").unwrap();
    let id = &answer[start..];
    let id = &id[..id.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap()];
    agent.query("ROLLBACK").unwrap();
    assert!(review(arena, &["bo", "approve", id]).0);
    let approved = digest(id);
    for other in [
        "DELETE FROM orders WHERE id = 31",
        "DELETE FROM orders WHERE id = 30 ",
        "DELETE FROM orders WHERE id = 30 OR id = 31",
        "delete FROM orders WHERE id = 30",
        "DELETE FROM orders WHERE id = 30; SELECT 1",
    ] {
        let mut near = client(arena, "claude");
        send(&mut near, other);
        let held = held(&mut near);
        assert_ne!(held, id, "{other}");
        assert_ne!(digest(&held), approved, "{other}");
    }
    // The same bytes of another caller, and the same text by the other protocol with a value.
    let mut deckard = client(arena, "deckard");
    send(&mut deckard, "DELETE FROM orders WHERE id = 30");
    assert_ne!(held(&mut deckard), id);
    drop(deckard);
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id IN (30, 31)").unwrap(), "2");
    send(agent, "DELETE FROM orders WHERE id = 30");
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    // Used up.
    send(agent, "DELETE FROM orders WHERE id = 30");
    let again = held(agent);
    assert_ne!(again, id);
    assert!(review(arena, &["bo", "reject", &again, "--reason", "no"]).0);
    rest(agent);

    // Other values of the same statement.
    let with = |value: &str| {
        format!(
            "Parse \"\" \"DELETE FROM orders WHERE id = $1\" 23\nBind \"\" \"\" \"{value}\"\n\
             Execute \"\" 0\nSync\n"
        )
    };
    portcullis_testkit::script::run(agent, &with("32")).unwrap();
    let first = held(agent);
    let mut other = client(arena, "claude");
    portcullis_testkit::script::run(&mut other, &with("33")).unwrap();
    let second = held(&mut other);
    assert_ne!(digest(&first), digest(&second));
    assert!(review(arena, &["bo", "approve", &second]).0);
    assert!(rest(&mut other).iter().any(|l| l.starts_with("C DELETE 1")));
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 32").unwrap(), "1");
    assert!(review(arena, &["bo", "reject", &first, "--reason", "no"]).0);
    rest(agent);
}

#[test]
fn an_expired_token_runs_nothing() {
    let mut setup = setup("expires = \"5m\"");
    setup.provider = "token_ttl_seconds = 5\n".to_owned();
    let arena = Arena::start(&setup).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let token = arena.token("claude").unwrap();
    let log_in = || RawClient::log_in(arena.postgres, "claude", "shop", &token);
    let (mut idle, mut agent) = (log_in().unwrap(), log_in().unwrap());
    send(&mut agent, "DELETE FROM orders WHERE id = 1");
    let id = held(&mut agent);
    // Its own notice of the end, without having asked anything.
    let farewell = idle.until(b'E').unwrap();
    assert!(farewell[0].shown().contains("28000"), "{:?}", farewell[0].shown());
    assert_eq!(idle.receive().unwrap(), None);
    let refused = log_in().unwrap_err().to_string();
    assert!(refused.contains("28000") && refused.contains("expired"), "{refused}");
    // Approved for a caller whose token has run out meanwhile.
    review(&arena, &["bo", "approve", &id]);
    let answer = agent.until(b'Z').unwrap_or_default();
    let answer: Vec<String> = answer.iter().map(Message::shown).collect();
    let count = arena.truth("SELECT count(*) FROM orders WHERE id = 1").unwrap();
    assert_eq!(count, "1", "it ran on an expired token: {answer:?}");
}

/// A cancel is obeyed at whatever moment of a hold it comes: none is lost, and what was cancelled
/// cannot be approved any more.
#[test]
fn no_cancel_of_a_held_request_is_lost() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    let mut agent = client(&arena, "claude");
    let before = orders(&arena);
    let key = agent.cancel_key.clone().unwrap();
    let mut reviews = Vec::new();
    for n in 0..60 {
        send(&mut agent, &format!("DELETE FROM orders WHERE id = {}", 100 + n));
        reviews.push(held(&mut agent));
        cancel(&arena, &key);
        let started = Instant::now();
        let answer = rest(&mut agent);
        assert!(answer[0].contains("57014") && answer[0].contains("withdrawn"), "{n}: {answer:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "cancel {n} was lost");
    }
    for id in [&reviews[0], &reviews[59]] {
        let (approved, text) = review(&arena, &["bo", "approve", id]);
        assert!(!approved, "a withdrawn review was approved: {text}");
    }
    let (_, open) = review(&arena, &["bo", "list"]);
    assert!(reviews.iter().all(|id| !open.contains(id)), "{open}");
    // A cancel while nothing runs means nothing, as with the server.
    cancel(&arena, &key);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(rest_of(&mut agent, "SELECT 1").last().unwrap(), "Z I");
    assert_eq!(orders(&arena), before);
}

fn rest_of(client: &mut RawClient, sql: &str) -> Vec<String> {
    let seen: Vec<String> = client.query(sql).unwrap().iter().map(Message::shown).collect();
    assert!(!seen.iter().any(|line| line.starts_with('E')), "{sql}: {seen:?}");
    seen
}

/// What people approve is what they saw: where the tables it touches have got other code meanwhile,
/// it does not run.
#[test]
fn an_approval_does_not_cover_definitions_changed_meanwhile() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    let sql = |text: &str| arena.server.sql("shop", text).unwrap();
    sql("DELETE FROM payments; CREATE TABLE spilt (what text);
         CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO spilt VALUES (OLD::text); RETURN OLD; END'");
    let trigger =
        "CREATE TRIGGER spills BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION spill()";
    let mut agent = client(&arena, "claude");
    let before = orders(&arena);

    send(&mut agent, "DELETE FROM orders WHERE id = 1");
    let id = held(&mut agent);
    sql(trigger);
    assert!(review(&arena, &["bo", "approve", &id]).0);
    let answer = rest(&mut agent);
    assert!(answer[0].contains("42501"), "{answer:?}");
    assert!(answer[0].contains("definitions it touches have changed"), "{answer:?}");
    assert_eq!(
        (orders(&arena), arena.truth("SELECT count(*) FROM spilt").unwrap()),
        (before, "0".into())
    );
    assert!(!review(&arena, &["bo", "approve", &id]).0, "the review can be used again");
    // Back to what was approved: the approval is used up all the same.
    sql("DROP TRIGGER spills ON orders");
    // An unknown name makes the gateway look again.
    std::thread::sleep(Duration::from_millis(1100));
    agent.query("SELECT * FROM nowhere").unwrap();
    send(&mut agent, "DELETE FROM orders WHERE id = 1");
    let second = held(&mut agent);
    assert_ne!(second, id);
    assert!(review(&arena, &["bo", "approve", &second]).0);
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");

    // Approved while nobody waits, for a later try: it is bound to what it did when it was asked.
    agent.query("BEGIN").unwrap();
    send(&mut agent, "DELETE FROM orders WHERE id = 2");
    let answer = rest(&mut agent);
    let start = answer[0].find("rev_").unwrap();
    let id: String =
        answer[0][start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    agent.query("ROLLBACK").unwrap();
    assert!(review(&arena, &["bo", "approve", &id]).0);
    sql(trigger);
    // What the gateway knows of definitions is renewed by whoever is held and approved.
    send(&mut agent, "DELETE FROM orders WHERE id = 2");
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.contains("definitions it touches")), "{answer:?}");
    assert_eq!(orders(&arena), before - 1);
    assert_eq!(arena.truth("SELECT count(*) FROM spilt").unwrap(), "0");
}
