-- jOOQ 3.19.22 with pgjdbc: queries, and what its code generator reads.

--! SET application_name = 'PostgreSQL JDBC Driver'
SET application_name = 'PostgreSQL JDBC Driver'

--! select from orders, orders . id , orders . status from orde
--! bind: ["1", "2", "3"]
select "orders"."id", "orders"."status" from "orders" where "orders"."id" in ($1, $2, $3) order by "orders"."id"

--! select from orders, orders . status , count(*), sum( orders
--! bind: ["10"]
select "orders"."status", count(*), sum("orders"."total") filter (where "orders"."id" > $1) from "orders" group by rollup ("orders"."status") order by "orders"."status" nulls last

--! select from orders, orders . id , row_number() over (partit
--! bind: ["3"]
select "orders"."id", row_number() over (partition by "orders"."status" order by "orders"."total" desc) from "orders" order by "orders"."id" fetch next $1 rows only

--! select from select, count(*) as c from (select * from order
--! bind: ["paid"]
select count(*) as "c" from (select * from "orders" where "orders"."status" = $1) as "t"

--! select from orders, exists (select 1 as one from orders whe
--! bind: ["1"]
select exists (select 1 as "one" from "orders" where "orders"."id" = $1)

--! with from orders, with w as (select orders . id , orders .
--! bind: ["2"]
with "w" as (select "orders"."id", "orders"."total" from "orders") select * from "w" order by 1 fetch next $1 rows only

--! select from pg_catalog.pg_class, c.oid, a.attnum, a.attname, c.relname,
--! bind: []
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 16394 AS oid , 1 AS attnum UNION ALL SELECT 16394, 4) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) where c.oid in (16394)

--! select from select, (select coalesce(jsonb_agg(jsonb_build_
--! bind: ["4"]
select (select coalesce(jsonb_agg(jsonb_build_array("v0")), jsonb_build_array()) from (select "orders"."status" as "v0" from "orders" where "orders"."id" < $1 order by "orders"."id") as t) as "m"

--! select current_catalog
--! bind: []
select current_catalog

--! select from pg_catalog.pg_namespace, nspname AS TABLE_SCHEM , current_databa
--! bind: []
SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG" FROM pg_catalog.pg_namespace  WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_'  OR nspname = (pg_catalog.current_schemas(true))[1]) AND (nspname !~ '^pg_toast_temp_'  OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_'))  ORDER BY "TABLE_SCHEM"

--! select from pg_catalog.pg_namespace, current_database() AS TABLE_CAT , n.nsp
--! bind: []
SELECT current_database() AS "TABLE_CAT", n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME",  CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema'  WHEN true THEN CASE  WHEN n.nspname = 'pg_catalog' OR n.nspname = 'information_schema' THEN CASE c.relkind   WHEN 'r' THEN 'SYSTEM TABLE'   WHEN 'v' THEN 'SYSTEM VIEW'   WHEN 'i' THEN 'SYSTEM INDEX'   ELSE NULL   END  WHEN n.nspname = 'pg_toast' THEN CASE c.relkind   WHEN 'r' THEN 'SYSTEM TOAST TABLE'   WHEN 'i' THEN 'SYSTEM TOAST INDEX'   ELSE NULL   END  ELSE CASE c.relkind   WHEN 'r' THEN 'TEMPORARY TABLE'   WHEN 'p' THEN 'TEMPORARY TABLE'   WHEN 'i' THEN 'TEMPORARY INDEX'   WHEN 'S' THEN 'TEMPORARY SEQUENCE'   WHEN 'v' THEN 'TEMPORARY VIEW'   ELSE NULL   END  END  WHEN false THEN CASE c.relkind  WHEN 'r' THEN 'TABLE'  WHEN 'p' THEN 'PARTITIONED TABLE'  WHEN 'i' THEN 'INDEX'  WHEN 'P' then 'PARTITIONED INDEX'  WHEN 'S' THEN 'SEQUENCE'  WHEN 'v' THEN 'VIEW'  WHEN 'c' THEN 'TYPE'  WHEN 'f' THEN 'FOREIGN TABLE'  WHEN 'm' THEN 'MATERIALIZED VIEW'  ELSE NULL  END  ELSE NULL  END  AS "TABLE_TYPE", d.description AS "REMARKS",  '' as "TYPE_CAT", '' as "TYPE_SCHEM", '' as "TYPE_NAME", '' AS "SELF_REFERENCING_COL_NAME", '' AS "REF_GENERATION"  FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c  LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0  and d.classoid = 'pg_class'::regclass)  WHERE c.relnamespace = n.oid  AND n.nspname LIKE 'public' AND c.relname LIKE '%' AND (false  OR ( c.relkind = 'f' )  OR ( c.relkind = 'm' )  OR ( c.relkind = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' )  OR ( c.relkind = 'r' AND (n.nspname = 'pg_catalog' OR n.nspname = 'information_schema') )  OR ( c.relkind = 'v' AND (n.nspname = 'pg_catalog' OR n.nspname = 'information_schema')  )  OR ( c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' )  OR ( c.relkind IN ('r','p') AND n.nspname ~ '^pg_temp_'  )  OR ( c.relkind = 'v' AND n.nspname ~ '^pg_temp_'  )  OR ( c.relkind = 'v' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ) )  ORDER BY "TABLE_TYPE","TABLE_SCHEM","TABLE_NAME"

--! select from SELECT, * FROM (SELECT current_database() AS cu
--! bind: []
SELECT * FROM (SELECT current_database() AS current_database, n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull  OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype  FROM pg_catalog.pg_namespace n  JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)  JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid)  JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)  LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)  LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)  LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')  LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')  WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped  AND n.nspname LIKE 'public' AND c.relname LIKE '%') c WHERE true  AND attname LIKE '%' ORDER BY nspname,c.relname,attnum

--! select from pg_catalog.pg_constraint, k.table_catalog, k.table_schema, k.tabl
--! bind: ["public"]
select k.table_catalog, k.table_schema, k.table_name, k.constraint_name, k.column_name, k.ordinal_position from (pg_catalog.pg_constraint as c join (pg_catalog.pg_class as alias_89552482 join pg_catalog.pg_namespace as alias_126892781 on alias_89552482.relnamespace = alias_126892781.oid) on c.conrelid = alias_89552482.oid join pg_catalog.pg_namespace as alias_87501535 on c.connamespace = alias_87501535.oid) join information_schema.key_column_usage as k on (k.table_schema = alias_126892781.nspname and k.table_name = alias_89552482.relname and k.constraint_schema = alias_87501535.nspname and k.constraint_name = c.conname) where (c.contype = 'u' and alias_87501535.nspname in ($1)) order by k.table_schema asc, k.table_name asc, k.constraint_name asc, k.ordinal_position asc

--! select from pg_catalog.pg_class, c.oid, a.attnum, a.attname, c.relname, (2)
--! bind: []
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 13329 AS oid , 4 AS attnum UNION ALL SELECT 13329, 5 UNION ALL SELECT 13329, 6 UNION ALL SELECT 13329, 3 UNION ALL SELECT 13329, 7 UNION ALL SELECT 13329, 8) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) where c.oid in (13329)

--! select from pg_catalog.pg_class, current_database(), alias_5049504.nspna
--! bind: ["public"]
select current_database(), alias_5049504.nspname, c.relname, (((case when c.relkind = 'm' then 'create materialized view "' else 'create view "' end || c.relname) || '" as ') || pg_get_viewdef(c.oid)) from (pg_catalog.pg_class as c join pg_catalog.pg_namespace as alias_5049504 on c.relnamespace = alias_5049504.oid) where (c.relkind in ('v', 'm') and alias_5049504.nspname in ($1)) order by 1, 2, 3

--! select from pg_catalog.pg_class, c.oid, a.attnum, a.attname, c.relname, (3)
--! bind: []
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 2615 AS oid , 2 AS attnum UNION ALL SELECT 1259, 2) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) where c.oid in (1259,2615)

--! select from orders, * from orders where orders . id between
--! bind: ["3", "5"]
select * from "orders" where "orders"."id" between $1 and $2 order by "orders"."id" offset 1 rows fetch next 1 rows only

--! select from pg_catalog.pg_class, c.oid, a.attnum, a.attname, c.relname, (4)
--! bind: []
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 16394 AS oid , 2 AS attnum UNION ALL SELECT 16394, 3 UNION ALL SELECT 16394, 5 UNION ALL SELECT 16394, 6) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) where c.oid in (16394)

--! select 1 as one
--! bind: []
select 1 as one

--! select from pg_catalog.pg_namespace, pg_catalog.pg_namespace.nspname from pg
--! bind: []
select pg_catalog.pg_namespace.nspname from pg_catalog.pg_namespace order by pg_catalog.pg_namespace.nspname

--! select (1, 2) in (select 1, 2)
--! bind: []
select (1, 2) in (select 1, 2)

--! select (1, 2) not in (select 1, 2)
--! bind: []
select (1, 2) not in (select 1, 2)

--! select from select, tables.table_schema, tables.table_name,
--! bind: ["public", "public", "_", "public"]
select tables.table_schema, tables.table_name, tables.specific_name, tables.description, tables.table_type, tables.type_udt_schema, tables.type_udt_name from (select information_schema.tables.table_schema, information_schema.tables.table_name, information_schema.tables.table_name as specific_name, pg_catalog.pg_description.description, case when information_schema.tables.table_type = 'VIEW' then 'VIEW' else 'TABLE' end as table_type, '' as type_udt_schema, '' as type_udt_name from information_schema.tables join (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) on (pg_catalog.pg_class.relname = information_schema.tables.table_name and alias_87241969.nspname = information_schema.tables.table_schema) left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_class.oid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = 0) left outer join information_schema.views on (information_schema.tables.table_schema = information_schema.views.table_schema and information_schema.tables.table_name = information_schema.views.table_name) where (information_schema.tables.table_schema in ($1) and (information_schema.tables.table_schema, information_schema.tables.table_name) not in (select alias_87241969.nspname, pg_catalog.pg_class.relname from (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) where pg_catalog.pg_class.relkind = 'm')) union all select alias_87241969.nspname::varchar, pg_catalog.pg_class.relname::varchar, pg_catalog.pg_class.relname::varchar, pg_catalog.pg_description.description, 'MATERIALIZED_VIEW' as table_type, '', '' from (pg_catalog.pg_class join pg_catalog.pg_namespace as alias_87241969 on pg_catalog.pg_class.relnamespace = alias_87241969.oid) left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_class.oid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = 0) where (alias_87241969.nspname in ($2) and pg_catalog.pg_class.relkind = 'm') union all select information_schema.routines.routine_schema, information_schema.routines.routine_name, information_schema.routines.specific_name, '', 'FUNCTION' as table_type, information_schema.routines.type_udt_schema, information_schema.routines.type_udt_name from information_schema.routines join (pg_catalog.pg_proc join pg_catalog.pg_namespace as alias_120026365 on pg_catalog.pg_proc.pronamespace = alias_120026365.oid) on (alias_120026365.nspname = information_schema.routines.specific_schema and ((pg_catalog.pg_proc.proname || $3) || cast(pg_catalog.pg_proc.oid as varchar)) = information_schema.routines.specific_name) where (information_schema.routines.routine_schema in ($4) and pg_catalog.pg_proc.proretset)) as tables order by 1, 2

--! select count(*) over ()
--! bind: []
select count(*) over ()

--! select from pg_catalog.pg_class, alias_123817778.nspname, ct.relname, al
--! bind: ["public", "public"]
select alias_123817778.nspname, ct.relname, alias_46579013.nspname, pt.relname, max(i.inhseqno) over (partition by i.inhrelid) as m from (pg_catalog.pg_class as ct join pg_catalog.pg_namespace as alias_123817778 on ct.relnamespace = alias_123817778.oid) join pg_catalog.pg_inherits as i on i.inhrelid = ct.oid join (pg_catalog.pg_class as pt join pg_catalog.pg_namespace as alias_46579013 on pt.relnamespace = alias_46579013.oid) on i.inhparent = pt.oid where (alias_123817778.nspname in ($1) and alias_46579013.nspname in ($2))

--! select from information_schema.columns, exists (select 1 as one from informatio
--! bind: ["seqrelid", "pg_sequence", "pg_catalog"]
select exists (select 1 as one from information_schema.columns where (information_schema.columns.column_name = $1 and information_schema.columns.table_name = $2 and information_schema.columns.table_schema = $3))

--! with from values, with schemas(schema) as (select v.c1 fro
--! bind: ["public"]
with schemas(schema) as (select v.c1 from (values ($1)) as v (c1)) (select null as catalog, information_schema.sequences.sequence_schema, information_schema.sequences.sequence_name, information_schema.sequences.data_type, information_schema.sequences.numeric_precision, information_schema.sequences.numeric_scale, nullif(cast(information_schema.sequences.start_value as bigint), 1) as start_value, nullif(cast(information_schema.sequences.increment as bigint), 1) as increment, nullif(cast(information_schema.sequences.minimum_value as bigint), 1) as minimum_value, nullif(cast(information_schema.sequences.maximum_value as decimal), (power(cast(2 as decimal), cast((information_schema.sequences.numeric_precision - 1) as decimal)) - 1)) as maximum_value, cast(information_schema.sequences.cycle_option as boolean) as cycle_option, cast(null as bigint) as cache from information_schema.sequences where (information_schema.sequences.sequence_schema in (select schemas.schema from schemas) and (information_schema.sequences.sequence_schema, information_schema.sequences.sequence_name) not in (select information_schema.columns.table_schema, (((information_schema.columns.table_name || '_') || information_schema.columns.column_name) || '_seq') from information_schema.columns where (information_schema.columns.column_default = (('nextval(''' || ((information_schema.columns.table_name || '_') || information_schema.columns.column_name)) || '_seq''::regclass)') or information_schema.columns.column_default = (('nextval(''' || ((((information_schema.columns.table_schema || '.') || information_schema.columns.table_name) || '_') || information_schema.columns.column_name)) || '_seq''::regclass)'))))) union all (select '', '', '', '', 0, 0, 0, 0, 0, 0, false, 0 where false) order by 2, 3

--! select from information_schema.tables, exists (select 1 as one from informatio
--! bind: ["routines", "information_schema"]
select exists (select 1 as one from information_schema.tables where (information_schema.tables.table_name = $1 and information_schema.tables.table_schema = $2))

--! select array[1, 2] && array[2, 3]
--! bind: []
select array[1, 2] && array[2, 3]

--! select from information_schema.tables, exists (select 1 as one from informatio (2)
--! bind: ["column_column_usage"]
select exists (select 1 as one from information_schema.tables where information_schema.tables.table_name = $1)

--! select from information_schema.routines, r1.routine_schema, r1.routine_name, r1.
--! bind: ["public"]
select r1.routine_schema, r1.routine_name, r1.specific_name, r1.routine_type, case when (r1.data_type = 'USER-DEFINED' and r1.type_udt_name = 'geometry') then 'geometry' when (pg_catalog.pg_proc.proargmodes && ARRAY['o','b']::"char"[]) then 'void' when r1.data_type = 'ARRAY' then (substring(r1.type_udt_name, 2) || ' ARRAY') else r1.data_type end as data_type, r1.character_maximum_length, case when (r1.numeric_precision is null and r1.data_type in ('time', 'timetz', 'time without time zone', 'time with time zone', 'timestamp', 'timestamptz', 'timestamp without time zone', 'timestamp with time zone')) then 6 else r1.numeric_precision end as numeric_precision, r1.numeric_scale, r1.type_udt_schema, case when r1.data_type = 'ARRAY' then substring(r1.type_udt_name, 2) else r1.type_udt_name end as type_udt_name, case when count(*) over (partition by r1.routine_schema, r1.routine_name) > 1 then row_number() over (partition by r1.routine_schema, r1.routine_name order by r1.specific_name) end as overload, (pg_catalog.pg_proc.prokind = 'a') as is_agg from information_schema.routines as r1 join (pg_catalog.pg_proc join pg_catalog.pg_namespace as alias_120026365 on pg_catalog.pg_proc.pronamespace = alias_120026365.oid) on (alias_120026365.nspname = r1.specific_schema and (nameconcatoid(pg_catalog.pg_proc.proname, pg_catalog.pg_proc.oid) = r1.specific_name)) left outer join pg_catalog.pg_type as rett on pg_catalog.pg_proc.prorettype = rett.oid where (r1.routine_schema in ($1) and not (pg_catalog.pg_proc.proretset) and r1.data_type is distinct from 'trigger') order by r1.routine_schema asc, r1.routine_name asc, overload asc

--! select from pg_catalog.pg_type, alias_42996861.nspname, pg_catalog.pg_t
--! bind: ["public"]
select alias_42996861.nspname, pg_catalog.pg_type.typname from (pg_catalog.pg_type join pg_catalog.pg_namespace as alias_42996861 on pg_catalog.pg_type.typnamespace = alias_42996861.oid) where (alias_42996861.nspname in ($1) and pg_catalog.pg_type.oid in (select pg_catalog.pg_enum.enumtypid from pg_catalog.pg_enum)) order by alias_42996861.nspname, pg_catalog.pg_type.typname

--! with from pg_catalog.pg_type, with recursive domains(domain_id, base_i
--! bind: ["d", "public", "0", "d", "public"]
with recursive domains(domain_id, base_id, typbasetype, conname, src) as (select d.oid, d.oid, d.typbasetype, c.conname, case when (c.oid is not null and c.contype <> 'n') then array[pg_get_constraintdef(c.oid)] end from (pg_catalog.pg_type as d join pg_catalog.pg_namespace as alias_34093787 on d.typnamespace = alias_34093787.oid) left outer join pg_catalog.pg_constraint as c on d.oid = c.contypid where (d.typtype = $1 and alias_34093787.nspname in ($2)) union all select domains.domain_id, d.oid, d.typbasetype, c.conname, case when (c.conbin is null or c.contype <> 'n') then domains.src else array_append(domains.src, pg_get_constraintdef(c.oid)) end from domains join pg_catalog.pg_type as d on domains.typbasetype = d.oid left outer join pg_catalog.pg_constraint as c on d.oid = c.contypid) select alias_34093787.nspname, d.typname, d.typnotnull, d.typdefault, b.typname, information_schema._pg_char_max_length(d.typbasetype, d.typtypmod) as character_maximum_length, coalesce(information_schema._pg_datetime_precision(d.typbasetype, d.typtypmod), information_schema._pg_numeric_precision(d.typbasetype, d.typtypmod)) as numeric_precision, information_schema._pg_numeric_scale(d.typbasetype, d.typtypmod) as numeric_scale, domains.src from (pg_catalog.pg_type as d join pg_catalog.pg_namespace as alias_34093787 on d.typnamespace = alias_34093787.oid) join domains on (domains.typbasetype = $3 and domains.domain_id = d.oid) join pg_catalog.pg_type as b on domains.base_id = b.oid where (d.typtype = $4 and alias_34093787.nspname in ($5)) order by alias_34093787.nspname, d.typname, domains.conname

--! select from generate_subscripts, alias_55552762.nspname, alias_19399786.
--! bind: ["public"]
select alias_55552762.nspname, alias_19399786.relname, alias_76360422.relname, i.indisunique, array(select pg_get_indexdef(i.indexrelid, k + 1, true) from generate_subscripts(i.indkey, 1) as k order by k) as columns, i.indoption::int[] as asc_or_desc from (pg_catalog.pg_index as i join (pg_catalog.pg_class as alias_19399786 join pg_catalog.pg_namespace as alias_55552762 on alias_19399786.relnamespace = alias_55552762.oid) on i.indrelid = alias_19399786.oid join pg_catalog.pg_class as alias_76360422 on i.indexrelid = alias_76360422.oid) where (alias_55552762.nspname in ($1) and (alias_55552762.nspname, alias_76360422.relname) not in (select alias_87501535.nspname, c.conname from (pg_catalog.pg_constraint as c join pg_catalog.pg_namespace as alias_87501535 on c.connamespace = alias_87501535.oid))) order by 1, 2, 3

--! select from information_schema.columns, information_schema.columns.column_name,
--! bind: ["public", "alembic_version"]
select information_schema.columns.column_name, information_schema.columns.ordinal_position, case when information_schema.columns.interval_type like any (array['%YEAR%', '%MONTH%']) then 'INTERVAL YEAR TO MONTH' when information_schema.columns.interval_type like any (array['%DAY%', '%HOUR%', '%MINUTE%', '%SECOND%']) then 'INTERVAL DAY TO SECOND' when (information_schema.columns.data_type = 'USER-DEFINED' and information_schema.columns.udt_name = 'geometry') then 'geometry' when information_schema.columns.data_type = 'ARRAY' then (substring(pg_catalog.pg_type.typname, 2) || repeat(' ARRAY', greatest(1, pg_catalog.pg_attribute.attndims))) else information_schema.columns.data_type end as data_type, coalesce(information_schema.columns.character_maximum_length, case when information_schema.columns.udt_name in ('_varchar', '_bpchar', '_char') then (pg_catalog.pg_attribute.atttypmod - 4) end) as character_maximum_length, coalesce(information_schema.columns.datetime_precision, information_schema.columns.numeric_precision, case when (information_schema.columns.udt_name in ('_time', '_timetz', '_timestamp', '_timestamptz') and pg_catalog.pg_attribute.atttypmod >= 0) then pg_catalog.pg_attribute.atttypmod when information_schema.columns.udt_name = '_numeric' then (((nullif(pg_catalog.pg_attribute.atttypmod, -1) - 4) >> 16) & 65535) end) as numeric_precision, coalesce(information_schema.columns.numeric_scale, case when information_schema.columns.udt_name = '_numeric' then ((nullif(pg_catalog.pg_attribute.atttypmod, -1) - 4) & 65535) end) as numeric_scale, case when (information_schema.columns.is_identity = 'YES' or (count(*) filter (where information_schema.columns.is_identity = 'YES') over () = 0 and lower(information_schema.columns.column_default) ilike 'nextval(''%_seq''::regclass)')) then 'YES' end as is_identity, information_schema.columns.is_nullable, information_schema.columns.generation_expression as generation_expression, pg_catalog.pg_attribute.attgenerated as attgenerated, case when (information_schema.columns.is_identity = 'YES' or (count(*) filter (where information_schema.columns.is_identity = 'YES') over () = 0 and lower(information_schema.columns.column_default) ilike 'nextval(''%_seq''::regclass)')) then null else information_schema.columns.column_default end as column_default, coalesce(information_schema.columns.domain_schema, information_schema.columns.udt_schema) as udt_schema, coalesce(information_schema.columns.domain_name, case when information_schema.columns.data_type = 'ARRAY' then substring(pg_catalog.pg_type.typname, 2) else information_schema.columns.udt_name end) as udt_name, pg_catalog.pg_description.description from information_schema.columns join (pg_catalog.pg_attribute join (pg_catalog.pg_class as alias_100646588 join pg_catalog.pg_namespace as alias_117804412 on alias_100646588.relnamespace = alias_117804412.oid) on pg_catalog.pg_attribute.attrelid = alias_100646588.oid) on (pg_catalog.pg_attribute.attname = information_schema.columns.column_name and alias_100646588.relname = information_schema.columns.table_name and alias_117804412.nspname = information_schema.columns.table_schema) join pg_catalog.pg_type on pg_catalog.pg_attribute.atttypid = pg_catalog.pg_type.oid left outer join pg_catalog.pg_description on (pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid and pg_catalog.pg_description.classoid = 'pg_class'::regclass and pg_catalog.pg_description.objsubid = information_schema.columns.ordinal_position) where (information_schema.columns.table_schema = $1 and information_schema.columns.table_name = $2) order by information_schema.columns.ordinal_position

--! select from pg_catalog.pg_constraint, alias_122251260.nspname, alias_10482119
--! bind: ["public"]
select alias_122251260.nspname, alias_104821198.relname, pc.conname as constraint_name, replace(pg_get_constraintdef(pc.oid), 'CHECK ', '') as check_clause from (pg_catalog.pg_constraint as pc join (pg_catalog.pg_class as alias_104821198 join pg_catalog.pg_namespace as alias_122251260 on alias_104821198.relnamespace = alias_122251260.oid) on pc.conrelid = alias_104821198.oid) where (alias_122251260.nspname in ($1) and pc.contype = 'c') union all select '', '', '', '' where false order by 1, 2, 3

--! select from pg_catalog.pg_settings, setting FROM pg_catalog.pg_settings WHE
--! bind: []
SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'

--! select from pg_catalog.pg_namespace, current_database() AS PKTABLE_CAT , pkn
--! bind: []
SELECT current_database() AS "PKTABLE_CAT", pkn.nspname AS "PKTABLE_SCHEM", pkc.relname AS "PKTABLE_NAME", pka.attname AS "PKCOLUMN_NAME", current_database() AS "FKTABLE_CAT", fkn.nspname AS "FKTABLE_SCHEM", fkc.relname AS "FKTABLE_NAME", fka.attname AS "FKCOLUMN_NAME", pos.n AS "KEY_SEQ", CASE con.confupdtype  WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS "UPDATE_RULE", CASE con.confdeltype  WHEN 'c' THEN 0 WHEN 'n' THEN 2 WHEN 'd' THEN 4 WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'a' THEN 3 ELSE NULL END AS "DELETE_RULE", con.conname AS "FK_NAME", pkic.relname AS "PK_NAME", CASE  WHEN con.condeferrable AND con.condeferred THEN 5 WHEN con.condeferrable THEN 6 ELSE 7 END AS "DEFERRABILITY"  FROM  pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka,  pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka,  pg_catalog.pg_constraint con,  pg_catalog.generate_series(1, 32) pos(n),  pg_catalog.pg_class pkic WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid  AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid  AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid  ORDER BY pkn.nspname,pkc.relname, con.conname,pos.n

--! select from pg_catalog.pg_class, c.oid, a.attnum, a.attname, c.relname, (5)
--! bind: []
SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 1249 AS oid , 2 AS attnum UNION ALL SELECT 1249, 2 UNION ALL SELECT 2606, 2) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum) where c.oid in (1249,2606)

--! select from information_schema.attributes, information_schema.attributes.udt_schem
--! bind: ["public"]
select information_schema.attributes.udt_schema, information_schema.attributes.udt_name from information_schema.attributes where information_schema.attributes.udt_schema in ($1) group by information_schema.attributes.udt_schema, information_schema.attributes.udt_name order by information_schema.attributes.udt_schema, information_schema.attributes.udt_name
