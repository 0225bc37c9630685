-- ActiveRecord 6.1.7 with pg 1.4.5: schema statements, SchemaDumper, queries.

--! SET client_min_messages TO 'warning'
SET client_min_messages TO 'warning'

--! SET standard_conforming_strings = on
SET standard_conforming_strings = on

--! SET intervalstyle = iso_8601
SET intervalstyle = iso_8601

--! SET SESSION timezone TO 'UTC'
SET SESSION timezone TO 'UTC'

--! select from pg_type, t.oid, t.typname FROM pg_type as t WHER
--! bind: []
SELECT t.oid, t.typname
FROM pg_type as t
WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'bool', 'timestamp', 'timestamptz')

--! select from pg_type, t.oid, t.typname, t.typelem, t.typdelim
--! bind: []
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype
FROM pg_type as t
LEFT JOIN pg_range as r ON oid = rngtypid
WHERE
  t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'text', 'varchar', 'char', 'name', 'bpchar', 'bool', 'bit', 'varbit', 'timestamptz', 'date', 'money', 'bytea', 'point', 'hstore', 'json', 'jsonb', 'cidr', 'inet', 'uuid', 'xml', 'tsvector', 'macaddr', 'citext', 'ltree', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'time', 'timestamp', 'numeric', 'interval')
  OR t.typtype IN ('r', 'e', 'd')
  OR t.typinput = 'array_in(cstring,oid,integer)'::regprocedure
  OR t.typelem != 0

--! SHOW TIME ZONE
SHOW TIME ZONE

--! SELECT 1
SELECT 1

--! select from pg_class, c.relname FROM pg_class c LEFT JOIN pg_
SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r','p')

--! select from pg_class, c.relname FROM pg_class c LEFT JOIN pg_ (2)
SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r','v','m','p','f')

--! select from pg_class, i.relname, d.indisunique, d.indkey, pg_
SELECT distinct i.relname, d.indisunique, d.indkey, pg_get_indexdef(d.indexrelid), t.oid,
                pg_catalog.obj_description(i.oid, 'pg_class') AS comment
FROM pg_class t
INNER JOIN pg_index d ON t.oid = d.indrelid
INNER JOIN pg_class i ON d.indexrelid = i.oid
LEFT JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE i.relkind IN ('i', 'I')
  AND d.indisprimary = 'f'
  AND t.relname = 'orders'
  AND n.nspname = ANY (current_schemas(false))
ORDER BY i.relname

--! select from pg_constraint, t2.oid::regclass::text AS to_table, a1.
--! bind: []
SELECT t2.oid::regclass::text AS to_table, a1.attname AS column, a2.attname AS primary_key, c.conname AS name, c.confupdtype AS on_update, c.confdeltype AS on_delete, c.convalidated AS valid
FROM pg_constraint c
JOIN pg_class t1 ON c.conrelid = t1.oid
JOIN pg_class t2 ON c.confrelid = t2.oid
JOIN pg_attribute a1 ON a1.attnum = c.conkey[1] AND a1.attrelid = t1.oid
JOIN pg_attribute a2 ON a2.attnum = c.confkey[1] AND a2.attrelid = t2.oid
JOIN pg_namespace t3 ON c.connamespace = t3.oid
WHERE c.contype = 'f'
  AND t1.relname = 'orders'
  AND t3.nspname = ANY (current_schemas(false))
ORDER BY c.conname

--! select from SELECT, a.attname FROM ( SELECT indrelid, indke
SELECT a.attname
  FROM (
         SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx
           FROM pg_index
          WHERE indrelid = '"orders"'::regclass
            AND indisprimary
       ) i
  JOIN pg_attribute a
    ON a.attrelid = i.indrelid
   AND a.attnum = i.indkey[i.idx]
 ORDER BY i.idx

--! select from pg_constraint, SELECT conname, pg_get_constraintdef(c.
--! bind: []
            SELECT conname, pg_get_constraintdef(c.oid) AS constraintdef, c.convalidated AS valid
            FROM pg_constraint c
            JOIN pg_class t ON c.conrelid = t.oid
            WHERE c.contype = 'c'
              AND t.relname = 'orders'

--! select from pg_attribute, a.attname, format_type(a.atttypid, a.at
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
       pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod,
       c.collname, col_description(a.attrelid, a.attnum) AS comment
  FROM pg_attribute a
  LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  LEFT JOIN pg_type t ON a.atttypid = t.oid
  LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
 WHERE a.attrelid = '"orders"'::regclass
   AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum

--! select from pg_catalog.pg_class, pg_catalog.obj_description(c.oid, 'pg_c
SELECT pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'orders'
  AND c.relkind IN ('r','p')
  AND n.nspname = ANY (current_schemas(false))

--! select from pg_extension, extname FROM pg_extension
--! bind: []
SELECT extname FROM pg_extension

--! select from pg_namespace, nspname FROM pg_namespace WHERE nspname
SELECT nspname
  FROM pg_namespace
 WHERE nspname !~ '^pg_.*'
   AND nspname NOT IN ('information_schema')
 ORDER by nspname;

--! SELECT current_schema
SELECT current_schema

--! SELECT current_database()
SELECT current_database()

--! select from pg_database, pg_encoding_to_char(encoding) FROM pg_d
SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()

--! select from pg_database, datcollate FROM pg_database WHERE datna
SELECT datcollate FROM pg_database WHERE datname = current_database()

--! select from pg_database, datctype FROM pg_database WHERE datname
SELECT datctype FROM pg_database WHERE datname = current_database()

--! SHOW search_path
SHOW search_path

--! select from pg_class, c.relname FROM pg_class c LEFT JOIN pg_ (3)
SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (current_schemas(false)) AND c.relname = 'orders' AND c.relkind IN ('r','p')

--! select from pg_class, COUNT(*) FROM pg_class t INNER JOIN pg_
SELECT COUNT(*)
FROM pg_class t
INNER JOIN pg_index d ON t.oid = d.indrelid
INNER JOIN pg_class i ON d.indexrelid = i.oid
LEFT JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE i.relkind IN ('i', 'I')
  AND i.relname = 'x'
  AND t.relname = 'orders'
  AND n.nspname = ANY (current_schemas(false))

--! select from pg_class, attr.attname, nsp.nspname, seq.relname
SELECT attr.attname, nsp.nspname, seq.relname
FROM pg_class      seq,
     pg_attribute  attr,
     pg_depend     dep,
     pg_constraint cons,
     pg_namespace  nsp
WHERE seq.oid           = dep.objid
  AND seq.relkind       = 'S'
  AND attr.attrelid     = dep.refobjid
  AND attr.attnum       = dep.refobjsubid
  AND attr.attrelid     = cons.conrelid
  AND attr.attnum       = cons.conkey[1]
  AND seq.relnamespace  = nsp.oid
  AND cons.contype      = 'p'
  AND dep.classid       = 'pg_class'::regclass
  AND dep.refobjid      = '"orders"'::regclass

--! select from pg_class, attr.attname, nsp.nspname, CASE WHEN pg
SELECT attr.attname, nsp.nspname,
  CASE
    WHEN pg_get_expr(def.adbin, def.adrelid) !~* 'nextval' THEN NULL
    WHEN split_part(pg_get_expr(def.adbin, def.adrelid), '''', 2) ~ '.' THEN
      substr(split_part(pg_get_expr(def.adbin, def.adrelid), '''', 2),
             strpos(split_part(pg_get_expr(def.adbin, def.adrelid), '''', 2), '.')+1)
    ELSE split_part(pg_get_expr(def.adbin, def.adrelid), '''', 2)
  END
FROM pg_class       t
JOIN pg_attribute   attr ON (t.oid = attrelid)
JOIN pg_attrdef     def  ON (adrelid = attrelid AND adnum = attnum)
JOIN pg_constraint  cons ON (conrelid = adrelid AND adnum = conkey[1])
JOIN pg_namespace   nsp  ON (t.relnamespace = nsp.oid)
WHERE t.oid = '"orders"'::regclass
  AND cons.contype = 'p'
  AND pg_get_expr(def.adbin, def.adrelid) ~* 'nextval|uuid_generate'

--! SHOW client_min_messages
SHOW client_min_messages

--! select from pg_available_extensions, installed_version IS NOT NULL FROM pg_a
SELECT installed_version IS NOT NULL FROM pg_available_extensions WHERE name = 'hstore'

--! select from pg_available_extensions, true FROM pg_available_extensions WHERE
SELECT true FROM pg_available_extensions WHERE name = 'hstore'

--! SHOW max_identifier_length
SHOW max_identifier_length

--! select from pg_namespace, COUNT(*) FROM pg_namespace WHERE nspnam
SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'public'

--! select from pg_class, c.relname FROM pg_class c LEFT JOIN pg_ (4)
SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (current_schemas(false)) AND c.relname = 'schema_migrations' AND c.relkind IN ('r','v','m','p','f')

--! select from pg_attribute, a.attnum, a.attname FROM pg_attribute a
SELECT a.attnum, a.attname
FROM pg_attribute a
WHERE a.attrelid = 16385
AND a.attnum IN (3)

--! select from customers, customers .* FROM customers ORDER BY cu
--! bind: ["1"]
--! masked: email, card_number
SELECT "customers".* FROM "customers" ORDER BY "customers"."id" ASC LIMIT $1

--! select from customers, customers .* FROM customers WHERE custo
--! bind: ["5", "1"]
--! masked: email, card_number
SELECT "customers".* FROM "customers" WHERE "customers"."id" = $1 LIMIT $2

--! select from customers, customers .* FROM customers WHERE custo (2)
--! bind: ["Oslo", "5"]
--! masked: email, card_number
SELECT "customers".* FROM "customers" WHERE "customers"."city" = $1 ORDER BY "customers"."created_at" DESC LIMIT $2

--! select from customers, customers . id , customers . city FROM
--! bind: ["1", "2", "3"]
SELECT "customers"."id", "customers"."city" FROM "customers" WHERE "customers"."id" IN ($1, $2, $3)

--! select from customers, 1 AS one FROM customers WHERE customers
--! bind: ["3", "1"]
SELECT 1 AS one FROM "customers" WHERE "customers"."id" = $1 LIMIT $2

--! select from customers, COUNT(*) FROM customers
--! bind: []
SELECT COUNT(*) FROM "customers"

--! select from customers, COUNT(*) AS count_all, customers . city
--! bind: []
SELECT COUNT(*) AS count_all, "customers"."city" AS customers_city FROM "customers" GROUP BY "customers"."city"

--! select from orders, SUM( orders . total ) FROM orders
--! bind: []
SELECT SUM("orders"."total") FROM "orders"

--! select from orders, AVG( orders . total ) FROM orders
--! bind: []
SELECT AVG("orders"."total") FROM "orders"

--! select from orders, MAX( orders . total ) FROM orders WHERE
--! bind: ["paid"]
SELECT MAX("orders"."total") FROM "orders" WHERE "orders"."status" = $1

--! select from customers, customers .* FROM customers WHERE custo (3)
--! bind: ["1", "3"]
--! masked: email, card_number
SELECT "customers".* FROM "customers" WHERE "customers"."id" BETWEEN $1 AND $2

--! select from orders, orders .* FROM orders WHERE orders . cu
--! bind: ["1", "2", "3"]
--! masked: note
SELECT "orders".* FROM "orders" WHERE "orders"."customer_id" IN ($1, $2, $3)

--! select from customers, customers . id FROM customers INNER JOI
--! bind: ["open", "3"]
SELECT DISTINCT "customers"."id" FROM "customers" INNER JOIN "orders" ON "orders"."customer_id" = "customers"."id" WHERE "orders"."status" = $1 ORDER BY "customers"."id" ASC LIMIT $2

--! select from orders, orders . id AS t0_r0, orders . customer
--! bind: ["3"]
--! masked: t1_r2, t1_r3
SELECT "orders"."id" AS t0_r0, "orders"."customer_id" AS t0_r1, "orders"."status" AS t0_r2, "orders"."total" AS t0_r3, "orders"."note" AS t0_r4, "orders"."placed_at" AS t0_r5, "customers"."id" AS t1_r0, "customers"."name" AS t1_r1, "customers"."email" AS t1_r2, "customers"."card_number" AS t1_r3, "customers"."city" AS t1_r4, "customers"."created_at" AS t1_r5 FROM "orders" LEFT OUTER JOIN "customers" ON "customers"."id" = "orders"."customer_id" WHERE (orders.total > 400) ORDER BY "orders"."id" ASC LIMIT $1

--! select from orders, COUNT(*) FROM orders WHERE orders . sta
--! bind: ["test"]
SELECT COUNT(*) FROM "orders" WHERE "orders"."status" != $1

--! select from orders, orders .* FROM orders ORDER BY orders .
--! bind: ["400"]
--! masked: note
SELECT "orders".* FROM "orders" ORDER BY "orders"."id" ASC LIMIT $1

--! select from orders, orders .* FROM orders WHERE orders . id
--! bind: ["400", "400"]
--! masked: note
SELECT "orders".* FROM "orders" WHERE "orders"."id" > $1 ORDER BY "orders"."id" ASC LIMIT $2

--! select from orders, orders .* FROM orders WHERE orders . pl
--! bind: ["2026-03-02 00:00:00+00", "2"]
SELECT "orders".* FROM "orders" WHERE "orders"."placed_at" >= $1 LIMIT $2

--! select from orders, orders .* FROM orders ORDER BY orders . (2)
--! bind: ["1"]
--! masked: note
SELECT "orders".* FROM "orders" ORDER BY "orders"."id" DESC LIMIT $1

--! select from orders, 1 AS one FROM orders LIMIT $1
--! bind: ["1"]
SELECT 1 AS one FROM "orders" LIMIT $1

--! select from customers, COUNT(*) FROM customers WHERE (name ILI
--! bind: []
SELECT COUNT(*) FROM "customers" WHERE (name ILIKE '%ana%')

--! select from customers, customers . id FROM customers LEFT OUTE
--! bind: []
SELECT "customers"."id" FROM "customers" LEFT OUTER JOIN "orders" ON "orders"."customer_id" = "customers"."id" GROUP BY "customers"."id" HAVING (count(orders.id) > 4) ORDER BY customers.id

--! select from orders, COUNT(*) FROM orders WHERE ( orders . s
--! bind: ["open", "paid"]
SELECT COUNT(*) FROM "orders" WHERE ("orders"."status" = $1 OR "orders"."status" = $2)

--! select from orders, orders .* FROM orders WHERE orders . id (2)
--! bind: ["1"]
SELECT "orders".* FROM "orders" WHERE "orders"."id" = $1

--! EXPLAIN SELECT "orders".* FROM "orders" WHERE "orders"."id" = $1
--! bind: ["1"]
EXPLAIN SELECT "orders".* FROM "orders" WHERE "orders"."id" = $1

--! select from orders, date_trunc('month', placed_at) as m, co
--! bind: []
SELECT date_trunc('month', placed_at) as m, count(*) FROM "orders" GROUP BY 1 ORDER BY 1

--! select from orders, orders .* FROM orders WHERE orders . id (3)
--! bind: ["1", "1"]
SELECT "orders".* FROM "orders" WHERE "orders"."id" = $1 LIMIT $2 FOR UPDATE

--! transaction: begin, savepoint, select, release, commit
--! bind: null
--! bind: null
--! bind: ["1", "1"]
--! bind: null
--! bind: null
--! masked: email, card_number
BEGIN
--;
SAVEPOINT active_record_1
--;
SELECT "customers".* FROM "customers" WHERE "customers"."id" = $1 LIMIT $2
--;
RELEASE SAVEPOINT active_record_1
--;
COMMIT

--! transaction: begin, set, select, commit
--! bind: null
--! bind: null
--! bind: []
--! bind: null
BEGIN
--;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
--;
SELECT COUNT(*) FROM "orders"
--;
COMMIT

--! DISCARD ALL
DISCARD ALL

--! an advisory lock, as migrations take it
--! volatile
SELECT pg_try_advisory_lock(123456)
--;
SELECT pg_advisory_unlock(123456)
