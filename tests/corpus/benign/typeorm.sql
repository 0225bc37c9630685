-- TypeORM with pg: log-in, repositories, query builder, query runner and schema builder.

--! SELECT version()
SELECT version()

--! select from current_schema, * FROM current_schema()
SELECT * FROM current_schema()

--! select from customers, Customer . id AS Customer_id , Customer
--! bind: ["Oslo"]
SELECT "Customer"."id" AS "Customer_id", "Customer"."name" AS "Customer_name", "Customer"."city" AS "Customer_city" FROM "customers" "Customer" WHERE (("Customer"."city" = $1)) ORDER BY "Customer"."id" ASC LIMIT 3 OFFSET 1

--! select from SELECT, distinctAlias . Customer_id AS ids_Cust
SELECT DISTINCT "distinctAlias"."Customer_id" AS "ids_Customer_id", "distinctAlias"."Customer_id" FROM (SELECT "Customer"."id" AS "Customer_id", "Customer"."name" AS "Customer_name", "Customer"."city" AS "Customer_city", "Customer__Customer_orders"."id" AS "Customer__Customer_orders_id", "Customer__Customer_orders"."status" AS "Customer__Customer_orders_status", "Customer__Customer_orders"."total" AS "Customer__Customer_orders_total", "Customer__Customer_orders"."customer_id" AS "Customer__Customer_orders_customer_id" FROM "customers" "Customer" LEFT JOIN "orders" "Customer__Customer_orders" ON "Customer__Customer_orders"."customer_id"="Customer"."id") "distinctAlias" ORDER BY "distinctAlias"."Customer_id" ASC, "Customer_id" ASC LIMIT 2

--! select from customers, Customer . id AS Customer_id , Customer (2)
SELECT "Customer"."id" AS "Customer_id", "Customer"."name" AS "Customer_name", "Customer"."city" AS "Customer_city", "Customer__Customer_orders"."id" AS "Customer__Customer_orders_id", "Customer__Customer_orders"."status" AS "Customer__Customer_orders_status", "Customer__Customer_orders"."total" AS "Customer__Customer_orders_total", "Customer__Customer_orders"."customer_id" AS "Customer__Customer_orders_customer_id" FROM "customers" "Customer" LEFT JOIN "orders" "Customer__Customer_orders" ON "Customer__Customer_orders"."customer_id"="Customer"."id" WHERE "Customer"."id" IN (1, 2) ORDER BY "Customer"."id" ASC

--! select from customers, COUNT(DISTINCT( Customer . id )) AS cnt
SELECT COUNT(DISTINCT("Customer"."id")) AS "cnt" FROM "customers" "Customer" LEFT JOIN "orders" "Customer__Customer_orders" ON "Customer__Customer_orders"."customer_id"="Customer"."id"

--! select from orders, o . status AS s , COUNT(*) AS n FROM or
SELECT "o"."status" AS "s", COUNT(*) AS "n" FROM "orders" "o" GROUP BY "o"."status" ORDER BY "s" ASC

--! select from SELECT, distinctAlias . o_id AS ids_o_id , dist
--! bind: ["400", "Oslo", "Rome"]
SELECT DISTINCT "distinctAlias"."o_id" AS "ids_o_id", "distinctAlias"."o_id" FROM (SELECT "o"."id" AS "o_id", "o"."status" AS "o_status", "o"."total" AS "o_total", "o"."customer_id" AS "o_customer_id", "c"."id" AS "c_id", "c"."name" AS "c_name", "c"."city" AS "c_city" FROM "orders" "o" LEFT JOIN "customers" "c" ON "c"."id"="o"."customer_id" WHERE "o"."total" > $1 AND "c"."city" IN ($2, $3)) "distinctAlias" ORDER BY "distinctAlias"."o_id" ASC, "o_id" ASC LIMIT 2

--! select from orders, o . id AS o_id , o . status AS o_status
--! bind: ["400", "Oslo", "Rome"]
SELECT "o"."id" AS "o_id", "o"."status" AS "o_status", "o"."total" AS "o_total", "o"."customer_id" AS "o_customer_id", "c"."id" AS "c_id", "c"."name" AS "c_name", "c"."city" AS "c_city" FROM "orders" "o" LEFT JOIN "customers" "c" ON "c"."id"="o"."customer_id" WHERE ( "o"."total" > $1 AND "c"."city" IN ($2, $3) ) AND ( "o"."id" IN (107, 215) ) ORDER BY "o"."id" ASC

--! select from orders, COUNT(1) AS cnt FROM orders Order WHERE
--! bind: ["paid"]
SELECT COUNT(1) AS "cnt" FROM "orders" "Order" WHERE (("Order"."status" = $1))

--! select from SELECT, 1 AS row_exists FROM (SELECT 1 AS dummy
--! bind: ["3"]
SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "customers" "Customer" WHERE (("Customer"."id" = $1))) LIMIT 1

--! select from current_database, * FROM current_database()
SELECT * FROM current_database()

--! select from information_schema.tables, table_schema , table_name , obj_descrip
SELECT "table_schema", "table_name", obj_description((quote_ident("table_schema") || '.' || quote_ident("table_name"))::regclass, 'pg_class') AS table_comment FROM "information_schema"."tables" WHERE ("table_schema" = 'public' AND "table_name" = 'orders') OR ("table_schema" = 'public' AND "table_name" = 'customers')

--! select from information_schema.columns, TRUE FROM information_schema.columns WH
SELECT TRUE FROM information_schema.columns WHERE table_name = 'pg_class' and column_name = 'relispartition'

--! select from information_schema.columns, columns.*, pg_catalog.col_description((
SELECT columns.*, pg_catalog.col_description((quote_ident(table_catalog) || '.' || quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass::oid, ordinal_position) AS description, ('"' || "udt_schema" || '"."' || "udt_name" || '"')::"regtype"::text AS "regtype", pg_catalog.format_type("col_attr"."atttypid", "col_attr"."atttypmod") AS "format_type" FROM "information_schema"."columns" LEFT JOIN "pg_catalog"."pg_attribute" AS "col_attr" ON "col_attr"."attname" = "columns"."column_name" AND "col_attr"."attrelid" = ( SELECT "cls"."oid" FROM "pg_catalog"."pg_class" AS "cls" LEFT JOIN "pg_catalog"."pg_namespace" AS "ns" ON "ns"."oid" = "cls"."relnamespace" WHERE "cls"."relname" = "columns"."table_name" AND "ns"."nspname" = "columns"."table_schema" ) WHERE ("table_schema" = 'public' AND "table_name" = 'customers') OR ("table_schema" = 'public' AND "table_name" = 'orders')

--! select from pg_constraint, ns . nspname AS table_schema , t . reln
SELECT "ns"."nspname" AS "table_schema", "t"."relname" AS "table_name", "cnst"."conname" AS "constraint_name", pg_get_constraintdef("cnst"."oid") AS "expression", CASE "cnst"."contype" WHEN 'p' THEN 'PRIMARY' WHEN 'u' THEN 'UNIQUE' WHEN 'c' THEN 'CHECK' WHEN 'x' THEN 'EXCLUDE' END AS "constraint_type", "a"."attname" AS "column_name" FROM "pg_constraint" "cnst" INNER JOIN "pg_class" "t" ON "t"."oid" = "cnst"."conrelid" INNER JOIN "pg_namespace" "ns" ON "ns"."oid" = "cnst"."connamespace" LEFT JOIN "pg_attribute" "a" ON "a"."attrelid" = "cnst"."conrelid" AND "a"."attnum" = ANY ("cnst"."conkey") WHERE "t"."relkind" IN ('r', 'p') AND (("ns"."nspname" = 'public' AND "t"."relname" = 'customers') OR ("ns"."nspname" = 'public' AND "t"."relname" = 'orders'))

--! select from pg_class, ns . nspname AS table_schema , t . reln
SELECT "ns"."nspname" AS "table_schema", "t"."relname" AS "table_name", "i"."relname" AS "constraint_name", "a"."attname" AS "column_name", CASE "ix"."indisunique" WHEN 't' THEN 'TRUE' ELSE'FALSE' END AS "is_unique", pg_get_expr("ix"."indpred", "ix"."indrelid") AS "condition", "types"."typname" AS "type_name", "am"."amname" AS "index_type" FROM "pg_class" "t" INNER JOIN "pg_index" "ix" ON "ix"."indrelid" = "t"."oid" INNER JOIN "pg_attribute" "a" ON "a"."attrelid" = "t"."oid"  AND "a"."attnum" = ANY ("ix"."indkey") INNER JOIN "pg_namespace" "ns" ON "ns"."oid" = "t"."relnamespace" INNER JOIN "pg_class" "i" ON "i"."oid" = "ix"."indexrelid" INNER JOIN "pg_type" "types" ON "types"."oid" = "a"."atttypid" INNER JOIN "pg_am" "am" ON "i"."relam" = "am"."oid" LEFT JOIN "pg_constraint" "cnst" ON "cnst"."conname" = "i"."relname" WHERE "t"."relkind" IN ('r', 'p') AND "cnst"."contype" IS NULL AND (("ns"."nspname" = 'public' AND "t"."relname" = 'customers') OR ("ns"."nspname" = 'public' AND "t"."relname" = 'orders'))

--! select from SELECT, con . conname AS constraint_name , con
SELECT "con"."conname" AS "constraint_name", "con"."nspname" AS "table_schema", "con"."relname" AS "table_name", "att2"."attname" AS "column_name", "ns"."nspname" AS "referenced_table_schema", "cl"."relname" AS "referenced_table_name", "att"."attname" AS "referenced_column_name", "con"."confdeltype" AS "on_delete", "con"."confupdtype" AS "on_update", "con"."condeferrable" AS "deferrable", "con"."condeferred" AS "deferred" FROM ( SELECT UNNEST ("con1"."conkey") AS "parent", UNNEST ("con1"."confkey") AS "child", "con1"."confrelid", "con1"."conrelid", "con1"."conname", "con1"."contype", "ns"."nspname", "cl"."relname", "con1"."condeferrable", CASE WHEN "con1"."condeferred" THEN 'INITIALLY DEFERRED' ELSE 'INITIALLY IMMEDIATE' END as condeferred, CASE "con1"."confdeltype" WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END as "confdeltype", CASE "con1"."confupdtype" WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END as "confupdtype" FROM "pg_class" "cl" INNER JOIN "pg_namespace" "ns" ON "cl"."relnamespace" = "ns"."oid" INNER JOIN "pg_constraint" "con1" ON "con1"."conrelid" = "cl"."oid" WHERE "con1"."contype" = 'f' AND (("ns"."nspname" = 'public' AND "cl"."relname" = 'customers') OR ("ns"."nspname" = 'public' AND "cl"."relname" = 'orders')) ) "con" INNER JOIN "pg_attribute" "att" ON "att"."attrelid" = "con"."confrelid" AND "att"."attnum" = "con"."child" INNER JOIN "pg_class" "cl" ON "cl"."oid" = "con"."confrelid"  AND "cl"."relispartition" = 'f'INNER JOIN "pg_namespace" "ns" ON "cl"."relnamespace" = "ns"."oid" INNER JOIN "pg_attribute" "att2" ON "att2"."attrelid" = "con"."conrelid" AND "att2"."attnum" = "con"."parent"

--! select from information_schema.tables, table_schema , table_name , obj_descrip (2)
SELECT "table_schema", "table_name", obj_description((quote_ident("table_schema") || '.' || quote_ident("table_name"))::regclass, 'pg_class') AS table_comment FROM "information_schema"."tables"

--! select from information_schema.columns, udt_schema , udt_name FROM information_
SELECT "udt_schema", "udt_name" FROM "information_schema"."columns" WHERE "table_schema" = 'pg_catalog' AND "table_name" = 'pg_statistic' AND "column_name"='stanumbers1'

--! select from pg_enum, e . enumlabel AS value FROM pg_enum e I
SELECT "e"."enumlabel" AS "value" FROM "pg_enum" "e" INNER JOIN "pg_type" "t" ON "t"."oid" = "e"."enumtypid" INNER JOIN "pg_namespace" "n" ON "n"."oid" = "t"."typnamespace" WHERE "n"."nspname" = 'pg_catalog' AND "t"."typname" = 'float4' ORDER BY "e"."enumsortorder"

--! select from information_schema.tables, * FROM information_schema . tables WHER
--! bind: ["public", "typeorm_metadata"]
SELECT * FROM "information_schema"."tables" WHERE "table_schema" = $1 AND "table_name" = $2

--! select from information_schema.columns, * FROM information_schema . columns WHE
--! bind: ["public", "orders", "id"]
SELECT * FROM "information_schema"."columns" WHERE "table_schema" = $1 AND "table_name" = $2 AND "column_name" = $3

--! select from information_schema.schemata, * FROM information_schema . schemata WH
--! bind: ["public"]
SELECT * FROM "information_schema"."schemata" WHERE "schema_name" = $1

--! transaction: start, set, select, rollback
START TRANSACTION
--;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
--;
select 1
--;
ROLLBACK
