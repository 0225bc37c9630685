-- sqlx 0.9.0, tokio-postgres 0.7.18, diesel 2 and pgbench 15, by their sources.

--! tokio-postgres: type
--! bind: ["16396"]
SELECT t.typname, t.typtype, t.typelem, r.rngsubtype, t.typbasetype, n.nspname, t.typrelid
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
INNER JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid
WHERE t.oid = $1

--! tokio-postgres: enum and composite
--! bind: ["16396"]
--! bind: ["16394"]
SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder
--;
SELECT attname, atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND NOT attisdropped AND attnum > 0 ORDER BY attnum

--! sqlx: nullability of columns
--! bind: ["0", "16394", "1", "1", "16394", "5"]
SELECT NOT attnotnull FROM ( ( SELECT $1::int4 AS idx, $2::int4 AS table_id, $3::int2 AS col_idx ) UNION ALL ( SELECT $4::int4, $5::int4, $6::int2 ) ) AS col LEFT JOIN pg_catalog.pg_attribute ON table_id IS NOT NULL AND attrelid = table_id AND attnum = col_idx ORDER BY idx

--! sqlx: the plan of a prepared statement
PREPARE sqlx_s_1 (int4) AS SELECT id, status FROM orders WHERE id = $1
--;
SET plan_cache_mode = force_generic_plan
--;
EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_1(NULL)
--;
RESET plan_cache_mode
--;
DEALLOCATE sqlx_s_1

--! sqlx: types by oid and by name
SELECT pg_type.oid, pg_type.oid::regtype::text pretty_name, typname catalog_name, original_name, typtype, typcategory,
 NULLIF(typelem, 0::oid) typelem, NULLIF(typbasetype, 0::oid) typbasetype, rngsubtype,
 COALESCE((SELECT array_agg(enumlabel) FROM (SELECT * FROM pg_catalog.pg_enum WHERE enumtypid = pg_type.oid ORDER BY enumsortorder) labels), '{}') enum_labels,
 COALESCE((SELECT array_agg((attname, atttypid)) FROM (SELECT * FROM pg_catalog.pg_attribute WHERE attrelid = pg_type.typrelid AND NOT attisdropped AND attnum > 0 ORDER BY attnum) attributes), '{}') record_attributes
FROM (SELECT DISTINCT ON(lookup_oid) original_name, lookup_oid FROM (VALUES (null, 16396), ('orders', 'orders'::regtype::oid)) types(original_name, lookup_oid)) lookup
INNER JOIN pg_catalog.pg_type ON pg_type.oid = lookup_oid LEFT JOIN pg_catalog.pg_range ON rngtypid = pg_type.oid

--! sqlx: names of columns
SELECT attrelid table_oid, attrelid::regclass::text table_name, array_agg(ROW(attnum, attname)) AS columns
FROM (VALUES (16394, 1), (16394, 3)) lookup(table_oid, attribute_num)
INNER JOIN pg_catalog.pg_attribute ON lookup.table_oid = attrelid AND lookup.attribute_num = attnum GROUP BY attrelid

--! sqlx: migrations are asked for
--! bind: ["shop"]
--! bind: null
--! bind: []
--! bind: []
--! volatile
select exists(SELECT 1 from pg_database WHERE datname = $1)
--;
SELECT current_database()
--;
SELECT current_setting('server_version_num')
--;
SELECT pg_try_advisory_lock(8318549251334697844), pg_advisory_unlock(8318549251334697844)

--! sqlx: a pool's ping, and its transactions
BEGIN
--;
SAVEPOINT _sqlx_savepoint_1
--;
RELEASE SAVEPOINT _sqlx_savepoint_1
--;
COMMIT

--! diesel: log-in
SET TIME ZONE 'UTC'
--;
SET CLIENT_ENCODING TO 'UTF8'
--;
SET client_min_messages TO WARNING

--! diesel: a custom type
--! bind: ["orders", "public"]
SELECT "pg_type"."oid", "pg_type"."typarray" FROM "pg_type" INNER JOIN "pg_namespace" ON ("pg_type"."typnamespace" = "pg_namespace"."oid") WHERE (("pg_type"."typname" = $1) AND ("pg_namespace"."nspname" = $2)) LIMIT 1

--! diesel: print-schema, tables
--! bind: ["public", "__diesel_%", "BASE TABLE", "VIEW"]
SELECT "information_schema"."tables"."table_name", "information_schema"."tables"."table_schema" FROM "information_schema"."tables" WHERE (("information_schema"."tables"."table_schema" = $1) AND ("information_schema"."tables"."table_name" NOT LIKE $2)) AND "information_schema"."tables"."table_type" IN ($3, $4) ORDER BY 1

--! diesel: print-schema, columns
--! bind: ["orders", "public"]
SELECT column_name, udt_name, udt_schema::text, is_nullable = 'YES', character_maximum_length,
 col_description(CONCAT(quote_ident(table_schema::text), '.', quote_ident(table_name::text))::regclass::oid, ordinal_position::int4)
FROM information_schema.columns WHERE table_name = $1 AND table_schema = $2 ORDER BY ordinal_position

--! diesel: joins and counts
--! bind: ["paid", "3"]
SELECT "orders"."id", "orders"."status", "customers"."name" FROM ("orders" INNER JOIN "customers" ON ("orders"."customer_id" = "customers"."id")) WHERE ("orders"."status" = $1) ORDER BY "orders"."id" ASC LIMIT $2

--! pgbench: what it reads
show server_version
--;
select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'orders' and o.n is not null group by 1, 2 order by 1 asc limit 1

--! pgbench: select only
--! bind: ["77"]
SELECT total FROM orders WHERE id = $1;
