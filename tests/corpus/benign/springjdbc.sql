-- Spring JDBC 6.2.6 with pgjdbc.

--! SET application_name = 'PostgreSQL JDBC Driver'
SET application_name = 'PostgreSQL JDBC Driver'

--! select from orders, id, status from orders where status in
--! bind: ["open", "paid", "10"]
select id, status from orders where status in ($1, $2) and total > $3 order by id limit 5

--! select from customers, count(*) from customers where city = $1
--! bind: ["Oslo"]
select count(*) from customers where city = $1

--! select current_schema()
--! bind: []
select current_schema()

--! select from pg_catalog.pg_namespace, current_database() AS PROCEDURE_CAT , n
--! bind: []
SELECT current_database() AS "PROCEDURE_CAT",  n.nspname AS "PROCEDURE_SCHEM", p.proname AS "PROCEDURE_NAME", NULL, NULL, NULL, d.description AS "REMARKS", 2 AS "PROCEDURE_TYPE",  p.proname || '_' || p.oid AS "SPECIFIC_NAME"  FROM pg_catalog.pg_namespace n, pg_catalog.pg_proc p  LEFT JOIN pg_catalog.pg_description d ON (p.oid=d.objoid)  LEFT JOIN pg_catalog.pg_class c ON (d.classoid=c.oid AND c.relname='pg_proc')  LEFT JOIN pg_catalog.pg_namespace pn ON (c.relnamespace=pn.oid AND pn.nspname='pg_catalog')  WHERE p.pronamespace=n.oid  AND p.prokind='p' AND n.nspname LIKE 'pg_catalog' AND p.proname LIKE 'upper' ORDER BY "PROCEDURE_SCHEM", "PROCEDURE_NAME", p.oid::text

--! select current_catalog
--! bind: []
select current_catalog

--! select from 0, current_database() AS FUNCTION_CAT , n.
--! bind: []
SELECT current_database() AS "FUNCTION_CAT",  n.nspname AS "FUNCTION_SCHEM", p.proname AS "FUNCTION_NAME",  d.description AS "REMARKS",  CASE    WHEN (format_type(p.prorettype, null) = 'unknown') THEN 0   WHEN      (substring(pg_get_function_result(p.oid) from 0 for 6) = 'TABLE') OR      (substring(pg_get_function_result(p.oid) from 0 for 6) = 'SETOF') THEN 2   ELSE 1 END  AS "FUNCTION_TYPE",  p.proname || '_' || p.oid AS "SPECIFIC_NAME" FROM pg_catalog.pg_proc p INNER JOIN pg_catalog.pg_namespace n ON p.pronamespace=n.oid LEFT JOIN pg_catalog.pg_description d ON p.oid=d.objoid WHERE true   AND p.prokind='f' AND n.nspname LIKE 'pg_catalog' AND p.proname LIKE 'upper' ORDER BY "FUNCTION_SCHEM", "FUNCTION_NAME", p.oid::text
