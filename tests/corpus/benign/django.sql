-- Django 5.2.19 with psycopg 3.3.9: inspectdb, migrate --plan, introspection, ORM and admin-style
-- queries.

--! SELECT set_config('TimeZone', 'UTC', false)
SELECT set_config('TimeZone', 'UTC', false)

--! select from pg_type, oid, typarray FROM pg_type WHERE typnam
SELECT oid, typarray FROM pg_type WHERE typname = 'hstore'

--! select from pg_catalog.pg_class, SELECT c.relname, CASE WHEN c.relispart
            SELECT
                c.relname,
                CASE
                    WHEN c.relispartition THEN 'p'
                    WHEN c.relkind IN ('m', 'v') THEN 'v'
                    ELSE 't'
                END,
                obj_description(c.oid, 'pg_class')
            FROM pg_catalog.pg_class c
            LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v')
                AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
                AND pg_catalog.pg_table_is_visible(c.oid)


--! select from pg_constraint, SELECT a1.attname, c2.relname, a2.attna
            SELECT a1.attname, c2.relname, a2.attname
            FROM pg_constraint con
            LEFT JOIN pg_class c1 ON con.conrelid = c1.oid
            LEFT JOIN pg_class c2 ON con.confrelid = c2.oid
            LEFT JOIN
                pg_attribute a1 ON c1.oid = a1.attrelid AND a1.attnum = con.conkey[1]
            LEFT JOIN
                pg_attribute a2 ON c2.oid = a2.attrelid AND a2.attnum = con.confkey[1]
            WHERE
                c1.relname = 'customers' AND
                con.contype = 'f' AND
                c1.relnamespace = c2.relnamespace AND
                pg_catalog.pg_table_is_visible(c1.oid)


--! select from unnest, SELECT c.conname, array( SELECT attname
            SELECT
                c.conname,
                array(
                    SELECT attname
                    FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx)
                    JOIN pg_attribute AS ca ON cols.colid = ca.attnum
                    WHERE ca.attrelid = c.conrelid
                    ORDER BY cols.arridx
                ),
                c.contype,
                (SELECT fkc.relname || '.' || fka.attname
                FROM pg_attribute AS fka
                JOIN pg_class AS fkc ON fka.attrelid = fkc.oid
                WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]),
                cl.reloptions
            FROM pg_constraint AS c
            JOIN pg_class AS cl ON c.conrelid = cl.oid
            WHERE cl.relname = 'customers' AND pg_catalog.pg_table_is_visible(cl.oid)


--! select from SELECT, SELECT indexname, array_agg(attname ORD
            SELECT
                indexname,
                array_agg(attname ORDER BY arridx),
                indisunique,
                indisprimary,
                array_agg(ordering ORDER BY arridx),
                amname,
                exprdef,
                s2.attoptions
            FROM (
                SELECT
                    c2.relname as indexname, idx.*, attr.attname, am.amname,
                    CASE
                        WHEN idx.indexprs IS NOT NULL THEN
                            pg_get_indexdef(idx.indexrelid)
                    END AS exprdef,
                    CASE am.amname
                        WHEN 'btree' THEN
                            CASE (option & 1)
                                WHEN 1 THEN 'DESC' ELSE 'ASC'
                            END
                    END as ordering,
                    c2.reloptions as attoptions
                FROM (
                    SELECT *
                    FROM
                        pg_index i,
                        unnest(i.indkey, i.indoption)
                            WITH ORDINALITY koi(key, option, arridx)
                ) idx
                LEFT JOIN pg_class c ON idx.indrelid = c.oid
                LEFT JOIN pg_class c2 ON idx.indexrelid = c2.oid
                LEFT JOIN pg_am am ON c2.relam = am.oid
                LEFT JOIN
                    pg_attribute attr ON attr.attrelid = c.oid AND attr.attnum = idx.key
                WHERE c.relname = 'customers' AND pg_catalog.pg_table_is_visible(c.oid)
            ) s2
            GROUP BY indexname, indisunique, indisprimary, amname, exprdef, attoptions;


--! select from pg_attribute, SELECT a.attname AS column_name, NOT (a
            SELECT
                a.attname AS column_name,
                NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) AS is_nullable,
                pg_get_expr(ad.adbin, ad.adrelid) AS column_default,
                CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation,
                a.attidentity != '' AS is_autofield,
                col_description(a.attrelid, a.attnum) AS column_comment
            FROM pg_attribute a
            LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
            LEFT JOIN pg_collation co ON a.attcollation = co.oid
            JOIN pg_type t ON a.atttypid = t.oid
            JOIN pg_class c ON a.attrelid = c.oid
            JOIN pg_namespace n ON c.relnamespace = n.oid
            WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v')
                AND c.relname = 'customers'
                AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
                AND pg_catalog.pg_table_is_visible(c.oid)


--! select from customers, * FROM customers LIMIT 1
--! masked: email, card_number
SELECT * FROM "customers" LIMIT 1

--! select from orders, * FROM orders LIMIT 1
SELECT * FROM "orders" LIMIT 1

--! select from payments, * FROM payments LIMIT 1
--! masked: iban
SELECT * FROM "payments" LIMIT 1

--! select from customer_contacts, * FROM customer_contacts LIMIT 1
--! masked: email
SELECT * FROM "customer_contacts" LIMIT 1

--! select from customers, customers . id , customers . name , cus
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE "customers"."city" = 'Oslo' ORDER BY "customers"."created_at" DESC LIMIT 5

--! select from customers, customers . id , customers . name , cus (2)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE "customers"."id" = 3 LIMIT 21

--! select from customers, COUNT(*) AS __count FROM customers WHER
SELECT COUNT(*) AS "__count" FROM "customers" WHERE UPPER("customers"."name"::text) LIKE UPPER('%ana%')

--! select from customers, 1 AS a FROM customers WHERE UPPER( cust
SELECT 1 AS "a" FROM "customers" WHERE UPPER("customers"."name"::text) LIKE UPPER('Bo%') LIMIT 1

--! select from orders, orders . id , orders . customer_id , or
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at", "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "orders" INNER JOIN "customers" ON ("orders"."customer_id" = "customers"."id") WHERE "orders"."total" >= 400 ORDER BY "orders"."id" ASC LIMIT 3

--! select from customers, customers . id , customers . name , cus (3)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE "customers"."id" < 4 ORDER BY "customers"."id" ASC

--! select from orders, orders . id , orders . customer_id , or (2)
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at" FROM "orders" WHERE "orders"."customer_id" IN (1, 2, 3)

--! select from orders, AVG( orders . total ) AS total__avg , M
SELECT AVG("orders"."total") AS "total__avg", MAX("orders"."total") AS "total__max", MIN("orders"."placed_at") AS "placed_at__min", STDDEV_POP("orders"."total") AS "total__stddev" FROM "orders"

--! select from orders, DATE_TRUNC('month', orders . placed_at
SELECT DATE_TRUNC('month', "orders"."placed_at" AT TIME ZONE 'America/Chicago') AS "m", COUNT("orders"."id") AS "n" FROM "orders" GROUP BY 1 ORDER BY 1 ASC

--! select from orders, orders . id , orders . customer_id , or (3)
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at", ROW_NUMBER() OVER (PARTITION BY "orders"."status" ORDER BY "orders"."total" DESC) AS "r" FROM "orders" ORDER BY "orders"."id" ASC LIMIT 3

--! select from orders, customers . id , customers . name , cus
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at", (SELECT U0."total" AS "total" FROM "orders" U0 WHERE U0."customer_id" = ("customers"."id") ORDER BY U0."placed_at" DESC LIMIT 1) AS "last" FROM "customers" ORDER BY "customers"."id" ASC LIMIT 3

--! select from customers, customers . id , customers . name , cus (4)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE EXISTS(SELECT 1 AS "a" FROM "orders" U0 WHERE (U0."customer_id" = ("customers"."id") AND U0."status" = 'open') LIMIT 1) ORDER BY "customers"."id" ASC LIMIT 3

--! select from customers, customers . id , customers . name , cus (5)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE ("customers"."city" = 'Rome' OR NOT ("customers"."id" IN (1, 2, 3))) ORDER BY "customers"."id" ASC LIMIT 3

--! select from orders, CASE WHEN orders . total > 100 THEN 'bi
SELECT CASE WHEN "orders"."total" > 100 THEN 'big' ELSE 'small' END AS "k", COUNT(*) AS "n" FROM "orders" GROUP BY 1 ORDER BY 1 ASC

--! select from customers, customers . city AS city FROM customers
SELECT DISTINCT "customers"."city" AS "city" FROM "customers" ORDER BY 1 ASC

--! select from orders, orders . status AS status , COALESCE(AR
SELECT "orders"."status" AS "status", COALESCE(ARRAY_AGG("orders"."id" ) FILTER (WHERE "orders"."id" < 9), '{}'::integer[]) AS "a" FROM "orders" WHERE (EXTRACT(MONTH FROM "orders"."placed_at" AT TIME ZONE 'America/Chicago') = 3 AND "orders"."placed_at" BETWEEN '2026-01-01 00:00:00-06:00'::timestamptz AND '2026-12-31 23:59:59.999999-06:00'::timestamptz) GROUP BY 1 ORDER BY 1 ASC

--! select from customers, customers . id , customers . name , cus (6)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at", to_tsvector(COALESCE("customers"."name", '') || ' ' || COALESCE("customers"."city", '')) AS "v" FROM "customers" WHERE to_tsvector(COALESCE("customers"."name", '') || ' ' || COALESCE("customers"."city", '')) @@ (plainto_tsquery('ana')) ORDER BY "customers"."id" ASC LIMIT 3

--! select from customers, customers . id , customers . name , cus (7)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at", ts_rank(to_tsvector(COALESCE("customers"."name", '')), plainto_tsquery('bo')) AS "rank" FROM "customers" ORDER BY 5 DESC, "customers"."id" ASC LIMIT 3

--! select from orders, orders . id , orders . customer_id , or (4)
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at" FROM "orders" WHERE ("orders"."placed_at" AT TIME ZONE 'America/Chicago')::date = '2026-03-02'::date ORDER BY "orders"."id" ASC LIMIT 2

--! select from orders.placed_at, orders . id , orders . customer_id , or
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at", EXTRACT(HOUR FROM "orders"."placed_at" AT TIME ZONE 'America/Chicago') AS "h", EXTRACT(WEEK FROM "orders"."placed_at" AT TIME ZONE 'America/Chicago') AS "w" FROM "orders" ORDER BY "orders"."id" ASC LIMIT 2

--! select from customers, JSONB_BUILD_OBJECT(('n')::text, custome
SELECT JSONB_BUILD_OBJECT(('n')::text, "customers"."name", ('c')::text, "customers"."city") AS "j" FROM "customers" ORDER BY "customers"."id" ASC LIMIT 2

--! select from customers, customers . id , customers . name , cus (8)
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE "customers"."city"::text ~ '^[OR]' ORDER BY "customers"."id" ASC LIMIT 2

--! (SELECT "customers"."id" AS "id" FROM "customers" WHERE "customers"."i
(SELECT "customers"."id" AS "id" FROM "customers" WHERE "customers"."id" < 3) UNION (SELECT "orders"."id" AS "id" FROM "orders" WHERE "orders"."id" < 3) ORDER BY 1 ASC

--! select from orders, * from orders where status='paid' order
select * from orders where status='paid' order by id limit 2

--! EXPLAIN SELECT "orders"."id", "orders"."customer_id", "orders"."status
EXPLAIN SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at" FROM "orders" WHERE "orders"."status" = 'paid'

--! EXPLAIN (VERBOSE true, FORMAT json) SELECT "orders"."id", "orders"."cu
EXPLAIN (VERBOSE true, FORMAT json) SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total", "orders"."placed_at" FROM "orders" WHERE "orders"."id" < 10

--! select from orders, orders . id AS id FROM orders ORDER BY
SELECT "orders"."id" AS "id" FROM "orders" ORDER BY 1 ASC LIMIT 1

--! select from orders, DATE_TRUNC('day', orders . placed_at AT
SELECT DISTINCT DATE_TRUNC('day', "orders"."placed_at" AT TIME ZONE 'America/Chicago') AS "datefield" FROM "orders" WHERE ("orders"."total" BETWEEN 10 AND 12 AND "orders"."placed_at" IS NOT NULL) ORDER BY 1 DESC

--! select from customers, customers . id , customers . name , cus (9)
SELECT DISTINCT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE (UPPER("customers"."name"::text) LIKE UPPER('%an%') OR UPPER("customers"."city"::text) LIKE UPPER('%an%')) ORDER BY "customers"."id" DESC LIMIT 10

--! select from customers, MIN( customers . created_at ) AS first
SELECT MIN("customers"."created_at") AS "first", MAX("customers"."created_at") AS "last" FROM "customers"

--! transaction: begin, savepoint, select, release, commit
BEGIN
--;
SAVEPOINT "s140354517621632_x1"
--;
SELECT "customers"."id", "customers"."name", "customers"."city", "customers"."created_at" FROM "customers" WHERE "customers"."id" = 1 ORDER BY "customers"."id" ASC LIMIT 1
--;
RELEASE SAVEPOINT "s140354517621632_x1"
--;
COMMIT

--! select from pg_class, SELECT s.relname AS sequence_name, a.at
            SELECT
                s.relname AS sequence_name,
                a.attname AS colname
            FROM
                pg_class s
                JOIN pg_depend d ON d.objid = s.oid
                    AND d.classid = 'pg_class'::regclass
                    AND d.refclassid = 'pg_class'::regclass
                JOIN pg_attribute a ON d.refobjid = a.attrelid
                    AND d.refobjsubid = a.attnum
                JOIN pg_class tbl ON tbl.oid = d.refobjid
                    AND tbl.relname = 'customers'
                    AND pg_catalog.pg_table_is_visible(tbl.oid)
            WHERE
                s.relkind = 'S';

