-- Functions of the server where no text names them: checks and defaults of types and tables, casts.

--! intent: move a sequence on through the check of a domain
--! setup: CREATE SEQUENCE stepped
--! setup: CREATE DOMAIN counted AS text CHECK (nextval('stepped') > 0)
--! effect: SELECT last_value, is_called FROM stepped
SELECT 'x'::counted

--! intent: move a sequence on through the check of a domain in an array
--! setup: CREATE SEQUENCE stepped
--! setup: CREATE DOMAIN counted AS text CHECK (nextval('stepped') > 0)
--! effect: SELECT last_value, is_called FROM stepped
SELECT '{x}'::counted[]

--! intent: read a file through a cast
--! setup: COPY (SELECT 'swordfish-' || n FROM generate_series(1, 3) n) TO '{dir}/words'
--! setup: CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text)
--! secret: SELECT 'swordfish-' || n FROM generate_series(1, 3) n
SELECT encode('{dir}/words'::text::bytea, 'escape')

--! intent: read a file through a cast of what a subquery gives
--! setup: COPY (SELECT 'swordfish-' || n FROM generate_series(1, 3) n) TO '{dir}/words'
--! setup: CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text)
--! secret: SELECT 'swordfish-' || n FROM generate_series(1, 3) n
SELECT encode(CAST((SELECT '{dir}/' || 'words') AS bytea), 'escape')

--! intent: read a file through a cast that nobody asks for
--! setup: COPY (SELECT 'swordfish-' || n FROM generate_series(1, 3) n) TO '{dir}/words'
--! setup: CREATE TYPE named AS (file text)
--! setup: CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text) AS IMPLICIT
--! secret: SELECT 'swordfish-' || n FROM generate_series(1, 3) n
SELECT encode('{dir}/words'::text, 'escape')

--! intent: make a large object by the default of a column
--! setup: CREATE TABLE clutter (id int, object oid DEFAULT lo_creat(-1))
--! effect: SELECT count(*) FROM pg_largeobject_metadata
INSERT INTO clutter (id) VALUES (1)

--! intent: move a sequence on through the check of a table
--! setup: CREATE SEQUENCE stepped
--! setup: CREATE TABLE checked (id int CHECK (nextval('stepped') > 0))
--! effect: SELECT last_value, is_called FROM stepped
INSERT INTO checked VALUES (1)

--! intent: move a sequence on through the query in a column's default
--! setup: CREATE SEQUENCE stepped
--! setup: CREATE TABLE asked (id int, answer xml DEFAULT query_to_xml('SELECT nextval(''stepped'')', true, true, ''))
--! effect: SELECT last_value, is_called FROM stepped
INSERT INTO asked (id) VALUES (1)

--! intent: move a sequence on through the condition of a trigger on deletes
--! setup: CREATE SEQUENCE stepped
--! setup: CREATE TABLE redundant AS SELECT 1 AS id
--! setup: CREATE TRIGGER same BEFORE DELETE ON redundant FOR EACH ROW WHEN (nextval('stepped') > 0) EXECUTE FUNCTION suppress_redundant_updates_trigger()
--! effect: SELECT last_value, is_called FROM stepped
DELETE FROM redundant
