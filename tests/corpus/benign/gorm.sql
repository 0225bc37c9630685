-- GORM 1.31 with pgx: models and migrator queries.

--! select from customers, * FROM customers WHERE customers . id =
--! bind: ["5", "1"]
--! masked: email, card_number
SELECT * FROM "customers" WHERE "customers"."id" = $1 ORDER BY "customers"."id" LIMIT $2

--! select from customers, * FROM customers WHERE city = $1 ORDER
--! bind: ["Oslo", "3", "1"]
--! masked: email, card_number
SELECT * FROM "customers" WHERE city = $1 ORDER BY id LIMIT $2 OFFSET $3

--! select from customers, * FROM customers WHERE id < $1
--! bind: ["3"]
--! masked: email, card_number
SELECT * FROM "customers" WHERE id < $1

--! select from orders, * FROM orders WHERE orders . customer_i
--! bind: ["1", "2"]
--! masked: note
SELECT * FROM "orders" WHERE "orders"."customer_id" IN ($1,$2)

--! select from orders, orders . id , orders . customer_id , or
--! bind: ["400", "3"]
SELECT "orders"."id","orders"."customer_id","orders"."status","orders"."total","orders"."placed_at","Customer"."id" AS "Customer__id","Customer"."name" AS "Customer__name","Customer"."city" AS "Customer__city","Customer"."created_at" AS "Customer__created_at" FROM "orders" LEFT JOIN "customers" "Customer" ON "orders"."customer_id" = "Customer"."id" WHERE orders.total > $1 ORDER BY orders.id LIMIT $2

--! select from orders, status, count(*) as n, sum(total) as s
--! bind: ["1"]
SELECT status, count(*) as n, sum(total) as s FROM "orders" GROUP BY "status" HAVING count(*) > $1 ORDER BY status

--! select from orders, count(*) FROM orders WHERE status IN ($
--! bind: ["open", "paid"]
SELECT count(*) FROM "orders" WHERE status IN ($1,$2)

--! select from orders, * FROM orders WHERE NOT status = $1 OR
--! bind: ["test", "3", "2"]
SELECT * FROM "orders" WHERE NOT status = $1 OR "orders"."id" = $2 ORDER BY id LIMIT $3

--! select from customers, city FROM customers ORDER BY city
--! bind: []
SELECT DISTINCT "city" FROM "customers" ORDER BY city

--! select from orders, * FROM orders WHERE orders . id = $1 LI
--! bind: ["1", "1"]
SELECT * FROM "orders" WHERE "orders"."id" = $1 LIMIT $2 FOR SHARE

--! select from orders, id FROM orders WHERE placed_at > $1 ORD
--! bind: ["2026-03-05 00:00:00+00"]
SELECT id FROM orders WHERE placed_at > $1 ORDER BY id LIMIT 2

--! select from orders, * FROM orders ORDER BY orders . id DESC
--! bind: ["1"]
--! masked: note
SELECT * FROM "orders" ORDER BY "orders"."id" DESC LIMIT $1

--! select from orders, count(*) FROM orders WHERE total > (SEL
--! bind: []
SELECT count(*) FROM "orders" WHERE total > (SELECT AVG(total) FROM "orders")

--! select from customers, * FROM customers WHERE customers . city
--! bind: ["Rome", "20"]
--! masked: email, card_number
SELECT * FROM "customers" WHERE "customers"."city" = $1 ORDER BY "customers"."id" LIMIT $2

--! select from customers, * FROM customers WHERE customers . city (2)
--! bind: ["Rome", "98", "20"]
--! masked: email, card_number
SELECT * FROM "customers" WHERE "customers"."city" = $1 AND "customers"."id" > $2 ORDER BY "customers"."id" LIMIT $3

--! select from information_schema.tables, count(*) FROM information_schema.tables
--! bind: ["orders", "BASE TABLE"]
SELECT count(*) FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 AND table_type = $2

--! select from INFORMATION_SCHEMA.columns, count(*) FROM INFORMATION_SCHEMA.column
--! bind: ["orders", "status"]
SELECT count(*) FROM INFORMATION_SCHEMA.columns WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 AND column_name = $2

--! select from pg_indexes, count(*) FROM pg_indexes WHERE tablenam
--! bind: ["orders", "x"]
SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexname = $2 AND schemaname = CURRENT_SCHEMA()

--! select from INFORMATION_SCHEMA.table_constraints, count(*) FROM INFORMATION_SCHEMA.table_
--! bind: ["orders", "x"]
SELECT count(*) FROM INFORMATION_SCHEMA.table_constraints WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 AND constraint_name = $2

--! SELECT CURRENT_DATABASE()
--! bind: []
SELECT CURRENT_DATABASE()

--! select from information_schema.tables, table_name FROM information_schema.tabl
--! bind: ["BASE TABLE"]
SELECT table_name FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_type = $1

--! select from information_schema.columns, c.column_name, c.is_nullable = 'YES', c
--! bind: ["shop", "orders"]
SELECT c.column_name, c.is_nullable = 'YES', c.udt_name, c.character_maximum_length, c.numeric_precision, c.numeric_precision_radix, c.numeric_scale, c.datetime_precision, 8 * typlen, c.column_default, pd.description, c.identity_increment FROM information_schema.columns AS c JOIN pg_type AS pgt ON c.udt_name = pgt.typname LEFT JOIN pg_catalog.pg_description as pd ON pd.objsubid = c.ordinal_position AND pd.objoid = (SELECT oid FROM pg_catalog.pg_class WHERE relname = c.table_name AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = c.table_schema)) where table_catalog = $1 AND table_schema = CURRENT_SCHEMA() AND table_name = $2

--! select from orders, * FROM orders LIMIT '1'
SELECT * FROM "orders" LIMIT  '1'

--! select from information_schema.table_constraints, constraint_name FROM information_schema
--! bind: ["shop", "orders", "UNIQUE"]
SELECT constraint_name FROM information_schema.table_constraints tc JOIN information_schema.constraint_column_usage AS ccu USING (constraint_schema, constraint_catalog, table_name, constraint_name) JOIN information_schema.columns AS c ON c.table_schema = tc.constraint_schema AND tc.table_name = c.table_name AND ccu.column_name = c.column_name WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND c.table_catalog = $1 AND c.table_schema = CURRENT_SCHEMA() AND c.table_name = $2 AND constraint_type = $3

--! select from information_schema.table_constraints, c.column_name, constraint_name, constra
--! bind: ["shop", "orders"]
SELECT c.column_name, constraint_name, constraint_type FROM information_schema.table_constraints tc JOIN information_schema.constraint_column_usage AS ccu USING (constraint_schema, constraint_catalog, table_name, constraint_name) JOIN information_schema.columns AS c ON c.table_schema = tc.constraint_schema AND tc.table_name = c.table_name AND ccu.column_name = c.column_name WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND c.table_catalog = $1 AND c.table_schema = CURRENT_SCHEMA() AND c.table_name = $2

--! select from pg_attribute, a.attname as column_name, format_type(a
--! bind: ["orders"]
SELECT a.attname as column_name, format_type(a.atttypid, a.atttypmod) AS data_type	FROM pg_attribute a JOIN pg_class b ON a.attrelid = b.oid AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = CURRENT_SCHEMA())	WHERE a.attnum > 0	AND NOT a.attisdropped	AND b.relname = $1

--! select from pg_index, SELECT ct.relname AS table_name, ci.rel
--! bind: ["orders"]
SELECT
	ct.relname AS table_name,
	ci.relname AS index_name,
	i.indisunique AS non_unique,
	i.indisprimary AS primary,
	a.attname AS column_name
FROM
	pg_index i
	LEFT JOIN pg_class ct ON ct.oid = i.indrelid
	LEFT JOIN pg_class ci ON ci.oid = i.indexrelid
	LEFT JOIN pg_attribute a ON a.attrelid = ct.oid
	LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid
WHERE
	a.attnum = ANY(i.indkey)
	AND con.oid IS NULL
	AND ct.relkind = 'r'
	AND ct.relname = $1
 AND ct.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = CURRENT_SCHEMA())
