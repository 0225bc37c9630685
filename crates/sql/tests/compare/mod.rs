//! Lineage against what the server describes and shows.

use portcullis_core::effect::{ObjectKind, Verb};
use portcullis_core::mask::{ColumnRef, Lineage, Origin};
use portcullis_sql::catalog::Catalog;
use portcullis_sql::statement::Statement;
use portcullis_sql::{Limits, analyse};

use crate::common;
use crate::server::Server;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Asks the server what each query answers, and runs those that only read: every column must come
/// from where we said.
pub(crate) async fn compare(server: &Server, catalog: &Catalog) -> (usize, usize) {
    let client = server.connect("shop").await;
    client.batch_execute("SET statement_timeout = '5s'").await.unwrap();
    let (mut described, mut ran) = (0, 0);
    for (sql, _) in common::cases::CASES {
        let analysis = common::with_stack(|| analyse(sql, catalog, &Limits::default()));
        let Ok([statement]) = analysis.as_ref().map(|a| a.statements.as_slice()) else { continue };
        let query = matches!(&*statement.kind, "select" | "insert" | "update" | "delete");
        if !query {
            continue;
        }
        described += usize::from(describe(&client, sql, statement).await);
        ran += usize::from(run(&client, sql, statement, catalog).await);
    }
    (described, ran)
}

fn lineage(statement: &Statement) -> Lineage {
    statement.lineage.as_deref().cloned().unwrap_or_default()
}

fn covers(origin: &Origin, column: ColumnRef) -> bool {
    let row = ColumnRef { column: 0, ..column };
    match origin {
        Origin::Columns(all) => all.contains(&column) || all.contains(&row),
        Origin::Untraced => true,
    }
}

/// The server's row description names the base column of plain columns.
async fn describe(client: &Client, sql: &str, statement: &Statement) -> bool {
    let Ok(prepared) = client.prepare(sql).await else { return false };
    let Some(outputs) = lineage(statement).outputs else { return true };
    assert_eq!(prepared.columns().len(), outputs.len(), "{sql}");
    for (column, origin) in prepared.columns().iter().zip(&outputs) {
        if let (Some(relation), Some(column)) = (column.table_oid(), column.column_id())
            && column > 0
        {
            assert!(covers(origin, ColumnRef { relation, column }), "{sql}: {origin:?}");
        }
    }
    true
}

/// Every text value is the name of the column it is stored in: where one turns up, we must have
/// said so.
async fn run(client: &Client, sql: &str, statement: &Statement, catalog: &Catalog) -> bool {
    let harmless = statement.effects.iter().all(|e| match e.verb {
        Verb::Execute => e.object.path.get(1).is_some_and(|schema| &**schema == "public"),
        Verb::Control => e.object.kind == ObjectKind::Session,
        verb => e.object.kind == ObjectKind::Relation && !matches!(verb, Verb::Unknown),
    });
    if !harmless {
        return false;
    }
    client.batch_execute("BEGIN").await.unwrap();
    let answer = client.simple_query(sql).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    let Ok(answer) = answer else { return false };
    let outputs = lineage(statement).outputs;
    for message in answer {
        let SimpleQueryMessage::Row(row) = message else { continue };
        for place in 0..row.len() {
            let value = row.get(place).unwrap_or_default().to_lowercase();
            let Some(outputs) = &outputs else { continue };
            check_value(sql, &value, &outputs[place], catalog);
        }
    }
    true
}

fn check_value(sql: &str, value: &str, origin: &Origin, catalog: &Catalog) {
    for relation in catalog.relations().filter(|r| !r.is_system()) {
        for column in &relation.columns {
            let mark = format!("s_{}_{}", relation.name, column.name);
            if !value.contains(&mark) {
                continue;
            }
            // Two tables may share a name; their marks are the same.
            let same = catalog.relations_named(None, &relation.name);
            let said = same
                .iter()
                .any(|r| covers(origin, ColumnRef { relation: r.oid, column: column.number }));
            assert!(said, "{sql} shows {mark}, not {origin:?}");
        }
    }
}
