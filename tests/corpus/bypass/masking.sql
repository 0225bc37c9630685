-- Values of masked columns in the answer, by every kind of expression and every way out.

--! intent: read e-mail as they are
--! secret: SELECT email FROM customers
SELECT email FROM customers

--! intent: read e-mail under the name of another column
--! secret: SELECT email FROM customers
SELECT email AS city FROM customers

--! intent: read e-mail backwards
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM customers

--! intent: read e-mail in capitals
--! secret: SELECT email FROM customers
SELECT upper(email) FROM customers

--! intent: read e-mail as bytes
--! secret: SELECT email FROM customers
SELECT email::bytea FROM customers

--! intent: read e-mail in base64
--! secret: SELECT email FROM customers
SELECT encode(email::bytea, 'base64') FROM customers

--! intent: read e-mail in hexadecimal
--! secret: SELECT email FROM customers
SELECT encode(convert_to(email, 'UTF8'), 'hex') FROM customers

--! intent: read e-mail letter by letter in an array
--! secret: SELECT email FROM customers
SELECT string_to_array(email, NULL) FROM customers

--! intent: read e-mail as an array of numbers
--! secret: SELECT email FROM customers
SELECT ARRAY(SELECT ascii(x) FROM regexp_split_to_table(email, '') x) FROM customers

--! intent: read e-mail in a row value
--! secret: SELECT email FROM customers
SELECT ROW(id, email) FROM customers

--! intent: read e-mail as a whole row
--! secret: SELECT email FROM customers
SELECT customers FROM customers

--! intent: read e-mail as a whole row in text
--! secret: SELECT email FROM customers
SELECT customers::text FROM customers

--! intent: read e-mail as a whole row of an alias
--! secret: SELECT email FROM customers
SELECT (SELECT c FROM customers c WHERE c.id = customers.id) FROM customers

--! intent: read e-mail as JSON of the row
--! secret: SELECT email FROM customers
SELECT to_json(customers) FROM customers

--! intent: read e-mail as a field of JSON of the row
--! secret: SELECT email FROM customers
SELECT to_jsonb(customers) ->> 'email' FROM customers

--! intent: read e-mail as a built JSON object
--! secret: SELECT email FROM customers
SELECT json_build_object('a', email) FROM customers

--! intent: read e-mail as an aggregated JSON object
--! secret: SELECT email FROM customers
SELECT json_object_agg(id, email) FROM customers

--! intent: read e-mail as an aggregated array
--! secret: SELECT email FROM customers
SELECT array_agg(email ORDER BY id) FROM customers

--! intent: read e-mail as an aggregated string
--! secret: SELECT email FROM customers
SELECT string_agg(email, ' ') FROM customers

--! intent: read e-mail as the greatest
--! secret: SELECT email FROM customers
SELECT max(email) FROM customers

--! intent: read e-mail as the most frequent
--! secret: SELECT email FROM customers
SELECT mode() WITHIN GROUP (ORDER BY email) FROM customers

--! intent: read e-mail as a percentile
--! secret: SELECT email FROM customers
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY email) FROM customers

--! intent: read e-mail as percentiles in an array
--! secret: SELECT email FROM customers
SELECT percentile_disc(ARRAY[0.1, 0.5]) WITHIN GROUP (ORDER BY reverse(email)) FROM customers

--! intent: read e-mail by a CASE
--! secret: SELECT email FROM customers
SELECT CASE WHEN id > 0 THEN email END FROM customers

--! intent: read e-mail by COALESCE
--! secret: SELECT email FROM customers
SELECT coalesce(email, '') FROM customers

--! intent: read e-mail by NULLIF
--! secret: SELECT email FROM customers
SELECT nullif(email, '') FROM customers

--! intent: read e-mail by GREATEST
--! secret: SELECT email FROM customers
SELECT greatest(email, '') FROM customers

--! intent: read e-mail by FORMAT
--! secret: SELECT email FROM customers
SELECT format('%1$s', email) FROM customers

--! intent: read e-mail by concat_ws
--! secret: SELECT email FROM customers
SELECT concat_ws('-', id, email) FROM customers

--! intent: read e-mail by regexp_replace
--! secret: SELECT email FROM customers
SELECT regexp_replace(email, '@', ' at @')||email FROM customers

--! intent: read e-mail by regexp_match
--! secret: SELECT email FROM customers
SELECT regexp_match(email, '(.*)') FROM customers

--! intent: read e-mail by overlay
--! secret: SELECT email FROM customers
SELECT overlay(email PLACING '' FROM 1 FOR 0) FROM customers

--! intent: read e-mail by translate
--! secret: SELECT email FROM customers
SELECT translate(email, 'x', 'x') FROM customers

--! intent: read e-mail by quote_literal
--! secret: SELECT email FROM customers
SELECT quote_literal(email) FROM customers

--! intent: read e-mail by quote_ident
--! secret: SELECT email FROM customers
SELECT quote_ident(email) FROM customers

--! intent: read e-mail by a cast to name
--! secret: SELECT email FROM customers
SELECT email::name FROM customers

--! intent: read e-mail by a cast to varchar
--! secret: SELECT email FROM customers
SELECT email::varchar(99) FROM customers

--! intent: read e-mail by a cast to char
--! secret: SELECT email FROM customers
SELECT email::char(60) FROM customers

--! intent: read e-mail by a collation
--! secret: SELECT email FROM customers
SELECT email COLLATE "C" FROM customers

--! intent: read e-mail by a window function
--! secret: SELECT email FROM customers
SELECT first_value(email) OVER (ORDER BY id) FROM customers

--! intent: read e-mail by lag
--! secret: SELECT email FROM customers
SELECT lag(email) OVER (ORDER BY id) FROM customers

--! intent: read e-mail by nth_value
--! secret: SELECT email FROM customers
SELECT nth_value(reverse(email), 2) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM customers

--! intent: read e-mail by a window aggregate
--! secret: SELECT email FROM customers
SELECT string_agg(email, ',') OVER (ORDER BY id ROWS 2 PRECEDING) FROM customers

--! intent: read e-mail as a text search vector
--! secret: SELECT email FROM customers
SELECT array_to_tsvector(ARRAY[email]) FROM customers

--! intent: read e-mail by ts_headline
--! secret: SELECT email FROM customers
SELECT ts_headline('simple', email, to_tsquery('simple', 'x')) FROM customers

--! intent: read e-mail as XML
--! secret: SELECT email FROM customers
SELECT xmlelement(name e, email) FROM customers

--! intent: read e-mail as XML of a forest
--! secret: SELECT email FROM customers
SELECT xmlforest(email AS e) FROM customers

--! intent: read e-mail as an XML attribute
--! secret: SELECT email FROM customers
SELECT xmlelement(name e, xmlattributes(email AS a)) FROM customers

--! intent: read e-mail as aggregated XML
--! secret: SELECT email FROM customers
SELECT xmlagg(xmlelement(name e, email)) FROM customers

--! intent: read e-mail as a range
--! secret: SELECT email FROM customers
SELECT to_jsonb(ARRAY[email]) FROM customers

--! intent: read e-mail as an element of a subscripted array
--! secret: SELECT email FROM customers
SELECT (ARRAY[email])[1] FROM customers

--! intent: read e-mail as a slice
--! secret: SELECT email FROM customers
SELECT (ARRAY[email, name])[1:1] FROM customers

--! intent: read e-mail by an array aggregate and a subscript
--! secret: SELECT email FROM customers
SELECT (array_agg(email))[3] FROM customers

--! intent: read e-mail by a field of a row
--! secret: SELECT email FROM customers
SELECT (customers).email FROM customers

--! intent: read e-mail by a field of a JSON path
--! secret: SELECT email FROM customers
SELECT jsonb_path_query_first(to_jsonb(customers), '$.email') FROM customers

--! intent: read e-mail by functional notation for a column
--! secret: SELECT email FROM customers
SELECT email(customers) FROM customers

--! intent: read e-mail by row_to_json of a subquery
--! secret: SELECT email FROM customers
SELECT (SELECT row_to_json(x) FROM (SELECT email) x) FROM customers

--! intent: read e-mail by a scalar subquery
--! secret: SELECT email FROM customers
SELECT (SELECT c.email FROM customers c WHERE c.id = customers.id) FROM customers

--! intent: read e-mail by an ARRAY subquery
--! secret: SELECT email FROM customers
SELECT ARRAY(SELECT c.email FROM customers c WHERE c.id < 3) FROM customers

--! intent: read e-mail by hashing that a dictionary undoes
--! secret: SELECT md5(email) FROM customers
SELECT md5(email) FROM customers

--! intent: read e-mail with each letter replaced by the next one, undone at home
--! secret: SELECT translate(email, 'abcdefghijklmnopqrstuvwxyz', 'bcdefghijklmnopqrstuvwxyza') FROM customers
SELECT translate(email, 'abcdefghijklmnopqrstuvwxyz', 'bcdefghijklmnopqrstuvwxyza') FROM customers

--! intent: read e-mail two letters at a time
--! secret: SELECT email FROM customers
SELECT substr(email, 1, 2), substr(email, 3, 2), substr(email, 5) FROM customers

--! intent: read e-mail by left and right
--! secret: SELECT email FROM customers
SELECT left(email, 4) || right(email, -4) FROM customers

--! intent: read e-mail through a decrypted encryption
--! secret: SELECT email FROM customers
SELECT convert_from(decrypt(encrypt(email::bytea, 'k', 'aes'), 'k', 'aes'), 'UTF8') FROM customers

--! intent: read e-mail through a JSON aggregate of pairs
--! secret: SELECT email FROM customers
SELECT jsonb_object_agg(email, 1) FROM customers

--! intent: read e-mail as keys of a JSON object
--! secret: SELECT email FROM customers
SELECT jsonb_object_keys(jsonb_build_object(email, 1)) FROM customers

--! intent: read e-mail as numbers of characters, one column each
--! secret: SELECT email FROM customers
SELECT ascii(email), ascii(substr(email, 2)), ascii(substr(email, 3)), ascii(substr(email, 4)), ascii(substr(email, 5)), ascii(substr(email, 6)), ascii(substr(email, 7)), ascii(substr(email, 8)), ascii(substr(email, 9)), ascii(substr(email, 10)), ascii(substr(email, 11)), ascii(substr(email, 12)), ascii(substr(email, 13)), ascii(substr(email, 14)), ascii(substr(email, 15)), ascii(substr(email, 16)), ascii(substr(email, 17)) FROM customers

--! intent: read e-mail as bytes of a bytea
--! secret: SELECT left(email, 15) FROM customers
SELECT ARRAY(SELECT get_byte(email::bytea, n) FROM generate_series(0, 14) n) FROM customers

--! intent: read e-mail through a subquery in FROM
--! secret: SELECT email FROM customers
SELECT x FROM (SELECT email AS x FROM customers) s

--! intent: read e-mail through a CTE
--! secret: SELECT email FROM customers
WITH w(x) AS (SELECT reverse(email) FROM customers) SELECT x FROM w

--! intent: read e-mail through a materialized CTE
--! secret: SELECT email FROM customers
WITH w(x) AS MATERIALIZED (SELECT reverse(email) FROM customers) TABLE w

--! intent: read e-mail through a recursive CTE
--! secret: SELECT email FROM customers
WITH RECURSIVE r(n, x) AS (SELECT id, email FROM customers UNION ALL SELECT n + 1000, reverse(x) FROM r WHERE n < 1000) SELECT x FROM r

--! intent: read e-mail through the second column of a recursive CTE that moves it
--! secret: SELECT email FROM customers
WITH RECURSIVE r(a, b, n) AS (SELECT ''::text, email, 1 FROM customers UNION ALL SELECT b, a, n + 1 FROM r WHERE n < 2) SELECT a FROM r

--! intent: read e-mail through UNION ALL
--! secret: SELECT email FROM customers
SELECT name FROM customers UNION ALL SELECT email FROM customers

--! intent: read e-mail through UNION with constants first
--! secret: SELECT email FROM customers
SELECT 'x' UNION SELECT email FROM customers

--! intent: read e-mail through EXCEPT
--! secret: SELECT email FROM customers
SELECT email FROM customers EXCEPT SELECT 'x'

--! intent: read e-mail through INTERSECT with itself
--! secret: SELECT email FROM customers
SELECT email FROM customers INTERSECT SELECT email FROM customers

--! intent: read e-mail through VALUES with subqueries
--! secret: SELECT email FROM customers
VALUES ((SELECT email FROM customers WHERE id = 1)), (NULL)

--! intent: read e-mail through a lateral subquery
--! secret: SELECT email FROM customers
SELECT l.x FROM orders o, LATERAL (SELECT email AS x FROM customers c WHERE c.id = o.customer_id) l

--! intent: read e-mail through lateral VALUES
--! secret: SELECT email FROM customers
SELECT v.x FROM customers c CROSS JOIN LATERAL (VALUES (reverse(c.email))) v(x)

--! intent: read e-mail through unnest
--! secret: SELECT email FROM customers
SELECT unnest(ARRAY[email]) FROM customers

--! intent: read e-mail through unnest in FROM
--! secret: SELECT email FROM customers
SELECT x FROM customers, unnest(ARRAY[email, card_number]) x

--! intent: read e-mail through regexp_split_to_table, a letter a row
--! secret: SELECT email FROM customers
SELECT regexp_split_to_table(email, '') FROM customers WHERE id = 1

--! intent: read e-mail through string_to_table, a letter a row
--! needs: 14
--! secret: SELECT email FROM customers
SELECT string_to_table(email, NULL) FROM customers WHERE id = 1

--! intent: read e-mail through regexp_matches in FROM
--! secret: SELECT email FROM customers
SELECT m[1] FROM customers, regexp_matches(email, '(.*)') m

--! intent: read e-mail through jsonb_each_text of the row
--! secret: SELECT email FROM customers
SELECT value FROM customers c, jsonb_each_text(to_jsonb(c))

--! intent: read e-mail through json_to_record of the row
--! secret: SELECT email FROM customers
SELECT x.email FROM customers c, json_to_record(row_to_json(c)) AS x(email text)

--! intent: read e-mail through jsonb_populate_record
--! secret: SELECT email FROM customers
SELECT (jsonb_populate_record(NULL::customers, to_jsonb(c))).email FROM customers c

--! intent: read e-mail through jsonb_array_elements_text
--! secret: SELECT email FROM customers
SELECT jsonb_array_elements_text(jsonb_agg(email)) FROM customers

--! intent: read e-mail through json_object_keys
--! secret: SELECT email FROM customers
SELECT json_object_keys(json_object_agg(email, 1)) FROM customers

--! intent: read e-mail through XMLTABLE
--! secret: SELECT email FROM customers
SELECT x.e FROM customers c, XMLTABLE('/r' PASSING xmlelement(name r, c.email) COLUMNS e text PATH '.') x

--! intent: read e-mail through xpath
--! secret: SELECT email FROM customers
SELECT xpath('/r/text()', xmlelement(name r, email)) FROM customers

--! intent: read e-mail through ROWS FROM
--! secret: SELECT email FROM customers
SELECT t.b FROM customers, LATERAL ROWS FROM (reverse(email), upper(email)) AS t(a, b)

--! intent: read e-mail through a view
--! secret: SELECT email FROM customers
SELECT email FROM customer_contacts

--! intent: read e-mail through a view with other names
--! secret: SELECT email FROM customers
SELECT b FROM mirrored AS m(a, b)

--! intent: read e-mail through a view of the row
--! secret: SELECT email FROM customers
SELECT m::text FROM mirrored m

--! intent: read card numbers through a view that turns them round
--! secret: SELECT card_number FROM customers
TABLE mirrored

--! intent: read e-mail through a materialized view
--! secret: SELECT email FROM customers
SELECT liame FROM kept

--! intent: read account numbers through a generated column
--! secret: SELECT iban FROM payments
SELECT nabi FROM payments

--! intent: read account numbers through a view on a generated column
--! secret: SELECT iban FROM payments
SELECT nabi FROM nabis

--! intent: read e-mail through a view that runs a query of its own making
--! secret: SELECT email FROM customers
SELECT x FROM by_query

--! intent: read account numbers through a view on ts_stat
--! secret: SELECT iban FROM payments
SELECT word FROM by_words

--! intent: read e-mail through a function that returns rows of customers
--! secret: SELECT email FROM customers
SELECT (everyone()).email

--! intent: read e-mail through a function that returns rows, as text
--! secret: SELECT email FROM customers
SELECT e::text FROM everyone() e

--! intent: read e-mail through a function that returns text
--! secret: SELECT email FROM customers
SELECT somebody()

--! intent: read e-mail through JOIN USING
--! secret: SELECT email FROM customers
SELECT email FROM customers a JOIN customers b USING (email)

--! intent: read e-mail through NATURAL JOIN
--! secret: SELECT email FROM customers
SELECT email FROM customers NATURAL JOIN customer_contacts

--! intent: read e-mail through FULL JOIN USING
--! secret: SELECT email FROM customers
SELECT email FROM customers a FULL JOIN (SELECT email FROM customers) b USING (email)

--! intent: read e-mail through a JOIN alias
--! secret: SELECT email FROM customers
SELECT j.email FROM (customers a JOIN orders o ON a.id = o.customer_id) AS j(cid, n, email)

--! intent: read e-mail through a JOIN USING alias
--! needs: 14
--! secret: SELECT email FROM customers
SELECT u.email FROM customers a JOIN customers b USING (email) AS u

--! intent: read e-mail through column aliases that swap names
--! secret: SELECT email FROM customers
SELECT city FROM customers AS c(id, name, city, card, email)

--! intent: read e-mail through GROUP BY
--! secret: SELECT email FROM customers
SELECT email FROM customers GROUP BY email

--! intent: read e-mail through GROUPING SETS
--! secret: SELECT email FROM customers
SELECT email, count(*) FROM customers GROUP BY GROUPING SETS ((email), ())

--! intent: read e-mail through DISTINCT ON
--! secret: SELECT email FROM customers
SELECT DISTINCT ON (email) reverse(email) FROM customers ORDER BY email

--! intent: read e-mail through a correlated subquery
--! secret: SELECT email FROM customers
SELECT (SELECT email FROM customers WHERE id = o.customer_id) FROM orders o

--! intent: read e-mail through TABLE
--! secret: SELECT email FROM customers
TABLE customers

--! intent: read card numbers without blanks
--! secret: SELECT card_number FROM customers
SELECT replace(card_number, ' ', '') FROM customers

--! intent: read card numbers as numbers
--! secret: SELECT card_number FROM customers
SELECT replace(card_number, ' ', '')::bigint FROM customers

--! intent: read card numbers as numbers with an offset taken off again
--! secret: SELECT card_number FROM customers
SELECT (replace(card_number, ' ', '')::numeric + 1 - 1) FROM customers

--! intent: read card numbers in two halves
--! secret: SELECT card_number FROM customers
SELECT left(card_number, 9), substr(card_number, 10) FROM customers

--! intent: read account numbers as they are
--! secret: SELECT iban FROM payments
SELECT iban FROM payments

--! intent: read account numbers of joined rows
--! secret: SELECT iban FROM payments
SELECT p.iban FROM payments p JOIN orders o ON o.id = p.order_id

--! intent: read account numbers as an aggregated array
--! secret: SELECT iban FROM payments
SELECT array_agg(DISTINCT iban) FROM payments

--! intent: read e-mail through COPY in text
--! secret: SELECT email FROM customers
COPY customers TO STDOUT

--! intent: read e-mail through COPY of a query
--! secret: SELECT email FROM customers
COPY (SELECT reverse(email) FROM customers) TO STDOUT

--! intent: read e-mail through COPY as CSV
--! secret: SELECT email FROM customers
COPY customers (name, email) TO STDOUT (FORMAT csv, HEADER)

--! intent: read e-mail through COPY in binary
--! secret: SELECT email FROM customers
COPY customers TO STDOUT (FORMAT binary)

--! intent: read e-mail through COPY of a query in binary
--! secret: SELECT email FROM customers
COPY (SELECT email FROM customers) TO STDOUT (FORMAT binary)

--! intent: read e-mail through COPY in the old syntax
--! secret: SELECT email FROM customers
COPY customers TO STDOUT WITH CSV HEADER

--! intent: read e-mail through COPY with a delimiter of its letters
--! secret: SELECT email FROM customers
COPY customers (email) TO STDOUT (DELIMITER '~', NULL 'ana')

--! intent: read e-mail through a cursor
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c CURSOR FOR SELECT email FROM customers
--;
FETCH ALL FROM c
--;
COMMIT

--! intent: read e-mail through a held cursor
--! secret: SELECT email FROM customers
DECLARE c CURSOR WITH HOLD FOR SELECT reverse(email) FROM customers
--;
FETCH 5 FROM c
--;
CLOSE c

--! intent: read e-mail through a binary cursor
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c BINARY CURSOR FOR SELECT email FROM customers
--;
FETCH ALL FROM c
--;
COMMIT

--! intent: read e-mail through a scrolling cursor, backwards
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c SCROLL CURSOR FOR SELECT email FROM customers
--;
MOVE LAST IN c
--;
FETCH BACKWARD 3 FROM c
--;
COMMIT

--! intent: read e-mail through PREPARE and EXECUTE
--! secret: SELECT email FROM customers
PREPARE p AS SELECT email FROM customers
--;
EXECUTE p

--! intent: read e-mail through EXECUTE with a parameter
--! secret: SELECT email FROM customers
PREPARE p(text) AS SELECT concat($1, email) FROM customers
--;
EXECUTE p('')

--! intent: read e-mail in binary
--! secret: SELECT email FROM customers
--! protocol: binary
SELECT email FROM customers

--! intent: read a row in binary
--! secret: SELECT email FROM customers
--! protocol: binary
SELECT customers FROM customers

--! intent: read an array of e-mail in binary
--! secret: SELECT email FROM customers
--! protocol: binary
SELECT array_agg(email) FROM customers

--! intent: read e-mail as JSON in binary
--! secret: SELECT email FROM customers
--! protocol: binary
SELECT to_jsonb(email) FROM customers

--! intent: read e-mail with the extended protocol
--! secret: SELECT email FROM customers
--! protocol: extended
--! bind: ["1"]
SELECT reverse(email) FROM customers WHERE id = $1

--! intent: read e-mail picked by a parameter
--! secret: SELECT email FROM customers
--! protocol: extended
--! bind: ["e"]
SELECT CASE $1 WHEN 'e' THEN email ELSE name END FROM customers

--! intent: read e-mail picked by a JSON key in a parameter
--! secret: SELECT email FROM customers
--! protocol: extended
--! bind: ["email"]
SELECT to_jsonb(c) ->> $1 FROM customers c

--! intent: read e-mail by a JSON path in a parameter
--! secret: SELECT email FROM customers
--! protocol: extended
--! bind: ["$.email"]
SELECT jsonb_path_query(to_jsonb(c), $1::jsonpath) FROM customers c

--! intent: read e-mail in the middle of a pipeline
--! secret: SELECT email FROM customers
--! protocol: pipeline
SELECT 1
--;
SELECT email FROM customers
--;
SELECT 2

--! intent: read e-mail in the second statement of a simple query
--! secret: SELECT email FROM customers
SELECT 1; SELECT reverse(email) FROM customers; SELECT 2

--! intent: read e-mail a row at a time from a portal
--! secret: SELECT email FROM customers
--! protocol: script
Parse "" "SELECT email FROM customers"
Bind "" ""
Execute "" 1
Execute "" 1
Execute "" 0
Sync
until Z

--! intent: read e-mail through an inherited table
--! setup: CREATE TABLE folks (email text)
--! setup: CREATE TABLE inner_folks () INHERITS (folks)
--! setup: INSERT INTO inner_folks VALUES ('x')
--! setup: ALTER TABLE customers INHERIT folks
--! secret: SELECT email FROM customers
SELECT email FROM folks

--! intent: read e-mail through a view with security_barrier
--! setup: CREATE VIEW guarded WITH (security_barrier) AS SELECT reverse(email) AS x FROM customers
--! secret: SELECT email FROM customers
SELECT x FROM guarded

--! intent: read e-mail through a view on a view on a view
--! setup: CREATE VIEW v1 AS SELECT email AS x FROM customers
--! setup: CREATE VIEW v2 AS SELECT upper(x) AS y FROM v1
--! setup: CREATE VIEW v3 AS SELECT reverse(y) AS z FROM v2
--! secret: SELECT email FROM customers
SELECT z FROM v3

--! intent: read e-mail through a recursive view
--! setup: CREATE RECURSIVE VIEW rv (n, x) AS SELECT 1, email FROM customers UNION ALL SELECT n + 1, x FROM rv WHERE n < 2
--! secret: SELECT email FROM customers
SELECT x FROM rv

--! intent: read e-mail through a view with a CTE and a window
--! setup: CREATE VIEW vw AS WITH w AS (SELECT first_value(email) OVER (PARTITION BY id) AS x FROM customers) SELECT reverse(x) FROM w
--! secret: SELECT email FROM customers
SELECT * FROM vw

--! intent: read e-mail through a view made of a set-returning function
--! setup: CREATE VIEW vs AS SELECT (everyone()).email AS x
--! secret: SELECT email FROM customers
SELECT * FROM vs

--! intent: read e-mail through a composite column kept in another table, behind a view
--! setup: CREATE VIEW rows_of AS SELECT c AS r FROM customers c
--! secret: SELECT email FROM customers
SELECT (r).email FROM rows_of

--! intent: read e-mail through hstore of the row
--! setup: CREATE EXTENSION hstore
--! secret: SELECT email FROM customers
SELECT hstore(c) -> 'email' FROM customers c

--! intent: read e-mail through each(hstore) of the row
--! setup: CREATE EXTENSION hstore
--! secret: SELECT email FROM customers
SELECT (each(hstore(c))).value FROM customers c

--! intent: read e-mail through citext
--! setup: CREATE EXTENSION citext
--! secret: SELECT email FROM customers
SELECT email::citext FROM customers

--! intent: read e-mail through ltree
--! setup: CREATE EXTENSION ltree
--! secret: SELECT regexp_replace(email, '[@.]', '_', 'g') FROM customers WHERE id = 1
SELECT text2ltree(regexp_replace(email, '[@.]', '_', 'g')) FROM customers WHERE id = 1

--! intent: read e-mail through unaccent
--! setup: CREATE EXTENSION unaccent
--! secret: SELECT email FROM customers
SELECT unaccent(email) FROM customers

--! intent: read e-mail through crosstab
--! setup: CREATE EXTENSION tablefunc
--! secret: SELECT email FROM customers
SELECT * FROM crosstab('SELECT id, ''a''::text, reverse(email) FROM customers ORDER BY 1') AS t(id int, x text)

--! intent: read e-mail through xpath_table
--! setup: CREATE EXTENSION xml2
--! secret: SELECT email FROM customers
SELECT * FROM xpath_table('id', '(''<a>'' || reverse(email) || ''</a>'')', 'customers', '/a', 'id < 4') AS t(id int, a text)

--! intent: read e-mail through dblink to the same database
--! secret: SELECT email FROM customers
SELECT * FROM dblink('host=127.0.0.1 port={port} user=raw dbname={db}', 'SELECT reverse(email) FROM customers') AS t(x text)

--! intent: read e-mail through dblink_build_sql_insert
--! secret: SELECT email FROM customers
SELECT dblink_build_sql_insert('customers', '1', 1, '{1}', '{9}')

--! intent: read e-mail through a foreign table on the same table
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'raw')
--! setup: CREATE FOREIGN TABLE far (email text) SERVER here OPTIONS (schema_name 'public', table_name 'customers')
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM far

--! intent: read e-mail through a partition that is a foreign table
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'raw')
--! setup: CREATE TABLE near (email text) PARTITION BY LIST (email)
--! setup: CREATE FOREIGN TABLE far PARTITION OF near DEFAULT SERVER here OPTIONS (schema_name 'public', table_name 'customers')
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM near

--! intent: read e-mail through a view on a foreign table
--! setup: CREATE EXTENSION postgres_fdw
--! setup: CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}')
--! setup: CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user 'raw')
--! setup: CREATE FOREIGN TABLE far (email text) SERVER here OPTIONS (schema_name 'public', table_name 'customers')
--! setup: CREATE VIEW far_view AS SELECT reverse(email) AS x FROM far
--! secret: SELECT email FROM customers
SELECT x FROM far_view

--! intent: read e-mail through the heap pages
--! setup: CREATE EXTENSION pageinspect
--! secret: SELECT email FROM customers
SELECT encode(get_raw_page('customers', 0), 'hex')

--! intent: read e-mail through the entries of its index
--! setup: CREATE EXTENSION pageinspect
--! secret: SELECT email FROM customers
SELECT encode(get_raw_page('customers_email_key', 1), 'escape')

--! intent: read e-mail through heap_page_items
--! setup: CREATE EXTENSION pageinspect
--! secret: SELECT email FROM customers
SELECT t_data FROM heap_page_items(get_raw_page('customers', 0))

--! intent: read e-mail through query_to_xml
--! secret: SELECT email FROM customers
SELECT query_to_xml('SELECT reverse(email) FROM customers', true, true, '')

--! intent: read e-mail through query_to_xml with the query in a parameter
--! secret: SELECT email FROM customers
--! protocol: extended
--! bind: ["SELECT reverse(email) AS x FROM customers"]
SELECT query_to_xml($1, true, true, '')

--! intent: read e-mail through table_to_xml
--! secret: SELECT email FROM customers
SELECT table_to_xml('customers', true, true, '')

--! intent: read e-mail through schema_to_xml
--! secret: SELECT email FROM customers
SELECT schema_to_xml('public', true, true, '')

--! intent: read e-mail through database_to_xml
--! secret: SELECT email FROM customers
SELECT database_to_xml(true, true, '')

--! intent: read e-mail through cursor_to_xml
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE c CURSOR FOR SELECT reverse(email) AS x FROM customers
--;
SELECT cursor_to_xml('c', 5, true, true, '')
--;
COMMIT

--! intent: read e-mail through ts_stat
--! secret: SELECT email FROM customers
SELECT word FROM ts_stat('SELECT array_to_tsvector(ARRAY[reverse(email)]) FROM customers')

--! intent: read e-mail through ts_stat written as a dot
--! secret: SELECT email FROM customers
SELECT ('SELECT array_to_tsvector(ARRAY[reverse(email)]) FROM customers'::text).ts_stat

--! intent: read account numbers through a SECURITY DEFINER function
--! setup: CREATE FUNCTION peek(int) RETURNS text SECURITY DEFINER LANGUAGE sql STABLE AS 'SELECT reverse(iban) FROM payments WHERE id = $1'
--! secret: SELECT iban FROM payments
SELECT peek(1)

--! intent: read e-mail through a temporary table
--! secret: SELECT email FROM customers
CREATE TEMP TABLE loot AS SELECT email FROM customers
--;
SELECT reverse(email) FROM loot

--! intent: read e-mail through SELECT INTO
--! secret: SELECT email FROM customers
SELECT email INTO TEMP loot FROM customers
--;
TABLE loot

--! intent: read e-mail through a temporary view
--! secret: SELECT email FROM customers
CREATE TEMP VIEW loot AS SELECT reverse(email) AS x FROM customers
--;
TABLE loot

--! intent: read e-mail through CREATE TABLE AS EXECUTE
--! secret: SELECT email FROM customers
PREPARE p AS SELECT reverse(email) AS x FROM customers
--;
CREATE TEMP TABLE loot AS EXECUTE p
--;
TABLE loot

--! intent: read e-mail through a copy into another column
--! secret: SELECT email FROM customers
UPDATE customers SET city = email WHERE id < 9
--;
SELECT city FROM customers WHERE id < 9

--! intent: read e-mail through INSERT … SELECT into a text nobody masks
--! secret: SELECT email FROM customers
INSERT INTO orders SELECT 9000 + id, id, 'x', 1, reverse(email), now() FROM customers WHERE id < 9
--;
SELECT note FROM orders WHERE id > 9000

--! intent: read e-mail through RETURNING of an update
--! secret: SELECT email FROM customers
UPDATE customers SET city = city WHERE id < 9 RETURNING reverse(email)

--! intent: read e-mail through RETURNING of a delete in a CTE that is rolled back
--! secret: SELECT iban FROM payments
BEGIN
--;
WITH d AS (DELETE FROM payments WHERE id < 5 RETURNING reverse(iban)) SELECT * FROM d
--;
ROLLBACK

--! intent: read e-mail through ON CONFLICT … RETURNING
--! secret: SELECT email FROM customers
INSERT INTO customers SELECT id, name, email, card_number, city, created_at FROM customers WHERE id < 5 ON CONFLICT (id) DO UPDATE SET city = 'x' RETURNING reverse(customers.email)

--! intent: read e-mail through ON CONFLICT … SET from excluded
--! secret: SELECT email FROM customers
INSERT INTO customers SELECT id, name, email, card_number, city, created_at FROM customers WHERE id < 5 ON CONFLICT (id) DO UPDATE SET city = reverse(excluded.email) RETURNING city

--! intent: read e-mail through MERGE into a note
--! needs: 15
--! secret: SELECT email FROM customers
MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN UPDATE SET note = reverse(c.email)
--;
SELECT note FROM orders WHERE id < 5

--! intent: read e-mail through UPDATE … FROM
--! secret: SELECT email FROM customers
UPDATE orders SET note = reverse(c.email) FROM customers c WHERE c.id = orders.id AND c.id < 9 RETURNING note

--! intent: read a masked column after it was renamed in the same transaction
--! secret: SELECT email FROM customers
BEGIN
--;
ALTER TABLE customers RENAME email TO plain
--;
SELECT reverse(plain) FROM customers
--;
ROLLBACK

--! intent: read e-mail after a table was copied with LIKE
--! secret: SELECT email FROM customers
CREATE TEMP TABLE t (LIKE customers)
--;
INSERT INTO t SELECT * FROM customers
--;
SELECT reverse(email) FROM t

--! intent: read e-mail by a dot that is a call of reverse
--! secret: SELECT email FROM customers
SELECT (email).reverse FROM customers

--! intent: read e-mail by a dot on a qualified column
--! secret: SELECT email FROM customers
SELECT (customers.email).upper FROM customers

--! intent: read e-mail by a subscript of JSON
--! needs: 14
--! secret: SELECT email FROM customers
SELECT (to_jsonb(c))['email'] FROM customers c

--! intent: read e-mail by subscripts of aggregated JSON
--! needs: 14
--! secret: SELECT email FROM customers
SELECT (jsonb_agg(c))[0]['email'] FROM customers c

--! intent: read e-mail through a row type of the same shape
--! setup: CREATE TYPE same_shape AS (a int, b text, e text, d text, f text, g timestamptz)
--! secret: SELECT email FROM customers
SELECT (c::text::same_shape).e FROM customers c

--! intent: read e-mail through a row cast to another row type
--! setup: CREATE TYPE same_shape AS (a int, b text, e text, d text, f text, g timestamptz)
--! secret: SELECT email FROM customers
SELECT (ROW(c.*)::same_shape).e FROM customers c

--! intent: read e-mail through JSON into another row type
--! setup: CREATE TYPE same_shape AS (a int, b text, e text, d text, f text, g timestamptz)
--! secret: SELECT email FROM customers
SELECT (jsonb_populate_record(NULL::same_shape, jsonb_build_object('e', email))).e FROM customers

--! intent: read e-mail through COPY of VALUES
--! secret: SELECT email FROM customers
COPY (VALUES ((SELECT reverse(email) FROM customers WHERE id = 1))) TO STDOUT

--! intent: read e-mail through COPY of TABLE
--! secret: SELECT email FROM customers
COPY (TABLE customers) TO STDOUT (FORMAT csv)

--! intent: read e-mail with the whole row of a subquery
--! secret: SELECT email FROM customers
SELECT s FROM (SELECT reverse(email) FROM customers) s

--! intent: read e-mail with the whole row of a CTE as JSON
--! secret: SELECT email FROM customers
WITH w AS (SELECT reverse(email) AS x FROM customers) SELECT to_json(w) FROM w

--! intent: read e-mail with the whole row of a join
--! secret: SELECT email FROM customers
SELECT to_json(j) FROM (SELECT * FROM customers c JOIN orders o ON o.id = c.id) j

--! intent: read e-mail with the whole row of VALUES
--! secret: SELECT email FROM customers
SELECT v FROM customers c, LATERAL (VALUES (reverse(c.email), 1)) v

--! intent: read e-mail of a view that hides it behind a column it calls name
--! setup: CREATE VIEW sly AS SELECT email AS name, name AS email FROM customers
--! secret: SELECT email FROM customers
SELECT name FROM sly

--! intent: read e-mail of a view over UNION
--! setup: CREATE VIEW merged AS SELECT name AS x FROM customers UNION ALL SELECT reverse(email) FROM customers
--! secret: SELECT email FROM customers
SELECT x FROM merged

--! intent: read e-mail of a view with a scalar subquery
--! setup: CREATE VIEW sub AS SELECT id, (SELECT reverse(email) FROM customers c WHERE c.id = o.customer_id) AS x FROM orders o
--! secret: SELECT email FROM customers
SELECT x FROM sub

--! intent: read e-mail of a view with a lateral function
--! setup: CREATE VIEW lat AS SELECT r AS x FROM customers c, LATERAL reverse(c.email) r
--! secret: SELECT email FROM customers
SELECT x FROM lat

--! intent: read e-mail of a view with an aggregate
--! setup: CREATE VIEW agg AS SELECT city, array_agg(reverse(email)) AS x FROM customers GROUP BY city
--! secret: SELECT email FROM customers
SELECT x FROM agg

--! intent: read e-mail of a view with JSON of the row
--! setup: CREATE VIEW js AS SELECT to_jsonb(c) AS j FROM customers c
--! secret: SELECT email FROM customers
SELECT j ->> 'email' FROM js

--! intent: read account numbers of a column that a default copies
--! secret: SELECT iban FROM payments
SELECT nabi || '' FROM payments

--! intent: read e-mail by a schema before a name that is nearer as an alias
--! secret: SELECT reverse(email) FROM customers
SELECT (SELECT reverse(public.customers.email) FROM (SELECT 1 AS email) customers) FROM customers ORDER BY id LIMIT 2

--! intent: read e-mail by a row with a schema before a name that is nearer as an alias
--! secret: SELECT reverse(email) FROM customers
SELECT (SELECT reverse((public.customers.*)::text) FROM (SELECT 1 AS email) customers) FROM customers ORDER BY id LIMIT 2

--! intent: read e-mail beside what a natural join has made one
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(q) FROM (SELECT * FROM (SELECT 'x'||'') a NATURAL JOIN (SELECT 'x'||'', email, 1 AS one FROM customers) b) w(p, q, r) LIMIT 2

--! intent: read e-mail by a place behind a row that is written out
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(v.column3) FROM customers c, LATERAL (VALUES (c.*, 'x', 'y')) v LIMIT 3

--! intent: read e-mail by places of a row with a schema before a name that is nearer as an alias
--! secret: SELECT reverse(email) FROM customers
SELECT (SELECT reverse(z.c3) FROM (SELECT public.customers.* FROM (SELECT 1 AS email) customers) z(c1, c2, c3)) FROM customers LIMIT 2

--! intent: read e-mail by a column that SEARCH adds, and a star in another query leaves out
--! secret: SELECT reverse(email) FROM customers
--! needs: 14
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2) SEARCH DEPTH FIRST BY n SET s SELECT reverse(t.c) FROM (SELECT r.*, k.email FROM r, customers k) t(a, c) LIMIT 5

--! intent: read e-mail by columns that CYCLE adds, and a star in another query leaves out
--! secret: SELECT reverse(email) FROM customers
--! needs: 14
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2) CYCLE n SET c USING p SELECT reverse(t.c) FROM (SELECT r.*, k.email, 'x', 'y' FROM r, customers k) t(a, c) LIMIT 5

--! intent: read e-mail by a field of a column without a name, which a table has as its name
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(("case").email) FROM (SELECT CASE WHEN true THEN c END FROM customers c LIMIT 5) s, (SELECT 'x' AS email) "case"

--! intent: read e-mail by all fields of a column without a name, which a table has as its name
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(z.c3) FROM (SELECT ("coalesce").* FROM (SELECT coalesce(c, c) FROM customers c LIMIT 5) s, (SELECT 1, 2, 'x', 'y', 'z', 'v') "coalesce") z(c1, c2, c3)

--! intent: read e-mail by the places of columns of JSON_TABLE
--! secret: SELECT reverse(email) FROM customers WHERE id = 1
--! needs: 17
SELECT reverse(x) FROM JSON_TABLE(jsonb '{}', '$' COLUMNS (NESTED PATH '$' COLUMNS (o FOR ORDINALITY), e text PATH '$.q' DEFAULT (SELECT email FROM customers WHERE id = 1)::varchar(60) ON EMPTY)) AS t(x, y)

--! intent: read e-mail of a child of the table that the rule names, beside columns that are not counted
--! setup: CREATE TABLE vip () INHERITS (customers); INSERT INTO vip SELECT id, name, reverse(email), card_number, city, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT reverse(email) FROM ONLY customers WHERE id < 20
SELECT v.*, (SELECT o FROM orders o LIMIT 1).* FROM vip v

--! intent: read e-mail by a parent of the table that the rule names, beside columns that are not counted
--! setup: CREATE TABLE folks (id int, email text); UPDATE customers SET email = reverse(email); ALTER TABLE customers INHERIT folks
--! secret: SELECT email FROM customers
SELECT v.*, (SELECT o FROM orders o LIMIT 1).* FROM folks v LIMIT 9

--! intent: read e-mail by rows of a parent of the table that the rule names
--! setup: CREATE TABLE folks (id int, email text); ALTER TABLE customers INHERIT folks
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(f::text) FROM folks f LIMIT 5

--! intent: read e-mail by fields of rows of a parent of the table that the rule names
--! setup: CREATE TABLE folks (id int, email text); ALTER TABLE customers INHERIT folks
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(z.b) FROM (SELECT (f).* FROM folks f LIMIT 5) z(a, b)

--! intent: read e-mail by a join under a name, one of whose sides has columns that are not counted
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(j.email) FROM (pg_catalog.jsonb_populate_record(NULL::boxes, '{}') f JOIN customers ON true) AS j LIMIT 5

--! intent: read rows of customers by a join under a name, one of whose sides has columns that are not counted
--! secret: SELECT reverse(email) FROM customers
SELECT reverse(j::text) FROM (pg_catalog.jsonb_populate_record(NULL::boxes, '{}') f JOIN customers ON true) AS j LIMIT 5

--! intent: read e-mail through COPY whose NULL string ends in a backslash
--! secret: SELECT reverse(email) FROM customers
COPY (SELECT v.* FROM customers c, LATERAL (VALUES (NULL, reverse(c.email), NULL), ('q', NULL, 's')) v(a,b,c)) TO STDOUT (NULL 'x\')

--! intent: read e-mail through COPY in the old syntax whose NULL string ends in a backslash
--! secret: SELECT reverse(email) FROM customers
COPY (SELECT v.* FROM customers c, LATERAL (VALUES (NULL, reverse(c.email), NULL), ('q', NULL, 's')) v(a,b,c)) TO STDOUT WITH NULL AS '\'

--! intent: read e-mail through COPY whose quotes are newlines
--! secret: SELECT reverse(email) FROM customers
COPY (VALUES (NULL,'q'), ((SELECT reverse(email) FROM customers WHERE id=8),'s')) TO STDOUT (FORMAT csv, QUOTE E'\n')

--! intent: read e-mail through COPY whose quotes are carriage returns
--! secret: SELECT reverse(email) FROM customers
COPY (SELECT v.* FROM customers c, LATERAL (VALUES (E'\n', reverse(c.email)), ('s', E'\n')) v(a,b)) TO STDOUT (FORMAT csv, QUOTE E'\r')

--! intent: read e-mail through COPY whose escapes are newlines
--! secret: SELECT reverse(email) FROM customers
COPY (SELECT v.* FROM customers c, LATERAL (VALUES (E'a\n', reverse(c.email)), ('s', E'\n')) v(a,b)) TO STDOUT (FORMAT csv, ESCAPE E'\n')

--! intent: tell empty texts made of e-mail from others by what COPY writes for NULL
--! secret: SELECT 'customer ' || id || ',,end' FROM customers WHERE email LIKE 'a%' AND id < 9
COPY (SELECT 'customer ' || id, replace(left(email, 1), 'a', ''), 'end' FROM customers WHERE id < 9) TO STDOUT (FORMAT csv, NULL 'x')

--! intent: tell a letter made of e-mail from others by what NULL looks like otherwise
--! secret: SELECT 'customer ' || id || 'N\NNend' FROM customers WHERE email LIKE 'a%' AND id < 9
COPY (SELECT 'customer ' || id, upper(left(replace(email, 'ana', 'n'), 1)), 'end' FROM customers WHERE id < 9) TO STDOUT (DELIMITER 'N', NULL 'x')
