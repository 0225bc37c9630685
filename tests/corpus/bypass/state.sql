-- Names, portals and transactions: what the gateway believes the session holds, against what it holds.

--! intent: use an old prepared statement whose replacement was skipped after an error
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Parse "" "SELECT 1/0"
Bind "" ""
Execute "" 0
Close S "s"
Parse "s" "SELECT name AS x FROM customers"
Sync
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: use an old prepared statement whose DEALLOCATE was rolled up in a failed query
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Query "SELECT 1/0; DEALLOCATE s; PREPARE s AS SELECT name AS x FROM customers"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: EXECUTE by SQL what was prepared by Parse, after a failed query
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Query "SELECT 1/0; DEALLOCATE s; PREPARE s AS SELECT name AS x FROM customers"
until Z
Query "EXECUTE s"
until Z

--! intent: Parse a name again that is still taken
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Parse "s" "SELECT name FROM customers"
Sync
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: prepare in a transaction that is rolled back, and use it all the same
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Query "ROLLBACK"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: prepare by SQL in an aborted transaction
--! secret: SELECT email FROM customers
--! protocol: script
Query "PREPARE s AS SELECT name FROM customers"
until Z
Query "BEGIN; DEALLOCATE s; PREPARE s AS SELECT reverse(email) AS x FROM customers; SELECT 1/0"
until Z
Query "ROLLBACK"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: prepare the name anew after DEALLOCATE ALL
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT name AS x FROM customers"
Sync
until Z
Query "DEALLOCATE ALL"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: prepare the name anew by SQL after DISCARD ALL
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT name AS x FROM customers"
Sync
until Z
Query "DISCARD ALL"
until Z
Query "PREPARE s AS SELECT reverse(email) AS x FROM customers"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: FETCH from a portal as if it were a cursor
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "c" "s"
Sync
until Z
Query "FETCH 3 FROM c"
until Z
Query "COMMIT"
until Z

--! intent: Execute a cursor as if it were a portal
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN; DECLARE c CURSOR FOR SELECT reverse(email) AS x FROM customers"
until Z
Execute "c" 3
Sync
until Z
Query "COMMIT"
until Z

--! intent: fetch from a cursor after an error and a savepoint
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT reverse(email) AS x FROM customers; SAVEPOINT a; SELECT 1/0"
until Z
Query "ROLLBACK TO a; FETCH 5 FROM c; FETCH ABSOLUTE 2 FROM c; COMMIT"
until Z

--! intent: fetch from a binary cursor that is held after COMMIT
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN; DECLARE c BINARY CURSOR WITH HOLD FOR SELECT reverse(email) AS x FROM customers; COMMIT; SELECT 1; FETCH 4 FROM c"
until Z
Query "CLOSE c"
until Z

--! intent: fetch from a held cursor declared anew in a later transaction
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT name FROM customers; COMMIT"
until Z
Query "BEGIN; CLOSE c; DECLARE c CURSOR WITH HOLD FOR SELECT reverse(email) AS x FROM customers; COMMIT; FETCH 4 FROM c"
until Z

--! intent: bind two portals to one statement and execute the second
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "a" "s"
Bind "b" "s"
Execute "a" 1
Execute "b" 2
Sync
until Z
Query "COMMIT"
until Z

--! intent: re-bind a portal name to another statement in one pipeline
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Parse "t" "SELECT name AS x FROM customers"
Bind "p" "t"
Close P "p"
Bind "p" "s"
Execute "p" 3
Sync
until Z
Query "COMMIT"
until Z

--! intent: re-bind the unnamed portal between Describe and Execute
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Parse "t" "SELECT name AS x FROM customers"
Bind "" "t"
Describe P ""
Bind "" "s"
Execute "" 3
Sync
until Z

--! intent: close a statement whose portal goes on
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "p" "s"
Close S "s"
Execute "p" 3
Sync
until Z
Query "COMMIT"
until Z

--! intent: parse the unnamed statement anew while its portal is open
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "" "SELECT reverse(email) AS x FROM customers"
Bind "p" ""
Parse "" "SELECT name AS x FROM customers"
Execute "p" 3
Sync
until Z
Query "COMMIT"
until Z

--! intent: execute a portal again after Sync inside a transaction
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "p" "s"
Execute "p" 2
Sync
until Z
Execute "p" 2
Sync
until Z
Query "COMMIT"
until Z

--! intent: execute a portal across Flush
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "p" "s"
Flush
until 2
Execute "p" 2
Flush
until s
Execute "p" 0
Sync
until Z
Query "COMMIT"
until Z

--! intent: describe one portal and execute another in binary
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Parse "t" "SELECT id FROM customers"
BindBinary "" "t"
Describe P ""
BindBinary "" "s"
Execute "" 3
Sync
until Z

--! intent: read masked columns with many Syncs sent at once
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
Bind "" "s"
Execute "" 3
Sync
until Z
until Z

--! intent: send a query while a pipeline is unfinished
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Bind "" "s"
Execute "" 3
Query "SELECT 1"
until Z
Sync
until Z

--! intent: delete payments with the second of two pipelines sent at once
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "" "SELECT 1"
Bind "" ""
Execute "" 0
Sync
Parse "" "DELETE FROM payments"
Bind "" ""
Execute "" 0
Sync
until Z
until Z

--! intent: delete payments behind a statement with an error
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query "SELECT 1/0"
Query "DELETE FROM payments"
until Z
until Z

--! intent: delete payments in a transaction that a pipeline opens
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "" "BEGIN"
Bind "" ""
Execute "" 0
Parse "" "DELETE FROM payments"
Bind "" ""
Execute "" 0
Parse "" "COMMIT"
Bind "" ""
Execute "" 0
Sync
until Z

--! intent: delete payments by a statement prepared in SQL and bound by protocol
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query "PREPARE d AS DELETE FROM payments"
until Z
Bind "" "d"
Execute "" 0
Sync
until Z

--! intent: delete payments by a statement prepared by protocol and executed in SQL
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "d" "DELETE FROM payments"
Sync
until Z
Query "EXECUTE d"
until Z

--! intent: delete payments by EXECUTE in EXPLAIN ANALYZE
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "d" "DELETE FROM payments"
Sync
until Z
Query "EXPLAIN ANALYZE EXECUTE d"
until Z

--! intent: delete payments by a statement that was harmless when it was prepared
--! setup: CREATE VIEW shape AS SELECT 1 AS n
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "s" "SELECT * FROM shape"
Sync
until Z
Query "SELECT 1"
until Z
Query "DROP VIEW shape; CREATE VIEW shape AS SELECT wipe() AS n"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: read e-mail by a statement whose view was replaced in between
--! setup: CREATE VIEW shape AS SELECT name AS x FROM customers
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT x FROM shape"
Sync
until Z
Query "CREATE OR REPLACE VIEW shape AS SELECT reverse(email) AS x FROM customers"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z

--! intent: read e-mail by a statement whose table was renamed away in between
--! setup: CREATE VIEW shape AS SELECT name AS x FROM customers
--! setup: CREATE VIEW other AS SELECT reverse(email) AS x FROM customers
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT x FROM shape"
Sync
until Z
Query "BEGIN; ALTER VIEW shape RENAME TO old; ALTER VIEW other RENAME TO shape"
until Z
Bind "" "s"
Execute "" 0
Sync
until Z
Query "ROLLBACK"
until Z

--! intent: read e-mail through a statement whose EXECUTE is hidden in COPY
--! secret: SELECT email FROM customers
--! protocol: script
Query "PREPARE s AS SELECT reverse(email) AS x FROM customers"
until Z
Query "COPY (SELECT reverse(email) FROM customers) TO STDOUT"
until Z

--! intent: read e-mail through CREATE TABLE AS EXECUTE of a protocol statement
--! secret: SELECT email FROM customers
--! protocol: script
Parse "s" "SELECT reverse(email) AS x FROM customers"
Sync
until Z
Query "CREATE TEMP TABLE loot AS EXECUTE s"
until Z
Query "TABLE loot"
until Z

--! intent: delete payments after COMMIT AND CHAIN in one query
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query "BEGIN; SELECT 1; COMMIT AND CHAIN; DELETE FROM payments; COMMIT"
until Z

--! intent: delete payments in the middle of a query with transactions
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query "BEGIN; COMMIT; DELETE FROM payments; BEGIN; COMMIT"
until Z

--! intent: delete payments after an empty statement
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query ";;;DELETE FROM payments;;"
until Z

--! intent: delete payments through a portal that is executed after a refused statement
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Query "BEGIN"
until Z
Parse "d" "DELETE FROM payments"
Bind "p" "d"
Sync
until Z
Execute "p" 0
Sync
until Z
Query "COMMIT"
until Z

--! intent: read e-mail under the name of another cursor of another session
--! secret: SELECT email FROM customers
--! session: a, b, b, a
BEGIN; DECLARE c CURSOR FOR SELECT name FROM customers
--;
BEGIN; DECLARE c CURSOR FOR SELECT reverse(email) FROM customers
--;
FETCH 3 FROM c
--;
FETCH 3 FROM c

--! intent: read e-mail through a cursor opened inside a function
--! setup: CREATE FUNCTION open_it() RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'hidden'; BEGIN OPEN c FOR SELECT reverse(email) FROM customers; RETURN c; END $$
--! secret: SELECT email FROM customers
BEGIN
--;
SELECT open_it()
--;
FETCH ALL FROM hidden
--;
COMMIT

--! intent: read e-mail through a statement prepared inside a DO block
--! secret: SELECT email FROM customers
DO $$ BEGIN EXECUTE 'PREPARE hidden AS SELECT reverse(email) FROM customers'; END $$
--;
EXECUTE hidden

--! intent: read e-mail through a name that is too long to tell from another
--! secret: SELECT email FROM customers
--! protocol: script
Parse "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" "SELECT reverse(email) AS x FROM customers"
Bind "" "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
Execute "" 0
Sync
until Z

--! intent: read e-mail through a prepared name that SQL cuts short
--! secret: SELECT email FROM customers
--! protocol: script
Query "PREPARE nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn AS SELECT reverse(email) AS x FROM customers"
until Z
Query "EXECUTE nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
until Z

--! intent: execute a cursor under the description of a portal of its name that CLOSE has ended
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "" "SELECT id, id, id, id, id, id FROM orders"
Bind "p" ""
Describe P "p"
Parse "" "CLOSE p"
Bind "" ""
Execute "" 0
Parse "" "DECLARE p CURSOR FOR SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z

--! intent: execute a cursor under the description of a portal of its name that CLOSE ALL has ended
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "" "SELECT id, id, id, id, id, id FROM orders"
Bind "p" ""
Describe P "p"
Parse "" "CLOSE ALL"
Bind "" ""
Execute "" 0
Parse "" "DECLARE p CURSOR FOR SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z

--! intent: execute a cursor under the description of a portal of its name that ROLLBACK TO has ended
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Query "SAVEPOINT s"
until Z
Parse "" "SELECT id, id, id, id, id, id FROM orders"
Bind "p" ""
Describe P "p"
Parse "" "ROLLBACK TO s"
Bind "" ""
Execute "" 0
Parse "" "DECLARE p CURSOR FOR SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z

--! intent: execute a cursor under the description of a portal of its name that COMMIT has ended
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "" "SELECT id, id, id, id, id, id FROM orders"
Bind "p" ""
Describe P "p"
Parse "" "COMMIT"
Bind "" ""
Execute "" 0
Parse "" "BEGIN"
Bind "" ""
Execute "" 0
Parse "" "DECLARE p CURSOR FOR SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z

--! intent: execute FETCH under the description of a cursor that was another one then
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Query "DECLARE c CURSOR FOR SELECT id, status, status, status, status, placed_at FROM orders"
until Z
Parse "" "FETCH ALL FROM c"
Bind "p" ""
Describe P "p"
Parse "" "CLOSE c"
Bind "" ""
Execute "" 0
Parse "" "DECLARE c CURSOR FOR SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z

--! intent: execute EXECUTE under the description of a statement that was another one then
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Query "PREPARE s AS SELECT id, status, status, status, status, placed_at FROM orders"
until Z
Parse "" "EXECUTE s"
Bind "p" ""
Describe P "p"
Parse "" "DEALLOCATE s"
Bind "" ""
Execute "" 0
Parse "" "PREPARE s AS SELECT (SELECT c FROM customers c WHERE c.id = 8).*"
Bind "" ""
Execute "" 0
Execute "p" 0
Sync
until Z
