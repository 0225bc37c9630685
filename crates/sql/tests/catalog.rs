//! The catalog as a model: rows in, names out.

#[cfg(test)]
mod common;

use portcullis_core::effect::{Operation, Verb};
use portcullis_sql::catalog::{Catalog, CatalogError, DIGESTS, Detailed, QUERIES};

#[test]
fn names_resolve_to_all_they_may_mean() {
    let catalog = common::shop();
    let schemas = |schema, name| -> Vec<String> {
        let found = catalog.relations_named(schema, name);
        found.iter().map(|r| r.schema.to_string()).collect()
    };
    assert_eq!(schemas(None, "notes"), ["public", "archive"]);
    assert_eq!(schemas(Some("archive"), "notes"), ["archive"]);
    assert_eq!(schemas(None, "tables"), ["information_schema"]);
    assert!(schemas(Some("pg_temp"), "notes").is_empty());
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let rows = common::fixture();
    let refused = |change: fn(&mut common::Rows)| {
        let mut rows = rows.clone();
        change(&mut rows);
        Catalog::from_rows("shop", &rows).unwrap_err()
    };
    let got = QUERIES.len() - 1;
    assert_eq!(refused(|r| drop(r.pop())), CatalogError::Results { got });
    assert_eq!(refused(|r| r[2][0][0] = None), CatalogError::Row { result: 2, field: 0 });
    assert_eq!(refused(|r| r[2][0].truncate(3)), CatalogError::Row { result: 2, field: 3 });
    assert_eq!(
        refused(|r| r[3][0][1] = Some("x".into())),
        CatalogError::Row { result: 3, field: 1 }
    );
}

#[test]
fn its_version_follows_definitions_and_not_estimates() {
    let rows = common::fixture();
    let version = |rows: &common::Rows| Catalog::from_rows("shop", rows).unwrap().version();
    let mut estimated = rows.clone();
    estimated[2][0][4] = Some("123456".into());
    assert_eq!(version(&rows), version(&estimated));
    let mut changed = rows.clone();
    changed[3][0][2] = Some("other".into());
    assert_ne!(version(&rows), version(&changed));
    assert_ne!(version(&rows), Catalog::from_rows("other", &rows).unwrap().version());
}

#[test]
fn an_empty_catalog_trusts_nothing() {
    let catalog = Catalog::empty("shop");
    assert_eq!(
        common::facts("SELECT lower(email) FROM customers", &catalog),
        "select: read ?.customers?, execute routine:?.lower unknown? \
         => (UNTRACED) sinks(UNTRACED) code unresolved"
    );
}

/// A target that lies: views that go round in circles.
#[test]
fn circular_views_end() {
    let mut rows = common::fixture();
    let oid = |name: &str| {
        let row = rows[2].iter().find(|r| r[2].as_deref() == Some(name)).unwrap();
        row[0].clone().unwrap()
    };
    let (inner, outer) = (oid("customer_contacts"), oid("contact_list"));
    for row in &mut rows[4] {
        let other =
            if row[0].as_deref() == Some(&inner) { "contact_list" } else { "customer_contacts" };
        if [&inner, &outer].contains(&row[0].as_ref().unwrap()) {
            row[1] = Some(format!("SELECT * FROM {other}"));
        }
    }
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let facts = common::facts("SELECT * FROM contact_list", &catalog);
    assert!(facts.contains("customers.*") || facts.contains("UNTRACED"), "{facts}");
}

/// Views and functions each of which calls many of the next have one allowance together; what is
/// beyond it may do anything.
#[test]
fn definitions_that_fan_out_end() {
    const LEVELS: u32 = 14;
    let mut rows = common::fixture();
    let row_of = |all: &[Vec<Option<String>>], field: usize, value: &str| {
        all.iter().find(|row| row[field].as_deref() == Some(value)).unwrap().clone()
    };
    let function = row_of(&rows[6], 2, "settled");
    let relation = row_of(&rows[2], 2, "contact_list");
    let oid = relation[0].clone().unwrap();
    let columns: Vec<_> = rows[3].iter().filter(|r| r[0].as_ref() == Some(&oid)).cloned().collect();
    let body = row_of(&rows[4], 0, &oid);
    for level in 0..=LEVELS {
        // The last of them calls nothing.
        let last = level == LEVELS;
        let own = Some((900_000 + level).to_string());
        let calls = vec![format!("read.fan{}()", level + 1); 40].join(" + ");
        let mut new = function.clone();
        (new[0], new[2], new[3]) = (own.clone(), Some(format!("fan{level}")), Some(String::new()));
        new[10] = Some(format!(
            "CREATE OR REPLACE FUNCTION read.fan{level}() RETURNS int LANGUAGE sql STABLE AS $f$\
             SELECT {}$f$",
            if last { "1" } else { &calls }
        ));
        rows[6].push(new);
        let mut new = relation.clone();
        (new[0], new[2]) = (own.clone(), Some(format!("wide{level}")));
        rows[2].push(new);
        rows[3].extend(columns.iter().cloned().map(|mut column| {
            column[0] = own.clone();
            column
        }));
        let mut new = body.clone();
        let next = format!("SELECT * FROM wide{}", level + 1);
        let table = "SELECT name, email FROM customers".to_owned();
        (new[0], new[1]) =
            (own, Some(if last { table } else { vec![next; 40].join(" UNION ALL ") }));
        rows[4].push(new);
    }
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    // The same, where there are few.
    let facts = common::facts(&format!("SELECT read.fan{}()", LEVELS - 1), &catalog);
    assert!(!facts.contains("execute"), "{facts}");
    let facts = common::facts(&format!("SELECT * FROM wide{}", LEVELS - 1), &catalog);
    assert!(!facts.contains("UNTRACED"), "{facts}");
    let facts = common::facts("SELECT read.fan0()", &catalog);
    assert!(facts.contains("execute routine:read.fan0 unknown?"), "{facts}");
    let facts = common::facts("SELECT * FROM wide0", &catalog);
    assert!(facts.contains("UNTRACED"), "{facts}");
}

/// A definition that cannot be read may show and do anything.
#[test]
fn an_unreadable_view_is_not_trusted() {
    let mut rows = common::fixture();
    rows[4].iter_mut().for_each(|row| row[1] = Some("SELECT (".into()));
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let facts = common::facts("SELECT name FROM customer_contacts", &catalog);
    assert!(facts.contains("unknown unknown: unknown??"), "{facts}");
    assert!(facts.contains("read public.customers"), "{facts}");
    assert!(facts.contains("(UNTRACED)") && facts.contains("unresolved"), "{facts}");
}

#[test]
fn triggers_off_the_catalog_are_off_the_facts() {
    let mut rows = common::fixture();
    rows[13].clear();
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let facts = common::facts("UPDATE products SET price = 1 WHERE id = 1", &catalog);
    assert_eq!(facts, "update: update public.products some => ()");
}

#[test]
fn triggers_on_definitions_are_among_the_effects_of_definitions() {
    let mut rows = common::fixture();
    let trigger = ["0", "watch", "0", "app", "on_definition", "1", "f", ""];
    rows[13].push(trigger.map(|field| Some(field.to_owned())).to_vec());
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let fires = |sql| common::facts(sql, &catalog).contains("execute routine:app.on_definition");
    for sql in [
        "CREATE TABLE t (a int)",
        "SELECT 1 AS a INTO t",
        "DROP TABLE notes",
        "COMMENT ON TABLE notes IS 'x'",
        "GRANT SELECT ON notes TO public",
        "REFRESH MATERIALIZED VIEW cards",
    ] {
        assert!(fires(sql), "{sql}");
    }
    for sql in ["SELECT 1", "UPDATE notes SET body = 'x'", "SELECT lo_create(0)", "BEGIN"] {
        assert!(!fires(sql), "{sql}");
    }
}

fn texts<const N: usize>(fields: [&str; N]) -> Vec<Option<String>> {
    fields.map(|field| Some(field.to_owned())).to_vec()
}

/// The number of a relation of the fixture.
fn oid(name: &str) -> u32 {
    let catalog = common::shop();
    catalog.relations_named(Some("public"), name)[0].oid
}

/// What is hashed is compared, and where no hash was read nothing is.
#[test]
fn definitions_are_compared_by_digests_that_were_read() {
    let catalog = std::sync::Arc::new(common::shop());
    let users = |oid: &u32| *oid >= 16_384;
    let relations: Vec<u32> = catalog.relations().map(|r| r.oid).filter(users).collect();
    let functions = common::fixture()[6].iter().map(|row| row[0].clone().unwrap()).collect();
    let functions: Vec<String> = functions;
    let digests = |changed: u32| -> common::Rows {
        let relation =
            |oid: &u32| texts([&oid.to_string(), &(u32::from(*oid == changed)).to_string()]);
        let function = |oid: &String| texts([oid, "f"]);
        vec![functions.iter().map(function).collect(), relations.iter().map(relation).collect()]
    };
    assert_eq!(digests(0).len(), DIGESTS.len());
    let mut all = Operation::unreadable();
    all.effects[0].verb = Verb::Execute;
    let read =
        |rows: &common::Rows| Detailed::new(catalog.clone(), rows).unwrap().definitions(&all);
    let before = read(&digests(0)).unwrap();
    assert_eq!(before, read(&digests(0)).unwrap());
    let after = read(&digests(oid("customers"))).unwrap();
    let differ: Vec<_> = before.iter().filter(|(name, d)| after[*name] != **d).collect();
    assert_eq!(
        differ.iter().map(|(name, _)| &***name).collect::<Vec<_>>(),
        ["table public.customers"]
    );
    let mut lacking = digests(0);
    lacking[1].pop();
    assert!(read(&lacking).is_none(), "a relation without a digest");
    lacking[0].clear();
    assert!(read(&lacking).is_none());
    let none = Detailed::new(catalog.clone(), &[]);
    assert_eq!(none.unwrap_err(), CatalogError::Results { got: 0 });
}

/// A view is another one where its rule was written anew, whether or not its text could be read.
#[test]
fn a_relation_is_told_from_what_it_was() {
    let rows = common::fixture();
    let customers = oid("customers");
    let contacts = oid("customer_contacts");
    let like = |change: &dyn Fn(&mut common::Rows), of: u32| {
        let mut changed = rows.clone();
        change(&mut changed);
        let now = Catalog::from_rows("shop", &changed).unwrap();
        now.relation(of).unwrap().is_defined_like(common::shop().relation(of).unwrap())
    };
    let of = |row: &[Option<String>], oid: u32| row[0].as_deref() == Some(&*oid.to_string());
    assert!(like(&|_| (), contacts) && like(&|_| (), customers));
    assert!(like(&|rows| rows[4].clear(), contacts), "its text was not read");
    let rewritten = |rows: &mut common::Rows| {
        let rule = rows[19].iter_mut().find(|row| of(row, contacts)).unwrap();
        rule[2] = Some("4294967295".to_owned());
    };
    assert!(!like(&rewritten, contacts) && like(&rewritten, customers));
    let retyped = |rows: &mut common::Rows| {
        let column = rows[3].iter_mut().find(|row| of(row, customers)).unwrap();
        column[3] = Some("17".to_owned());
    };
    assert!(!like(&retyped, customers) && like(&retyped, contacts));
    let estimated = |rows: &mut common::Rows| {
        let row = rows[2].iter_mut().find(|row| of(row, customers)).unwrap();
        row[4] = Some("123456".to_owned());
    };
    assert!(like(&estimated, customers));
}

/// What is made of a type whose values code of users makes, reads or compares is such a type.
#[test]
fn code_of_types_reaches_what_is_made_of_them() {
    let mut rows = common::fixture();
    let row_type = |name: &str, oid: &str, relation: &str| {
        texts([oid, "public", name, "c", "C", "0", "0", relation, "f", "", ""])
    };
    // An array of `seed`, a domain over that, a table with a column of it, ranges of `seed`.
    rows[17].push(texts(["90000", "public", "seed", "b", "U", "0", "0", "0", "f", "", ""]));
    rows[17].push(texts(["90001", "public", "_seed", "b", "A", "90000", "0", "0", "f", "", ""]));
    rows[17].push(texts(["90002", "public", "some", "d", "A", "0", "90001", "0", "f", "", ""]));
    rows[17].push(texts(["90003", "public", "plain", "d", "U", "0", "90000", "0", "f", "", ""]));
    rows[17].push(row_type("holder", "90004", "90100"));
    rows[17].push(texts(["90005", "public", "spans", "r", "R", "0", "0", "0", "f", "", ""]));
    rows[17].push(texts(["90006", "public", "spanses", "m", "R", "0", "0", "0", "f", "", ""]));
    rows[17].push(texts(["90007", "public", "other", "b", "U", "0", "0", "0", "f", "", ""]));
    rows[18].push(texts(["90005", "90000", "90006"]));
    rows[2].push(texts(["90100", "public", "holder", "r", "0", "f", "", "", ""]));
    rows[3].push(texts(["90100", "1", "all", "90002", "f"]));
    let catalog = |seed: Option<&str>, cast: bool| {
        let mut rows = rows.clone();
        rows[9].extend(seed.map(|letter| texts([letter, "90000"])));
        rows[15].extend(cast.then(|| texts(["90000", "90200", "app", "convert"])));
        Catalog::from_rows("shop", &rows).unwrap()
    };
    let all = 90_000..90_008;
    let which = |is: &dyn Fn(u32) -> bool| all.clone().filter(|oid| is(*oid)).collect::<Vec<_>>();
    let reached: Vec<u32> = (90_000..90_007).collect();
    let none = catalog(None, false);
    assert!(which(&|oid| none.runs_code(oid) || none.adopts_literals(oid)).is_empty());
    for (letter, literals, adopting) in [
        ("r", &reached[..], vec![90_000, 90_001, 90_002, 90_004, 90_005, 90_006]),
        ("m", &[], Vec::new()),
        ("c", &[], reached.clone()),
    ] {
        let catalog = catalog(Some(letter), false);
        assert_eq!(which(&|oid| catalog.runs_code(oid)), reached, "{letter}");
        assert_eq!(which(&|oid| catalog.code_of_literals(oid).is_some()), literals, "{letter}");
        assert_eq!(which(&|oid| catalog.adopts_literals(oid)), adopting, "{letter}");
        // Arrays and row types have a name only then.
        assert_eq!(catalog.types_named("holder").len(), 1);
        assert!(none.types_named("holder").is_empty() && none.types_named("_seed").is_empty());
    }
    let cast = catalog(None, true);
    let sources: Vec<u32> = cast.implicit_casts().iter().map(|c| c.source).collect();
    assert!(sources.ends_with(&reached), "{sources:?}");
    assert!(which(&|oid| cast.runs_code(oid)).is_empty());
}
