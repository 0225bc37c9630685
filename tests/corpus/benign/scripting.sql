-- DBD::Pg, RPostgres with dbplyr, Sequel and Peewee, as they are known to ask.

--! DBD::Pg: columns of a table
SELECT
            pg_catalog.quote_ident(pg_catalog.current_database()) AS "TABLE_CAT"
            , pg_catalog.quote_ident(n.nspname) AS "TABLE_SCHEM"
            , pg_catalog.quote_ident(c.relname) AS "TABLE_NAME"
            , pg_catalog.quote_ident(a.attname) AS "COLUMN_NAME"
            , a.atttypid AS "DATA_TYPE"
            , pg_catalog.format_type(a.atttypid, NULL) AS "TYPE_NAME"
            , a.attlen AS "COLUMN_SIZE"
            , CASE a.attnotnull WHEN 't' THEN 0 ELSE 1 END AS "NULLABLE"
            , pg_catalog.col_description(a.attrelid, a.attnum) AS "REMARKS"
            , pg_catalog.pg_get_expr(af.adbin, af.adrelid) AS "COLUMN_DEF"
            FROM
                pg_catalog.pg_type t
                JOIN pg_catalog.pg_attribute a ON (t.oid = a.atttypid)
                JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
                LEFT JOIN pg_catalog.pg_attrdef af ON (a.attnum = af.adnum AND a.attrelid = af.adrelid)
                JOIN pg_catalog.pg_namespace n ON (n.oid = c.relnamespace)
            WHERE
                a.attnum >= 0
                AND c.relkind IN ('r','p','v','m','f')
                AND c.relname = 'orders'
            ORDER BY a.attnum

--! DBD::Pg: the start of a session
SET DateStyle = 'ISO'
--;
SET client_encoding = 'UTF8'
--;
SELECT 'DBD::Pg ping test, v3.16'
--;
/* DBD::Pg ping test v3.16.0 */

--! RPostgres: what it asks
SET datestyle to iso, mdy
--;
SET TIMEZONE TO 'UTC'
--;
SELECT oid, typname FROM pg_type
--;
SELECT COUNT(*) FROM (SELECT unnest(current_schemas(true)) AS nspname) n JOIN pg_namespace USING (nspname)
--;
SELECT table_name FROM INFORMATION_SCHEMA.tables WHERE (table_schema = ANY(current_schemas(true))) AND (table_schema <> 'pg_catalog') ORDER BY table_name

--! dbplyr: an empty look, and a summary
SELECT * FROM "orders" AS "q01" WHERE (0 = 1)
--;
SELECT "status", AVG("total") AS "m", COUNT(*) AS "n" FROM "orders" GROUP BY "status" ORDER BY "status"
--;
SELECT "q01".*, ROW_NUMBER() OVER (PARTITION BY "status" ORDER BY "id") AS "col01" FROM (SELECT "id", "status" FROM "orders") AS "q01" ORDER BY "id" LIMIT 11

--! Sequel: the start of a session
SET standard_conforming_strings = ON
--;
SET client_min_messages = 'WARNING'
--;
SET DateStyle = 'ISO'
--;
SELECT CAST(current_setting('server_version_num') AS integer) AS v
--;
SELECT NULL AS "nil" FROM "orders" LIMIT 1

--! Sequel: a schema
SELECT "pg_attribute"."attname" AS "name", CAST("pg_attribute"."atttypid" AS integer) AS "oid", CAST("basetype"."oid" AS integer) AS "base_oid", format_type("basetype"."oid", "pg_type"."typtypmod") AS "db_base_type", format_type("pg_type"."oid", "pg_attribute"."atttypmod") AS "db_type", pg_get_expr("pg_attrdef"."adbin", "pg_class"."oid") AS "default", NOT "pg_attribute"."attnotnull" AS "allow_null", COALESCE(("pg_attribute"."attnum" = ANY("pg_index"."indkey")), false) AS "primary_key", "pg_attribute"."attidentity", "pg_attribute"."attgenerated" FROM "pg_class" INNER JOIN "pg_attribute" ON ("pg_attribute"."attrelid" = "pg_class"."oid") INNER JOIN "pg_type" ON ("pg_type"."oid" = "pg_attribute"."atttypid") LEFT OUTER JOIN "pg_type" AS "basetype" ON ("basetype"."oid" = "pg_type"."typbasetype") LEFT OUTER JOIN "pg_attrdef" ON (("pg_attrdef"."adrelid" = "pg_class"."oid") AND ("pg_attrdef"."adnum" = "pg_attribute"."attnum")) LEFT OUTER JOIN "pg_index" ON (("pg_index"."indrelid" = "pg_class"."oid") AND ("pg_index"."indisprimary" IS TRUE)) WHERE (("pg_attribute"."attisdropped" IS FALSE) AND ("pg_attribute"."attnum" > 0) AND ("pg_class"."oid" = CAST(CAST('"orders"' AS regclass) AS oid))) ORDER BY "pg_attribute"."attnum"

--! Peewee: tables, columns, indexes
SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public' ORDER BY tablename
--;
SELECT column_name, is_nullable, data_type, column_default FROM information_schema.columns WHERE table_name = 'orders' AND table_schema = 'public' ORDER BY ordinal_position
--;
SELECT i.relname, idxs.indexdef, idx.indisunique, array_to_string(ARRAY(SELECT pg_get_indexdef(idx.indexrelid, k + 1, TRUE) FROM generate_subscripts(idx.indkey, 1) AS k ORDER BY k), ',') FROM pg_catalog.pg_class AS t INNER JOIN pg_catalog.pg_index AS idx ON t.oid = idx.indrelid INNER JOIN pg_catalog.pg_class AS i ON idx.indexrelid = i.oid INNER JOIN pg_catalog.pg_indexes AS idxs ON (idxs.tablename = t.relname AND idxs.indexname = i.relname) WHERE t.relname = 'customers' AND t.relkind = 'r' AND idxs.schemaname = 'public' ORDER BY idx.indisunique DESC, i.relname
