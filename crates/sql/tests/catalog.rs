//! The catalog as a model: rows in, names out.

#[cfg(test)]
mod common;

use portcullis_sql::catalog::{Catalog, CatalogError, QUERIES};

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
