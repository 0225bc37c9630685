//! What the gateway tells Prometheus: exactly what was done, to whoever may know it, and nothing that an
//! agent chooses; and that nothing new runs before the disk of the record is full.

use portcullis_sandbox::process::free_port;
use portcullis_testkit::arena::{Arena, Setup, private_file};
use portcullis_testkit::raw::{Message, RawClient};
use portcullis_testkit::web::{Answer, http};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TOKEN: &str = "a-token-of-the-monitoring-alone";
/// What an agent says of itself, and what it sends: nobody else is to read it here.
const CHOSEN: &str = "chosen_by_the_agent";

/// A gateway whose metrics are read there.
fn setup(more: &str) -> (Setup, SocketAddr) {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
    let mut setup = Setup::agent_safe();
    setup.more = format!("[listen.metrics]\naddress = \"{at}\"\n{more}");
    (setup, at)
}

fn start(more: &str) -> (Arena, SocketAddr) {
    let (setup, at) = setup(&format!("token_from = \"file:metrics.token\"\n{more}"));
    (start_with_token(&setup), at)
}

/// The file of the token has to be its owner's alone, so it is there before the gateway looks for it.
fn start_with_token(setup: &Setup) -> Arena {
    let mut arena = Arena::start(&Setup { more: String::new(), ..Setup::agent_safe() }).unwrap();
    arena.stop_gateway();
    private_file(&arena.directory().join("metrics.token"), TOKEN).unwrap();
    let mut config = std::fs::read_to_string(arena.config()).unwrap();
    config += &setup.more;
    std::fs::write(arena.config(), config).unwrap();
    arena.start_gateway().unwrap();
    arena
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn read(at: SocketAddr) -> Answer {
    http(at, "GET /metrics", &[("Authorization", &bearer(TOKEN))], "").unwrap()
}

/// All series, by name and labels as they are written.
fn scrape(at: SocketAddr) -> BTreeMap<String, f64> {
    let answer = read(at);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let series = answer.body.lines().filter(|line| !line.starts_with('#'));
    let series = series.filter_map(|line| line.rsplit_once(' '));
    series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

/// How much each series is more than before, of those that are.
fn more(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let grown = after
        .iter()
        .map(|(name, value)| (name.clone(), value - before.get(name).copied().unwrap_or_default()));
    grown.filter(|(_, by)| *by != 0.0).collect()
}

/// Waits for what another task brings about.
fn soon<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn told(client: &mut RawClient, sql: &str) -> String {
    let messages = client.query(sql).unwrap();
    messages.iter().map(Message::shown).collect::<Vec<_>>().join("\n")
}

fn decide(arena: &Arena, arguments: &[&str]) {
    let output = arena.portcullis(&[&["review", "--as", "bo"], arguments].concat()).unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Two reads with masked values, a refusal of policy and one of syntax, a change that is approved and one that
/// is rejected.
fn work(arena: &Arena, agent: &mut RawClient) {
    let read = format!("SELECT email AS {CHOSEN} FROM customers ORDER BY id LIMIT 3");
    for _ in 0..2 {
        let answer = told(agent, &read);
        assert!(answer.contains("C SELECT 3"), "{answer}");
    }
    assert!(told(agent, &format!("DROP TABLE orders /* {CHOSEN} */")).contains("42501"));
    assert!(told(agent, &format!("SELEC '{CHOSEN}'")).contains("42601"));
    for (id, decision) in [(1, vec!["approve"]), (2, vec!["reject", "--reason", "no"])] {
        agent.ask(&format!("DELETE FROM orders WHERE id = {id} AND note <> '{CHOSEN}'")).unwrap();
        let (review, _) = agent.held().unwrap();
        decide(arena, &[&decision[..1], &[review.as_str()], &decision[1..]].concat());
        agent.until(b'Z').unwrap();
    }
}

#[test]
fn what_is_told_is_what_was_done_and_nothing_that_an_agent_chose() {
    let (arena, at) = start("");
    arena.server.sql("shop", "DELETE FROM payments").unwrap();
    let token = arena.token("claude").unwrap();
    let before = soon("the store is looked at", || {
        let found = scrape(at);
        found.contains_key("portcullis_reviews_waiting").then_some(found)
    });
    assert_eq!(before["portcullis_requests_total{connection=\"shop\",verdict=\"permitted\"}"], 0.0);
    assert_eq!(before["portcullis_ready"], 1.0);
    assert_eq!(
        before["portcullis_connection_info{connection=\"shop\",protocol=\"postgres\"}"],
        1.0
    );
    let parameters = [("user", "claude"), ("database", "shop"), ("application_name", CHOSEN)];
    let mut agent = RawClient::log_in_with(arena.postgres, &parameters, &token).unwrap();
    let open = "portcullis_sessions_open{connection=\"shop\"}";
    assert_eq!(scrape(at)[open], 1.0);
    work(&arena, &mut agent);
    // Somebody nobody knows, and a connection that is not there.
    assert!(RawClient::log_in(arena.postgres, CHOSEN, "shop", CHOSEN).is_err());
    assert!(RawClient::log_in(arena.postgres, "claude", CHOSEN, &token).is_err());
    held_is_shown(&arena, at, &mut agent);
    drop(agent);
    let after = soon("the session is over", || {
        let found = scrape(at);
        (found[open] == 0.0).then_some(found)
    });
    let grown = more(&before, &after);
    let counts: BTreeMap<&str, f64> = grown
        .iter()
        .filter(|(name, _)| !name.contains("_seconds") && !name.contains("journal_entries"))
        .filter(|(name, _)| !name.contains("_bytes") && !name.contains("api_token"))
        .map(|(name, by)| (name.as_str(), *by))
        .collect();
    let shop = |name: &str, labels: &str| match name {
        "requests" | "outcomes" => {
            format!("portcullis_{name}_total{{connection=\"shop\",{labels}}}")
        }
        _ => format!("portcullis_{name}_total{{{labels}}}"),
    };
    let expect: BTreeMap<String, f64> = [
        (shop("requests", "verdict=\"permitted\""), 2.0),
        (shop("requests", "verdict=\"approved\""), 1.0),
        (shop("requests", "verdict=\"refused\""), 2.0),
        (shop("requests", "verdict=\"held\""), 3.0),
        (shop("requests", "verdict=\"rejected\""), 2.0),
        (shop("refusals", "class=\"policy\",connection=\"shop\""), 1.0),
        (shop("refusals", "class=\"unreadable\",connection=\"shop\""), 1.0),
        (shop("refusals", "class=\"rejected\",connection=\"shop\""), 2.0),
        (shop("sessions_opened", "connection=\"shop\""), 1.0),
        (shop("rows", "connection=\"shop\""), 6.0),
        (shop("masked_values", "connection=\"shop\""), 6.0),
        (shop("log_ins_refused", "class=\"identity\""), 2.0),
        (shop("authentications", "kind=\"token\",outcome=\"accepted\""), 2.0),
        (shop("authentications", "kind=\"token\",outcome=\"refused\""), 1.0),
    ]
    .into();
    // Plans that the gateway asks for by itself, for whoever decides, are outcomes as well.
    let outcomes = "portcullis_outcomes_total{connection=\"shop\",status=\"done\"}";
    let counts: BTreeMap<String, f64> = counts
        .into_iter()
        .filter(|(name, _)| *name != outcomes)
        .map(|(name, by)| (name.to_owned(), by))
        .collect();
    assert_eq!(counts, expect);
    assert!((3.0..=6.0).contains(&grown[outcomes]), "{grown:#?}");
    assert_eq!(grown["portcullis_decision_seconds_count{connection=\"shop\"}"], 6.0);
    assert_eq!(grown["portcullis_answer_seconds_count{connection=\"shop\"}"], grown[outcomes]);
    assert!(grown["portcullis_journal_entries_total"] >= 10.0, "{grown:#?}");
    assert!(grown["portcullis_journal_sync_seconds_count"] >= 1.0, "{grown:#?}");
    nothing_chosen_is_told(&arena, at);
}

/// A request that waits is seen waiting.
fn held_is_shown(arena: &Arena, at: SocketAddr, agent: &mut RawClient) {
    agent.ask("DELETE FROM orders WHERE id = 3").unwrap();
    let (review, _) = agent.held().unwrap();
    soon("it is seen waiting", || {
        let found = scrape(at);
        let here = found["portcullis_sessions_held{connection=\"shop\"}"] == 1.0;
        (here && found["portcullis_reviews_waiting"] == 1.0).then_some(())
    });
    decide(arena, &["reject", &review, "--reason", "no"]);
    agent.until(b'Z').unwrap();
    soon("it is seen decided", || (scrape(at)["portcullis_reviews_waiting"] == 0.0).then_some(()));
}

fn nothing_chosen_is_told(arena: &Arena, at: SocketAddr) {
    let answer = read(at);
    let kind = answer.headers("content-type").next();
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let chosen = [CHOSEN, "claude", "ana", "customers", "orders", "SELECT", TOKEN];
    for word in chosen {
        let told = answer.body.lines().filter(|line| !line.starts_with('#'));
        assert!(told.clone().all(|line| !line.contains(word)), "{word} is told");
    }
    is_well_formed(&answer.body);
    let told = http(arena.http, "GET /metrics", &[], "").unwrap();
    assert_eq!(told.status, 404, "they are not beside the API");
}

/// By Prometheus' own program, where it is installed; and by the rules it goes by in any case.
fn is_well_formed(text: &str) {
    let mut typed = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap().to_owned()), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().unwrap();
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(typed.contains(name) || of.is_some_and(|of| typed.contains(of)), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
    let mut check = Command::new("promtool");
    let check = check.args(["check", "metrics"]).stdin(Stdio::piped());
    let Ok(mut check) = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        println!("promtool is not installed: the rules above are all that was checked");
        return;
    };
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn agents_read_nothing_of_it() {
    let (arena, at) = start("");
    let (agent, person) = (arena.token("claude").unwrap(), arena.token("bo").unwrap());
    let credentials =
        ["", "Bearer ", &bearer(&agent), &bearer(&person), &bearer(&TOKEN[1..]), TOKEN]
            .map(String::from);
    for shown in credentials {
        let answer = http(at, "GET /metrics", &[("Authorization", &shown)], "").unwrap();
        assert_eq!(answer.status, 401, "{shown}");
        assert!(!answer.body.contains("portcullis_"), "{}", answer.body);
    }
    assert_eq!(http(at, "GET /metrics", &[], "").unwrap().status, 401);
    assert_eq!(read(at).status, 200);
    assert_eq!(http(at, "POST /metrics", &[], "").unwrap().status, 405);
    // What says nothing of anybody is for whoever reaches it.
    for path in ["/healthz", "/readyz"] {
        let answer = http(at, &format!("GET {path}"), &[], "").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{path}");
    }
    for path in ["/api/v1/sessions", "/api/v1/me", "/"] {
        let headers = [("Authorization", bearer(&person))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = http(at, &format!("GET {path}"), &headers, "").unwrap();
        assert_eq!(answer.status, 404, "{path}");
    }
    // And what would open it to others does not start.
    let mut config = std::fs::read_to_string(arena.config()).unwrap();
    config =
        config.replace(&format!("address = \"{at}\"\ntoken_from"), "address = \"0.0.0.0:1\"\n#");
    let open = arena.directory().join("open.toml");
    std::fs::write(&open, config).unwrap();
    let check = Command::new(portcullis_testkit::arena::binary());
    let mut check = check;
    let said = check.arg("--config").arg(&open).args(["config", "check"]).output().unwrap();
    let text =
        String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    assert!(!said.status.success() && text.contains("token_from"), "{text}");
}

/// A disk of its own, in memory, where this may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mounted_on(place: &Path, mib: u32) -> Option<Self> {
        let size = format!("size={mib}m,mode=0700");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "portcullis-test"]).arg(place);
        mounted.output().ok()?.status.success().then(|| Self(place.to_owned()))
    }

    /// Takes room, of which so much is left.
    fn leave(&self, mib: u64) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let stat = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(stat.stdout).unwrap();
        let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let take = numbers[0] * numbers[1] - (mib << 20);
        let block = vec![0_u8; 1 << 20];
        for _ in 0..take >> 20 {
            file.write_all(&block).unwrap();
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open goes with its process.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn nothing_new_begins_before_the_disk_is_full_and_all_goes_on_when_there_is_room() {
    let (setup, at) = setup(
        "token_from = \"file:metrics.token\"\n[journal]\ndisk_low_mib = 100\ndisk_reserve_mib = 50\n",
    );
    let mut arena = Arena::start(&Setup::agent_safe()).unwrap();
    arena.stop_gateway();
    let Some(disk) = SmallDisk::mounted_on(&arena.data(), 160) else {
        println!("no disk of its own can be mounted here: see disk.rs for what is left of this");
        return;
    };
    private_file(&arena.directory().join("metrics.token"), TOKEN).unwrap();
    let config = std::fs::read_to_string(arena.config()).unwrap() + &setup.more;
    std::fs::write(arena.config(), config).unwrap();
    arena.start_gateway().unwrap();
    let ready = || http(arena.http, "GET /readyz", &[], "").unwrap();
    assert_eq!(ready().status, 200);
    let mut agent = arena.client("claude").unwrap();
    let mut other = arena.client("hal").unwrap();
    assert!(told(&mut agent, "BEGIN; SELECT count(*) FROM orders").contains("C SELECT 1"));
    // Little room is said, and nothing else.
    disk.leave(80);
    soon("it is told as low", || {
        let found = scrape(at);
        (found["portcullis_disk_free_bytes"] < found["portcullis_disk_low_bytes"]).then_some(())
    });
    assert_eq!(scrape(at)["portcullis_disk_full"], 0.0);
    assert!(told(&mut other, "SELECT 1").contains("C SELECT 1"));
    let health = arena.portcullis(&["doctor"]).unwrap();
    let health = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(health.contains("disk_low_mib"), "{health}");
    // Too little: whatever is new is refused, in words that say why.
    disk.leave(30);
    let answer = soon("requests are refused", || {
        let answer = told(&mut other, "SELECT 1");
        (!answer.contains("C SELECT 1")).then_some(answer)
    });
    assert!(answer.contains("disk") && answer.contains("nearly full"), "{answer}");
    let not = ready();
    assert_eq!(not.status, 503);
    assert!(not.body.starts_with("disk: ") && not.body.lines().count() == 1, "{}", not.body);
    let kind = not.headers("content-type").next().unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let at_metrics = http(at, "GET /readyz", &[], "").unwrap();
    assert_eq!((at_metrics.status, at_metrics.body), (503, not.body));
    let Err(why) = arena.client("claude") else { panic!("a session began") };
    assert!(why.to_string().contains("nearly full"), "{why:#}");
    let found = scrape(at);
    assert_eq!(found["portcullis_ready"], 0.0);
    assert_eq!(found["portcullis_not_ready_reason{reason=\"disk\"}"], 1.0);
    assert!(found["portcullis_refusals_total{class=\"unavailable\",connection=\"shop\"}"] >= 1.0);
    assert!(found["portcullis_log_ins_refused_total{class=\"unavailable\"}"] >= 1.0);
    assert_eq!(found["portcullis_journal_failed"], 0.0);
    // What was begun is refused as well, but for its end.
    assert!(told(&mut agent, "SELECT 1").contains("nearly full"));
    assert!(told(&mut agent, "ROLLBACK").contains("C ROLLBACK"));
    // Nothing has to be restarted.
    disk.make_room();
    soon("there is room again", || {
        told(&mut other, "SELECT 1").contains("C SELECT 1").then_some(())
    });
    assert!(told(&mut agent, "SELECT 1").contains("C SELECT 1"));
    soon("it is ready again", || (ready().status == 200).then_some(()));
    assert!(arena.client("claude").is_ok());
    let verified = arena.portcullis(&["audit", "verify"]).unwrap();
    assert!(verified.status.success(), "{verified:?}");
}
