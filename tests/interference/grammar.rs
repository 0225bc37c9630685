//! Random programs: what a caller may ask of the tables in `definitions.sql`.
//!
//! Names are known roughly, so that most statements are valid; where a name comes up again, or means
//! something else than meant here, all the better. Nothing here knows what the gateway makes of them.

use crate::choices::Choices;
use crate::templates::{Template, templates};

/// What a program consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A single query.
    Query,
    /// A query that is asked in another way: behind a cursor, a view or a function, copied out, explained.
    Ways,
    /// Tables that are made, filled and changed, and a query that reads them.
    Tables,
}

/// How a statement is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By itself, as text.
    Simple,
    /// Unnamed statement and portal, results in binary or as text.
    Extended { binary: bool },
    /// Named statement and portal, described both, and a few rows at a time.
    Portions { binary: bool },
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    /// Values of its parameters.
    pub(crate) bound: Vec<&'static str>,
    pub(crate) how: How,
}

/// Statements, one after the other.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) statements: Vec<Statement>,
    /// All of them in one transaction, which is undone.
    pub(crate) transaction: bool,
}

/// Numbers parameters anew, without those that are not in the text after all.
pub(crate) fn numbered(mut text: String, bound: &[&'static str]) -> (String, Vec<&'static str>) {
    let mut used = Vec::new();
    for (n, value) in bound.iter().enumerate() {
        let (old, new) = (format!("${}::", n + 1), format!("${}::", used.len() + 1));
        if text.contains(&old) {
            text = text.replace(&old, &new);
            used.push(*value);
        }
    }
    (text, used)
}

impl Program {
    /// All statements, with this between them.
    pub(crate) fn shown(&self, between: &str) -> String {
        let shown = self.statements.iter().map(|s| match s.bound.is_empty() {
            true => s.text.clone(),
            false => format!("{} -- {:?}", s.text, s.bound),
        });
        shown.collect::<Vec<_>>().join(between)
    }
}

/// A program for a server of that major version.
pub(crate) fn program(kind: Kind, choices: &mut Choices, version: u32) -> Program {
    let how = match choices.below(20) {
        0..13 => How::Simple,
        13..15 => How::Extended { binary: true },
        15 => How::Extended { binary: false },
        16..18 => How::Portions { binary: false },
        _ => How::Portions { binary: true },
    };
    let mut maker = Maker::new(choices, version);
    let (mut statements, transaction) = match kind {
        Kind::Query => {
            let depth = *maker.choices.one(&[1, 1, 2, 2, 3]);
            maker.binds = how != How::Simple;
            (vec![maker.query(&[], depth).0], false)
        }
        Kind::Ways => maker.ways(how != How::Simple),
        Kind::Tables => (maker.tables(), true),
    };
    let last = statements.pop().unwrap_or_default();
    // Only what gives rows can be taken in portions.
    let whole = match how {
        How::Portions { binary } => How::Extended { binary },
        other => other,
    };
    let unbound = |text| Statement { text, bound: Vec::new(), how: whole };
    let mut statements: Vec<Statement> = statements.into_iter().map(unbound).collect();
    let how = if last.starts_with("COPY") { whole } else { how };
    let (text, bound) = numbered(last, &maker.bound);
    statements.push(Statement { text, bound, how });
    Program { statements, transaction }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Number,
    Text,
    Truth,
    Date,
    Json,
    Texts,
    Ints,
    Address,
    Row,
    /// Any other: nothing is made of it.
    Other,
}

use Type::{Address, Date, Int, Ints, Json, Number, Other, Row, Text, Texts, Truth};

const TYPES: [Type; 10] = [Text, Int, Json, Number, Date, Texts, Row, Ints, Truth, Address];

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) of: Type,
    /// Made of something masked, as far as is known here. Only used to have fewer refusals.
    pub(crate) secret: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// What it is called where it is used; empty for columns that are merged by a join.
    pub(crate) name: String,
    pub(crate) schema: Option<&'static str>,
    pub(crate) columns: Vec<Column>,
}

const PEOPLE: &str = "id int, name text, email text!, born date!, pay number!, tags texts!, doc json!, home address!, kin ints!";

pub(crate) fn base() -> Vec<Table> {
    let of = |schema, name: &str, columns: &str| Table {
        schema: Some(schema),
        name: name.to_owned(),
        columns: columns.split(", ").map(column).collect(),
    };
    vec![
        of("public", "people", PEOPLE),
        of("public", "bills", "id int, person int, email text, total int, note text!"),
        of("public", "a", "id int, b text, email text"),
        of("other", "a", "id int, b text!, email text"),
        of("public", "staff", &format!("{PEOPLE}, boss int")),
        of("public", "contacts", "id int, name text, contact text!, pay number!"),
        of("public", "wide", &format!("{PEOPLE}, total int")),
        of("public", "columns", "id int, name text!, email text"),
        of("public", "parts", "id int, region int, label text"),
        of("public", "notes", "id int, text text!"),
        of("public", "memos", "id int, text text!, by int"),
    ]
}

fn column(text: &str) -> Column {
    let (name, of) = text.split_once(' ').unwrap();
    let secret = of.ends_with('!');
    Column { name: name.to_owned(), of: type_named(of.trim_end_matches('!')), secret }
}

fn type_named(word: &str) -> Type {
    match word {
        "int" => Int,
        "text" => Text,
        "date" => Date,
        "number" => Number,
        "texts" => Texts,
        "json" => Json,
        "address" => Address,
        "ints" => Ints,
        "truth" => Truth,
        "row" => Row,
        _ => Other,
    }
}

/// Names that are given, most of which mean something else somewhere.
const ALIASES: [&str; 8] = ["p", "q", "a", "people", "email", "id", "bills", "name"];
const COLUMN_NAMES: [&str; 9] = ["x", "id", "email", "name", "b", "note", "people", "a", "column1"];
/// Names that the server gives to expressions, as names of tables.
const EXPRESSIONS: [&str; 6] =
    ["\"case\"", "\"coalesce\"", "\"row\"", "\"array\"", "lower", "jsonb_build_object"];

pub(crate) struct Maker<'c> {
    pub(crate) choices: &'c mut Choices,
    /// The server's major version.
    pub(crate) version: u32,
    /// Tables that names may be of, the innermost last.
    pub(crate) scopes: Vec<Vec<Table>>,
    /// Those of WITH, and those the program made.
    pub(crate) named: Vec<Table>,
    /// Names of those that cannot be written to.
    pub(crate) views: Vec<String>,
    /// Only columns that are not secret, as far as that is known.
    pub(crate) plain: bool,
    /// A column that may be secret was used.
    used: bool,
    /// Aggregates and window functions may stand here.
    aggregates: bool,
    /// Literals may be parameters.
    pub(crate) binds: bool,
    /// Values of parameters.
    pub(crate) bound: Vec<&'static str>,
    /// Names of the items of the current FROM.
    taken: Vec<String>,
    made: usize,
}

impl<'c> Maker<'c> {
    fn new(choices: &'c mut Choices, version: u32) -> Self {
        let (scopes, named, views, bound, taken) = Default::default();
        Self {
            choices,
            version,
            scopes,
            named,
            views,
            plain: false,
            used: false,
            aggregates: true,
            binds: false,
            bound,
            taken,
            made: 0,
        }
    }

    /// A name that nothing else in the same FROM has, most of the time.
    fn fresh(&mut self) -> String {
        self.made += 1;
        let name = match self.choices.below(10) {
            0..5 => format!("t{}", self.made),
            9 if self.choices.chance(30) => (*self.choices.one(&EXPRESSIONS)).to_owned(),
            _ => (*self.choices.one(&ALIASES)).to_owned(),
        };
        let name = match self.taken.contains(&name) && !self.choices.chance(2) {
            true => format!("t{}", self.made),
            false => name,
        };
        self.taken.push(name.clone());
        name
    }

    /// No item of FROM gets this name, most of the time.
    pub(crate) fn take_name(&mut self, name: &str) {
        self.taken.push(name.to_owned());
    }

    /// Something said within, and whether anything secret was used for it.
    pub(crate) fn noting<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> (R, bool) {
        let before = std::mem::replace(&mut self.used, false);
        let made = make(self);
        let used = self.used;
        self.used |= before;
        (made, used)
    }

    /// What decides on something: made of plain columns, most of the time.
    pub(crate) fn plainly<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let plain = self.plain || self.choices.below(100) < 94;
        self.with_plain(plain, make)
    }

    /// With plain columns alone, or with any.
    pub(crate) fn with_plain<R>(&mut self, plain: bool, make: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.plain, plain);
        let made = make(self);
        self.plain = before;
        made
    }

    // Queries.

    /// A query, with columns of these types if there are any.
    pub(crate) fn query(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let form = if depth == 0 { 0 } else { self.choices.below(24) };
        match form {
            20 => self.values(wanted, depth),
            21 | 22 => self.set_operation(wanted, depth - 1),
            23 => self.with(wanted, depth - 1),
            19 => {
                let (inner, columns) = self.query(wanted, depth - 1);
                (format!("SELECT * FROM ({inner}) AS l LIMIT 3"), columns)
            }
            18 if wanted.is_empty() => {
                let table = self.relation();
                (format!("TABLE {}", qualified(&table)), table.columns)
            }
            _ => self.select(wanted, depth),
        }
    }

    fn values(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let own = [Int, Text, Text];
        let wanted = if wanted.is_empty() { &own[..1 + self.choices.below(3)] } else { wanted };
        let rows = 1 + self.choices.below(2);
        let mut columns = Vec::new();
        let mut rows_made = Vec::new();
        for row in 0..rows {
            let mut items = Vec::new();
            for (n, of) in wanted.iter().enumerate() {
                let (item, secret) = self.noting(|m| m.expression(*of, depth.min(1)));
                items.push(item);
                match row {
                    0 => columns.push(Column { name: format!("column{}", n + 1), of: *of, secret }),
                    _ => columns[n].secret |= secret,
                }
            }
            rows_made.push(format!("({})", items.join(", ")));
        }
        (format!("VALUES {}", rows_made.join(", ")), columns)
    }

    fn set_operation(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let own: Vec<Type> =
            (0..1 + self.choices.below(3)).map(|_| *self.choices.one(&[Int, Text, Text])).collect();
        let wanted = if wanted.is_empty() { &own } else { wanted };
        let (left, mut columns) = self.query(wanted, depth);
        let (right, others) = self.query(wanted, depth);
        for (column, other) in columns.iter_mut().zip(others) {
            column.secret |= other.secret;
        }
        // Rows are compared by all but one of them.
        let operators =
            ["UNION ALL", "UNION", "EXCEPT", "INTERSECT ALL", "INTERSECT", "EXCEPT ALL"];
        let compares = self.choices.chance(if columns.iter().any(|c| c.secret) { 6 } else { 60 });
        let operator = if compares { *self.choices.one(&operators) } else { "UNION ALL" };
        let order = match self.choices.chance(20) {
            true => {
                self.position(&columns).map_or_else(String::new, |at| format!(" ORDER BY {at}"))
            }
            false => String::new(),
        };
        (format!("({left}) {operator} ({right}){order}"), columns)
    }

    fn with(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let before = self.named.len();
        let name = self.fresh();
        let text =
            if self.choices.chance(25) { self.recursive(&name) } else { self.common(&name, depth) };
        let (query, columns) = self.query(wanted, depth);
        self.named.truncate(before);
        (format!("WITH {text} {query}"), columns)
    }

    fn common(&mut self, name: &str, depth: usize) -> String {
        let scopes = std::mem::take(&mut self.scopes);
        let (query, mut columns) = self.query(&[], depth);
        self.scopes = scopes;
        let list = self.rename(&mut columns);
        let how = *self.choices.one(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        self.named.push(Table { name: name.to_owned(), schema: None, columns });
        format!("{name}{list} AS {how}({query})")
    }

    fn recursive(&mut self, name: &str) -> String {
        let scopes = std::mem::take(&mut self.scopes);
        let (start, secret) = self.noting(|m| m.query(&[Int, Text], 1).0);
        let columns: Vec<Column> = [("id", Int), ("name", Text)]
            .map(|(name, of)| Column { name: name.to_owned(), of, secret })
            .into();
        let own = Table { name: name.to_owned(), schema: None, columns };
        self.scopes = vec![vec![own.clone()]];
        let (text, number) = (self.expression(Text, 1), self.plainly(|m| m.expression(Int, 1)));
        self.scopes = scopes;
        self.named.push(own);
        let compares = self.choices.chance(if secret { 6 } else { 50 });
        let operator = if compares { "UNION" } else { "UNION ALL" };
        let behind = *self.choices.one(&[
            "",
            "",
            " SEARCH DEPTH FIRST BY id SET o",
            " CYCLE id SET c USING w",
            " SEARCH BREADTH FIRST BY id SET o CYCLE id SET c TO 'y' DEFAULT 'n' USING w",
            " ORDER BY 1 LIMIT 1",
            " SEARCH DEPTH FIRST BY name SET o",
            " CYCLE name SET c USING w",
        ]);
        // Older servers have no such clauses, and names may be secret.
        let clause = behind.contains("FIRST BY") || behind.contains("CYCLE");
        let skips = self.version < 14 && clause
            || behind.contains(" name ") && secret && !self.choices.chance(6);
        let behind = if skips { "" } else { behind };
        // What orders the whole stands within.
        let orders = behind.starts_with(" ORDER");
        let (inside, behind) = if orders { (behind, "") } else { ("", behind) };
        // It may as well be no recursion at all.
        let source = if orders || self.choices.chance(10) { "people" } else { name };
        let step = *self.choices.one(&["id + 1", "id + 1", "2"]);
        let step = if self.choices.chance(10) { number } else { step.to_owned() };
        format!(
            "RECURSIVE {name}(id, name) AS (({start}) {operator} SELECT {step}, {text} FROM {source} WHERE {source}.id < 3{inside}){behind}"
        )
    }

    /// Names for the columns, fewer or as many.
    fn rename(&mut self, columns: &mut [Column]) -> String {
        if columns.is_empty() || !self.choices.chance(35) {
            return String::new();
        }
        let count = 1 + self.choices.below(columns.len());
        for n in 0..count {
            let name = self.column_name(n);
            let known = columns.iter().enumerate().any(|(at, c)| at != n && c.name == name);
            let known = known && !self.choices.chance(5);
            columns[n].name = if known { format!("c{n}") } else { name };
        }
        let names: Vec<&str> = columns[..count].iter().map(|c| c.name.as_str()).collect();
        format!("({})", names.join(", "))
    }

    fn column_name(&mut self, n: usize) -> String {
        match self.choices.below(3) {
            0 => format!("c{n}"),
            _ => (*self.choices.one(&COLUMN_NAMES)).to_owned(),
        }
    }

    fn select(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let bare = depth == 0 && !self.scopes.is_empty() && self.choices.chance(30);
        let taken = std::mem::take(&mut self.taken);
        let (from, tables) = if bare { (String::new(), Vec::new()) } else { self.from(depth) };
        self.taken = taken;
        self.scopes.push(tables);
        let condition = if self.choices.chance(35) {
            format!(
                " WHERE {}",
                self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, depth.min(1))))
            )
        } else {
            String::new()
        };
        let grouped = self.choices.below(8);
        let (items, columns, group) = match grouped {
            6 if wanted.is_empty() => self.aggregated(depth),
            7 if wanted.is_empty() => self.grouped(depth),
            _ => {
                let (items, columns) = self.items(wanted, depth);
                (items, columns, String::new())
            }
        };
        let window =
            if items.contains("OVER w") || items.contains("OVER (w ") || self.choices.chance(2) {
                let (part, key) = (self.key(), self.key());
                let frame = self.frame();
                format!(" WINDOW w AS (PARTITION BY {part} ORDER BY {key}{frame})")
            } else {
                String::new()
            };
        let plain = columns.iter().all(|c| !c.secret) && group.is_empty();
        let (distinct, leading) = match self.choices.below(20) {
            16..19 if plain || self.choices.chance(6) => ("DISTINCT ".to_owned(), None),
            19 if group.is_empty() => {
                let key = self.key();
                (format!("DISTINCT ON ({key}) "), Some(key))
            }
            _ => (String::new(), None),
        };
        let order = match (self.choices.chance(25), leading) {
            (false, _) => String::new(),
            (true, Some(key)) => format!(" ORDER BY {key}, {}", self.key()),
            (true, None) => self.order(&columns, !distinct.is_empty() || !group.is_empty()),
        };
        let limits = [
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            " LIMIT 2",
            " OFFSET 1",
            " FETCH FIRST 2 ROWS WITH TIES",
        ];
        let limit = *self.choices.one(&limits[..limits.len() - usize::from(order.is_empty())]);
        let limit = match limit.is_empty() && self.choices.chance(2) {
            true => format!(" LIMIT ({})", self.plainly(|m| m.inner(&[Int], 1))),
            false => limit.to_owned(),
        };
        self.scopes.pop();
        (format!("SELECT {distinct}{items}{from}{condition}{group}{window}{order}{limit}"), columns)
    }

    /// The place of a column of the answer: of a plain one, most of the time.
    fn position(&mut self, columns: &[Column]) -> Option<String> {
        let plain: Vec<usize> = (0..columns.len()).filter(|n| !columns[*n].secret).collect();
        if self.choices.chance(6) {
            return Some((1 + self.choices.below(columns.len())).to_string());
        }
        (!plain.is_empty()).then(|| (1 + *self.choices.one(&plain)).to_string())
    }

    fn order(&mut self, columns: &[Column], answer_only: bool) -> String {
        let key = match self.choices.below(if answer_only { 3 } else { 5 }) {
            2 if columns.iter().all(|c| !c.name.is_empty() && !c.secret) && !columns.is_empty() => {
                Some(self.choices.one(columns).name.clone())
            }
            3 => Some(self.plainly(|m| m.expression(Int, 1))).filter(|key| !is_literal(key)),
            4 => Some(self.key()),
            _ => self.position(columns),
        };
        let how = *self.choices.one(&["", " DESC", " NULLS FIRST"]);
        key.map_or_else(String::new, |key| format!(" ORDER BY {key}{how}"))
    }

    /// Something to order, group or partition by: no literal.
    fn key(&mut self) -> String {
        let of = *self.choices.one(&[Int, Int, Text, Text, Number, Date]);
        let key = self.plainly(|m| m.reference(of));
        match is_literal(&key) || key.starts_with('$') {
            true => self.plainly(|m| m.some_column()).unwrap_or_else(|| "1".to_owned()),
            false => key,
        }
    }

    /// Any column that is in sight in the innermost FROM.
    fn some_column(&mut self) -> Option<String> {
        let tables = self.scopes.last().cloned().unwrap_or_default();
        let plain = self.plain;
        let fits = |c: &&Column| {
            !(c.name.is_empty() || plain && c.secret) && matches!(c.of, Int | Text | Number | Date)
        };
        let found: Vec<(&Table, &Column)> = tables
            .iter()
            .filter(|t| !t.name.is_empty())
            .flat_map(|t| t.columns.iter().filter(fits).map(move |c| (t, c)))
            .collect();
        if found.is_empty() {
            return None;
        }
        let (table, column) = *self.choices.one(&found);
        self.used |= column.secret;
        Some(format!("{}.{}", table.name, column.name))
    }

    /// The frame of a window.
    fn frame(&mut self) -> &'static str {
        const FRAMES: [&str; 7] = [
            "",
            "",
            "",
            " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            " ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW",
            " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES",
            " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE GROUP",
        ];
        let frame: &&str = self.choices.one(&FRAMES);
        frame
    }

    pub(crate) fn items(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        if wanted.is_empty() {
            for _ in 0..1 + self.choices.below(3) {
                self.item(depth, &mut items, &mut columns);
            }
        }
        for of in wanted {
            let (item, secret) = self.noting(|m| m.expression(*of, depth.min(2)));
            columns.push(Column { name: String::new(), of: *of, secret });
            items.push(item);
        }
        (items.join(", "), columns)
    }

    fn item(&mut self, depth: usize, items: &mut Vec<String>, columns: &mut Vec<Column>) {
        let here = self.scopes.last().cloned().unwrap_or_default();
        let form = self.choices.below(16);
        match form {
            12 if !here.is_empty() => {
                items.push("*".to_owned());
                columns.extend(here.into_iter().flat_map(|table| table.columns));
            }
            13 if !here.is_empty() => {
                let table = self.choices.one(&here).clone();
                let name =
                    if self.choices.chance(20) { qualified(&table) } else { table.name.clone() };
                items.push(if name.is_empty() { "*".to_owned() } else { format!("{name}.*") });
                columns.extend(table.columns);
            }
            14 | 15 => {
                let section = if form == 14 && self.aggregates { "windows" } else { "sets" };
                let ((item, of), secret) = self.noting(|m| m.typed_template(section, depth.min(2)));
                self.named_item(item, of, secret, items, columns);
            }
            _ => {
                let of = *self.choices.one(&TYPES);
                let (item, secret) = self.noting(|m| m.expression(of, depth.min(2)));
                self.named_item(item, of, secret, items, columns);
            }
        }
    }

    fn named_item(
        &mut self,
        item: String,
        of: Type,
        secret: bool,
        items: &mut Vec<String>,
        columns: &mut Vec<Column>,
    ) {
        // What has no name of its own has none that could be used.
        let last = item.rsplit('.').next().unwrap_or_default();
        let simple =
            if last.chars().all(|c| c.is_ascii_lowercase() || c == '_') { last } else { "" };
        let simple = simple.to_owned();
        match self.choices.chance(50) {
            true => {
                let name = self.column_name(columns.len());
                items.push(format!("{item} AS {name}"));
                columns.push(Column { name, of, secret });
            }
            false => {
                items.push(item);
                columns.push(Column { name: simple, of, secret });
            }
        }
    }

    fn aggregated(&mut self, depth: usize) -> (String, Vec<Column>, String) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.choices.below(2) {
            let ((item, of), secret) =
                self.noting(|m| m.typed_template("aggregates", depth.min(2)));
            self.named_item(item, of, secret, &mut items, &mut columns);
        }
        let having = if self.choices.chance(15) {
            format!(" HAVING {}", self.plainly(|m| m.template("aggregates", 1) + " IS NOT NULL"))
        } else {
            String::new()
        };
        (items.join(", "), columns, having)
    }

    fn grouped(&mut self, depth: usize) -> (String, Vec<Column>, String) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        let mut keys = Vec::new();
        for n in 0..1 + self.choices.below(2) {
            let (key, secret) = self.noting(|m| match m.choices.chance(20) {
                true => m.plainly(|m| m.without_aggregates(|m| m.expression(Text, 1))),
                false => m.key(),
            });
            self.named_item(key.clone(), Text, secret, &mut items, &mut columns);
            keys.push(match self.choices.below(6) {
                4 => (n + 1).to_string(),
                _ if is_literal(&key) || key.starts_with('$') => (n + 1).to_string(),
                5 if !columns[n].name.is_empty() => columns[n].name.clone(),
                _ => key,
            });
        }
        for _ in 0..1 + self.choices.below(2) {
            let ((item, of), secret) =
                self.noting(|m| m.typed_template("aggregates", depth.min(2)));
            self.named_item(item, of, secret, &mut items, &mut columns);
        }
        let keys = keys.join(", ");
        let group = match self.choices.below(8) {
            3 => format!("ROLLUP ({keys})"),
            4 => format!("GROUPING SETS (({keys}), ())"),
            5 => format!("CUBE ({keys})"),
            6 if self.version >= 14 => {
                format!("DISTINCT ROLLUP ({keys}), GROUPING SETS (({keys}), ())")
            }
            7 if !keys.contains(|c: char| c.is_ascii_digit()) => format!("ROW({keys})"),
            _ => keys,
        };
        (items.join(", "), columns, format!(" GROUP BY {group}"))
    }

    // FROM.

    pub(crate) fn from(&mut self, depth: usize) -> (String, Vec<Table>) {
        let count = [1, 1, 1, 1, 2, 2, 3][self.choices.below(7)];
        let (mut texts, mut tables) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (text, own) = self.item_of_from(depth, &tables);
            texts.push(text);
            tables.extend(own);
        }
        (format!(" FROM {}", texts.join(", ")), tables)
    }

    pub(crate) fn item_of_from(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let form = self.choices.below(if depth == 0 { 12 } else { 22 });
        match form {
            16..18 => self.derived(depth - 1, None),
            18..20 => self.derived(depth - 1, Some(before)),
            12..16 => self.join(depth - 1, before),
            20 => self.bracketed(depth - 1, before),
            10 | 11 | 21 => self.function(before),
            _ => self.plain_table(),
        }
    }

    fn plain_table(&mut self) -> (String, Vec<Table>) {
        let table = self.relation();
        let full = self.choices.chance(25) || table.schema == Some("other");
        let written = if full { qualified(&table) } else { table.name.clone() };
        let only = if table.schema.is_some() && self.choices.chance(5) { "ONLY " } else { "" };
        let view = ["contacts", "wide", "columns"].contains(&table.name.as_str());
        let sample = if table.schema.is_some() && !view && self.choices.chance(3) {
            " TABLESAMPLE BERNOULLI (100)"
        } else {
            ""
        };
        let known = self.taken.contains(&table.name) && !self.choices.chance(3);
        if !known && !self.choices.chance(60) {
            self.taken.push(table.name.clone());
            return (format!("{only}{written}{sample}"), vec![table]);
        }
        let name = self.fresh();
        let mut columns = table.columns;
        let list = self.rename(&mut columns);
        (
            format!("{only}{written} AS {name}{list}{sample}"),
            vec![Table { name, schema: None, columns }],
        )
    }

    fn relation(&mut self) -> Table {
        if !self.named.is_empty() && self.choices.chance(60) {
            return self.choices.one(&self.named).clone();
        }
        let all = base();
        match self.choices.below(2) {
            0 => all[0].clone(),
            _ => self.choices.one(&all).clone(),
        }
    }

    /// A query in FROM; with what stands before it in sight where it is lateral.
    fn derived(&mut self, depth: usize, lateral: Option<&[Table]>) -> (String, Vec<Table>) {
        if let Some(before) = lateral {
            self.scopes.push(before.to_vec());
        }
        let (query, mut columns) = self.query(&[], depth);
        if lateral.is_some() {
            self.scopes.pop();
        }
        let name = self.fresh();
        let list = self.rename(&mut columns);
        let how = if lateral.is_some() { "LATERAL " } else { "" };
        (format!("{how}({query}) AS {name}{list}"), vec![Table { name, schema: None, columns }])
    }

    fn function(&mut self, before: &[Table]) -> (String, Vec<Table>) {
        let template = self.chosen("from");
        let (text, columns) = template.text.split_once(" => ").unwrap();
        let columns = if columns == "people" { PEOPLE } else { columns };
        let name = self.fresh();
        self.scopes.push(before.to_vec());
        let (text, secret) = self.noting(|m| {
            m.without_aggregates(|m| m.fill_in(template, &text.replace("{A}", &name), 1))
        });
        self.scopes.pop();
        let columns = columns.replace("{A}", &name);
        let columns = columns.split(", ").map(|c| {
            let own = column(c);
            Column { secret: own.secret || secret, ..own }
        });
        (text, vec![Table { columns: columns.collect(), name, schema: None }])
    }

    fn join(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let (left, mut tables) = self.item_of_from(depth, before);
        let known = [before, &tables].concat();
        let (right, others) = self.item_of_from(depth, &known);
        let shared = shared(&tables, &others);
        tables.extend(others);
        let kind = *self.choices.one(&["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let how = match self.choices.below(8) {
            0 => return (format!("{left} CROSS JOIN {right}"), tables),
            1 if self.version >= 14 && shared.iter().all(|c| !c.secret)
                || self.choices.chance(2) =>
            {
                tables.insert(0, Table { name: String::new(), schema: None, columns: shared });
                return (format!("{left} NATURAL {kind} {right}"), tables);
            }
            2..4 if shared.iter().any(|c| !c.secret)
                || !shared.is_empty() && self.choices.chance(6) =>
            {
                let plain: Vec<Column> = shared.iter().filter(|c| !c.secret).cloned().collect();
                let column =
                    self.choices.one(if plain.is_empty() { &shared } else { &plain }).clone();
                let mut how = format!("USING ({})", column.name);
                let mut name = String::new();
                if self.version >= 14 && self.choices.chance(30) {
                    name = self.fresh();
                    how += &format!(" AS {name}");
                }
                tables.insert(0, Table { name, schema: None, columns: vec![column] });
                how
            }
            _ => {
                self.scopes.push(tables.clone());
                let on = self.plainly(|m| {
                    m.without_aggregates(|m| match m.choices.below(3) {
                        0 => "true".to_owned(),
                        1 => format!("{} = {}", m.reference(Int), m.reference(Int)),
                        _ => m.expression(Truth, 1),
                    })
                });
                self.scopes.pop();
                format!("ON {on}")
            }
        };
        (format!("{left} {kind} {right} {how}"), tables)
    }

    /// A join that has a name as a whole.
    fn bracketed(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
        let (join, tables) = self.join(depth, before);
        if !self.choices.chance(60) {
            return (format!("({join})"), tables);
        }
        let name = self.fresh();
        let mut columns: Vec<Column> = tables.into_iter().flat_map(|table| table.columns).collect();
        let list = self.rename(&mut columns);
        (format!("({join}) AS {name}{list}"), vec![Table { name, schema: None, columns }])
    }

    // Expressions.

    pub(crate) fn without_aggregates<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.aggregates, false);
        let made = make(self);
        self.aggregates = before;
        made
    }

    pub(crate) fn expression(&mut self, of: Type, depth: usize) -> String {
        if depth == 0 || self.choices.below(10) < 4 {
            return self.reference(of);
        }
        let section = match of {
            Text => "text",
            Int => "integer",
            Number => "number",
            Date => "date",
            Json => "json",
            Texts => "texts",
            Ints => "integers",
            Address => "address",
            Truth => "truth",
            Row => "row",
            Other => return self.reference(Text),
        };
        self.template(section, depth)
    }

    /// One of a section's templates.
    fn chosen(&mut self, section: &str) -> Template {
        let all = templates(section, self.version);
        let chosen = *self.choices.one(&all);
        if chosen.rare && !self.choices.chance(8) { all[0] } else { chosen }
    }

    pub(crate) fn template(&mut self, section: &str, depth: usize) -> String {
        self.typed_template(section, depth).0
    }

    /// The same, and the type that is written behind it.
    fn typed_template(&mut self, section: &str, depth: usize) -> (String, Type) {
        let mut template = self.chosen(section);
        // Most places have no room for an aggregate.
        let over = |t: &str| {
            [
                "agg(",
                "AGG(",
                "max(",
                "count(",
                "sum(",
                "avg(",
                "OVER",
                "bool_and(",
                "stddev(",
                "grouping(",
            ]
            .iter()
            .any(|a| t.contains(a))
        };
        let listed = matches!(section, "aggregates" | "windows");
        if !listed && over(template.text) && !(self.aggregates && self.choices.chance(15)) {
            template = templates(section, self.version)[0];
        }
        let (text, of) = template.text.split_once(" => ").unwrap_or((template.text, "text"));
        let aggregates = self.aggregates && !over(text);
        let before = std::mem::replace(&mut self.aggregates, aggregates);
        let made = self.fill_in(template, text, depth.saturating_sub(1));
        self.aggregates = before;
        (made, type_named(of))
    }

    fn fill_in(&mut self, template: Template, text: &str, depth: usize) -> String {
        let plain = self.plain || template.reads && !self.choices.chance(6);
        self.with_plain(plain, |m| m.fill(text, depth))
    }

    /// Puts something in for what stands in braces.
    fn fill(&mut self, template: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let (hole, behind) = match rest[at..].find('}') {
                Some(end) => (&rest[at + 1..at + end], &rest[at + end + 1..]),
                None => ("", &rest[at + 1..]),
            };
            match self.hole(hole, depth) {
                Some(made) => out.push_str(&made),
                None => out.push_str(&rest[at..rest.len() - behind.len()]),
            }
            rest = behind;
        }
        out + rest
    }

    fn hole(&mut self, hole: &str, depth: usize) -> Option<String> {
        //  a path within jsonb, and stays.
        let of = |letter: &str| {
            Some(match letter {
                "t" => Text,
                "i" => Int,
                "n" => Number,
                "d" => Date,
                "j" => Json,
                "a" => Texts,
                "b" => Truth,
                "h" => Address,
                "r" => Row,
                "k" => Ints,
                _ => return None,
            })
        };
        Some(match hole {
            "x" => {
                let of = *self.choices.one(&TYPES);
                self.expression(of, depth)
            }
            "p" => self.plainly(Self::any_column),
            "c" => self.plainly(|m| m.expression(Truth, depth.min(1))),
            "q*" => self.inner(&[], depth),
            _ => match hole.strip_prefix('q') {
                Some(letter) => {
                    let of = of(letter)?;
                    self.inner(&[of], depth)
                }
                None => {
                    let of = of(hole)?;
                    self.expression(of, depth)
                }
            },
        })
    }

    fn inner(&mut self, wanted: &[Type], depth: usize) -> String {
        let before = std::mem::replace(&mut self.aggregates, true);
        let (query, _) = self.query(wanted, depth.min(1));
        self.aggregates = before;
        match wanted.is_empty() || self.choices.chance(5) {
            true => query,
            false => format!("SELECT * FROM ({query}) AS l LIMIT 1"),
        }
    }

    /// Some column.
    fn any_column(&mut self) -> String {
        let of = *self.choices.one(&[Int, Int, Text, Text, Number, Date]);
        self.reference(of)
    }

    /// A column of the type, or a literal.
    pub(crate) fn reference(&mut self, of: Type) -> String {
        let count = self.scopes.len();
        // The innermost most of the time.
        let scope = if count > 1 && self.choices.chance(20) {
            self.choices.below(count)
        } else {
            count.wrapping_sub(1)
        };
        let tables = self.scopes.get(scope).cloned().unwrap_or_default();
        if of == Row {
            let plain = self.plain;
            let fits =
                |t: &&Table| !(t.name.is_empty() || plain && t.columns.iter().any(|c| c.secret));
            let all: Vec<&Table> = tables.iter().filter(fits).collect();
            if all.is_empty() {
                return "ROW(1, 'x')".to_owned();
            }
            let table = *self.choices.one(&all);
            self.used |= table.columns.iter().any(|c| c.secret);
            return if self.choices.chance(8) {
                format!("{}.*", table.name)
            } else {
                table.name.clone()
            };
        }
        let plain = self.plain;
        let fits = |c: &&Column| c.of == of && !(plain && c.secret) && !c.name.is_empty();
        let found: Vec<(&Table, &Column)> = tables
            .iter()
            .flat_map(|t| t.columns.iter().filter(fits).map(move |c| (t, c)))
            .collect();
        // What is masked is what it is about.
        let secret: Vec<_> = found.iter().copied().filter(|(_, c)| c.secret).collect();
        let found = if secret.is_empty() || self.choices.chance(30) { found } else { secret };
        if found.is_empty() || self.choices.chance(6) {
            return self.literal(of);
        }
        let (table, column) = *self.choices.one(&found);
        self.used |= column.secret;
        let name = &column.name;
        let alike = tables.iter().flat_map(|t| &t.columns).filter(|c| c.name == *name).count();
        let ambiguous = alike > 1 && !self.choices.chance(3);
        match self.choices.below(48) {
            0..16 if !ambiguous => name.clone(),
            _ if table.name.is_empty() => name.clone(),
            16..20 => format!("({}).{name}", table.name),
            20 if self.choices.chance(20) => format!("{name}({})", table.name),
            21..24 => format!("{}.{name}", qualified(table)),
            _ => format!("{}.{name}", table.name),
        }
    }
}

fn qualified(table: &Table) -> String {
    match table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    }
}

/// Columns of both that have the same name.
fn shared(left: &[Table], right: &[Table]) -> Vec<Column> {
    let columns =
        |tables: &[Table]| tables.iter().flat_map(|t| t.columns.clone()).collect::<Vec<_>>();
    let others = columns(right);
    let both = columns(left).into_iter().filter_map(|c| {
        let other = others.iter().find(|o| o.name == c.name)?;
        Some(Column { secret: c.secret || other.secret, ..c })
    });
    both.collect()
}

impl Maker<'_> {
    /// A literal of the type, or a parameter where there may be some.
    fn literal(&mut self, of: Type) -> String {
        let parameter = match of {
            Int => ("1", "int"),
            Number => ("2.5", "numeric"),
            Text => ("ann", "text"),
            Date => ("1980-01-02", "date"),
            Json => ("{\"k\": \"v\"}", "jsonb"),
            Texts => ("{x,y}", "text[]"),
            Ints => ("{1,2}", "int[]"),
            Address => ("(s,1)", "address"),
            Truth | Row | Other => return literal(of).to_owned(),
        };
        if !self.binds || self.bound.len() >= 9 || !self.choices.chance(60) {
            return literal(of).to_owned();
        }
        self.bound.push(parameter.0);
        format!("${}::{}", self.bound.len(), parameter.1)
    }
}

/// True for what `literal` gives.
fn is_literal(text: &str) -> bool {
    [Int, Number, Text, Truth, Date, Json, Texts, Ints, Address, Row]
        .iter()
        .any(|of| literal(*of) == text)
}

pub(crate) const fn literal(of: Type) -> &'static str {
    match of {
        Int => "1",
        Number => "2.5",
        Text => "'ann'",
        Truth => "true",
        Date => "date '1980-01-02'",
        Json => "jsonb '{\"k\": \"v\"}'",
        Texts => "ARRAY['x', 'y']",
        Ints => "ARRAY[1, 2]",
        Address => "ROW('s', 1)::address",
        Row | Other => "ROW(1, 'x')",
    }
}
