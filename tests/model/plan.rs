//! Sessions made from a seed: what is asked, in which protocol, in which pieces it is sent, and what
//! people decide. Every request says what the default pack must make of it.

use portcullis_testkit::raw::message;
use std::fmt;

/// Numbers from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % limit as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What the policy must do with a statement that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Free,
    /// A person must decide; inside a transaction it is refused.
    Held,
    Refused,
}

/// What PostgreSQL makes of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Runs,
    Fails,
    /// Succeeds inside a transaction alone.
    RunsInside,
    Begin,
    Commit,
    Rollback,
    Savepoint(u8),
    RollbackTo(u8),
    Release(u8),
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) fate: Fate,
    pub(crate) does: Does,
}

/// How a held request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Reject,
    Cancel,
    /// The client hangs up.
    Leave,
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// One `Query`.
    Simple(Vec<Statement>),
    /// `Parse`, `Bind`, `Describe`, `Execute` for each and a `Sync`; with a `Flush` and a wait for
    /// the answer in front of it where that is said. Each binds its marker as a parameter.
    Extended { statements: Vec<Statement>, flush: bool, binary: bool },
    /// A statement of this name is prepared; nothing runs.
    Prepare(u8, Statement),
    /// A statement prepared under this name is run; nothing happens where there is none.
    Run(u8),
    /// This `COPY … FROM STDIN` with rows of these texts, and whether it ends in `CopyDone`.
    CopyIn { sql: String, rows: Vec<String>, done: bool, extended: bool },
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) request: Request,
    /// What becomes of it if it is held.
    pub(crate) decision: Decision,
    /// Bytes are sent in pieces of this size; 0 for all at once.
    pub(crate) piece: usize,
    /// Where the client hangs up, in thousandths of the request's bytes.
    pub(crate) cut: Option<usize>,
    /// A request to cancel is sent along.
    pub(crate) cancel: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    pub(crate) fn cut(mut self, steps: usize) -> Self {
        self.steps.truncate(steps);
        self
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(n, step)| writeln!(f, "{:2} {step:?}", n + 1))
    }
}

/// Statements that read, with `{m}` for a number of their own.
const READS: &[&str] = &[
    "SELECT id, status, {m} FROM orders WHERE id < 5",
    "SELECT id, email, card_number, {m} FROM customers WHERE id < 9",
    "SELECT *, {m} FROM customers LIMIT 3",
    "SELECT p.*, {m} FROM payments p WHERE id < 4",
    "SELECT p.*, {m} FROM people p WHERE id < 4",
    "SELECT upper(email), reverse(card_number), {m} FROM customers LIMIT 3",
    "SELECT count(*), max(email), {m} FROM customers",
    "SELECT c.email, o.total, {m} FROM orders o JOIN customers c ON c.id = o.customer_id LIMIT 4",
    "SELECT json_agg(c), array_agg(c.email), {m} FROM customers c",
    "SELECT c, ROW(c.card_number), {m} FROM customers c LIMIT 2",
    "SELECT email, {m} FROM customer_contacts LIMIT 4",
    "WITH x AS (SELECT email AS e FROM customers) SELECT x.e, {m} FROM x LIMIT 2",
    "SELECT (SELECT email FROM customers c WHERE c.id = o.id), {m} FROM orders o LIMIT 2",
    "SELECT email, {m} FROM customers WHERE id < 3 UNION ALL SELECT iban, 0 FROM payments WHERE id < 3",
    "SELECT p.pass, p.tag || 'x', p.born, {m} FROM people p LIMIT 3",
    "COPY (SELECT email, iban, {m} FROM customers c JOIN payments p ON p.id = c.id WHERE c.id < 9) TO STDOUT",
    "COPY (SELECT *, {m} FROM customers WHERE id < 9) TO STDOUT (FORMAT csv, HEADER)",
    "EXPLAIN SELECT {m} FROM customers",
    "VALUES ({m}, 'x')",
    "SELECT {m}",
];

/// Permitted, and an error of the server's.
const FAILING: &[&str] =
    &["SELECT 1 / 0, {m}", "SELECT 'x'::int, {m}", "SELECT no_such_column, {m} FROM orders"];

const REFUSED: &[&str] = &[
    "SELECT encode(pass, 'hex'), {m} FROM people LIMIT 3",
    "SELECT pass::text::int, {m} FROM people",
    "SELECT ('x' || card_number)::date, {m} FROM customers",
    "SELECT email::int, {m} FROM customers",
    "DROP TABLE t{m}",
    "DROP TABLE orders, t{m} CASCADE",
    "CREATE TABLE t{m} (a int)",
    "TRUNCATE orders, t{m}",
    "UPDATE payments SET amount = {m}",
    "DELETE FROM orders WHERE true OR {m} = 1 OR pg_read_file('x') = ''",
    "SELECT pg_read_file('/etc/passwd'), {m}",
    "SELECT pg_sleep({m})",
    "DO $$ BEGIN PERFORM {m}; END $$",
    "SELECT id, {m} FROM customers WHERE email LIKE 'u1%'",
    "SELECT {m} FROM customers ORDER BY card_number",
    "GRANT SELECT ON orders TO r{m}",
    "CREATE TABLE t{m} AS SELECT email FROM customers",
    "INSERT INTO notes SELECT {m}, email FROM customers",
    "SET ROLE r{m}",
    "SELECT set_config('app.x', email, false), {m} FROM customers LIMIT 1",
    "COPY notes FROM '/tmp/{m}'",
    "COPY orders TO '/tmp/{m}'",
    "NOTIFY n{m}",
    "SELECT lo_import('/tmp/{m}')",
    "WITH gone AS (TRUNCATE orders) SELECT {m}",
    "EXPLAIN ANALYZE DELETE FROM payments WHERE amount > pg_sleep({m})::text::int",
];

const HELD: &[&str] = &[
    "UPDATE orders SET note = 'm{m}' WHERE id = 17",
    "DELETE FROM payments WHERE id = {m}",
    "INSERT INTO notes VALUES ({m}, 'one'), ({m}, 'two') RETURNING id",
    "WITH gone AS (DELETE FROM notes WHERE id = {m} RETURNING id) SELECT count(*) FROM gone",
    "EXPLAIN ANALYZE INSERT INTO notes VALUES ({m}, 'explained')",
    "UPDATE notes SET body = body WHERE id = {m}",
];

const TRANSACTION: &[(&str, Does)] = &[
    ("BEGIN", Does::Begin),
    ("BEGIN", Does::Begin),
    ("START TRANSACTION", Does::Begin),
    ("COMMIT", Does::Commit),
    ("END", Does::Commit),
    ("ROLLBACK", Does::Rollback),
    ("SAVEPOINT s1", Does::Savepoint(1)),
    ("SAVEPOINT s2", Does::Savepoint(2)),
    ("ROLLBACK TO s1", Does::RollbackTo(1)),
    ("ROLLBACK TO SAVEPOINT s2", Does::RollbackTo(2)),
    ("RELEASE s1", Does::Release(1)),
];

/// The first two digits of every marker.
pub(crate) const MARK: &str = "77";
/// The digits of a marker.
pub(crate) const DIGITS: usize = 8;

struct Planner {
    random: Random,
    seed: u64,
    markers: u64,
}

impl Planner {
    /// A number that stands in no other statement of the run.
    fn marker(&mut self) -> u64 {
        self.markers += 1;
        77_000_000 + (self.seed % 10_000) * 100 + self.markers % 100
    }

    fn from(&mut self, texts: &[&str], fate: Fate, does: Does) -> Statement {
        let marker = self.marker().to_string();
        Statement { sql: self.random.pick(texts).replace("{m}", &marker), fate, does }
    }

    fn statement(&mut self) -> Statement {
        match self.random.below(20) {
            0..=8 => self.from(READS, Fate::Free, Does::Runs),
            9..=10 => self.from(FAILING, Fate::Free, Does::Fails),
            11..=13 => self.from(REFUSED, Fate::Refused, Does::Fails),
            14..=15 => self.from(HELD, Fate::Held, Does::Runs),
            16 => {
                let texts = &["DECLARE c{m} CURSOR FOR SELECT email, card_number FROM customers"];
                self.from(texts, Fate::Free, Does::RunsInside)
            }
            _ => self.steering(),
        }
    }

    fn steering(&mut self) -> Statement {
        let (sql, does) = *self.random.pick(TRANSACTION);
        Statement { sql: sql.to_owned(), fate: Fate::Free, does }
    }

    /// Several statements at once steer no transaction, which has rules of its own there.
    fn several(&mut self, most: usize) -> Vec<Statement> {
        let count = 2 + self.random.below(most - 1);
        let mut all = Vec::new();
        while all.len() < count {
            let one = self.statement();
            if matches!(one.does, Does::Runs | Does::Fails) {
                all.push(one);
            }
        }
        all
    }

    fn request(&mut self) -> Request {
        match self.random.below(24) {
            0..=8 => Request::Simple(vec![self.statement()]),
            9..=11 => Request::Simple(self.several(4)),
            12..=16 => self.extended(),
            17..=18 => {
                let statement = loop {
                    let one = self.statement();
                    if one.does == Does::Runs && !one.sql.starts_with("COPY") {
                        break one;
                    }
                };
                Request::Prepare(self.random.below(3) as u8, statement)
            }
            19..=20 => Request::Run(self.random.below(3) as u8),
            21 => {
                let marker = self.marker();
                let rows =
                    (0..self.random.below(30)).map(|n| format!("{marker}\trow {n}")).collect();
                let done = !self.random.one_in(4);
                // The same request of two sessions would be one review.
                let sql = format!("COPY notes FROM STDIN -- {marker}");
                Request::CopyIn { sql, rows, done, extended: self.random.one_in(2) }
            }
            _ => Request::Simple(vec![self.steering()]),
        }
    }

    fn extended(&mut self) -> Request {
        let mut statements = match self.random.below(3) {
            0 => self.several(5),
            _ => vec![self.statement()],
        };
        // A copy in a pipeline has an answer of its own kind; alone it is covered.
        if statements.len() > 1 {
            statements.retain(|s| !s.sql.starts_with("COPY"));
        }
        if statements.is_empty() {
            statements.push(self.from(&READS[..15], Fate::Free, Does::Runs));
        }
        let flush = self.random.one_in(5) && statements.len() == 1;
        Request::Extended { statements, flush, binary: self.random.one_in(3) }
    }

    fn step(&mut self) -> Step {
        let decision = match self.random.below(8) {
            0..=3 => Decision::Approve,
            4..=5 => Decision::Reject,
            6 => Decision::Cancel,
            _ => Decision::Leave,
        };
        let piece = *self.random.pick(&[0, 0, 0, 1, 2, 5, 7, 64]);
        let cut = self.random.one_in(40).then(|| self.random.below(1000));
        let cancel = self.random.one_in(25);
        Step { request: self.request(), decision, piece, cut, cancel }
    }
}

/// The session of this seed.
pub(crate) fn plan(seed: u64) -> Plan {
    let mut planner = Planner { random: Random::new(seed), seed, markers: 0 };
    let count = 3 + planner.random.below(14);
    Plan { seed, steps: (0..count).map(|_| planner.step()).collect() }
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn bind(statement: &str, binary: bool) -> Vec<u8> {
    let tail = [0, 0, 0, 0, 0, 1, 0, u8::from(binary)];
    message(b'B', &[&text("")[..], &text(statement), &tail].concat())
}

/// The name of a prepared statement.
pub(crate) fn name(number: u8) -> String {
    format!("p{number}")
}

impl Request {
    /// The statements that run, as far as the request has them itself.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        match self {
            Self::Simple(all) | Self::Extended { statements: all, .. } => all.clone(),
            Self::Prepare(..) | Self::Run(_) => Vec::new(),
            Self::CopyIn { sql, done, .. } => vec![Statement {
                sql: sql.clone(),
                fate: Fate::Held,
                does: if *done { Does::Runs } else { Does::Fails },
            }],
        }
    }

    /// Its messages, up to where something is waited for. What follows is sent then.
    pub(crate) fn messages(&self) -> [Vec<u8>; 2] {
        let execute = || message(b'E', &[&text("")[..], &[0; 4]].concat());
        let parse =
            |name: &str, sql: &str| message(b'P', &[&text(name)[..], &text(sql), &[0, 0]].concat());
        let sync = message(b'S', b"");
        match self {
            Self::Simple(all) => {
                let texts: Vec<&str> = all.iter().map(|s| s.sql.as_str()).collect();
                [message(b'Q', &text(&texts.join("; "))), Vec::new()]
            }
            Self::Extended { statements, flush, binary } => {
                let mut bytes = Vec::new();
                for one in statements {
                    // A copy has no formats.
                    let binary = *binary && !one.sql.starts_with("COPY");
                    bytes.extend(parse("", &one.sql));
                    bytes.extend(bind("", binary));
                    bytes.extend(message(b'D', b"P\0"));
                    bytes.extend(execute());
                }
                match flush {
                    true => [[bytes, message(b'H', b"")].concat(), sync],
                    false => [[bytes, sync].concat(), Vec::new()],
                }
            }
            Self::Prepare(number, statement) => {
                let name = name(*number);
                let close = message(b'C', &[b"S", &text(&name)[..]].concat());
                let describe = message(b'D', &[b"S", &text(&name)[..]].concat());
                let parse = parse(&name, &statement.sql);
                [[close, parse, describe, sync].concat(), Vec::new()]
            }
            Self::Run(number) => {
                [[bind(&name(*number), false), execute(), sync].concat(), Vec::new()]
            }
            Self::CopyIn { sql, rows, done, extended } => {
                let ask = match extended {
                    true => [parse("", sql), bind("", false), execute(), sync].concat(),
                    false => message(b'Q', &text(sql)),
                };
                let row = |row: &String| message(b'd', format!("{row}\n").as_bytes());
                let mut data: Vec<u8> = rows.iter().flat_map(row).collect();
                data.extend(match done {
                    true => message(b'c', b""),
                    false => message(b'f', &text("changed my mind")),
                });
                // A server that copies ignores the `Sync` from before.
                if *extended {
                    data.extend(message(b'S', b""));
                }
                [ask, data]
            }
        }
    }
}
