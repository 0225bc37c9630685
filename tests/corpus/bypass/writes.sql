-- Changes that hide in reads, act elsewhere than they say, or pass for something smaller.

--! intent: delete all payments
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM payments

--! intent: delete all payments with a condition that is always true
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM payments WHERE true

--! intent: delete all payments with a condition on a column that is always true
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM payments WHERE id IS NOT NULL

--! intent: delete one payment
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM payments WHERE id = 1

--! intent: delete payments USING another table
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM payments USING orders WHERE orders.id = payments.order_id

--! intent: delete payments in a CTE
--! effect: SELECT count(*), sum(amount) FROM payments
WITH gone AS (DELETE FROM payments RETURNING *) SELECT count(*) FROM gone

--! intent: delete payments in a CTE nobody reads
--! effect: SELECT count(*), sum(amount) FROM payments
WITH gone AS (DELETE FROM payments) SELECT 1

--! intent: delete payments in a CTE of an insert
--! effect: SELECT count(*), sum(amount) FROM payments
WITH gone AS (DELETE FROM payments RETURNING id) INSERT INTO boxes SELECT NULL FROM gone LIMIT 1

--! intent: delete payments in EXPLAIN ANALYZE
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN ANALYZE DELETE FROM payments

--! intent: delete payments in EXPLAIN with options
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN (ANALYZE true, FORMAT json) DELETE FROM payments

--! intent: delete payments in EXPLAIN with an odd spelling of true
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN (ANALYZE 1) DELETE FROM payments

--! intent: delete payments in EXPLAIN ANALYZE of a CTE
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN ANALYZE WITH gone AS (DELETE FROM payments RETURNING 1) SELECT * FROM gone

--! intent: delete payments by PREPARE and EXECUTE
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE evil AS DELETE FROM payments
--;
EXECUTE evil

--! intent: delete payments in COPY of a query
--! effect: SELECT count(*), sum(amount) FROM payments
COPY (DELETE FROM payments RETURNING id) TO STDOUT

--! intent: delete payments in the extended protocol
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: extended
--! bind: ["0"]
DELETE FROM payments WHERE id > $1

--! intent: delete payments in a pipeline
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: pipeline
SELECT 1
--;
DELETE FROM payments
--;
SELECT 2

--! intent: delete payments behind a read
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1; DELETE FROM payments

--! intent: delete payments in a transaction
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN
--;
DELETE FROM payments
--;
COMMIT

--! intent: delete payments after switching read-only off
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN READ ONLY
--;
SET TRANSACTION READ WRITE
--;
DELETE FROM payments
--;
COMMIT

--! intent: delete payments through a view
--! setup: CREATE VIEW pv AS SELECT * FROM payments
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM pv WHERE id > 0

--! intent: delete payments by a cascade from their orders
--! setup: CREATE TABLE parents (id int PRIMARY KEY)
--! setup: INSERT INTO parents VALUES (1)
--! setup: ALTER TABLE payments ADD parent int DEFAULT 1 REFERENCES parents ON DELETE CASCADE
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM parents WHERE id = 1

--! intent: empty payments by an update that cascades
--! setup: CREATE TABLE parents (id int PRIMARY KEY)
--! setup: INSERT INTO parents VALUES (1)
--! setup: ALTER TABLE payments ADD parent int DEFAULT 1 REFERENCES parents ON UPDATE SET NULL
--! effect: SELECT count(parent) FROM payments
UPDATE parents SET id = 2

--! intent: truncate payments
--! effect: SELECT count(*), sum(amount) FROM payments
TRUNCATE payments

--! intent: truncate payments through a table they refer to
--! effect: SELECT count(*), sum(amount) FROM payments
TRUNCATE orders CASCADE

--! intent: truncate payments through two tables they refer to
--! effect: SELECT count(*), sum(amount) FROM payments
TRUNCATE customers CASCADE

--! intent: truncate payments among others
--! effect: SELECT count(*), sum(amount) FROM payments
TRUNCATE TABLE boxes, payments RESTART IDENTITY

--! intent: drop payments
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'payments'
DROP TABLE payments CASCADE

--! intent: drop payments behind a comment
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'payments'
/* DROP */ SELECT 1; /**/ drop/**/table
payments cascade

--! intent: drop payments and what depends on orders
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'orders'
DROP TABLE orders CASCADE

--! intent: drop the schema
--! effect: SELECT count(*) FROM pg_namespace WHERE nspname = 'public'
DROP SCHEMA public CASCADE

--! intent: drop a column
--! effect: SELECT count(*) FROM information_schema.columns WHERE table_name = 'payments'
ALTER TABLE payments DROP COLUMN amount CASCADE

--! intent: rename payments away
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'payments'
ALTER TABLE payments RENAME TO gone

--! intent: set all amounts to nothing
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE payments SET amount = 0

--! intent: set all amounts to nothing where one is one
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE payments SET amount = 0 WHERE 1 = 1

--! intent: set amounts to nothing from another table
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE payments SET amount = 0 FROM orders WHERE orders.id = payments.order_id

--! intent: set amounts to nothing by a row
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE payments SET (amount, paid_at) = (SELECT 0, now())

--! intent: set amounts to nothing through ON CONFLICT
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO payments (id, order_id, amount) SELECT id, order_id, 0 FROM payments ON CONFLICT (id) DO UPDATE SET amount = 0

--! intent: set amounts to nothing through MERGE
--! needs: 15
--! effect: SELECT count(*), sum(amount) FROM payments
MERGE INTO payments p USING orders o ON p.order_id = o.id WHEN MATCHED THEN UPDATE SET amount = 0

--! intent: delete payments through MERGE
--! needs: 15
--! effect: SELECT count(*), sum(amount) FROM payments
MERGE INTO payments p USING orders o ON p.order_id = o.id WHEN MATCHED THEN DELETE

--! intent: insert payments
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO payments (id, order_id, amount) VALUES (9001, 1, 5)

--! intent: insert payments through MERGE
--! needs: 15
--! effect: SELECT count(*), sum(amount) FROM payments
MERGE INTO payments p USING (SELECT 9002 AS id) s ON p.id = s.id WHEN NOT MATCHED THEN INSERT (id, order_id, amount) VALUES (s.id, 1, 5)

--! intent: insert payments by COPY FROM STDIN
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: copy
--! data: 9003,1,5
COPY payments (id, order_id, amount) FROM STDIN WITH (FORMAT csv)

--! intent: insert a payment into a partition
--! setup: CREATE TABLE parts (id int) PARTITION BY RANGE (id)
--! setup: CREATE TABLE part PARTITION OF parts DEFAULT
--! effect: SELECT count(*) FROM part
INSERT INTO parts VALUES (1)

--! intent: delete rows of a child through its parent
--! setup: CREATE TABLE elders (id int)
--! setup: CREATE TABLE young () INHERITS (elders)
--! setup: INSERT INTO young VALUES (1)
--! effect: SELECT count(*) FROM young
DELETE FROM elders

--! intent: detach a partition
--! setup: CREATE TABLE parts (id int) PARTITION BY RANGE (id)
--! setup: CREATE TABLE part PARTITION OF parts DEFAULT
--! effect: SELECT count(*) FROM pg_inherits
ALTER TABLE parts DETACH PARTITION part

--! intent: make a table
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE TABLE evil (x int)

--! intent: make a table of a query
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE TABLE evil AS SELECT 1 AS x

--! intent: make a table by SELECT INTO
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
SELECT 1 AS x INTO evil

--! intent: make a table by SELECT INTO in a parenthesis of UNION
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
SELECT 1 AS x INTO evil UNION SELECT 2

--! intent: make a table of EXECUTE
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
PREPARE p AS SELECT 1 AS x
--;
CREATE TABLE evil AS EXECUTE p

--! intent: make a table in EXPLAIN ANALYZE
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
EXPLAIN ANALYZE CREATE TABLE evil AS SELECT 1 AS x

--! intent: make a table inside CREATE SCHEMA
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE SCHEMA evil CREATE TABLE evil (x int)

--! intent: make a view
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE VIEW evil AS SELECT 1

--! intent: make a materialized view
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE MATERIALIZED VIEW evil AS SELECT 1

--! intent: make a temporary table that hides one of the shop
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'payments'
CREATE TEMP TABLE payments (id int)

--! intent: make a sequence
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE SEQUENCE evil

--! intent: make an index
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
CREATE INDEX evil ON payments (amount)

--! intent: make a function
--! effect: SELECT count(*) FROM pg_proc WHERE proname = 'evil'
CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'

--! intent: make a temporary function that hides one of the server
--! effect: SELECT count(*) FROM pg_proc WHERE proname = 'now'
CREATE FUNCTION pg_temp.now() RETURNS int LANGUAGE sql AS 'SELECT 1'

--! intent: make a rule
--! effect: SELECT count(*) FROM pg_rewrite
CREATE RULE evil AS ON INSERT TO orders DO INSTEAD NOTHING

--! intent: make a trigger of a function of the server
--! effect: SELECT count(*) FROM pg_trigger
CREATE TRIGGER evil BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()

--! intent: make an extension
--! effect: SELECT count(*) FROM pg_extension
CREATE EXTENSION hstore

--! intent: make a publication
--! effect: SELECT count(*) FROM pg_publication
CREATE PUBLICATION evil FOR ALL TABLES

--! intent: make a foreign server
--! effect: SELECT count(*) FROM pg_foreign_server
CREATE SERVER evil FOREIGN DATA WRAPPER dblink_fdw

--! intent: make a domain
--! effect: SELECT count(*) FROM pg_type WHERE typname = 'evil'
CREATE DOMAIN evil AS int

--! intent: make an operator
--! effect: SELECT count(*) FROM pg_operator
CREATE OPERATOR |+| (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)

--! intent: make a cast
--! effect: SELECT count(*) FROM pg_cast
CREATE CAST (boxed AS text) WITH INOUT AS IMPLICIT

--! intent: switch a trigger off
--! effect: SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'
ALTER TABLE orders DISABLE TRIGGER ALL

--! intent: switch row security off
--! setup: ALTER TABLE orders ENABLE ROW LEVEL SECURITY
--! effect: SELECT relrowsecurity FROM pg_class WHERE relname = 'orders'
ALTER TABLE orders DISABLE ROW LEVEL SECURITY

--! intent: step a sequence on
--! effect: SELECT last_value, is_called FROM numbers
SELECT nextval('numbers')

--! intent: step a sequence on by a parameter
--! effect: SELECT last_value, is_called FROM numbers
--! protocol: extended
--! bind: ["numbers"]
SELECT nextval($1::text::regclass)

--! intent: step a sequence on behind a view
--! setup: CREATE VIEW stepping AS SELECT nextval('numbers')
--! effect: SELECT last_value, is_called FROM numbers
SELECT * FROM stepping

--! intent: step a sequence on by functional notation
--! effect: SELECT last_value, is_called FROM numbers
SELECT ('numbers'::regclass).nextval

--! intent: set a sequence back
--! effect: SELECT last_value, is_called FROM numbers
SELECT setval('numbers', 77)

--! intent: set a sequence back in WHERE
--! effect: SELECT last_value, is_called FROM numbers
SELECT 1 WHERE setval('numbers', 78) > 0

--! intent: restart a sequence
--! effect: SELECT last_value FROM numbers
ALTER SEQUENCE numbers RESTART WITH 500

--! intent: make a large object
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT lo_create(0)

--! intent: make a large object of bytes
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT lo_from_bytea(0, 'x')

--! intent: make a large object in the old way
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT lo_creat(-1)

--! intent: make a large object by functional notation
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT (0::oid).lo_create

--! intent: remove a large object
--! setup: SELECT lo_create(4711)
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT lo_unlink(4711)

--! intent: remove a large object by functional notation
--! setup: SELECT lo_create(4711)
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT (4711::oid).lo_unlink

--! intent: write to a large object
--! setup: SELECT lo_create(4711)
--! effect: SELECT count(*) FROM pg_largeobject
SELECT lo_put(4711, 0, 'x')

--! intent: import a file into a large object
--! effect: SELECT count(*) FROM pg_largeobject_metadata
SELECT lo_import('/etc/passwd')

--! intent: comment on a table
--! effect: SELECT obj_description('payments'::regclass) IS NULL
COMMENT ON TABLE payments IS 'x'

--! intent: label nothing but change rights: grant to everybody
--! effect: SELECT relacl::text FROM pg_class WHERE relname = 'payments'
GRANT ALL ON payments TO PUBLIC

--! intent: take rights from the application
--! effect: SELECT relacl::text FROM pg_class WHERE relname = 'payments'
REVOKE ALL ON payments FROM shop_app

--! intent: grant by default from now on
--! effect: SELECT count(*) FROM pg_default_acl
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC

--! intent: give a table to another owner
--! effect: SELECT relowner::regrole::text FROM pg_class WHERE relname = 'payments'
ALTER TABLE payments OWNER TO shop_app

--! intent: write a file by COPY
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'copied_{db}'
COPY payments TO '{dir}/copied_{db}'

--! intent: write a file by COPY TO PROGRAM
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'program_{db}'
COPY payments TO PROGRAM 'cat > {dir}/program_{db}'

--! intent: write a file by COPY of a query TO PROGRAM
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'query_{db}'
COPY (SELECT 1) TO PROGRAM 'cat > {dir}/query_{db}'

--! intent: run a program by COPY FROM PROGRAM
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'from_{db}'
COPY boxes FROM PROGRAM 'touch {dir}/from_{db}'

--! intent: run a program by COPY FROM PROGRAM in a DO block
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'do_{db}'
DO $$ BEGIN COPY boxes FROM PROGRAM 'touch {dir}/do_{db}'; END $$

--! intent: write a file from a large object
--! setup: SELECT lo_create(4711)
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'lo_{db}'
SELECT lo_export(4711, '{dir}/lo_{db}')

--! intent: write a file with adminpack
--! until: 16
--! setup: CREATE EXTENSION adminpack
--! effect: SELECT count(*) FROM pg_ls_dir('{dir}') d WHERE d = 'admin_{db}'
SELECT pg_catalog.pg_file_write('{dir}/admin_{db}', 'x', false)

--! intent: rewrite the whole table
--! effect: SELECT pg_relation_filepath('payments')
VACUUM FULL payments

--! intent: sort the whole table by an index
--! effect: SELECT pg_relation_filepath('payments')
CLUSTER payments USING payments_pkey

--! intent: rebuild an index
--! effect: SELECT pg_relation_filepath('payments_pkey')
REINDEX TABLE payments

--! intent: refresh a materialized view
--! effect: SELECT pg_relation_filepath('kept')
REFRESH MATERIALIZED VIEW kept

--! intent: lock a table for everybody
--! effect: SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'payments' AND l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
BEGIN
--;
LOCK TABLE payments

--! intent: lock a table in a DO block
--! effect: SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'payments' AND l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
BEGIN
--;
DO $$ BEGIN LOCK TABLE payments; END $$

--! intent: delete payments after opening a session to oneself
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT dblink_connect('host=127.0.0.1 port={port} user=raw dbname={db}')
--;
SELECT dblink_exec('DELETE FROM payments')

--! intent: change the catalog itself
--! effect: SELECT reltuples FROM pg_class WHERE relname = 'payments'
UPDATE pg_class SET reltuples = 5 WHERE relname = 'payments'

--! intent: change the catalog itself: make a view its own master
--! effect: SELECT proisstrict FROM pg_proc WHERE proname = 'wipe_all'
UPDATE pg_proc SET proisstrict = true WHERE proname = 'wipe_all'

--! intent: change statistics by hand
--! setup: ANALYZE orders
--! effect: SELECT count(*) FROM pg_statistic WHERE starelid = 'orders'::regclass
DELETE FROM pg_statistic WHERE starelid = 'orders'::regclass

--! intent: delete payments by EXPLAIN with its option twice
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN (ANALYZE false, ANALYZE) DELETE FROM payments

--! intent: delete payments by EXPLAIN with a number for true
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN (ANALYZE 1) DELETE FROM payments

--! intent: delete payments by EXPLAIN with quoted words
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN ("analyze" "on", TIMING off) DELETE FROM payments

--! intent: make a materialized view by EXPLAIN ANALYZE
--! effect: SELECT count(*) FROM pg_class WHERE relname = 'evil'
EXPLAIN (ANALYZE, COSTS OFF) CREATE MATERIALIZED VIEW evil AS SELECT 1

--! intent: delete payments by a CTE behind another that nobody reads
--! effect: SELECT count(*), sum(amount) FROM payments
WITH a AS (SELECT 1 x), w AS MATERIALIZED (DELETE FROM payments WHERE id > (SELECT x FROM a) RETURNING *), z AS (SELECT * FROM w) SELECT count(*) FROM orders

--! intent: count a sequence up by an argument of EXECUTE
--! effect: SELECT last_value, is_called FROM numbers
PREPARE p (bigint) AS SELECT $1
--;
EXECUTE p (nextval('numbers'))

--! intent: count a sequence up by its number in the catalog
--! effect: SELECT last_value, is_called FROM numbers
SELECT nextval(oid) FROM pg_class WHERE relname = 'numbers'

--! intent: set a sequence in a CASE
--! effect: SELECT last_value FROM numbers
SELECT CASE WHEN id = 1 THEN setval('numbers', 99) END FROM orders

--! intent: overwrite a large object in place
--! effect: SELECT md5(string_agg(data, '')) FROM pg_largeobject
--! setup: SELECT lo_from_bytea(0, 'what was there')
SELECT lo_put(oid, 0, 'xxxx') FROM pg_largeobject_metadata

--! intent: leave a snapshot as a file
--! effect: SELECT count(*) FROM pg_ls_dir('pg_snapshots')
BEGIN
--;
SELECT pg_export_snapshot()

--! intent: make an origin of replication
--! effect: SELECT count(*) FROM pg_replication_origin WHERE roname = 'held_' || current_database()
--! cleanup: SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname = 'held_' || current_database()
SELECT pg_replication_origin_create('held_{db}')

--! intent: bring in the collations of the system
--! effect: SELECT count(*) FROM pg_collation
SELECT pg_import_system_collations('public')

--! intent: throw the statistics of the database away
--! effect: SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()
SELECT pg_stat_reset()

--! intent: delete payments at a cursor
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN
--;
DECLARE k CURSOR FOR SELECT * FROM payments FOR UPDATE
--;
FETCH k
--;
DELETE FROM payments WHERE CURRENT OF k
--;
COMMIT

--! intent: make a schema with a table in it
--! effect: SELECT count(*) FROM pg_namespace
CREATE SCHEMA AUTHORIZATION owner CREATE TABLE t1 (a int)

--! intent: write behind a transaction that was made to read only, and then not
--! effect: SELECT count(*), sum(amount) FROM payments
START TRANSACTION READ ONLY
--;
SET TRANSACTION READ WRITE
--;
DELETE FROM payments
--;
COMMIT

--! intent: change rights of tables that come later
--! effect: SELECT count(*) FROM pg_default_acl
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC
