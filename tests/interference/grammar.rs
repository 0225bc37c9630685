//! Random programs: what a caller may ask of the tables in `definitions.sql`.
//!
//! Names are known roughly, so that most statements are valid; where a name comes up again, or means
//! something else than meant here, all the better. Nothing here knows what the gateway makes of them.

use crate::choices::Choices;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a program consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A single query.
    Query,
    /// Tables that are made, filled and changed, and a query that reads them.
    Tables,
}

/// Statements, one after the other.
pub(crate) fn program(kind: Kind, choices: &mut Choices) -> Vec<String> {
    match kind {
        Kind::Query => {
            let depth = 1 + choices.below(3);
            vec![Maker::new(choices).query(&[], depth).0]
        }
        Kind::Tables => Maker::new(choices).tables(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
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
}

use Type::{Address, Date, Int, Ints, Json, Number, Row, Text, Texts, Truth};

const TYPES: [Type; 10] = [Text, Int, Json, Number, Date, Texts, Row, Ints, Truth, Address];

#[derive(Debug, Clone)]
struct Column {
    name: String,
    of: Type,
    /// Made of something masked, as far as is known here. Only used to have fewer refusals.
    secret: bool,
}

#[derive(Debug, Clone)]
struct Table {
    /// What it is called where it is used; empty for columns that are merged by a join.
    name: String,
    schema: Option<&'static str>,
    columns: Vec<Column>,
}

const PEOPLE: &str = "id int, name text, email text!, born date!, pay number!, tags texts!, doc json!, home address!, kin ints!";

fn base() -> Vec<Table> {
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
    let of = match of.trim_end_matches('!') {
        "int" => Int,
        "text" => Text,
        "date" => Date,
        "number" => Number,
        "texts" => Texts,
        "json" => Json,
        "address" => Address,
        _ => Ints,
    };
    Column { name: name.to_owned(), of, secret }
}

/// Names that are given, most of which mean something else somewhere.
const ALIASES: [&str; 8] = ["p", "q", "a", "people", "email", "id", "bills", "name"];
const COLUMN_NAMES: [&str; 9] = ["x", "id", "email", "name", "b", "note", "people", "a", "column1"];
/// Names that the server gives to expressions, as names of tables.
const EXPRESSIONS: [&str; 6] =
    ["\"case\"", "\"coalesce\"", "\"row\"", "\"array\"", "lower", "jsonb_build_object"];

/// What expressions are made of, by section.
static TEMPLATES: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    let mut section = "";
    let lines = include_str!("templates.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => all.entry(section).or_default().push(line),
        }
    }
    all
});

struct Maker<'c> {
    choices: &'c mut Choices,
    /// Tables that names may be of, the innermost last.
    scopes: Vec<Vec<Table>>,
    /// Those of WITH, and those the program made.
    named: Vec<Table>,
    /// Only columns that are not secret, as far as that is known.
    plain: bool,
    /// A column that may be secret was used.
    used: bool,
    /// Aggregates and window functions may stand here.
    aggregates: bool,
    made: usize,
}

impl<'c> Maker<'c> {
    fn new(choices: &'c mut Choices) -> Self {
        let (scopes, named) = Default::default();
        Self { choices, scopes, named, plain: false, used: false, aggregates: true, made: 0 }
    }

    fn fresh(&mut self) -> String {
        self.made += 1;
        match self.choices.below(10) {
            0..5 => format!("t{}", self.made),
            9 if self.choices.chance(30) => (*self.choices.one(&EXPRESSIONS)).to_owned(),
            _ => (*self.choices.one(&ALIASES)).to_owned(),
        }
    }

    /// Something said within, and whether anything secret was used for it.
    fn noting<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> (R, bool) {
        let before = std::mem::replace(&mut self.used, false);
        let made = make(self);
        let used = self.used;
        self.used |= before;
        (made, used)
    }

    fn plainly<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let plain = self.plain || self.choices.below(100) < 88;
        let before = std::mem::replace(&mut self.plain, plain);
        let made = make(self);
        self.plain = before;
        made
    }

    // Tables and what is in them.

    fn tables(&mut self) -> Vec<String> {
        let mut statements = Vec::new();
        for n in 0..1 + self.choices.below(2) {
            statements.push(self.new_table(n));
        }
        for _ in 0..self.choices.below(3) {
            statements.push(self.change());
        }
        let (query, _) = self.query(&[], 1);
        statements.push(query);
        statements
    }

    fn new_table(&mut self, n: usize) -> String {
        let third = *self.choices.one(&[Text, Json, Texts, Number, Date, Row]);
        let types = [Int, Text, third];
        let (query, mut columns) = self.query(&types, 1);
        for (column, name) in columns.iter_mut().zip(["id", "name", "email"]) {
            column.name = name.to_owned();
        }
        let name = format!("s{n}");
        let what = *self.choices.one(&["TEMP TABLE", "TEMP TABLE", "TABLE", "MATERIALIZED VIEW"]);
        self.named.push(Table { name: name.clone(), schema: None, columns });
        // What is not temporary may be made in any schema, unless it is said in which.
        let schema = if what.starts_with("TEMP") { "" } else { "public." };
        format!("CREATE {what} {schema}{name}(id, name, email) AS {query}")
    }

    /// A change of a table that was made, or of one that is there.
    fn change(&mut self) -> String {
        let all = base();
        let table = match self.choices.below(4) {
            0 => all[1].clone(),
            1 => all[0].clone(),
            _ => self.named[self.choices.below(self.named.len())].clone(),
        };
        let name = table.name.clone();
        let form = self.choices.below(6);
        match form {
            0 | 1 => {
                let (query, _) = self.query(&[Int, Text], 1);
                let conflict = match name == "people" && self.choices.chance(70) {
                    true => " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                    false => "",
                };
                self.scopes.push(vec![table]);
                let returning = self.returning();
                self.scopes.pop();
                let second = if name == "bills" { "email" } else { "name" };
                format!("INSERT INTO {name} (id, {second}) {query}{conflict}{returning}")
            }
            2 => {
                let (_, beside, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                let on = if self.choices.chance(30) {
                    condition
                } else {
                    format!("{beside}.id = {name}.id")
                };
                let then = if self.choices.chance(50) { "DO NOTHING" } else { "UPDATE SET id = 7" };
                let returning = if self.choices.chance(80) { String::new() } else { returning };
                format!(
                    "MERGE INTO {name} USING {source} ON {on} WHEN MATCHED THEN {then}{returning}"
                )
            }
            3 => {
                let (_, _, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                format!("DELETE FROM {name} USING {source} WHERE {condition}{returning}")
            }
            _ => {
                let (value, _, source) = self.beside(&table);
                let condition = self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)));
                let returning = self.returning();
                self.scopes.pop();
                let column = if name == "bills" { "email" } else { "name" };
                format!(
                    "UPDATE {name} SET {column} = {value} FROM {source} WHERE {condition}{returning}"
                )
            }
        }
    }

    /// Puts a table and another item in scope: a text made of them, the item's name, and the item.
    fn beside(&mut self, table: &Table) -> (String, String, String) {
        let (source, others) = self.item_of_from(1, &[]);
        let name = others.first().map_or_else(String::new, |other| other.name.clone());
        let mut all = vec![table.clone()];
        all.extend(others);
        self.scopes.push(all);
        let text = self.without_aggregates(|m| m.expression(Text, 1));
        (text, name, source)
    }

    fn returning(&mut self) -> String {
        if self.choices.chance(40) {
            return String::new();
        }
        let before = std::mem::replace(&mut self.aggregates, false);
        let (items, _) = self.items(&[], 1);
        self.aggregates = before;
        format!(" RETURNING {items}")
    }

    // Queries.

    /// A query, with columns of these types if there are any.
    fn query(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
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
        let operator = *self.choices.one(&[
            "UNION ALL",
            "UNION ALL",
            "UNION ALL",
            "UNION",
            "EXCEPT",
            "INTERSECT ALL",
        ]);
        let own: Vec<Type> =
            (0..1 + self.choices.below(3)).map(|_| *self.choices.one(&[Int, Text, Text])).collect();
        let wanted = if wanted.is_empty() { &own } else { wanted };
        let (left, mut columns) = self.query(wanted, depth);
        let (right, others) = self.query(wanted, depth);
        for (column, other) in columns.iter_mut().zip(others) {
            column.secret |= other.secret;
        }
        let order = if self.choices.chance(20) {
            format!(" ORDER BY {}", 1 + self.choices.below(2))
        } else {
            String::new()
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
        let (text, number) = (self.expression(Text, 1), self.expression(Int, 1));
        self.scopes = scopes;
        self.named.push(own);
        let operator = *self.choices.one(&["UNION ALL", "UNION"]);
        let behind = *self.choices.one(&[
            "",
            "",
            " SEARCH DEPTH FIRST BY id SET o",
            " CYCLE id SET c USING w",
            " CYCLE name SET c USING w",
            " ORDER BY 1 LIMIT 1",
        ]);
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
        for (n, column) in columns.iter_mut().enumerate().take(count) {
            column.name = self.column_name(n);
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
        let (from, tables) = if bare { (String::new(), Vec::new()) } else { self.from(depth) };
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
        let window = if items.contains("OVER w") || self.choices.chance(2) {
            format!(
                " WINDOW w AS ({})",
                self.plainly(|m| format!(
                    "PARTITION BY {} ORDER BY {}",
                    m.any_column(),
                    m.any_column()
                ))
            )
        } else {
            String::new()
        };
        let distinct = match self.choices.below(20) {
            18 => "DISTINCT ".to_owned(),
            19 => format!("DISTINCT ON ({}) ", self.plainly(Self::any_column)),
            _ => String::new(),
        };
        let order = if self.choices.chance(25) { self.order(&columns) } else { String::new() };
        let limits = ["", "", "", "", "", " LIMIT 2", " OFFSET 1", " FETCH FIRST 2 ROWS WITH TIES"];
        let limit = *self.choices.one(&limits[..limits.len() - usize::from(order.is_empty())]);
        self.scopes.pop();
        (format!("SELECT {distinct}{items}{from}{condition}{group}{window}{order}{limit}"), columns)
    }

    fn order(&mut self, columns: &[Column]) -> String {
        let key = match self.choices.below(5) {
            0 | 1 => {
                let plain: Vec<usize> =
                    (0..columns.len()).filter(|n| !columns[*n].secret).collect();
                match plain.is_empty() || self.choices.chance(12) {
                    true => (1 + self.choices.below(columns.len())).to_string(),
                    false => (1 + *self.choices.one(&plain)).to_string(),
                }
            }
            2 if columns.iter().all(|c| !c.name.is_empty()) && !columns.is_empty() => {
                self.choices.one(columns).name.clone()
            }
            3 => self.plainly(|m| m.expression(Int, 1)),
            _ => self.plainly(Self::any_column),
        };
        let how = *self.choices.one(&["", " DESC", " NULLS FIRST"]);
        format!(" ORDER BY {key}{how}")
    }

    fn items(&mut self, wanted: &[Type], depth: usize) -> (String, Vec<Column>) {
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
            14 => {
                let (item, _) = self.noting(|m| {
                    m.template(if m.aggregates { "windows" } else { "sets" }, depth.min(2))
                });
                self.named_item(item, Text, true, items, columns);
            }
            15 => {
                let (item, _) = self.noting(|m| m.template("sets", depth.min(2)));
                self.named_item(item, Text, true, items, columns);
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
            let (item, secret) = self.noting(|m| m.template("aggregates", depth.min(2)));
            self.named_item(item, Text, secret, &mut items, &mut columns);
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
            let (key, secret) = self.noting(|m| {
                m.plainly(|m| match m.choices.chance(20) {
                    true => m.without_aggregates(|m| m.expression(Text, 1)),
                    false => m.any_column(),
                })
            });
            self.named_item(key.clone(), Text, secret, &mut items, &mut columns);
            keys.push(match self.choices.below(6) {
                4 => (n + 1).to_string(),
                5 if !columns[n].name.is_empty() => columns[n].name.clone(),
                _ => key,
            });
        }
        for _ in 0..1 + self.choices.below(2) {
            let (item, secret) = self.noting(|m| m.template("aggregates", depth.min(2)));
            self.named_item(item, Text, secret, &mut items, &mut columns);
        }
        let keys = keys.join(", ");
        let group = match self.choices.below(6) {
            3 => format!("ROLLUP ({keys})"),
            4 => format!("GROUPING SETS (({keys}), ())"),
            5 => format!("ROW({keys})"),
            _ => keys,
        };
        (items.join(", "), columns, format!(" GROUP BY {group}"))
    }

    // FROM.

    fn from(&mut self, depth: usize) -> (String, Vec<Table>) {
        let count = [1, 1, 1, 1, 2, 2, 3][self.choices.below(7)];
        let (mut texts, mut tables) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (text, own) = self.item_of_from(depth, &tables);
            texts.push(text);
            tables.extend(own);
        }
        (format!(" FROM {}", texts.join(", ")), tables)
    }

    fn item_of_from(&mut self, depth: usize, before: &[Table]) -> (String, Vec<Table>) {
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
        let sample = if table.schema.is_some() && self.choices.chance(3) {
            " TABLESAMPLE BERNOULLI (100)"
        } else {
            ""
        };
        if !self.choices.chance(60) {
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
        let template = *self.choices.one(&TEMPLATES["from"]);
        let (template, columns) = template.split_once(" => ").unwrap();
        let columns = if columns == "people" { PEOPLE } else { columns };
        let name = self.fresh();
        self.scopes.push(before.to_vec());
        let (text, secret) =
            self.noting(|m| m.without_aggregates(|m| m.fill(&template.replace("{A}", &name), 1)));
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
            1 => {
                tables.insert(0, Table { name: String::new(), schema: None, columns: shared });
                return (format!("{left} NATURAL {kind} {right}"), tables);
            }
            2..4 if !shared.is_empty() => {
                let column = self.choices.one(&shared).clone();
                let mut how = format!("USING ({})", column.name);
                let mut name = String::new();
                if self.choices.chance(30) {
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

    fn without_aggregates<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.aggregates, false);
        let made = make(self);
        self.aggregates = before;
        made
    }

    fn expression(&mut self, of: Type, depth: usize) -> String {
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
        };
        self.template(section, depth)
    }

    fn template(&mut self, section: &str, depth: usize) -> String {
        let templates = &TEMPLATES[section];
        let mut template = *self.choices.one(templates);
        // Most places have no room for an aggregate.
        let over = |t: &str| {
            ["agg(", "max(", "count(", "sum(", "avg(", "OVER", "bool_and(", "stddev(", "grouping("]
                .iter()
                .any(|a| t.contains(a))
        };
        let listed = matches!(section, "aggregates" | "windows");
        if !listed && over(template) && !(self.aggregates && self.choices.chance(15)) {
            template = templates[0];
        }
        let aggregates = self.aggregates && !over(template);
        let before = std::mem::replace(&mut self.aggregates, aggregates);
        let made = self.fill(template, depth.saturating_sub(1));
        self.aggregates = before;
        made
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
        // Anything else in braces is a path within jsonb, and stays.
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
    fn reference(&mut self, of: Type) -> String {
        let count = self.scopes.len();
        // The innermost most of the time.
        let scope = if count > 1 && self.choices.chance(20) {
            self.choices.below(count)
        } else {
            count.wrapping_sub(1)
        };
        let tables = self.scopes.get(scope).cloned().unwrap_or_default();
        if of == Row {
            let all: Vec<&Table> = tables.iter().filter(|t| !t.name.is_empty()).collect();
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
            return literal(of).to_owned();
        }
        let (table, column) = *self.choices.one(&found);
        self.used |= column.secret;
        let name = &column.name;
        match self.choices.below(48) {
            0..16 => name.clone(),
            _ if table.name.is_empty() => name.clone(),
            16..20 => format!("({}).{name}", table.name),
            20 => format!("{name}({})", table.name),
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

const fn literal(of: Type) -> &'static str {
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
        Row => "ROW(1, 'x')",
    }
}
