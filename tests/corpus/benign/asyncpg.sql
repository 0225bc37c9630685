-- asyncpg 0.32.0, alone and under SQLAlchemy 2.1.9: introspection of types, cursors, reset.

--! select pg_catalog.version()
--! bind: []
select pg_catalog.version()

--! select current_schema()
--! bind: []
select current_schema()

--! transaction: begin, select, rollback
--! bind: null
--! bind: ["r", "p", "t", "pg_catalog"]
--! bind: ["", "always", "a", "start", "increment", "minvalue", "maxvalue", "cache", "cycle", "", "0", "name", "schema", "0", "r", "p", "f", "v", "m", "pg_catalog", "orders"]
--! bind: null
BEGIN;
--;
SELECT pg_catalog.pg_class.relname
FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY[$1::VARCHAR, $2::VARCHAR]) AND pg_catalog.pg_class.relpersistence != $3::CHAR AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != $4::VARCHAR
--;
SELECT pg_catalog.pg_attribute.attname AS name, pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type, CASE WHEN pg_catalog.pg_attribute.atthasdef THEN (SELECT pg_catalog.pg_get_expr(pg_catalog.pg_attrdef.adbin, pg_catalog.pg_attrdef.adrelid) AS pg_get_expr_1
FROM pg_catalog.pg_attrdef
WHERE pg_catalog.pg_attribute.atthasdef AND pg_catalog.pg_attrdef.adrelid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attrdef.adnum = pg_catalog.pg_attribute.attnum) ELSE NULL END AS "default", pg_catalog.pg_attribute.attnotnull AS not_null, pg_catalog.pg_class.relname AS table_name, pg_catalog.pg_description.description AS comment, pg_catalog.pg_attribute.attgenerated AS generated, CASE WHEN (pg_catalog.pg_attribute.attidentity != $1::CHAR) THEN (SELECT json_build_object($2::VARCHAR, pg_catalog.pg_attribute.attidentity = $3::CHAR, $4::VARCHAR, pg_catalog.pg_sequence.seqstart, $5::VARCHAR, pg_catalog.pg_sequence.seqincrement, $6::VARCHAR, pg_catalog.pg_sequence.seqmin, $7::VARCHAR, pg_catalog.pg_sequence.seqmax, $8::VARCHAR, pg_catalog.pg_sequence.seqcache, $9::VARCHAR, pg_catalog.pg_sequence.seqcycle) AS json_build_object_1
FROM pg_catalog.pg_sequence
WHERE pg_catalog.pg_attribute.attidentity != $10::CHAR AND pg_catalog.pg_sequence.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(pg_catalog.pg_attribute.attrelid AS REGCLASS) AS TEXT), pg_catalog.pg_attribute.attname) AS REGCLASS) AS OID)) ELSE NULL END AS identity_options, CASE WHEN (pg_catalog.pg_attribute.attcollation != $11::INTEGER AND (SELECT pg_catalog.pg_type.typcollation
FROM pg_catalog.pg_type
WHERE pg_catalog.pg_type.oid = pg_catalog.pg_attribute.atttypid) != pg_catalog.pg_attribute.attcollation) THEN (SELECT json_build_object($12::VARCHAR, pg_catalog.pg_collation.collname, $13::VARCHAR, CASE WHEN pg_catalog.pg_collation_is_visible(pg_catalog.pg_collation.oid) THEN NULL ELSE pg_catalog.pg_namespace.nspname END) AS json_build_object_9
FROM pg_catalog.pg_collation JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_collation.collnamespace
WHERE pg_catalog.pg_collation.oid = pg_catalog.pg_attribute.attcollation) ELSE NULL END AS collation
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > $14::SMALLINT AND NOT pg_catalog.pg_attribute.attisdropped LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_description.objsubid = pg_catalog.pg_attribute.attnum JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY[$15::VARCHAR, $16::VARCHAR, $17::VARCHAR, $18::VARCHAR, $19::VARCHAR]) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != $20::VARCHAR AND pg_catalog.pg_class.relname IN ($21::VARCHAR) ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum
--;
ROLLBACK;

--! select from customers, customers.id, customers.name, customers
--! bind: ["5"]
SELECT customers.id, customers.name, customers.city, customers.created_at
FROM customers
WHERE customers.id = $1::INTEGER

--! select from customers, customers.id, customers.name, customers (2)
--! bind: ["Oslo", "2026-01-02 00:00:00+00", "5"]
SELECT customers.id, customers.name, customers.city, customers.created_at
FROM customers
WHERE customers.city = $1::VARCHAR AND customers.created_at > $2::TIMESTAMP WITH TIME ZONE ORDER BY customers.id
 LIMIT $3::INTEGER

--! select from customers, customers.city, count(*) AS count_1 FRO
--! bind: []
SELECT customers.city, count(*) AS count_1
FROM customers GROUP BY customers.city ORDER BY customers.city

--! select from orders, orders.id, orders.customer_id, orders.s
--! bind: ["10", "20"]
SELECT orders.id, orders.customer_id, orders.status, orders.total, orders.placed_at
FROM orders
WHERE orders.total BETWEEN $1::INTEGER AND $2::INTEGER ORDER BY orders.id

--!  SELECT current_setting('jit') AS cur, set_config('jit', 'off', false)
--! bind: []
                    SELECT
                        current_setting('jit') AS cur,
                        set_config('jit', 'off', false) AS new


--!  SELECT set_config('jit', $1, false) 
--! bind: ["on"]
                SELECT
                    set_config('jit', $1, false)


--! select $1::int4range, array[1,2], $2::jsonb
--! bind: [null, "{}"]
select $1::int4range, array[1,2], $2::jsonb

--! select from pg_class, c.oid::regclass, row(1,2), null::pg_lsn
--! bind: []
select c.oid::regclass, row(1,2), null::pg_lsn, '{}'::aclitem[], o from pg_class c, lateral (select 1 as o) x where relname='orders'

--! select from orders, o from orders o order by id limit 1
--! bind: []
select o from orders o order by id limit 1

--! select from orders, id from orders order by id
--! bind: []
select id from orders order by id

--! select from orders, count(*) from orders where status=$1
--! bind: ["paid"]
select count(*) from orders where status=$1

--! SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;
SELECT pg_advisory_unlock_all();
CLOSE ALL;
UNLISTEN *;
RESET ALL;
