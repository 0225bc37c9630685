//! Tables that are made, filled and changed.

use crate::grammar::Type::{Address, Date, Int, Ints, Json, Number, Row, Text, Texts, Truth};
use crate::grammar::{Column, Maker, Table, base};

/// Changes of what was there before the program.
const DEFINITIONS: [&str; 16] = [
    "ALTER TABLE staff NO INHERIT people",
    "ALTER TABLE memos NO INHERIT notes",
    "ALTER TABLE parts DETACH PARTITION parts_1",
    "CREATE OR REPLACE VIEW contacts AS SELECT id, name, name AS contact, pay FROM people",
    "CREATE OR REPLACE VIEW columns (id, name, email) AS SELECT id, name, email FROM a",
    "CREATE OR REPLACE FUNCTION mail(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT name FROM people WHERE id = $1'",
    "ALTER VIEW contacts RENAME COLUMN contact TO name2",
    "ALTER TABLE a SET SCHEMA other",
    "ALTER SCHEMA other RENAME TO another",
    "ALTER TABLE people RENAME COLUMN email TO mail",
    "ALTER TABLE people ALTER COLUMN email TYPE varchar(100)",
    "ALTER TABLE people ALTER COLUMN pay TYPE int",
    "ALTER TABLE people ALTER COLUMN email SET NOT NULL",
    "ALTER TYPE address ADD ATTRIBUTE more text",
    "ALTER TYPE address ALTER ATTRIBUTE zip TYPE text CASCADE",
    "ALTER TABLE people ADD COLUMN shown text GENERATED ALWAYS AS (upper(email)) STORED",
];

impl Maker<'_> {
    pub(crate) fn tables(&mut self) -> Vec<String> {
        // What locks tables is for who has them to himself: of a view behind a lock nothing is known.
        if self.choices.chance(12) {
            return self.meanwhile();
        }
        let mut statements = Vec::new();
        for n in 0..1 + self.choices.below(2) {
            self.new_table(n, &mut statements);
        }
        for _ in 0..self.choices.below(3) {
            let change = self.change();
            statements.push(change);
        }
        let last = match self.choices.chance(25) {
            true => self.writing_query(),
            false => self.query(&[], 1).0,
        };
        statements.push(last);
        statements
    }

    fn new_table(&mut self, n: usize, statements: &mut Vec<String>) {
        let name = format!("s{n}");
        match self.choices.below(14) {
            8 => self.of_select_into(name, statements),
            9 => self.like_another(name, statements),
            10 => self.child(name, statements),
            11 => self.with_generated(name, statements),
            12 => self.part(name, statements),
            13 => self.named_view(name, statements),
            _ => self.of_a_query(name, statements),
        }
    }

    /// A query of three columns: its text, and the columns under these names.
    fn rows(&mut self) -> (String, Vec<Column>) {
        let third =
            *self.choices.one(&[Text, Json, Texts, Number, Date, Text, Json, Address, Ints, Row]);
        let types = [Int, Text, third];
        let (query, mut columns) = self.query(&types, 1);
        for (column, name) in columns.iter_mut().zip(["id", "name", "email"]) {
            column.name = name.to_owned();
        }
        (query, columns)
    }

    fn made(&mut self, name: &str, columns: Vec<Column>) {
        self.named.push(Table { name: name.to_owned(), schema: None, columns });
    }

    fn of_a_query(&mut self, name: String, statements: &mut Vec<String>) {
        let (query, columns) = self.rows();
        let what = *self.choices.one(&["TEMP TABLE", "TEMP TABLE", "TABLE", "MATERIALIZED VIEW"]);
        self.made(&name, columns);
        // What is not temporary may be made in any schema, unless it is said in which.
        let schema = if what.starts_with("TEMP") { "" } else { "public." };
        if what.starts_with("MAT") {
            self.views.push(name.clone());
        }
        let empty = match self.choices.chance(5) {
            true => " WITH NO DATA",
            false => "",
        };
        statements.push(format!("CREATE {what} {schema}{name}(id, name, email) AS {query}{empty}"));
    }

    fn of_select_into(&mut self, name: String, statements: &mut Vec<String>) {
        let (query, columns) = self.rows();
        self.made(&name, columns);
        statements.push(format!("SELECT * INTO TEMP {name} FROM ({query}) AS l(id, name, email)"));
    }

    fn named_view(&mut self, name: String, statements: &mut Vec<String>) {
        let plain = self.choices.chance(70);
        let (query, columns) = self.with_plain(plain, Self::rows);
        self.made(&name, columns);
        self.views.push(name.clone());
        let recursive = if self.choices.chance(10) { "RECURSIVE " } else { "" };
        let checked = if self.choices.chance(10) { " WITH CHECK OPTION" } else { "" };
        statements.push(format!(
            "CREATE {recursive}VIEW public.{name}(id, name, email) AS {query}{checked}"
        ));
    }

    fn like_another(&mut self, name: String, statements: &mut Vec<String>) {
        let all = base();
        let table = self.choices.one(&all[..5]).clone();
        let including = *self.choices.one(&["", " INCLUDING ALL", " INCLUDING DEFAULTS"]);
        let schema = table.schema.unwrap_or("public");
        statements
            .push(format!("CREATE TABLE public.{name} (LIKE {schema}.{}{including})", table.name));
        let taken: Vec<Column> = match self.choices.chance(80) {
            true => table.columns.iter().filter(|c| !c.secret).cloned().collect(),
            false => table.columns.clone(),
        };
        let list = taken.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ");
        statements.push(format!(
            "INSERT INTO {name} ({list}) SELECT {list} FROM {schema}.{}",
            table.name
        ));
        self.made(&name, table.columns);
    }

    /// A table whose rows are those of a parent too.
    fn child(&mut self, name: String, statements: &mut Vec<String>) {
        let all = base();
        let table = self.choices.one(&[all[0].clone(), all[2].clone(), all[9].clone()]).clone();
        statements.push(format!("CREATE TABLE public.{name} (more int) INHERITS ({})", table.name));
        let second = if table.columns[1].secret { "more" } else { &table.columns[1].name };
        let value = if second == "more" { "5" } else { "'new'" };
        statements.push(format!("INSERT INTO {name} (id, {second}) VALUES (77, {value})"));
        self.made(&name, table.columns);
    }

    fn part(&mut self, name: String, statements: &mut Vec<String>) {
        let bounds = *self.choices.one(&["FOR VALUES IN (3)", "DEFAULT"]);
        statements.push(format!("CREATE TABLE public.{name} PARTITION OF parts {bounds}"));
        let (query, _) = self.plainly(|m| m.query(&[Int, Text], 1));
        statements.push(format!(
            "INSERT INTO parts (id, label, region) SELECT l.*, 3 FROM ({query}) AS l"
        ));
        let columns = base()[8].columns.clone();
        self.made(&name, columns);
    }

    fn with_generated(&mut self, name: String, statements: &mut Vec<String>) {
        let generated = *self.choices.one(&[
            "lower(name)",
            "name || id::text",
            "CASE WHEN id > 2 THEN name END",
            "name COLLATE \"C\"",
        ]);
        let kept = if self.version >= 18 && self.choices.chance(60) { "VIRTUAL" } else { "STORED" };
        let what = *self.choices.one(&["TEMP TABLE ", "TABLE public."]);
        statements.push(format!(
            "CREATE {what}{name} (id int DEFAULT 7, name text DEFAULT 'none', email text GENERATED ALWAYS AS ({generated}) {kept})"
        ));
        let ((query, mut columns), secret) = self.noting(|m| m.query(&[Int, Text], 1));
        for (column, name) in columns.iter_mut().zip(["id", "name"]) {
            column.name = name.to_owned();
        }
        columns.push(Column { name: "email".to_owned(), of: Text, secret });
        statements.push(format!("INSERT INTO {name} (id, name) {query}"));
        self.made(&name, columns);
    }

    /// A table that was made, or one that is there.
    fn some_table(&mut self) -> Table {
        let all = base();
        match self.choices.below(4) {
            0 => all[1].clone(),
            1 => all[0].clone(),
            _ => {
                let own = self.named[self.choices.below(self.named.len())].clone();
                // What cannot be changed would only fail.
                let fixed = self.views.contains(&own.name) && !self.choices.chance(5);
                if fixed { all[1].clone() } else { own }
            }
        }
    }

    fn change(&mut self) -> String {
        match self.choices.below(12) {
            6..8 => self.altered(),
            8 => self.indexed(),
            9 => self.writing_query(),
            10 => {
                let name = self.named[self.choices.below(self.named.len())].name.clone();
                let filled = self.views.contains(&name) || self.choices.chance(5);
                match filled {
                    true => format!("REFRESH MATERIALIZED VIEW {name}"),
                    false => format!("ANALYZE {name}"),
                }
            }
            11 => {
                let table = self.some_table().name;
                let what = *self.choices.one(&["TRUNCATE", "LOCK TABLE", "COMMENT ON TABLE"]);
                let behind = if what.starts_with("COMMENT") { " IS 'x'" } else { "" };
                format!("{what} {table}{behind}")
            }
            _ => self.written().0,
        }
    }

    /// A change with rows that a query takes up.
    fn writing_query(&mut self) -> String {
        let (change, columns) = self.written();
        let name = "w".to_owned();
        if columns.is_empty() {
            let (query, _) = self.query(&[], 1);
            return format!("WITH {name} AS ({change}) {query}");
        }
        let before = self.named.len();
        self.named.push(Table { name: name.clone(), schema: None, columns });
        let (query, _) = self.query(&[], 1);
        self.named.truncate(before);
        format!("WITH {name} AS ({change}) {query}")
    }

    /// An index, a check or a statistic of a table, over what its rows are.
    fn indexed(&mut self) -> String {
        let table = self.some_table();
        let name = table.name.clone();
        self.scopes.push(vec![table]);
        let (key, condition) = self.without_aggregates(|m| {
            (m.plainly(|m| m.expression(Text, 1)), m.plainly(|m| m.expression(Truth, 1)))
        });
        self.scopes.pop();
        match self.choices.below(4) {
            0 => format!("CREATE INDEX ON {name} (({key})) WHERE {condition}"),
            1 => format!("ALTER TABLE {name} ADD CHECK ({condition} OR true)"),
            2 => format!("CREATE UNIQUE INDEX ON {name} (id, ({key}))"),
            _ => format!("CREATE INDEX ON {name} (({key}), id)"),
        }
    }

    fn altered(&mut self) -> String {
        if self.choices.chance(25) {
            return (*self.choices.one(&DEFINITIONS)).to_owned();
        }
        let table = self.some_table();
        let name = table.name.clone();
        let column = self.choices.one(&table.columns).clone();
        let form = self.choices.below(7);
        self.scopes.push(vec![table]);
        let value = self.plainly(|m| m.without_aggregates(|m| m.expression(Text, 1)));
        self.scopes.pop();
        let column = column.name;
        let what = match form {
            0 => format!(
                "ADD COLUMN more text DEFAULT {}",
                ["'x'", "md5('x')", "NULL"][value.len() % 3]
            ),
            1 => format!("RENAME COLUMN {column} TO renamed"),
            2 => format!("ALTER COLUMN {column} TYPE text USING {value}"),
            3 => format!("DROP COLUMN {column}"),
            4 => format!("ALTER COLUMN {column} TYPE varchar(40)"),
            5 => "RENAME TO renamed".to_owned(),
            _ => format!("ALTER COLUMN {column} DROP NOT NULL, ADD COLUMN further int"),
        };
        format!("ALTER TABLE {name} {what}")
    }

    /// A change, and the columns of its answer.
    fn written(&mut self) -> (String, Vec<Column>) {
        let table = self.some_table();
        match self.choices.below(6) {
            0 | 1 => self.inserted(table),
            2 if self.version >= 15 => self.merged(table),
            3 => {
                let name = table.name.clone();
                let (_, _, source) = self.beside(&table);
                let condition = self.condition();
                let (returning, columns) = self.returning(&table);
                self.scopes.pop();
                (format!("DELETE FROM {name} USING {source} WHERE {condition}{returning}"), columns)
            }
            _ => {
                let name = table.name.clone();
                let (value, _, source) = self.beside(&table);
                let condition = self.condition();
                let (returning, columns) = self.returning(&table);
                self.scopes.pop();
                let column = second(&table);
                let set = match self.choices.below(4) {
                    0 => format!("({column}, id) = ({value}, 8)"),
                    1 => format!("({column}) = (SELECT {value})"),
                    _ => format!("{column} = {value}"),
                };
                let from =
                    if self.choices.chance(80) { format!(" FROM {source}") } else { String::new() };
                (format!("UPDATE {name} SET {set}{from} WHERE {condition}{returning}"), columns)
            }
        }
    }

    fn condition(&mut self) -> String {
        self.plainly(|m| m.without_aggregates(|m| m.expression(Truth, 1)))
    }

    fn inserted(&mut self, table: Table) -> (String, Vec<Column>) {
        let name = table.name.clone();
        let plain = self.choices.chance(70);
        let (query, _) = self.with_plain(plain, |m| m.query(&[Int, Text], 1));
        let mut scope = vec![table.clone()];
        let conflict = match name == "people" && self.choices.chance(70) {
            true => {
                scope.push(Table {
                    name: "excluded".to_owned(),
                    schema: None,
                    columns: table.columns.clone(),
                });
                self.scopes.push(scope);
                let value = self.plainly(|m| m.without_aggregates(|m| m.expression(Text, 1)));
                let condition = match self.choices.chance(30) {
                    true => format!(" WHERE {}", self.condition()),
                    false => String::new(),
                };
                self.scopes.pop();
                let value =
                    if self.choices.chance(50) { "excluded.name".to_owned() } else { value };
                format!(" ON CONFLICT (id) DO UPDATE SET name = {value}{condition}")
            }
            false if self.choices.chance(10) => " ON CONFLICT DO NOTHING".to_owned(),
            false => String::new(),
        };
        self.scopes.push(vec![table.clone()]);
        let (returning, columns) = self.returning(&table);
        self.scopes.pop();
        let second = second(&table);
        (format!("INSERT INTO {name} (id, {second}) {query}{conflict}{returning}"), columns)
    }

    fn merged(&mut self, table: Table) -> (String, Vec<Column>) {
        let name = table.name.clone();
        let (value, beside, source) = self.beside(&table);
        let condition = self.condition();
        let (returning, columns) = match self.version >= 17 && self.choices.chance(60) {
            true => self.returning(&table),
            false => Default::default(),
        };
        self.scopes.pop();
        let on = if self.choices.chance(30) {
            condition.clone()
        } else {
            format!("{beside}.id = {name}.id")
        };
        let column = second(&table);
        let then = match self.choices.below(5) {
            0 => "WHEN MATCHED THEN DO NOTHING".to_owned(),
            1 => "WHEN MATCHED THEN UPDATE SET id = 7".to_owned(),
            2 => format!("WHEN MATCHED AND {condition} THEN UPDATE SET {column} = {value}"),
            3 => format!(
                "WHEN NOT MATCHED THEN INSERT (id, {column}) VALUES (99, 'new') WHEN MATCHED THEN DELETE"
            ),
            _ if self.version >= 17 => "WHEN NOT MATCHED BY SOURCE THEN DELETE".to_owned(),
            _ => "WHEN MATCHED THEN DELETE".to_owned(),
        };
        (format!("MERGE INTO {name} USING {source} ON {on} {then}{returning}"), columns)
    }

    /// Puts a table and another item in scope: a text made of them, the item's name, and the item.
    fn beside(&mut self, table: &Table) -> (String, String, String) {
        self.take_name(&table.name);
        let (source, others) = self.item_of_from(1, &[]);
        let name = others.first().map_or_else(String::new, |other| other.name.clone());
        let mut all = vec![table.clone()];
        all.extend(others);
        self.scopes.push(all);
        let plain = self.choices.chance(70);
        let text = self.with_plain(plain, |m| m.without_aggregates(|m| m.expression(Text, 1)));
        (text, name, source)
    }

    fn returning(&mut self, table: &Table) -> (String, Vec<Column>) {
        if self.choices.chance(40) {
            return Default::default();
        }
        // Rows before and after.
        let both = self.version >= 18 && self.choices.chance(50);
        let (names, with) = match both && self.choices.chance(30) {
            true => (["o", "n"], " WITH (OLD AS o, NEW AS n)"),
            false => (["old", "new"], ""),
        };
        if both {
            let own = names.map(|name| Table {
                name: name.to_owned(),
                schema: None,
                columns: table.columns.clone(),
            });
            self.scopes.push(own.into());
        }
        let (mut items, mut columns) = self.without_aggregates(|m| m.items(&[], 1));
        if both {
            self.scopes.pop();
        }
        if self.version >= 17 && self.choices.chance(5) {
            items += ", merge_action()";
            columns.push(Column { name: "merge_action".to_owned(), of: Text, secret: false });
        }
        (format!(" RETURNING{with} {items}"), columns)
    }
}

/// The column that is written to besides `id`.
fn second(table: &Table) -> &'static str {
    if table.columns.iter().any(|c| c.name == "name") { "name" } else { "email" }
}
