-- What agents write when they look around a database and answer questions with it.

--! which tables there are
SELECT table_schema, table_name, table_type FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2

--! columns of all tables
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position

--! keys and what they point to
SELECT tc.table_name, kcu.column_name, ccu.table_name AS foreign_table, ccu.column_name AS foreign_column
FROM information_schema.table_constraints tc
JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name)
JOIN information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name)
WHERE tc.constraint_type = 'FOREIGN KEY' AND tc.table_schema = 'public' ORDER BY 1, 2

--! indexes
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2

--! views and their definitions
SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1

--! sizes and row estimates
SELECT c.relname, c.reltuples::bigint, pg_size_pretty(pg_total_relation_size(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY pg_total_relation_size(c.oid) DESC, 1

--! comments on tables and columns
SELECT c.relname, a.attname, obj_description(c.oid), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, a.attnum

--! version, user, database, time
--! volatile
SELECT version(), current_user, session_user, current_database(), current_schemas(true), now(), pg_backend_pid()

--! server settings, one by one
SELECT current_setting('server_version_num')::int, current_setting('TimeZone'), current_setting('max_connections')

--! settings that are not as they were shipped
--! volatile
SELECT name, setting, unit, source FROM pg_settings WHERE source NOT IN ('default', 'override') ORDER BY name

--! every setting with its current value
--! volatile: value
SELECT s.name, pg_catalog.current_setting(s.name) AS value FROM pg_catalog.pg_settings s WHERE s.name LIKE 'enable%' ORDER BY 1

--! show what is set
SHOW server_version
--;
SHOW search_path
--;
SHOW transaction_isolation
--;
SHOW TIME ZONE
--;
SHOW statement_timeout

--! roles and what they may do
SELECT rolname, rolsuper, rolcreatedb, rolcanlogin FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1

--! rights on a table
SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_name = 'orders' ORDER BY 1, 2

--! has_table_privilege
SELECT has_table_privilege('orders', 'SELECT'), has_schema_privilege('public', 'USAGE'), has_column_privilege('orders', 'status', 'SELECT')

--! who is connected and what waits
--! volatile
SELECT pid, usename, application_name, state, wait_event_type, wait_event, backend_start, xact_start, state_change
FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' ORDER BY xact_start

--! connections by state
--! volatile
SELECT state, count(*) FROM pg_stat_activity GROUP BY state ORDER BY count(*) DESC

--! long running transactions, the statements masked
--! volatile
SELECT pid, now() - xact_start AS age, state, query FROM pg_stat_activity WHERE xact_start < now() - interval '1 second' ORDER BY age DESC

--! all of pg_stat_activity
--! volatile
SELECT * FROM pg_stat_activity

--! who blocks whom
--! volatile
SELECT a.pid, pg_blocking_pids(a.pid), a.state FROM pg_stat_activity a WHERE cardinality(pg_blocking_pids(a.pid)) > 0

--! locks
--! volatile
SELECT l.locktype, l.mode, l.granted, c.relname FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation

--! table statistics
--! volatile
SELECT relname, seq_scan, idx_scan, n_live_tup, n_dead_tup, last_autovacuum, last_analyze FROM pg_stat_user_tables ORDER BY relname

--! unused indexes
--! volatile
SELECT relname, indexrelname, idx_scan, pg_size_pretty(pg_relation_size(indexrelid)) FROM pg_stat_user_indexes ORDER BY idx_scan, 2

--! cache hit rate
--! volatile
SELECT sum(heap_blks_hit)::float / nullif(sum(heap_blks_hit) + sum(heap_blks_read), 0) AS hit FROM pg_statio_user_tables

--! database statistics
--! volatile
SELECT datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, deadlocks FROM pg_stat_database WHERE datname = current_database()

--! planner statistics without values
SELECT attname, null_frac, avg_width, n_distinct, correlation FROM pg_stats WHERE schemaname = 'public' AND tablename = 'orders' ORDER BY attname

--! planner statistics with values, which are masked
--! masked: most_common_vals, most_common_freqs
SELECT attname, n_distinct, most_common_vals, most_common_freqs FROM pg_stats WHERE tablename = 'orders' AND attname = 'status'

--! bloat estimate
SELECT s.tablename, sum((1 - s.null_frac) * s.avg_width)::int AS width, max(c.relpages) AS pages
FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
WHERE s.schemaname = 'public' GROUP BY 1 ORDER BY 1

--! progress of what runs
--! volatile
SELECT * FROM pg_stat_progress_vacuum UNION ALL SELECT * FROM pg_stat_progress_vacuum

--! replication
--! volatile
SELECT client_addr, state, sent_lsn, replay_lsn FROM pg_stat_replication

--! extensions
SELECT extname, extversion FROM pg_extension ORDER BY 1
--;
SELECT name, default_version, installed_version FROM pg_available_extensions WHERE name IN ('hstore', 'pg_trgm', 'postgis') ORDER BY 1

--! functions of users
SELECT p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid) FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace ORDER BY 1

--! triggers and rules
SELECT tgname, tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1

--! enums
SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY 1 ORDER BY 1

--! sequences
SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2

--! columns by regclass
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
WHERE attrelid = 'public.orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum

--! publications, subscriptions, slots
SELECT pubname, puballtables FROM pg_publication
--;
SELECT subname, subenabled, subslotname, subpublications FROM pg_subscription
--;
SELECT slot_name, plugin, active FROM pg_replication_slots

--! settings of roles and databases
SELECT coalesce(r.rolname, '*'), coalesce(d.datname, '*'), s.setconfig FROM pg_db_role_setting s
LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase ORDER BY 1, 2

--! partitions and inheritance
SELECT inhparent::regclass, inhrelid::regclass FROM pg_inherits ORDER BY 1, 2
--;
SELECT * FROM pg_partition_tree('orders')

--! count
SELECT count(*) FROM orders

--! counts of several tables at once
SELECT 'customers' AS t, count(*) FROM customers UNION ALL SELECT 'orders', count(*) FROM orders UNION ALL SELECT 'payments', count(*) FROM payments

--! a first look
--! masked: email, card_number
SELECT * FROM customers ORDER BY id LIMIT 5

--! a first look, addresses in texts masked
--! masked: note
SELECT * FROM orders WHERE note IS NOT NULL ORDER BY id LIMIT 5

--! how many have none
SELECT count(*) FILTER (WHERE card_number IS NULL), count(email), count(*) FROM customers

--! groups
SELECT status, count(*), sum(total), round(avg(total), 2), min(placed_at), max(placed_at) FROM orders GROUP BY status ORDER BY count(*) DESC, status

--! groups by expression, HAVING, position
SELECT date_trunc('week', placed_at) AS week, status, count(*) FROM orders GROUP BY 1, 2 HAVING count(*) > 10 ORDER BY 1, 3 DESC, 2

--! grouping sets, rollup, cube
SELECT city, status, grouping(city, status), count(*) FROM customers c JOIN orders o ON o.customer_id = c.id
GROUP BY GROUPING SETS ((city, status), (city), ()) ORDER BY 1 NULLS LAST, 2 NULLS LAST
--;
SELECT status, extract(month FROM placed_at) AS m, sum(total) FROM orders GROUP BY ROLLUP (status, 2) ORDER BY 1, 2
--;
SELECT city, count(*) FROM customers GROUP BY CUBE (city) ORDER BY 1

--! window functions
SELECT id, customer_id, total, rank() OVER w, lag(total) OVER w, sum(total) OVER (PARTITION BY customer_id ORDER BY placed_at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
FROM orders WHERE customer_id < 4 WINDOW w AS (PARTITION BY customer_id ORDER BY placed_at) ORDER BY id

--! ntile, percent_rank, first_value
SELECT id, ntile(4) OVER (ORDER BY total, id), percent_rank() OVER (ORDER BY total), first_value(id) OVER (PARTITION BY status ORDER BY id) FROM orders WHERE id < 20 ORDER BY id

--! percentiles
SELECT percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY status) FROM orders

--! a CTE chain
WITH per_customer AS (SELECT customer_id, count(*) AS n, sum(total) AS spent FROM orders GROUP BY customer_id),
     ranked AS (SELECT *, row_number() OVER (ORDER BY spent DESC, customer_id) AS place FROM per_customer)
SELECT c.name, r.n, r.spent FROM ranked r JOIN customers c ON c.id = r.customer_id WHERE r.place <= 5 ORDER BY r.place

--! a recursive CTE
WITH RECURSIVE n(i, f) AS (SELECT 1, 1::numeric UNION ALL SELECT i + 1, f * (i + 1) FROM n WHERE i < 10) SELECT * FROM n

--! a materialized CTE
WITH paid AS MATERIALIZED (SELECT * FROM orders WHERE status = 'paid') SELECT count(*), max(total) FROM paid

--! LATERAL: the last orders of each
SELECT c.id, c.city, o.id, o.total FROM customers c
CROSS JOIN LATERAL (SELECT id, total FROM orders WHERE customer_id = c.id ORDER BY placed_at DESC LIMIT 2) o WHERE c.id <= 3 ORDER BY 1, 3

--! DISTINCT ON
SELECT DISTINCT ON (status) status, id, total FROM orders ORDER BY status, total DESC, id

--! FILTER and CASE
SELECT count(*) FILTER (WHERE status = 'paid') AS paid, sum(CASE WHEN total > 100 THEN 1 ELSE 0 END) AS big FROM orders

--! EXISTS, IN, ANY, NOT
SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 400)
  AND c.id IN (SELECT customer_id FROM orders WHERE status = 'open') AND c.city = ANY (ARRAY['Oslo', 'Rome']) AND NOT c.name LIKE 'Bo%'

--! set operations
SELECT customer_id FROM orders WHERE status = 'paid' INTERSECT SELECT id FROM customers WHERE city = 'Oslo' EXCEPT SELECT 4 ORDER BY 1

--! joins of all kinds
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id FULL JOIN payments p ON p.order_id = o.id
--;
SELECT c.city, p.amount FROM customers c JOIN orders o ON c.id = o.customer_id JOIN payments p ON p.order_id = o.id WHERE o.id < 4 ORDER BY 2

--! money without the account
SELECT date_trunc('day', paid_at)::date AS day, sum(amount) FROM payments WHERE paid_at >= '2026-03-02' AND paid_at < date '2026-03-02' + 7 GROUP BY 1 ORDER BY 1

--! orders without a payment
SELECT count(*) FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE p.id IS NULL

--! values
VALUES (1, 'one'), (2, 'two'), (3, NULL)
--;
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, t) JOIN generate_series(1, 2) g ON g = v.n

--! series of days, with gaps filled
SELECT d::date, count(o.id) FROM generate_series(timestamptz '2026-03-01', '2026-03-05', interval '1 day') d
LEFT JOIN orders o ON o.placed_at >= d AND o.placed_at < d + interval '1 day' GROUP BY d ORDER BY d

--! dates
SELECT age(timestamp '2026-03-01', timestamp '2025-01-15'), extract(epoch FROM interval '1 day'), to_char(timestamp '2026-03-01 12:00', 'YYYY-MM-DD"T"HH24:MI'),
  date_part('isodow', date '2026-03-01'), make_date(2026, 3, 1), timestamptz '2026-03-01 12:00+00' AT TIME ZONE 'Europe/Lisbon', justify_hours(interval '30 hours'),
  date_bin('15 minutes', timestamp '2026-03-01 12:34', timestamp '2026-01-01')

--! the clock
--! volatile
SELECT now(), current_date, current_timestamp, localtime, clock_timestamp(), statement_timestamp(), transaction_timestamp(), timeofday()

--! texts
SELECT upper('a'), initcap('de la'), left('abc', 2), split_part('a/b', '/', 2), regexp_replace('a1b2', '\d', '#', 'g'), format('%s-%I-%L', 'a', 'B c', 'd''e'),
  string_to_array('a,b', ','), concat_ws('-', 1, NULL, 'x'), lpad('7', 3, '0'), trim(both ' ' from ' x '), overlay('abc' placing 'X' from 2), position('b' in 'abc'),
  substring('foobar' from 'o(.)b'), translate('abc', 'ab', 'xy'), md5('x'), encode('x', 'base64'), reverse('abc'), repeat('ab', 2), chr(65), ascii('A')

--! patterns
SELECT name FROM customers WHERE name ILIKE '%bo%' AND name ~* '^b' AND name NOT SIMILAR TO '%(x|y)%' ORDER BY id LIMIT 3
--;
SELECT regexp_matches('a1b22', '\d+', 'g'), (SELECT count(*) FROM regexp_split_to_table('a b c', '\s+'))

--! words like DROP TABLE in literals
SELECT 'DROP TABLE customers; -- ' AS a, 'DELETE FROM orders' AS b, E'\'; TRUNCATE payments; --' AS c

--! such words in comments and names
SELECT 1 AS "drop table customers", /* DELETE FROM orders; /* nested; */ */ 2 AS "grant all" -- UPDATE customers SET name = 'x'

--! such words in dollar quotes
SELECT $$ALTER ROLE x SUPERUSER$$, $q$COPY customers TO PROGRAM 'sh'; $$ $q$, $tag$pg_read_file('/etc/passwd')$tag$

--! such words in conditions
SELECT count(*) FROM orders WHERE status IN ('delete', 'update', 'insert; drop', 'grant', 'execute', 'returned')

--! such words in patterns and values bound
--! bind: ["%'; DROP TABLE orders; --%", "pg_sleep(10)"]
SELECT count(*) FROM customers WHERE name LIKE $1 OR city = $2

--! quotes within quotes
SELECT 'it''s', U&'\0041\+000042', E'tab\there\u00e9', 'a'
'b' AS x
FROM (SELECT 1) "t""able"

--! letters from everywhere
SELECT 'Zoë', 'Ωμέγα', '数据库', '👩‍💻', 'שלום', length('👩‍💻'), upper('straße'), 'ﬁ' = 'fi', normalize(U&'e\0301') = 'é'

--! names in letters from everywhere
SELECT 1 AS "größe", 2 AS 数, 3 AS "наименование"

--! json
SELECT '{"a": {"b": [1, 2, {"c": null}]}}'::jsonb #>> '{a,b,1}', '{"a":1}'::jsonb @> '{"a":1}', '[1,2]'::json -> 0, jsonb_path_query_array('[1,2,3]', '$[*] ? (@ > 1)'),
  jsonb_typeof('{}'), '{"a":1,"b":2}'::jsonb - 'a', jsonb_set('{"a":1}', '{a}', '2'), '{"a":1}'::jsonb ? 'a', jsonb_pretty('[1]')

--! json made of rows
SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) s
--;
SELECT json_agg(json_build_object('id', id, 'total', total) ORDER BY id) FROM orders WHERE id < 4
--;
SELECT row_to_json(x) FROM (SELECT id, city FROM customers WHERE id < 3 ORDER BY id) x

--! json taken apart
SELECT * FROM jsonb_each_text('{"a": 1, "b": "x"}')
--;
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS t(a int, b text)
--;
SELECT * FROM jsonb_array_elements('[1, {"a": 2}]') WITH ORDINALITY

--! arrays
SELECT array_agg(id ORDER BY id DESC) FROM orders WHERE customer_id = 2
--;
SELECT unnest(ARRAY[1, 2]), ARRAY[1, 2] || 3, (ARRAY[[1, 2], [3, 4]])[2][1], array_position(ARRAY['a', 'b'], 'b'), 2 = ANY ('{1,2}'), ARRAY[1, 2] && ARRAY[2, 3], cardinality(ARRAY[1])

--! ranges and numbers
SELECT int4range(1, 5) @> 3, daterange('2026-01-01', '2026-02-01') * daterange('2026-01-15', NULL), '[1,3)'::int4range + '[3,5)', 7 / 2, 7 % 2, 2 ^ 10, |/ 2.0, round(2.5), trunc(-1.5), width_bucket(5, 0, 10, 5),
  greatest(1, 2), div(7, 2), power(2, 3), 1e3::numeric, 'NaN'::float8, random() < 2

--! types of all kinds
SELECT 1::smallint, 1::bigint, 1.5::real, true, 'x'::"char", 'x'::char(3), 'x'::varchar(2), '\x00ff'::bytea, B'101', '10.0.0.1/8'::inet, '08:00:2b:01:02:03'::macaddr, point(1, 2), '<a/>'::xml,
  'a b'::tsvector, 'a & b'::tsquery, gen_random_uuid() IS NOT NULL, '1 day'::interval, '12:00'::timetz, ROW(1, 'a'), 'orders'::regclass, 'int4'::regtype, NULL::money, '0/0'::pg_lsn

--! full-text search
SELECT id, ts_rank(to_tsvector('simple', name || ' ' || city), q) FROM customers, websearch_to_tsquery('simple', 'bo oslo') q
WHERE to_tsvector('simple', name || ' ' || city) @@ q ORDER BY 2 DESC, id LIMIT 5
--;
SELECT ts_headline('english', 'The quick foxes', plainto_tsquery('english', 'fox')), phraseto_tsquery('a b'), setweight('a:1', 'A'), strip('a:1')

--! plans
EXPLAIN SELECT count(*) FROM orders WHERE status = 'paid'
--;
EXPLAIN (FORMAT JSON, VERBOSE, COSTS off) SELECT o.id FROM orders o WHERE o.total > 100
--;
EXPLAIN (COSTS off) SELECT o.id FROM orders o JOIN orders p ON p.id = o.customer_id WHERE o.id = 1

--! plans that are run
--! volatile
EXPLAIN (ANALYZE, BUFFERS) SELECT count(*) FROM orders

--! a prepared statement
PREPARE by_status(text, int) AS SELECT id, total FROM orders WHERE status = $1 ORDER BY id LIMIT 2
--;
EXECUTE by_status('paid', 1)
--;
EXECUTE by_status('open', 2)
--;
DEALLOCATE by_status

--! a cursor
BEGIN
--;
DECLARE c SCROLL CURSOR FOR SELECT id, status FROM orders ORDER BY id
--;
FETCH 3 FROM c
--;
MOVE FORWARD 5 IN c
--;
FETCH BACKWARD 2 FROM c
--;
CLOSE c
--;
COMMIT

--! a read-only transaction with savepoints
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
--;
SAVEPOINT a
--;
SELECT count(*) FROM orders
--;
ROLLBACK TO SAVEPOINT a
--;
RELEASE a
--;
END

--! an error, and on
BEGIN READ ONLY
--;
SELECT count(*) FROM customers
--;
ROLLBACK AND NO CHAIN
--;
SELECT 1

--! settings of the session
SET search_path TO public, pg_catalog
--;
SET statement_timeout = '30s'
--;
SET LOCAL lock_timeout = 1000
--;
SET TIME ZONE 'UTC'
--;
SET timezone TO 'Europe/Lisbon'
--;
SELECT timestamptz '2026-03-01 12:00+00'
--;
RESET timezone
--;
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
--;
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
--;
SELECT set_config('search_path', '', false), set_config('statement_timeout', '0', true)
--;
RESET search_path
--;
RESET statement_timeout

--! reading only
SET default_transaction_read_only = on
--;
SELECT count(*) FROM orders
--;
SHOW default_transaction_read_only
--;
RESET default_transaction_read_only

--! reading only, within a transaction
BEGIN
--;
SET TRANSACTION READ ONLY
--;
SET LOCAL transaction_read_only TO on
--;
SET LOCAL work_mem = '16MB'
--;
SET LOCAL plan_cache_mode = force_custom_plan
--;
SELECT count(*) FROM orders
--;
COMMIT

--! the settings of pg_dump and of old drivers
SET standard_conforming_strings = on
--;
SET escape_string_warning TO off
--;
SET synchronize_seqscans TO off
--;
SET quote_all_identifiers = on
--;
RESET quote_all_identifiers
--;
SET client_min_messages TO warning
--;
SET client_encoding TO 'UTF8'
--;
SET NAMES 'utf8'
--;
RESET client_min_messages

--! back to the beginning
DISCARD PLANS
--;
RESET ALL
--;
CLOSE ALL
--;
UNLISTEN *
--;
DEALLOCATE ALL

--! discard all
DISCARD ALL

--! the lock of a reader
BEGIN
--;
LOCK TABLE public.orders IN ACCESS SHARE MODE
--;
SELECT count(*) FROM orders
--;
ROLLBACK

--! advisory locks
--! volatile
SELECT pg_try_advisory_lock(42), pg_advisory_unlock(42)

--! rows locked
BEGIN
--;
SELECT id FROM orders WHERE id = 3 FOR UPDATE SKIP LOCKED
--;
SELECT id FROM orders WHERE id = 4 FOR SHARE OF orders NOWAIT
--;
ROLLBACK

--! several statements at once
SELECT 1; SELECT id FROM orders WHERE id = 2; SELECT count(*) FROM payments;

--! nothing
;
--;
-- only a comment
--;
/* so is this */ ;

--! copied out
COPY (SELECT id, status FROM orders ORDER BY id LIMIT 3) TO STDOUT WITH (FORMAT csv, HEADER)
--;
COPY (SELECT status, count(*) FROM orders GROUP BY 1 ORDER BY 1) TO STDOUT

--! a sample
--! volatile
SELECT id, status FROM orders TABLESAMPLE SYSTEM (10) LIMIT 3

--! a sample that repeats
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (20) REPEATABLE (7)

--! random rows
--! volatile
SELECT id FROM orders ORDER BY random() LIMIT 3

--! LIMIT, OFFSET, FETCH FIRST WITH TIES
SELECT id, total FROM orders ORDER BY total DESC FETCH FIRST 3 ROWS WITH TIES
--;
SELECT id FROM orders ORDER BY id LIMIT 5 OFFSET 990
--;
TABLE orders ORDER BY id LIMIT 2

--! keys for paging
--! bind: ["2026-03-01 10:00+00", "15", "3"]
SELECT id, status FROM orders WHERE (placed_at, id) > ($1::timestamptz, $2::int) ORDER BY placed_at, id LIMIT $3::int

--! arrays and documents bound
--! bind: ["{open,paid}", "{\"limit\": 3}"]
SELECT status, count(*) FROM orders WHERE status = ANY ($1::text[]) GROUP BY 1 ORDER BY 1 LIMIT ($2::jsonb ->> 'limit')::int

--! a setting named by a parameter
--! bind: ["search_path"]
SELECT current_setting($1)

--! a setting named by a parameter with a type
--! bind: ["default_table_access_method"]
SELECT relname FROM pg_class WHERE relname = 'orders' AND current_setting($1::varchar) <> ''

--! a view, its masked column and the others
--! masked: email
SELECT * FROM customer_contacts WHERE id < 4 ORDER BY id

--! quality of data
SELECT count(*), count(DISTINCT city), count(DISTINCT name), min(length(name)), max(length(name)) FROM customers
--;
SELECT customer_id, status, count(*) FROM orders GROUP BY 1, 2 HAVING count(*) > 3 ORDER BY 1, 2

--! correlation, regression, deviation
SELECT round(corr(o.total, p.amount)::numeric, 4), stddev_pop(o.total), regr_count(o.total, p.amount) FROM orders o JOIN payments p ON p.order_id = o.id

--! a cohort
WITH first AS (SELECT customer_id, min(date_trunc('week', placed_at)) AS cohort FROM orders GROUP BY 1)
SELECT f.cohort, (date_trunc('week', o.placed_at) - f.cohort) AS after, count(DISTINCT o.customer_id)
FROM first f JOIN orders o USING (customer_id) GROUP BY 1, 2 ORDER BY 1, 2

--! a pivot
SELECT city, count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE status = 'paid') AS paid, count(*) FILTER (WHERE status NOT IN ('open', 'paid')) AS other
FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY city ORDER BY city

--! a histogram
SELECT width_bucket(total, 0, 500, 5) AS bucket, count(*), repeat('#', (count(*) / 20)::int) FROM orders GROUP BY 1 ORDER BY 1

--! gaps between orders
SELECT avg(gap) FROM (SELECT placed_at - lag(placed_at) OVER (ORDER BY placed_at) AS gap FROM orders) g

--! null handling
SELECT coalesce(NULL, 'x'), nullif('a', 'a'), NULL IS DISTINCT FROM 1, count(note), bool_and(note IS NULL), every(total > 0) FROM orders

--! casts as functions and as types
SELECT int4('7'), text 'x', date '2026-01-01', CAST('1.5' AS numeric(4, 2)), '42'::text::int, float8 '1.25', interval '1' month, (ARRAY['a'])[1]::varchar

--! a domain of questions on one customer
--! bind: ["7"]
SELECT c.name, c.city, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS orders, (SELECT max(placed_at) FROM orders o WHERE o.customer_id = c.id) AS last FROM customers c WHERE c.id = $1::int

--! the definition of a view and of a function
SELECT pg_get_viewdef('customer_contacts'::regclass, true)
--;
SELECT pg_get_functiondef('pg_catalog.age(timestamptz)'::regprocedure)

--! dependencies
SELECT classid::regclass, objid, deptype FROM pg_depend WHERE refobjid = 'customers'::regclass ORDER BY 1, 2

--! snapshots and transactions
--! volatile
SELECT txid_current_snapshot(), pg_current_snapshot(), pg_is_in_recovery(), pg_postmaster_start_time(), pg_conf_load_time(), inet_server_port()

--! XML
SELECT xmlelement(name a, xmlattributes(1 AS b), 'c'), xmlforest(1 AS x), xpath('/a/text()', '<a>1</a>'), xmlagg(x) FROM (VALUES ('<b/>'::xml)) v(x)

--! hashes and bytes
SELECT sha256('x'), hashtext('a') IS NOT NULL, get_byte('\x01', 0), convert_from('\x41', 'UTF8'), octet_length('é'), bit_count('\x07'::bytea)

--! generate_subscripts and rows from
SELECT i, (ARRAY['x', 'y'])[i] FROM generate_subscripts(ARRAY['x', 'y'], 1) i
--;
SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b', 'c'])) WITH ORDINALITY AS t(n, s, o)

--! who bought what before and after
SELECT customer_id, total, lag(total) OVER w, lead(total) OVER w, first_value(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY placed_at) ORDER BY customer_id, placed_at LIMIT 30

--! an average over the last day
SELECT id, avg(total) OVER (ORDER BY placed_at RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) FROM orders ORDER BY id LIMIT 20

--! days with and without orders, counted by recursion
WITH RECURSIVE days(d) AS (SELECT date '2026-03-01' UNION ALL SELECT d + 1 FROM days WHERE d < date '2026-03-10') SELECT d, (SELECT count(*) FROM orders WHERE placed_at::date = d) FROM days ORDER BY d

--! names found by a text search
SELECT name, to_tsvector('simple', name) @@ to_tsquery('simple', 'lima & ana') FROM customers ORDER BY id LIMIT 10

--! rows as documents without one key
SELECT to_jsonb(o) - 'note' FROM orders o ORDER BY id LIMIT 3

--! dates made, justified and binned
SELECT make_date(2026, 2, 28) + 1, justify_interval(interval '35 days 30 hours'), date_bin('15 minutes', timestamptz '2026-01-01 10:07:00+00', timestamptz '2026-01-01 00:00:00+00')

--! times that overlap and ranges that hold them
SELECT (timestamp '2026-01-01', timestamp '2026-02-01') OVERLAPS (timestamp '2026-01-15', timestamp '2026-03-01'), tsrange('2026-01-01', '2026-02-01') @> timestamp '2026-01-15'

--! how totals go with numbers
SELECT corr(id, total), regr_slope(total, id), stddev_samp(total), var_pop(total), mode() WITHIN GROUP (ORDER BY status) FROM orders

--! parts of names
SELECT concat_ws(', ', name, city), left(name, 3), right(city, 2), lpad(id::text, 5, '0'), reverse(city), translate(city, 'aeiou', '.....') FROM customers ORDER BY id LIMIT 5

--! arithmetic
SELECT greatest(1, 2, 3), least(4, 5), nullif(1, 1), power(2, 10), sqrt(2), round(2.5), trunc(-1.5), mod(7, 3), 7 / 2, 7 % 3, pi() > 3

--! whether a table is there
SELECT to_regclass('public.orders'), to_regclass('public.nothing'), 'orders'::regclass::oid > 0

--! columns with signs in their names
SELECT 1 AS "Total (€)", 2 AS "select", 3 AS "a.b", 4 AS "with space"

--! networks and addresses
SELECT '10.0.0.1'::inet << '10.0.0.0/8'::cidr, host('10.0.0.1/24'::inet), masklen('10.0.0.0/8')

--! points and circles
SELECT point(1, 2) <-> point(4, 6), circle '((0,0),2)' @> point '(1,1)', area(box '((0,0),(2,3))')

--! ranges
SELECT int4range(1, 10) * int4range(5, 15), upper(numrange(1, 2)), isempty(int4range(1, 1)), daterange('2026-01-01', '2026-02-01') -|- daterange('2026-02-01', '2026-03-01')

--! all, any and every bit
SELECT bit_and(id), bool_and(total > 0), every(status IS NOT NULL) FROM orders

--! hashes that spread rows
SELECT hashtext('x') % 10, crc FROM (SELECT hashtextextended('a', 0) AS crc) t

--! masked columns: an address
--! masked: email
SELECT id, email FROM customers ORDER BY id LIMIT 5

--! masked columns: all of a row
--! masked: email, card_number
SELECT * FROM customers ORDER BY id LIMIT 5

--! masked columns: a join with masked columns shown
--! masked: email
SELECT c.id, c.name, c.email, count(o.id) AS n FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id LIMIT 5

--! masked columns: a page of payments
--! masked: iban
SELECT p.*, o.status FROM payments p JOIN orders o ON o.id = p.order_id ORDER BY p.paid_at DESC LIMIT 5

--! masked columns: a document of a masked column
--! masked: j
SELECT id, json_build_object('mail', email) AS j FROM customers ORDER BY id LIMIT 2

--! masked columns: the contacts
--! masked: email
SELECT id, name, email FROM customer_contacts ORDER BY id LIMIT 5

--! masked columns: a masked default
--! masked: card
SELECT id, coalesce(card_number, 'none') AS card FROM customers ORDER BY id LIMIT 3

--! masked columns: a CTE over it
--! masked: email
WITH c AS (SELECT * FROM customers WHERE city = 'Oslo') SELECT id, email FROM c ORDER BY id LIMIT 3

--! masked columns: a label
--! masked: label
SELECT id, name || ' <' || email || '>' AS label FROM customers ORDER BY id LIMIT 3

--! masked columns: an aggregate of it
--! masked: all_of_them
SELECT string_agg(email, ', ' ORDER BY id) AS all_of_them FROM customers WHERE city = 'Rome'

--! masked columns: a masked value in a locked row
--! masked: email
SELECT id, email FROM customers WHERE id = 3 FOR SHARE

--! an agent's tools: what a PostgreSQL MCP server asks
BEGIN TRANSACTION READ ONLY
--;
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1
--;
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'customers' ORDER BY ordinal_position
--;
SELECT * FROM orders LIMIT 1
--;
ROLLBACK

--! an agent's tools: the health of a database
SELECT schemaname, relname, seq_scan >= 0 AS s, n_dead_tup >= 0 AS d FROM pg_stat_user_tables ORDER BY 2
--;
SELECT sum(blks_hit) >= 0, sum(blks_read) >= 0 FROM pg_stat_database WHERE datname = current_database()
--;
SELECT i.relname AS index_name, idx_scan >= 0 FROM pg_stat_user_indexes s JOIN pg_class i ON i.oid = s.indexrelid ORDER BY 1
--;
SELECT c.relname, age(c.relfrozenxid) >= 0 AS a FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1
--;
SELECT extname FROM pg_available_extensions a JOIN pg_extension e ON e.extname = a.name ORDER BY 1
--;
SELECT count(*) FROM pg_stat_replication
--;
SELECT state, count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'none' GROUP BY state
--;
EXPLAIN (FORMAT JSON, COSTS OFF) SELECT status FROM orders WHERE id = 4

--! an agent's tools: a look before a query
SELECT status, count(*) FROM orders GROUP BY status ORDER BY 2 DESC, 1 LIMIT 20
--;
SELECT min(total), max(total), avg(total)::numeric(10,2), count(*) - count(note) AS without_note FROM orders
--;
SELECT id, name, city FROM customers WHERE lower(city) IN ('oslo', 'rome') AND created_at > timestamptz '2026-01-10 00:00:00+00' - interval '7 days' ORDER BY created_at, id LIMIT 5
--;
WITH top AS (SELECT customer_id, sum(total) AS spent FROM orders GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5) SELECT c.name, t.spent FROM top t JOIN customers c ON c.id = t.customer_id ORDER BY t.spent DESC, c.id
