-- How sessions begin, go on and end, whatever the program: transactions, cursors, plans, settings, values bound.

--! a driver's start
SET client_encoding TO 'UTF8'
--;
SET DateStyle TO 'ISO'
--;
SET extra_float_digits = 3
--;
SET TIME ZONE 'UTC'
--;
SHOW server_version
--;
SHOW standard_conforming_strings
--;
SHOW transaction isolation level

--! a read-only transaction
BEGIN READ ONLY
--;
SELECT count(*) FROM orders
--;
COMMIT

--! a repeatable read for a report
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, DEFERRABLE
--;
SELECT sum(total) FROM orders
--;
SELECT count(*) FROM payments
--;
COMMIT

--! serializable read-only deferrable
START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE
--;
SELECT 1
--;
ROLLBACK

--! savepoints
BEGIN
--;
SAVEPOINT a
--;
SELECT 1
--;
RELEASE SAVEPOINT a
--;
SAVEPOINT b
--;
ROLLBACK TO SAVEPOINT b
--;
COMMIT

--! a cursor
BEGIN
--;
DECLARE k NO SCROLL CURSOR FOR SELECT id, status FROM orders ORDER BY id
--;
FETCH 10 FROM k
--;
FETCH FORWARD 5 FROM k
--;
CLOSE k
--;
COMMIT

--! a scrolling cursor
BEGIN
--;
DECLARE k SCROLL CURSOR FOR SELECT id FROM orders ORDER BY id
--;
FETCH LAST FROM k
--;
FETCH PRIOR FROM k
--;
MOVE ABSOLUTE 3 FROM k
--;
FETCH NEXT FROM k
--;
COMMIT

--! a cursor WITH HOLD
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM orders ORDER BY id
--;
FETCH 3 FROM h
--;
CLOSE h

--! prepared statements of SQL
PREPARE q (int) AS SELECT id, status FROM orders WHERE id = $1
--;
EXECUTE q (5)
--;
EXPLAIN (COSTS OFF) EXECUTE q (7)
--;
EXECUTE q (1 + 1)
--;
DEALLOCATE q

--! a prepared statement with functions for values
PREPARE q (timestamptz, text) AS SELECT count(*) FROM orders WHERE placed_at < $1 AND status = $2
--;
EXECUTE q (now() + interval '100 years', lower('PAID'))
--;
DEALLOCATE ALL

--! COPY of a table to the client
COPY orders (id, status, total) TO STDOUT

--! COPY of a query as CSV
COPY (SELECT id, city FROM customers ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)

--! COPY in the old words
COPY (SELECT id FROM orders ORDER BY id LIMIT 3) TO STDOUT WITH CSV HEADER DELIMITER ';' NULL 'nil' QUOTE '"'

--! COPY in binary
COPY (SELECT id, status FROM orders ORDER BY id LIMIT 3) TO STDOUT WITH BINARY

--! plans
EXPLAIN SELECT id FROM orders WHERE customer_id = 3
--;
EXPLAIN (VERBOSE, COSTS OFF, FORMAT json) SELECT a.id FROM orders a JOIN orders b ON a.id = b.customer_id
--;
EXPLAIN (COSTS OFF) WITH x AS (SELECT id FROM orders) SELECT count(*) FROM x

--! a plan with its run
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM orders WHERE status = 'paid'

--! the plan of an UPDATE that is not run
EXPLAIN (COSTS OFF) UPDATE orders SET status = 'x' WHERE id = 1

--! settings shown
SHOW TIME ZONE
--;
SHOW search_path
--;
SHOW max_connections
--;
SHOW server_encoding
--;
SHOW lc_collate
--;
SHOW is_superuser

--! settings changed and put back
SET timezone = 'America/New_York'
--;
SELECT timestamptz '2026-01-01 00:00:00+00'
--;
SET LOCAL work_mem = '8MB'
--;
SET statement_timeout = '30s'
--;
SET lock_timeout TO 1000
--;
RESET timezone
--;
RESET ALL

--! settings within a transaction
BEGIN
--;
SET LOCAL statement_timeout = 5000
--;
SET LOCAL search_path = public, pg_catalog
--;
SELECT count(*) FROM orders
--;
COMMIT

--! set_config of a report
SELECT set_config('statement_timeout', '5000', true)
--;
SELECT set_config('application_name', 'report', false)

--! a pool's reset
DISCARD ALL
--;
SELECT 1

--! a pool's other reset
CLOSE ALL
--;
UNLISTEN *
--;
RESET ALL
--;
DEALLOCATE ALL
--;
DISCARD PLANS
--;
DISCARD SEQUENCES

--! advisory locks
SELECT pg_try_advisory_lock(42)
--;
SELECT pg_advisory_unlock(42)
--;
SELECT pg_advisory_lock_shared(1, 2)
--;
SELECT pg_advisory_unlock_all()

--! rows locked
BEGIN
--;
SELECT id FROM orders WHERE id = 1 FOR UPDATE
--;
SELECT id FROM orders WHERE id = 2 FOR NO KEY UPDATE SKIP LOCKED
--;
SELECT id FROM orders WHERE id = 3 FOR KEY SHARE NOWAIT
--;
ROLLBACK

--! listening
LISTEN changes
--;
UNLISTEN changes

--! several statements in one text
SELECT 1; SELECT 2 AS b; SELECT count(*) FROM orders

--! an empty text
;

--! a comment alone
-- ping

--! a health check
SELECT 1
--;
select 1;
--;
/* ping */ SELECT 1

--! a transaction in one text
BEGIN; SELECT count(*) FROM orders; COMMIT

--! an isolation level for the session
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
--;
SET default_transaction_isolation = 'read committed'
--;
SHOW default_transaction_isolation

--! names
SET NAMES 'UTF8'
--;
SHOW client_encoding

--! planner settings
SET jit = off
--;
SET max_parallel_workers_per_gather = 0
--;
EXPLAIN (COSTS OFF) SELECT id FROM orders WHERE id = 3

--! values bound: ids bound
--! bind: ["7"]
SELECT id, status FROM orders WHERE id = $1

--! values bound: a list bound
--! bind: ["{1,2,3}"]
SELECT id FROM orders WHERE id = ANY($1::int[]) ORDER BY id

--! values bound: a null bound
--! bind: [null]
SELECT $1::text IS NULL

--! values bound: a date bound
--! bind: ["2026-03-01","2026-03-02"]
SELECT count(*) FROM orders WHERE placed_at >= $1::timestamptz AND placed_at < $2::timestamptz

--! values bound: a limit bound
--! bind: ["5","10"]
SELECT id FROM orders ORDER BY id LIMIT $1 OFFSET $2

--! values bound: a pattern bound
--! bind: ["%lima%"]
SELECT id FROM customers WHERE name ILIKE $1 ORDER BY id LIMIT 3

--! values bound: a document bound
--! bind: ["{\"a\":1}"]
SELECT $1::jsonb -> 'a', $1::jsonb ? 'b'

--! values bound: a text that looks like SQL bound
--! bind: ["; DROP TABLE orders; --"]
SELECT $1::text

--! values bound: an address bound that is asked for nowhere
--! bind: ["somebody-else"]
SELECT length($1::text)

--! lib/pq and sqlc: what they send
--! bind: ["3", null]
--! bind: ["2026-03-01T00:00:00Z"]
SELECT id, status, total FROM orders WHERE customer_id = $1 AND ($2::text IS NULL OR status = $2) ORDER BY id
--;
SELECT count(*) FILTER (WHERE status = 'paid') AS paid, count(*) AS n FROM orders WHERE placed_at >= $1
