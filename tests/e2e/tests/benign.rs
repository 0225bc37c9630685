//! What real tools send, and what agents write: every case of `tests/corpus/benign` runs at the
//! server itself, as the role the gateway uses, and through the default pack as a caller who may
//! read. Both must hear the same, message by message; where a case says that a column is masked,
//! the same but for its values.
//!
//! Directives: `bind` (see [`Case::bound`]), `setup` (SQL that a superuser runs before all cases),
//! `masked: columns` (their values differ, and must), `volatile` or `volatile: columns` (their
//! values are not compared; of the whole answer without columns, nor how many rows there are),
//! `needs` and `until` (the versions of the server it is about).

use portcullis_testkit::arena::{APP_PASSWORD, Arena, Setup};
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::raw::{Message, RawClient, message, query, values};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

const DIRECTIVES: &[&str] = &["bind", "setup", "masked", "volatile"];

/// How a case is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As simple queries, or with values where the case has them, in a session of its own.
    Alone,
    /// The same in a session that all cases share, as those of the other ways do.
    Together,
    /// By the extended protocol, with results in text or in binary.
    Extended { binary: bool },
    /// The whole case at once, without waiting for answers.
    Pipelined,
}

/// The version of the server that the tools were asked with.
const CORPUS: u32 = 15;

const WAYS: [Way; 5] = [
    Way::Alone,
    Way::Together,
    Way::Extended { binary: false },
    Way::Extended { binary: true },
    Way::Pipelined,
];

/// A statement as the messages that carry it.
fn request(way: Way, case: &Case, place: usize) -> Vec<u8> {
    let sql = &case.statements[place];
    let bound = case.bound(place).unwrap();
    let extended = matches!(way, Way::Extended { .. });
    if bound.is_none() && !extended {
        return query(sql);
    }
    let mut bind = b"\0\0\0\0".to_vec();
    let bound = bound.unwrap_or_default();
    bind.extend_from_slice(&(bound.len() as u16).to_be_bytes());
    for value in bound {
        let length = value.as_ref().map_or(-1, |v| v.len() as i32);
        bind.extend_from_slice(&length.to_be_bytes());
        bind.extend_from_slice(value.unwrap_or_default().as_bytes());
    }
    let binary = way == Way::Extended { binary: true };
    bind.extend_from_slice(&[0, 1, 0, u8::from(binary)]);
    [
        message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat()),
        message(b'B', &bind),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat()
}

/// What is heard for each statement of a case.
fn run(client: &mut RawClient, way: Way, case: &Case) -> anyhow::Result<Vec<Vec<Message>>> {
    let requests: Vec<Vec<u8>> =
        (0..case.statements.len()).map(|place| request(way, case, place)).collect();
    if way == Way::Pipelined {
        client.send(&requests.concat())?;
        return requests.iter().map(|_| client.until(b'Z')).collect();
    }
    let mut heard = Vec::new();
    for request in requests {
        client.send(&request)?;
        heard.push(client.until(b'Z')?);
    }
    Ok(heard)
}

/// The names of the columns of a RowDescription.
fn columns(body: &[u8]) -> Vec<String> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = &rest[end + 19..];
    }
    names
}

/// What a client makes of an answer, one message a line. Values of volatile columns are told by
/// whether they are there.
struct Heard {
    lines: Vec<String>,
    /// The values of masked columns.
    masked: Vec<Option<Vec<u8>>>,
    errors: usize,
}

fn heard(case: &Case, messages: &[Message]) -> Heard {
    let (masked, volatile) = (case.list("masked"), case.list("volatile"));
    let loose = case.has("volatile") && volatile.is_empty();
    let mut heard = Heard { lines: Vec::new(), masked: Vec::new(), errors: 0 };
    let mut names: Vec<String> = Vec::new();
    for message in messages {
        match message.tag {
            b'T' => {
                names = columns(&message.body);
                heard.lines.push(format!("T {}", message.body.escape_ascii()));
            }
            b'D' if loose => {}
            b'D' => {
                let values = values(&message.body).into_iter().enumerate();
                let shown = values.map(|(place, value)| {
                    let name = names.get(place).map_or("", String::as_str);
                    let hidden = masked.contains(&name);
                    if hidden {
                        heard.masked.push(value.clone());
                    }
                    match value {
                        _ if hidden => "…".to_owned(),
                        None => "NULL".to_owned(),
                        Some(_) if volatile.contains(&name) => "…".to_owned(),
                        Some(value) => value.escape_ascii().to_string(),
                    }
                });
                let shown: Vec<String> = shown.collect();
                heard.lines.push(format!("D {}", shown.join(" | ")));
            }
            b'C' if loose => {
                let text = message.body.escape_ascii().to_string();
                heard.lines.push(format!(
                    "C {}",
                    text.trim_end_matches("\\x00").trim_end_matches(char::is_numeric)
                ));
            }
            b'd' if loose => {}
            // The name that the gateway gives its sessions.
            b'S' if message.body.starts_with(b"application_name\0") => {}
            tag => {
                heard.errors += usize::from(tag == b'E');
                heard.lines.push(message.shown());
            }
        }
    }
    heard
}

/// What is wrong with what was heard through the gateway; `None` where nothing is.
fn wrong(case: &Case, direct: &[Vec<Message>], through: &[Vec<Message>]) -> Option<String> {
    for (place, (direct, through)) in direct.iter().zip(through).enumerate() {
        let (direct, through) = (heard(case, direct), heard(case, through));
        let same = direct.lines.iter().zip(&through.lines).take_while(|(d, t)| d == t).count();
        let (d, t) = (direct.lines.get(same), through.lines.get(same));
        if d.is_some() || t.is_some() {
            let show = |line: Option<&String>| {
                line.map_or("(nothing)".to_owned(), |l| format!("{l:.500}"))
            };
            return Some(format!(
                "statement {}\n     direct  {}\n     through {}",
                place + 1,
                show(d),
                show(t)
            ));
        }
        if !direct.masked.is_empty() && direct.masked == through.masked {
            return Some(format!("statement {}: no value of the columns is masked", place + 1));
        }
    }
    None
}

struct Sides {
    arena: Arena,
    token: String,
    /// The cases that a server of another version than the corpus does not know.
    left_out: RefCell<BTreeSet<String>>,
}

impl Sides {
    fn direct(&self) -> RawClient {
        let server = SocketAddr::from(([127, 0, 0, 1], self.arena.server.port()));
        RawClient::log_in(server, "owner", "shop", APP_PASSWORD).unwrap()
    }

    fn through(&self) -> RawClient {
        RawClient::log_in(self.arena.postgres, "claude", "shop", &self.token).unwrap()
    }
}

impl Sides {
    /// The server itself does not do what the case says: on the version that the corpus is of that
    /// is a fault of the case, on others tools would send something else.
    fn refused(&self, way: Way, case: &Case, error: &str, table: &mut Vec<String>) {
        if self.arena.server.version() == CORPUS {
            table.push(format!("{way:?} {case}\n     the server itself: {error}"));
        } else {
            println!("left out: {way:?} {case}: {error:.300}");
            self.left_out.borrow_mut().insert(case.to_string());
        }
    }
}

/// The corpus, or the cases whose name contains what `BENIGN` says.
fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/benign");
    let mut cases = corpus::read(&directory).unwrap();
    for case in &cases {
        case.allows(DIRECTIVES).unwrap();
    }
    if let Ok(wanted) = std::env::var("BENIGN") {
        cases.retain(|case| case.to_string().contains(&wanted));
    } else {
        assert!(cases.len() >= 250, "only {} cases", cases.len());
    }
    cases
}

/// Runs every case one way, and adds what is wrong to the table.
fn compare(sides: &Sides, way: Way, cases: &[Case], table: &mut Vec<String>) {
    let mut shared = (sides.direct(), sides.through());
    for case in cases {
        if sides.left_out.borrow().contains(&case.to_string()) {
            continue;
        }
        if way == Way::Alone {
            shared = (sides.direct(), sides.through());
        }
        let direct = match run(&mut shared.0, way, case) {
            Ok(direct) => direct,
            Err(error) => {
                shared = (sides.direct(), sides.through());
                sides.refused(way, case, &format!("{error:#}"), table);
                continue;
            }
        };
        if way == Way::Alone {
            let errors = direct.iter().map(|messages| heard(case, messages));
            if let Some(error) =
                errors.filter(|h| h.errors > 0).flat_map(|h| h.lines).find(|l| l.starts_with("E "))
            {
                sides.refused(way, case, &error, table);
                continue;
            }
        }
        // Several statements in one text are not for the extended protocol, and some types not for
        // binary: what the server itself refuses that way is no case.
        let extended = matches!(way, Way::Extended { .. });
        if extended && direct.iter().any(|messages| heard(case, messages).errors > 0) {
            shared = (sides.direct(), sides.through());
            continue;
        }
        let problem = match run(&mut shared.1, way, case) {
            Ok(through) => wrong(case, &direct, &through),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(problem) = problem {
            // What went wrong here is not to be seen in the cases that follow.
            shared = (sides.direct(), sides.through());
            table.push(format!("{way:?} {case}: {problem}"));
        }
    }
}

#[test]
fn what_tools_send_is_answered_as_the_server_answers_it() {
    let mut cases = cases();
    let mut setup = Setup::agent_safe();
    // Nobody reviews: what is held by mistake ends with an error.
    setup.policy.push_str("[review]\nexpires = \"1s\"\n");
    let arena = Arena::start(&setup).unwrap();
    let version = arena.server.version();
    cases.retain(|case| case.is_about(version).unwrap());
    for case in &cases {
        for sql in case.values("setup") {
            arena.server.sql("shop", sql).unwrap_or_else(|e| panic!("{case}: {e}"));
        }
    }
    let token = arena.token("claude").unwrap();
    let sides = Sides { arena, token, left_out: RefCell::default() };
    let mut table = Vec::new();
    for way in WAYS {
        compare(&sides, way, &cases, &mut table);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().for_each(|case| *counts.entry(&case.file).or_default() += 1);
    let left_out = sides.left_out.borrow().len();
    println!("{counts:?}, {} cases, {left_out} of them left out", cases.len());
    assert!(left_out <= cases.len() / 10, "too much is not tried: {left_out}");
    assert!(
        table.is_empty(),
        "{} of {} failed:\n{}",
        table.len(),
        cases.len() * WAYS.len(),
        table.join("\n")
    );
}
