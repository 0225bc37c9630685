-- Who the session is, and what decides how it behaves.

--! intent: become another role
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SET ROLE puppet_{db}
--;
SELECT 'now ' || current_user

--! intent: become another role for a transaction
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
BEGIN
--;
SET LOCAL ROLE puppet_{db}
--;
SELECT 'now ' || current_user
--;
ROLLBACK

--! intent: become another role by set_config
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SELECT set_config('role', 'puppet_{db}', false)
--;
SELECT 'now ' || current_user

--! intent: become another role by set_config with a computed name
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SELECT set_config('ro' || 'le', 'puppet_{db}', false)
--;
SELECT 'now ' || current_user

--! intent: become another role by set_config with parameters
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
--! protocol: extended
--! bind: ["role", "puppet_{db}"]
SELECT set_config($1, $2, false)
--;
SELECT 'now ' || current_user

--! intent: become another role by a quoted setting
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SET "role" = puppet_{db}
--;
SELECT 'now ' || current_user

--! intent: become another role in a DO block
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
DO $$ BEGIN SET ROLE puppet_{db}; END $$
--;
SELECT 'now ' || current_user

--! intent: become another session user
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SET SESSION AUTHORIZATION puppet_{db}
--;
SELECT 'now ' || session_user

--! intent: become another session user by set_config
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! secret: SELECT 'now puppet_' || current_database()
SELECT set_config('session_authorization', 'puppet_{db}', false)
--;
SELECT 'now ' || session_user

--! intent: skip triggers with session_replication_role
--! effect: SELECT count(*), sum(amount) FROM payments
SET session_replication_role = replica
--;
INSERT INTO payments (id, order_id, amount) VALUES (9100, 999999, 1)

--! intent: skip triggers with session_replication_role by what another row of pg_settings names
--! secret: SELECT 'role is replica'
SELECT set_config(b.name, 'replica', false) FROM pg_settings a, pg_settings b WHERE a.name = 'application_name' AND b.name = 'session_replication_role'
--;
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role by what a row of a query around it names
--! secret: SELECT 'role is replica'
SELECT (SELECT set_config(b.name, 'replica', false) FROM pg_settings a WHERE a.name = 'application_name') FROM pg_settings b WHERE b.name = 'session_replication_role'
--;
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role by set_config
--! secret: SELECT 'role is replica'
SELECT set_config('session_replication_role', 'replica', false)
--;
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role at log-in
--! secret: SELECT 'role is replica'
--! startup: session_replication_role=replica
--! ends: the log-in is refused
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role in options at log-in
--! secret: SELECT 'role is replica'
--! startup: options=-c session_replication_role=replica
--! ends: the log-in is refused
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role in long options at log-in
--! secret: SELECT 'role is replica'
--! startup: options=--session-replication-role=replica
--! ends: the log-in is refused
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: skip triggers with session_replication_role glued to its option
--! secret: SELECT 'role is replica'
--! startup: options=-csession_replication_role=replica
--! ends: the log-in is refused
SELECT 'role is ' || current_setting('session_replication_role')

--! intent: change the setting standard_conforming_strings
--! secret: SELECT 'is standard_conforming_strings off'
SET standard_conforming_strings = off
--;
SELECT 'is ' || 'standard_conforming_strings ' || current_setting('standard_conforming_strings')

--! intent: change the setting backslash_quote
--! secret: SELECT 'is backslash_quote on'
SET backslash_quote = on
--;
SELECT 'is ' || 'backslash_quote ' || current_setting('backslash_quote')

--! intent: change the setting transform_null_equals
--! secret: SELECT 'is transform_null_equals on'
SET transform_null_equals = on
--;
SELECT 'is ' || 'transform_null_equals ' || current_setting('transform_null_equals')

--! intent: change the setting row_security
--! secret: SELECT 'is row_security off'
SET row_security = off
--;
SELECT 'is ' || 'row_security ' || current_setting('row_security')

--! intent: make transactions write again that shall only read
--! secret: SELECT 'is default_transaction_read_only off'
SET default_transaction_read_only = on
--;
SET default_transaction_read_only = off
--;
SELECT 'is ' || 'default_transaction_read_only ' || current_setting('default_transaction_read_only')

--! intent: change the setting check_function_bodies
--! secret: SELECT 'is check_function_bodies off'
SET check_function_bodies = off
--;
SELECT 'is ' || 'check_function_bodies ' || current_setting('check_function_bodies')

--! intent: change the setting allow_system_table_mods
--! secret: SELECT 'is allow_system_table_mods on'
SET allow_system_table_mods = on
--;
SELECT 'is ' || 'allow_system_table_mods ' || current_setting('allow_system_table_mods')

--! intent: change the setting log_statement
--! secret: SELECT 'is log_statement none'
SET log_statement = none
--;
SELECT 'is ' || 'log_statement ' || current_setting('log_statement')

--! intent: change the setting log_min_messages
--! secret: SELECT 'is log_min_messages panic'
SET log_min_messages = 'panic'
--;
SELECT 'is ' || 'log_min_messages ' || current_setting('log_min_messages')

--! intent: change the setting log_min_error_statement
--! secret: SELECT 'is log_min_error_statement panic'
SET log_min_error_statement = 'panic'
--;
SELECT 'is ' || 'log_min_error_statement ' || current_setting('log_min_error_statement')

--! intent: change the setting log_error_verbosity
--! secret: SELECT 'is log_error_verbosity verbose'
SET log_error_verbosity = 'verbose'
--;
SELECT 'is ' || 'log_error_verbosity ' || current_setting('log_error_verbosity')

--! intent: change the setting debug_print_parse
--! secret: SELECT 'is debug_print_parse on'
SET debug_print_parse = on
--;
SELECT 'is ' || 'debug_print_parse ' || current_setting('debug_print_parse')

--! intent: change the setting dynamic_library_path
--! secret: SELECT 'is dynamic_library_path /tmp/x'
SET dynamic_library_path = '/tmp/x'
--;
SELECT 'is ' || 'dynamic_library_path ' || current_setting('dynamic_library_path')

--! intent: change the setting zero_damaged_pages
--! secret: SELECT 'is zero_damaged_pages on'
SET zero_damaged_pages = on
--;
SELECT 'is ' || 'zero_damaged_pages ' || current_setting('zero_damaged_pages')

--! intent: change the setting ignore_checksum_failure
--! secret: SELECT 'is ignore_checksum_failure on'
SET ignore_checksum_failure = on
--;
SELECT 'is ' || 'ignore_checksum_failure ' || current_setting('ignore_checksum_failure')

--! intent: change the setting temp_file_limit
--! secret: SELECT 'is temp_file_limit 12345678'
SET temp_file_limit = '12345678'
--;
SELECT 'is ' || 'temp_file_limit ' || current_setting('temp_file_limit')

--! intent: change the setting track_activities
--! secret: SELECT 'is track_activities off'
SET track_activities = off
--;
SELECT 'is ' || 'track_activities ' || current_setting('track_activities')

--! intent: change the setting exit_on_error
--! secret: SELECT 'is exit_on_error on'
SET exit_on_error = on
--;
SELECT 'is ' || 'exit_on_error ' || current_setting('exit_on_error')

--! intent: change the setting synchronous_commit
--! secret: SELECT 'is synchronous_commit off'
SET synchronous_commit = off
--;
SELECT 'is ' || 'synchronous_commit ' || current_setting('synchronous_commit')

--! intent: change the setting lo_compat_privileges
--! secret: SELECT 'is lo_compat_privileges on'
SET lo_compat_privileges = on
--;
SELECT 'is ' || 'lo_compat_privileges ' || current_setting('lo_compat_privileges')

--! intent: change the setting commit_delay
--! secret: SELECT 'is commit_delay 77'
SET commit_delay = '77'
--;
SELECT 'is ' || 'commit_delay ' || current_setting('commit_delay')

--! intent: change the setting password_encryption
--! secret: SELECT 'is password_encryption md5'
SET password_encryption = 'md5'
--;
SELECT 'is ' || 'password_encryption ' || current_setting('password_encryption')

--! intent: change the setting log_duration
--! secret: SELECT 'is log_duration on'
SET log_duration = on
--;
SELECT 'is ' || 'log_duration ' || current_setting('log_duration')

--! intent: change the setting max_stack_depth
--! secret: SELECT 'is max_stack_depth 1777kB'
SET max_stack_depth = '1777kB'
--;
SELECT 'is ' || 'max_stack_depth ' || current_setting('max_stack_depth')

--! intent: change the setting gin_fuzzy_search_limit
--! secret: SELECT 'is gin_fuzzy_search_limit 7'
SET gin_fuzzy_search_limit = '7'
--;
SELECT 'is ' || 'gin_fuzzy_search_limit ' || current_setting('gin_fuzzy_search_limit')

--! intent: change the setting application.secret
--! secret: SELECT 'is application.secret made-up-4711'
SET application.secret = 'made-up-4711'
--;
SELECT 'is ' || 'application.secret ' || current_setting('application.secret')

--! intent: change the configuration of the server
--! cleanup: ALTER SYSTEM RESET work_mem
--! effect: SELECT count(*) FROM pg_file_settings WHERE name = 'work_mem'
ALTER SYSTEM SET work_mem = '5MB'

--! intent: change a setting of the database
--! cleanup: ALTER DATABASE {db} RESET ALL
--! effect: SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database() UNION ALL SELECT 'none'
ALTER DATABASE {db} SET statement_timeout = '1h'

--! intent: change a setting of a role
--! cleanup: ALTER ROLE shop_app RESET ALL
--! effect: SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'shop_app'::regrole
ALTER ROLE shop_app SET search_path = evil

--! intent: make a superuser
--! cleanup: DROP ROLE IF EXISTS evil_{db}
--! effect: SELECT count(*) FROM pg_roles WHERE rolname = 'evil_' || current_database()
CREATE ROLE evil_{db} SUPERUSER LOGIN

--! intent: make a user by its older word
--! cleanup: DROP ROLE IF EXISTS evil_{db}
--! effect: SELECT count(*) FROM pg_roles WHERE rolname = 'evil_' || current_database()
CREATE USER evil_{db}

--! intent: change a role's password
--! setup: DROP ROLE IF EXISTS puppet_{db}
--! setup: CREATE ROLE puppet_{db}
--! cleanup: DROP ROLE puppet_{db}
--! effect: SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'puppet_' || current_database()
ALTER ROLE puppet_{db} PASSWORD 'x'

--! intent: make a database
--! needs: 15
--! cleanup: DROP DATABASE IF EXISTS evil_{db}
--! effect: SELECT count(*) FROM pg_database WHERE datname = 'evil_' || current_database()
CREATE DATABASE evil_{db} STRATEGY wal_log

--! intent: read with names under another path: set by SET
--! secret: SELECT email FROM customers
SET search_path = mir
--;
SELECT x FROM folk

--! intent: read with names under another path: by SET SCHEMA
--! secret: SELECT email FROM customers
SET SCHEMA 'mir'
--;
SELECT x FROM folk

--! intent: read with names under another path: by set_config
--! secret: SELECT email FROM customers
SET search_path = alt
--;
SELECT set_config('search_path', 'mir', false)
--;
SELECT x FROM folk

--! intent: read with names under another path: by a computed set_config in the same query
--! secret: SELECT email FROM customers
SET search_path = alt; SELECT set_config('search_' || 'path', 'm' || 'ir', false); SELECT x FROM folk

--! intent: read with names under another path: by parameters
--! secret: SELECT email FROM customers
--! protocol: simple, extended
--! bind: null
--! bind: ["search_path", "mir"]
SET search_path = alt
--;
SELECT set_config($1, $2, false)
--;
SELECT x FROM folk

--! intent: read with names under another path: for a transaction
--! secret: SELECT email FROM customers
SET search_path = alt
--;
BEGIN; SET LOCAL search_path = mir; SELECT x FROM folk; COMMIT

--! intent: read with names under another path: back after ROLLBACK
--! secret: SELECT email FROM customers
SET search_path = mir
--;
BEGIN; SET search_path = alt; SELECT x FROM folk; ROLLBACK; SELECT x FROM folk

--! intent: read with names under another path: back after ROLLBACK TO
--! secret: SELECT email FROM customers
SET search_path = mir
--;
BEGIN; SAVEPOINT a; SET search_path = alt; ROLLBACK TO a; SELECT x FROM folk; COMMIT

--! intent: read with names under another path: a parameter of the log-in
--! secret: SELECT email FROM customers
--! startup: search_path=mir
--! ends: the log-in may be refused
SELECT x FROM folk

--! intent: read with names under another path: options of the log-in
--! secret: SELECT email FROM customers
--! startup: options=-c search_path=mir
--! ends: the log-in may be refused
SELECT x FROM folk

--! intent: read with names under another path: of the database
--! setup: ALTER DATABASE {db} SET search_path = mir
--! cleanup: ALTER DATABASE {db} RESET ALL
--! secret: SELECT email FROM customers
SELECT x FROM folk

--! intent: read with names under another path: of the role
--! setup: ALTER ROLE raw IN DATABASE {db} SET search_path = mir
--! setup: ALTER ROLE owner IN DATABASE {db} SET search_path = mir
--! cleanup: ALTER ROLE raw IN DATABASE {db} RESET ALL
--! cleanup: ALTER ROLE owner IN DATABASE {db} RESET ALL
--! secret: SELECT email FROM customers
SELECT x FROM folk

--! intent: read with names under another path: a schema named as the user
--! setup: CREATE SCHEMA raw
--! setup: CREATE SCHEMA owner
--! setup: CREATE VIEW raw.mine AS SELECT reverse(email) AS x FROM customers
--! setup: CREATE VIEW owner.mine AS SELECT reverse(email) AS x FROM customers
--! setup: CREATE VIEW public.mine AS SELECT name AS x FROM customers
--! secret: SELECT email FROM customers
SELECT x FROM mine

--! intent: read with names under another path: a function of the path
--! setup: CREATE SCHEMA tricks
--! setup: CREATE FUNCTION tricks.tell(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT reverse(email) FROM public.customers WHERE id = $1'
--! setup: CREATE FUNCTION public.tell(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM public.customers WHERE id = $1'
--! secret: SELECT email FROM customers
SET search_path = tricks, public
--;
SELECT tell(id) FROM customers

--! intent: delete payments with a path on which a function hides one of the server
--! setup: CREATE SCHEMA tricks
--! setup: CREATE FUNCTION tricks.lower(text) RETURNS text LANGUAGE sql AS 'DELETE FROM public.payments; SELECT ''x''::text'
--! effect: SELECT count(*), sum(amount) FROM payments
SET search_path = tricks, pg_catalog, public
--;
SELECT lower('X')

--! intent: delete payments with a path on which an operator hides one of the server
--! setup: CREATE SCHEMA tricks
--! setup: CREATE FUNCTION tricks.plus(int, int) RETURNS int LANGUAGE sql AS 'DELETE FROM public.payments; SELECT 1'
--! setup: CREATE OPERATOR tricks.+ (FUNCTION = tricks.plus, LEFTARG = int, RIGHTARG = int)
--! effect: SELECT count(*), sum(amount) FROM payments
SET search_path = tricks, pg_catalog, public
--;
SELECT 1 + 1

--! intent: delete payments with a path on which a type hides one of the server
--! setup: CREATE SCHEMA tricks
--! setup: CREATE FUNCTION tricks.chk(pg_catalog.text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN true; END'
--! setup: CREATE DOMAIN tricks.text AS pg_catalog.text CHECK (tricks.chk(VALUE))
--! effect: SELECT count(*), sum(amount) FROM payments
SET search_path = tricks, pg_catalog, public
--;
SELECT 'x'::text

--! intent: read through a temporary table that another statement left behind
--! secret: SELECT email FROM customers
CREATE TEMP TABLE folk2 AS SELECT reverse(email) AS x FROM customers; SELECT x FROM pg_temp.folk2

--! intent: ask for a replication session
--! secret: SELECT system_identifier::text FROM pg_control_system()
--! startup: replication=database
--! ends: the log-in is refused
IDENTIFY_SYSTEM

--! intent: turn detailed errors on to read values from them
--! secret: SELECT email FROM customers
SET client_min_messages = debug5
--;
SELECT reverse(email)::int FROM customers

--! intent: import a snapshot to read the past of a masked table
--! secret: SELECT email FROM customers
BEGIN ISOLATION LEVEL REPEATABLE READ
--;
SELECT reverse(email) FROM customers
