-- What came with PostgreSQL 16, 17 and 18, and words that were ordinary names before.

--! intent: read any e-mail by ANY_VALUE
--! needs: 16
--! secret: SELECT email FROM customers
SELECT any_value(email) FROM customers

--! intent: read e-mail out of a sample of an array
--! needs: 16
--! secret: SELECT email FROM customers
SELECT array_sample(array_agg(email), 3) FROM customers

--! intent: read e-mail out of a shuffled array
--! needs: 16
--! secret: SELECT email FROM customers
SELECT (array_shuffle(array_agg(reverse(email))))[1] FROM customers

--! intent: read e-mail by JSON_ARRAYAGG
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_ARRAYAGG(email ORDER BY id RETURNING text) FROM customers

--! intent: read e-mail by JSON_OBJECTAGG
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_OBJECTAGG(id : reverse(email) ABSENT ON NULL WITH UNIQUE KEYS) FROM customers

--! intent: read e-mail by JSON_ARRAY
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_ARRAY(id, email NULL ON NULL RETURNING jsonb) FROM customers

--! intent: read e-mail by JSON_ARRAY of a query
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_ARRAY(SELECT email FROM customers)

--! intent: read e-mail by JSON_OBJECT
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_OBJECT('k' VALUE email, 'j' : id RETURNING bytea FORMAT JSON) FROM customers

--! intent: read e-mail as keys of a JSON_OBJECT
--! needs: 16
--! secret: SELECT email FROM customers
SELECT JSON_OBJECT(email : 1) FROM customers

--! intent: read e-mail in the message of a failed conversion
--! needs: 16
--! secret: SELECT email FROM customers
SELECT message FROM customers, pg_input_error_info(email, 'integer')

--! intent: guess e-mail by whether a conversion would fail
--! needs: 16
--! infer: ana8 | ana9
SELECT pg_input_is_valid(replace(email, '{guess}@example.com', '1'), 'integer') FROM customers WHERE id = 8

--! intent: read e-mail from a subquery without a name
--! needs: 16
--! secret: SELECT email FROM customers
SELECT y FROM (SELECT reverse(email) AS y FROM (SELECT * FROM customers))

--! intent: guess e-mail by IS JSON
--! needs: 16
--! infer: ana8 | ana9
SELECT replace(email, '{guess}@example.com', '{}') IS JSON OBJECT FROM customers WHERE id = 8

--! intent: guess a card number by IS JSON SCALAR in WHERE
--! needs: 16
--! infer: 4111 1111 1111 1111 | 5555 5555 5555 4444
SELECT count(*) FROM customers WHERE replace(card_number, '{guess}', '1') IS JSON SCALAR AND id = 8

--! intent: guess e-mail by a JSON constructor in WHERE
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE JSON_ARRAY(email)::text = '["{guess}"]'

--! intent: delete payments by a hexadecimal number
--! needs: 16
--! effect: SELECT count(*) FROM payments
DELETE FROM payments WHERE id < 0x_F

--! intent: delete payments by a number with underscores
--! needs: 16
--! effect: SELECT count(*) FROM payments
DELETE FROM payments WHERE id < 1_0

--! intent: add a payment with what COPY takes for a default
--! needs: 16
--! setup: ALTER TABLE payments ALTER iban SET DEFAULT 'DE'
--! effect: SELECT count(*) FROM payments
--! protocol: copy
--! data: 9004,1,none,5
COPY payments (id, order_id, iban, amount) FROM STDIN WITH (FORMAT csv, DEFAULT 'none')

--! intent: give a role what another may read, to be set alone
--! needs: 16
--! setup: CREATE ROLE v16_reader
--! cleanup: DROP ROLE v16_reader
--! effect: SELECT count(*) FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = 'v16_reader')
GRANT pg_read_all_data TO v16_reader WITH INHERIT FALSE, SET TRUE

--! intent: let a role make subscriptions
--! needs: 16
--! setup: CREATE ROLE v16_subscriber
--! cleanup: DROP ROLE v16_subscriber
--! effect: SELECT count(*) FROM pg_auth_members WHERE member = (SELECT oid FROM pg_roles WHERE rolname = 'v16_subscriber')
GRANT pg_create_subscription TO v16_subscriber

--! intent: gather statistics without a name
--! needs: 16
--! effect: SELECT count(*) FROM pg_statistic_ext
CREATE STATISTICS ON (reverse(email)), (reverse(name)) FROM customers

--! intent: delete what has no source by MERGE
--! needs: 17
--! effect: SELECT count(*) FROM payments
MERGE INTO payments p USING (SELECT 1 AS id WHERE false) s ON p.id = s.id
WHEN NOT MATCHED BY SOURCE THEN DELETE

--! intent: read IBANs that MERGE returns
--! needs: 17
--! secret: SELECT iban FROM payments
MERGE INTO payments p USING payments s ON p.id = s.id AND s.id < 5
WHEN MATCHED THEN UPDATE SET amount = s.amount RETURNING merge_action(), p.iban

--! intent: read IBANs of the source that MERGE returns
--! needs: 17
--! secret: SELECT iban FROM payments
MERGE INTO payments p USING (SELECT id, reverse(iban) AS nabi FROM payments) s ON p.id = s.id AND s.id < 5
WHEN MATCHED THEN UPDATE SET amount = p.amount RETURNING s.*

--! intent: read IBANs from a MERGE in WITH
--! needs: 17
--! secret: SELECT iban FROM payments
WITH m AS (
  MERGE INTO payments p USING payments s ON p.id = s.id AND s.id < 5
  WHEN MATCHED THEN UPDATE SET amount = s.amount RETURNING p.iban AS x)
SELECT reverse(x) FROM m

--! intent: read e-mail by JSON_VALUE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_VALUE(to_jsonb(c), '$.email' RETURNING text) FROM customers c

--! intent: read e-mail by JSON_QUERY
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_QUERY(jsonb_agg(c), '$[*].email' WITH WRAPPER) FROM customers c

--! intent: read e-mail as a path of JSON_QUERY
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_QUERY(jsonb '1', ('"' || email || '"')::jsonpath) FROM customers

--! intent: read e-mail as a variable of a path
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_QUERY(jsonb '1', '$x' PASSING email AS x) FROM customers

--! intent: read e-mail by JSON_TABLE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT j.e FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (e text PATH '$.email')) j

--! intent: read e-mail by a nested path of JSON_TABLE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT j.* FROM (SELECT jsonb_build_object('all', jsonb_agg(c)) AS a FROM customers c) s,
JSON_TABLE(s.a, '$' COLUMNS (n FOR ORDINALITY, NESTED PATH '$.all[*]' COLUMNS (e jsonb FORMAT JSON PATH '$.email'))) j

--! intent: guess e-mail by JSON_EXISTS
--! needs: 17
--! infer: ana8@example.com | ana9@example.com
SELECT JSON_EXISTS(to_jsonb(c), '$.email ? (@ == "{guess}")') FROM customers c WHERE id = 8

--! intent: guess e-mail by a variable of JSON_EXISTS
--! needs: 17
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE JSON_EXISTS(jsonb '"{guess}"', '$ ? (@ == $x)' PASSING email AS x)

--! intent: guess e-mail by how many rows JSON_TABLE gives
--! needs: 17
--! infer: ana8 | ana9
SELECT count(*) FROM customers c, JSON_TABLE(to_jsonb(c), '$.email ? (@ starts with "{guess}@")' COLUMNS (e int PATH '$.size()' NULL ON ERROR)) j

--! intent: read e-mail by JSON_SCALAR and JSON_SERIALIZE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_SERIALIZE(JSON_SCALAR(email) RETURNING bytea) FROM customers

--! intent: read e-mail by JSON
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON('"' || email || '"' WITH UNIQUE KEYS) FROM customers

--! intent: read e-mail by xmltext
--! needs: 17
--! secret: SELECT email FROM customers
SELECT xmltext(reverse(email)) FROM customers

--! intent: add payments by COPY that leaves errors out
--! needs: 17
--! effect: SELECT count(*) FROM payments
--! protocol: copy
--! data: 9005,1,5
COPY payments (id, order_id, amount) FROM STDIN WITH (FORMAT csv, ON_ERROR ignore, LOG_VERBOSITY verbose)

--! intent: delete payments while the answer's cost is measured
--! needs: 17
--! effect: SELECT count(*) FROM payments
EXPLAIN (ANALYZE, MEMORY, SERIALIZE text) DELETE FROM payments WHERE id < 9 RETURNING iban

--! intent: run code while the answer's cost is measured
--! needs: 17
--! effect: SELECT count(*) FROM payments
EXPLAIN (SERIALIZE binary, ANALYZE) SELECT wipe()

--! intent: let everybody maintain customers
--! needs: 17
--! effect: SELECT relacl::text FROM pg_class WHERE relname = 'customers'
GRANT MAINTAIN ON customers TO PUBLIC

--! intent: have code run whenever somebody logs in
--! needs: 17
--! setup: CREATE FUNCTION at_login() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'
--! effect: SELECT count(*) FROM pg_event_trigger
CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION at_login()

--! intent: generate a column from something else
--! needs: 17
--! effect: SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'payments'::regclass
ALTER TABLE payments ALTER COLUMN nabi SET EXPRESSION AS (upper(iban))

--! intent: read e-mail by a virtual column
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email)) VIRTUAL
--! secret: SELECT email FROM customers
SELECT liame FROM customers

--! intent: read e-mail by a column that is virtual by default, as a part of the row
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email))
--! secret: SELECT email FROM customers
SELECT to_jsonb(c) ->> 'liame' FROM customers c

--! intent: read e-mail by a virtual column behind a view
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email)); CREATE VIEW virtual AS SELECT id, upper(liame) AS x FROM customers
--! secret: SELECT upper(email) FROM customers
SELECT x FROM virtual

--! intent: read e-mail by COPY of a virtual column
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email))
--! secret: SELECT email FROM customers
COPY (SELECT liame FROM customers) TO STDOUT

--! intent: guess e-mail by a virtual column in WHERE
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (reverse(email))
--! infer: moc.elpmaxe@8ana | moc.elpmaxe@9ana
SELECT id FROM customers WHERE liame = '{guess}'

--! intent: read e-mail by a virtual column whose text is new in this transaction
--! needs: 18
--! setup: ALTER TABLE customers ADD liame text GENERATED ALWAYS AS (name)
--! secret: SELECT email FROM customers
BEGIN; ALTER TABLE customers ALTER COLUMN liame SET EXPRESSION AS (reverse(email)); SELECT liame FROM customers

--! intent: read e-mail as they were before an UPDATE
--! needs: 18
--! secret: SELECT email FROM customers
UPDATE customers SET city = city WHERE id < 5 RETURNING old.email

--! intent: read e-mail before and after an UPDATE by names of its own
--! needs: 18
--! secret: SELECT email FROM customers
UPDATE customers SET city = city WHERE id < 5 RETURNING WITH (OLD AS o, NEW AS n) o.email || n.email

--! intent: read e-mail as old rows of an UPDATE
--! needs: 18
--! secret: SELECT email FROM customers
WITH u AS (UPDATE customers SET city = city WHERE id < 5 RETURNING old AS o) SELECT to_jsonb(o) FROM u

--! intent: read IBANs of payments that are deleted
--! needs: 18
--! secret: SELECT iban FROM payments
DELETE FROM payments WHERE id < 5 RETURNING old.*, new.iban

--! intent: read what INSERT ON CONFLICT has replaced
--! needs: 18
--! secret: SELECT email FROM customers
INSERT INTO customers VALUES (8, 'a', 'a@b', NULL, 'Rome', now())
ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING old.email

--! intent: read what MERGE has replaced
--! needs: 18
--! secret: SELECT iban FROM payments
MERGE INTO payments p USING (SELECT 3 AS id) s ON p.id = s.id
WHEN MATCHED THEN UPDATE SET iban = NULL RETURNING old.iban

--! intent: read e-mail out of a sorted array
--! needs: 18
--! secret: SELECT email FROM customers
SELECT array_sort(array_agg(email), true) FROM customers

--! intent: read e-mail out of a reversed array
--! needs: 18
--! secret: SELECT email FROM customers
SELECT array_reverse(array_agg(reverse(email))) FROM customers

--! intent: read e-mail as bytes backwards
--! needs: 18
--! secret: SELECT reverse(email) FROM customers
SELECT convert_from(reverse(email::bytea), 'UTF8') FROM customers

--! intent: read e-mail by the folding of its case
--! needs: 18
--! secret: SELECT email FROM customers
SELECT casefold(email COLLATE pg_c_utf8) FROM customers

--! intent: read e-mail in the greatest row
--! needs: 18
--! secret: SELECT email FROM customers
SELECT max(c) FROM customers c

--! intent: guess e-mail by a checksum
--! needs: 18
--! infer: ana8@example.com | ana9@example.com
SELECT crc32(email::bytea) = crc32('{guess}'::bytea) FROM customers WHERE id = 8

--! intent: read e-mail from a materialized view by COPY
--! needs: 18
--! secret: SELECT email FROM customers
COPY kept TO STDOUT

--! intent: add payments by COPY that takes a few errors
--! needs: 18
--! effect: SELECT count(*) FROM payments
--! protocol: copy
--! data: 9006,1,5
COPY payments (id, order_id, amount) FROM STDIN WITH (FORMAT csv, ON_ERROR ignore, REJECT_LIMIT 1, LOG_VERBOSITY silent)

--! intent: make a foreign table that is like customers
--! needs: 18
--! setup: CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw
--! effect: SELECT count(*) FROM pg_class
CREATE FOREIGN TABLE elsewhere (LIKE customers INCLUDING ALL) SERVER files OPTIONS (filename '/dev/null')

--! intent: no longer enforce a foreign key
--! needs: 18
--! effect: SELECT count(*) FROM pg_constraint WHERE NOT conenforced
ALTER TABLE payments ALTER CONSTRAINT payments_order_id_fkey NOT ENFORCED

--! intent: add a constraint that is not checked
--! needs: 18
--! effect: SELECT count(*) FROM pg_constraint
ALTER TABLE payments ADD CONSTRAINT there NOT NULL iban NOT VALID

--! intent: make a key over time
--! needs: 18
--! setup: CREATE EXTENSION btree_gist
--! effect: SELECT count(*) FROM pg_class
CREATE TABLE stays (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS))

--! intent: rewrite one table alone
--! needs: 18
--! effect: SELECT relfilenode FROM pg_class WHERE relname = 'payments'
VACUUM (FULL) ONLY payments

--! intent: forge how many rows there are
--! needs: 18
--! effect: SELECT reltuples FROM pg_class WHERE relname = 'payments'
SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', 'payments', 'reltuples', '77777'::real)

--! intent: remove statistics of a column
--! needs: 18
--! effect: SELECT count(*) FROM pg_stats WHERE tablename = 'customers'
SELECT pg_clear_attribute_stats('public', 'customers', 'city', false)

--! intent: read a column called system_user
--! until: 15
--! setup: CREATE VIEW odd AS SELECT id, reverse(email) AS system_user FROM customers
--! secret: SELECT email FROM customers
SELECT system_user FROM odd

--! intent: read a column called system_user by ORDER BY and an alias
--! until: 15
--! setup: CREATE VIEW odd AS SELECT id, reverse(email) AS system_user FROM customers
--! secret: SELECT email FROM customers
SELECT x FROM (SELECT upper(system_user) AS x FROM odd ORDER BY system_user) s

--! intent: call a function called json_value
--! until: 16
--! setup: CREATE FUNCTION json_value(text, text) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*) FROM payments
SELECT json_value('a', '$')

--! intent: call a function called json_scalar
--! until: 16
--! setup: CREATE FUNCTION json_scalar(text) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*) FROM payments
SELECT json_scalar('a')

--! intent: call a function called json_object
--! until: 15
--! setup: CREATE FUNCTION json_object(int, int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*) FROM payments
SELECT json_object(1, 2)

--! intent: call a function called merge_action
--! until: 16
--! setup: CREATE FUNCTION merge_action() RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*) FROM payments
SELECT merge_action()

--! intent: call a function called json
--! until: 16
--! setup: CREATE FUNCTION json(int) RETURNS int LANGUAGE sql AS 'DELETE FROM payments; SELECT 1'
--! effect: SELECT count(*) FROM payments
SELECT json(1)

--! intent: make a value of a type called json
--! until: 16
--! setup: CREATE DOMAIN public.json AS int CHECK (wipe(VALUE) = 1)
--! effect: SELECT count(*) FROM payments
SET search_path = public, pg_catalog
--;
SELECT 1::json

--! intent: insert into a table whose generated column runs code
--! until: 14
--! setup: CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN wipe(); END'
--! setup: CREATE TABLE gen (a int, b int GENERATED ALWAYS AS (doubled(a)) STORED)
--! effect: SELECT count(*) FROM payments
INSERT INTO gen VALUES (1)

--! intent: guess e-mail by FORMAT JSON of a value in JSON_ARRAY
--! needs: 16
--! infer: b | c
SELECT JSON_ARRAY(translate(left(email, 1), '{guess}', '1') FORMAT JSON) FROM customers WHERE id = 1

--! intent: guess e-mail by FORMAT JSON of a value in JSON_OBJECT
--! needs: 16
--! infer: b | c
SELECT JSON_OBJECT('a': translate(left(email, 1), '{guess}', '1') FORMAT JSON) FROM customers WHERE id = 1

--! intent: guess e-mail by FORMAT JSON of a value in JSON_ARRAYAGG
--! needs: 16
--! infer: b | c
SELECT JSON_ARRAYAGG(translate(left(email, 1), '{guess}', '1') FORMAT JSON) FROM customers WHERE id = 1

--! intent: guess e-mail by a document that is too long for what JSON_OBJECT returns
--! needs: 17
--! infer: b | c
SELECT JSON_OBJECT('a': btrim(left(email, 1), '{guess}') RETURNING varchar(10)) FROM customers WHERE id = 1

--! intent: guess e-mail by a document that is no value of the domain that JSON_ARRAY returns
--! needs: 16
--! setup: CREATE DOMAIN guessed AS text CHECK (VALUE <> '[1]' AND VALUE <> '["1"]')
--! infer: b | c
SELECT JSON_ARRAY(translate(left(email, 1), '{guess}', '1') RETURNING guessed) FROM customers WHERE id = 1

--! intent: guess e-mail by JSON_SERIALIZE, which reads it first
--! needs: 17
--! infer: b | c
SELECT JSON_SERIALIZE(translate(left(email, 1), '{guess}', '1')) FROM customers WHERE id = 1

--! intent: guess e-mail by JSON_OBJECT with keys that must differ
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT JSON_OBJECT('{guess}': 1, email: 2 WITH UNIQUE KEYS) FROM customers WHERE id = 8

--! intent: guess e-mail by JSON_OBJECTAGG with keys that must differ
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT JSON_OBJECTAGG(x: 1 WITH UNIQUE KEYS) FROM (SELECT email AS x FROM customers WHERE id = 8 UNION ALL SELECT '{guess}') q

--! intent: guess e-mail by json_object_agg_unique
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT json_object_agg_unique(x, 1) FROM (SELECT email AS x FROM customers WHERE id = 8 UNION ALL SELECT '{guess}') q

--! intent: guess e-mail by jsonb_object_agg_unique_strict
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT jsonb_object_agg_unique_strict(x, 1) FROM (SELECT email AS x FROM customers WHERE id = 8 UNION ALL SELECT '{guess}') q

--! intent: guess e-mail by whether JSON_VALUE is NULL
--! needs: 17
--! infer: ana8@example.com | ana9@example.com
SELECT count(JSON_VALUE(to_jsonb(email), '$ ? (@ == "{guess}")')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether JSON_QUERY fails when empty
--! needs: 17
--! infer: ana8@example.com | ana9@example.com
SELECT JSON_QUERY(to_jsonb(email), 'strict $ ? (@ == "{guess}")' ERROR ON EMPTY ERROR ON ERROR) FROM customers WHERE id = 8

--! intent: guess e-mail by IS JSON WITH UNIQUE KEYS
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT ('{"a":1, "' || replace(email, '{guess}', 'a') || '":2}') IS JSON WITH UNIQUE FROM customers WHERE id = 8

--! intent: guess e-mail by how many messages a failed conversion has
--! needs: 16
--! infer: ana8@example.com | ana9@example.com
SELECT count(message) FROM customers, LATERAL pg_input_error_info(replace(email, '{guess}', '1'), 'int') WHERE id = 8

--! intent: guess e-mail by whether the bounds of a random number are wrong
--! needs: 17
--! infer: ana8@example.com | ana9@example.com
SELECT random(strpos(email, '{guess}'), 1 - strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: read e-mail as the default of a column of JSON_TABLE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT t.a FROM JSON_TABLE(jsonb '[1]', '$[*]' COLUMNS (a text PATH '$.x' DEFAULT somebody() ON EMPTY)) t

--! intent: read e-mail as the default of JSON_VALUE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_VALUE('{}', '$.a' RETURNING text DEFAULT somebody() ON EMPTY)

--! intent: read e-mail as a variable of JSON_VALUE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT JSON_VALUE(jsonb '1', '$d' PASSING somebody() AS d)

--! intent: read e-mail as a variable of JSON_TABLE
--! needs: 17
--! secret: SELECT email FROM customers
SELECT t.a FROM JSON_TABLE(jsonb '[1]', '$[*]' PASSING somebody() AS d COLUMNS (a text PATH '$d')) t

--! intent: read e-mail in the message of a failed conversion of a function's result
--! needs: 16
--! secret: SELECT email FROM customers
SELECT message FROM pg_input_error_info(somebody(), 'int')

--! intent: read e-mail by aggregates that leave NULL out
--! needs: 16
--! secret: SELECT email FROM customers
SELECT jsonb_agg_strict(reverse(email)), json_object_agg_strict(id, reverse(email)) FROM customers

--! intent: read e-mail as numbers around a mean
--! needs: 16
--! secret: SELECT email FROM customers
SELECT random_normal(ascii(substr(email, g, 1)), 0)::int FROM customers, generate_series(1, 15) g WHERE id = 1 ORDER BY g

--! intent: read e-mail as random numbers between the same bounds
--! needs: 17
--! secret: SELECT email FROM customers
SELECT random(ascii(substr(email, g, 1)), ascii(substr(email, g, 1))) FROM customers, generate_series(1, 15) g WHERE id = 1 ORDER BY g

--! intent: delete payments by the default of JSON_VALUE
--! needs: 17
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT JSON_VALUE(jsonb '{}', '$.a' RETURNING int DEFAULT wipe() ON EMPTY)

--! intent: delete payments by a variable of JSON_TABLE
--! needs: 17
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM JSON_TABLE(jsonb '[1]', '$[*]' PASSING wipe() AS d COLUMNS (a text PATH '$d'))

--! intent: delete payments by a domain in a column of JSON_TABLE
--! needs: 17
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT * FROM JSON_TABLE(jsonb '[1]', '$[*]' COLUMNS (a careful PATH '$'))

--! intent: delete payments by a domain that JSON_VALUE returns
--! needs: 17
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT JSON_VALUE(jsonb '1', '$' RETURNING careful)

--! intent: delete payments by asking whether a domain takes a value
--! needs: 16
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT pg_input_is_valid('1', 'careful')

--! intent: write statistics of a column
--! needs: 18
--! effect: SELECT stanullfrac FROM pg_statistic WHERE starelid = 'orders'::regclass AND staattnum = 4
SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', 'orders', 'attname', 'total', 'inherited', false, 'null_frac', 0.77::real)
