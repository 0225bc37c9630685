//! A shop to test on: its catalog from a file or from a real server, and facts as readable lines.
#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod cases;

use portcullis_core::effect::{Certainty, Effect, Verb};
use portcullis_core::mask::{Lineage, Move, NewColumn, Origin, Renaming};
use portcullis_sql::catalog::{Catalog, QUERIES};
use portcullis_sql::statement::{Copy, NameChange, Statement};
use portcullis_sql::{Limits, REQUIRED_STACK, analyse};
use std::fmt::Write as _;

/// Answers to the catalog's queries.
pub(crate) type Rows = Vec<Vec<Vec<Option<String>>>>;

/// The catalog as it was dumped from a PostgreSQL 15 with `shop.sql` (see `oracle.rs`).
pub(crate) fn fixture() -> Rows {
    let text = include_str!("../data/shop-catalog.tsv");
    let mut rows: Rows = Vec::new();
    for line in text.lines() {
        if line == "==" {
            rows.push(Vec::new());
            continue;
        }
        let field = |f: &str| (f != "\\N").then(|| f.replace("\\n", "\n"));
        rows.last_mut().unwrap().push(line.split('\t').map(field).collect());
    }
    rows
}

/// The file that [`fixture`] reads. Of the server's own relations only a few are kept.
pub(crate) fn dump(rows: &Rows) -> String {
    let kept: Vec<&str> = rows[2]
        .iter()
        .filter(|r| {
            let (oid, name) = (r[0].as_deref().unwrap(), r[2].as_deref().unwrap());
            let few = [
                "pg_class",
                "pg_namespace",
                "pg_stats",
                "pg_stat_activity",
                "pg_settings",
                "tables",
            ];
            oid.parse::<u32>().unwrap() >= 16_384 || few.contains(&name)
        })
        .map(|r| r[0].as_deref().unwrap())
        .collect();
    let mut text = String::new();
    for (result, rows) in rows.iter().enumerate() {
        text.push_str("==\n");
        for row in rows {
            if matches!(result, 2 | 3) && !kept.contains(&row[0].as_deref().unwrap()) {
                continue;
            }
            let fields: Vec<String> = row
                .iter()
                .map(|f| f.as_ref().map_or("\\N".into(), |f| f.replace('\n', "\\n")))
                .collect();
            writeln!(text, "{}", fields.join("\t")).unwrap();
        }
    }
    text
}

/// The shop's catalog.
pub(crate) fn shop() -> Catalog {
    assert_eq!(fixture().len(), QUERIES.len());
    Catalog::from_rows("shop", &fixture()).unwrap()
}

/// Runs something on a thread with the stack that the crate asks for.
pub(crate) fn with_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(REQUIRED_STACK);
        builder.spawn_scoped(scope, f).unwrap().join().unwrap()
    })
}

/// Every case has the facts it should have.
pub(crate) fn check(catalog: &Catalog) {
    let version = catalog.server_version() / 10_000;
    let otherwise = |text: &str| {
        let mut all = cases::OTHERWISE.iter();
        let found =
            all.find(|(first, last, sql, _)| (*first..=*last).contains(&version) && *sql == text);
        found.map(|(.., expected)| *expected)
    };
    let wrong = cases::CASES.iter().filter_map(|(sql, expected)| {
        let expected = &otherwise(sql).unwrap_or(expected);
        let seen = facts(sql, catalog);
        (seen != *expected).then(|| format!("{sql}\n  expected {expected}\n  seen     {seen}\n"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

/// The facts of a text, one line for each statement.
pub(crate) fn facts(sql: &str, catalog: &Catalog) -> String {
    let analysed = with_stack(|| analyse(sql, catalog, &Limits::default()));
    match analysed {
        Ok(analysis) => {
            let lines = analysis.statements.iter().map(|s| statement(s, catalog));
            lines.collect::<Vec<_>>().join(" ;; ")
        }
        Err(error) => format!("ERROR {error}"),
    }
}

/// `kind: effects => outputs`.
pub(crate) fn statement(statement: &Statement, catalog: &Catalog) -> String {
    let effects: Vec<String> = statement.effects.iter().map(effect).collect();
    let mut line = format!("{}: {}", statement.kind, effects.join(", "));
    if let Some(lineage) = &statement.lineage {
        write!(line, " => {}", outputs(lineage, catalog)).unwrap();
    }
    if let Some(copy) = &statement.copy {
        let copy = match copy {
            Copy::In(_) => "In".to_owned(),
            Copy::Out(format) => format!("Out({format:?})"),
        };
        write!(line, " copy {copy}").unwrap();
    }
    match &statement.names {
        NameChange::Prepare { name, inner } | NameChange::Declare { name, inner } => {
            write!(line, " [{name} = {}]", self::statement(inner, catalog)).unwrap();
        }
        NameChange::None => {}
        other => write!(line, " {other:?}").unwrap(),
    }
    line
}

fn effect(effect: &Effect) -> String {
    let mut path: Vec<&str> = effect.object.path.iter().map(|p| &**p).collect();
    if path.first() == Some(&"shop") {
        path.remove(0);
    }
    let mut text = format!("{} {}", effect.verb, path.join("."));
    if !effect.object.kind.as_str().starts_with("relation") {
        text = format!("{} {}:{}", effect.verb, effect.object.kind, path.join("."));
    }
    if effect.verb != Verb::Read {
        write!(text, " {}", effect.extent).unwrap();
    }
    match effect.certainty {
        Certainty::Resolved => {}
        Certainty::Assumed => text.push('?'),
        Certainty::Unreadable => text.push_str("??"),
    }
    text
}

fn origin(origin: &Origin, catalog: &Catalog) -> String {
    let Origin::Columns(columns) = origin else { return "UNTRACED".into() };
    let name = |c: &portcullis_core::mask::ColumnRef| {
        let relation = catalog.relation(c.relation).unwrap();
        let column = relation.columns.iter().find(|k| k.number == c.column);
        format!("{}.{}", relation.name, column.map_or("*", |k| &k.name))
    };
    if columns.is_empty() {
        "-".into()
    } else {
        columns.iter().map(name).collect::<Vec<_>>().join("+")
    }
}

fn renamed(new: &Renaming, catalog: &Catalog) -> String {
    let name = |oid: &u32| &catalog.relation(*oid).unwrap().name;
    match new {
        Renaming::Column { relation, from, to } => {
            format!("names {}.{from} {to}", name(relation))
        }
        Renaming::Relation { relation, to } => format!("names {} {to}", name(relation)),
        Renaming::Place { relation, to } => format!("names {0} {to}.{0}", name(relation)),
        Renaming::Schema { from, to } => format!("names {from}.* {to}.*"),
    }
}

fn outputs(lineage: &Lineage, catalog: &Catalog) -> String {
    let all = |origins: &[Origin]| {
        origins.iter().map(|o| origin(o, catalog)).collect::<Vec<_>>().join(" | ")
    };
    let mut text = match &lineage.outputs {
        Some(outputs) => format!("({})", all(outputs)),
        None => "?".into(),
    };
    let mut sinks = lineage.sinks.clone();
    for fill in &lineage.fills {
        if !sinks.contains(&fill.from.origin) {
            sinks.push(fill.from.origin.clone());
        }
    }
    if !sinks.is_empty() {
        write!(text, " sinks({})", all(&sinks)).unwrap();
    }
    if let Some(made) = &lineage.makes {
        let column = |c: &NewColumn| {
            format!("{}{}", if c.plain { "=" } else { "" }, origin(&c.origin, catalog))
        };
        let columns = made.columns.iter().flatten().map(column).collect::<Vec<_>>().join(" | ");
        let prepared = if made.columns.is_none() { "?" } else { "" };
        let lenient = if made.lenient { "?" } else { "" };
        write!(text, " makes {}{lenient}({columns}{prepared})", made.name).unwrap();
    }
    for way in &lineage.moves {
        let told = match way {
            Move::Partitions(oid) => format!("rows of {}", catalog.relation(*oid).unwrap().name),
            Move::Named(new) => renamed(new, catalog),
            Move::Column(fill) => {
                let to = Origin::Columns(fill.to.iter().copied().collect());
                format!("{} to {}", origin(&fill.from.origin, catalog), origin(&to, catalog))
            }
        };
        write!(text, " moves {told}").unwrap();
    }
    for refill in &lineage.refills {
        let column = |c: &NewColumn| {
            format!("{}{}", if c.plain { "=" } else { "" }, origin(&c.origin, catalog))
        };
        let columns = refill.columns.iter().flatten().map(column).collect::<Vec<_>>().join(" | ");
        let untold = if refill.columns.is_none() { "?" } else { "" };
        write!(text, " refills({columns}{untold})").unwrap();
    }
    if lineage.user_code {
        text.push_str(" code");
    }
    if lineage.unresolved {
        text.push_str(" unresolved");
    }
    text
}
