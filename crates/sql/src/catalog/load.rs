//! Reading the catalog: the queries the gateway runs over the link, and their answers as a
//! [`Catalog`].

use super::types::{self, Types};
use super::{
    Builtin, Builtins, Catalog, CatalogError, Column, FIRST_USER_OID, Function, HiddenCode,
    Operator, Reference, Relation, RelationKind, Trigger, ViewBody,
};
use portcullis_core::digest::{Digest, Digester};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

/// The columns of relations, those of the server first.
macro_rules! columns {
    ($which:literal) => {
        concat!(
            "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.attgenerated <> '' \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             WHERE c.relkind IN ('r','v','m','f','p','c','S') AND a.attnum > 0 \
               AND NOT a.attisdropped",
            $which,
            " ORDER BY a.attrelid, a.attnum"
        )
    };
}

/// Types with what they are made of, labels of enumerations, and by which extension they are; those
/// of the server first.
macro_rules! types {
    ($which:literal) => {
        concat!(
            "SELECT t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typelem, \
                    t.typbasetype, t.typrelid, \
                    t.typtype = 'd' AND EXISTS (SELECT FROM pg_catalog.pg_constraint k \
                        WHERE k.contypid = t.oid AND k.contype = 'c'), \
                    CASE WHEN t.typname IN ('citext', 'hstore') THEN ( \
                      SELECT e.extname::pg_catalog.text \
                      FROM pg_catalog.pg_depend d \
                      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
                      WHERE d.objid = t.oid AND d.deptype = 'e' \
                        AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass \
                        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass) END, \
                    CASE WHEN t.typtype = 'e' THEN ( \
                      SELECT pg_catalog.string_agg(l.enumlabel, E'\\n' ORDER BY l.enumsortorder) \
                      FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid) END \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace",
            $which,
            " ORDER BY t.oid"
        )
    };
}

/// Says how many rows of the server itself a catalog has, and which transactions made them; `initdb`
/// makes most in its first.
macro_rules! stamp {
    ($catalog:literal, $number:literal) => {
        concat!(
            "(SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), \
                pg_catalog.sum(xmin::pg_catalog.text::pg_catalog.int8) \
                  FILTER (WHERE xmin <> '1'::pg_catalog.xid)) \
              FROM pg_catalog.",
            $catalog,
            " WHERE ",
            $number,
            " < 16384)"
        )
    };
}

/// The functions of the server that do more than tell something: what is volatile, and what runs
/// queries or code by its arguments. Those left out are among the harmless ones of the analysis
/// (`facts/functions.rs`), which looks at each of the rest again where it stands by its name. All
/// functions are gone through at each reading, four times: `LIKE` and lists, because a regular
/// expression takes three times as long.
macro_rules! reaching {
    () => {
        "SELECT p.oid, p.proname FROM pg_catalog.pg_proc p \
         WHERE p.oid < 16384 AND (p.provolatile = 'v' OR p.proname LIKE '%\\_to\\_xml%' \
             OR p.proname LIKE 'pg\\_input\\_%' \
             OR p.proname = ANY (ARRAY['domain_in', 'array_in', 'record_in', 'range_in', \
               'multirange_in', 'domain_recv', 'array_recv', 'record_recv', 'range_recv', \
               'multirange_recv'])) \
           AND p.proname NOT LIKE 'pg\\_stat\\_get\\_%' \
           AND p.proname NOT LIKE 'pg\\_control\\_%' \
           AND NOT (p.proname LIKE 'uuidv%' AND p.proname ~ '^uuidv[0-9]') \
           AND p.proname <> ALL (ARRAY['random', 'random_normal', 'setseed', 'clock_timestamp', \
             'timeofday', 'current_query', 'gen_random_uuid', 'array_shuffle', 'array_sample', \
             'txid_status', 'pg_xact_status', 'currval', 'lastval', 'timezone', \
             'pg_relation_size', 'pg_total_relation_size', 'pg_is_in_recovery'])"
    };
}

/// The functions that the expression `$tree` calls, as `m.found[1]`.
macro_rules! called {
    ($tree:literal) => {
        concat!(
            "LATERAL pg_catalog.regexp_matches(",
            $tree,
            "::pg_catalog.text, 'funcid ([0-9]+)', 'g') m(found)"
        )
    };
}

/// Says by its answer whether what belongs to the server itself has changed: any change of a row
/// gives it the number of a later transaction.
const FINGERPRINT: &str = concat!(
    "SELECT pg_catalog.concat_ws(' ', ",
    stamp!("pg_proc", "oid"),
    ", ",
    stamp!("pg_type", "oid"),
    ", ",
    stamp!("pg_namespace", "oid"),
    ", ",
    stamp!("pg_attribute", "attrelid"),
    ")"
);

/// What is asked of the target, PostgreSQL 13 to 18, in order. No parameters; text results.
/// They are asked with `pg_catalog` alone in the `search_path`: operators are found there, and
/// definitions name everything with its schema.
pub const QUERIES: &[&str] = &[
    // 0: the server, and whether credentials are among its settings, or settings of applications among
    // those that functions are run with
    "SELECT pg_catalog.current_setting('server_version_num'), \
            EXISTS (SELECT FROM pg_catalog.pg_settings s \
                    WHERE s.name IN ('primary_conninfo', 'ssl_passphrase_command') \
                      AND s.setting <> ''), \
            EXISTS (SELECT FROM pg_catalog.pg_proc p \
                    WHERE p.proconfig IS NOT NULL \
                      AND p.proconfig::pg_catalog.text ~ '[{,\"][^=,]*[.][^=,]*=')",
    // 1: schemas
    "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_toast' ORDER BY oid",
    // 2: relations
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::pg_catalog.int8, \
            EXISTS (SELECT FROM pg_catalog.pg_rewrite r \
                    WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'), \
            CASE c.relkind WHEN 'p' THEN (SELECT k.partattrs::pg_catalog.text \
                    FROM pg_catalog.pg_partitioned_table k WHERE k.partrelid = c.oid) END, \
            (SELECT pg_catalog.string_agg(pg_catalog.array_to_string(k.conkey, ' '), ' ') \
             FROM pg_catalog.pg_constraint k \
             WHERE k.conrelid = c.oid AND k.contype = 'p' AND c.oid >= 16384), \
            CASE WHEN c.oid >= 16384 THEN (SELECT pg_catalog.string_agg(k.keys, ' ') FROM ( \
              SELECT i.indkey::pg_catalog.text AS keys FROM pg_catalog.pg_index i \
                WHERE i.indrelid = c.oid AND i.indisunique \
              UNION ALL SELECT '0' FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid \
                AND (i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) \
              UNION ALL SELECT pg_catalog.array_to_string(o.conkey, ' ') \
                FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'f' \
              UNION ALL SELECT '0' FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = c.oid \
              UNION ALL SELECT '0' FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) k) END \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r','v','m','f','p','S','c') AND n.nspname !~ '^pg_toast' \
       AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) ORDER BY c.oid",
    // 3: columns
    columns!(""),
    // 4: definitions of views. Reading one waits for locks on what it is made of, so those whose
    // relations somebody has locked are left out: they are views of unknown text.
    "SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) \
     FROM pg_catalog.pg_class c \
     WHERE c.relkind IN ('v','m') AND c.oid >= 16384 AND NOT EXISTS ( \
       SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_depend d \
          ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = l.relation \
         AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
       JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
       WHERE l.mode = 'AccessExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid() \
         AND l.database = (SELECT b.oid FROM pg_catalog.pg_database b \
                           WHERE b.datname = pg_catalog.current_database()) \
         AND r.ev_class = c.oid) ORDER BY c.oid",
    // 5: what views depend on: relations and columns (r), functions (f), operators (o)
    "SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid, \
            CASE d.refclassid WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN 'r' \
                 WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN 'f' ELSE 'o' END \
     FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
     WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.rulename = '_RETURN' \
       AND r.ev_class >= 16384 AND NOT (d.refobjid = r.ev_class AND d.deptype = 'i') \
       AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND NOT (d.refobjid = r.ev_class) \
            OR d.refobjid >= 16384 \
               AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, \
                                    'pg_catalog.pg_operator'::pg_catalog.regclass)) \
     ORDER BY 1, 4, 2, 3",
    // 6: functions of users
    "SELECT p.oid, n.nspname, p.proname, p.proargtypes, l.lanname, p.provolatile, p.prosecdef, \
            p.prokind, p.proretset, \
            EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid \
                    AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
                    AND d.deptype = 'e'), \
            CASE WHEN l.lanname = 'sql' AND p.provolatile <> 'v' AND p.prokind = 'f' \
                      AND NOT p.prosecdef AND p.proconfig IS NULL \
                      AND pg_catalog.length(p.prosrc) BETWEEN 1 AND 16384 \
                 THEN pg_catalog.pg_get_functiondef(p.oid) END, \
            p.prorettype, pg_catalog.array_to_string(p.proallargtypes, ' ') \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     WHERE p.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema') \
     ORDER BY p.oid",
    // 7: functions of the server, by name
    "SELECT f.proname, pg_catalog.bool_or(f.vol), pg_catalog.bool_or(f.agg), \
            pg_catalog.bool_and(f.outs IS NULL AND f.typtype IN ('b','d','e','r','m')), \
            CASE WHEN pg_catalog.count(*) = pg_catalog.count(f.outs) \
                  AND pg_catalog.min(f.outs) = pg_catalog.max(f.outs) \
                 THEN pg_catalog.min(f.outs) END, \
            pg_catalog.bool_or(f.set) \
     FROM (SELECT p.proname, p.provolatile = 'v' AS vol, p.prokind = 'a' AS agg, t.typtype, \
                  p.proretset AS set, \
                  (SELECT pg_catalog.string_agg(COALESCE(a.name, ''), ',' ORDER BY a.ord) \
                   FROM ROWS FROM (pg_catalog.unnest(p.proargnames), \
                                   pg_catalog.unnest(p.proargmodes)) \
                        WITH ORDINALITY AS a(name, mode, ord) \
                   WHERE a.mode IN ('o','b','t')) AS outs \
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_type t ON t.oid = p.prorettype \
           JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
           WHERE p.oid < 16384 AND n.nspname IN ('pg_catalog', 'information_schema')) f \
     GROUP BY f.proname ORDER BY f.proname",
    // 8: operators of users
    "SELECT o.oid, o.oprname, n.nspname, pn.nspname, p.proname, \
            p.provolatile <> 'v' AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
                WHERE d.objid = o.oid AND d.deptype = 'e' \
                  AND d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass) \
     FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
     JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode \
     JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace \
     WHERE o.oid >= 16384 ORDER BY o.oid",
    // 9: types of which code of users, or a function of the server that reaches further, reads
    // literals (r: checks of domains, input functions, what
    // ranges are made with), makes values otherwise (m: casts, defaults of domains) or compares
    // values (c: operator classes, ranges). What is made of such types is one too (`types.rs`).
    concat!(
        "WITH reaching(oid, name) AS MATERIALIZED (",
        reaching!(),
        "), \
     extended(classid, objid) AS MATERIALIZED ( \
       SELECT classid, objid FROM pg_catalog.pg_depend \
       WHERE refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype = 'e'), \
     wild(oid) AS MATERIALIZED ( \
       SELECT p.oid FROM pg_catalog.pg_proc p \
       WHERE p.oid >= 16384 AND NOT (p.provolatile <> 'v' AND EXISTS ( \
         SELECT FROM extended e WHERE e.objid = p.oid \
           AND e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)) \
       UNION ALL SELECT oid FROM reaching), \
     wild_operator(oid) AS MATERIALIZED ( \
       SELECT o.oid FROM pg_catalog.pg_operator o \
       WHERE o.oid >= 16384 AND o.oprcode IN (SELECT oid FROM wild)), \
     wild_family(oid) AS MATERIALIZED ( \
       SELECT a.amprocfamily FROM pg_catalog.pg_amproc a WHERE a.amproc IN (SELECT oid FROM wild) \
       UNION ALL SELECT a.amopfamily FROM pg_catalog.pg_amop a \
         WHERE a.amopopr IN (SELECT oid FROM wild_operator)) \
     SELECT 'r', r.rngtypid FROM pg_catalog.pg_range r \
       WHERE r.rngtypid >= 16384 AND (r.rngcanonical IN (SELECT oid FROM wild) \
         OR r.rngsubopc IN (SELECT c.oid FROM pg_catalog.pg_opclass c \
                            WHERE c.opcfamily IN (SELECT oid FROM wild_family))) \
     UNION SELECT 'r', t.oid FROM pg_catalog.pg_type t \
       WHERE t.typtype = 'b' AND t.typinput >= 16384 AND t.oid >= 16384 AND NOT EXISTS ( \
         SELECT FROM extended e WHERE e.objid = t.oid \
           AND e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
     UNION SELECT 'r', k.contypid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid \
        AND d.refobjid >= 16384 \
        AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, \
                             'pg_catalog.pg_operator'::pg_catalog.regclass) \
       WHERE k.contypid >= 16384 AND NOT ( \
         EXISTS (SELECT FROM extended e \
                 WHERE e.classid = d.refclassid AND e.objid = d.refobjid) \
         AND (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
              AND EXISTS (SELECT FROM pg_catalog.pg_proc p \
                JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.oid = d.refobjid \
                  AND p.provolatile = 'i' AND l.lanname = 'c' AND NOT p.prosecdef) \
           OR d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass \
              AND EXISTS (SELECT FROM pg_catalog.pg_operator o \
                JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode \
                WHERE o.oid = d.refobjid AND p.provolatile <> 'v'))) \
     UNION SELECT 'm', k.casttarget FROM pg_catalog.pg_cast k \
       JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc \
       WHERE k.castfunc >= 16384 AND NOT (p.provolatile <> 'v' AND EXISTS ( \
         SELECT FROM extended e WHERE e.objid = k.oid \
           AND e.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass)) \
     UNION SELECT 'm', k.casttarget FROM pg_catalog.pg_cast k \
       WHERE k.oid >= 16384 AND k.castfunc IN (SELECT oid FROM reaching) \
     UNION SELECT 'r', k.contypid FROM pg_catalog.pg_constraint k, ",
        called!("k.conbin"),
        " \
       WHERE k.contypid >= 16384 AND m.found[1]::pg_catalog.oid IN (SELECT oid FROM reaching) \
     UNION SELECT 'm', t.oid FROM pg_catalog.pg_type t, ",
        called!("t.typdefaultbin"),
        " \
       WHERE t.typtype = 'd' AND t.oid >= 16384 AND m.found[1]::pg_catalog.oid IN ( \
         SELECT oid FROM reaching WHERE name <> 'nextval') \
     UNION SELECT 'm', t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid \
       WHERE t.typtype = 'd' \
         AND (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
              AND d.refobjid IN (SELECT oid FROM wild) \
           OR d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass \
              AND d.refobjid IN (SELECT oid FROM wild_operator)) \
     UNION SELECT 'c', c.opcintype FROM pg_catalog.pg_opclass c \
       WHERE c.opcdefault AND c.opcfamily IN (SELECT oid FROM wild_family) \
     UNION SELECT 'c', r.rngtypid FROM pg_catalog.pg_range r \
       WHERE r.rngsubdiff IN (SELECT oid FROM wild) \
     ORDER BY 1, 2"
    ),
    // 10: what casts by functions of users convert unless they have to be asked for
    concat!(
        "WITH reaching(oid, name) AS (",
        reaching!(),
        ") \
     SELECT k.castsource \
     FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc \
     WHERE k.oid >= 16384 AND k.castcontext <> 'e' \
       AND (k.castfunc >= 16384 OR k.castfunc IN (SELECT oid FROM reaching)) \
       AND NOT (p.provolatile <> 'v' AND EXISTS ( \
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = k.oid AND d.deptype = 'e' \
          AND d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass)) ORDER BY k.oid"
    ),
    // 11: partitions and inheritance
    "SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits ORDER BY 1, 2",
    // 12: foreign keys
    "SELECT DISTINCT confrelid, conrelid, confdeltype, confupdtype, \
            pg_catalog.array_to_string(confkey, ' ') \
     FROM pg_catalog.pg_constraint WHERE contype = 'f' ORDER BY 1, 2, 5",
    // 13: triggers on relations, but for those of constraints, and (0) on definitions; whether the
    // function is the server's own, and what it is given
    "SELECT t.tgrelid, t.tgname, t.tgtype, n.nspname, p.proname, t.oid, p.oid < 16384, \
            pg_catalog.encode(t.tgargs, 'escape') \
     FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     WHERE t.tgenabled <> 'D' AND (p.oid >= 16384 \
            OR p.proname !~ '^RI_FKey_' AND p.proname <> 'unique_key_recheck') \
     UNION ALL SELECT 0, e.evtname, 0, n.nspname, p.proname, e.oid, false, '' \
     FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     WHERE e.evtenabled <> 'D' ORDER BY 6",
    // 14: functions of users in defaults, generated columns, checks, indexes, statistics, keys of
    // partitions, conditions of triggers, and policies; by their names, by operators and by operator
    // classes, which decide where a row is looked for. Of extensions' operators only those that may
    // do more. And types there, which may run code. What generated columns need belongs to the
    // column, before PostgreSQL 15; the virtual ones are made by reading. Functions of the server that
    // reach further too, by name (nothing depends on those): but for `nextval` in a default, which
    // belongs to the insert. The last says whether deleting runs it.
    concat!(
        "WITH reaching(oid, name) AS MATERIALIZED (",
        reaching!(),
        "), \
     wild(oid) AS MATERIALIZED ( \
       SELECT p.oid FROM pg_catalog.pg_proc p \
       WHERE p.oid >= 16384 AND NOT (p.provolatile <> 'v' AND EXISTS ( \
         SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e' \
           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
           AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)) \
       UNION ALL SELECT oid FROM reaching), \
     wild_operator(oid, function) AS MATERIALIZED ( \
       SELECT o.oid, w.oid FROM pg_catalog.pg_operator o JOIN wild w ON w.oid = o.oprcode \
       WHERE o.oid >= 16384), \
     behind(classid, objid, function, on_read) AS ( \
       SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.oid, false \
         FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 \
       UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, o.function, false \
         FROM wild_operator o \
       UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, c.oid, w.oid, true \
         FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_amproc a ON a.amprocfamily = c.opcfamily \
         JOIN wild w ON w.oid = a.amproc \
       UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, c.oid, o.function, true \
         FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily \
         JOIN wild_operator o ON o.oid = a.amopopr), \
     needed(classid, objid, objsubid, function, on_read, type) AS MATERIALIZED ( \
       SELECT d.classid, d.objid, d.objsubid, b.function, b.on_read, NULL::pg_catalog.oid \
         FROM pg_catalog.pg_depend d \
         JOIN behind b ON b.classid = d.refclassid AND b.objid = d.refobjid \
       UNION ALL SELECT d.classid, d.objid, d.objsubid, NULL, false, d.refobjid \
         FROM pg_catalog.pg_depend d \
         WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid >= 16384 \
           AND (d.objsubid = 0 OR d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND (d.objid, d.objsubid) IN ( \
                  SELECT k.adrelid, k.adnum FROM pg_catalog.pg_attrdef k))), \
     trees(relation, on_read, on_delete, tree, is_default) AS ( \
       SELECT k.adrelid, false, false, k.adbin, true FROM pg_catalog.pg_attrdef k \
       UNION ALL SELECT c.conrelid, false, false, c.conbin, false \
         FROM pg_catalog.pg_constraint c WHERE c.conrelid <> 0 AND c.conbin IS NOT NULL \
       UNION ALL SELECT t.tgrelid, false, true, t.tgqual, false FROM pg_catalog.pg_trigger t \
         WHERE t.tgenabled <> 'D' AND t.tgqual IS NOT NULL \
       UNION ALL SELECT p.polrelid, true, false, tree, false \
         FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid, \
           LATERAL (VALUES (p.polqual), (p.polwithcheck)) e(tree) \
         WHERE c.relrowsecurity AND tree IS NOT NULL), \
     x(relation, on_read, function, type, on_delete) AS MATERIALIZED ( \
       SELECT CASE d.classid \
           WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN k.adrelid \
           WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN ( \
             SELECT c.conrelid FROM pg_catalog.pg_constraint c \
             WHERE c.oid = d.objid AND c.conrelid <> 0) \
           WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN ( \
             SELECT s.stxrelid FROM pg_catalog.pg_statistic_ext s WHERE s.oid = d.objid) \
           WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN ( \
             SELECT t.tgrelid FROM pg_catalog.pg_trigger t \
             WHERE t.oid = d.objid AND t.tgenabled <> 'D' AND t.tgqual IS NOT NULL) \
           WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN ( \
             SELECT p.polrelid FROM pg_catalog.pg_policy p \
             JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
             WHERE p.oid = d.objid AND c.relrowsecurity) \
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN \
             CASE WHEN d.objsubid <> 0 THEN ( \
               SELECT a.attrelid FROM pg_catalog.pg_attribute a \
               WHERE a.attrelid = d.objid AND a.attnum = d.objsubid AND a.attgenerated <> '') \
             ELSE COALESCE( \
               (SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = d.objid), \
               (SELECT p.partrelid FROM pg_catalog.pg_partitioned_table p \
                WHERE p.partrelid = d.objid)) END \
         END, \
         d.on_read OR d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass OR CASE \
           WHEN k.oid IS NOT NULL THEN ( \
             SELECT a.attgenerated = 'v' FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = k.adrelid AND a.attnum = k.adnum) \
           WHEN d.objsubid <> 0 THEN ( \
             SELECT a.attgenerated = 'v' FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = d.objid AND a.attnum = d.objsubid) \
           ELSE false END, \
         d.function, d.type, d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass \
       FROM needed d LEFT JOIN pg_catalog.pg_attrdef k \
         ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND k.oid = d.objid \
       WHERE d.objsubid = 0 OR d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
       UNION ALL SELECT t.relation, t.on_read, r.oid, NULL, t.on_delete \
         FROM trees t, ",
        called!("t.tree"),
        " \
         JOIN reaching r ON r.oid = m.found[1]::pg_catalog.oid \
         WHERE NOT (t.is_default AND r.name = 'nextval')) \
     SELECT DISTINCT x.relation, x.on_read, x.function, x.type, r.name, x.on_delete \
     FROM x LEFT JOIN reaching r ON r.oid = x.function WHERE x.relation IS NOT NULL \
     ORDER BY 1, 2, 3, 4, 6"
    ),
    // 15: types whose values implicit casts by functions of users may convert, as may be what is made
    // of them. Functions that make documents use casts to json unasked, of whatever context
    // (json_categorize_type, PostgreSQL `src/backend/utils/adt/jsonfuncs.c`). Those from a type of the server count where the function is volatile. The server makes
    // one for every range type, of its own code (language 12).
    concat!(
        "WITH reaching(oid, name) AS (",
        reaching!(),
        ") \
     SELECT k.castsource, p.oid, n.nspname, p.proname \
     FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     WHERE k.oid >= 16384 AND (k.castcontext = 'i' OR k.casttarget = 114) \
       AND (k.castfunc >= 16384 OR k.castfunc IN (SELECT oid FROM reaching)) \
       AND NOT (p.prolang = 12 AND p.prosrc = 'multirange_constructor1') \
       AND (p.provolatile = 'v' OR k.castsource >= 16384 AND NOT EXISTS ( \
         SELECT FROM pg_catalog.pg_depend d WHERE d.objid = k.oid AND d.deptype = 'e' \
          AND d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass)) ORDER BY 1, 2"
    ),
    // 16: what generated columns are made of
    "SELECT DISTINCT a.attrelid, a.attnum, d.refobjsubid \
     FROM pg_catalog.pg_attrdef k JOIN pg_catalog.pg_attribute a \
       ON a.attrelid = k.adrelid AND a.attnum = k.adnum \
     JOIN pg_catalog.pg_depend d \
       ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
          AND d.objid = a.attrelid AND d.objsubid = a.attnum \
       OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = k.oid \
     WHERE a.attgenerated <> '' \
       AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.refobjid = a.attrelid AND d.refobjsubid > 0 \
            AND d.refobjsubid <> a.attnum) IS TRUE ORDER BY 1, 2, 3",
    // 17: types
    types!(""),
    // 18: ranges; PostgreSQL 13 has no multiranges
    "SELECT r.rngtypid, r.rngsubtype, \
            COALESCE(pg_catalog.to_jsonb(r)->>'rngmultitypid', '0') \
     FROM pg_catalog.pg_range r ORDER BY 1",
    // 19: which transactions wrote the rules of users' relations, those of views among them
    "SELECT r.ev_class, r.oid, r.xmin FROM pg_catalog.pg_rewrite r \
     WHERE r.ev_class >= 16384 ORDER BY 1, 2",
];

/// What is asked of a session before its request is put to people: how it reads and runs
/// statements. Name and value, and `f` where a setting counts only for what reads it; text results.
/// Like [`QUERIES`] it has nothing of a caller's in it.
///
/// Settings that anybody or a superuser can change all count, but for those that only decide
/// how fast something is, how long it may take, what is logged and how the session is called: what
/// is not known to be harmless counts. Those of a library (`plpgsql.…`) come to be when it is first
/// used, so they count once they are given a value. Settings that exist by use alone (`app.tenant`) are shown by
/// no view, so those are asked for that functions, policies and views name.
///
/// The first is asked under the session's own `search_path`, so its operators are qualified as well: a
/// schema before `pg_catalog` may have some of its own. The others are asked like [`QUERIES`], since
/// functions of the server that show definitions find operators by the `search_path` themselves.
pub const SURROUNDINGS: &[&str] = &[
    "SELECT 'role', CURRENT_USER::pg_catalog.text, true \
     UNION ALL SELECT 'session role', SESSION_USER::pg_catalog.text, true \
     UNION ALL SELECT 'temporary tables', \
       COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.oid, c.relname) \
                   ORDER BY c.oid)::pg_catalog.text \
                 FROM pg_catalog.pg_class c \
                 WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
                   AND pg_catalog.strpos('rvpfS', c.relkind::pg_catalog.text) \
                       OPERATOR(pg_catalog.>) 0), ''), true \
     UNION ALL SELECT s.name, s.setting, \
         s.context OPERATOR(pg_catalog.=) ANY (ARRAY['user', 'superuser']) \
         AND (pg_catalog.strpos(s.name, '.') OPERATOR(pg_catalog.=) 0 \
              OR s.source OPERATOR(pg_catalog.<>) 'default') \
         AND s.name OPERATOR(pg_catalog.<>) ALL (ARRAY[ \
             'application_name', 'client_min_messages', 'plan_cache_mode', 'work_mem', \
             'temp_buffers', 'hash_mem_multiplier', 'seq_page_cost', 'synchronous_commit']) \
         AND s.name OPERATOR(pg_catalog.!~) ALL (ARRAY[ \
             '^(auto_explain|backend_flush|commit_|compute_query|cpu_|debug_|effective_)', \
             '^(enable_|from_collapse|geqo|io_|jit|join_collapse|log_|logging_)', \
             '^(logical_decoding_work|maintenance_|max_|min_parallel|parallel_|random_)', \
             '^(stats_|tcp_|temp_file|trace_|track_|vacuum_|wal_)', \
             '(_timeout|_limit|_cost)$']) \
       FROM pg_catalog.pg_settings s",
    "SELECT DISTINCT m.found[1], \
            CASE WHEN pg_catalog.strpos(m.found[1], '.') > 0 \
              THEN COALESCE(pg_catalog.current_setting(m.found[1], true), '') ELSE '' END \
     FROM (SELECT p.prosrc FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 \
           UNION ALL SELECT pg_catalog.pg_get_expr(p.polqual, p.polrelid) \
             FROM pg_catalog.pg_policy p \
           UNION ALL SELECT pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) \
             FROM pg_catalog.pg_policy p \
           UNION ALL SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c \
             WHERE c.relkind = 'v' AND c.oid >= 16384 \
           UNION ALL SELECT pg_catalog.pg_get_expr(k.adbin, k.adrelid) \
             FROM pg_catalog.pg_attrdef k \
           UNION ALL SELECT pg_catalog.pg_get_expr(k.conbin, k.conrelid) \
             FROM pg_catalog.pg_constraint k WHERE k.contype = 'c') d(text), \
       LATERAL pg_catalog.regexp_matches(d.text, \
         'current_setting\\s*\\(\\s*''([A-Za-z_][A-Za-z0-9_$.]*)''', 'gi') m(found)",
];

/// Which of [`QUERIES`] reads definitions of views.
pub const VIEWS: usize = 4;
/// Where the fingerprint stands among the answers to [`user_queries`]: in the place of what is read
/// of the server alone.
const SERVERS_FUNCTIONS: usize = 7;
/// The answers with rows of the server itself, which are long and stay as they are.
const SERVERS: [usize; 3] = [3, SERVERS_FUNCTIONS, 17];

static FULL: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let fingerprint = std::iter::once(FINGERPRINT);
    fingerprint.clone().chain(QUERIES.iter().copied()).chain(fingerprint).collect()
});

static USERS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut queries = QUERIES.to_vec();
    let users =
        [columns!(" AND a.attrelid >= 16384"), FINGERPRINT, types!(" WHERE t.oid >= 16384")];
    for (place, query) in SERVERS.into_iter().zip(users) {
        if let Some(at) = queries.get_mut(place) {
            *at = query;
        }
    }
    queries
});

/// Everything, with what [`System::split`] needs to keep the server's own part.
#[must_use]
pub fn full_queries() -> &'static [&'static str] {
    &FULL
}

/// What belongs to users, with what [`System::is_current`] needs to tell whether the server's own
/// part is still as it was.
#[must_use]
pub fn user_queries() -> &'static [&'static str] {
    &USERS
}

/// The part of a catalog that belongs to the server itself: most of its rows, read once.
#[derive(Debug)]
pub struct System {
    fingerprint: Vec<Vec<Option<String>>>,
    results: Vec<Vec<Vec<Option<String>>>>,
    /// Of all `results`.
    digest: Digest,
    /// The last of them as they are used.
    functions: Arc<Builtins>,
}

impl System {
    /// Takes the server's own part out of the answers to [`full_queries`], which are those to
    /// [`QUERIES`] but for it afterwards.
    ///
    /// # Errors
    /// [`CatalogError`] where there are fewer answers, or an object without a number.
    pub fn split(rows: &mut Vec<Vec<Vec<Option<String>>>>) -> Result<Self, CatalogError> {
        if rows.len() != FULL.len() {
            return Err(CatalogError::Results { got: rows.len() });
        }
        let before = rows.remove(0);
        let after = rows.pop();
        let mut results = vec![Vec::new(); QUERIES.len()];
        for result in SERVERS {
            let (Some(all), Some(own)) = (rows.get_mut(result), results.get_mut(result)) else {
                continue;
            };
            let numbered = result != SERVERS_FUNCTIONS;
            for fields in std::mem::take(all) {
                let row = Row { result, fields: &fields };
                let users = numbered && row.number::<u32>(0)? >= FIRST_USER_OID;
                if users { all.push(fields) } else { own.push(fields) }
            }
        }
        // Changed in between: good for now, and never again.
        let fingerprint = if after.as_ref() == Some(&before) { before } else { Vec::new() };
        let all = Results { system: None, users: &results };
        let digest = digest(Digester::new("portcullis.system"), all, SERVERS);
        let functions = Arc::new(builtins(all)?);
        Ok(Self { fingerprint, digest, functions, results })
    }

    /// Whether it is still what the server has, by the answers to [`user_queries`], which are those
    /// to [`QUERIES`] but for it afterwards.
    pub fn is_current(&self, rows: &mut [Vec<Vec<Option<String>>>]) -> bool {
        let fingerprint = rows.get_mut(SERVERS_FUNCTIONS).map(std::mem::take);
        !self.fingerprint.is_empty() && fingerprint.as_ref() == Some(&self.fingerprint)
    }
}

/// More rows than this in one answer and the catalog is refused.
pub(super) const MAX_ROWS: usize = 2_000_000;

#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    result: usize,
    fields: &'a [Option<String>],
}

impl<'a> Row<'a> {
    const fn bad(self, field: usize) -> CatalogError {
        CatalogError::Row { result: self.result, field }
    }

    pub(super) fn optional(self, field: usize) -> Result<Option<&'a str>, CatalogError> {
        self.fields.get(field).map(Option::as_deref).ok_or_else(|| self.bad(field))
    }

    pub(super) fn text(self, field: usize) -> Result<&'a str, CatalogError> {
        self.optional(field)?.ok_or_else(|| self.bad(field))
    }

    pub(super) fn number<T: std::str::FromStr>(self, field: usize) -> Result<T, CatalogError> {
        self.text(field)?.parse().map_err(|_| self.bad(field))
    }

    pub(super) fn flag(self, field: usize) -> Result<bool, CatalogError> {
        match self.text(field)? {
            "t" => Ok(true),
            "f" => Ok(false),
            _ => Err(self.bad(field)),
        }
    }

    pub(super) fn letter(self, field: usize) -> Result<char, CatalogError> {
        self.text(field)?.chars().next().ok_or_else(|| self.bad(field))
    }

    /// A number that may be missing.
    fn oid(self, field: usize) -> Result<Option<u32>, CatalogError> {
        self.optional(field)?.map(str::parse).transpose().map_err(|_| self.bad(field))
    }

    fn routine(self, field: usize) -> Result<(Box<str>, Box<str>), CatalogError> {
        Ok((self.text(field)?.into(), self.text(field + 1)?.into()))
    }
}

/// Answers by query: the server's own part where it was read before, and the rest.
#[derive(Clone, Copy)]
pub(super) struct Results<'a> {
    system: Option<&'a System>,
    users: &'a [Vec<Vec<Option<String>>>],
}

impl<'a> Results<'a> {
    pub(super) const fn new(
        system: Option<&'a System>,
        users: &'a [Vec<Vec<Option<String>>>],
    ) -> Self {
        Self { system, users }
    }
}

pub(super) fn rows<'a>(all: Results<'a>, result: usize) -> impl Iterator<Item = Row<'a>> {
    let system = all.system.map_or(&[][..], |system| &system.results);
    let both = [system, all.users].into_iter();
    both.filter_map(move |part| part.get(result))
        .flatten()
        .map(move |fields| Row { result, fields })
}

pub(super) fn empty(database: &str) -> Catalog {
    Catalog {
        database: database.into(),
        server_version: 0,
        version: Digester::new("portcullis.catalog").part(database.as_bytes()).finish(),
        others: Digester::new("portcullis.catalog").finish(),
        schemas: HashSet::new(),
        relations: HashMap::new(),
        relation_names: HashMap::new(),
        functions: HashMap::new(),
        function_names: HashMap::new(),
        builtins: Arc::new(Builtins {
            named: HashMap::new(),
            digest: Digester::new("portcullis.catalog").finish(),
        }),
        operators: HashMap::new(),
        types: BTreeMap::new(),
        implicit_cast_types: HashSet::new(),
        coded_types: HashSet::new(),
        coded_literals: HashSet::new(),
        adopting_types: HashSet::new(),
        casts: Vec::new(),
        event_triggers: Vec::new(),
        type_map: Arc::default(),
        views: Mutex::default(),
        bodies: Mutex::default(),
    }
}

pub(super) fn load(database: &str, all: Results<'_>) -> Result<Catalog, CatalogError> {
    if all.users.len() != QUERIES.len() {
        return Err(CatalogError::Results { got: all.users.len() });
    }
    if let Some(result) = all.users.iter().position(|r| r.len() > MAX_ROWS) {
        return Err(CatalogError::TooLarge { result, limit: MAX_ROWS });
    }
    let mut catalog = empty(database);
    let mut digester = Digester::new("portcullis.catalog").part(database.as_bytes());
    if let Some(system) = all.system {
        digester.add(system.digest.as_bytes());
    }
    let users = Results { system: None, ..all };
    catalog.version = digest(digester, users, 0..QUERIES.len());
    let server = rows(all, 0).next().ok_or(CatalogError::Row { result: 0, field: 0 })?;
    catalog.server_version = server.number(0)?;
    for row in rows(all, 1) {
        catalog.schemas.insert(row.text(0)?.into());
    }
    load_relations(&mut catalog, all)?;
    for (relation, flag) in [("pg_settings", 1), ("pg_proc", 2)] {
        let credentials = server.flag(flag)?;
        for oid in catalog.relation_names.get(relation).into_iter().flatten() {
            let found = catalog.relations.get_mut(oid).filter(|r| r.is_system());
            found.into_iter().for_each(|relation| relation.credentials = credentials);
        }
    }
    load_views(&mut catalog, all)?;
    load_functions(&mut catalog, all)?;
    catalog.builtins = match all.system {
        Some(system) => system.functions.clone(),
        None => Arc::new(builtins(all)?),
    };
    let types = Types::read(all)?;
    load_operators(&mut catalog, all)?;
    let others = Digester::new("portcullis.catalog").part(database.as_bytes());
    let mut others = others.part(catalog.builtins.digest.as_bytes());
    types::load(&mut catalog, &types, all, &mut others)?;
    catalog.others = digest(others, all, [8, 10]);
    load_attachments(&mut catalog, &types, all)?;
    Ok(catalog)
}

/// Over every field but the row estimates, which change all the time and mean nothing.
fn digest(
    mut digester: Digester,
    all: Results<'_>,
    results: impl IntoIterator<Item = usize>,
) -> Digest {
    for result in results {
        digester.add(&(rows(all, result).count() as u64).to_be_bytes());
        for (field, value) in rows(all, result).flat_map(|row| row.fields.iter().enumerate()) {
            match value {
                _ if (result, field) == (2, 4) => {}
                Some(text) => digester.add(text.as_bytes()),
                None => digester.add(b"\0null"),
            }
        }
    }
    digester.finish()
}

/// Digests by the numbers of what they are of.
pub(super) fn digests(
    rows: &[Vec<Option<String>>],
) -> Result<HashMap<u32, Box<str>>, CatalogError> {
    let rows = rows.iter().map(|fields| Row { result: QUERIES.len(), fields });
    rows.map(|row| Ok((row.number(0)?, row.text(1)?.into()))).collect()
}

fn load_relations(catalog: &mut Catalog, all: Results<'_>) -> Result<(), CatalogError> {
    for row in rows(all, 2) {
        let relation = Relation {
            oid: row.number(0)?,
            schema: row.text(1)?.into(),
            name: row.text(2)?.into(),
            kind: RelationKind::from_relkind(row.text(3)?),
            rows: row.number(4)?,
            rewritten: Vec::new(),
            columns: Vec::new(),
            partition_key: numbers(row, 6)?,
            primary_key: numbers(row, 7)?,
            asked: numbers(row, 8)?,
            rules: row.flag(5)?,
            triggers: Vec::new(),
            children: Vec::new(),
            parents: Vec::new(),
            references: Vec::new(),
            code: Vec::new(),
            view: None,
            credentials: false,
        };
        catalog.relation_names.entry(relation.name.clone()).or_default().push(relation.oid);
        catalog.relations.insert(relation.oid, relation);
    }
    for row in rows(all, 3) {
        let column = Column {
            number: row.number(1)?,
            name: row.text(2)?.into(),
            type_oid: row.number(3)?,
            generated: row.flag(4)?,
            made_of: SmallVec::new(),
        };
        if let Some(relation) = catalog.relations.get_mut(&row.number(0)?) {
            relation.columns.push(column);
        }
    }
    for row in rows(all, 19) {
        if let Some(relation) = catalog.relations.get_mut(&row.number(0)?) {
            relation.rewritten.push((row.number(1)?, row.number(2)?));
        }
    }
    for row in rows(all, 16) {
        let (number, source): (i16, i16) = (row.number(1)?, row.number(2)?);
        let relation = catalog.relations.get_mut(&row.number(0)?);
        let mut columns = relation.into_iter().flat_map(|r| &mut r.columns);
        if let Some(column) = columns.find(|c| c.number == number) {
            column.made_of.push(source);
        }
    }
    Ok(())
}

/// Numbers, apart by spaces.
fn numbers<T: FromStr, All: FromIterator<T>>(
    row: Row<'_>,
    field: usize,
) -> Result<All, CatalogError> {
    let all = row.optional(field)?.unwrap_or_default().split_ascii_whitespace();
    all.map(|n| n.parse().map_err(|_| row.bad(field))).collect()
}

/// The arguments of a trigger's function: each ends with a zero byte, and bytes that are no ASCII,
/// or a backslash, are written with one (`encode(…, 'escape')`).
fn trigger_arguments(escaped: &str) -> Vec<Box<str>> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest
            }
            [b'\\', b'\\', rest @ ..] | [b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [one, rest @ ..] => {
                bytes.push(*one);
                rest
            }
        };
    }
    let all = bytes.split_inclusive(|byte| *byte == 0);
    all.map(|one| String::from_utf8_lossy(one).trim_end_matches('\0').into()).collect()
}

fn load_views(catalog: &mut Catalog, all: Results<'_>) -> Result<(), CatalogError> {
    for row in rows(all, 4) {
        let text = row.optional(1)?.unwrap_or_default().into();
        if let Some(relation) = catalog.relations.get_mut(&row.number(0)?) {
            relation.view = Some(ViewBody { text, ..ViewBody::default() });
        }
    }
    Ok(())
}

fn load_functions(catalog: &mut Catalog, all: Results<'_>) -> Result<(), CatalogError> {
    for row in rows(all, 6) {
        let function = Function {
            oid: row.number(0)?,
            schema: row.text(1)?.into(),
            name: row.text(2)?.into(),
            arguments: numbers(row, 3)?,
            language: row.text(4)?.into(),
            volatility: row.letter(5)?,
            security_definer: row.flag(6)?,
            kind: row.letter(7)?,
            returns_set: row.flag(8)?,
            extension: row.flag(9)?,
            definition: row.optional(10)?.map(Box::from),
            gives: row.number(11)?,
            all_arguments: numbers(row, 12)?,
        };
        catalog.function_names.entry(function.name.clone()).or_default().push(function.oid);
        catalog.functions.insert(function.oid, function);
    }
    Ok(())
}

fn builtins(all: Results<'_>) -> Result<Builtins, CatalogError> {
    let mut named = HashMap::new();
    for row in rows(all, SERVERS_FUNCTIONS) {
        let outputs = row.optional(4)?.map(|names| names.split(',').map(Box::from).collect());
        let builtin = Builtin {
            volatile: row.flag(1)?,
            aggregate: row.flag(2)?,
            scalar: row.flag(3)?,
            returns_set: row.flag(5)?,
            outputs,
        };
        named.insert(row.text(0)?.into(), builtin);
    }
    let digest = digest(Digester::new("portcullis.builtins"), all, [SERVERS_FUNCTIONS]);
    Ok(Builtins { named, digest })
}

fn load_operators(catalog: &mut Catalog, all: Results<'_>) -> Result<(), CatalogError> {
    for row in rows(all, 8) {
        let operator =
            Operator { schema: row.text(2)?.into(), function: row.routine(3)?, tame: row.flag(5)? };
        catalog.operators.entry(row.text(1)?.into()).or_default().push(operator);
    }
    for row in rows(all, 10) {
        catalog.implicit_cast_types.insert(row.number(0)?);
    }
    Ok(())
}

/// What hangs on relations: children, foreign keys, triggers, unnamed code, view dependencies.
fn load_attachments(
    catalog: &mut Catalog,
    types: &Types<'_>,
    all: Results<'_>,
) -> Result<(), CatalogError> {
    for row in rows(all, 11) {
        let (parent, child) = (row.number(0)?, row.number(1)?);
        if let Some(relation) = catalog.relations.get_mut(&parent) {
            relation.children.push(child);
        }
        if let Some(relation) = catalog.relations.get_mut(&child) {
            relation.parents.push(parent);
        }
    }
    for row in rows(all, 12) {
        let reference = Reference {
            child: row.number(1)?,
            key: numbers(row, 4)?,
            on_delete: row.letter(2)?,
            on_update: row.letter(3)?,
        };
        if let Some(parent) = catalog.relations.get_mut(&row.number(0)?) {
            parent.references.push(reference);
        }
    }
    for row in rows(all, 13) {
        // `tgtype` is a signed 16-bit number of bits.
        let events = row.number::<i16>(2)?.cast_unsigned();
        let trigger = Trigger {
            name: row.text(1)?.into(),
            events,
            function: row.routine(3)?,
            of_server: row.flag(6)?,
            arguments: trigger_arguments(row.text(7)?),
        };
        let relation: u32 = row.number(0)?;
        match catalog.relations.get_mut(&relation) {
            Some(relation) => relation.triggers.push(trigger),
            None if relation == 0 => catalog.event_triggers.push(trigger.function),
            None => {}
        }
    }
    load_hidden_code(catalog, types, all)?;
    load_view_dependencies(catalog, all)
}

/// Relation, whether reading runs it, schema and name, its number, whether deleting runs it.
type CodeRow<'a> = (u32, bool, &'a str, &'a str, Option<u32>, bool);

/// Code of users, and functions of the server that reach further, behind relations, by name; that of types only where they run some.
fn load_hidden_code(
    catalog: &mut Catalog,
    types: &Types<'_>,
    all: Results<'_>,
) -> Result<(), CatalogError> {
    let mut found: BTreeSet<CodeRow<'_>> = BTreeSet::new();
    for row in rows(all, 14) {
        let (function, of_type) = (row.oid(2)?, row.oid(3)?);
        if of_type.is_some_and(|oid| !catalog.coded_types.contains(&oid)) {
            continue;
        }
        let named = match (of_type, row.optional(4)?) {
            (Some(oid), _) => types.name(oid),
            (None, Some(of_server)) => Some(("pg_catalog", of_server)),
            (None, None) => {
                function.and_then(|oid| catalog.functions.get(&oid)).map(|f| (&*f.schema, &*f.name))
            }
        };
        // What could not be named is still code of users.
        let (schema, name) = named.unwrap_or(("?", "?"));
        found.insert((row.number(0)?, row.flag(1)?, schema, name, of_type, row.flag(5)?));
    }
    for (relation, on_read, schema, name, _, on_delete) in found {
        if let Some(relation) = catalog.relations.get_mut(&relation) {
            let function = (schema.into(), name.into());
            relation.code.push(HiddenCode { on_read, on_delete, function });
        }
    }
    Ok(())
}

fn load_view_dependencies(catalog: &mut Catalog, all: Results<'_>) -> Result<(), CatalogError> {
    let mut operators: HashMap<u32, (Box<str>, Box<str>)> = HashMap::new();
    for row in rows(all, 8) {
        operators.insert(row.number(0)?, row.routine(3)?);
    }
    for row in rows(all, 5) {
        let target: u32 = row.number(1)?;
        let function = match row.text(3)? {
            "r" => None,
            "f" => catalog.functions.get(&target).map(|f| (f.schema.clone(), f.name.clone())),
            _ => operators.get(&target).cloned(),
        };
        let Some(relation) = catalog.relations.get_mut(&row.number(0)?) else { continue };
        if row.text(3)? == "r" {
            let column = row.number(2)?;
            relation.view.get_or_insert_default().depends.push((target, column));
            continue;
        }
        // An operator or function that could not be named is still code of users.
        let function = function.unwrap_or_else(|| ("?".into(), "?".into()));
        relation.code.push(HiddenCode { on_read: true, on_delete: true, function });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CREDENTIALS;

    #[test]
    fn the_server_is_asked_about_every_credential() {
        for name in CREDENTIALS {
            assert!(QUERIES[0].contains(&format!("'{name}'")), "{name}");
        }
    }
}
