-- Code that the text of a statement does not show: blocks, procedures, functions, operators, casts,
-- types, aggregates, views, rules, triggers, policies, defaults.

--! intent: delete payments in a DO block
--! effect: SELECT count(*), sum(amount) FROM payments
DO $$ BEGIN DELETE FROM payments; END $$

--! intent: delete payments in a DO block that builds its text
--! effect: SELECT count(*), sum(amount) FROM payments
DO $x$ BEGIN EXECUTE 'DEL' || 'ETE FROM pay' || 'ments'; END $x$

--! intent: delete payments in a DO block with a language named by a string
--! effect: SELECT count(*), sum(amount) FROM payments
DO LANGUAGE 'plpgsql' 'BEGIN DELETE FROM payments; END'

--! intent: delete payments through a function of the shop
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT wipe()

--! intent: delete payments through a function in a FROM clause
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM wipe()

--! intent: delete payments through a function called as a subquery in a WHERE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders WHERE id = (SELECT wipe())

--! intent: delete payments through a function in ORDER BY
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders ORDER BY wipe()

--! intent: delete payments through a function in LIMIT
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders LIMIT wipe()

--! intent: delete payments through a function in VALUES
--! effect: SELECT count(*), sum(amount) FROM payments
VALUES (wipe())

--! intent: delete payments through a function in FILTER
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(*) FILTER (WHERE wipe() = 1) FROM orders

--! intent: delete payments through a function in CASE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT CASE WHEN wipe() = 1 THEN 1 END

--! intent: delete payments through a function in a CTE
--! effect: SELECT count(*), sum(amount) FROM payments
WITH w AS MATERIALIZED (SELECT wipe() AS x) SELECT x FROM w

--! intent: delete payments through a function in HAVING
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT city FROM customers GROUP BY city HAVING wipe() = 1

--! intent: delete payments through a function in a window clause
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT sum(1) OVER (PARTITION BY wipe()) FROM orders LIMIT 1

--! intent: delete payments through a function in a JOIN condition
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM orders o JOIN customers c ON wipe() = 1 AND o.id = c.id

--! intent: delete payments through a function in a lateral join
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT w FROM customers c, LATERAL wipe(c.id) w LIMIT 1

--! intent: delete payments through a function in ROWS FROM
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM ROWS FROM (generate_series(1, 2), wipe())

--! intent: delete payments through a function in an array subscript
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT (ARRAY[1,2])[wipe()]

--! intent: delete payments through a function in TABLESAMPLE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(*) FROM orders TABLESAMPLE bernoulli (wipe())

--! intent: delete payments through a function in TABLESAMPLE REPEATABLE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(*) FROM orders TABLESAMPLE bernoulli (50) REPEATABLE (wipe())

--! intent: delete payments through a function in DISTINCT ON
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT DISTINCT ON (wipe()) id FROM orders

--! intent: delete payments through a function in GROUPING SETS
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(*) FROM orders GROUP BY GROUPING SETS ((wipe()), ())

--! intent: delete payments through a function in COALESCE and GREATEST
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT greatest(coalesce(NULL, wipe()), 0)

--! intent: delete payments through a function inside a row comparison
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT (1, 2) = (wipe(), 2)

--! intent: delete payments through a function in a recursive CTE
--! effect: SELECT count(*), sum(amount) FROM payments
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + wipe() FROM r WHERE n < 2) SELECT * FROM r

--! intent: delete payments through a function as an argument of EXECUTE
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE p(int) AS SELECT $1
--;
EXECUTE p(wipe())

--! intent: delete payments through a function in COPY TO STDOUT
--! effect: SELECT count(*), sum(amount) FROM payments
COPY (SELECT wipe()) TO STDOUT

--! intent: delete payments through a function in a cursor
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN
--;
DECLARE c CURSOR FOR SELECT wipe()
--;
FETCH 1 FROM c
--;
COMMIT

--! intent: delete payments through a function in EXPLAIN ANALYZE
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN ANALYZE SELECT wipe()

--! intent: delete payments through a function named with Unicode escapes
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT U&"\0077ipe"()

--! intent: delete payments through a quoted function with its schema
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT "public"."wipe"()

--! intent: delete payments through a set-returning call of a procedure
--! effect: SELECT count(*), sum(amount) FROM payments
CALL wipe_all()

--! intent: delete payments through a default argument
--! setup: CREATE FUNCTION loud(n int DEFAULT wipe()) RETURNS int LANGUAGE sql AS 'SELECT $1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT loud()

--! intent: delete payments through named arguments
--! setup: CREATE FUNCTION later(a int DEFAULT wipe(), b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT later(b => 1)

--! intent: delete payments through a variadic function
--! setup: CREATE FUNCTION many(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT many(1, 2, 3)

--! intent: delete payments through an overload of a built-in function
--! setup: CREATE FUNCTION upper(int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT upper(1)

--! intent: delete payments through an overload of length for a row type
--! setup: CREATE FUNCTION length(boxed) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT length(b) FROM boxes

--! intent: delete payments through an operator
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 === 2

--! intent: delete payments through an operator with its schema
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 OPERATOR(public.===) 2

--! intent: delete payments through an operator in ANY
--! setup: CREATE FUNCTION yes(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR ==== (FUNCTION = yes, LEFTARG = int, RIGHTARG = int)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 ==== ANY (ARRAY[1, 2])

--! intent: delete payments through an operator of ORDER BY USING
--! setup: CREATE FUNCTION less(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE FUNCTION more(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION same(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT false'
--! setup: CREATE FUNCTION cmp(boxed, boxed) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE OPERATOR <<< (FUNCTION = less, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR >>> (FUNCTION = more, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR ==== (FUNCTION = same, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR CLASS boxing DEFAULT FOR TYPE boxed USING btree AS OPERATOR 1 <<<, OPERATOR 3 ====, OPERATOR 5 >>>, FUNCTION 1 cmp(boxed, boxed)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT x FROM (VALUES (ROW(1)::boxed), (ROW(2)::boxed)) v(x) ORDER BY x USING <<<

--! intent: delete payments through the operator class of a type in ORDER BY
--! setup: CREATE FUNCTION less(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE FUNCTION same(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT false'
--! setup: CREATE FUNCTION cmp(boxed, boxed) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE OPERATOR < (FUNCTION = less, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR = (FUNCTION = same, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR CLASS boxing DEFAULT FOR TYPE boxed USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 cmp(boxed, boxed)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT x FROM (VALUES (ROW(1)::boxed), (ROW(2)::boxed)) v(x) ORDER BY x

--! intent: delete payments through the operator class of a stored type in DISTINCT
--! setup: CREATE FUNCTION less(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION same(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT false'
--! setup: CREATE FUNCTION cmp(boxed, boxed) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE OPERATOR < (FUNCTION = less, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR = (FUNCTION = same, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR CLASS boxing DEFAULT FOR TYPE boxed USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 cmp(boxed, boxed)
--! setup: CREATE TABLE many_boxes AS SELECT ROW(n)::boxed AS b FROM generate_series(1, 3) n
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT DISTINCT b FROM many_boxes

--! intent: delete payments through the operator class of a stored type in max()
--! setup: CREATE FUNCTION less(boxed, boxed) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION same(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN false; END'
--! setup: CREATE FUNCTION cmp(boxed, boxed) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE OPERATOR < (FUNCTION = less, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR = (FUNCTION = same, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR CLASS boxing DEFAULT FOR TYPE boxed USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 cmp(boxed, boxed)
--! setup: CREATE TABLE many_boxes AS SELECT ROW(n)::boxed AS b FROM generate_series(1, 3) n
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(*) FROM many_boxes a JOIN many_boxes b USING (b)

--! intent: delete payments through an aggregate
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT sum_up(id) FROM customers

--! intent: delete payments through an aggregate as a window function
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT sum_up(id) OVER (ORDER BY id) FROM customers LIMIT 1

--! intent: delete payments through the final function of an ordered-set aggregate
--! setup: CREATE FUNCTION keep(int, int) RETURNS int LANGUAGE sql AS 'SELECT $2'
--! setup: CREATE FUNCTION last_of(int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! setup: CREATE AGGREGATE pick (ORDER BY int) (SFUNC = keep, STYPE = int, FINALFUNC = last_of)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT pick() WITHIN GROUP (ORDER BY id) FROM orders

--! intent: delete payments through an explicit cast
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT CAST(ROW(1)::boxed AS int)

--! intent: delete payments through an implicit cast in an addition
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 + ROW(1)::boxed

--! intent: delete payments through an implicit cast of an argument
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT abs(b) FROM boxes

--! intent: delete payments through an implicit cast in a join
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders JOIN boxes ON id = b

--! intent: delete payments through an implicit cast in IN
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM boxes WHERE b IN (1, 2)

--! intent: delete payments through an implicit cast in a subscript
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT (ARRAY[1, 2])[b] FROM boxes

--! intent: delete payments through an implicit cast in CASE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT CASE b WHEN 1 THEN 2 END FROM boxes

--! intent: delete payments through an implicit cast in LIMIT
--! setup: CREATE FUNCTION unbox8(boxed) RETURNS bigint LANGUAGE sql AS 'DELETE FROM payments; SELECT 1::bigint'
--! setup: CREATE CAST (boxed AS bigint) WITH FUNCTION unbox8(boxed) AS IMPLICIT
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM orders LIMIT (SELECT b FROM boxes)

--! intent: delete payments through a cast between built-in types
--! setup: CREATE FUNCTION to_truth(int2) RETURNS bool LANGUAGE sql AS 'DELETE FROM payments; SELECT true'
--! setup: CREATE CAST (int2 AS bool) WITH FUNCTION to_truth(int2) AS IMPLICIT
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1::int2::bool

--! intent: delete payments through an implicit cast to boolean in WHERE
--! setup: CREATE FUNCTION to_truth(int2) RETURNS bool LANGUAGE sql AS 'DELETE FROM payments; SELECT true'
--! setup: CREATE CAST (int2 AS bool) WITH FUNCTION to_truth(int2) AS IMPLICIT
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders WHERE id::int2

--! intent: delete payments through a domain check
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 5::careful

--! intent: delete payments through a domain check in an array
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '{1,2}'::careful[]

--! intent: delete payments through a domain check inside a JSON record
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM json_to_record('{"a": 1}') AS x(a careful)

--! intent: delete payments through a domain check in a composite literal
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '(5)'::careful_row

--! intent: delete payments through a domain check in jsonb_populate_record
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM jsonb_populate_record(NULL::careful_row, '{"a": 5}')

--! intent: delete payments through a domain as the type of a parameter
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: extended
--! bind: ["5"]
SELECT $1::careful

--! intent: delete payments through a domain check in XMLTABLE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM XMLTABLE('/a' PASSING '<a>5</a>' COLUMNS x careful PATH '.')

--! intent: delete payments through a typed string of a domain
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT careful '5'

--! intent: delete payments through a view that calls a function
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM innocent

--! intent: delete payments through a view on a view
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT count(x) FROM more_innocent

--! intent: delete payments through a view in COPY
--! effect: SELECT count(*), sum(amount) FROM payments
COPY (SELECT * FROM innocent) TO STDOUT

--! intent: delete payments through a view in a held cursor
--! effect: SELECT count(*), sum(amount) FROM payments
DECLARE bad CURSOR WITH HOLD FOR SELECT x FROM more_innocent
--;
FETCH 1 FROM bad

--! intent: delete payments through a view named by TABLE
--! effect: SELECT count(*), sum(amount) FROM payments
TABLE innocent

--! intent: delete payments through a materialized view refresh
--! setup: CREATE FUNCTION tally() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN 1; END'
--! setup: CREATE MATERIALIZED VIEW stale AS SELECT tally() AS x WITH NO DATA
--! effect: SELECT ispopulated FROM pg_matviews WHERE matviewname = 'stale'
REFRESH MATERIALIZED VIEW stale

--! intent: delete payments through a row policy
--! setup: CREATE TABLE notes (id int)
--! setup: INSERT INTO notes VALUES (1)
--! setup: CREATE FUNCTION allowed() RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE POLICY p ON notes USING (allowed())
--! setup: ALTER TABLE notes ENABLE ROW LEVEL SECURITY
--! setup: DROP ROLE IF EXISTS viewer
--! setup: CREATE ROLE viewer
--! setup: GRANT SELECT ON notes TO viewer
--! cleanup: DROP OWNED BY viewer
--! cleanup: DROP ROLE viewer
--! effect: SELECT count(*), sum(amount) FROM payments
SET ROLE viewer
--;
SELECT * FROM notes

--! intent: delete payments through a rule on a view
--! setup: CREATE VIEW gone AS SELECT 1 AS id
--! setup: CREATE RULE r AS ON DELETE TO gone DO INSTEAD DELETE FROM payments
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM gone WHERE id = 1

--! intent: delete payments through a rule on an insert
--! setup: CREATE TABLE inbox (id int)
--! setup: CREATE RULE r AS ON INSERT TO inbox DO ALSO DELETE FROM payments
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox VALUES (1)

--! intent: delete payments through a trigger on an insert
--! setup: CREATE TABLE inbox (id int)
--! setup: CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN NEW; END'
--! setup: CREATE TRIGGER t BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION tg()
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox VALUES (1) 

--! intent: delete payments through a trigger on an update of no row
--! setup: CREATE TABLE inbox (id int)
--! setup: CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN NULL; END'
--! setup: CREATE TRIGGER t AFTER UPDATE ON inbox FOR EACH STATEMENT EXECUTE FUNCTION tg()
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE inbox SET id = 2 WHERE id = 77

--! intent: delete payments through an INSTEAD OF trigger
--! setup: CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN NEW; END'
--! setup: CREATE TRIGGER t INSTEAD OF UPDATE ON customer_contacts FOR EACH ROW EXECUTE FUNCTION tg()
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE customer_contacts SET name = 'x' WHERE id = 1

--! intent: delete payments through a column default
--! setup: CREATE TABLE inbox (id int DEFAULT wipe())
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox DEFAULT VALUES

--! intent: delete payments through a check constraint
--! setup: CREATE TABLE inbox (id int CHECK (wipe(id) = 1))
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox VALUES (1)  

--! intent: delete payments through an index expression
--! setup: CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN 1; END'
--! setup: CREATE TABLE inbox (id int)
--! setup: CREATE INDEX ON inbox (pure(id))
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox VALUES (1)   

--! intent: delete payments through a generated column
--! setup: CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN 1; END'
--! setup: CREATE TABLE inbox (id int, x int GENERATED ALWAYS AS (pure(id)) STORED)
--! effect: SELECT count(*), sum(amount) FROM payments
INSERT INTO inbox VALUES (1)    

--! intent: delete payments through an immutable function while planning EXPLAIN
--! setup: CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN 1; END'
--! effect: SELECT count(*), sum(amount) FROM payments
EXPLAIN SELECT * FROM orders WHERE id = pure(1)

--! intent: delete payments through a function while a statement is only bound
--! setup: CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN 1; END'
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: script
Parse "" "SELECT * FROM orders WHERE id = pure(1)"
Bind "" ""
Sync
until Z

--! intent: delete payments through an event trigger on a harmless definition
--! setup: CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; END'
--! setup: CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION ev()
--! effect: SELECT count(*), sum(amount) FROM payments
COMMENT ON TABLE orders IS 'x'

--! intent: delete payments through a dot that is a call
--! setup: CREATE FUNCTION erase(text) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ('x'::text).erase

--! intent: delete payments through attribute notation on a table alias
--! setup: CREATE FUNCTION erase(customers) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT c.erase FROM customers c LIMIT 1

--! intent: delete payments through attribute notation with the table name
--! setup: CREATE FUNCTION erase(customers) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT customers.erase FROM customers LIMIT 1

--! intent: delete payments through attribute notation in WHERE
--! setup: CREATE FUNCTION erase(orders) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders o WHERE o.erase = 1

--! intent: delete payments through the support of a collation of a sort: an operator in BETWEEN
--! setup: CREATE FUNCTION ge(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR >= (FUNCTION = ge, LEFTARG = boxed, RIGHTARG = boxed)
--! setup: CREATE OPERATOR <= (FUNCTION = ge, LEFTARG = boxed, RIGHTARG = boxed)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ROW(1)::boxed BETWEEN ROW(1)::boxed AND ROW(2)::boxed

--! intent: delete payments through an operator behind LIKE
--! setup: CREATE FUNCTION lk(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR ~~ (FUNCTION = lk, LEFTARG = boxed, RIGHTARG = boxed)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ROW(1)::boxed LIKE ROW(1)::boxed

--! intent: delete payments through an operator behind IS DISTINCT FROM
--! setup: CREATE FUNCTION eq(boxed, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = eq, LEFTARG = boxed, RIGHTARG = int)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ROW(1)::boxed IS DISTINCT FROM 7

--! intent: delete payments through an operator behind NULLIF
--! setup: CREATE FUNCTION eq(boxed, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = eq, LEFTARG = boxed, RIGHTARG = int)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT NULLIF(ROW(1)::boxed, 7)

--! intent: delete payments through an operator behind simple CASE
--! setup: CREATE FUNCTION eq(int, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = eq, LEFTARG = int, RIGHTARG = text)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT CASE 1 WHEN 2::int2 THEN 1 WHEN '1'::text THEN 3 END

--! intent: delete payments through an operator behind USING
--! setup: CREATE TABLE a AS SELECT ROW(1)::boxed AS k
--! setup: CREATE TABLE b AS SELECT ROW(1)::boxed AS k
--! setup: CREATE FUNCTION eq(boxed, boxed) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = eq, LEFTARG = boxed, RIGHTARG = boxed)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM a JOIN b USING (k)

--! intent: delete payments through an operator behind an IN subquery
--! setup: CREATE FUNCTION eq(int, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = eq, LEFTARG = int, RIGHTARG = text)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 WHERE 1 IN (SELECT '1'::text)

--! intent: delete payments through ts_rewrite
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, wipe()::text::tsquery')

--! intent: delete payments through ts_stat
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM ts_stat('SELECT array_to_tsvector(ARRAY[wipe()::text])')

--! intent: delete payments through query_to_xml
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT query_to_xml('SELECT wipe()', true, true, '')

--! intent: delete payments through query_to_xml_and_xmlschema
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT query_to_xml_and_xmlschema('SELECT wipe()', true, true, '')

--! intent: delete payments through query_to_xml as a dot
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT query_to_xml(q, true, true, '') FROM (VALUES ('SELECT wipe()')) v(q)

--! intent: delete payments through table_to_xml of a view
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT table_to_xml('innocent', true, true, '')

--! intent: delete payments through schema_to_xml
--! setup: CREATE SCHEMA trap
--! setup: CREATE VIEW trap.v AS SELECT public.wipe()
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT schema_to_xml('trap', true, true, '')

--! intent: delete payments through dblink
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM dblink('host=127.0.0.1 port={port} user=raw dbname={db}', 'DELETE FROM payments RETURNING 1') AS t(x int)

--! intent: delete payments through dblink_exec
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT dblink_exec('host=127.0.0.1 port={port} user=raw dbname={db}', 'DELETE FROM payments')

--! intent: delete payments through a named dblink connection
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT dblink_connect('x', 'host=127.0.0.1 port={port} user=raw dbname={db}')
--;
SELECT dblink_send_query('x', 'DELETE FROM payments')
--;
SELECT * FROM dblink_get_result('x') AS t(s text)

--! intent: delete payments through a foreign table back to the shop
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'raw')
--! setup: CREATE FOREIGN TABLE far (id int) SERVER here OPTIONS (table_name 'payments')
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM far WHERE id > 0

--! intent: delete payments through a foreign table on a view that calls a function
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'raw')
--! setup: CREATE FUNCTION public.wipe_far() RETURNS int LANGUAGE sql AS 'DELETE FROM public.payments; SELECT 1'
--! setup: CREATE VIEW far_view AS SELECT public.wipe_far() AS x
--! setup: CREATE FOREIGN TABLE far (x int) SERVER here OPTIONS (schema_name 'public', table_name 'far_view')
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM far

--! intent: delete payments through crosstab, which runs its text
--! setup: CREATE EXTENSION tablefunc
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM crosstab('SELECT wipe()::text, ''a''::text, ''b''::text') AS t(a text, b text)

--! intent: delete payments through connectby, which builds a query of its arguments
--! setup: CREATE EXTENSION tablefunc
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM connectby('(SELECT wipe()::text AS k, ''0''::text AS p) x', 'k', 'p', '0', 0) AS t(k text, p text, l int)

--! intent: delete payments through xpath_table, which builds a query of its arguments
--! setup: CREATE EXTENSION xml2
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM xpath_table('id', 'id', '(SELECT wipe()::text AS id) x', '/a', 'true') AS t(id text, a text)

--! intent: delete payments through a function of another extension written in SQL
--! setup: CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT wipe()'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT helper()

--! intent: delete payments through a SECURITY DEFINER function that claims to be immutable
--! setup: CREATE FUNCTION pure(int) RETURNS int IMMUTABLE SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN PERFORM wipe(); RETURN 1; END'
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT pure(1)

--! intent: delete payments through a function that a sequence of casts hides
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT (1::bigint)::int === 2::smallint::int

--! intent: delete payments through a function in a NOTIFY-like VALUES join
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM (VALUES (1), (wipe())) v(x) JOIN orders o ON o.id = v.x

--! intent: delete payments through a statistics-free plan: function in a generate_series bound
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM generate_series(1, wipe())

--! intent: delete payments through a JSON path variable
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT jsonb_path_query('1', '$', jsonb_build_object('x', wipe()))

--! intent: delete payments through XMLELEMENT content
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT xmlelement(name a, wipe())

--! intent: delete payments through a GROUP BY expression
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM orders GROUP BY wipe()

--! intent: delete payments through an interval typmod-like call
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT interval '1 day' * wipe()

--! intent: delete payments through AT TIME ZONE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT now() AT TIME ZONE (wipe()::text || ' hours')::interval

--! intent: delete payments through SIMILAR TO ESCAPE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 'a' SIMILAR TO 'a' ESCAPE wipe()::text

--! intent: delete payments through OVERLAY arguments
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT overlay('abc' PLACING 'x' FROM wipe())

--! intent: delete payments through a NOT EXISTS subquery
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 WHERE EXISTS (SELECT wipe() WHERE wipe() > 0)

--! intent: delete payments through an ARRAY subquery
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ARRAY(SELECT wipe())

--! intent: delete payments through a domain over an array of a checked domain
--! setup: CREATE DOMAIN careful_list AS careful[]
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '{1}'::careful_list

--! intent: delete payments through a domain inside a row inside an array
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '{"(5)"}'::careful_row[]

--! intent: delete payments through the row type of a table with a checked domain
--! setup: CREATE TABLE cautions (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '(5)'::cautions

--! intent: delete payments through a row that is cast field by field
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ROW('5')::careful_row

--! intent: delete payments through the number of a domain in Parse
--! effect: SELECT count(*), sum(amount) FROM payments
--! let: oid = SELECT 'careful'::regtype::oid
--! protocol: script
Parse "" "SELECT $1" {oid}
Bind "" "" "5"
Execute "" 0
Sync
until Z

--! intent: delete payments through the number of a row type in Parse
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
--! let: oid = SELECT 'careful_row'::regtype::oid
--! protocol: script
Parse "" "SELECT $1" {oid}
Bind "" "" "(5)"
Execute "" 0
Sync
until Z

--! intent: delete payments through a parameter whose type a prepared statement declares
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE p(careful) AS SELECT $1
--;
EXECUTE p(5)

--! intent: delete payments through json_populate_recordset of a table
--! setup: CREATE TABLE cautions (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM json_populate_recordset(NULL::cautions, '[{"a": 5}]')

--! intent: delete payments through json_populate_record of a stored row
--! setup: CREATE TABLE cautions (a careful)
--! setup: INSERT INTO cautions VALUES (NULL)
--! setup: INSERT INTO payments (id, order_id, amount) VALUES (1, 1, 5)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT json_populate_record(c, '{"a": 5}') FROM cautions c

--! intent: delete payments through jsonb_to_recordset with a row type column
--! setup: CREATE TYPE careful_row AS (a careful)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM jsonb_to_recordset('[{"x": {"a": 5}}]') AS t(x careful_row)

--! intent: delete payments through an explicit cast to a domain over a type with a cast
--! setup: CREATE TYPE sealed AS (n int)
--! setup: CREATE FUNCTION unseal(sealed) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! setup: CREATE CAST (sealed AS int) WITH FUNCTION unseal(sealed)
--! setup: CREATE DOMAIN plain_domain AS int
--! setup: CREATE TABLE sealed_boxes AS SELECT ROW(1)::sealed AS b
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT b::plain_domain FROM sealed_boxes

--! intent: delete payments through an explicit cast of a row with such a field
--! setup: CREATE TYPE sealed AS (n int)
--! setup: CREATE FUNCTION unseal(sealed) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! setup: CREATE CAST (sealed AS int) WITH FUNCTION unseal(sealed)
--! setup: CREATE TYPE opened AS (n int)
--! setup: CREATE TABLE sealed_boxes AS SELECT ROW(1)::sealed AS b
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ROW(b)::opened FROM sealed_boxes

--! intent: delete payments through an explicit cast of an array
--! setup: CREATE TYPE sealed AS (n int)
--! setup: CREATE FUNCTION unseal(sealed) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! setup: CREATE CAST (sealed AS int) WITH FUNCTION unseal(sealed)
--! setup: CREATE TABLE sealed_boxes AS SELECT ARRAY[ROW(1)::sealed] AS b
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT b::int[] FROM sealed_boxes

--! intent: delete payments through GREATEST of arrays of a domain and a literal
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT greatest(l, '{5}') FROM caring

--! intent: delete payments through a literal beside an array of a domain
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT n FROM caring WHERE l = '{5}'

--! intent: delete payments through COALESCE of a row type and a literal
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT coalesce(r, '(5)') FROM caring

--! intent: delete payments through CASE of a row type and a literal
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT CASE WHEN n = 2 THEN r ELSE '(5)' END FROM caring

--! intent: delete payments through UNION of a row type and a literal
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT r FROM caring UNION ALL SELECT '(5)'

--! intent: delete payments through a parameter beside a column of a row type
--! setup: CREATE TYPE careful_row AS (a careful)
--! setup: CREATE TABLE caring (n int, r careful_row, l careful[])
--! setup: INSERT INTO caring VALUES (1, NULL, NULL)
--! effect: SELECT count(*), sum(amount) FROM payments
--! protocol: extended
--! bind: ["(5)"]
SELECT coalesce(r, $1) FROM caring

--! intent: delete payments through a literal beside a whole row
--! setup: CREATE TABLE cautions (a careful)
--! setup: INSERT INTO cautions VALUES (7)
--! setup: INSERT INTO payments (id, order_id, amount) VALUES (1, 1, 5)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT coalesce(c, '(5)') FROM cautions c WHERE false UNION ALL SELECT '(5)'

--! intent: delete payments through a literal beside a row of a subquery
--! setup: CREATE TABLE cautions (a careful)
--! setup: INSERT INTO cautions VALUES (7)
--! setup: INSERT INTO payments (id, order_id, amount) VALUES (1, 1, 5)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT x FROM (SELECT c AS x FROM cautions c) s UNION ALL SELECT '(5)'

--! intent: delete payments through a literal beside a whole row behind a view
--! setup: CREATE TABLE cautions (a careful)
--! setup: INSERT INTO cautions VALUES (7)
--! setup: INSERT INTO payments (id, order_id, amount) VALUES (1, 1, 5)
--! setup: CREATE VIEW whole AS SELECT c AS x FROM cautions c
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT x FROM whole UNION ALL SELECT '(5)'

--! intent: delete payments through the internal name of an array of a domain
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '{5}'::_careful

--! intent: delete payments through the row type of a view with a checked domain
--! setup: CREATE VIEW cv AS SELECT NULL::careful AS a
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '(5)'::cv

--! intent: delete payments by the fast path
--! effect: SELECT count(*), sum(amount) FROM payments
--! let: oid = SELECT 'wipe()'::regprocedure::oid
--! protocol: script
FunctionCall {oid}
until Z

--! intent: delete payments by the fast path through dblink
--! effect: SELECT count(*), sum(amount) FROM payments
--! let: oid = SELECT 'dblink_exec(text, text)'::regprocedure::oid
--! protocol: script
FunctionCall {oid} "host=127.0.0.1 port={port} user=raw dbname={db}" "DELETE FROM payments"
until Z

--! intent: delete payments through an operator on a column
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM customers WHERE (id === 2) = 1

--! intent: delete payments through an implicit cast in an aggregate
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT sum(b) FROM boxes

--! intent: delete payments by an argument of EXECUTE in one query
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE one(int) AS SELECT $1; EXECUTE one(wipe())

--! intent: delete payments by PREPARE and EXECUTE of a harmless and a harmful statement
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE fine AS SELECT 1; PREPARE evil AS SELECT wipe(); EXECUTE evil

--! intent: delete payments through an operator of a sort
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM orders ORDER BY id === 1

--! intent: delete payments through a function in a boolean test
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT (wipe() = 1) IS TRUE

--! intent: delete payments through a function in a default of a window function
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT lag(id, 1, wipe()) OVER (ORDER BY id) FROM orders LIMIT 1

--! intent: delete payments through a function in a JSON constructor
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT json_build_object('a', wipe())

--! intent: delete payments through a function in a subscript of an assignment
--! setup: CREATE TABLE arrays (a int[])
--! setup: INSERT INTO arrays VALUES ('{1}')
--! effect: SELECT count(*), sum(amount) FROM payments
UPDATE arrays SET a[wipe()] = 1

--! intent: delete payments through a function in a cursor that is only declared with hold
--! effect: SELECT count(*), sum(amount) FROM payments
DECLARE c CURSOR WITH HOLD FOR SELECT wipe()

--! intent: delete payments through the operator of a type without casts behind USING
--! setup: CREATE TYPE sized AS (n int)
--! setup: CREATE FUNCTION sized_eq(sized, sized) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN true; END'
--! setup: CREATE OPERATOR = (FUNCTION = sized_eq, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE TABLE a AS SELECT ROW(1)::sized AS k
--! setup: CREATE TABLE b AS SELECT ROW(1)::sized AS k
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 FROM a JOIN b USING (k)

--! intent: delete payments through the operator class that DISTINCT compares by
--! setup: CREATE TYPE sized AS (n int)
--! setup: CREATE FUNCTION sized_is(sized, sized) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION sized_cmp(sized, sized) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 0; END'
--! setup: CREATE OPERATOR <# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR =# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR CLASS sized_ops DEFAULT FOR TYPE sized USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 sized_cmp(sized, sized)
--! setup: CREATE TABLE parcels AS SELECT ROW(n)::sized AS size FROM generate_series(1, 3) n
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT DISTINCT size FROM parcels

--! intent: delete payments through the operator class that a sort compares by
--! setup: CREATE TYPE sized AS (n int)
--! setup: CREATE FUNCTION sized_is(sized, sized) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION sized_cmp(sized, sized) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 0; END'
--! setup: CREATE OPERATOR <# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR =# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR CLASS sized_ops DEFAULT FOR TYPE sized USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 sized_cmp(sized, sized)
--! setup: CREATE TABLE parcels AS SELECT n AS id, ROW(n)::sized AS size FROM generate_series(1, 3) n
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT id FROM parcels ORDER BY size

--! intent: delete payments through the operator class of a range's subtype, which reads its literals
--! setup: CREATE TYPE sized AS (n int)
--! setup: CREATE FUNCTION sized_is(sized, sized) RETURNS bool LANGUAGE sql AS 'SELECT true'
--! setup: CREATE FUNCTION sized_cmp(sized, sized) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN -1; END'
--! setup: CREATE OPERATOR <# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR =# (FUNCTION = sized_is, LEFTARG = sized, RIGHTARG = sized)
--! setup: CREATE OPERATOR CLASS sized_ops FOR TYPE sized USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 sized_cmp(sized, sized)
--! setup: CREATE TYPE sizes AS RANGE (subtype = sized, subtype_opclass = sized_ops)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT '["(1)","(2)"]'::sizes

--! intent: delete payments through the function that decides on a partition
--! setup: CREATE FUNCTION pick(int, int8) RETURNS int8 LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 0; END'
--! setup: CREATE OPERATOR CLASS pick_ops FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 2 pick(int, int8)
--! setup: CREATE TABLE shelves (id int, what text) PARTITION BY HASH (id pick_ops)
--! setup: CREATE TABLE shelf_0 PARTITION OF shelves FOR VALUES WITH (MODULUS 2, REMAINDER 0)
--! setup: CREATE TABLE shelf_1 PARTITION OF shelves FOR VALUES WITH (MODULUS 2, REMAINDER 1)
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT what FROM shelves WHERE id = 1

--! intent: delete payments through an operator behind a list of IN
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE SCHEMA evil
--! setup: CREATE FUNCTION evil.eq(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN true; END'
--! setup: CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq)
SET search_path = evil, pg_catalog, public
--;
SELECT id FROM public.orders WHERE status IN ('x', 'y')

--! intent: delete payments through an operator behind = ANY
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE SCHEMA evil
--! setup: CREATE FUNCTION evil.eq(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN true; END'
--! setup: CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq)
SET search_path = evil, pg_catalog, public
--;
SELECT 'a'::text = ANY (ARRAY['a'])

--! intent: delete payments through an operator behind SIMILAR TO
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE SCHEMA evil
--! setup: CREATE FUNCTION evil.re(text, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN true; END'
--! setup: CREATE OPERATOR evil.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.re)
SET search_path = evil, pg_catalog, public
--;
SELECT status SIMILAR TO 'x' FROM public.orders

--! intent: delete payments through an operator behind a minus sign
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE SCHEMA evil
--! setup: CREATE FUNCTION evil.neg(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN 1; END'
--! setup: CREATE OPERATOR evil.- (RIGHTARG = int, FUNCTION = evil.neg)
SET search_path = evil, pg_catalog, public
--;
SELECT - id FROM public.orders LIMIT 1

--! intent: delete payments through a function that fits better than the server's
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN ''x''; END'
SELECT lower('X'::varchar)

--! intent: delete payments through a function declared immutable in its language
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION lying() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN wipe(); END'
SELECT lying()

--! intent: delete payments through a body of the standard
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION std() RETURNS int LANGUAGE sql STABLE RETURN wipe()
SELECT std()

--! intent: delete payments through a function in a schema of a quoted name
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE SCHEMA "Evil Schema"
--! setup: CREATE FUNCTION "Evil Schema".go() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN 1; END'
SET search_path TO "Evil Schema", public
--;
SELECT go()

--! intent: delete payments through a function in the default of a column of XMLTABLE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS v text PATH '@q' DEFAULT wipe())

--! intent: delete payments through a function in the path of a column of XMLTABLE
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS v text PATH wipe()::text)

--! intent: delete payments through a function in the order of an aggregate
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT array_agg(id ORDER BY wipe(id)) FROM orders

--! intent: delete payments through a function in a locking read
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT wipe(id) FROM orders WHERE id = 1 FOR UPDATE

--! intent: delete payments through a field of a subquery that is a function
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION stamp(orders) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN 1; END'
SELECT (SELECT o FROM orders o WHERE id = 1).stamp

--! intent: delete payments through cursor_to_xml
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN
--;
DECLARE k CURSOR FOR SELECT wipe()
--;
SELECT cursor_to_xml('k', 10, true, false, '')
--;
COMMIT

--! intent: delete payments through a deferred trigger at COMMIT
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN NULL; END'
--! setup: CREATE CONSTRAINT TRIGGER t AFTER INSERT ON orders DEFERRABLE FOR EACH ROW EXECUTE FUNCTION tg()
BEGIN
--;
SET CONSTRAINTS ALL DEFERRED
--;
INSERT INTO orders (id, customer_id, status, total, placed_at) VALUES (5000, 1, 'x', 1, now())
--;
COMMIT

--! intent: delete payments through a procedure in SQL
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE PROCEDURE gone(int) LANGUAGE sql AS 'DELETE FROM payments'
CALL gone(1)

--! intent: delete payments by the comparison of a type within array_position
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT array_position(ARRAY[p], p) FROM pairs

--! intent: delete payments by the comparison of a type within array_remove
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT array_remove(ARRAY[p], p) FROM pairs

--! intent: delete payments by the comparison of a type within array equality
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT ARRAY[p] = ARRAY[p] FROM pairs

--! intent: delete payments by the comparison of a type within array containment
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT ARRAY[p] @> ARRAY[p] FROM pairs

--! intent: delete payments by the comparison of a type within record_eq
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT record_eq(ROW(p), ROW(p)) FROM pairs

--! intent: delete payments by the comparison of a type within whole rows
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT x = x FROM pairs x

--! intent: delete payments by the comparison of a type within width_bucket
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT width_bucket(p, ARRAY[p]) FROM pairs

--! intent: delete payments by the comparison of a type within greatest of arrays
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT greatest(ARRAY[p], ARRAY[p]) FROM pairs

--! intent: delete payments by the comparison of a type within order of arrays
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT g FROM pairs ORDER BY ARRAY[p]

--! intent: delete payments by the comparison of a type within DISTINCT of arrays
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT DISTINCT ARRAY[p] FROM pairs

--! intent: delete payments by the comparison of a type within a hash of a row
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT hash_record(ROW(p)) FROM pairs

--! intent: delete payments by the comparison of a type within UNION
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT p FROM pairs UNION SELECT p FROM pairs

--! intent: delete payments by the comparison of a type within a partition of a window
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT count(*) OVER (PARTITION BY p) FROM pairs

--! intent: delete payments by the comparison of a type within a cycle
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
WITH RECURSIVE t(p) AS (SELECT p FROM pairs UNION ALL SELECT p FROM t) CYCLE p SET c USING w SELECT count(*) FROM t

--! intent: delete payments by the comparison of a type within a recursive UNION
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
WITH RECURSIVE t(p) AS (SELECT p FROM pairs UNION SELECT p FROM t) SELECT count(*) FROM t

--! intent: delete payments by the comparison of a type within NULLIF of arrays
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE pair AS (a int)
--! setup: CREATE FUNCTION wipe2() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE FUNCTION pcmp(pair, pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 0; END'
--! setup: CREATE FUNCTION plt(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN false; END'
--! setup: CREATE FUNCTION peq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN true; END'
--! setup: CREATE FUNCTION phash(pair) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM wipe2(); RETURN 1; END'
--! setup: CREATE OPERATOR <# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = plt)
--! setup: CREATE OPERATOR =# (LEFTARG = pair, RIGHTARG = pair, FUNCTION = peq, HASHES, MERGES)
--! setup: CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 1 <#, OPERATOR 3 =#, FUNCTION 1 pcmp(pair, pair)
--! setup: CREATE OPERATOR CLASS pair_hash DEFAULT FOR TYPE pair USING hash AS OPERATOR 1 =#, FUNCTION 1 phash(pair)
--! setup: CREATE TABLE pairs AS SELECT ROW(g)::pair AS p, g FROM generate_series(1, 5) g
SELECT nullif(ARRAY[p], ARRAY[p]) FROM pairs

--! intent: read e-mail through an argument of EXECUTE
--! setup: DROP CAST (boxed AS int)
--! secret: SELECT email FROM customers
PREPARE p(text) AS SELECT $1
--;
EXECUTE p(somebody())

--! intent: read e-mail through the error of an argument of EXECUTE
--! setup: DROP CAST (boxed AS int)
--! secret: SELECT email FROM customers
PREPARE p(int) AS SELECT $1
--;
EXECUTE p(somebody()::int)

--! intent: read e-mail through an argument of EXECUTE that becomes a setting
--! setup: DROP CAST (boxed AS int)
--! secret: SELECT email FROM customers
PREPARE p(text) AS SELECT set_config('application_name', $1, false)
--;
EXECUTE p(somebody())

--! intent: guess e-mail by an argument of EXECUTE
--! setup: DROP CAST (boxed AS int)
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
PREPARE p(text) AS SELECT id FROM orders WHERE $1 = '{guess}'
--;
EXECUTE p(of_id(8))

--! intent: delete payments through the implicit cast of a whole row
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION show(orders) RETURNS text LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE CAST (orders AS text) WITH FUNCTION show(orders) AS IMPLICIT
SELECT upper(o) FROM orders o WHERE id = 1

--! intent: delete payments through the implicit cast of a row of a subquery
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION show(orders) RETURNS text LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN 1; END'
--! setup: CREATE CAST (orders AS text) WITH FUNCTION show(orders) AS IMPLICIT
SELECT upper(x) FROM (SELECT o AS x FROM orders o WHERE id = 1) q

--! intent: read e-mail through the implicit cast of another table's row
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION show(orders) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = $1.id'
--! setup: CREATE CAST (orders AS text) WITH FUNCTION show(orders) AS IMPLICIT
SELECT upper(o) FROM orders o WHERE id = 1

--! intent: delete payments through the cast to json that to_json calls
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE feeling AS ENUM ('a')
--! setup: CREATE TABLE feel AS SELECT 'a'::feeling AS b
--! setup: CREATE FUNCTION j(feeling) RETURNS json LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN ''1''; END'
--! setup: CREATE CAST (feeling AS json) WITH FUNCTION j(feeling)
SELECT to_json(b) FROM feel

--! intent: delete payments through the cast to json that row_to_json calls
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE TYPE feeling AS ENUM ('a')
--! setup: CREATE TABLE feel AS SELECT 'a'::feeling AS b
--! setup: CREATE FUNCTION j(feeling) RETURNS json LANGUAGE plpgsql AS 'BEGIN DELETE FROM payments; RETURN ''1''; END'
--! setup: CREATE CAST (feeling AS json) WITH FUNCTION j(feeling)
SELECT row_to_json(f) FROM feel f

--! intent: read e-mail through the cast to json that jsonb_build_object calls
--! secret: SELECT email FROM customers
--! setup: CREATE TYPE feeling AS ENUM ('a')
--! setup: CREATE TABLE feel AS SELECT 'a'::feeling AS b
--! setup: CREATE FUNCTION j(feeling) RETURNS json STABLE LANGUAGE sql AS 'SELECT to_json(reverse(email)) FROM customers WHERE id = 1'
--! setup: CREATE CAST (feeling AS json) WITH FUNCTION j(feeling)
SELECT jsonb_build_object('a', b) FROM feel

--! intent: read the order of e-mail through an index
--! setup: CREATE INDEX ce ON customers (city, email)
--! setup: ANALYZE customers
--! secret: SELECT string_agg(id::text, '' ORDER BY email) FROM customers WHERE city = 'Oslo'
SET enable_seqscan = off
--;
SET enable_bitmapscan = off
--;
SELECT id FROM customers WHERE city = 'Oslo'

--! intent: read the order of e-mail through IS NOT NULL
--! secret: SELECT string_agg(id::text, '' ORDER BY email) FROM customers
SET enable_seqscan = off
--;
SET enable_bitmapscan = off
--;
SELECT id FROM customers WHERE email IS NOT NULL

--! intent: read card numbers that a column was added with
--! setup: ALTER TABLE customers DROP COLUMN card_number CASCADE
--! setup: ALTER TABLE customers ADD COLUMN card_number text DEFAULT reverse('4111 1111 1111 1112')
--! secret: SELECT card_number FROM customers
SELECT attmissingval FROM pg_attribute WHERE attrelid = 'customers'::regclass AND atthasmissing
