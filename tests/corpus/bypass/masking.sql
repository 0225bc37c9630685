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

--! intent: read e-mail as the separator of a joined array
--! secret: SELECT email FROM customers
SELECT array_to_string(ARRAY['', ''], reverse(email)) FROM customers

--! intent: read e-mail as what stands for NULL in a joined array
--! secret: SELECT email FROM customers
SELECT array_to_string(ARRAY['a', NULL], ',', reverse(email)) FROM customers

--! intent: read e-mail as what replaces a text
--! secret: SELECT email FROM customers
SELECT replace('x', 'x', reverse(email)) FROM customers

--! intent: read e-mail as what replaces a regular expression
--! secret: SELECT email FROM customers
SELECT regexp_replace('x', 'x', reverse(email)) FROM customers

--! intent: read e-mail as what fills up a text
--! secret: SELECT email FROM customers
SELECT lpad('', 24, reverse(email)) FROM customers

--! intent: read e-mail as the separator of concat_ws
--! secret: SELECT email FROM customers
SELECT concat_ws(reverse(email), '', '') FROM customers

--! intent: read e-mail as the separator of string_agg
--! secret: SELECT email FROM customers
SELECT string_agg('', reverse(email)) FROM customers WHERE id < 3

--! intent: read e-mail as the pattern that a time is written by
--! secret: SELECT email FROM customers
SELECT to_char(now(), '"' || reverse(email) || '"') FROM customers

--! intent: read e-mail as the pattern that a number is written by
--! secret: SELECT email FROM customers
SELECT to_char(1, '"' || reverse(email) || '"') FROM customers

--! intent: read e-mail as what is laid over a text
--! secret: SELECT email FROM customers
SELECT overlay('x' placing reverse(email) from 1) FROM customers

--! intent: read e-mail as the letters that translate puts in
--! secret: SELECT email FROM customers
SELECT translate('abcdefghijklmno', 'abcdefghijklmno', reverse(email)) FROM customers WHERE id = 1

--! intent: read e-mail as the path of a column of XMLTABLE
--! secret: SELECT email FROM customers
SELECT t.v FROM customers c, XMLTABLE('/a' PASSING '<a/>' COLUMNS v text PATH ('string("' || reverse(c.email) || '")')) t

--! intent: read e-mail as the default of a column of XMLTABLE
--! secret: SELECT email FROM customers
SELECT t.v FROM customers c, XMLTABLE('/a' PASSING '<a/>' COLUMNS v text PATH 'b' DEFAULT reverse(c.email)) t

--! intent: read e-mail as an XPath expression
--! secret: SELECT email FROM customers
SELECT (xpath('string("' || reverse(email) || '")', '<a/>'))[1]::text FROM customers

--! intent: read e-mail as a variable of a JSON path
--! secret: SELECT email FROM customers
SELECT jsonb_path_query('{}', '$v', jsonb_build_object('v', reverse(email))) FROM customers

--! intent: read e-mail in a variadic array of concat
--! secret: SELECT email FROM customers
SELECT concat(VARIADIC ARRAY[reverse(email)]) FROM customers

--! intent: read e-mail in a variadic array of a JSON object
--! secret: SELECT email FROM customers
SELECT json_build_object(VARIADIC ARRAY['a', reverse(email)]) FROM customers

--! intent: read e-mail in a variadic array of format
--! secret: SELECT email FROM customers
SELECT format('%s', VARIADIC ARRAY[reverse(email)]) FROM customers

--! intent: read e-mail as a field of a row filled from an empty document
--! secret: SELECT email FROM customers
SELECT reverse((jsonb_populate_record(c, '{}')).email) FROM customers c

--! intent: read e-mail as a field of COALESCE of rows
--! secret: SELECT email FROM customers
SELECT reverse((coalesce(NULL::customers, c)).email) FROM customers c

--! intent: read e-mail as a field of CASE of rows
--! secret: SELECT email FROM customers
SELECT reverse((CASE WHEN true THEN c END).email) FROM customers c

--! intent: read e-mail as a field of the row before
--! secret: SELECT email FROM customers
SELECT reverse((lag(c) OVER (ORDER BY id)).email) FROM customers c

--! intent: read e-mail as a field of a row in a subscripted array of rows
--! secret: SELECT email FROM customers
SELECT reverse((ARRAY[c])[1].email) FROM customers c

--! intent: read e-mail as a field of an aggregated row of a window
--! secret: SELECT email FROM customers
SELECT reverse((first_value(c) OVER ()).email) FROM customers c

--! intent: read e-mail as a field of a row in a row
--! secret: SELECT email FROM customers
SELECT reverse((x.r).email) FROM (SELECT c AS r, ROW(c, 1) FROM customers c) x

--! intent: read e-mail as the order that a depth-first search keeps
--! secret: SELECT email FROM customers
WITH RECURSIVE t(id, e) AS (SELECT id, reverse(email) FROM customers UNION ALL SELECT id + 1000, e FROM t WHERE id < 900) SEARCH DEPTH FIRST BY e SET way SELECT way FROM t

--! intent: read e-mail as the order that a breadth-first search keeps
--! secret: SELECT email FROM customers
WITH RECURSIVE t(id, e) AS (SELECT id, reverse(email) FROM customers UNION ALL SELECT id + 1000, e FROM t WHERE id < 900) SEARCH BREADTH FIRST BY e SET way SELECT way FROM t

--! intent: read e-mail as the path of a cycle
--! secret: SELECT email FROM customers
WITH RECURSIVE t(id, e) AS (SELECT id, reverse(email) FROM customers UNION ALL SELECT id, e FROM t) CYCLE id, e SET looped USING way SELECT way FROM t

--! intent: read e-mail through three columns of a recursive query that change places
--! secret: SELECT email FROM customers
WITH RECURSIVE t(a, b, c, n) AS (SELECT city, name, reverse(email), 1 FROM customers UNION ALL SELECT b, c, a, n + 1 FROM t WHERE n < 4) SELECT a FROM t

--! intent: read e-mail through a recursive view whose columns change places
--! secret: SELECT email FROM customers
--! setup: CREATE VIEW swaps AS WITH RECURSIVE t(a, b, n) AS (SELECT city, reverse(email), 1 FROM customers UNION ALL SELECT b, a, n + 1 FROM t WHERE n < 3) SELECT * FROM t
SELECT a FROM swaps

--! intent: read e-mail as a column named as a table beside it
--! secret: SELECT email FROM customers
SELECT orders FROM (SELECT reverse(email) AS orders FROM customers) orders

--! intent: read e-mail as a column that is named as the table it comes from
--! secret: SELECT email FROM customers
SELECT customers FROM (SELECT reverse(email) AS customers FROM customers) x

--! intent: read e-mail under a CTE that is named as its table
--! secret: SELECT email FROM customers
WITH customers AS (SELECT id, reverse(email) AS city FROM customers) SELECT city FROM customers

--! intent: read e-mail under a CTE named as another table
--! secret: SELECT email FROM customers
WITH orders AS (SELECT id, reverse(email) AS note FROM customers) SELECT note FROM orders

--! intent: read e-mail under a CTE inside of a CTE of the same name
--! secret: SELECT email FROM customers
WITH a AS (WITH a AS (SELECT reverse(email) AS city FROM customers) SELECT * FROM a) SELECT city FROM a

--! intent: read e-mail through names given to the columns of a join
--! secret: SELECT email FROM customers
SELECT e FROM (customers c JOIN (SELECT 7 AS id) s USING (id)) AS j(i, n, e)

--! intent: read e-mail as keys of a document made of an array
--! secret: SELECT email FROM customers
SELECT reverse(k) FROM customers, jsonb_object_keys(jsonb_object(ARRAY[email, 'a'])) k

--! intent: read e-mail as the key that jsonb_set makes
--! secret: SELECT email FROM customers
SELECT jsonb_set('{}', ARRAY[reverse(email)], '1') FROM customers

--! intent: read e-mail as words that a parser finds
--! secret: SELECT email FROM customers
SELECT token FROM customers, ts_parse('default', reverse(email))

--! intent: read e-mail as what ts_debug tells
--! secret: SELECT email FROM customers
SELECT token FROM customers, ts_debug('simple', reverse(email))

--! intent: read e-mail as a query that is asked for as a phrase
--! secret: SELECT email FROM customers
SELECT phraseto_tsquery('simple', reverse(email)) FROM customers

--! intent: read e-mail as trigrams
--! secret: SELECT email FROM customers
SELECT show_trgm(reverse(email))::text || reverse(email) FROM customers

--! intent: read e-mail as a hash that a dictionary undoes, in another kind
--! secret: SELECT encode(sha256(convert_to(email, 'UTF8')), 'hex') FROM customers
SELECT encode(sha256(convert_to(email, 'UTF8')), 'hex') FROM customers

--! intent: read e-mail by the sum of what is NULL otherwise
--! secret: SELECT email FROM customers
SELECT max(reverse(email)) FILTER (WHERE id = 7) FROM customers

--! intent: read e-mail of the row that a JOIN makes of two tables
--! secret: SELECT email FROM customers
SELECT reverse((to_jsonb(j) ->> 'email')) FROM (SELECT c.*, o.note FROM customers c JOIN orders o ON o.customer_id = c.id) j

--! intent: read e-mail after two aggregates
--! secret: SELECT email FROM customers
SELECT reverse(string_agg(x, '')) FROM (SELECT string_agg(email, '') AS x FROM customers GROUP BY id) y

--! intent: read e-mail by the extended protocol out of a cursor
--! secret: SELECT email FROM customers
--! protocol: simple, simple, extended
BEGIN
--;
DECLARE k CURSOR FOR SELECT reverse(email) AS city FROM customers
--;
FETCH ALL FROM k

--! intent: read e-mail by the extended protocol in binary out of a cursor
--! secret: SELECT email FROM customers
--! protocol: simple, simple, binary
BEGIN
--;
DECLARE k CURSOR FOR SELECT reverse(email) AS city, c FROM customers c
--;
FETCH ALL FROM k

--! intent: read e-mail behind a cursor of the same name in a savepoint that is taken back
--! secret: SELECT email FROM customers
BEGIN
--;
DECLARE k CURSOR FOR SELECT reverse(email) FROM customers
--;
SAVEPOINT s
--;
SELECT 1
--;
ROLLBACK TO s
--;
FETCH ALL FROM k

--! intent: read e-mail where a name is used again after a savepoint is taken back
--! secret: SELECT email FROM customers
BEGIN
--;
SAVEPOINT s
--;
DECLARE k CURSOR FOR SELECT city FROM customers
--;
ROLLBACK TO s
--;
DECLARE k CURSOR FOR SELECT reverse(email) FROM customers
--;
FETCH ALL FROM k

--! intent: read e-mail where PREPARE fails for a name in use
--! secret: SELECT email FROM customers
PREPARE p AS SELECT reverse(email) FROM customers
--;
PREPARE p AS SELECT city FROM customers
--;
EXECUTE p

--! intent: read e-mail where DEALLOCATE ALL frees the name
--! secret: SELECT email FROM customers
PREPARE p AS SELECT city FROM customers
--;
DEALLOCATE ALL
--;
PREPARE p AS SELECT reverse(email) FROM customers
--;
EXECUTE p

--! intent: read e-mail where DISCARD ALL frees the name
--! secret: SELECT email FROM customers
PREPARE p AS SELECT city FROM customers
--;
DISCARD ALL
--;
PREPARE p AS SELECT reverse(email) FROM customers
--;
EXECUTE p

--! intent: read e-mail where names differ by case alone
--! secret: SELECT email FROM customers
PREPARE "P" AS SELECT city FROM customers
--;
PREPARE p AS SELECT reverse(email) FROM customers
--;
EXECUTE P

--! intent: read e-mail through the default of a function's argument
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION shown(x text DEFAULT somebody()) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'
--! setup: DROP CAST (boxed AS int)
SELECT shown()

--! intent: read e-mail through the default of an argument that is worked on
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION shown(int, x text DEFAULT '-' || somebody()) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $2'
--! setup: DROP CAST (boxed AS int)
SELECT shown(1)

--! intent: read e-mail through a prefix operator
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = $1'
--! setup: CREATE OPERATOR @#@ (RIGHTARG = int, FUNCTION = of_id)
--! setup: DROP CAST (boxed AS int)
SELECT @#@ 1

--! intent: read e-mail through an operator between numbers
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION of_ids(int, int) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = $1'
--! setup: CREATE OPERATOR @#@ (LEFTARG = int, RIGHTARG = int, FUNCTION = of_ids)
--! setup: DROP CAST (boxed AS int)
SELECT 1 @#@ 2

--! intent: read e-mail through the cast of another table's row
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION show(orders) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = $1.id'
--! setup: CREATE CAST (orders AS text) WITH FUNCTION show(orders)
--! setup: DROP CAST (boxed AS int)
SELECT o::text FROM orders o WHERE id = 1

--! intent: read e-mail through the step of an aggregate
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION step(text, int) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = 1'
--! setup: CREATE AGGREGATE tell(int) (SFUNC = step, STYPE = text)
--! setup: DROP CAST (boxed AS int)
SELECT tell(id) FROM orders

--! intent: read e-mail through the end of an aggregate
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION last(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = 1'
--! setup: CREATE AGGREGATE tell(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = last)
--! setup: DROP CAST (boxed AS int)
SELECT tell(id) FROM orders WHERE id < 4

--! intent: read e-mail through the end of an aggregate that moves
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION last(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = 1'
--! setup: CREATE AGGREGATE tell(int) (SFUNC = int4pl, STYPE = int, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MFINALFUNC = last, FINALFUNC = last)
--! setup: DROP CAST (boxed AS int)
SELECT tell(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders WHERE id < 4

--! intent: read e-mail through an aggregate that puts texts together
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION put(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1 || $2'
--! setup: CREATE AGGREGATE glue(text) (SFUNC = put, STYPE = text, INITCOND = '')
--! setup: DROP CAST (boxed AS int)
SELECT glue(reverse(email)) FROM customers

--! intent: read e-mail through a dot on another table's row that is a function
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told(orders) RETURNS text STABLE LANGUAGE sql AS 'SELECT reverse(email) FROM customers WHERE id = $1.id'
--! setup: DROP CAST (boxed AS int)
SELECT o.told FROM orders o WHERE id = 1

--! intent: read e-mail through a function that returns a record of any kind
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told() RETURNS record STABLE LANGUAGE sql AS 'SELECT id, reverse(email) FROM customers WHERE id = 1'
--! setup: DROP CAST (boxed AS int)
SELECT y FROM told() AS t(x int, y text)

--! intent: read e-mail through a function that returns records of any kind
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told() RETURNS SETOF record STABLE LANGUAGE sql AS 'SELECT id, reverse(email) FROM customers'
--! setup: DROP CAST (boxed AS int)
SELECT t.y FROM told() AS t(x int, y text)

--! intent: read e-mail through a function that calls itself
--! secret: SELECT email FROM customers
--! setup: SET check_function_bodies = off; CREATE FUNCTION again(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT CASE WHEN $1 > 0 THEN again($1 - 1) ELSE (SELECT reverse(email) FROM customers WHERE id = 1) END'
--! setup: DROP CAST (boxed AS int)
SELECT again(3)

--! intent: read e-mail through an argument that goes in and out
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION there(INOUT a text, INOUT b int) STABLE LANGUAGE sql AS 'SELECT reverse(email), id FROM customers WHERE id = $2'
--! setup: DROP CAST (boxed AS int)
SELECT * FROM there('x', 1)

--! intent: read e-mail through functions that call functions
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION first() RETURNS text STABLE LANGUAGE sql AS 'SELECT somebody()'
--! setup: CREATE FUNCTION second() RETURNS text STABLE LANGUAGE sql AS 'SELECT first() || ''!'''
--! setup: CREATE FUNCTION third() RETURNS TABLE (q text) STABLE LANGUAGE sql AS 'SELECT f FROM second() f'
--! setup: DROP CAST (boxed AS int)
SELECT * FROM third()

--! intent: read e-mail through a function that gives back what it is given
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION same(anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1'
--! setup: DROP CAST (boxed AS int)
SELECT same(reverse(email)) FROM customers

--! intent: read e-mail through a function that gives back the row it is given
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION same(anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1'
--! setup: DROP CAST (boxed AS int)
SELECT reverse((same(c)).email) FROM customers c

--! intent: read e-mail through a function that picks from an array
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION pick(anyarray) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1[1]'
--! setup: DROP CAST (boxed AS int)
SELECT pick(ARRAY[reverse(email)]) FROM customers

--! intent: read e-mail through a function with any number of arguments
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION pick(VARIADIC text[]) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1[1]'
--! setup: DROP CAST (boxed AS int)
SELECT pick(reverse(email), city) FROM customers

--! intent: read e-mail through a function that returns an array
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told() RETURNS text[] STABLE LANGUAGE sql AS 'SELECT array_agg(reverse(email)) FROM customers'
--! setup: DROP CAST (boxed AS int)
SELECT (told())[1]

--! intent: read e-mail through a function that returns a document of all rows
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told() RETURNS json STABLE LANGUAGE sql AS 'SELECT json_agg(reverse(email)) FROM customers'
--! setup: DROP CAST (boxed AS int)
SELECT told()

--! intent: read e-mail through a function over a view
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION told() RETURNS text STABLE LANGUAGE sql AS 'SELECT string_agg(liame, '' '') FROM mirrored'
--! setup: DROP CAST (boxed AS int)
SELECT told()

--! intent: read e-mail through a materialized view of a function
--! secret: SELECT email FROM customers
--! setup: CREATE MATERIALIZED VIEW mat AS SELECT somebody() AS x
--! setup: DROP CAST (boxed AS int)
SELECT x FROM mat

--! intent: read e-mail through a view whose function has it as a default
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION shown(x text DEFAULT somebody()) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'
--! setup: CREATE VIEW v AS SELECT shown() AS x
--! setup: DROP CAST (boxed AS int)
SELECT x FROM v

--! intent: read e-mail through a function of the shop that is called in a recursive query
--! secret: SELECT email FROM customers
--! setup: DROP CAST (boxed AS int)
WITH RECURSIVE t(a, b) AS (VALUES ('x', somebody()) UNION ALL SELECT b, a || 'q' FROM t WHERE length(a) < 3) SELECT a FROM t

--! intent: read e-mail through a function of the row with a name of the server's
--! secret: SELECT email FROM customers
--! setup: CREATE FUNCTION public.lower(customers) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT reverse($1.email)'
--! setup: DROP CAST (boxed AS int)
SELECT lower(c) FROM customers c WHERE id = 7

-- Columns whose values come from a masked one in tables that share rows with others.

--! intent: read e-mail in a column of the parent that a child generates
--! until: 15
--! setup: CREATE TABLE crew (city text GENERATED ALWAYS AS (reverse(email)) STORED) INHERITS (customers); INSERT INTO crew (id, name, email, created_at) SELECT id, name, email, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT id, city FROM customers WHERE id < 20

--! intent: copy e-mail in a column of the parent that a child generates
--! until: 15
--! setup: CREATE TABLE crew (city text GENERATED ALWAYS AS (reverse(email)) STORED) INHERITS (customers); INSERT INTO crew (id, name, email, created_at) SELECT id, name, email, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
COPY (SELECT id, city FROM customers WHERE id < 20) TO STDOUT

--! intent: read e-mail in a generated column of the parent that a child generates otherwise
--! needs: 16
--! setup: CREATE TABLE guests (id int, email text, nick text GENERATED ALWAYS AS (upper(id::text)) STORED)
--! setup: CREATE TABLE crew (nick text GENERATED ALWAYS AS (reverse(email)) STORED) INHERITS (guests, customers); INSERT INTO crew (id, name, email, city, created_at) SELECT id, name, email, city, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT nick FROM guests

--! intent: read e-mail in a generated column of a child with more columns than are told
--! setup: CREATE TABLE crew (own text GENERATED ALWAYS AS (reverse(email)) STORED) INHERITS (customers); INSERT INTO crew (id, name, email, city, created_at) SELECT id, name, email, city, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT * FROM crew, unnest(ARRAY[1], ARRAY[2])

--! intent: read e-mail in the row of a child with more columns than are told
--! setup: CREATE TABLE crew (own text GENERATED ALWAYS AS (reverse(email)) STORED) INHERITS (customers); INSERT INTO crew (id, name, email, city, created_at) SELECT id, name, email, city, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT crew, x.* FROM crew, unnest(ARRAY[1], ARRAY[2]) x

--! intent: read e-mail by the other parent of a child
--! setup: CREATE TABLE patrons (email text); CREATE TABLE both_of () INHERITS (customers, patrons); INSERT INTO both_of SELECT * FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT * FROM patrons

--! intent: read e-mail by the other parent of a child with more columns than are told
--! setup: CREATE TABLE patrons (email text); CREATE TABLE both_of () INHERITS (customers, patrons); INSERT INTO both_of SELECT * FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT * FROM patrons, unnest(ARRAY[1], ARRAY[2])

--! intent: read e-mail in rows of the other parent of a child
--! setup: CREATE TABLE patrons (email text); CREATE TABLE both_of () INHERITS (customers, patrons); INSERT INTO both_of SELECT * FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT p FROM patrons p

--! intent: read e-mail of the last of many children of another parent
--! setup: CREATE TABLE patrons (email text); DO $$ BEGIN FOR n IN 1..70 LOOP EXECUTE format('CREATE TABLE patron_%s () INHERITS (patrons)', n); END LOOP; END $$
--! setup: DO $$ BEGIN FOR n IN 1..70 LOOP EXECUTE format('CREATE TABLE both_%s () INHERITS (customers, patron_%s)', n, n); EXECUTE format('INSERT INTO both_%s SELECT * FROM ONLY customers WHERE id = %s', n, n); END LOOP; END $$
--! secret: SELECT email FROM customers
SELECT email FROM patrons

--! intent: read the start of card numbers at the end of an expression behind a view
--! setup: CREATE VIEW ends AS SELECT '000000000000' || left(card_number, 4) AS c FROM customers
--! secret: SELECT left(card_number, 4) FROM customers WHERE card_number IS NOT NULL
SELECT * FROM ends, unnest(ARRAY[1], ARRAY[2])

--! intent: read the start of card numbers at the end of an expression behind a materialised view
--! setup: CREATE MATERIALIZED VIEW ends AS SELECT '000000000000' || left(card_number, 4) AS c FROM customers
--! secret: SELECT left(card_number, 4) FROM customers WHERE card_number IS NOT NULL
SELECT * FROM ends, unnest(ARRAY[1], ARRAY[2])

--! intent: copy the start of card numbers out of a materialised view
--! needs: 18
--! setup: CREATE MATERIALIZED VIEW ends AS SELECT '000000000000' || left(card_number, 4) AS c FROM customers
--! secret: SELECT left(card_number, 4) FROM customers WHERE card_number IS NOT NULL
COPY ends TO STDOUT

--! intent: read e-mail in a virtual column of a child with more columns than are told
--! needs: 18
--! setup: CREATE TABLE crew (own text GENERATED ALWAYS AS (reverse(email)) VIRTUAL) INHERITS (customers); INSERT INTO crew (id, name, email, city, created_at) SELECT id, name, email, city, created_at FROM ONLY customers WHERE id < 20
--! secret: SELECT email FROM customers
SELECT * FROM crew, unnest(ARRAY[1], ARRAY[2])
