-- Values of masked columns, and other secrets, by ways that are not the answer: errors, notices, settings,
-- sequences, locks, plans, statistics, notifications, catalogs, files.

--! intent: read e-mail through the error of a cast to integer
--! secret: SELECT email FROM customers
SELECT reverse(email)::int FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to date
--! secret: SELECT email FROM customers
SELECT email::date FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to timestamp
--! secret: SELECT email FROM customers
SELECT reverse(email)::timestamp FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to uuid
--! secret: SELECT email FROM customers
SELECT email::uuid FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to inet
--! secret: SELECT email FROM customers
SELECT email::inet FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to json
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT email::json FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to boolean
--! secret: SELECT email FROM customers
SELECT email::bool FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to interval
--! secret: SELECT email FROM customers
SELECT reverse(email)::interval FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to regclass
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT email::regclass FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to regproc
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT email::regproc FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to regtype
--! secret: SELECT email FROM customers
SELECT ('x' || email)::regtype FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to point
--! secret: SELECT email FROM customers
SELECT email::point FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to money
--! secret: SELECT email FROM customers
SELECT email::money FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to numeric
--! secret: SELECT email FROM customers
SELECT reverse(email)::numeric FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to XML
--! secret: SELECT email FROM customers
SELECT xmlparse(document '<' || email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to an array
--! secret: SELECT email FROM customers
SELECT email::int[] FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to a range
--! secret: SELECT email FROM customers
SELECT email::int4range FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to an enumeration
--! setup: CREATE TYPE mood AS ENUM ('sad')
--! secret: SELECT email FROM customers
SELECT email::mood FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to tsquery
--! secret: SELECT email FROM customers
SELECT ('(' || email)::tsquery FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to a JSON path
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT ('$$' || email)::jsonpath FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to a MAC address
--! secret: SELECT email FROM customers
SELECT email::macaddr FROM customers WHERE id = 100

--! intent: read e-mail through the error of a cast to a log position
--! secret: SELECT email FROM customers
SELECT email::pg_lsn FROM customers WHERE id = 100

--! intent: read e-mail through the error of to_date
--! secret: SELECT left(email, 4) FROM customers WHERE id = 100
SELECT to_date(email, 'YYYY') FROM customers WHERE id = 100

--! intent: read e-mail through the error of to_number-like arithmetic
--! secret: SELECT email FROM customers
SELECT 1 + reverse(email)::bigint FROM customers WHERE id = 100

--! intent: read e-mail through the error of to_tsquery
--! secret: SELECT email FROM customers
SELECT to_tsquery('simple', '(' || email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of date_part
--! secret: SELECT email FROM customers
SELECT date_part(email, now()) FROM customers WHERE id = 100

--! intent: read e-mail through the error of date_trunc
--! secret: SELECT email FROM customers
SELECT date_trunc(email, now()) FROM customers WHERE id = 100

--! intent: read e-mail through the error of an encoding
--! secret: SELECT email FROM customers
SELECT convert_to('x', email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of a digest
--! secret: SELECT email FROM customers
SELECT digest('x', email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of current_setting
--! secret: SELECT replace(replace(email, '@', '_'), '.', '_') FROM customers
SELECT current_setting('a.' || replace(replace(email, '@', '_'), '.', '_')) FROM customers WHERE id = 100

--! intent: read e-mail through the error of nextval
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT nextval(email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of has_table_privilege
--! secret: SELECT email FROM customers
SELECT has_table_privilege(email, 'orders', 'select') FROM customers WHERE id = 100

--! intent: read e-mail through the error of pg_get_serial_sequence
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT pg_get_serial_sequence(email, 'x') FROM customers WHERE id = 100

--! intent: read e-mail through the error of a JSON key that cannot be set
--! secret: SELECT email FROM customers
SELECT jsonb_set('[1]', ARRAY[email], '1') FROM customers WHERE id = 100

--! intent: read e-mail through the error of a path that cannot be deleted
--! secret: SELECT email FROM customers
SELECT '[1]'::jsonb #- ARRAY[email] FROM customers WHERE id = 100

--! intent: read e-mail through the error of has_database_privilege
--! secret: SELECT email FROM customers
SELECT has_database_privilege(email, 'connect') FROM customers WHERE id = 100

--! intent: read e-mail through the error of pg_size_bytes
--! secret: SELECT email FROM customers
SELECT pg_size_bytes(email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of an unknown text search configuration
--! secret: SELECT split_part(email, '@', 1) FROM customers WHERE id = 100
SELECT to_tsvector(email::regconfig, 'x') FROM customers WHERE id = 100

--! intent: read e-mail through the error of a role
--! secret: SELECT email FROM customers
SELECT pg_has_role(email, 'usage') FROM customers WHERE id = 100

--! intent: read e-mail through the error of parse_ident
--! secret: SELECT email FROM customers
SELECT parse_ident(email) FROM customers WHERE id = 100

--! intent: read e-mail through the error of a stripped collation for
--! secret: SELECT email FROM customers
SELECT string_to_array(email, '')::int[] FROM customers WHERE id = 100

--! intent: read e-mail through the error of a unique violation
--! secret: SELECT email FROM customers
INSERT INTO customers SELECT id + 1000, name, email, card_number, city, created_at FROM customers WHERE id = 1

--! intent: read e-mail through the error of a unique violation by an update
--! secret: SELECT email FROM customers
UPDATE customers SET email = (SELECT email FROM customers WHERE id = 1) WHERE id = 2

--! intent: read e-mail through the error of a not-null violation
--! secret: SELECT email FROM customers
UPDATE customers SET name = NULL WHERE id = 1

--! intent: read e-mail through the error of a check violation
--! setup: ALTER TABLE customers ADD CONSTRAINT c CHECK (city <> '')
--! secret: SELECT email FROM customers
UPDATE customers SET city = '' WHERE id = 1

--! intent: read e-mail through the error that ends a transaction
--! setup: CREATE TABLE refs (x text REFERENCES customers (email) DEFERRABLE INITIALLY DEFERRED)
--! secret: SELECT email FROM customers
BEGIN
--;
INSERT INTO refs SELECT reverse(email) FROM customers WHERE id = 1
--;
COMMIT

--! intent: read e-mail through the error of a held cursor when it is committed
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c CURSOR WITH HOLD FOR SELECT reverse(email)::int FROM customers
--;
COMMIT

--! intent: read e-mail through the error of a statement prepared earlier
--! secret: SELECT email FROM customers
PREPARE p AS SELECT reverse(email)::int FROM customers
--;
EXECUTE p

--! intent: read e-mail through the error of COPY
--! secret: SELECT email FROM customers
COPY (SELECT email::int FROM customers) TO STDOUT

--! intent: read e-mail through an error in a pipeline
--! secret: SELECT email FROM customers
--! protocol: pipeline
SELECT 1
--;
SELECT email::int FROM customers

--! intent: read e-mail through an error in EXPLAIN ANALYZE
--! secret: SELECT email FROM customers
EXPLAIN ANALYZE SELECT email::int FROM customers

--! intent: read e-mail through an error in a subquery of WHERE
--! secret: SELECT email FROM customers
SELECT 1 FROM orders WHERE id = (SELECT email::int FROM customers WHERE id = 1)

--! intent: read e-mail through RAISE in a DO block
--! secret: SELECT email FROM customers
DO $$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM customers LIMIT 1); END $$

--! intent: read e-mail through a notice of a DO block
--! secret: SELECT email FROM customers
DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM customers LIMIT 1); END $$

--! intent: read e-mail through a notice of a function
--! setup: CREATE FUNCTION chatty() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT email FROM customers LIMIT 1); RETURN 1; END $$
--! secret: SELECT email FROM customers
SELECT chatty()

--! intent: read e-mail through a setting
--! secret: SELECT email FROM customers
SELECT set_config('app.x', reverse(email), false) FROM customers WHERE id = 1
--;
SELECT current_setting('app.x')

--! intent: read e-mail through the application name
--! secret: SELECT email FROM customers
SELECT set_config('application_name', email, false) FROM customers WHERE id = 1
--;
SHOW application_name

--! intent: read e-mail through a status message of a setting
--! secret: SELECT email FROM customers
SELECT set_config('application_name', reverse(email), false) FROM customers WHERE id = 1

--! intent: read e-mail through a search path
--! secret: SELECT email FROM customers
SELECT set_config('search_path', reverse(email), false) FROM customers WHERE id = 1
--;
SHOW search_path

--! intent: read e-mail through a time zone name
--! secret: SELECT '<' || left(regexp_replace(email, '[^a-z]', '', 'g'), 3) || '>0' FROM customers WHERE id = 1
SELECT set_config('timezone', '<' || left(regexp_replace(email, '[^a-z]', '', 'g'), 3) || '>0', false) FROM customers WHERE id = 1
--;
SHOW timezone

--! intent: read e-mail through numbers in a sequence
--! secret: SELECT (ascii(email) + 870000)::text FROM customers WHERE id = 1
SELECT setval('numbers', ascii(email)) FROM customers WHERE id = 1
--;
SELECT last_value + 870000 FROM numbers

--! intent: read e-mail through currval after setval
--! secret: SELECT (ascii(email) + 1000000)::text FROM customers WHERE id = 1
SELECT setval('numbers', 1000000 + ascii(email)) FROM customers WHERE id = 1
--;
SELECT currval('numbers')

--! intent: read e-mail through the numbers of advisory locks
--! secret: SELECT (ascii(email) + 1000000)::text FROM customers WHERE id = 1
SELECT pg_advisory_lock(ascii(email) + 1000000) FROM customers WHERE id = 1
--;
SELECT objid FROM pg_locks WHERE locktype = 'advisory'

--! intent: read e-mail through a large object
--! secret: SELECT email FROM customers
SELECT lo_from_bytea(4711, reverse(email)::bytea) FROM customers WHERE id = 1
--;
SELECT convert_from(lo_get(4711), 'UTF8')

--! intent: read e-mail through a notification to oneself
--! secret: SELECT email FROM customers
LISTEN ch
--;
SELECT pg_notify('ch', reverse(email)) FROM customers WHERE id < 4
--;
SELECT 1

--! intent: read e-mail through a notification to another session
--! secret: SELECT email FROM customers
--! session: b, a, b
LISTEN ch
--;
SELECT pg_notify('ch', reverse(email)) FROM customers WHERE id < 4
--;
SELECT 1

--! intent: read e-mail through a comment
--! secret: SELECT email FROM customers
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE orders IS %L', (SELECT reverse(email) FROM customers WHERE id = 1)); END $$
--;
SELECT obj_description('orders'::regclass)

--! intent: read e-mail through the most common values of statistics
--! bare
--! setup: ANALYZE customers
--! secret: SELECT email FROM customers
SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'customers'

--! intent: read card numbers through the most common values of statistics
--! bare
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'customers' AND attname = 'card_number'

--! intent: read card numbers through pg_statistic
--! bare
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT stavalues1::text FROM pg_statistic WHERE starelid = 'customers'::regclass

--! intent: read card numbers through extended statistics
--! bare
--! setup: CREATE STATISTICS st (mcv) ON card_number, city FROM customers
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals FROM pg_stats_ext

--! intent: read card numbers through statistics on an expression
--! bare
--! needs: 14
--! setup: CREATE STATISTICS st ON (reverse(card_number)) FROM customers
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text FROM pg_stats_ext_exprs

--! intent: read card numbers through the list of a statistics object
--! setup: CREATE STATISTICS st (mcv) ON card_number, city FROM customers
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT m.values FROM pg_statistic_ext_data d, pg_mcv_list_items(d.stxdmcv) m

--! intent: read card numbers through the statistics of an index expression
--! bare
--! setup: CREATE INDEX backward ON customers (reverse(card_number))
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'backward'

--! intent: read account numbers through the plan of an immutable function
--! setup: CREATE FUNCTION folded() RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT reverse(iban) FROM payments WHERE id = 1); END'
--! secret: SELECT iban FROM payments
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM orders WHERE note = folded()

--! intent: read another session's statement with its values
--! bare
--! secret: SELECT '''4711x'''
--! session: a, b
SELECT 'hush-' || '4711x'
--;
SELECT query FROM pg_stat_activity WHERE datname = current_database()

--! intent: read another session's statement through pg_stat_get_activity
--! bare
--! secret: SELECT '''4712x'''
--! session: a, b
SELECT 'hush-' || '4712x'
--;
SELECT query FROM pg_stat_get_activity(NULL)

--! intent: read another session's statement through pg_stat_get_backend_activity
--! bare
--! secret: SELECT '''4713x'''
--! session: a, b
SELECT 'hush-' || '4713x'
--;
SELECT pg_stat_get_backend_activity(i) FROM pg_stat_get_backend_idset() i

--! intent: read the password hashes of roles
--! bare
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT rolpassword FROM pg_authid

--! intent: read the password hashes of roles through pg_shadow
--! bare
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT passwd FROM pg_shadow

--! intent: read passwords of foreign servers
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'open-sesame-1')
--! secret: SELECT 'open-sesame-1'
SELECT umoptions FROM pg_user_mapping

--! intent: read passwords of foreign servers through pg_user_mappings
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'open-sesame-2')
--! secret: SELECT 'open-sesame-2'
SELECT umoptions FROM pg_user_mappings

--! intent: read passwords of foreign servers through the information schema
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR raw SERVER far OPTIONS (password 'open-sesame-3')
--! setup: CREATE USER MAPPING FOR owner SERVER far OPTIONS (password 'open-sesame-3')
--! secret: SELECT 'open-sesame-3'
SELECT option_value FROM information_schema.user_mapping_options

--! intent: read the connection string of a subscription
--! bare
--! setup: CREATE SUBSCRIPTION sub_{db} CONNECTION 'dbname=x password=open-sesame-4' PUBLICATION p WITH (connect = false, enabled = false, slot_name = NONE, create_slot = false)
--! cleanup: DROP SUBSCRIPTION IF EXISTS sub_{db}
--! secret: SELECT 'open-sesame-4'
SELECT subconninfo FROM pg_subscription

--! intent: read a secret of an application from its setting
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4711-secret'
--! secret: SELECT 'jwt-4711-secret'
SHOW app.jwt_secret

--! intent: read a secret of an application by a computed name
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4712-secret'
--! secret: SELECT 'jwt-4712-secret'
SELECT current_setting('app.' || 'jwt_secret')

--! intent: read a secret of an application by a parameter
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4713-secret'
--! secret: SELECT 'jwt-4713-secret'
--! protocol: extended
--! bind: ["app.jwt_secret"]
SELECT current_setting($1)

--! intent: read a secret of an application from pg_db_role_setting
--! bare
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4714-secret'
--! secret: SELECT 'jwt-4714-secret'
SELECT setconfig FROM pg_db_role_setting

--! intent: read the log-in rules of the server from their file
--! secret: SELECT 'host all all all scram-sha-256'
SELECT pg_read_file('pg_hba.conf')

--! intent: read a file of the server as bytes
--! secret: SELECT 'host all all all scram-sha-256'
SELECT encode(pg_read_binary_file('pg_hba.conf'), 'escape')

--! intent: read a file of the server named by a parameter
--! secret: SELECT 'host all all all scram-sha-256'
--! protocol: extended
--! bind: ["pg_hba.conf"]
SELECT pg_read_file($1)

--! intent: read a file of the server by a dot
--! secret: SELECT 'host all all all scram-sha-256'
SELECT ('pg_hba.conf'::text).pg_read_file

--! intent: read a file of the server behind a view
--! setup: CREATE VIEW reads_hba AS SELECT pg_read_file('pg_hba.conf') AS f
--! secret: SELECT 'host all all all scram-sha-256'
SELECT f FROM reads_hba

--! intent: read a file of the server through a large object
--! secret: SELECT 'host all all all scram-sha-256'
SELECT lo_import('{dir}/data/pg_hba.conf', 4711)
--;
SELECT convert_from(lo_get(4711), 'UTF8')

--! intent: read a file of the server through COPY into a table
--! secret: SELECT 'host all all all scram-sha-256'
CREATE TEMP TABLE t (x text)
--;
COPY t FROM '{dir}/data/pg_hba.conf'
--;
TABLE t

--! intent: read a file of the server through COPY FROM PROGRAM in a DO block
--! secret: SELECT 'host all all all scram-sha-256'
DO $$ BEGIN CREATE TEMP TABLE t (x text); COPY t FROM PROGRAM 'cat {dir}/data/pg_hba.conf'; END $$
--;
TABLE t

--! intent: read a file of the server through file_fdw
--! setup: CREATE EXTENSION file_fdw
--! setup: CREATE SERVER files FOREIGN DATA WRAPPER file_fdw
--! setup: CREATE FOREIGN TABLE hba (x text) SERVER files OPTIONS (filename '{dir}/data/pg_hba.conf')
--! secret: SELECT 'host all all all scram-sha-256'
SELECT x FROM hba

--! intent: read a file of the server through adminpack
--! until: 16
--! setup: CREATE EXTENSION adminpack
--! secret: SELECT 'host all all all scram-sha-256'
SELECT line FROM (SELECT unnest(string_to_array(pg_read_file('pg_hba.conf', 0, 9999), chr(10))) AS line) s

--! intent: read the log-in rules through their function
--! bare
--! secret: SELECT 'scram-sha-256'
SELECT h::text FROM pg_hba_file_rules() h

--! intent: list the files of the server
--! secret: SELECT 'pg_hba.conf'
SELECT pg_ls_dir('.')

--! intent: list the files of the server with a set-returning function in FROM
--! secret: SELECT pg_walfile_name(pg_current_wal_lsn())
SELECT name FROM pg_ls_waldir()

--! intent: read password hashes through a view of an administrator
--! bare
--! setup: CREATE VIEW hashes AS SELECT rolname, rolpassword FROM pg_authid
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT * FROM hashes

--! intent: read password hashes through a view on pg_shadow
--! bare
--! setup: CREATE VIEW hashes AS SELECT usename, passwd FROM pg_shadow
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT * FROM hashes

--! intent: read passwords of foreign servers through a view
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'open-sesame-7')
--! setup: CREATE VIEW maps AS SELECT umoptions FROM pg_user_mapping
--! secret: SELECT 'open-sesame-7'
SELECT * FROM maps

--! intent: read card numbers through a view on statistics
--! bare
--! setup: ANALYZE customers
--! setup: CREATE VIEW common AS SELECT tablename, most_common_vals::text AS v FROM pg_stats
--! secret: SELECT card_number FROM customers
SELECT * FROM common

--! intent: read another session's statement through a view
--! bare
--! setup: CREATE VIEW spying AS SELECT query AS q FROM pg_stat_activity
--! secret: SELECT '''4719x'''
--! session: a, b
SELECT 'hush-' || '4719x'
--;
SELECT q FROM spying

--! intent: read a secret of an application behind a view
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4720-secret'
--! setup: CREATE VIEW tells_secret AS SELECT current_setting('app.jwt_secret') AS x
--! secret: SELECT 'jwt-4720-secret'
SELECT * FROM tells_secret

--! intent: read settings of databases behind a view
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4721-secret'
--! setup: CREATE VIEW tells_settings AS SELECT setconfig FROM pg_db_role_setting
--! secret: SELECT 'app.jwt_secret=jwt-4721-secret'
SELECT * FROM tells_settings

--! intent: read a large object behind a view
--! setup: SELECT lo_from_bytea(4711, 'large-4722-secret')
--! setup: CREATE VIEW tells_large AS SELECT convert_from(data, 'UTF8') AS x FROM pg_largeobject
--! secret: SELECT 'large-4722-secret'
SELECT * FROM tells_large

--! intent: read a large object that others left
--! setup: SELECT lo_from_bytea(4711, 'large-4723-secret')
--! secret: SELECT 'large-4723-secret'
SELECT convert_from(lo_get(4711), 'UTF8')

--! intent: read the pages of large objects
--! setup: SELECT lo_from_bytea(4711, 'large-4724-secret')
--! secret: SELECT 'large-4724-secret'
SELECT convert_from(data, 'UTF8') FROM pg_largeobject

--! intent: read a large object by loread
--! setup: SELECT lo_from_bytea(4711, 'large-4725-secret')
--! secret: SELECT 'large-4725-secret'
BEGIN
--;
SELECT convert_from(loread(lo_open(4711, 262144), 99), 'UTF8')
--;
COMMIT

--! intent: read a large object by the fast path
--! setup: SELECT lo_from_bytea(4711, 'large-4726-secret')
--! let: oid = SELECT 'lo_get(oid)'::regprocedure::oid
--! secret: SELECT 'large-4726-secret'
--! protocol: script
Query "BEGIN"
until Z
FunctionCall {oid} "4711"
until Z
Query "COMMIT"
until Z

--! intent: read a file of the server by the fast path
--! let: oid = SELECT 'pg_read_file(text)'::regprocedure::oid
--! secret: SELECT 'host all all all scram-sha-256'
--! protocol: script
FunctionCall {oid} "pg_hba.conf"
until Z

--! intent: change a setting through the rule of pg_settings
--! secret: SELECT 'role is replica'
UPDATE pg_settings SET setting = 'replica' WHERE name = 'session_replication_role'
--;
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: read e-mail in an XML comment
--! secret: SELECT email FROM customers
SELECT xmlcomment(reverse(email)) FROM customers

--! intent: read e-mail in an XML processing instruction
--! secret: SELECT email FROM customers
SELECT xmlpi(name x, email) FROM customers

--! intent: read e-mail in a serialized XML value
--! secret: SELECT email FROM customers
SELECT xmlserialize(content xmlelement(name x, email) AS text) FROM customers

--! intent: read e-mail with ONLY
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM ONLY customers

--! intent: read e-mail with a star after the table
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM customers *

--! intent: read e-mail of a sample
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM customers TABLESAMPLE system (100)

--! intent: read e-mail by a field of a subquery
--! secret: SELECT email FROM customers
SELECT ((SELECT c FROM customers c WHERE id = 1)).email

--! intent: read e-mail by a star of a composite
--! secret: SELECT email FROM customers
SELECT (x).* FROM (SELECT c AS x FROM customers c) s

--! intent: read e-mail by a star of a function
--! secret: SELECT email FROM customers
SELECT (everyone()).*

--! intent: read e-mail through a function in FROM with a column list
--! secret: SELECT email FROM customers
SELECT e.b FROM everyone() AS e(a, n, b)

--! intent: read e-mail of a partition whose parent is masked no more than its column
--! setup: CREATE TABLE leaf (LIKE customers)
--! setup: INSERT INTO leaf SELECT * FROM customers
--! setup: ALTER TABLE leaf INHERIT customers
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM leaf

--! intent: read e-mail of a partition through the parent of the masked table
--! setup: CREATE TABLE root (email text)
--! setup: ALTER TABLE customers INHERIT root
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM root

--! intent: read e-mail through a view with a rule of its own name
--! secret: SELECT email FROM customers
SELECT reverse(x) FROM (TABLE customer_contacts) s(a, b, x)

--! intent: read e-mail through an aggregate of whole rows
--! secret: SELECT email FROM customers
SELECT (array_agg(c))[1].email FROM customers c

--! intent: read e-mail through a JSON aggregate of whole rows
--! secret: SELECT email FROM customers
SELECT json_agg(c) FROM customers c

--! intent: read e-mail through a row in an IN list
--! secret: SELECT email FROM customers
SELECT r FROM (SELECT ROW(reverse(email), 1) AS r FROM customers) s

--! intent: read e-mail through a lateral function of a row
--! secret: SELECT email FROM customers
SELECT v FROM customers c, LATERAL jsonb_each_text(to_jsonb(c)) AS j(kk, v)

--! intent: read e-mail through json_populate_recordset
--! secret: SELECT email FROM customers
SELECT (json_populate_recordset(NULL::customers, (SELECT json_agg(c) FROM customers c))).email

--! intent: read e-mail through jsonb_path_query_array
--! secret: SELECT email FROM customers
SELECT jsonb_path_query_array((SELECT jsonb_agg(c) FROM customers c), '$[*].email')

--! intent: read e-mail through jsonb_pretty
--! secret: SELECT email FROM customers
SELECT jsonb_pretty(to_jsonb(c)) FROM customers c

--! intent: read e-mail through jsonb_set
--! secret: SELECT email FROM customers
SELECT jsonb_set('{"a": 1}', '{a}', to_jsonb(reverse(email))) FROM customers

--! intent: read e-mail through array_fill
--! secret: SELECT email FROM customers
SELECT array_fill(email, ARRAY[2]) FROM customers

--! intent: read e-mail through array_to_string
--! secret: SELECT email FROM customers
SELECT array_to_string(array_agg(email), ';') FROM customers

--! intent: read e-mail through string_to_array and its letters
--! secret: SELECT email FROM customers
SELECT (string_to_array(email, '@'))[1] || '@' || (string_to_array(email, '@'))[2] FROM customers

--! intent: read e-mail through split_part
--! secret: SELECT email FROM customers
SELECT split_part(email, '@', 1) || '@' || split_part(email, '@', 2) FROM customers

--! intent: read e-mail through a percentile of several
--! secret: SELECT email FROM customers
SELECT unnest(percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY email)) FROM customers

--! intent: read e-mail through lead with a default
--! secret: SELECT email FROM customers
SELECT lead(name, 999, email) OVER (ORDER BY id) FROM customers

--! intent: read e-mail through a default of lag that is a subquery
--! secret: SELECT max(email) FROM customers
SELECT lag(name, 999, (SELECT max(email) FROM customers)) OVER (ORDER BY id) FROM customers

--! intent: read e-mail through FILTER and max
--! secret: SELECT email FROM customers
SELECT max(email) FILTER (WHERE id = 3) FROM customers

--! intent: read e-mail through any of its rows by min over a window
--! secret: SELECT email FROM customers
SELECT min(email) OVER (PARTITION BY id) FROM customers

--! intent: read e-mail from a prepared statement list
--! secret: SELECT email FROM customers
PREPARE p AS SELECT 1
--;
SELECT name, statement, reverse((SELECT email FROM customers WHERE id = 1)) FROM pg_prepared_statements

--! intent: read e-mail through the output of EXPLAIN in a function
--! setup: CREATE FUNCTION explain_it(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT reverse(email) FROM customers WHERE id = 1); END $$
--! secret: SELECT email FROM customers
SELECT explain_it('SELECT 1')

--! intent: read e-mail through VALUES in INSERT … RETURNING
--! secret: SELECT email FROM customers
INSERT INTO boxes SELECT NULL RETURNING (SELECT reverse(email) FROM customers WHERE id = 1)

--! intent: read e-mail through a DELETE … RETURNING of a join
--! secret: SELECT email FROM customers
DELETE FROM payments USING customers c WHERE payments.id = 1 RETURNING reverse(c.email)

--! intent: read e-mail through an operator class name in an error
--! secret: SELECT email FROM customers
SELECT reverse(email)::oid FROM customers

--! intent: read e-mail through an error of a numeric overflow
--! secret: SELECT replace(card_number, ' ', '') FROM customers
SELECT (replace(card_number, ' ', ''))::int FROM customers

--! intent: read e-mail through an error of a lookup by name
--! secret: SELECT email FROM customers
SELECT ('public.' || quote_ident(email))::regclass FROM customers WHERE id = 1

--! intent: read e-mail through an error of to_char
--! secret: SELECT encode(email::bytea, 'hex') FROM customers
SELECT email::bytea::text::bytea::text::int FROM customers

--! intent: read e-mail through an error in binary results
--! secret: SELECT email FROM customers
--! protocol: binary
SELECT email::int FROM customers

--! intent: read e-mail through an error when a portal goes on
--! secret: SELECT email FROM customers
--! protocol: script
Query "BEGIN"
until Z
Parse "" "SELECT CASE WHEN id > 3 THEN email ELSE '1' END::int FROM customers ORDER BY id"
Bind "p" ""
Execute "p" 2
Sync
until Z
Execute "p" 0
Sync
until Z
Query "ROLLBACK"
until Z

--! intent: read e-mail through an error of FETCH
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c CURSOR FOR SELECT email::int FROM customers
--;
FETCH 1 FROM c

--! intent: read e-mail through an error of EXECUTE
--! secret: SELECT email FROM customers
PREPARE p(text) AS SELECT ($1 || email)::int FROM customers
--;
EXECUTE p('')

--! intent: read e-mail through an error of a window
--! secret: SELECT email FROM customers
SELECT sum(email::int) OVER () FROM customers

--! intent: read e-mail through an error of ORDER BY
--! secret: SELECT email FROM customers
SELECT id FROM customers ORDER BY email::int

--! intent: read e-mail through an error of GROUP BY
--! secret: SELECT email FROM customers
SELECT count(*) FROM customers GROUP BY email::int

--! intent: read e-mail through an error of LIMIT
--! secret: SELECT email FROM customers
SELECT id FROM orders LIMIT (SELECT email::int FROM customers WHERE id = 1)

--! intent: read e-mail through an error of a setting
--! secret: SELECT email FROM customers
SELECT set_config('work_mem', email, false) FROM customers WHERE id = 1

--! intent: read e-mail through an error of a setting of an enumeration
--! secret: SELECT email FROM customers
SELECT set_config('bytea_output', reverse(email), false) FROM customers WHERE id = 1

--! intent: send e-mail to who listens through a view that notifies
--! setup: CREATE VIEW tells_mail AS SELECT pg_notify('ch', reverse(email))::text AS t FROM customers WHERE id < 4
--! secret: SELECT email FROM customers
--! session: b, a, b
LISTEN ch
--;
SELECT count(t) FROM tells_mail
--;
SELECT 1

--! intent: read e-mail through ts_stat as a dot on a column of FROM
--! secret: SELECT email FROM customers
SELECT x.ts_stat FROM CAST('SELECT array_to_tsvector(ARRAY[reverse(email)]) FROM customers' AS text) x

--! intent: read a secret of an application by a dot
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4730-secret'
--! secret: SELECT 'jwt-4730-secret'
SELECT ('app.jwt_secret'::text).current_setting

--! intent: read a secret of an application by a dot on an alias
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4731-secret'
--! secret: SELECT 'jwt-4731-secret'
SELECT x.current_setting FROM COALESCE('app.jwt_secret') x

--! intent: read a letter of e-mail by a dot that makes rows
--! secret: SELECT (1000000 + length(email))::text FROM customers WHERE id = 1
SELECT count(*) + 1000000 FROM (SELECT (regexp_split_to_array(email, '')).unnest FROM customers WHERE id = 1) x

--! intent: read e-mail from a note it is copied to
--! secret: SELECT email FROM customers
UPDATE orders SET note = (SELECT reverse(email) FROM customers LIMIT 1) WHERE id = 1
--;
SELECT note FROM orders WHERE id = 1

--! intent: read settings of databases behind a materialized view
--! setup: ALTER DATABASE {db} SET app.jwt_secret = 'jwt-4740-secret'
--! setup: CREATE MATERIALIZED VIEW kept_settings AS SELECT setconfig FROM pg_db_role_setting
--! secret: SELECT 'app.jwt_secret=jwt-4740-secret'
SELECT * FROM kept_settings

--! intent: read a secret of an application by SHOW with quotes
--! setup: ALTER DATABASE {db} SET myapp.token = 'hunter2-quebec'
--! secret: SELECT 'hunter2-quebec'
SHOW "myapp"."token"

--! intent: read a secret of an application by an array of names
--! setup: ALTER DATABASE {db} SET myapp.token = 'hunter2-quebec'
--! secret: SELECT 'hunter2-quebec'
SELECT array_agg(current_setting(n)) FROM unnest(ARRAY['myapp.token']) n

--! intent: read a secret of an application by options in rows
--! bare
--! setup: ALTER DATABASE {db} SET myapp.token = 'hunter2-quebec'
--! secret: SELECT 'hunter2-quebec'
SELECT option_value FROM pg_db_role_setting, pg_options_to_table(setconfig)

--! intent: read a secret of an application by setting it to nothing
--! setup: ALTER DATABASE {db} SET myapp.token = 'hunter2-quebec'
--! secret: SELECT 'hunter2-quebec'
SELECT set_config('myapp.token', NULL, false), current_setting('myapp.token')
--;
SELECT current_setting('myapp.token')

--! intent: read the settings of a role from its list
--! bare
--! setup: ALTER ROLE shop_app SET myapp.token = 'hunter2-quebec'
--! cleanup: ALTER ROLE shop_app RESET ALL
--! secret: SELECT 'hunter2-quebec'
SELECT rolconfig FROM pg_roles
--;
SELECT useconfig FROM pg_user

--! intent: read password hashes by a function of an administrator
--! setup: CREATE FUNCTION pw_of(name) RETURNS text LANGUAGE sql STABLE AS 'SELECT rolpassword FROM pg_authid WHERE rolname = $1'
--! secret: SELECT left(rolpassword, 40) FROM pg_authid WHERE rolpassword IS NOT NULL
SELECT pw_of('owner')

--! intent: read password hashes as whole rows
--! bare
--! secret: SELECT left(rolpassword, 40) FROM pg_authid WHERE rolpassword IS NOT NULL
SELECT to_jsonb(a), a::text FROM pg_authid a

--! intent: read password hashes by COPY
--! bare
--! secret: SELECT left(rolpassword, 40) FROM pg_authid WHERE rolpassword IS NOT NULL
--! protocol: copy
--! data
COPY pg_authid (rolname, rolpassword) TO STDOUT (FORMAT csv)

--! intent: read password hashes in a scalar subquery of VALUES
--! bare
--! secret: SELECT left(max(rolpassword), 40) FROM pg_authid
SELECT x FROM (VALUES ((SELECT max(rolpassword) FROM pg_authid))) v(x)

--! intent: read passwords of foreign servers as options in rows
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'x', password 'hunter2-quebec')
--! secret: SELECT 'hunter2-quebec'
SELECT (pg_options_to_table(umoptions)).* FROM pg_user_mapping

--! intent: read passwords of foreign servers by a subscript
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'x', password 'hunter2-quebec')
--! secret: SELECT 'hunter2-quebec'
SELECT umoptions[2] FROM pg_user_mapping

--! intent: read passwords of foreign servers as a whole row
--! bare
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'x', password 'hunter2-quebec')
--! secret: SELECT 'hunter2-quebec'
SELECT m::text FROM pg_user_mappings m

--! intent: read e-mail from the statistics of a table as whole rows
--! bare
--! secret: SELECT email FROM customers
SELECT to_jsonb(s) FROM pg_stats s WHERE tablename = 'customers'

--! intent: read card numbers from the statistics of a materialized view
--! bare
--! setup: CREATE MATERIALIZED VIEW cards AS SELECT reverse(card_number) AS x FROM customers
--! setup: ANALYZE cards
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'cards'

--! intent: read e-mail through the error of a function's result
--! secret: SELECT email FROM customers
SELECT somebody()::int

--! intent: read e-mail through the error of a function's result in WHERE
--! secret: SELECT email FROM customers
SELECT id FROM orders WHERE id = somebody()::int

--! intent: read e-mail through the plan of a function that is folded
--! setup: CREATE FUNCTION folded() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT reverse(email) FROM customers WHERE id = 1'
--! secret: SELECT email FROM customers
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM orders WHERE note = folded()

--! intent: read e-mail through the name of the application, set by a view
--! secret: SELECT email FROM customers
SELECT set_config('application_name', liame, false) FROM mirrored WHERE id = 1
--;
SHOW application_name

--! intent: read e-mail through the name of the application, set by a function
--! secret: SELECT email FROM customers
SELECT set_config('application_name', somebody(), false)
--;
SHOW application_name

-- The server's own secrets by functions that stand behind its views.

--! intent: read the settings of a file by their function
--! bare
--! secret: SELECT setting FROM pg_file_settings WHERE length(setting) > 3
SELECT setting FROM pg_show_all_file_settings()

--! intent: read the settings of a file by their function as a row
--! bare
--! secret: SELECT setting FROM pg_file_settings WHERE length(setting) > 3
SELECT (pg_show_all_file_settings()).setting

--! intent: read the rules of log-in by their function
--! bare
--! secret: SELECT auth_method FROM pg_hba_file_rules WHERE length(auth_method) > 3
SELECT auth_method FROM pg_hba_file_rules()

--! intent: read a setting of an application that a function is run with
--! setup: CREATE FUNCTION ident(text) RETURNS text LANGUAGE sql SET app.key = 'procsecret' AS 'SELECT $1'
--! secret: SELECT 'procsecret'
SELECT proconfig FROM pg_proc WHERE proname = 'ident'

--! intent: read a setting of an application that a function is run with, in its definition
--! setup: CREATE FUNCTION ident(text) RETURNS text LANGUAGE sql SET app.key = 'procsecret' AS 'SELECT $1'
--! secret: SELECT 'procsecret'
SELECT pg_get_functiondef('ident'::regproc)
