//! What a server shows of what a session did: counters and settings, locks, and the tree of a query
//! after views, rules and policies were put into it.

use portcullis_sql::catalog::{Catalog, DIGESTS, Detailed, System, full_queries, user_queries};
use portcullis_testkit::raw::{Message, RawClient, message, query, values};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that counts up, and what else may be other afterwards. Counters of the session's own
/// that were not yet added to those of the server are added here, so that it makes no difference
/// when that is done; what is left is added at once, lest it be counted for somebody else.
const MEASURE: &str = "SELECT 'relation', c.oid::pg_catalog.text, n.nspname::pg_catalog.text, \
        c.relname::pg_catalog.text, COALESCE(t.oid, i.indrelid, c.oid)::pg_catalog.text, \
        (pg_catalog.pg_stat_get_numscans(c.oid) \
         + pg_catalog.pg_stat_get_xact_numscans(c.oid))::pg_catalog.text, \
        (pg_catalog.pg_stat_get_tuples_inserted(c.oid) \
         + pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid))::pg_catalog.text, \
        (pg_catalog.pg_stat_get_tuples_updated(c.oid) \
         + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid))::pg_catalog.text, \
        (pg_catalog.pg_stat_get_tuples_deleted(c.oid) \
         + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid))::pg_catalog.text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
     LEFT JOIN pg_catalog.pg_class t ON t.reltoastrelid = COALESCE(i.indrelid, c.oid) \
     WHERE c.oid >= 16384 \
     UNION ALL SELECT 'function', p.oid::pg_catalog.text, '', '', '', \
        (COALESCE(pg_catalog.pg_stat_get_function_calls(p.oid), 0) \
         + COALESCE(pg_catalog.pg_stat_get_xact_function_calls(p.oid), 0))::pg_catalog.text, \
        '0', '0', '0' \
     FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 \
     UNION ALL SELECT 'operator', o.oid::pg_catalog.text, '', '', o.oprcode::pg_catalog.oid::pg_catalog.text, \
        '0', '0', '0', '0' \
     FROM pg_catalog.pg_operator o WHERE o.oid >= 16384 \
     UNION ALL SELECT 'sequence', c.oid::pg_catalog.text, '', '', '', \
        CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT') \
             THEN COALESCE(pg_catalog.pg_sequence_last_value(c.oid), 0) ELSE 0 \
        END::pg_catalog.text, '0', '0', '0' \
     FROM pg_catalog.pg_class c WHERE c.relkind = 'S' AND c.oid >= 16384 \
     UNION ALL SELECT 'default', d.objid::pg_catalog.text, '', '', d.refobjid::pg_catalog.text, \
        '0', '0', '0', '0' \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' \
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') \
     UNION ALL SELECT 'default', d.refobjid::pg_catalog.text, '', '', a.adrelid::pg_catalog.text, \
        '0', '0', '0', '0' \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid \
     JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' \
     WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass \
     UNION ALL SELECT 'setting', '0', s.name, s.setting, '', '0', '0', '0', '0' \
     FROM pg_catalog.pg_settings s \
     UNION ALL SELECT 'setting', '0', 'role', CURRENT_USER::pg_catalog.text, '', '0', '0', '0', '0' \
     UNION ALL SELECT 'setting', '0', 'session_authorization', SESSION_USER::pg_catalog.text, '', \
        '0', '0', '0', '0' \
     UNION ALL SELECT 'flush', '0', pg_catalog.pg_stat_force_next_flush()::pg_catalog.text, '', '', \
        '0', '0', '0', '0'";

/// What is called so, and what it is a part of: the table of an index or of a TOAST table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) of: u32,
}

/// The answer to [`MEASURE`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Measure {
    pub(crate) names: BTreeMap<u32, Named>,
    /// Scans, and rows inserted, updated, deleted.
    counts: BTreeMap<u32, [i64; 4]>,
    calls: BTreeMap<u32, i64>,
    /// Last values.
    sequences: BTreeMap<u32, i64>,
    /// Settings, and the roles that there are.
    pub(crate) settings: BTreeMap<String, String>,
    /// The functions of operators.
    pub(crate) operators: BTreeMap<u32, u32>,
    /// Sequences, and the tables whose columns take values of them by default.
    pub(crate) defaults: BTreeSet<(u32, u32)>,
}

/// What lies between two of them.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) counts: BTreeMap<u32, [bool; 4]>,
    pub(crate) called: BTreeSet<u32>,
    pub(crate) settings: BTreeSet<String>,
}

impl Measure {
    pub(crate) fn take(client: &mut RawClient) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for row in rows(&client.query(MEASURE)?)? {
            let [kind, oid, schema, name, of, counts @ ..] = row.as_slice() else { continue };
            let oid: u32 = oid.parse()?;
            let mut count = [0; 4];
            for (to, from) in count.iter_mut().zip(counts) {
                *to = from.parse()?;
            }
            match kind.as_str() {
                "relation" => {
                    let (schema, name) = (schema.clone(), name.clone());
                    all.names.insert(oid, Named { schema, name, of: of.parse()? });
                    all.counts.insert(oid, count);
                }
                "sequence" => drop(all.sequences.insert(oid, count[0])),
                "operator" => drop(all.operators.insert(oid, of.parse()?)),
                "default" => drop(all.defaults.insert((oid, of.parse()?))),
                "function" => drop(all.calls.insert(oid, count[0])),
                "setting" => drop(all.settings.insert(schema.clone(), name.clone())),
                _ => {}
            }
        }
        Ok(all)
    }

    /// What was done since. Where something was emptied or made anew its counters begin again.
    pub(crate) fn since(&self, before: &Self) -> Difference {
        let mut seen = Difference::default();
        for (oid, after) in &self.counts {
            let before = before.counts.get(oid).copied().unwrap_or_default();
            let mut more = [false; 4];
            for (place, more) in more.iter_mut().enumerate() {
                *more = after[place] > before[place];
            }
            seen.counts.insert(*oid, more);
        }
        for (oid, last) in &self.sequences {
            if before.sequences.get(oid).is_some_and(|before| before != last) {
                seen.counts.insert(*oid, [false, false, true, false]);
            }
        }
        seen.counts.retain(|_, more| more.contains(&true));
        let more =
            |(oid, calls): &(&u32, &i64)| **calls > before.calls.get(oid).copied().unwrap_or(0);
        seen.called = self.calls.iter().filter(more).map(|(oid, _)| *oid).collect();
        // Those of a library come to be when it is first used; others show to superusers alone.
        let role = |all: &Self| all.settings.get("role").cloned();
        let same = role(self) == role(before);
        let other = |(name, value): &(&String, &String)| match before.settings.get(*name) {
            Some(before) => before != *value && (same || *name == "role"),
            None => !name.contains('.') && same,
        };
        seen.settings = self.settings.iter().filter(other).map(|(name, _)| name.clone()).collect();
        seen
    }
}

/// What the server's own relations are called: they are the same for good.
pub(crate) fn system(client: &mut RawClient) -> anyhow::Result<BTreeMap<u32, Named>> {
    let sql = "SELECT c.oid, n.nspname, c.relname, COALESCE(t.oid, i.indrelid, c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_index i ON i.indexrelid = c.oid \
         LEFT JOIN pg_class t ON t.reltoastrelid = COALESCE(i.indrelid, c.oid) WHERE c.oid < 16384";
    let all = rows(&client.query(sql)?)?.into_iter().map(|row| {
        let named = Named { schema: row[1].clone(), name: row[2].clone(), of: row[3].parse()? };
        Ok((row[0].parse()?, named))
    });
    all.collect()
}

/// True where the transaction has changed something.
pub(crate) fn changed(client: &mut RawClient) -> anyhow::Result<bool> {
    let seen = client.query("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL")?;
    Ok(rows(&seen).map_or(true, |rows| rows.concat() != ["f"]))
}

/// A lock that a session holds: on a relation, or an advisory one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lock {
    Relation(u32, String),
    Advisory(String),
}

/// The locks of a session, as another one sees them.
pub(crate) fn locks(observer: &mut RawClient, process: u32) -> anyhow::Result<BTreeSet<Lock>> {
    let sql = format!(
        "SELECT locktype, COALESCE(relation, 0)::text, mode, concat_ws(' ', classid, objid, objsubid) \
         FROM pg_locks WHERE pid = {process} AND granted AND locktype IN ('relation', 'advisory')"
    );
    let all = rows(&observer.query(&sql)?)?.into_iter().map(|row| {
        Ok(match row[0].as_str() {
            "relation" => Lock::Relation(row[1].parse()?, row[2].clone()),
            _ => Lock::Advisory(row[3].clone()),
        })
    });
    all.collect()
}

/// What stands in a query's own text once views, rules and policies are put into it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Relations, and the privileges the query needs on them (`ACL_…`, PostgreSQL
    /// `src/include/nodes/parsenodes.h`).
    pub(crate) relations: BTreeSet<(u32, u32)>,
    pub(crate) functions: BTreeSet<u32>,
    pub(crate) operators: BTreeSet<u32>,
}

/// Has the server analyse a statement without running it. In a transaction, which it may fail.
pub(crate) fn tree(client: &mut RawClient, sql: &[u8]) -> anyhow::Result<Option<Tree>> {
    client.query(
        "SET LOCAL client_min_messages = log; SET LOCAL debug_pretty_print = off; \
         SET LOCAL debug_print_rewritten = on",
    )?;
    let parse = message(b'P', &[b"\0", sql, b"\0\0\0"].concat());
    client.send(&[parse, message(b'S', b"")].concat())?;
    let seen = client.until(b'Z')?;
    if seen.iter().any(|m| m.tag == b'E') {
        return Ok(None);
    }
    let mut tree = Tree::default();
    // Code that runs while literals are read has trees as well, which come before.
    if let Some(notice) = seen.iter().rev().find(|m| m.tag == b'N') {
        // It is broken into lines at any space.
        let text = String::from_utf8_lossy(&notice.body).into_owned();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in text.split(":rtekind 0 :relid ").skip(1) {
            let number = |text: &str| -> u32 {
                text.split([' ', ')', '}']).next().and_then(|n| n.parse().ok()).unwrap_or(0)
            };
            let privileges = part.split(":requiredPerms ").nth(1).map_or(0, number);
            tree.relations.insert((number(part), privileges));
        }
        for mark in [":funcid ", ":aggfnoid ", ":winfnoid ", ":opno "] {
            let into = if mark == ":opno " { &mut tree.operators } else { &mut tree.functions };
            let numbers = text.split(mark).skip(1).filter_map(|part| part.split(' ').next());
            into.extend(numbers.filter_map(|n| n.parse::<u32>().ok()).filter(|n| *n >= 16_384));
        }
    }
    Ok(Some(tree))
}

/// The catalog as the session sees it, read as the gateway reads it.
pub(crate) fn catalog(
    client: &mut RawClient,
    database: &str,
    system: &mut Option<System>,
    inside: bool,
) -> anyhow::Result<Detailed> {
    let around = match inside {
        true => (
            "SAVEPOINT oracle; SET LOCAL search_path = pg_catalog",
            "ROLLBACK TO SAVEPOINT oracle; RELEASE SAVEPOINT oracle",
        ),
        false => ("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog", "COMMIT"),
    };
    let digests = answers(client, around, &DIGESTS)?;
    if let Some(known) = system.as_ref() {
        let mut rows = answers(client, around, user_queries())?;
        if known.is_current(&mut rows) {
            let catalog = Catalog::from_user_rows(database, &rows, known)?;
            return Ok(Detailed::new(catalog.into(), &digests)?);
        }
    }
    let mut rows = answers(client, around, full_queries())?;
    let fresh = system.insert(System::split(&mut rows)?);
    let catalog = Catalog::from_user_rows(database, &rows, fresh)?;
    Ok(Detailed::new(catalog.into(), &digests)?)
}

type Rows = Vec<Vec<Vec<Option<String>>>>;

fn answers(
    client: &mut RawClient,
    (open, close): (&str, &str),
    queries: &[&str],
) -> anyhow::Result<Rows> {
    let all = [open].into_iter().chain(queries.iter().copied()).chain([close]);
    let bytes: Vec<u8> = all.flat_map(|sql| query(sql)).collect();
    client.send(&bytes)?;
    let mut answers = Vec::new();
    for _ in 0..queries.len() + 2 {
        let seen = client.until(b'Z')?;
        let error = seen.iter().find(|m| m.tag == b'E');
        anyhow::ensure!(error.is_none(), "the catalog: {:?}", error.map(Message::shown));
        let text = |v: Option<Vec<u8>>| v.map(|v| String::from_utf8_lossy(&v).into_owned());
        let row = |m: &Message| values(&m.body).into_iter().map(text).collect();
        answers.push(seen.iter().filter(|m| m.tag == b'D').map(row).collect());
    }
    answers.pop();
    answers.remove(0);
    Ok(answers)
}

/// The rows of an answer, without NULLs.
pub(crate) fn rows(seen: &[Message]) -> anyhow::Result<Vec<Vec<String>>> {
    let error = seen.iter().find(|m| m.tag == b'E');
    anyhow::ensure!(error.is_none(), "{:?}", error.map(Message::shown));
    let text = |v: Option<Vec<u8>>| String::from_utf8_lossy(&v.unwrap_or_default()).into_owned();
    let rows = seen.iter().filter(|m| m.tag == b'D');
    Ok(rows.map(|m| values(&m.body).into_iter().map(text).collect()).collect())
}
