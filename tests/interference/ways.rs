//! Ways to ask a query other than by itself: cursors, prepared statements, copies, views, functions, plans.

use crate::grammar::Type::{Int, Text};
use crate::grammar::{Column, Maker, Table, base, literal, numbered};

/// What is taken out of a cursor.
const STEPS: [&str; 14] = [
    "FETCH ALL FROM c",
    "FETCH c",
    "FETCH 2 FROM c",
    "FETCH FORWARD 3 FROM c",
    "MOVE 1 IN c",
    "MOVE ALL IN c",
    "FETCH BACKWARD ALL FROM c",
    "FETCH BACKWARD 2 FROM c",
    "FETCH PRIOR FROM c",
    "FETCH LAST FROM c",
    "FETCH ABSOLUTE 2 FROM c",
    "FETCH RELATIVE -1 FROM c",
    "FETCH RELATIVE 0 FROM c",
    "FETCH FIRST FROM c",
];
/// What is set before a query that is otherwise the same.
const SETTINGS: [&str; 10] = [
    "search_path = other, public",
    "search_path = pg_temp, public, other",
    "transform_null_equals = on",
    "xmloption = document",
    "bytea_output = escape",
    "DateStyle = 'SQL, DMY'",
    "extra_float_digits = -15",
    "enable_hashjoin = off",
    "plan_cache_mode = force_generic_plan",
    "array_nulls = off",
];

/// What is done between PREPARE and EXECUTE, or DECLARE and FETCH.
const BETWEEN: [&str; 9] = [
    "CREATE TEMP TABLE people AS SELECT id, email AS name, name AS email FROM public.people",
    "CREATE TEMP TABLE a AS SELECT * FROM other.a",
    "SET LOCAL search_path = other, public",
    "ALTER TABLE public.bills RENAME TO renamed",
    "ALTER TABLE public.people RENAME COLUMN name TO renamed",
    "ALTER TABLE public.a ADD COLUMN more text DEFAULT 'x'",
    "CREATE OR REPLACE VIEW contacts AS SELECT id, name, name AS contact, pay FROM people",
    "CREATE OR REPLACE FUNCTION same(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)'",
    "DROP VIEW columns",
];

/// The first of them, that go forwards.
const FORWARDS: usize = 6;

const COPIES: [&str; 9] = [
    "",
    " (FORMAT csv)",
    " (FORMAT csv, HEADER, FORCE_QUOTE *)",
    " (FORMAT binary)",
    " (DELIMITER '|', NULL 'nil')",
    " (FORMAT csv, QUOTE 'a', ESCAPE 'm', DELIMITER ';', NULL 'x')",
    " WITH CSV DELIMITER ';' NULL 'none'",
    " (FORMAT text, DELIMITER ',', ENCODING 'UTF8')",
    " (FORMAT csv, NULL '[masked]')",
];

const EXPLAINS: [&str; 7] = [
    "",
    " (COSTS OFF)",
    " (VERBOSE, COSTS OFF)",
    " (FORMAT json)",
    " (ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF)",
    " (ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT yaml)",
    " (SETTINGS, VERBOSE)",
];

impl Maker<'_> {
    /// Statements that ask a query, and whether they are one transaction.
    pub(crate) fn ways(&mut self, binds: bool) -> (Vec<String>, bool) {
        match self.choices.below(22) {
            20 | 21 => (self.under_a_setting(binds), true),
            0..4 => (self.cursor(false), true),
            4..6 => (self.cursor(true), false),
            6..11 => (vec![self.copy()], false),
            11..14 => (self.prepared(), true),
            14..16 => (self.view(binds), true),
            16..18 => (self.called(binds), true),
            18 => {
                let query = self.asked();
                (vec![format!("EXPLAIN{} {query}", self.choices.one(&EXPLAINS))], false)
            }
            _ => (self.hidden_base(binds), true),
        }
    }

    fn asked(&mut self) -> String {
        let depth = *self.choices.one(&[1, 1, 2]);
        self.query(&[], depth).0
    }

    /// Held cursors are there without a transaction.
    fn cursor(&mut self, held: bool) -> Vec<String> {
        let query = self.asked();
        let scroll = *self.choices.one(&["SCROLL ", "", "NO SCROLL "]);
        let binary = if self.choices.chance(20) { "BINARY " } else { "" };
        let hold = if held { "WITH HOLD " } else { "" };
        let mut statements = vec![format!("DECLARE c {binary}{scroll}CURSOR {hold}FOR {query}")];
        let steps = &STEPS[..if scroll == "SCROLL " { STEPS.len() } else { FORWARDS }];
        for _ in 0..self.choices.below(3) {
            statements.push((*self.choices.one(steps)).to_owned());
        }
        // What shows the most at the end.
        let last = if scroll == "SCROLL " { "FETCH ABSOLUTE 1 FROM c" } else { "FETCH ALL FROM c" };
        statements
            .push(if self.choices.chance(50) { last } else { *self.choices.one(steps) }.to_owned());
        statements
    }

    fn under_a_setting(&mut self, binds: bool) -> Vec<String> {
        let set = format!("SET LOCAL {}", self.choices.one(&SETTINGS));
        self.binds = binds;
        vec![set, self.asked()]
    }

    /// A query that is kept while what it is about changes.
    pub(crate) fn meanwhile(&mut self) -> Vec<String> {
        let query = self.asked();
        let between = (*self.choices.one(&BETWEEN)).to_owned();
        match self.choices.chance(70) {
            true => {
                vec![format!("PREPARE p AS {query}"), between, "EXECUTE p".to_owned()]
            }
            false => vec![
                format!("DECLARE c CURSOR FOR {query}"),
                between,
                "FETCH ALL FROM c".to_owned(),
            ],
        }
    }

    fn copy(&mut self) -> String {
        let how = *self.choices.one(&COPIES);
        if !self.choices.chance(30) {
            let query = self.asked();
            return format!("COPY ({query}) TO STDOUT{how}");
        }
        // Views cannot be copied out by name.
        let all = base();
        let tables: Vec<&Table> = all
            .iter()
            .filter(|t| !["contacts", "wide", "columns"].contains(&t.name.as_str()))
            .collect();
        let table = (*self.choices.one(&tables)).clone();
        let mut columns: Vec<String> = Vec::new();
        for _ in 0..self.choices.below(4) {
            let name = self.choices.one(&table.columns).name.clone();
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let list =
            if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        let schema = table.schema.unwrap_or("public");
        format!("COPY {schema}.{}{list} TO STDOUT{how}", table.name)
    }

    fn prepared(&mut self) -> Vec<String> {
        self.binds = true;
        let query = self.asked();
        self.binds = false;
        let (query, bound) = numbered(query, &std::mem::take(&mut self.bound));
        let values: Vec<String> = bound.iter().map(|value| format!("'{value}'")).collect();
        let values =
            if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let mut statements = vec![format!("PREPARE p AS {query}")];
        match self.choices.below(6) {
            3 => statements.push(format!("EXPLAIN (COSTS OFF) EXECUTE p{values}")),
            4 => {
                statements.push(format!("CREATE TEMP TABLE e AS EXECUTE p{values}"));
                statements.push("TABLE e".to_owned());
            }
            5 => {
                statements.push(format!("EXECUTE p{values}"));
                statements.push(format!("EXECUTE p{values}"));
            }
            _ => statements.push(format!("EXECUTE p{values}")),
        }
        statements
    }

    /// A view of the program's own, and a query of it.
    fn view(&mut self, binds: bool) -> Vec<String> {
        let mut plain = true;
        if self.choices.chance(40) {
            plain = false;
        }
        let (query, mut columns) = self.with_plain(plain, |m| m.query(&[Int, Text, Text], 1));
        for (column, name) in columns.iter_mut().zip(["id", "name", "email"]) {
            column.name = name.to_owned();
        }
        let how = *self.choices.one(&["TEMP VIEW", "OR REPLACE TEMP VIEW", "VIEW public."]);
        let space = if how.ends_with('.') { "" } else { " " };
        let made = format!("CREATE {how}{space}v (id, name, email) AS {query}");
        self.named = vec![Table { name: "v".to_owned(), schema: None, columns }];
        self.binds = binds;
        vec![made, self.asked()]
    }

    /// A function of the program's own, and a query that calls it.
    fn called(&mut self, binds: bool) -> Vec<String> {
        let parameters = [("x", Int), ("y", Text)].map(|(name, of)| Column {
            name: name.to_owned(),
            of,
            secret: false,
        });
        let own = Table { name: "f".to_owned(), schema: None, columns: parameters.into() };
        self.scopes.push(vec![own]);
        let set = self.choices.chance(50);
        let wanted: &[_] = if set { &[Int, Text] } else { &[Text] };
        let ((body, _), secret) = self.noting(|m| m.query(wanted, 1));
        self.scopes.pop();
        let gives = if set { "TABLE (id int, name text)" } else { "text" };
        let how = *self.choices.one(&["STABLE", "IMMUTABLE", "STABLE STRICT"]);
        let made = format!(
            "CREATE FUNCTION public.f(x int, y text) RETURNS {gives} {how} LANGUAGE sql AS $body$ {body} $body$"
        );
        self.binds = binds;
        let (from, tables) = self.from(1);
        self.scopes.push(tables);
        let (number, text) = (
            self.plainly(|m| m.reference(Int)),
            self.plainly(|m| m.without_aggregates(|m| m.expression(Text, 1))),
        );
        let asked = if set {
            let columns = ["id", "name"].into_iter().zip([Int, Text]);
            let columns =
                columns.map(|(name, of)| Column { name: name.to_owned(), of, secret }).collect();
            self.scopes.push(vec![Table { name: "g".to_owned(), schema: None, columns }]);
            let (items, _) = self.items(&[], 1);
            self.scopes.pop();
            format!("SELECT {items}{from}, LATERAL f({number}, {text}) g(id, name)")
        } else {
            let (items, _) = self.without_aggregates(|m| m.items(&[], 1));
            format!("SELECT f({number}, {text}), upper(f(1, 'ann')), {items}{from}")
        };
        self.scopes.pop();
        vec![made, asked]
    }

    /// A temporary table that hides one of the same name, and a query of either.
    fn hidden_base(&mut self, binds: bool) -> Vec<String> {
        let name = *self.choices.one(&["people", "bills", "a", "notes"]);
        let (query, mut columns) = self.query(&[Int, Text, Text], 1);
        for (column, name) in columns.iter_mut().zip(["id", "email", "text"]) {
            column.name = name.to_owned();
        }
        self.named = vec![Table { name: name.to_owned(), schema: None, columns }];
        self.binds = binds;
        let made = format!("CREATE TEMP TABLE {name} (id, email, text) AS {query}");
        let (asked, _) = self.query(&[], 2);
        let mut statements = vec![made];
        if self.choices.chance(30) {
            let id = literal(Int);
            statements.push(format!("INSERT INTO {name} (id, email) VALUES ({id}, 'new')"));
        }
        statements.push(asked);
        statements
    }
}
