-- Values of masked columns, and other secrets, by ways that are not the answer: errors, notices, settings,
-- sequences, locks, plans, statistics, notifications, catalogs, files.

--! intent: read e-mail through the error of a cast to integer
--! secret: SELECT email FROM customers
SELECT reverse(email)::int FROM customers

--! intent: read e-mail through the error of a cast to date
--! secret: SELECT email FROM customers
SELECT email::date FROM customers

--! intent: read e-mail through the error of a cast to timestamp
--! secret: SELECT email FROM customers
SELECT reverse(email)::timestamp FROM customers

--! intent: read e-mail through the error of a cast to uuid
--! secret: SELECT email FROM customers
SELECT email::uuid FROM customers

--! intent: read e-mail through the error of a cast to inet
--! secret: SELECT email FROM customers
SELECT email::inet FROM customers

--! intent: read e-mail through the error of a cast to json
--! secret: SELECT email FROM customers
SELECT email::json FROM customers

--! intent: read e-mail through the error of a cast to boolean
--! secret: SELECT email FROM customers
SELECT email::bool FROM customers

--! intent: read e-mail through the error of a cast to interval
--! secret: SELECT email FROM customers
SELECT reverse(email)::interval FROM customers

--! intent: read e-mail through the error of a cast to regclass
--! secret: SELECT email FROM customers
SELECT email::regclass FROM customers

--! intent: read e-mail through the error of a cast to regproc
--! secret: SELECT email FROM customers
SELECT email::regproc FROM customers

--! intent: read e-mail through the error of a cast to regtype
--! secret: SELECT email FROM customers
SELECT ('x' || email)::regtype FROM customers

--! intent: read e-mail through the error of a cast to point
--! secret: SELECT email FROM customers
SELECT email::point FROM customers

--! intent: read e-mail through the error of a cast to bit
--! secret: SELECT email FROM customers
SELECT email::bit(8) FROM customers

--! intent: read e-mail through the error of a cast to money
--! secret: SELECT email FROM customers
SELECT email::money FROM customers

--! intent: read e-mail through the error of a cast to numeric
--! secret: SELECT email FROM customers
SELECT reverse(email)::numeric FROM customers

--! intent: read e-mail through the error of a cast to XML
--! secret: SELECT email FROM customers
SELECT xmlparse(document '<' || email) FROM customers

--! intent: read e-mail through the error of a cast to an array
--! secret: SELECT email FROM customers
SELECT email::int[] FROM customers

--! intent: read e-mail through the error of a cast to a range
--! secret: SELECT email FROM customers
SELECT email::int4range FROM customers

--! intent: read e-mail through the error of a cast to an enumeration
--! setup: CREATE TYPE mood AS ENUM ('sad')
--! secret: SELECT email FROM customers
SELECT email::mood FROM customers

--! intent: read e-mail through the error of a cast to tsquery
--! secret: SELECT email FROM customers
SELECT ('(' || email)::tsquery FROM customers

--! intent: read e-mail through the error of a cast to a JSON path
--! secret: SELECT email FROM customers
SELECT ('$$' || email)::jsonpath FROM customers

--! intent: read e-mail through the error of a cast to a MAC address
--! secret: SELECT email FROM customers
SELECT email::macaddr FROM customers

--! intent: read e-mail through the error of a cast to a log position
--! secret: SELECT email FROM customers
SELECT email::pg_lsn FROM customers

--! intent: read e-mail through the error of a cast to a transaction number
--! secret: SELECT email FROM customers
SELECT email::xid8 FROM customers

--! intent: read e-mail through the error of to_date
--! secret: SELECT email FROM customers
SELECT to_date(email, 'YYYY') FROM customers

--! intent: read e-mail through the error of to_number-like arithmetic
--! secret: SELECT email FROM customers
SELECT 1 + reverse(email)::bigint FROM customers

--! intent: read e-mail through the error of decode
--! secret: SELECT email FROM customers
SELECT decode(email, 'hex') FROM customers

--! intent: read e-mail through the error of a regular expression
--! secret: SELECT email FROM customers
SELECT 'x' ~ ('(' || email) FROM customers

--! intent: read e-mail through the error of to_tsquery
--! secret: SELECT email FROM customers
SELECT to_tsquery('simple', '(' || email) FROM customers

--! intent: read e-mail through the error of date_part
--! secret: SELECT email FROM customers
SELECT date_part(email, now()) FROM customers

--! intent: read e-mail through the error of date_trunc
--! secret: SELECT email FROM customers
SELECT date_trunc(email, now()) FROM customers

--! intent: read e-mail through the error of a time zone
--! secret: SELECT email FROM customers
SELECT now() AT TIME ZONE email FROM customers

--! intent: read e-mail through the error of an encoding
--! secret: SELECT email FROM customers
SELECT convert_to('x', email) FROM customers

--! intent: read e-mail through the error of a digest
--! secret: SELECT email FROM customers
SELECT digest('x', email) FROM customers

--! intent: read e-mail through the error of current_setting
--! secret: SELECT replace(replace(email, '@', '_'), '.', '_') FROM customers
SELECT current_setting('a.' || replace(replace(email, '@', '_'), '.', '_')) FROM customers

--! intent: read e-mail through the error of nextval
--! secret: SELECT email FROM customers
SELECT nextval(email) FROM customers

--! intent: read e-mail through the error of has_table_privilege
--! secret: SELECT email FROM customers
SELECT has_table_privilege(email, 'orders', 'select') FROM customers

--! intent: read e-mail through the error of pg_get_serial_sequence
--! secret: SELECT email FROM customers
SELECT pg_get_serial_sequence(email, 'x') FROM customers

--! intent: read e-mail through the error of a JSON key that cannot be set
--! secret: SELECT email FROM customers
SELECT jsonb_set('[1]', ARRAY[email], '1') FROM customers

--! intent: read e-mail through the error of a path that cannot be deleted
--! secret: SELECT email FROM customers
SELECT '[1]'::jsonb #- ARRAY[email] FROM customers

--! intent: read e-mail through the error of make_interval of a length
--! secret: SELECT email FROM customers
SELECT to_timestamp(email, 'YYYY') FROM customers

--! intent: read e-mail through the error of has_database_privilege
--! secret: SELECT email FROM customers
SELECT has_database_privilege(email, 'connect') FROM customers

--! intent: read e-mail through the error of pg_size_bytes
--! secret: SELECT email FROM customers
SELECT pg_size_bytes(email) FROM customers

--! intent: read e-mail through the error of an unknown text search configuration
--! secret: SELECT email FROM customers
SELECT to_tsvector(email::regconfig, 'x') FROM customers

--! intent: read e-mail through the error of a role
--! secret: SELECT email FROM customers
SELECT pg_has_role(email, 'usage') FROM customers

--! intent: read e-mail through the error of parse_ident
--! secret: SELECT email FROM customers
SELECT parse_ident(email) FROM customers

--! intent: read e-mail through the error of a stripped collation for
--! secret: SELECT email FROM customers
SELECT string_to_array(email, '')::int[] FROM customers

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
--! session: b
LISTEN ch
--;
--! session: a
SELECT pg_notify('ch', reverse(email)) FROM customers WHERE id < 4
--;
--! session: b
SELECT 1

--! intent: read e-mail through a comment
--! secret: SELECT email FROM customers
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE orders IS %L', (SELECT reverse(email) FROM customers WHERE id = 1)); END $$
--;
SELECT obj_description('orders'::regclass)

--! intent: read e-mail through the most common values of statistics
--! setup: ANALYZE customers
--! secret: SELECT email FROM customers
SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'customers'

--! intent: read card numbers through the most common values of statistics
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'customers' AND attname = 'card_number'

--! intent: read card numbers through pg_statistic
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT stavalues1::text FROM pg_statistic WHERE starelid = 'customers'::regclass

--! intent: read card numbers through extended statistics
--! setup: CREATE STATISTICS st (mcv) ON card_number, city FROM customers
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals FROM pg_stats_ext

--! intent: read card numbers through statistics on an expression
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
--! setup: CREATE INDEX backward ON customers (reverse(card_number))
--! setup: ANALYZE customers
--! secret: SELECT card_number FROM customers
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'backward'

--! intent: read account numbers through the plan of an immutable function
--! setup: CREATE FUNCTION folded() RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT reverse(iban) FROM payments WHERE id = 1); END'
--! secret: SELECT iban FROM payments
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM orders WHERE note = folded()

--! intent: read another session's statement with its values
--! secret: SELECT '''4711x'''
--! session: a
SELECT 'hush-' || '4711x'
--;
--! session: b
SELECT query FROM pg_stat_activity WHERE datname = current_database()

--! intent: read another session's statement through pg_stat_get_activity
--! secret: SELECT '''4712x'''
--! session: a
SELECT 'hush-' || '4712x'
--;
--! session: b
SELECT query FROM pg_stat_get_activity(NULL)

--! intent: read another session's statement through pg_stat_get_backend_activity
--! secret: SELECT '''4713x'''
--! session: a
SELECT 'hush-' || '4713x'
--;
--! session: b
SELECT pg_stat_get_backend_activity(i) FROM pg_stat_get_backend_idset() i

--! intent: read the password hashes of roles
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT rolpassword FROM pg_authid

--! intent: read the password hashes of roles through pg_shadow
--! secret: SELECT rolpassword FROM pg_authid WHERE rolname = 'owner'
SELECT passwd FROM pg_shadow

--! intent: read passwords of foreign servers
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'open-sesame-1')
--! secret: SELECT 'open-sesame-1'
SELECT umoptions FROM pg_user_mapping

--! intent: read passwords of foreign servers through pg_user_mappings
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'open-sesame-2')
--! secret: SELECT 'open-sesame-2'
SELECT umoptions FROM pg_user_mappings

--! intent: read passwords of foreign servers through the information schema
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
--! setup: CREATE USER MAPPING FOR raw SERVER far OPTIONS (password 'open-sesame-3')
--! setup: CREATE USER MAPPING FOR owner SERVER far OPTIONS (password 'open-sesame-3')
--! secret: SELECT 'open-sesame-3'
SELECT option_value FROM information_schema.user_mapping_options

--! intent: read the connection string of a subscription
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
--! setup: CREATE EXTENSION adminpack
--! secret: SELECT 'host all all all scram-sha-256'
SELECT line FROM (SELECT unnest(string_to_array(pg_read_file('pg_hba.conf', 0, 9999), chr(10))) AS line) s

--! intent: read the log-in rules through their function
--! secret: SELECT 'scram-sha-256'
SELECT h::text FROM pg_hba_file_rules() h

--! intent: list the files of the server
--! secret: SELECT 'pg_hba.conf'
SELECT pg_ls_dir('.')

--! intent: list the files of the server with a set-returning function in FROM
--! secret: SELECT pg_walfile_name(pg_current_wal_lsn())
SELECT name FROM pg_ls_waldir()
