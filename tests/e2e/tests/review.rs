//! Holding for a human, on the wire: who may decide, what an approval fits, and how a hold ends.

use portcullis_testkit::arena::{Arena, Setup};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::traps::OPERATORS_AHEAD;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The review of a request that waits, and has not run.
fn held(client: &mut RawClient) -> String {
    let (review, notice) = client.held().unwrap();
    assert!(notice.contains("nothing has run yet"), "{notice}");
    review
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

/// Everything is allowed, code of users and settings too, but for changes of data, which a DBA signs
/// off.
fn signed_off() -> Arena {
    let mut setup = setup("expires = \"5m\"");
    setup.policy = setup.policy.replace(
        "packs = [\"agent-safe\"]",
        "packs = [\"allow-all\"]\nfiles = [\"signed-off.cedar\"]",
    );
    let policy = r#"
@id("writes-need-review") @review("dba") @reason("changes of data are signed off by a DBA")
forbid (
  principal,
  action in [Action::"insert", Action::"update", Action::"delete"],
  resource
) unless { context.approvals.contains("dba") };
"#;
    Arena::start_with(&setup, &[("signed-off.cedar", policy)]).unwrap()
}

#[test]
fn holds_are_decided_by_other_people_and_bind_bytes() {
    let mut arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let before = orders(&arena);

    // Approved, once, by another person.
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
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
    let mut other = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 2").unwrap();
    let review_a = held(agent);
    other.ask("DELETE FROM orders WHERE id = 3").unwrap();
    let review_b = held(&mut other);
    assert_ne!(review_a, review_b);
    assert!(review(arena, &["bo", "approve", &review_a]).0);
    assert!(rest(agent).iter().any(|l| l.starts_with("C DELETE 1")));
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 3").unwrap(), "1");
    assert!(review(arena, &["bo", "reject", &review_b, "--reason", "no"]).0);
    assert!(rest(&mut other)[0].contains("42501"));
}

fn repeats_collapse(arena: &Arena, agent: &mut RawClient) {
    let mut other = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 4").unwrap();
    let one = held(agent);
    other.ask("DELETE FROM orders WHERE id = 4").unwrap();
    assert_eq!(held(&mut other), one, "a repeat asked twice");
    assert!(review(arena, &["bo", "approve", &one]).0);
    let answers = [rest(agent), rest(&mut other)].concat();
    let ran = answers.iter().filter(|l| l.starts_with("C DELETE")).count();
    assert_eq!(ran, 1, "one approval, one execution: {answers:?}");
}

/// A reviewer sees what names stand for and every parameter; what cannot be shown whole is not held.
fn all_that_runs_is_shown(arena: &Arena, agent: &mut RawClient) {
    agent.ask("PREPARE px (int) AS DELETE FROM orders WHERE id <> $1").unwrap();
    rest(agent);
    agent.ask("EXECUTE px(3)").unwrap();
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
    agent.ask("COPY orders (id) FROM STDIN").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 6").unwrap();
    let id = held(agent);
    let key = agent.cancel_key.clone().unwrap();
    cancel(arena, &(key.0, vec![0; key.1.len()]));
    std::thread::sleep(Duration::from_millis(300));
    cancel(arena, &key);
    let answer = rest(agent);
    assert!(answer[0].contains("57014") && answer[0].contains("withdrawn"), "{answer:?}");
    assert!(!review(arena, &["bo", "approve", &id]).0, "a withdrawn review was approved");

    let mut leaver = arena.client("claude").unwrap();
    leaver.ask("DELETE FROM orders WHERE id = 6").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 7").unwrap();
    let answer = rest(agent);
    assert!(answer[0].contains("42501") && answer[0].contains("roll back"), "{answer:?}");
    assert_eq!(answer.last().unwrap(), "Z E");
    let start = answer[0].find("rev_").unwrap();
    let id: String =
        answer[0][start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    agent.query("ROLLBACK").unwrap();
    assert!(review(arena, &["bo", "approve", &id]).0);
    agent.query("BEGIN").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 7").unwrap();
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    agent.query("COMMIT").unwrap();
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 7").unwrap(), "0");
}

fn survives_a_restart(arena: &mut Arena, mut agent: RawClient) {
    agent.ask("DELETE FROM orders WHERE id = 8").unwrap();
    let id = held(&mut agent);
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    let (listed, text) = review(arena, &["bo", "list"]);
    assert!(listed && text.contains(&id), "{text}");
    assert!(review(arena, &["bo", "approve", &id]).0);
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 8").unwrap();
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
}

#[test]
fn an_unanswered_review_expires_and_says_so() {
    let arena = Arena::start(&setup("expires = \"7s\"")).unwrap();
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 999").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 20").unwrap();
    let id = held(agent);
    let (decided, text) = review(arena, &["deckard", "approve", &id]);
    assert!(!decided && text.contains("only a person"), "{text}");
    let (decided, text) = review(arena, &["deckard", "reject", &id, "--reason", "x"]);
    assert!(!decided && text.contains("only a person"), "{text}");
    assert!(review(arena, &["bo", "reject", &id, "--reason", "no"]).0);
    assert!(rest(agent)[0].contains("42501"));

    let mut deckard = arena.client("deckard").unwrap();
    deckard.ask("DELETE FROM orders WHERE id = 20").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 30").unwrap();
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
        let mut near = arena.client("claude").unwrap();
        near.ask(other).unwrap();
        let held = held(&mut near);
        assert_ne!(held, id, "{other}");
        assert_ne!(digest(&held), approved, "{other}");
    }
    // The same bytes of another caller, and the same text by the other protocol with a value.
    let mut deckard = arena.client("deckard").unwrap();
    deckard.ask("DELETE FROM orders WHERE id = 30").unwrap();
    assert_ne!(held(&mut deckard), id);
    drop(deckard);
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id IN (30, 31)").unwrap(), "2");
    agent.ask("DELETE FROM orders WHERE id = 30").unwrap();
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    // Used up.
    agent.ask("DELETE FROM orders WHERE id = 30").unwrap();
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
    let mut other = arena.client("claude").unwrap();
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
    agent.ask("DELETE FROM orders WHERE id = 1").unwrap();
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
    let mut agent = arena.client("claude").unwrap();
    let before = orders(&arena);
    let key = agent.cancel_key.clone().unwrap();
    let mut reviews = Vec::new();
    for n in 0..60 {
        agent.ask(&format!("DELETE FROM orders WHERE id = {}", 100 + n)).unwrap();
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

/// The review a held client was told of, with all it was told.
fn told(client: &mut RawClient) -> (String, String) {
    let message = client.receive().unwrap().unwrap();
    let shown = message.shown();
    assert_eq!(message.tag, b'N', "not held: {shown}");
    (review_in(&shown), shown)
}

fn review_in(text: &str) -> String {
    let start = text.find("review rev_").unwrap() + "review ".len();
    text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn approve(arena: &Arena, id: &str) {
    let (approved, text) = review(arena, &["bo", "approve", id]);
    assert!(approved, "{text}");
}

/// A request goes back to people where it is not what they saw: says so to both, and runs once they
/// have approved what it is now.
fn goes_back(arena: &Arena, agent: &mut RawClient, sql: &str, change: &str, because: &str) {
    agent.ask(sql).unwrap();
    let id = held(agent);
    arena.server.sql("shop", change).unwrap();
    approve(arena, &id);
    let (again, notice) = told(agent);
    assert_ne!(again, id);
    assert!(notice.contains("held again") && notice.contains(because), "{notice}");
    assert!(notice.contains(&format!("approval of {id} is void")), "{notice}");
    let (_, page) = review(arena, &["bo", "show", &again]);
    let flat = page.replace("\n             │ ", "");
    assert!(flat.contains(&format!("takes the place of {id}: {because}")), "{page}");
    let (_, old) = review(arena, &["bo", "show", &id]);
    assert!(old.contains("status       withdrawn"), "{old}");
    assert!(!review(arena, &["bo", "approve", &id]).0, "the review can be used again");
    approve(arena, &again);
    let answer = rest(agent);
    assert!(answer.iter().any(|l| l.starts_with("C ")), "{answer:?}");
}

/// What people approve is what they saw: what it touches, the code that runs, and how texts are
/// read. What has changed meanwhile is for them to see.
#[test]
fn what_changed_meanwhile_goes_back_to_review() {
    let arena = signed_off();
    let sql = |text: &str| arena.server.sql("shop", text).unwrap();
    sql("DELETE FROM payments; CREATE TABLE spilt (what text);
         CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO spilt VALUES (OLD::text); RETURN OLD; END'");
    let trigger =
        "CREATE TRIGGER spills BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION spill()";
    let mut agent = arena.client("claude").unwrap();
    let delete = |id: u32| format!("DELETE FROM orders WHERE id = {id}");

    goes_back(&arena, &mut agent, &delete(1), trigger, "definition of table public.orders changed");
    let body = "CREATE OR REPLACE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO spilt VALUES (''gone''); RETURN OLD; END'";
    goes_back(&arena, &mut agent, &delete(2), body, "definition of function public.spill changed");
    assert_eq!(arena.truth("SELECT max(what) FROM spilt WHERE what = 'gone'").unwrap(), "gone");
    let config = "ALTER FUNCTION spill() SET search_path = pg_temp, public";
    let because = "definition of function public.spill changed";
    goes_back(&arena, &mut agent, &delete(3), config, because);
    sql("DROP TRIGGER spills ON orders; DROP FUNCTION spill() CASCADE");
    let policy = "CREATE POLICY mine ON orders USING (true)";
    goes_back(&arena, &mut agent, &delete(4), policy, "definition of table public.orders changed");
    let check = "ALTER TABLE orders ADD CONSTRAINT few CHECK (id < 1000000)";
    goes_back(&arena, &mut agent, &delete(5), check, "definition of table public.orders changed");
    let rule = "CREATE RULE more AS ON DELETE TO orders DO ALSO DELETE FROM spilt";
    goes_back(&arena, &mut agent, &delete(6), rule, "definition of table public.orders changed");
    sql("DROP RULE more ON orders");
    let view = "CREATE OR REPLACE VIEW few_orders AS SELECT * FROM orders WHERE id < 9";
    sql("CREATE VIEW few_orders AS SELECT * FROM orders WHERE id < 99");
    let through = "DELETE FROM few_orders WHERE id = 7";
    goes_back(&arena, &mut agent, through, view, "definition of view public.few_orders changed");
    // What a function in SQL reads is known, and what it is may change all the same.
    let chosen = |id: u32| {
        format!(
            "CREATE OR REPLACE FUNCTION chosen() RETURNS int LANGUAGE sql STABLE AS 'SELECT {id}'"
        )
    };
    sql(&chosen(10));
    let because = "definition of function public.chosen changed";
    let by_function = "DELETE FROM orders WHERE id = chosen()";
    goes_back(&arena, &mut agent, by_function, &chosen(11), because);
    sql("DROP FUNCTION chosen()");
    // A table it has nothing to do with is no reason.
    agent.ask(&delete(8)).unwrap();
    let id = held(&mut agent);
    sql("CREATE TABLE elsewhere (a int)");
    approve(&arena, &id);
    let answer = rest(&mut agent);
    assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
}

/// One that changes whenever it is approved is refused in the end.
#[test]
fn what_changes_each_time_is_refused() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    let mut agent = arena.client("claude").unwrap();
    let before = orders(&arena);
    agent.ask("DELETE FROM orders WHERE id = 999").unwrap();
    let mut id = held(&mut agent);
    for round in 0..4 {
        let change = format!("ALTER TABLE orders ADD COLUMN more{round} int");
        arena.server.sql("shop", &change).unwrap();
        approve(&arena, &id);
        if round < 3 {
            id = held(&mut agent);
        }
    }
    let answer = rest(&mut agent);
    assert!(answer[0].contains("42501") && answer[0].contains("is not what it was"), "{answer:?}");
    assert_eq!(orders(&arena), before);
}

/// How the session reads texts, and as whom, is part of what is approved.
#[test]
fn settings_that_differ_are_another_question() {
    let arena = signed_off();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let delete = |id: u32| format!("DELETE FROM orders WHERE id = {id}");
    // Settings of the server reach a session that waits.
    for (n, (setting, value)) in [
        ("search_path", "archive, public"),
        ("DateStyle", "ISO, DMY"),
        ("transform_null_equals", "on"),
        ("IntervalStyle", "sql_standard"),
    ]
    .into_iter()
    .enumerate()
    {
        agent.ask(&delete(10 + n as u32)).unwrap();
        let id = held(&mut agent);
        arena.server.sql("shop", &format!("ALTER SYSTEM SET {setting} = {value}")).unwrap();
        arena.server.sql("shop", "SELECT pg_reload_conf()").unwrap();
        std::thread::sleep(Duration::from_millis(500));
        approve(&arena, &id);
        let notice = loop {
            let message = agent.receive().unwrap().unwrap();
            if message.tag != b'S' {
                break message.shown();
            }
        };
        assert!(notice.contains("held again"), "{setting}: {notice}");
        assert!(notice.contains(&format!("setting {setting} changed")), "{setting}: {notice}");
        approve(&arena, &review_in(&notice));
        let answer = rest(&mut agent);
        assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{setting}: {answer:?}");
    }
    // Approved for one session, asked for by another that reads it otherwise.
    agent.query("BEGIN").unwrap();
    agent.ask(&delete(30)).unwrap();
    let id = review_in(&rest(&mut agent)[0].replace("ask for review", "review"));
    agent.query("ROLLBACK").unwrap();
    approve(&arena, &id);
    for setting in ["TimeZone = 'Asia/Tokyo'", "DateStyle = 'SQL, MDY'", "app.tenant = 'b'"] {
        let mut other = arena.client("claude").unwrap();
        if setting.starts_with("app") {
            let policy =
                "CREATE POLICY own ON orders USING (current_setting('app.tenant', true) = '')";
            arena.server.sql("shop", policy).unwrap();
        }
        let answer = other.query(&format!("SET {setting}")).unwrap();
        let refused = answer.iter().any(|m| m.tag == b'E');
        assert!(!refused, "{setting}: {:?}", answer.iter().map(Message::shown).collect::<Vec<_>>());
        other.ask(&delete(30)).unwrap();
        assert_ne!(held(&mut other), id, "{setting}");
    }
}

/// An approval lifts no limit; and what the session's settings are asked with is not the caller's.
#[test]
fn what_is_approved_stays_within_its_limits() {
    let mut setup = setup("expires = \"5m\"");
    let files = "packs = [\"allow-all\"]\nfiles = [\"bounded.cedar\"]";
    setup.policy = setup.policy.replace("packs = [\"agent-safe\"]", files);
    let policy = r#"
@id("few-changes") @max_changes("3")
permit (principal, action in [Action::"insert", Action::"update", Action::"delete"], resource);
@id("writes-need-review") @review("dba") @reason("changes of data are signed off by a DBA")
forbid (principal, action in [Action::"insert", Action::"update", Action::"delete"], resource)
unless { context.approvals.contains("dba") };
"#;
    let arena = Arena::start_with(&setup, &[("bounded.cedar", policy)]).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    arena.server.sql("shop", OPERATORS_AHEAD).unwrap();
    let before = orders(&arena);
    let mut agent = arena.client("claude").unwrap();
    let set = agent.query("SET search_path = ahead, pg_catalog, public").unwrap();
    assert!(set.iter().all(|m| m.tag != b'E'), "{set:?}");
    // No operator in them: those of `ahead` are what the statement itself would get.
    for (many, rows) in [(true, "1, 2, 3, 4, 5"), (false, "1, 2, 3")] {
        let list = format!("SELECT unnest(ARRAY[{rows}])");
        agent.ask(&format!(
                "DELETE FROM orders o USING ({list} AS id) AS l WHERE o.id OPERATOR(pg_catalog.=) l.id"
            )).unwrap();
        let id = held(&mut agent);
        approve(&arena, &id);
        let answer = rest(&mut agent);
        let error = answer.iter().find(|l| l.starts_with('E'));
        if many {
            assert!(error.unwrap().contains("few-changes"), "{answer:?}");
            assert_eq!(orders(&arena), before);
        } else {
            assert!(error.is_none(), "{answer:?}");
            assert_eq!(orders(&arena), before - 3);
        }
    }
}

fn pattern(arena: &Arena, id: &str, terms: &[&str]) -> (bool, String) {
    review(arena, &[&["bo", "approve", id, "--pattern", "--yes"], terms].concat())
}

/// The id of the newest pattern there is.
fn newest(arena: &Arena) -> String {
    let (_, text) = review(arena, &["bo", "patterns"]);
    text.split_whitespace().find(|w| w.starts_with("pat_")).unwrap().to_owned()
}

/// A pattern lets the same text run with other values, in this session, so often and so long.
#[test]
fn a_pattern_covers_other_values_and_nothing_else() {
    let arena = signed_off();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let ran = |agent: &mut RawClient, sql: &str| {
        agent.ask(sql).unwrap();
        let answer = rest(agent);
        assert!(answer.iter().any(|l| l.starts_with("C ")), "{sql}: {answer:?}");
    };
    let asks = |agent: &mut RawClient, sql: &str| {
        agent.ask(sql).unwrap();
        let id = held(agent);
        assert!(review(&arena, &["bo", "reject", &id, "--reason", "no"]).0);
        rest(agent);
        id
    };
    agent.ask("DELETE FROM orders WHERE id = 40").unwrap();
    let id = held(&mut agent);
    let (_, page) = review(&arena, &["bo", "show", &id]);
    assert!(page.contains("│ DELETE FROM orders WHERE id = ‹any number›"), "{page}");
    // Whoever gives it has to say so, after being told what it means; four eyes as ever.
    let (given, text) = review(&arena, &["bo", "approve", &id, "--pattern"]);
    assert!(!given && text.contains("ANY value") && text.contains("--yes"), "{text}");
    for who in ["claude", "ana"] {
        assert!(!review(&arena, &[who, "approve", &id, "--pattern", "--yes"]).0, "{who}");
    }
    let (given, text) = pattern(&arena, &id, &["--for", "10m", "--count", "3"]);
    assert!(given, "{text}");
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
    ran(&mut agent, "DELETE FROM orders WHERE id = 41");
    // What differs in more than the value is asked for; so is every other session and caller.
    for other in [
        "DELETE FROM orders WHERE id = 42 OR true",
        "DELETE FROM orders WHERE id = 42 OR 1 = 1",
        "DELETE FROM orders WHERE id <> 42",
        "DELETE FROM orders WHERE id < 42",
        "DELETE FROM orders WHERE id IN (42)",
        "DELETE FROM orders WHERE id = 42::int",
        "DELETE FROM orders WHERE id = '42'",
        "DELETE FROM orders WHERE id = abs(42)",
        "DELETE FROM orders WHERE id = (SELECT 42)",
        "DELETE FROM order_items WHERE id = 42",
        "DELETE FROM orders WHERE id = 42; DELETE FROM orders WHERE id = 43",
        "DELETE FROM orders WHERE id = 42 RETURNING *",
        "UPDATE orders SET note = 'x' WHERE id = 42",
    ] {
        asks(&mut agent, other);
    }
    let mut other = arena.client("claude").unwrap();
    asks(&mut other, "DELETE FROM orders WHERE id = 42");
    // Inside a transaction too, where nothing can wait.
    agent.query("BEGIN").unwrap();
    ran(&mut agent, "DELETE FROM orders WHERE id = 42");
    agent.query("COMMIT").unwrap();
    let (_, listed) = review(&arena, &["bo", "patterns"]);
    assert!(listed.contains("good") && listed.contains("2/3"), "{listed}");
    ran(&mut agent, "DELETE FROM orders WHERE id = 43");
    asks(&mut agent, "DELETE FROM orders WHERE id = 44");
    let (_, listed) = review(&arena, &["bo", "patterns"]);
    assert!(listed.contains("no patterns"), "{listed}");
    let (_, listed) = review(&arena, &["bo", "patterns", "--all"]);
    assert!(listed.contains("3/3"), "{listed}");
    let journal = std::fs::read_dir(arena.data().join("journal")).unwrap();
    let journal: String =
        journal.filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect();
    let uses = |n: u32| {
        let used = format!("\"number\":{n},\"of\":3");
        journal.lines().filter(|l| l.contains("\"intent\"") && l.contains(&used)).count()
    };
    assert_eq!([uses(1), uses(2), uses(3), uses(4)], [1, 1, 1, 0]);
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id BETWEEN 40 AND 44").unwrap(), "1");
}

/// A pattern ends when it expires, is revoked, its session ends, or what it rests on changes.
#[test]
fn a_pattern_ends_at_once() {
    let mut arena = signed_off();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let give = |arena: &Arena, agent: &mut RawClient, id: u32, terms: &[&str]| {
        agent.ask(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
        let review = held(agent);
        assert!(pattern(arena, &review, terms).0);
        assert!(rest(agent).iter().any(|l| l.starts_with("C DELETE 1")));
    };
    let asks = |arena: &Arena, agent: &mut RawClient, id: u32| {
        agent.ask(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
        let review_id = held(agent);
        assert!(review(arena, &["bo", "reject", &review_id, "--reason", "no"]).0);
        rest(agent);
    };
    let runs = |agent: &mut RawClient, id: u32| {
        agent.ask(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
        let answer = rest(agent);
        assert!(answer.iter().any(|l| l.starts_with("C DELETE 1")), "{answer:?}");
    };
    give(&arena, &mut agent, 50, &["--for", "12s"]);
    runs(&mut agent, 51);
    std::thread::sleep(Duration::from_millis(12_100));
    asks(&arena, &mut agent, 52);

    give(&arena, &mut agent, 52, &[]);
    runs(&mut agent, 53);
    let id = newest(&arena);
    assert!(!review(&arena, &["claude", "revoke", &id]).0, "an agent revoked");
    let (revoked, text) = review(&arena, &["bo", "revoke", &id]);
    assert!(revoked && text.contains("used 1 times"), "{text}");
    asks(&arena, &mut agent, 54);

    give(&arena, &mut agent, 54, &[]);
    runs(&mut agent, 55);
    let code = "CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN RETURN OLD; END';
                CREATE TRIGGER spills BEFORE DELETE ON orders
                FOR EACH ROW EXECUTE FUNCTION spill()";
    arena.server.sql("shop", code).unwrap();
    asks(&arena, &mut agent, 56);
    give(&arena, &mut agent, 56, &[]);
    runs(&mut agent, 57);
    let body = "CREATE OR REPLACE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN DELETE FROM customers; RETURN OLD; END'";
    arena.server.sql("shop", body).unwrap();
    asks(&arena, &mut agent, 58);
    arena.server.sql("shop", "DROP FUNCTION spill() CASCADE").unwrap();
    // Back to what it was when the one before was given.
    runs(&mut agent, 58);
    assert!(review(&arena, &["bo", "patterns"]).1.contains("good"));
    arena.kill_gateway().unwrap();
    arena.start_gateway().unwrap();
    assert!(review(&arena, &["bo", "patterns"]).1.contains("no patterns"));
    let mut agent = arena.client("claude").unwrap();
    give(&arena, &mut agent, 59, &[]);
    drop(agent);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !review(&arena, &["bo", "patterns"]).1.contains("no patterns") {
        assert!(Instant::now() < deadline, "the session has ended and its pattern has not");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Parameters vary where literals would, and stay where those stay.
#[test]
fn a_pattern_with_parameters() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let script = |least: u32, id: u32, types: &str| {
        format!(
            "Parse \"\" \"DELETE FROM orders WHERE id = $1 AND id > $2\" {types}\n\
             Bind \"\" \"\" \"{id}\" \"{least}\"\nExecute \"\" 0\nSync\n"
        )
    };
    portcullis_testkit::script::run(&mut agent, &script(0, 60, "23 23")).unwrap();
    let id = held(&mut agent);
    let (_, page) = review(&arena, &["bo", "show", &id]);
    assert!(page.contains("$1: ‹any value›") && page.contains("$2: stays as it is"), "{page}");
    assert!(pattern(&arena, &id, &[]).0);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
    portcullis_testkit::script::run(&mut agent, &script(0, 61, "23 23")).unwrap();
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
    for (least, types) in [(1, "23 23"), (0, "20 23")] {
        portcullis_testkit::script::run(&mut agent, &script(least, 62, types)).unwrap();
        let id = held(&mut agent);
        assert!(review(&arena, &["bo", "reject", &id, "--reason", "no"]).0);
        rest(&mut agent);
    }
}

/// Repeats while it waits are one review, from whichever session of the same caller they come.
#[test]
fn repeats_are_one_review() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    let (mut one, mut two) = (arena.client("claude").unwrap(), arena.client("claude").unwrap());
    let sql = "DELETE FROM orders WHERE id = 70";
    one.ask(sql).unwrap();
    let id = held(&mut one);
    two.ask(sql).unwrap();
    assert_eq!(held(&mut two), id, "two sessions that mean the same ask once");
    let (_, listed) = review(&arena, &["bo", "list"]);
    assert_eq!(listed.matches("rev_").count(), 1, "{listed}");
    let (_, page) = review(&arena, &["bo", "show", &id]);
    assert!(page.contains("sent again   1 times"), "{page}");
    assert!(review(&arena, &["bo", "reject", &id, "--reason", "no"]).0);
    for client in [&mut one, &mut two] {
        assert!(rest(client)[0].contains("42501"));
    }
}

/// People are told how much it may touch, as far as the target's planner knows, or why that is not
/// known; and asking for that runs nothing.
#[test]
fn reviewers_are_told_how_much_it_touches() {
    let arena = signed_off();
    arena
        .server
        .sql(
            "shop",
            "DELETE FROM payments;
             CREATE TABLE ran (what text);
             CREATE FUNCTION spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
             'BEGIN RAISE LOG ''the spy ran''; RETURN $1; END';
             CREATE TABLE big AS SELECT n AS id, n % 10 AS kind FROM generate_series(1, 5000) n;
             ANALYZE big",
        )
        .unwrap();
    let mut agent = arena.client("claude").unwrap();
    let told_of = |agent: &mut RawClient| {
        let (id, notice) = told(agent);
        let (_, page) = review(&arena, &["bo", "show", &id]);
        let touches = page.lines().skip_while(|l| !l.starts_with("touches"));
        let touches: Vec<&str> = touches.take_while(|l| !l.starts_with("rests on")).collect();
        let touches = touches.join("").replace("             │ ", "");
        assert!(review(&arena, &["bo", "reject", &id, "--reason", "no"]).0);
        let answer = rest(agent);
        assert_eq!(answer.last().unwrap(), "Z I", "{answer:?}");
        (notice, touches)
    };
    for (sql, expect) in [
        ("DELETE FROM big WHERE id < 1001", "about 1000 rows of 5000 in public.big"),
        ("UPDATE big SET kind = 3", "about 5000 rows of 5000 in public.big"),
        ("INSERT INTO big VALUES (1, 2)", "about 1 rows of 5000 in public.big"),
        ("DELETE FROM big WHERE id = spy(5)", "planning it could run code of users"),
        ("DELETE FROM big WHERE id = 1; SELECT 1", "it is not one statement"),
        ("DELETE FROM big WHERE id = 'x'", "the target gave no plan"),
    ] {
        agent.ask(sql).unwrap();
        let (notice, touches) = told_of(&mut agent);
        assert!(notice.contains(expect), "{sql}: {notice}");
        assert!(touches.contains(expect), "{sql}: {touches}");
    }
    // With the values that were bound, in text and whatever names the caller uses itself.
    let script = "Parse \"\" \"DELETE FROM big WHERE id < $1\" 23\nBind \"\" \"\" \"501\"\n\
                  Execute \"\" 0\nSync\n";
    portcullis_testkit::script::run(&mut agent, script).unwrap();
    let (notice, _) = told_of(&mut agent);
    assert!(notice.contains("about 500 rows of 5000 in public.big"), "{notice}");
    // Approved after that, it runs as ever; what the caller had prepared is still there.
    portcullis_testkit::script::run(&mut agent, "Parse \"mine\" \"SELECT 7\"\nSync\nuntil Z\n")
        .unwrap();
    agent.ask("DELETE FROM big WHERE id = 1").unwrap();
    let id = held(&mut agent);
    approve(&arena, &id);
    assert!(rest(&mut agent).iter().any(|l| l.starts_with("C DELETE 1")));
    let answer = portcullis_testkit::script::run(
        &mut agent,
        "Bind \"\" \"mine\"\nExecute \"\" 0\nSync\nuntil Z\n",
    )
    .unwrap();
    assert!(answer.contains('7'), "{answer}");
    assert_eq!(arena.truth("SELECT count(*) FROM big").unwrap(), "4999");
}

/// The page of a request that waits, which is then rejected.
fn page_of(arena: &Arena, agent: &mut RawClient) -> String {
    let id = held(agent);
    let (_, page) = review(arena, &["bo", "show", &id]);
    assert!(review(arena, &["bo", "reject", &id, "--reason", "no"]).0);
    rest(agent);
    page
}

/// What names stand for is shown and bound: which statement, and how its parameters are read.
#[test]
fn what_names_stand_for_is_what_people_saw() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    let mut agent = arena.client("claude").unwrap();
    let quiet = "PREPARE s AS UPDATE orders SET total = 0 WHERE id > 0";
    rest_of(&mut agent, &format!("SELECT 1; {quiet}"));
    let update = "Parse \"\" \"UPDATE orders SET note = 'ok' WHERE id = 5\"\nBind \"\" \"\"\n\
                  Execute \"\" 0\nBind \"\" \"s\"\nExecute \"\" 0\nSync\n";
    portcullis_testkit::script::run(&mut agent, update).unwrap();
    let page = page_of(&arena, &mut agent);
    assert!(page.contains(quiet) && page.contains("note = 'ok'"), "{page}");
    agent.ask("SELECT 1; EXECUTE s").unwrap();
    assert!(page_of(&arena, &mut agent).contains(quiet));

    let all = "PREPARE a AS DELETE FROM orders WHERE id > 0";
    let one = "PREPARE a AS DELETE FROM orders WHERE id = 2";
    let text = format!("{all}; PREPARE guard AS SELECT 1; DEALLOCATE a; {one}");
    rest_of(&mut agent, &text);
    let mut other = arena.client("claude").unwrap();
    rest_of(&mut other, "PREPARE guard AS SELECT 1");
    other.query(&text).unwrap();
    agent.ask("EXECUTE a").unwrap();
    let id = held(&mut agent);
    let (_, page) = review(&arena, &["bo", "show", &id]);
    assert!(page.contains(one) && !page.contains(all), "{page}");
    other.ask("EXECUTE a").unwrap();
    let (another, _) = other.held().unwrap();
    assert_ne!(another, id, "one review for two statements");
    assert!(review(&arena, &["bo", "reject", &another, "--reason", "no"]).0);
    rest(&mut other);
    assert!(review(&arena, &["bo", "reject", &id, "--reason", "no"]).0);
    rest(&mut agent);

    let typed = |client: &mut RawClient, oid: u32| {
        let parse = "DELETE FROM orders WHERE id = 41 OR ($1 < '9' AND id > 0)";
        let script = format!("Parse \"t\" \"{parse}\" {oid}\nSync\nuntil Z\n");
        portcullis_testkit::script::run(client, &script).unwrap();
        client.ask("EXECUTE t(10)").unwrap();
        held(client)
    };
    let integer = typed(&mut agent, 23);
    assert!(review(&arena, &["bo", "show", &integer]).1.contains("$1 is read as integer"));
    assert_ne!(typed(&mut other, 25), integer);
}

/// What an approval cannot bind is not put to people, and the caller hears what to do.
#[test]
fn what_cannot_be_bound_is_refused() {
    let arena = signed_off();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    let refused = |agent: &mut RawClient, sql: &str, what: &str| {
        agent.ask(sql).unwrap();
        let answer = agent.until(b'Z').unwrap_or_else(|error| panic!("{sql}: {error}"));
        let answer: Vec<String> = answer.iter().map(Message::shown).collect();
        assert!(answer[0].contains("reviewable-requests"), "{sql}: {answer:?}");
        assert!(answer[0].contains(what), "{sql}: {answer:?}");
    };
    // Read by other settings than those there are.
    rest_of(&mut agent, "SET DateStyle = 'ISO, DMY'");
    let prepare = "PREPARE z AS DELETE FROM orders WHERE placed_at < '03/04/2026'";
    rest_of(&mut agent, prepare);
    rest_of(&mut agent, "SET DateStyle = 'ISO, MDY'");
    refused(&mut agent, "EXECUTE z", "settings of the session may have changed");
    rest_of(&mut agent, "DEALLOCATE z");
    rest_of(&mut agent, prepare);
    agent.ask("EXECUTE z").unwrap();
    page_of(&arena, &mut agent);
    // The row of a cursor, and what a descriptor stands for.
    rest_of(&mut agent, "BEGIN");
    rest_of(&mut agent, "DECLARE c CURSOR FOR SELECT id FROM orders WHERE id = 11");
    rest_of(&mut agent, "FETCH c");
    refused(&mut agent, "DELETE FROM orders WHERE CURRENT OF c", "which row the cursor is on");
    rest_of(&mut agent, "ROLLBACK");
    let setting = "DELETE FROM orders WHERE id = current_setting('app.id')::int";
    refused(&mut agent, setting, "the setting app.id");
    // What sessions show of themselves can be chosen after somebody approved.
    arena.server.sql("shop", "CREATE VIEW held_locks AS SELECT objid FROM pg_locks").unwrap();
    for reads in [
        "id IN (SELECT substr(c, 2)::int FROM pg_listening_channels() c)",
        "id = (SELECT length(application_name) FROM pg_stat_activity WHERE pid = pg_backend_pid())",
        "id IN (SELECT substr(name, 2)::int FROM pg_prepared_statements)",
        "id IN (SELECT objid::int FROM pg_locks WHERE locktype = 'advisory')",
        "id IN (SELECT objid::int FROM held_locks)",
        "id < (SELECT count(*) FROM pg_cursors)",
        "id < (SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'orders')",
        "id < random() * 10",
        "pg_try_advisory_xact_lock(id)",
        "id IN (SELECT id FROM orders FOR UPDATE SKIP LOCKED)",
    ] {
        refused(
            &mut agent,
            &format!("DELETE FROM orders WHERE {reads}"),
            "what it reads of sessions",
        );
    }
    // Settings that count for nothing else count where they are read.
    for (name, reads) in [
        ("application_name", "current_setting('application_name')::int"),
        ("lock_timeout", "(SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout')"),
    ] {
        let delete = format!("DELETE FROM orders WHERE id = {reads}");
        rest_of(&mut agent, &format!("SET {name} = '21'"));
        agent.query("BEGIN").unwrap();
        agent.ask(&delete).unwrap();
        let id = review_in(&rest(&mut agent)[0].replace("ask for review", "review"));
        agent.query("ROLLBACK").unwrap();
        approve(&arena, &id);
        rest_of(&mut agent, &format!("SET {name} = '22'"));
        agent.ask(&delete).unwrap();
        assert_ne!(held(&mut agent), id, "{name}");
        agent = arena.client("claude").unwrap();
    }
}

/// A reviewer asks before deciding: whoever waits is told on the wire, answers, and neither of it decides.
#[test]
fn a_reviewer_asks_and_the_caller_answers() {
    let arena = Arena::start(&setup("expires = \"5m\"")).unwrap();
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let mut agent = arena.client("claude").unwrap();
    agent.ask("DELETE FROM orders WHERE id = 101").unwrap();
    let id = held(&mut agent);
    let (said, text) = review(&arena, &["claude", "answer", &id, "it is a test"]);
    assert!(!said && text.contains("nobody has asked"), "{text}");
    let (said, text) = review(&arena, &["bo", "ask", &id, "why 101?\u{202e}\u{1b}[2J"]);
    assert!(said, "{text}");
    let asked = loop {
        let message = agent.receive().unwrap().expect("it waits").shown();
        if message.contains("asks about") {
            break message;
        }
    };
    assert!(asked.contains("why 101?") && asked.contains(&id), "{asked}");
    assert!(!asked.contains('\u{202e}') && !asked.contains('\u{1b}'), "{asked}");
    assert!(asked.contains("portcullis review answer"), "{asked}");
    let (said, text) = review(&arena, &["claude", "answer", &id, "it was ordered twice"]);
    assert!(said, "{text}");
    let (said, text) = review(&arena, &["claude", "answer", &id, "and again"]);
    assert!(!said && text.contains("nobody has asked"), "{text}");
    // Whom it does not concern does not even learn that it is there; an agent asks nobody.
    assert!(!review(&arena, &["deckard", "ask", &id, "what is this?"]).0);
    let (said, text) = review(&arena, &["lea", "ask", &id, "what is this?"]);
    assert!(!said && text.contains("no such review"), "{text}");
    let (_, shown) = review(&arena, &["bo", "show", &id]);
    assert!(shown.contains("why 101?") && shown.contains("it was ordered twice"), "{shown}");
    assert!(!shown.contains('\u{202e}'), "{shown}");
    let long = "x".repeat(1_001);
    assert!(!review(&arena, &["bo", "ask", &id, &long]).0);
    for _ in 0..MOST - 2 {
        assert!(review(&arena, &["bo", "ask", &id, "well?"]).0);
    }
    let (said, text) = review(&arena, &["bo", "ask", &id, "well?"]);
    assert!(!said && text.contains("are enough"), "{text}");
    assert_eq!(arena.truth("SELECT count(*) FROM orders WHERE id = 101").unwrap(), "1");
    approve(&arena, &id);
    assert!(rest(&mut agent).iter().any(|line| line.starts_with("C DELETE 1")));
    let (said, text) = review(&arena, &["bo", "ask", &id, "too late?"]);
    assert!(!said && text.contains("nobody to ask"), "{text}");
}

/// Most messages about one review.
const MOST: usize = 40;
