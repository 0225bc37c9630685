//! Every route as every role, on a real gateway: what is answered is in
//! `docs/reference/api-authorization.md`, which `PORTCULLIS_BLESS=1` writes anew. What must never be in it
//! is asserted here, whatever that file says.
//!
//! Each row is about one thing: the request that somebody is refused is the very one that somebody with
//! more rights makes next, about the same thing, and is let. So no refusal can come from a request that is
//! wrong, and none that has done something all the same goes unseen.

use crate::routes::{ROUTES, Route, Who};
use crate::schema::Document;
use crate::stage::{Caller, Kind, Stage, Way, body, kind, start};
use portcullis_testkit::web::http;
use std::fmt::Write as _;
use std::path::Path;

/// What one caller is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    status: u16,
    /// Whether what the row is about is in the answer, where it is about something.
    has: Option<bool>,
}

impl Cell {
    const fn is_done(self) -> bool {
        self.status < 400 && !matches!(self.has, Some(false))
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.has {
            Some(true) if self.status < 300 => " ✓",
            Some(false) if self.status < 300 => " –",
            _ => "",
        };
        write!(f, "{}{mark}", self.status)
    }
}

/// A route, and what is asked with it beyond its path.
struct Asked {
    route: &'static Route,
    query: &'static str,
}

fn rows() -> Vec<Asked> {
    let everybodys = |row: &Asked| {
        let lists = ["/api/v1/browser-sessions", "/api/v1/passkeys"];
        row.route.method == "GET" && lists.contains(&row.route.path)
    };
    let mut rows: Vec<Asked> = ROUTES.iter().map(|route| Asked { route, query: "" }).collect();
    for at in (0..rows.len()).rev().filter(|at| everybodys(&rows[*at])).collect::<Vec<_>>() {
        let route = rows[at].route;
        rows.insert(at + 1, Asked { route, query: "?all=true" });
    }
    rows
}

/// Asks one route as everybody. Every answer is as the document has it.
fn row(stage: &mut Stage, document: &Document, callers: &[Caller], asked: &Asked) -> Vec<Cell> {
    let Asked { route, query } = asked;
    let about = kind(route);
    let changes = route.method != "GET";
    let mut thing = stage.make(about);
    let mut cells = Vec::new();
    for caller in callers {
        let path = format!("{}{query}", route.path.replace("{id}", &thing));
        let before = changes.then(|| stage.state(about, &thing));
        // Whoever signs out is not signed in for the next row.
        let answer = match (&caller.way, route.path) {
            (Way::Cookie(_, headers), "/auth/logout") => {
                let (role, headers) = (caller.role, headers.clone());
                let way = Way::Cookie(stage.signed_in("ola"), headers);
                stage.ask(&Caller { role, way }, route.method, &path, body(route))
            }
            _ => stage.ask(caller, route.method, &path, body(route)),
        };
        let what = format!(
            "{} {path} as {}: {} {}",
            route.method, caller.role, answer.status, answer.body
        );
        assert!(answer.status < 500, "{what}");
        document.check(route, &answer);
        // What is at a path of its own need not say again which it is.
        let named = route.path.contains("{id}");
        let has = (about != Kind::Nothing).then(|| named || answer.body.contains(&thing));
        let cell = Cell { status: answer.status, has };
        if let Some(before) = before {
            if cell.is_done() {
                stage.settle(about, &thing);
                thing = stage.make(about);
            } else {
                assert_eq!(stage.state(about, &thing), before, "refused and done: {what}");
            }
        }
        cells.push(cell);
    }
    cells
}

/// What must hold, whatever the committed grid says.
fn check(asked: &Asked, callers: &[Caller], cells: &[Cell]) {
    let Route { method, path, who } = *asked.route;
    let said: Vec<String> =
        callers.iter().zip(cells).map(|(c, cell)| format!("{}: {cell}", c.role)).collect();
    let row = format!("{method} {path} ({who:?}): {}", said.join(", "));
    if who == Who::Anyone {
        return;
    }
    for (Caller { role, .. }, cell) in callers.iter().zip(cells) {
        let done = cell.is_done();
        let unverified =
            matches!(*role, "nobody" | "forged token" | "credential" | "unknown cookie");
        assert!(!unverified || cell.status == 401, "{role}: {row}");
        let machine = matches!(*role, "workload" | "agent for nobody" | "other agent" | "agent");
        assert!(!(machine && done && who != Who::Verified), "{role}: {row}");
        let stranger = machine && *role != "agent" || *role == "other person";
        let about = kind(asked.route);
        let theirs = !matches!(about, Kind::Nothing | Kind::Freeze);
        assert!(!(stranger && done && theirs), "{role}: {row}");
        let other = matches!(*role, "all rights, no header" | "all rights, other origin");
        assert!(!other || method == "GET" || cell.status == 403, "{role}: {row}");
        let administers = role.starts_with("administrator") || other && method == "GET";
        assert!(!(who == Who::Administrator && done && !administers), "{role}: {row}");
    }
    // Somebody is let do just this: so none of the refusals is for another reason.
    assert!(cells.iter().any(|cell| cell.is_done()), "nobody is let: {row}");
}

fn rendered(callers: &[Caller], rows: &[(Asked, Vec<Cell>)]) -> String {
    let mut text = HEAD.to_owned();
    for (title, by_cookie) in [("By token", false), ("By the cookie of a browser session", true)] {
        let chosen: Vec<usize> = (0..callers.len())
            .filter(|&at| matches!(callers[at].way, Way::Cookie(..)) == by_cookie)
            .collect();
        let roles: Vec<&str> =
            chosen.iter().map(|&at| callers[at].role.trim_end_matches(" by cookie")).collect();
        write!(text, "\n## {title}\n\n| route | for | {} |\n", roles.join(" | ")).unwrap();
        writeln!(text, "| --- | --- |{}", " --- |".repeat(roles.len())).unwrap();
        for (Asked { route, query }, cells) in rows {
            let Route { method, path, who } = route;
            let cells: Vec<String> = chosen.iter().map(|&at| cells[at].to_string()).collect();
            let who = format!("{who:?}").to_lowercase();
            writeln!(text, "| `{method} {path}{query}` | {who} | {} |", cells.join(" | ")).unwrap();
        }
    }
    text
}

const HEAD: &str = "\
<!-- Written by tests/e2e/tests/api/grid.rs with PORTCULLIS_BLESS=1. Do not edit. -->

# Who may call what

What a gateway answers to every route of its API, for every kind of caller, as a test has found it; the test fails where
an answer is another. Each row is about one thing: a review of an agent's request, a pattern given in one, a session or a
credential of that agent's, a freeze of a connection. ✓ is an answer with that thing in it, or what was done to it; – is an answer without it. A
refusal is always the same request, about the same thing, as the ✓ behind it.

*for* is what the gateway's own table of routes says: *anyone*; *verified* callers, agents too; *person*: neither agent nor
workload, and acting for nobody; *reviewer*: a person of a group that is asked, or whose agent it is where it only takes leave
away; *administrator*: a person of `[administration] groups`.

| caller | is |
| --- | --- |
| forged token | an administrator's, with the signature of another token |
| credential | one that the gateway itself has issued, for a connection |
| workload, agent for nobody | in every group there is: that of reviewers and that of administrators too |
| other agent | in every group; acts for the reviewer |
| agent | in every group; what the rows are about is its own |
| other person | who has to do with none of it |
| person | for whom the agent acts |
| reviewer | of the group that is asked |
| administrator | of no other group |
| all rights, no header | a reviewer and administrator's cookie, without `X-Portcullis: 1` |
| all rights, other origin | the same from a page of another site |
| owner | of the browser session or passkey that rows are about, and of nothing else |
";

#[test]
fn every_route_answers_every_role_as_the_grid_says() {
    let Some(mut stage) = start() else { return };
    let callers = stage.callers();
    let document = Document(stage.asks("ana", "GET /api/v1/openapi.json", ""));
    let mut rows_of: Vec<(Asked, Vec<Cell>)> = Vec::new();
    for asked in rows() {
        let cells = row(&mut stage, &document, &callers, &asked);
        check(&asked, &callers, &cells);
        rows_of.push((asked, cells));
    }
    let text = rendered(&callers, &rows_of);
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api-authorization.md");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    for (at, (is, was)) in text.lines().zip(committed.lines()).enumerate() {
        assert_eq!(
            is,
            was,
            "docs/reference/api-authorization.md, line {}; PORTCULLIS_BLESS=1 writes it anew",
            at + 1
        );
    }
    assert!(
        text == committed,
        "docs/reference/api-authorization.md has other rows; PORTCULLIS_BLESS=1 writes it anew"
    );
}

/// Methods that the table does not have are refused for everybody, and so are routes.
#[test]
fn what_is_not_in_the_table_is_not_served() {
    let Some(stage) = start() else { return };
    let token = stage.bearer("ada");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    for path in ROUTES.iter().map(|route| route.path) {
        for method in
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
        {
            let known = if method == "HEAD" { "GET" } else { method };
            if ROUTES.iter().any(|route| route.path == path && route.method == known) {
                continue;
            }
            let request = format!("{method} {}", path.replace("{id}", "x"));
            let answer = http(stage.arena.http, &request, &headers, "{}").unwrap();
            assert_eq!(answer.status, 405, "{request}: {}", answer.body);
            assert!(answer.headers("allow").next().is_some(), "{request}");
        }
    }
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/reviews/",
        "/api/v1//reviews",
        "/api/v1/reviews/x/y",
        "/auth",
        "/auth/x",
        "/api/v2/me",
        "/API/v1/me",
    ] {
        let answer = http(stage.arena.http, &format!("GET {path}"), &headers, "").unwrap();
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
}
