-- Metabase, Superset, Grafana, Tableau, Power BI, DBeaver, DataGrip and monitoring exporters, as they are known to ask.

--! Metabase: what is where, with rights
with table_privileges as (
 select NULL as role, t.schemaname as schema, t.objectname as table,
  pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
  pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select
 from (select schemaname, tablename as objectname from pg_catalog.pg_tables union select schemaname, viewname as objectname from pg_catalog.pg_views union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
 where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
select t.* from table_privileges t order by 2, 3

--! Metabase: fields
SELECT c.column_name AS name, c.udt_name AS "database-type", c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema", c.table_name AS "table-name", pk.column_name IS NOT NULL AS "pk?", COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS "field-comment", (column_default IS NULL OR LOWER(column_default) = 'null') AND is_nullable = 'NO' AS "database-required"
FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' ORDER BY 4, 5, 3

--! Metabase: keys
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name", pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
FROM pg_constraint AS c INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY (c.conkey) AND pk_column.attnum = ANY (c.confkey) ORDER BY 1, 2

--! Metabase: a question
-- Metabase:: userID: 1 queryType: MBQL queryHash: 0a1b
SELECT DATE_TRUNC('month', "public"."orders"."placed_at") AS "placed_at", COUNT(*) AS "count", SUM("public"."orders"."total") AS "sum" FROM "public"."orders" LEFT JOIN "public"."customers" AS "C" ON "public"."orders"."customer_id" = "C"."id" WHERE "C"."city" = 'Oslo' GROUP BY DATE_TRUNC('month', "public"."orders"."placed_at") ORDER BY DATE_TRUNC('month', "public"."orders"."placed_at") ASC

--! Metabase: fingerprint of a table
SELECT SUBSTRING("source"."name", 1, 1234) AS "s1", "source"."city" FROM (SELECT "name", "city", "id" FROM "public"."customers") AS "source" ORDER BY "source"."id" LIMIT 20

--! Superset: a chart
SELECT DATE_TRUNC('day', placed_at) AS __timestamp, status AS status, COUNT(*) AS count FROM public.orders JOIN (SELECT status AS status__, COUNT(*) AS mme_inner__ FROM public.orders WHERE placed_at >= '2026-03-01 00:00:00.000000' AND placed_at < '2026-03-20 00:00:00.000000' GROUP BY status ORDER BY mme_inner__ DESC, 1 LIMIT 3) AS anon_1 ON status = status__ WHERE placed_at >= '2026-03-01 00:00:00.000000' GROUP BY status, DATE_TRUNC('day', placed_at) ORDER BY count DESC, 1, 2 LIMIT 50

--! Superset: SQL Lab's estimate and its row limit
EXPLAIN SELECT status, COUNT(*) FROM public.orders GROUP BY status
--;
SELECT * FROM (SELECT status, total FROM public.orders ORDER BY id) AS inner_qry LIMIT 11

--! Grafana: time series
SELECT floor(extract(epoch from placed_at)/21600)*21600 AS "time", status AS metric, avg(total) AS value FROM orders WHERE placed_at BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-03T00:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2

--! Grafana: what its editor asks
SELECT CASE WHEN quote_ident(table_schema) = ANY (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, string_to_array(current_setting('search_path'), ',') s) THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache') ORDER BY 1
--;
SELECT current_setting('server_version_num')::int/100
--;
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'

--! Tableau: log-in and a sheet
SET DateStyle = 'ISO'
--;
SET extra_float_digits = 2
--;
SELECT "orders"."status" AS "status", SUM("orders"."total") AS "sum:total:ok", COUNT(1) AS "cnt" FROM "public"."orders" "orders" INNER JOIN "public"."customers" "customers" ON ("orders"."customer_id" = "customers"."id") WHERE ((CAST("customers"."city" AS TEXT) IN ('Oslo', 'Rome')) AND (EXTRACT(YEAR FROM "orders"."placed_at") = 2026)) GROUP BY 1 ORDER BY 1
--;
SELECT * FROM (SELECT status, id FROM orders) AS "TableauSQL" LIMIT 0

--! Tableau: a cursor
BEGIN;declare "SQL_CUR0x7f" cursor with hold for SELECT "orders"."id" FROM "public"."orders" "orders" ORDER BY 1;fetch 5 in "SQL_CUR0x7f"
--;
fetch 5 in "SQL_CUR0x7f"
--;
close "SQL_CUR0x7f"
--;
COMMIT

--! Power BI, Npgsql: types
SELECT version()
--;
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
   CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype, elemtyp.typcategory AS elemtypcategory
 FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
   CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid
  FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ
 LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') OR (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) OR (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd')))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'r' THEN 1 ELSE 2 END, t.oid
--;
SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace) JOIN pg_class AS cls ON (cls.oid = typ.typrelid) JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid) WHERE (typ.typtype = 'c' AND cls.relkind='c') AND attnum > 0 AND NOT attisdropped ORDER BY typ.oid, att.attnum
--;
SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid ORDER BY oid, enumsortorder

--! Npgsql: back to the pool
CLOSE ALL;
UNLISTEN *;
SELECT pg_advisory_unlock_all();
RESET ALL;
DISCARD SEQUENCES;
DISCARD PLANS

--! DBeaver: log-in
--! volatile: source
SET extra_float_digits = 3
--;
SET application_name = 'DBeaver 24.0 - Main <shop>'
--;
SELECT current_schema(),session_user
--;
SHOW search_path
--;
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='shop'
--;
select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs}'::text[])
--;
select * from pg_catalog.pg_settings where name='standard_conforming_strings'

--! DBeaver: schemas and data types
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname
--;
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C') ORDER BY t.oid

--! DBeaver: a table
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace='public'::regnamespace AND c.relkind not in ('i','I','c') ORDER BY c.oid
--;
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.oid=16394 ORDER BY a.attnum
--;
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then pg_catalog.substring(pg_get_constraintdef(c.oid), 7) else null end consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass WHERE c.conrelid=16394 ORDER BY c.oid
--;
SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) >= 0 as index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid WHERE i.indrelid=16394 ORDER BY tabrelname, c.relname

--! DBeaver: rows
--! masked: note
SELECT x.* FROM public.orders x WHERE x.id = 50
--;
SELECT count(*) FROM public.orders

--! DBeaver: sessions and locks
--! volatile
SELECT sa.* FROM pg_catalog.pg_stat_activity sa
--;
SELECT blocked_locks.pid AS blocked_pid, blocking_locks.pid AS blocking_pid FROM pg_catalog.pg_locks blocked_locks JOIN pg_catalog.pg_locks blocking_locks ON blocking_locks.locktype = blocked_locks.locktype AND blocking_locks.DATABASE IS NOT DISTINCT FROM blocked_locks.DATABASE AND blocking_locks.relation IS NOT DISTINCT FROM blocked_locks.relation AND blocking_locks.pid != blocked_locks.pid WHERE NOT blocked_locks.GRANTED

--! DataGrip: log-in and state
--! volatile
select case when pg_catalog.pg_is_in_recovery() then null else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end as current_txid
--;
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L where L.transactionid is not null order by pg_catalog.age(L.transactionid) desc limit 1
--;
select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template, datallowconn as allow_connections, pg_catalog.pg_get_userbyid(N.datdba) as "owner" from pg_catalog.pg_database N left join pg_catalog.pg_shdescription D on N.oid = D.objoid order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end

--! DataGrip: roles and tables
select R.oid::bigint as role_id, rolname as role_name, rolsuper is_super, rolinherit is_inherit, rolcreaterole can_createrole, rolcreatedb can_createdb, rolcanlogin can_login, rolreplication is_replication, rolconnlimit conn_limit, rolvaliduntil valid_until, rolbypassrls bypass_rls, rolconfig config, D.description from pg_catalog.pg_roles R left join pg_catalog.pg_shdescription D on D.objoid = R.oid order by 1
--;
select T.relkind as table_kind, T.relname as table_name, T.oid as table_id, T.xmin::varchar::bigint >= 0 as table_state_number, false as table_with_oids, T.reltablespace as tablespace_id, T.reloptions as options, T.relpersistence as persistence, (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits where T.oid = inhrelid) as ancestors, T.relispartition as is_partition, pg_catalog.pg_get_partkeydef(T.oid) as partition_key, pg_catalog.pg_get_userbyid(T.relowner) as "owner" from pg_catalog.pg_class T where relnamespace = 2200::oid and relkind in ('r', 'm', 'v', 'f', 'p') order by table_kind, table_id
--;
select C.attrelid as object_id, C.attname as column_name, C.attnum as column_position, pg_catalog.format_type(C.atttypid, C.atttypmod) as type_spec, C.attnotnull as mandatory, pg_catalog.pg_get_expr(D.adbin, C.attrelid) as column_default_expression, C.attidentity as identity_kind, C.attcollation as coll_oid from pg_catalog.pg_attribute C left join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum) where C.attrelid = 16394 and C.attnum > 0 order by C.attnum

--! postgres_exporter
--! volatile
SELECT pg_database.datname, tmp.state, COALESCE(count,0) as count, COALESCE(max_tx_duration,0) as max_tx_duration FROM (VALUES ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)'), ('fastpath function call'), ('disabled')) AS tmp(state) CROSS JOIN pg_database LEFT JOIN (SELECT datname, state, usename, count(*) AS count, MAX(EXTRACT(EPOCH FROM now() - xact_start))::float AS max_tx_duration FROM pg_stat_activity GROUP BY datname, state, usename) AS tmp2 ON tmp.state = tmp2.state AND pg_database.datname = tmp2.datname
--;
SELECT name, setting, COALESCE(unit, ''), short_desc, vartype FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real') AND name != 'sync_commit_cancel_wait'
--;
SELECT pg_database.datname, pg_database_size(pg_database.datname) FROM pg_database WHERE datallowconn ORDER BY 1
--;
SELECT *, pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END FROM pg_stat_replication
--;
SELECT * FROM pg_stat_bgwriter

--! Datadog, pganalyze and the like
--! volatile
SELECT datname, usename, state, count(*), max(now() - query_start) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1, 2, 3
--;
SELECT relname, age(relfrozenxid), pg_table_size(oid) FROM pg_class WHERE relkind IN ('r', 't', 'm') ORDER BY 2 DESC LIMIT 5
--;
SELECT schemaname, relname, indexrelname, idx_scan FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid) WHERE NOT indisunique ORDER BY idx_scan

--! bloat of tables (ioguix)
--! volatile
SELECT current_database(), schemaname, tblname, bs*tblpages AS real_size, (tblpages-est_tblpages)*bs AS extra_size FROM (
 SELECT ceil(reltuples/((bs-page_hdr)/tpl_size)) + ceil(toasttuples/4) AS est_tblpages, tblpages, fillfactor, bs, tblid, schemaname, tblname, heappages, toastpages, is_na FROM (
  SELECT (4 + tpl_hdr_size + tpl_data_size + (2*ma) - CASE WHEN tpl_hdr_size%ma = 0 THEN ma ELSE tpl_hdr_size%ma END - CASE WHEN ceil(tpl_data_size)::int%ma = 0 THEN ma ELSE ceil(tpl_data_size)::int%ma END) AS tpl_size, (heappages + toastpages) AS tblpages, heappages, toastpages, reltuples, toasttuples, bs, page_hdr, tblid, schemaname, tblname, fillfactor, is_na FROM (
   SELECT tbl.oid AS tblid, ns.nspname AS schemaname, tbl.relname AS tblname, tbl.reltuples, tbl.relpages AS heappages, coalesce(toast.relpages, 0) AS toastpages, coalesce(toast.reltuples, 0) AS toasttuples, coalesce(substring(array_to_string(tbl.reloptions, ' ') FROM 'fillfactor=([0-9]+)')::smallint, 100) AS fillfactor, current_setting('block_size')::numeric AS bs, CASE WHEN version()~'mingw32' OR version()~'64-bit|x86_64|ppc64|ia64|amd64' THEN 8 ELSE 4 END AS ma, 24 AS page_hdr, 23 + CASE WHEN MAX(coalesce(s.null_frac,0)) > 0 THEN (7 + count(s.attname)) / 8 ELSE 0::int END + CASE WHEN bool_or(att.attname = 'oid' and att.attnum < 0) THEN 4 ELSE 0 END AS tpl_hdr_size, sum((1-coalesce(s.null_frac, 0)) * coalesce(s.avg_width, 0)) AS tpl_data_size, bool_or(att.atttypid = 'pg_catalog.name'::regtype) OR sum(CASE WHEN att.attnum > 0 THEN 1 ELSE 0 END) <> count(s.attname) AS is_na
   FROM pg_attribute AS att JOIN pg_class AS tbl ON att.attrelid = tbl.oid JOIN pg_namespace AS ns ON ns.oid = tbl.relnamespace LEFT JOIN pg_stats AS s ON s.schemaname=ns.nspname AND s.tablename = tbl.relname AND s.inherited=false AND s.attname=att.attname LEFT JOIN pg_class AS toast ON tbl.reltoastrelid = toast.oid
   WHERE NOT att.attisdropped AND tbl.relkind in ('r','m') GROUP BY 1,2,3,4,5,6,7,8,9,10 ORDER BY 2,3) AS s) AS s2) AS s3 WHERE schemaname = 'public' ORDER BY schemaname, tblname

--! Grafana: a time series
SELECT floor(extract(epoch from placed_at)/3600)*3600 AS "time", avg(total) AS total FROM orders WHERE placed_at BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-02T00:00:00Z' GROUP BY 1 ORDER BY 1
--;
SELECT placed_at AS "time", status AS metric, total AS value FROM orders WHERE extract(epoch from placed_at) BETWEEN 1772323200 AND 1772409600 ORDER BY 1
--;
SELECT current_setting('server_version_num')::int/100 as version

--! Grafana: its query editor
SELECT CASE WHEN quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), array_upper(string_to_array(current_setting('search_path'),','),1)) as i, string_to_array(current_setting('search_path'),',') s) THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog') ORDER BY 1
--;
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE quote_ident(table_name) = 'orders' ORDER BY 1

--! Metabase: a question with a date bucket
SELECT CAST(DATE_TRUNC('month', "public"."orders"."placed_at") AS date) AS "placed_at", "public"."orders"."status" AS "status", COUNT(*) AS "count" FROM "public"."orders" WHERE ("public"."orders"."placed_at" >= timestamp with time zone '2026-03-01 00:00:00.000Z') AND ("public"."orders"."placed_at" < timestamp with time zone '2026-04-01 00:00:00.000Z') GROUP BY CAST(DATE_TRUNC('month', "public"."orders"."placed_at") AS date), "public"."orders"."status" ORDER BY CAST(DATE_TRUNC('month', "public"."orders"."placed_at") AS date) ASC, "public"."orders"."status" ASC
--;
-- Metabase:: userID: 1 queryType: MBQL queryHash: 0123456789abcdef
SELECT "source"."status" AS "status", SUM("source"."total") AS "sum" FROM (SELECT "public"."orders"."status" AS "status", "public"."orders"."total" AS "total" FROM "public"."orders" LIMIT 2000) AS "source" GROUP BY "source"."status" ORDER BY "source"."status" ASC

--! Metabase: how long texts are, and which fields there are
SELECT SUBSTRING("public"."orders"."status", 1, 1234) AS "substring", "public"."orders"."id" AS "id" FROM "public"."orders" ORDER BY "id" LIMIT 100
--;
SELECT count(distinct "public"."customers"."city") AS "count" FROM "public"."customers"
--;
select "n"."nspname" as "schema", "c"."relname" as "name", case "c"."relkind" when 'r' then 'TABLE' when 'p' then 'PARTITIONED TABLE' when 'v' then 'VIEW' when 'f' then 'FOREIGN TABLE' when 'm' then 'MATERIALIZED VIEW' else null end as "type", "d"."description" as "description", "stat"."n_live_tup" >= 0 as "estimated" from "pg_catalog"."pg_class" as "c" inner join "pg_catalog"."pg_namespace" as "n" on "c"."relnamespace" = "n"."oid" left join "pg_catalog"."pg_description" as "d" on ("c"."oid" = "d"."objoid") and ("d"."objsubid" = 0) and ("d"."classoid" = 'pg_class'::regclass) left join "pg_stat_user_tables" as "stat" on ("n"."nspname" = "stat"."schemaname") and ("c"."relname" = "stat"."relname") where ("c"."relnamespace" = "n"."oid") and ("n"."nspname" !~ '^information_schema|catalog_history|pg_') and ("c"."relkind" in ('r', 'p', 'v', 'f', 'm')) order by "type" asc, "schema" asc, "name" asc

--! Metabase: what the role may do
with table_privileges as (
	 select
	   NULL as role,
	   t.schemaname as schema,
	   t.objectname as table,
	   pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"',  'update') as update,
	   pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"',  'select') as select,
	   pg_catalog.has_table_privilege(     current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"',  'delete') as delete
	 from (
	   select schemaname, tablename as objectname from pg_catalog.pg_tables
	   union
	   select schemaname, viewname as objectname from pg_catalog.pg_views
	   union
	   select schemaname, matviewname as objectname from pg_catalog.pg_matviews
	 ) t
	 where t.schemaname !~ '^pg_'
	   and t.schemaname <> 'information_schema'
	   and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage')
	)
	select t.*
	from table_privileges t
	where t.select or t.update or t.delete order by 2, 3

--! Superset: a chart
SELECT DATE_TRUNC('day', placed_at) AS placed_at, status AS status, sum(total) AS "SUM(total)" FROM public.orders JOIN (SELECT status AS status__, sum(total) AS mme_inner__ FROM public.orders WHERE placed_at >= TO_TIMESTAMP('2026-03-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND placed_at < TO_TIMESTAMP('2026-03-10 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY status ORDER BY mme_inner__ DESC LIMIT 3) AS anon_1 ON status = status__ WHERE placed_at >= TO_TIMESTAMP('2026-03-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY status, DATE_TRUNC('day', placed_at) ORDER BY 1, 2 LIMIT 100

--! Superset: cost and schema of a query
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname
--;
select description from pg_description join pg_class on pg_description.objoid = pg_class.oid where relname = 'orders'
--;
EXPLAIN SELECT count(*) FROM orders WHERE status = 'paid'

--! Tableau: what it looks for
BEGIN;declare "SQL_CUR0x1" cursor with hold for SELECT 1 AS "COL";fetch 100 in "SQL_CUR0x1"
--;
close "SQL_CUR0x1"
--;
COMMIT

--! Tableau: an extract and its quick filters
SELECT "orders"."status" AS "status" FROM "public"."orders" "orders" GROUP BY 1 ORDER BY 1
--;
SELECT SUM("orders"."total") AS "sum:total:ok", CAST(DATE_TRUNC('QUARTER', CAST("orders"."placed_at" AS DATE)) AS DATE) AS "tqr:placed_at:ok" FROM "public"."orders" "orders" INNER JOIN "public"."customers" "customers" ON ("orders"."customer_id" = "customers"."id") WHERE ((CASE WHEN ("customers"."city" = 'Oslo') THEN TRUE ELSE FALSE END)) GROUP BY 2
--;
SELECT COUNT(1) AS "cnt" FROM (SELECT 1 AS "x" FROM "public"."orders" LIMIT 1) "t"

--! Tableau: temporary tables are not needed
SELECT "t0"."city" AS "city", "t0"."n" FROM (SELECT "customers"."city" AS "city", COUNT(DISTINCT "customers"."id") AS "n" FROM "public"."customers" "customers" GROUP BY 1) "t0" WHERE ("t0"."n" >= 1) ORDER BY 1

--! Looker: a pivot
SELECT * FROM (SELECT *, DENSE_RANK() OVER (ORDER BY z___min_rank) as z___pivot_row_rank, RANK() OVER (PARTITION BY z__pivot_col_rank ORDER BY z___min_rank) as z__pivot_col_ordering FROM (SELECT *, MIN(z___rank) OVER (PARTITION BY "orders.status") as z___min_rank FROM (SELECT *, RANK() OVER (ORDER BY "orders.count" DESC, z__pivot_col_rank, "orders.status") AS z___rank FROM (SELECT *, DENSE_RANK() OVER (ORDER BY "customers.city" NULLS LAST) AS z__pivot_col_rank FROM (SELECT orders.status AS "orders.status", customers.city AS "customers.city", COUNT(*) AS "orders.count" FROM public.orders AS orders LEFT JOIN public.customers AS customers ON orders.customer_id = customers.id GROUP BY 1, 2) ww) bb) aa) xx) zz WHERE (z__pivot_col_rank <= 50 OR 1 = 1) AND (z___pivot_row_rank <= 500) ORDER BY z___pivot_row_rank, "orders.status", z__pivot_col_rank LIMIT 20

--! Redash: a schema
SELECT s.nspname AS table_schema, c.relname AS table_name, a.attname AS column_name, null AS data_type FROM pg_class c JOIN pg_namespace s ON c.relnamespace = s.oid AND s.nspname NOT IN ('pg_catalog', 'information_schema') JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relkind = ANY(ARRAY['r', 'v', 'm', 'f', 'p']) AND s.nspname = 'public' ORDER BY 1, 2, a.attnum
--;
SELECT oid, typname FROM pg_type WHERE oid < 100 ORDER BY oid

--! DataGrip: the start of a session
SET extra_float_digits = 3
--;
SET application_name = 'DataGrip 2024.1'
--;
select version()
--;
select current_database() as a, current_schemas(false) as b
--;
SHOW TRANSACTION ISOLATION LEVEL
--;
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
--;
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
--;
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) > 0 as startup_time

--! DataGrip: databases, roles, schemas
select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template, datallowconn as allow_connections, pg_catalog.pg_get_userbyid(N.datdba) as "owner" from pg_catalog.pg_database N left join pg_catalog.pg_shdescription D on N.oid = D.objoid order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end
--;
select R.oid::bigint as role_id, rolname as role_name, rolsuper is_super, rolinherit is_inherit, rolcreaterole can_createrole, rolcreatedb can_createdb, rolcanlogin can_login, rolreplication is_replication, rolconnlimit conn_limit, rolvaliduntil valid_until, rolbypassrls bypass_rls, D.description from pg_catalog.pg_roles R left join pg_catalog.pg_shdescription D on D.objoid = R.oid order by 1
--;
select member id, roleid role_id, admin_option from pg_catalog.pg_auth_members order by id, roleid::text
--;
select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) as "owner" from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
--;
select pg_catalog.age(xmin) >= 0 from pg_catalog.pg_namespace limit 1
--;
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L where L.transactionid is not null and false order by pg_catalog.age(L.transactionid) desc limit 1

--! DataGrip: relations and their columns
select T.relkind as table_kind, T.relname as table_name, T.oid as table_id, T.xmin as table_state_number, false as table_with_oids, T.reltablespace as tablespace_id, T.reloptions as options, T.relpersistence as persistence, (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits where T.oid = inhrelid) as ancestors, T.relispartition as is_partition, pg_catalog.pg_get_partkeydef(T.oid) as partition_key, pg_catalog.pg_get_expr(T.relpartbound, T.oid) as partition_expression, T.relam am_id, pg_catalog.pg_get_userbyid(T.relowner) as "owner" from pg_catalog.pg_class T where relnamespace = 'public'::regnamespace and relkind in ('r', 'm', 'v', 'f', 'p') order by table_kind, table_id
--;
with T as (select T.oid as table_id, T.relname as table_name from pg_catalog.pg_class T where T.relnamespace = 'public'::regnamespace and T.relkind in ('r', 'm', 'v', 'f', 'p')) select T.table_id, C.attnum as column_position, C.attname as column_name, C.xmin as column_state_number, C.atttypmod as type_mod, C.attndims as dimensions_number, pg_catalog.format_type(C.atttypid, C.atttypmod) as type_spec, C.atttypid as type_id, C.attnotnull as mandatory, pg_catalog.pg_get_expr(D.adbin, T.table_id) as column_default_expression, not C.attislocal as column_is_inherited, C.attfdwoptions as options, C.attisdropped as column_is_dropped, C.attidentity as identity_kind, C.attgenerated as generated from T inner join pg_catalog.pg_attribute C on T.table_id = C.attrelid left outer join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum) where attnum > 0 order by table_id, attnum
--;
select ind_stor.relname index_name, ind_head.indexrelid index_id, ind_stor.xmin state_number, ind_head.indisunique is_unique, ind_head.indisprimary is_primary, pg_catalog.pg_get_expr(ind_head.indpred, ind_head.indrelid) as condition, (select pg_catalog.array_agg(inhparent::bigint order by inhseqno)::varchar from pg_catalog.pg_inherits where ind_stor.oid = inhrelid) as ancestors, opcmethod as access_method_id from pg_catalog.pg_class tab join pg_catalog.pg_index ind_head on ind_head.indrelid = tab.oid join pg_catalog.pg_class ind_stor on tab.relnamespace = ind_stor.relnamespace and ind_stor.oid = ind_head.indexrelid left join pg_catalog.pg_opclass on pg_opclass.oid = ANY(indclass) where tab.relnamespace = 'public'::regnamespace and tab.relkind in ('r', 'm', 'v', 'p') and ind_stor.relkind in ('i', 'I') order by 1, 2

--! DataGrip: a page of rows and their number
--! volatile: note
SELECT t.* FROM public.orders t ORDER BY t.id LIMIT 501
--;
SELECT COUNT(*) FROM public.orders t
--;
select sum(total), min(placed_at) from public.orders t where status = 'open'

--! DBeaver: the start of a session
SET extra_float_digits = 3
--;
SET application_name = 'DBeaver 24.0.0 - Main <shop>'
--;
SELECT current_schema(),session_user
--;
SHOW search_path
--;
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname
--;
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C') ORDER BY t.oid LIMIT 50

--! DBeaver: a table in its tree
--! volatile: relpages, reltuples, relallvisible, relfrozenxid, relminmxid, total_rel_size, rel_size
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace='public'::regnamespace AND c.relkind not in ('i','I','c') ORDER BY c.relname
--;
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.oid = 'public.orders'::regclass ORDER BY a.attnum
--;
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass WHERE c.conrelid='public.orders'::regclass ORDER BY c.oid
--;
SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) >= 0 as index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid WHERE i.indrelid='public.orders'::regclass ORDER BY tabrelname, c.relname
--;
select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size FROM pg_class c WHERE c.relnamespace='public'::regnamespace AND c.relkind = 'r' ORDER BY 1

--! Airbyte: whether a table can be synchronised
SELECT nspname AS schema, relname AS tbl, pg_relation_size(c.oid) >= 0 AS size FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relkind = 'r' AND nspname = 'public' ORDER BY 2
--;
SELECT CASE WHEN coalesce((SELECT TRUE FROM orders WHERE id IS NULL LIMIT 1), FALSE) THEN TRUE ELSE FALSE END AS nullvalue
--;
SELECT MAX(placed_at) FROM public.orders
--;
SELECT COUNT(*) FROM (SELECT ctid FROM public.orders WHERE ctid > '(0,0)'::tid AND ctid <= '(3,0)'::tid) AS chunk
--;
SELECT txid_snapshot_xmin(txid_current_snapshot()) > 0, pg_current_wal_lsn() IS NOT NULL

--! PostgREST: rows of a table with a masked column as a document
--! masked: body
WITH pgrst_source AS (SELECT "public"."customers"."id", "public"."customers"."email" FROM "public"."customers" LIMIT 3) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _postgrest_t

--! Hasura: rows of a table with a masked column as a document
--! masked: root
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.base"."email" AS "email") AS "_e")) AS "root" FROM (SELECT * FROM "public"."customers" WHERE ('true') LIMIT 3) AS "_root.base") AS "_root"

--! expressions over a masked column by way of queries
--! masked: lower
SELECT lower(x.email) FROM (SELECT email FROM customers LIMIT 3) x
--;
WITH c AS (SELECT id, email FROM customers) SELECT count(email) FROM c
--;
SELECT lower(j.email) FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j(id, name, email) LIMIT 3
