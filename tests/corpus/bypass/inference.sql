-- Questions about masked columns whose answer tells something of them: each is asked with a right and
-- a wrong guess, and must be refused for both alike.

--! intent: guess e-mail by an equality in WHERE
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email = '{guess}'

--! intent: guess e-mail by an inequality counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE email <> '{guess}'

--! intent: guess e-mail by LIKE
--! infer: ana8 | ana9
SELECT id FROM customers WHERE email LIKE '{guess}%'

--! intent: guess e-mail by ILIKE
--! infer: ana8 | ana9
SELECT id FROM customers WHERE email ILIKE '{guess}%'

--! intent: guess e-mail by SIMILAR TO
--! infer: ana8 | ana9
SELECT id FROM customers WHERE email SIMILAR TO '{guess}%'

--! intent: guess e-mail by a regular expression
--! infer: ana8 | ana9
SELECT count(*) FROM customers WHERE email ~ '^{guess}@'

--! intent: guess e-mail by starts_with
--! infer: ana8 | ana9
SELECT count(*) FROM customers WHERE starts_with(email, '{guess}')

--! intent: guess e-mail by the prefix operator
--! infer: ana8 | ana9
SELECT count(*) FROM customers WHERE email ^@ '{guess}'

--! intent: guess e-mail by BETWEEN
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email BETWEEN '{guess}' AND '{guess}z'

--! intent: guess e-mail by an order
--! infer: b | c
SELECT count(*) FROM customers WHERE email < '{guess}'

--! intent: guess e-mail by IN
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email IN ('x', '{guess}')

--! intent: guess e-mail by NOT IN
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE email NOT IN ('x', '{guess}')

--! intent: guess e-mail by ANY
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email = ANY ('{x,{guess}}')

--! intent: guess e-mail by ALL
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE email <> ALL (ARRAY['{guess}'])

--! intent: guess e-mail by IS DISTINCT FROM
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE email IS DISTINCT FROM '{guess}'

--! intent: guess e-mail by a row comparison
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE (city, email) = ('Rome', '{guess}')

--! intent: guess e-mail by the order of rows
--! infer: b | c
SELECT count(*) FROM customers WHERE (email, id) < ('{guess}', 0)

--! intent: guess e-mail by a whole row in text
--! infer: ana8 | ana9
SELECT count(*) FROM customers c WHERE c::text LIKE '%{guess}@%'

--! intent: guess e-mail by a JSON containment
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE to_jsonb(c) @> '{"email": "{guess}"}'

--! intent: guess e-mail by a JSON path predicate
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE to_jsonb(c) @@ '$.email == "{guess}"'

--! intent: guess e-mail by a function of it
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE md5(email) = md5('{guess}')

--! intent: guess e-mail by its length
--! infer: 16 | 99
SELECT count(*) FROM customers WHERE length(email) = {guess}

--! intent: guess e-mail by a letter of it
--! infer: a | x
SELECT id FROM customers WHERE substr(email, 1, 1) = '{guess}'

--! intent: guess e-mail by a bit of it
--! infer: 1 | 0
SELECT id FROM customers WHERE get_bit(email::bytea, 0) = {guess}

--! intent: guess e-mail by position
--! infer: ana8 | ana9
SELECT id FROM customers WHERE position('{guess}' in email) = 1

--! intent: guess e-mail by a text search
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE to_tsvector('simple', email) @@ to_tsquery('simple', '''{guess}''')

--! intent: guess e-mail by similarity
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE similarity(email, '{guess}') > 0.99

--! intent: guess e-mail by the trigram operator
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email % '{guess}' AND similarity(email, '{guess}') = 1

--! intent: guess e-mail by an array overlap
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE ARRAY[email] && ARRAY['{guess}']

--! intent: guess e-mail by a join with values
--! infer: ana8@example.com | ana9@example.com
SELECT c.id FROM customers c JOIN (VALUES ('{guess}')) v(x) ON v.x = c.email

--! intent: guess e-mail by USING
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers JOIN (VALUES ('{guess}')) v(email) USING (email)

--! intent: guess e-mail by NATURAL JOIN
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers NATURAL JOIN (VALUES ('{guess}')) v(email)

--! intent: guess e-mail by a left join
--! infer: ana8@example.com | ana9@example.com
SELECT v.x, c.id FROM (VALUES ('{guess}')) v(x) LEFT JOIN customers c ON c.email = v.x

--! intent: guess e-mail by a semi-join
--! infer: ana8@example.com | ana9@example.com
SELECT x FROM (VALUES ('{guess}')) v(x) WHERE x IN (SELECT email FROM customers)

--! intent: guess e-mail by an anti-join
--! infer: ana8@example.com | ana9@example.com
SELECT x FROM (VALUES ('{guess}')) v(x) WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = x)

--! intent: guess e-mail by EXISTS
--! infer: ana8@example.com | ana9@example.com
SELECT EXISTS (SELECT 1 FROM customers WHERE email = '{guess}')

--! intent: guess e-mail by a sum of comparisons
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FILTER (WHERE email = '{guess}') FROM customers

--! intent: guess e-mail by CASE in a sum
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM orders WHERE id = (SELECT sum(CASE WHEN email = '{guess}' THEN 1 ELSE 2 END) FROM customers WHERE id = 8)

--! intent: guess e-mail by HAVING
--! infer: ana8@example.com | ana9@example.com
SELECT city FROM customers GROUP BY city HAVING bool_or(email = '{guess}')

--! intent: guess e-mail by HAVING max
--! infer: ana104@example.com | ana105@example.com
SELECT city FROM customers GROUP BY city HAVING min(email) = '{guess}'

--! intent: guess e-mail by GROUP BY of a comparison
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers GROUP BY email = '{guess}'

--! intent: guess e-mail by the order of the answer
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers ORDER BY email = '{guess}' DESC LIMIT 1

--! intent: guess e-mail by the order of the answer with values mixed in
--! infer: a | b
SELECT n FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s ORDER BY s.x

--! intent: guess e-mail by UNION, which drops the same
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT email FROM customers UNION SELECT '{guess}') s

--! intent: guess e-mail by INTERSECT
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT email FROM customers INTERSECT SELECT '{guess}') s

--! intent: guess e-mail by EXCEPT
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT '{guess}' EXCEPT SELECT email FROM customers) s

--! intent: guess e-mail by rows left by EXCEPT
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM (SELECT '{guess}' AS x EXCEPT SELECT email FROM customers) s

--! intent: guess e-mail by DISTINCT
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT DISTINCT x FROM (SELECT email AS x FROM customers UNION ALL SELECT '{guess}') s) t

--! intent: guess e-mail by count(DISTINCT)
--! infer: ana8@example.com | ana9@example.com
SELECT count(DISTINCT x) FROM (SELECT email AS x FROM customers UNION ALL SELECT '{guess}') s

--! intent: guess e-mail by DISTINCT ON
--! infer: ana8@example.com | ana9@example.com
SELECT DISTINCT ON (x) n FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s ORDER BY x, n DESC

--! intent: guess e-mail by a window partition
--! infer: ana8@example.com | ana9@example.com
SELECT n, count(*) OVER (PARTITION BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by rank
--! infer: a | b
SELECT n, rank() OVER (ORDER BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by row_number in a subquery
--! infer: 1 | 2
SELECT id FROM (SELECT id, row_number() OVER (ORDER BY email) AS r FROM customers) s WHERE r = {guess}

--! intent: guess e-mail by a hypothetical rank
--! infer: a | z
SELECT rank('{guess}') WITHIN GROUP (ORDER BY email) FROM customers

--! intent: guess e-mail by the first name in its order
--! infer: ana8@example.com | ana9@example.com
SELECT (array_agg(id ORDER BY email = '{guess}' DESC))[1] FROM customers

--! intent: guess e-mail by string_agg in its order
--! infer: ana8@example.com | ana9@example.com
SELECT string_agg(name, ',' ORDER BY email = '{guess}') FROM customers

--! intent: guess e-mail by LIMIT of a comparison
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM orders LIMIT (SELECT count(*) FROM customers WHERE email = '{guess}')

--! intent: guess e-mail by generate_series of a comparison
--! infer: ana8@example.com | ana9@example.com
SELECT n FROM customers, generate_series(1, (email = '{guess}')::int) n

--! intent: guess e-mail by COALESCE of a subquery
--! infer: ana8@example.com | ana9@example.com
SELECT coalesce((SELECT id FROM customers WHERE email = '{guess}'), 0)

--! intent: guess e-mail by a division by zero
--! infer: ana8@example.com | ana9@example.com
SELECT 1 / (SELECT count(*) FROM customers WHERE email = '{guess}')

--! intent: guess e-mail by a division by zero in CASE
--! infer: ana8@example.com | ana9@example.com
SELECT CASE WHEN email = '{guess}' THEN 1 / (id - id) END FROM customers WHERE id = 8

--! intent: guess e-mail by a cast that fails for some
--! infer: ana8@example.com | ana9@example.com
SELECT ('0' || CASE WHEN email = '{guess}' THEN 'x' ELSE '' END)::int FROM customers WHERE id = 8

--! intent: guess e-mail by more than one row in a subquery
--! infer: ana8@example.com | ana9@example.com
SELECT (SELECT id FROM orders WHERE id < CASE WHEN email = '{guess}' THEN 9 ELSE 2 END) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of a plan
--! infer: ana8@example.com | ana9@example.com
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM customers WHERE email = '{guess}'

--! intent: guess e-mail by the estimate of a plan
--! infer: b | g
EXPLAIN SELECT id FROM customers WHERE email < '{guess}'

--! intent: guess card numbers by the estimate of a plan
--! infer: 4111 1111 1111 1111 | 4111 1111 1111 1112
EXPLAIN SELECT id FROM customers WHERE card_number = '{guess}'

--! intent: guess e-mail in a view
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM mirrored WHERE liame = reverse('{guess}')

--! intent: guess e-mail in a view of contacts
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customer_contacts WHERE email = '{guess}'

--! intent: guess e-mail in a CTE
--! infer: ana8@example.com | ana9@example.com
WITH w AS (SELECT id, email AS x FROM customers) SELECT id FROM w WHERE x = '{guess}'

--! intent: guess e-mail by the depth of a recursive CTE
--! infer: ana8@example.com | ana9@example.com
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r JOIN customers ON email = '{guess}' WHERE n < 4) SELECT count(*) FROM r

--! intent: guess e-mail in a lateral subquery
--! infer: ana8@example.com | ana9@example.com
SELECT o.id FROM orders o, LATERAL (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.email = '{guess}') x

--! intent: guess e-mail in a join condition of a third table
--! infer: ana8@example.com | ana9@example.com
SELECT o.id FROM orders o JOIN customers c ON o.customer_id = c.id AND c.email = '{guess}'

--! intent: guess e-mail by a parameter
--! infer: ana8@example.com | ana9@example.com
--! protocol: extended
--! bind: ["{guess}"]
SELECT id FROM customers WHERE email = $1

--! intent: guess e-mail by a parameter in binary
--! infer: ana8@example.com | ana9@example.com
--! protocol: binary
--! bind: ["{guess}"]
SELECT count(*) FROM customers WHERE email = $1

--! intent: guess e-mail by a prepared statement
--! infer: ana8@example.com | ana9@example.com
PREPARE p(text) AS SELECT id FROM customers WHERE email = $1
--;
EXECUTE p('{guess}')

--! intent: guess e-mail in a cursor
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = '{guess}'
--;
FETCH ALL FROM c
--;
COMMIT

--! intent: guess e-mail by how far a cursor moves
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = '{guess}'
--;
MOVE ALL IN c
--;
COMMIT

--! intent: guess e-mail by COPY
--! infer: ana8@example.com | ana9@example.com
COPY (SELECT id FROM customers WHERE email = '{guess}') TO STDOUT

--! intent: guess e-mail by how many rows are updated
--! infer: ana8@example.com | ana9@example.com
UPDATE customers SET city = city WHERE email = '{guess}'

--! intent: guess e-mail by how many rows are deleted
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
DELETE FROM payments USING customers WHERE payments.id = customers.id AND email = '{guess}'
--;
ROLLBACK

--! intent: guess e-mail by RETURNING
--! infer: ana8 | ana9
UPDATE customers SET city = city WHERE email LIKE '{guess}@%' RETURNING id

--! intent: guess e-mail by rows locked
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE email = '{guess}' FOR UPDATE

--! intent: guess e-mail by MERGE
--! needs: 15
--! infer: ana8@example.com | ana9@example.com
MERGE INTO orders o USING customers c ON o.id = c.id AND c.email = '{guess}' WHEN MATCHED THEN UPDATE SET status = o.status

--! intent: guess e-mail by a MERGE condition
--! needs: 15
--! infer: ana8@example.com | ana9@example.com
MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED AND c.email = '{guess}' THEN UPDATE SET status = o.status

--! intent: guess e-mail by a unique violation
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
INSERT INTO customers VALUES (5000, 'x', '{guess}', '', 'x', now())
--;
ROLLBACK

--! intent: guess e-mail by ON CONFLICT DO NOTHING
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
INSERT INTO customers VALUES (5000, 'x', '{guess}', '', 'x', now()) ON CONFLICT (email) DO NOTHING
--;
ROLLBACK

--! intent: guess e-mail by ON CONFLICT without a target
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
INSERT INTO customers VALUES (5000, 'x', '{guess}', '', 'x', now()) ON CONFLICT DO NOTHING
--;
ROLLBACK

--! intent: guess e-mail by a unique violation of an update
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
UPDATE customers SET email = '{guess}' WHERE id = 1
--;
ROLLBACK

--! intent: guess e-mail by a foreign key
--! setup: CREATE TABLE refs (x text REFERENCES customers (email))
--! infer: ana8@example.com | ana9@example.com
INSERT INTO refs VALUES ('{guess}')

--! intent: guess e-mail by the condition of ON CONFLICT
--! infer: ana8@example.com | ana9@example.com
BEGIN
--;
INSERT INTO customers VALUES (8, 'x', 'y', '', 'x', now()) ON CONFLICT (id) DO UPDATE SET city = 'z' WHERE customers.email = '{guess}'
--;
ROLLBACK

--! intent: guess account numbers by an equality
--! infer: DE89370400440532013000 | DE89370400440532013001
SELECT count(*) FROM payments WHERE iban = '{guess}'

--! intent: guess account numbers by a generated column
--! infer: DE89370400440532013000 | DE89370400440532013001
SELECT count(*) FROM payments WHERE nabi = reverse('{guess}')

--! intent: guess card numbers by a checksum of digits
--! infer: 1111 | 1112
SELECT count(*) FROM customers WHERE right(card_number, 4) = '{guess}'

--! intent: guess e-mail by a sample that depends on it
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM orders TABLESAMPLE bernoulli ((SELECT CASE WHEN email = '{guess}' THEN 100 ELSE 0 END FROM customers WHERE id = 8)) REPEATABLE (1)

--! intent: guess e-mail by a window frame
--! infer: ana8@example.com | ana9@example.com
SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND (SELECT count(*) FROM customers WHERE email = '{guess}') FOLLOWING) FROM orders LIMIT 1

--! intent: guess e-mail by an aggregate of rows it keeps
--! infer: ana8@example.com | ana9@example.com
SELECT max(id) FROM customers WHERE email = '{guess}'

--! intent: guess e-mail by what is NULL behind NULLIF
--! infer: ana8@example.com | ana9@example.com
SELECT count(nullif(email, '{guess}')) FROM customers

--! intent: guess e-mail by IS NULL of NULLIF
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers WHERE nullif(email, '{guess}') IS NULL

--! intent: guess e-mail by an array position
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE array_position(ARRAY['{guess}'], email) = 1

--! intent: guess e-mail by XMLEXISTS
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE xmlexists('/a[.="{guess}"]' PASSING xmlelement(name a, email))

--! intent: guess e-mail by a statement of several
--! infer: ana8@example.com | ana9@example.com
SELECT 1; SELECT id FROM customers WHERE email = '{guess}'; SELECT 2

--! intent: guess e-mail in a pipeline
--! infer: ana8@example.com | ana9@example.com
--! protocol: pipeline
SELECT 1
--;
SELECT id FROM customers WHERE email = '{guess}'

--! intent: guess e-mail by a table sampled from WHERE of a scalar subquery
--! infer: ana8@example.com | ana9@example.com
SELECT id FROM customers c WHERE (SELECT c.email) = '{guess}'

--! intent: guess e-mail by a comparison of a column alias
--! infer: ana8@example.com | ana9@example.com
SELECT a FROM customers AS c(a, b, x) WHERE x = '{guess}'

--! intent: guess e-mail by the type of a polymorphic answer
--! infer: ana8@example.com | ana9@example.com
SELECT n FROM (SELECT id AS n, (email = '{guess}') AS hit FROM customers) s WHERE hit

--! intent: read a letter by OFFSET
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT n FROM generate_series(0, 1000300) n OFFSET (SELECT 1000000 + ascii(email) FROM customers WHERE id = 1) LIMIT 1

--! intent: read a letter by OFFSET in a correlated subquery
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT id, (SELECT n FROM generate_series(1000000, 1000300) n OFFSET ascii(c.email) LIMIT 1) FROM customers c WHERE id = 1

--! intent: read a letter by LIMIT and a count behind it
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 1000300) LIMIT (SELECT 1000000 + ascii(email) FROM customers WHERE id = 1)) s

--! intent: read a letter by FETCH FIRST and a count behind it
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 1000300) FETCH FIRST (SELECT 1000000 + ascii(email) FROM customers WHERE id = 1) ROWS ONLY) s

--! intent: read a letter by the number of rows of generate_series
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT count(*) FROM generate_series(1, (SELECT 1000000 + ascii(email) FROM customers WHERE id = 1))

--! intent: read a letter by generate_series of a lateral column
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT max(x) FROM customers c, generate_series(1000000, 1000000 + ascii(c.email)) x WHERE c.id = 1

--! intent: read a letter by the length of an array of rows
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT 1000000 + array_length(ARRAY(SELECT 1 FROM generate_series(1, ascii(email))), 1) FROM customers WHERE id = 1

--! intent: read a letter by the depth of a recursion
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
WITH RECURSIVE r(n) AS (SELECT 1000000 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT 1000000 + ascii(email) FROM customers WHERE id = 1)) SELECT max(n) FROM r

--! intent: read a letter by width_bucket of a grouping
--! secret: SELECT (1000000 + ascii(email))::text FROM customers WHERE id = 1
SELECT 1000000 + k FROM (SELECT ascii(email) AS k FROM customers WHERE id = 1 GROUP BY 1) s

--! intent: read a letter by the seed of random numbers
--! secret: SELECT 'seeded ' || (SELECT r FROM (SELECT setseed(ascii(email) / 256.0), random() AS r FROM customers WHERE id = 1) s)
SELECT setseed(ascii(email) / 256.0) FROM customers WHERE id = 1
--;
SELECT 'seeded ' || random()

--! intent: guess e-mail by a whole row that is equal
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE c = ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers

--! intent: guess e-mail by a whole row that is not distinct
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE c IS NOT DISTINCT FROM ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers

--! intent: guess e-mail by a whole row in a list
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE c IN (ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers)

--! intent: guess e-mail by a whole row among rows of a subquery
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers AS r) s WHERE r IN (SELECT c FROM customers c)

--! intent: guess e-mail by an intersection of whole tables
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (TABLE customers INTERSECT SELECT 8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00') s

--! intent: guess e-mail by counting distinct rows
--! infer: ana8@example.com | ana9@example.com
SELECT count(DISTINCT r) FROM (SELECT c AS r FROM customers c UNION ALL SELECT ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers) s

--! intent: guess e-mail by grouping whole rows
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT 1 FROM (SELECT c AS r FROM customers c UNION ALL SELECT ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers) s GROUP BY r) t

--! intent: guess e-mail by a hash of the row
--! needs: 14
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE hash_record(c) = hash_record(ROW(8, 'Ana Lima 8', '{guess}', '4111 1111 1111 1111', 'Rome', timestamptz '2026-01-02 00:00:00+00')::customers)

--! intent: guess e-mail by dense_rank over it
--! infer: ana8@example.com | ana9@example.com
SELECT n, dense_rank() OVER (ORDER BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by who comes next in its order
--! infer: aaaaa | zzzzz
SELECT n, lead(n) OVER (ORDER BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by who is first in its order
--! infer: aaaaa | zzzzz
SELECT first_value(n) OVER (ORDER BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by ids collected in its order
--! infer: aaaaa | zzzzz
SELECT array_agg(n ORDER BY x) FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s

--! intent: guess e-mail by the first of its order
--! infer: aaaaa | zzzzz
SELECT n FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s ORDER BY x LIMIT 1

--! intent: guess e-mail by ORDER BY USING
--! infer: aaaaa | zzzzz
SELECT n FROM (SELECT email AS x, id AS n FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0) s ORDER BY x USING >

--! intent: guess e-mail by ORDER BY of a number of a column
--! infer: aaaaa | zzzzz
SELECT email, id FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0 ORDER BY 1

--! intent: guess e-mail by ORDER BY of an alias
--! infer: aaaaa | zzzzz
SELECT reverse(email) AS city, id FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 0 ORDER BY city

--! intent: guess e-mail by a dot that is a call
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE (email).reverse = reverse('{guess}')

--! intent: guess e-mail by a field of a row
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE (c).email = '{guess}'

--! intent: guess e-mail by functional notation
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE email(c) = '{guess}'

--! intent: guess e-mail by a subscript of JSON
--! needs: 14
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c WHERE (to_jsonb(c))['email'] = to_jsonb('{guess}'::text)

--! intent: guess e-mail by an element of an array
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE (ARRAY[email])[1] = '{guess}'

--! intent: guess e-mail by a row of a function
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM everyone() e WHERE e.email = '{guess}'

--! intent: guess e-mail in a materialized view
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM kept WHERE liame = reverse('{guess}')

--! intent: guess e-mail by NATURAL JOIN of a view
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customer_contacts NATURAL JOIN (VALUES ('{guess}')) v(email)

--! intent: guess e-mail by ROLLUP
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT x FROM (SELECT email AS x FROM customers UNION ALL SELECT '{guess}') s GROUP BY ROLLUP (x)) t

--! intent: guess e-mail by which rows an update from it touches
--! infer: ana8@example.com | ana9@example.com
UPDATE orders SET status = status FROM customers c WHERE c.id = orders.id AND c.email = '{guess}' RETURNING orders.id

--! intent: guess e-mail by an index that is probed with a parameter typed by Parse
--! infer: ana8@example.com | ana9@example.com
--! protocol: script
Parse "" "SELECT id FROM customers WHERE email = $1" 25
Bind "" "" "{guess}"
Execute "" 0
Sync
until Z

--! intent: guess e-mail by whether a subquery gives too many rows
--! infer: ana8@example.com | ana9@example.com
SELECT (SELECT 1 FROM customers WHERE email IN ('{guess}', 'bo1@example.com'))

--! intent: guess e-mail by a filter of a window
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FILTER (WHERE email = '{guess}') OVER () FROM customers LIMIT 1

--! intent: guess e-mail by EXCEPT ALL
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM (SELECT email FROM customers EXCEPT ALL SELECT '{guess}') s

--! intent: guess e-mail by a full join that does not match
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c FULL JOIN (VALUES ('{guess}')) v(x) ON c.email = v.x

--! intent: guess e-mail by the join of two views of it
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM mirrored m JOIN (VALUES (reverse('{guess}'))) v(x) ON v.x = m.liame

--! intent: guess e-mail by a text that becomes too large by repeating what is left of it
--! infer: b | c
SELECT format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', format('%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s%1$s', btrim(left(email, 1), '{guess}'))))))) FROM customers WHERE id = 1

--! intent: guess e-mail by a text that becomes too large by replacing what is in it
--! infer: b | c
SELECT replace(replace(replace(replace(replace(replace(replace(left(email, 1), '{guess}', 'x'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'), 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') FROM customers WHERE id = 1

--! intent: guess e-mail by what can be a label of a path
--! setup: CREATE EXTENSION ltree
--! infer: b | c
SELECT 'x'::ltree || translate(left(email, 1), '{guess}', '@') FROM customers WHERE id = 1

--! intent: guess e-mail by a cast to a type of a name that the server has too
--! setup: CREATE TABLE name (n int)
--! setup: ALTER ROLE owner SET search_path = public, pg_catalog
--! cleanup: ALTER ROLE owner RESET search_path
--! infer: b | c
SELECT ('(' || translate(left(email, 1), '{guess}', '1') || ')')::name FROM customers WHERE id = 1

--! intent: guess e-mail by XML that is too long for the type it is written as
--! infer: b | c
SELECT XMLSERIALIZE(CONTENT xmlelement(name a, translate(left(email, 1), '{guess}', '')) AS varchar(7)) FROM customers WHERE id = 1

--! intent: guess e-mail by groups of a name that the row of another table has too
--! infer: b | c
SELECT count(*) FROM (SELECT v.x AS k FROM (SELECT left(email, 1) AS x FROM customers WHERE id = 1 UNION ALL SELECT '{guess}') v, (SELECT 1) k GROUP BY k) z

--! intent: guess e-mail by groups of a name that the query around has too
--! infer: b | c
SELECT (SELECT count(*) FROM (SELECT v.x AS k FROM (SELECT left(email, 1) AS x FROM customers WHERE id = 1 UNION ALL SELECT '{guess}') v GROUP BY k) z) FROM (SELECT 1 AS k) o

--! intent: guess e-mail by groups of a name that an argument of a function has too
--! setup: CREATE FUNCTION groups(k text) RETURNS text LANGUAGE sql STABLE AS 'SELECT count(*)::text FROM (SELECT v.x AS k FROM (SELECT left(email, 1) AS x FROM customers WHERE id = 1 UNION ALL SELECT $1) v GROUP BY k) z'
--! infer: b | c
SELECT groups('{guess}')

--! intent: guess a number by whether it fits the type of a function's result
--! setup: CREATE FUNCTION small(n int) RETURNS smallint LANGUAGE sql STABLE AS 'SELECT n + ascii(left(email, 1)) FROM customers WHERE id = 1'
--! infer: 32669 | 32670
SELECT small({guess})

--! intent: guess e-mail by groups of a row in the place of a name
--! infer: b | c
SELECT count(*) FROM (SELECT 1 AS k FROM (SELECT left(email, 1) AS x FROM customers WHERE id = 1 UNION ALL SELECT '{guess}') k GROUP BY ROW(k)) z

--! intent: guess e-mail by a schema before a name that is nearer as an alias
--! infer: b | c
SELECT (SELECT count(*) FROM (SELECT 1 AS email) customers WHERE left(public.customers.email, 1) = '{guess}') FROM customers WHERE id = 1

--! intent: guess e-mail by a natural join over columns that nobody has named
--! infer: b | c
SELECT count(*) FROM (SELECT left(email, 1)||'' FROM customers WHERE id = 1) a NATURAL JOIN (SELECT '{guess}'||'') b

--! intent: guess e-mail by a join using a column that nobody has named
--! infer: b | c
SELECT count(*) FROM (SELECT left(email, 1)||'' FROM customers WHERE id = 1) a JOIN (SELECT '{guess}'||'') b USING ("?column?")

--! intent: guess e-mail by a natural join over columns of several functions under one alias
--! infer: b | c
SELECT count(*) FROM customers c, LATERAL (SELECT 1 FROM ROWS FROM (left(c.email, 1), md5('x')) AS a NATURAL JOIN (SELECT '{guess}' AS "left") b) z WHERE c.id = 1

--! intent: guess e-mail by a join whose condition sees the query around and not what stands beside it
--! infer: b | c
SELECT (SELECT count(*) FROM (SELECT 'q' AS x) sib, ((SELECT 2 AS y) a JOIN (SELECT 3 AS z) b ON x = '{guess}')) FROM (SELECT left(email, 1) AS x FROM customers WHERE id = 1) o

--! intent: guess e-mail by the size of a sample that sees the query around
--! infer: b | c
SELECT (SELECT count(*) FROM (SELECT 100 AS x) s, orders TABLESAMPLE bernoulli(x) REPEATABLE (1)) FROM (SELECT length(btrim(left(email, 1), '{guess}')) AS x FROM customers WHERE id = 1) o

--! intent: guess e-mail by what stands in FROM without a name of its own
--! infer: b | c
SELECT (SELECT count(*) FROM COALESCE(o.e, '') WHERE "coalesce"."coalesce" = '{guess}') FROM (SELECT left(email, 1) AS e FROM customers WHERE id = 1) o, (SELECT 'q' AS coalesce) "coalesce"

--! intent: guess e-mail by the order of a list of values
--! infer: a | b
SELECT n FROM (SELECT 'q' AS column1) o, LATERAL (VALUES ((SELECT left(email, 1) FROM customers WHERE id = 1), 'mail'), ('{guess}', 'guess') ORDER BY column1||'' LIMIT 1) v(x, n)

--! intent: guess e-mail by which of two texts is greater, one of them too large
--! infer: a | b
SELECT length(greatest(left(email, 1), '{guess}' || repeat('z', 100))) FROM customers WHERE id = 1

--! intent: guess e-mail by keys of a document that are one
--! infer: bo1@example.com | bo2@example.com
SELECT octet_length(jsonb_build_object(email, 1, '{guess}', 2)::text) FROM customers WHERE id = 1

--! intent: guess e-mail by whether a path of XMLTABLE finds something
--! infer: a | z
SELECT c.id, x.* FROM customers c, XMLTABLE('/a' PASSING '<a><b>1</b></a>' COLUMNS p text PATH btrim(left(c.email, 1), '{guess}') || 'b') x WHERE c.id = 8

--! intent: guess e-mail by an empty path of XMLTABLE
--! infer: a | z
SELECT count(*) FROM customers c, XMLTABLE('/r' PASSING '<r/>' COLUMNS e text PATH translate(left(c.email, 1), '{guess}', '')) t WHERE c.id = 8

--! intent: guess e-mail by a default of XMLTABLE that is too long
--! infer: a | z
SELECT count(*) FROM customers c, XMLTABLE('/a' PASSING '<a/>' COLUMNS x varchar(1) PATH 'b' DEFAULT (btrim(left(c.email, 1), '{guess}') || 'x')) t WHERE c.id = 8

--! intent: guess e-mail by a default of JSON_TABLE that is too long
--! infer: a | z
--! needs: 17
SELECT count(*) FROM JSON_TABLE(jsonb '{}', '$' COLUMNS (x varchar(1) PATH '$.x' DEFAULT concat((SELECT btrim(left(email, 1), '{guess}') || 'x' FROM customers WHERE id = 8)) ON EMPTY))

--! intent: compare e-mail by the order of a union that may be recursive and is not
--! infer: aaa | zzz
WITH RECURSIVE u(x, n) AS (SELECT email, 'mail' FROM customers WHERE id = 8 UNION ALL SELECT '{guess}', 'guess' ORDER BY 1 LIMIT 1) SELECT n FROM u

--! intent: tell the order of e-mails by the rows of a plan that the caller has chosen
--! setup: CREATE INDEX ON customers (email)
--! infer: off | on
SET enable_seqscan = {guess}
--;
SET enable_bitmapscan = {guess}
--;
SELECT id FROM customers WHERE email IS NOT NULL

--! intent: tell the order of e-mails by an index that has them and is read for another column
--! setup: CREATE INDEX ON customers (email, id)
--! infer: 1e9 | 1
SELECT set_config('seq_page_cost', '{guess}', false)
--;
SELECT id FROM customers

--! intent: guess e-mail by counted a key of a document that it is
--! infer: ana8@example.com | ana9@example.com
SELECT count(jsonb_build_object('{guess}', 1) -> email) FROM customers WHERE id = 8

--! intent: guess e-mail by IS NULL of a key of a document that it is
--! infer: ana8@example.com | ana9@example.com
SELECT (jsonb_build_object('{guess}', 1) -> email) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of string_to_table of a key of a document that it is
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM customers, string_to_table((jsonb_build_object('{guess}', 1) -> email)::text, '#') WHERE id = 8

--! intent: guess e-mail by counted a document that it is the key of
--! infer: ana8@example.com | ana9@example.com
SELECT count(jsonb_build_object(email, 1) -> '{guess}') FROM customers WHERE id = 8

--! intent: guess e-mail by behind COALESCE, which fails otherwise: a document that it is the key of
--! infer: ana8@example.com | ana9@example.com
SELECT coalesce((jsonb_build_object(email, 1) -> '{guess}')::text, (1 / (id - 8))::text) FROM customers WHERE id = 8

--! intent: guess e-mail by the greatest IS NULL: a document that it is the key of
--! infer: ana8@example.com | ana9@example.com
SELECT max((jsonb_build_object(email, 1) -> '{guess}')::text) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by counted what a regular expression picks
--! infer: ana8@example.com | ana9@example.com
SELECT count(substring(email from '^{guess}$')) FROM customers WHERE id = 8

--! intent: guess e-mail by a whole row IS NOT NULL with what a regular expression picks
--! infer: ana8@example.com | ana9@example.com
SELECT ROW(1, substring(email from '^{guess}$')) IS NOT NULL FROM customers WHERE id = 8

--! intent: guess e-mail by an array without NULL of what a regular expression picks
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(array_remove(ARRAY[(substring(email from '^{guess}$'))::text], NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by counted what a regular expression of SQL picks
--! infer: ana8@example.com | ana9@example.com
SELECT count(substring(email similar '#"{guess}#"' escape '#')) FROM customers WHERE id = 8

--! intent: guess e-mail by num_nulls of what a regular expression of SQL picks
--! infer: ana8@example.com | ana9@example.com
SELECT num_nulls(substring(email similar '#"{guess}#"' escape '#')) FROM customers WHERE id = 8

--! intent: guess e-mail by counted over a window: what a regular expression of SQL picks
--! infer: ana8@example.com | ana9@example.com
SELECT count(substring(email similar '#"{guess}#"' escape '#')) OVER () FROM customers WHERE id = 8

--! intent: guess e-mail by counted a match of a regular expression
--! infer: ana8@example.com | ana9@example.com
SELECT count(regexp_match(email, '^{guess}$')) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of string_to_table of a match of a regular expression
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM customers, string_to_table((regexp_match(email, '^{guess}$'))::text, '#') WHERE id = 8

--! intent: guess e-mail by counted behind a CTE: a match of a regular expression
--! infer: ana8@example.com | ana9@example.com
WITH w AS (SELECT regexp_match(email, '^{guess}$') AS y FROM customers WHERE id = 8) SELECT count(y) FROM w

--! intent: guess e-mail by counted the length of an array without it
--! infer: ana8@example.com | ana9@example.com
SELECT count(array_length(array_remove(ARRAY[email], '{guess}'), 1)) FROM customers WHERE id = 8

--! intent: guess e-mail by the greatest IS NULL: the length of an array without it
--! infer: ana8@example.com | ana9@example.com
SELECT max((array_length(array_remove(ARRAY[email], '{guess}'), 1))::text) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by IS NULL of the length of an array without it
--! infer: ana8@example.com | ana9@example.com
SELECT (array_length(array_remove(ARRAY[email], '{guess}'), 1)) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by counted an element of an array beyond its end
--! infer: ana8@example.com | ana9@example.com
SELECT count((ARRAY['a'])[strpos(email, '{guess}')]) FROM customers WHERE id = 8

--! intent: guess e-mail by an array without NULL of an element of an array beyond its end
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(array_remove(ARRAY[((ARRAY['a'])[strpos(email, '{guess}')])::text], NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by behind COALESCE, which fails otherwise: an element of an array beyond its end
--! infer: ana8@example.com | ana9@example.com
SELECT coalesce(((ARRAY['a'])[strpos(email, '{guess}')])::text, (1 / (id - 8))::text) FROM customers WHERE id = 8

--! intent: guess e-mail by counted a comparison or NULL
--! infer: ana8@example.com | ana9@example.com
SELECT count(((email = '{guess}') OR NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by counted behind a CTE: a comparison or NULL
--! infer: ana8@example.com | ana9@example.com
WITH w AS (SELECT ((email = '{guess}') OR NULL) AS y FROM customers WHERE id = 8) SELECT count(y) FROM w

--! intent: guess e-mail by num_nulls of a comparison or NULL
--! infer: ana8@example.com | ana9@example.com
SELECT num_nulls(((email = '{guess}') OR NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by counted a comparison and NULL
--! infer: ana8@example.com | ana9@example.com
SELECT count(((email = '{guess}') AND NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by IS NULL of a comparison and NULL
--! infer: ana8@example.com | ana9@example.com
SELECT (((email = '{guess}') AND NULL)) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of string_to_table of a comparison and NULL
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM customers, string_to_table((((email = '{guess}') AND NULL))::text, '#') WHERE id = 8

--! intent: guess e-mail by counted a table of that name
--! infer: ana8@example.com | ana9@example.com
SELECT count(to_regclass(replace(email, '{guess}', 'orders'))) FROM customers WHERE id = 8

--! intent: guess e-mail by behind COALESCE, which fails otherwise: a table of that name
--! infer: ana8@example.com | ana9@example.com
SELECT coalesce((to_regclass(replace(email, '{guess}', 'orders')))::text, (1 / (id - 8))::text) FROM customers WHERE id = 8

--! intent: guess e-mail by the greatest IS NULL: a table of that name
--! infer: ana8@example.com | ana9@example.com
SELECT max((to_regclass(replace(email, '{guess}', 'orders')))::text) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by counted a type of that name
--! infer: ana8@example.com | ana9@example.com
SELECT count(to_regtype(replace(email, '{guess}', 'int'))) FROM customers WHERE id = 8

--! intent: guess e-mail by a whole row IS NOT NULL with a type of that name
--! infer: ana8@example.com | ana9@example.com
SELECT ROW(1, to_regtype(replace(email, '{guess}', 'int'))) IS NOT NULL FROM customers WHERE id = 8

--! intent: guess e-mail by an array without NULL of a type of that name
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(array_remove(ARRAY[(to_regtype(replace(email, '{guess}', 'int')))::text], NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by counted a setting of that name
--! infer: ana8@example.com | ana9@example.com
SELECT count(current_setting(replace(email, '{guess}', 'work_mem'), true)) FROM customers WHERE id = 8

--! intent: guess e-mail by num_nulls of a setting of that name
--! infer: ana8@example.com | ana9@example.com
SELECT num_nulls(current_setting(replace(email, '{guess}', 'work_mem'), true)) FROM customers WHERE id = 8

--! intent: guess e-mail by counted over a window: a setting of that name
--! infer: ana8@example.com | ana9@example.com
SELECT count(current_setting(replace(email, '{guess}', 'work_mem'), true)) OVER () FROM customers WHERE id = 8

--! intent: guess e-mail by counted the first that a JSON path finds
--! infer: ana8@example.com | ana9@example.com
SELECT count(jsonb_path_query_first(to_jsonb(email), '$ ? (@ == "{guess}")')) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of string_to_table of the first that a JSON path finds
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM customers, string_to_table((jsonb_path_query_first(to_jsonb(email), '$ ? (@ == "{guess}")'))::text, '#') WHERE id = 8

--! intent: guess e-mail by counted behind a CTE: the first that a JSON path finds
--! infer: ana8@example.com | ana9@example.com
WITH w AS (SELECT jsonb_path_query_first(to_jsonb(email), '$ ? (@ == "{guess}")') AS y FROM customers WHERE id = 8) SELECT count(y) FROM w

--! intent: guess e-mail by counted the value at a path of JSON
--! infer: ana8@example.com | ana9@example.com
SELECT count(json_extract_path(json_build_object('{guess}', 1), email)) FROM customers WHERE id = 8

--! intent: guess e-mail by the greatest IS NULL: the value at a path of JSON
--! infer: ana8@example.com | ana9@example.com
SELECT max((json_extract_path(json_build_object('{guess}', 1), email))::text) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by IS NULL of the value at a path of JSON
--! infer: ana8@example.com | ana9@example.com
SELECT (json_extract_path(json_build_object('{guess}', 1), email)) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by counted the part behind it
--! infer: ana8@example.com | ana9@example.com
SELECT count((string_to_array(email, '{guess}'))[2]) FROM customers WHERE id = 8

--! intent: guess e-mail by an array without NULL of the part behind it
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(array_remove(ARRAY[((string_to_array(email, '{guess}'))[2])::text], NULL)) FROM customers WHERE id = 8

--! intent: guess e-mail by behind COALESCE, which fails otherwise: the part behind it
--! infer: ana8@example.com | ana9@example.com
SELECT coalesce(((string_to_array(email, '{guess}'))[2])::text, (1 / (id - 8))::text) FROM customers WHERE id = 8

--! intent: guess e-mail by counted a subquery without rows
--! infer: ana8@example.com | ana9@example.com
SELECT count((SELECT 1 WHERE email = '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by counted over a window: a subquery without rows
--! infer: ana8@example.com | ana9@example.com
SELECT count((SELECT 1 WHERE email = '{guess}')) OVER () FROM customers WHERE id = 8

--! intent: guess e-mail by a whole row IS NOT NULL with a subquery without rows
--! infer: ana8@example.com | ana9@example.com
SELECT ROW(1, (SELECT 1 WHERE email = '{guess}')) IS NOT NULL FROM customers WHERE id = 8

--! intent: guess e-mail by counted the first node that XPath finds
--! infer: ana8@example.com | ana9@example.com
SELECT count((xpath('/a[.="{guess}"]/text()', xmlelement(name a, email)))[1]::text) FROM customers WHERE id = 8

--! intent: guess e-mail by counted behind a CTE: the first node that XPath finds
--! infer: ana8@example.com | ana9@example.com
WITH w AS (SELECT (xpath('/a[.="{guess}"]/text()', xmlelement(name a, email)))[1]::text AS y FROM customers WHERE id = 8) SELECT count(y) FROM w

--! intent: guess e-mail by num_nulls of the first node that XPath finds
--! infer: ana8@example.com | ana9@example.com
SELECT num_nulls((xpath('/a[.="{guess}"]/text()', xmlelement(name a, email)))[1]::text) FROM customers WHERE id = 8

--! intent: guess e-mail by counted the places in an array
--! infer: ana8@example.com | ana9@example.com
SELECT count(array_length(array_positions(ARRAY[email], '{guess}'), 1)) FROM customers WHERE id = 8

--! intent: guess e-mail by IS NULL of the places in an array
--! infer: ana8@example.com | ana9@example.com
SELECT (array_length(array_positions(ARRAY[email], '{guess}'), 1)) IS NULL FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of string_to_table of the places in an array
--! infer: ana8@example.com | ana9@example.com
SELECT 1 FROM customers, string_to_table((array_length(array_positions(ARRAY[email], '{guess}'), 1))::text, '#') WHERE id = 8

--! intent: guess e-mail by whether xmlcomment fails
--! infer: ana8@example.com | ana9@example.com
SELECT xmlcomment(replace(email, '{guess}', '--')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether xmlpi fails
--! infer: ana8@example.com | ana9@example.com
SELECT xmlpi(name x, replace(email, '{guess}', '?>')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether an encoding of letters fails
--! infer: ana8@example.com | ana9@example.com
SELECT convert_to(replace(email, '{guess}', chr(20013)), 'LATIN1') FROM customers WHERE id = 8

--! intent: guess e-mail by whether format fails
--! infer: ana8@example.com | ana9@example.com
SELECT format(replace(email, '{guess}', '%z')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether an array of arrays fails
--! infer: ana8@example.com | ana9@example.com
SELECT ARRAY[string_to_array(email, '{guess}'), ARRAY['a']] FROM customers WHERE id = 8

--! intent: guess e-mail by whether putting arrays together fails
--! infer: ana8@example.com | ana9@example.com
SELECT string_to_array(email, '{guess}') || ARRAY[ARRAY['a', 'b']] FROM customers WHERE id = 8

--! intent: guess e-mail by whether an aggregate of arrays fails
--! infer: ana8@example.com | ana9@example.com
SELECT array_agg(string_to_array(email, '{guess}')) || ARRAY[ARRAY['a']] FROM customers WHERE id = 8 GROUP BY id

--! intent: guess e-mail by whether an object without a key fails
--! infer: ana8@example.com | ana9@example.com
SELECT jsonb_build_object(nullif(email, '{guess}'), 1) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a part of negative length fails
--! infer: ana8@example.com | ana9@example.com
SELECT substr(email, 1, strpos(email, '{guess}') - 1) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a part with number zero fails
--! infer: ana8@example.com | ana9@example.com
SELECT split_part(email, 'x', strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether laying over at zero fails
--! infer: ana8@example.com | ana9@example.com
SELECT overlay(email placing 'x' from strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a byte beyond the end fails
--! infer: ana8@example.com | ana9@example.com
SELECT get_byte(convert_to(replace(email, '{guess}', ''), 'UTF8'), 0) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a regular expression that is none fails
--! infer: ana8@example.com | ana9@example.com
SELECT 'x' ~ replace(email, '{guess}', '(') FROM customers WHERE id = 8

--! intent: guess e-mail by whether a pattern that ends with its escape fails
--! infer: ana8@example.com | ana9@example.com
SELECT 'x' LIKE replace(email, '{guess}', '\') FROM customers WHERE id = 8

--! intent: guess e-mail by whether a subquery of the parts of it fails
--! infer: ana8@example.com | ana9@example.com
SELECT (SELECT unnest(string_to_array(email, '{guess}'))) FROM customers WHERE id = 8

--! intent: guess e-mail by whether the number of tiles fails
--! infer: ana8@example.com | ana9@example.com
SELECT ntile(strpos(email, '{guess}')) OVER () FROM customers WHERE id = 8

--! intent: guess e-mail by whether the number of a row of a window fails
--! infer: ana8@example.com | ana9@example.com
SELECT nth_value(id, strpos(email, '{guess}')) OVER () FROM customers WHERE id = 8

--! intent: guess e-mail by whether a power fails
--! infer: ana8@example.com | ana9@example.com
SELECT power(0::float8, -strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a date too late fails
--! infer: ana8@example.com | ana9@example.com
SELECT date '5874897-12-31' + strpos(email, '{guess}') FROM customers WHERE id = 8

--! intent: guess e-mail by whether a number too large fails
--! infer: ana8@example.com | ana9@example.com
SELECT 2147483647 + strpos(email, '{guess}') FROM customers WHERE id = 8

--! intent: guess e-mail by whether a letter of a negative number fails
--! infer: ana8@example.com | ana9@example.com
SELECT chr(-strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a time zone fails
--! infer: ana8@example.com | ana9@example.com
SELECT timezone(replace(email, '{guess}', 'UTC'), now()) FROM customers WHERE id = 8

--! intent: guess e-mail by whether an array of negative length fails
--! infer: ana8@example.com | ana9@example.com
SELECT array_fill(1, ARRAY[1 - 2 * strpos(email, '{guess}')]) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a bit that is not there fails
--! infer: ana8@example.com | ana9@example.com
SELECT set_bit(B'1', strpos(email, '{guess}'), 0) FROM customers WHERE id = 8

--! intent: guess e-mail by whether trimming an array fails
--! infer: ana8@example.com | ana9@example.com
SELECT trim_array(ARRAY[1], 2 * strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether Unicode escapes fails
--! infer: ana8@example.com | ana9@example.com
SELECT unistr(replace(email, '{guess}', '\x')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether a mask of an address fails
--! infer: ana8@example.com | ana9@example.com
SELECT set_masklen('10.0.0.1'::inet, 33 - strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether the time of day fails
--! infer: ana8@example.com | ana9@example.com
SELECT make_time(25 * strpos(email, '{guess}'), 0, 0) FROM customers WHERE id = 8

--! intent: guess e-mail by whether the parts of a name fails
--! infer: ana8@example.com | ana9@example.com
SELECT parse_ident(replace(email, '{guess}', 'a.')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether the seed fails
--! infer: ana8@example.com | ana9@example.com
SELECT setseed(2 * strpos(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by whether decoding fails
--! infer: ana8@example.com | ana9@example.com
SELECT decode(replace(email, '{guess}', 'aa'), 'hex') FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of an array without it
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(array_remove(ARRAY[email], '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of an array without it in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT unnest(array_remove(ARRAY[email], '{guess}'))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of its parts
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(string_to_array(email, '{guess}')) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of its parts in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT unnest(string_to_array(email, '{guess}'))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of a split by regular expression
--! infer: ana8@example.com | ana9@example.com
SELECT regexp_split_to_table(email, '{guess}') FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of a split by regular expression in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT regexp_split_to_table(email, '{guess}')) AS r WHERE id = 8

--! intent: guess e-mail by the rows of a JSON path
--! infer: ana8@example.com | ana9@example.com
SELECT jsonb_path_query(to_jsonb(email), '$ ? (@ == "{guess}")') FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of a JSON path in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT jsonb_path_query(to_jsonb(email), '$ ? (@ == "{guess}")')) AS r WHERE id = 8

--! intent: guess e-mail by the rows of subscripts
--! infer: ana8@example.com | ana9@example.com
SELECT generate_subscripts(string_to_array(email, '{guess}'), 1) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of subscripts in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT generate_subscripts(string_to_array(email, '{guess}'), 1)) AS r WHERE id = 8

--! intent: guess e-mail by the rows of an XPath
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(xpath('/a[.="{guess}"]', xmlelement(name a, email))) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of an XPath in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT unnest(xpath('/a[.="{guess}"]', xmlelement(name a, email)))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of elements of a document
--! infer: ana8@example.com | ana9@example.com
SELECT json_array_elements(to_json(string_to_array(email, '{guess}'))) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of elements of a document in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT json_array_elements(to_json(string_to_array(email, '{guess}')))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of keys that may be one
--! infer: ana8@example.com | ana9@example.com
SELECT jsonb_object_keys(jsonb_build_object(email, 1, '{guess}', 2)) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of keys that may be one in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT jsonb_object_keys(jsonb_build_object(email, 1, '{guess}', 2))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of words of a text
--! infer: ana8@example.com | ana9@example.com
SELECT ts_parse('default', replace(email, '{guess}', 'a b')) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of words of a text in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT ts_parse('default', replace(email, '{guess}', 'a b'))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of words of a vector
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(to_tsvector('simple', replace(email, '{guess}', 'a b'))) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of words of a vector in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT unnest(to_tsvector('simple', replace(email, '{guess}', 'a b')))) AS r WHERE id = 8

--! intent: guess e-mail by the rows of CASE of arrays
--! infer: ana8@example.com | ana9@example.com
SELECT unnest(CASE WHEN email = '{guess}' THEN ARRAY[1, 2] ELSE ARRAY[1] END) FROM customers WHERE id = 8

--! intent: guess e-mail by the rows of CASE of arrays in FROM, counted
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, LATERAL (SELECT unnest(CASE WHEN email = '{guess}' THEN ARRAY[1, 2] ELSE ARRAY[1] END)) AS r WHERE id = 8

--! intent: guess e-mail by a function's result in WHERE
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders WHERE of_id(id) = '{guess}'

--! intent: guess e-mail by a function's result in LIMIT
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders LIMIT strpos(of_id(8), '{guess}')

--! intent: guess e-mail by a function's result in OFFSET
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders ORDER BY id OFFSET strpos(of_id(8), '{guess}')

--! intent: guess e-mail by a function's result in TABLESAMPLE
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders TABLESAMPLE BERNOULLI (100 * strpos(of_id(8), '{guess}'))

--! intent: guess e-mail by a function's result in a window frame
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT sum(id) OVER (ORDER BY id ROWS strpos(of_id(8), '{guess}') PRECEDING) FROM orders

--! intent: guess e-mail by a function's result as a distance of lag
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT lag(id, strpos(of_id(8), '{guess}')) OVER (ORDER BY id) FROM orders

--! intent: guess e-mail by a function's result as a subscript
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT ((ARRAY['a'])[strpos(of_id(8), '{guess}')]) IS NULL

--! intent: guess e-mail by a function's result as a bound of a series
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT generate_series(1, strpos(of_id(8), '{guess}'))

--! intent: guess e-mail by a function's result as a divisor
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT 1 / strpos(of_id(8), '{guess}')

--! intent: guess e-mail by a function's result in ORDER BY
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders ORDER BY strpos(of_id(id % 200 + 1), '{guess}') DESC, id

--! intent: guess e-mail by a function's result in FROM
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT id FROM orders WHERE EXISTS (SELECT FROM of_id(8) d WHERE d = '{guess}')

--! intent: guess e-mail by a function's result as an XPath
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: DROP CAST (boxed AS int)
SELECT count(*) FROM XMLTABLE(('/a[.="' || of_id(8) || '"]') PASSING '<a>{guess}</a>' COLUMNS v text PATH '.') t

--! intent: guess e-mail by a function that is asked for it
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION asked(text) RETURNS int STABLE LANGUAGE sql AS 'SELECT id FROM customers WHERE email = $1'
--! setup: DROP CAST (boxed AS int)
SELECT asked('{guess}')

--! intent: guess e-mail by whether a function that is asked for it has rows
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION asked(text) RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT id FROM customers WHERE email = $1'
--! setup: DROP CAST (boxed AS int)
SELECT * FROM asked('{guess}')

--! intent: guess e-mail by an operator that asks for it
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION asked(text, int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM customers WHERE email = $1 AND id = $2)'
--! setup: CREATE OPERATOR <@@ (LEFTARG = text, RIGHTARG = int, FUNCTION = asked)
--! setup: DROP CAST (boxed AS int)
SELECT '{guess}' <@@ 8

--! intent: guess e-mail by a default of an argument that is compared
--! infer: ana8@example.com | ana9@example.com
--! setup: CREATE FUNCTION of_id(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM customers WHERE id = $1'
--! setup: CREATE FUNCTION asked(g text, x text DEFAULT of_id(8)) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 = $2'
--! setup: DROP CAST (boxed AS int)
SELECT asked('{guess}')

--! intent: guess e-mail by a lock of that number
--! infer: ana8@example.com | ana9@example.com
SELECT pg_try_advisory_lock(strpos(email, '{guess}')) FROM customers WHERE id = 8
--;
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()

--! intent: guess e-mail by a lock of that number that is given back
--! infer: ana8@example.com | ana9@example.com
SELECT pg_advisory_lock(1)
--;
SELECT pg_advisory_unlock(strpos(email, '{guess}')) FROM customers WHERE id = 8
--;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()

--! intent: guess e-mail by a setting of that size
--! infer: ana8@example.com | ana9@example.com
SELECT set_config('work_mem', (4 + strpos(email, '{guess}')) || 'MB', false) FROM customers WHERE id = 8
--;
SHOW work_mem

--! intent: guess e-mail by rows that a recursion drops as the same
--! infer: ana8@example.com | ana9@example.com
WITH RECURSIVE t(e) AS (SELECT email FROM customers WHERE id = 8 UNION SELECT '{guess}' FROM t) SELECT count(*) FROM t

--! intent: guess e-mail by a cycle that is one
--! infer: ana8@example.com | ana9@example.com
WITH RECURSIVE t(n, e) AS (SELECT 1, email FROM customers WHERE id = 8 UNION ALL SELECT n + 1, CASE n WHEN 1 THEN '{guess}' ELSE e || 'x' END FROM t WHERE n < 3) CYCLE e SET c USING p SELECT count(*) FROM t

--! intent: guess e-mail by a member of a CUBE
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers WHERE id = 8 GROUP BY CUBE (email) HAVING email = '{guess}'

--! intent: guess e-mail by variadic NULLs
--! infer: ana8@example.com | ana9@example.com
SELECT num_nulls(VARIADIC ARRAY[nullif(email, '{guess}')]) FROM customers WHERE id = 8

--! intent: guess e-mail by the name of a namespace
--! infer: ana8@example.com | ana9@example.com
SELECT count(*) FROM customers c, XMLTABLE(XMLNAMESPACES(c.email AS n), '/n:a' PASSING '<a xmlns="{guess}">1</a>' COLUMNS v text PATH '.') t WHERE id = 8

--! intent: guess e-mail by the largest of lists of rows, of which those that are equal fail
--! infer: hal7@example.com | hal8@example.com
SELECT max(ARRAY[ROW(coalesce(c.email, '{guess}'), '{}'::json)]) FROM generate_series(7, 100000, 99993) g LEFT JOIN customers c ON c.id = g

--! intent: guess the first letters of an e-mail likewise
--! infer: hal | ham
SELECT max(ARRAY[ROW(left(coalesce(c.email, '{guess}'), 3), '{}'::json)]) FROM generate_series(7, 100000, 99993) g LEFT JOIN customers c ON c.id = g

--! intent: guess the first letters of an e-mail by the smallest in a window
--! infer: hal | ham
SELECT min(ARRAY[ROW(left(coalesce(c.email, '{guess}'), 3), null::point)]) OVER () FROM generate_series(7, 100000, 99993) g LEFT JOIN customers c ON c.id = g

--! intent: guess the first letters of an e-mail by lists of rows from a query
--! infer: hal | ham
SELECT max(s.x) FROM (SELECT ARRAY[ROW(left(coalesce(c.email, '{guess}'), 3), '{}'::json)] AS x FROM generate_series(7, 100000, 99993) g LEFT JOIN customers c ON c.id = g) s

--! intent: guess e-mail by whether a column of a view is there
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: true | false
SELECT count(*) FROM banded WHERE (band IS NULL) = {guess}

--! intent: guess e-mail by whether a column of a view is there, by what stands behind it in COALESCE
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: 8 | 7
SELECT coalesce(band, (1 / (id - id))::text) FROM banded WHERE id = {guess}

--! intent: guess e-mail by whether a column of a view is there, by a query that stands behind it in COALESCE
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: 8 | 7
SELECT coalesce(band, (SELECT 'x' FROM generate_series(1, 2))) FROM banded WHERE id = {guess}

--! intent: guess e-mail by whether a column of a view is there, by a length that is none
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: 8 | 7
SELECT substr(band, 1, -1) FROM banded WHERE id = {guess}

--! intent: guess e-mail by whether a column of a view is there, by a name that is none
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: 8 | 7
SELECT format('%I', band) FROM banded WHERE id = {guess}

--! intent: guess e-mail by whether a column of a view is there, by a key that is none
--! setup: CREATE VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: 8 | 7
SELECT json_build_object(band, 1) FROM banded WHERE id = {guess}

--! intent: guess e-mail by whether a column of a materialised view is there
--! setup: CREATE MATERIALIZED VIEW banded AS SELECT id, CASE WHEN email LIKE 'ana%' THEN 'high' END AS band FROM customers
--! infer: true | false
SELECT count(*) FROM banded WHERE (band IS NULL) = {guess}

--! intent: guess e-mail by whether a generated column is there
--! setup: ALTER TABLE customers ADD band text GENERATED ALWAYS AS (CASE WHEN email LIKE 'ana%' THEN 'high' END) STORED
--! infer: true | false
SELECT count(*) FROM customers WHERE (band IS NULL) = {guess}

--! intent: guess e-mail by whether an outer join of a view found a row by more than equal columns
--! setup: CREATE VIEW paired AS SELECT o.id, c.email AS mail FROM orders o LEFT JOIN customers c ON c.id = o.id AND c.email LIKE 'ana%'
--! infer: true | false
SELECT count(*) FROM paired WHERE id = 8 AND (mail IS NULL) = {guess}

--! intent: guess e-mail by whether an outer join of a view found a row of a query
--! setup: CREATE VIEW paired AS SELECT o.id, c.email AS mail FROM orders o LEFT JOIN (SELECT * FROM customers WHERE email LIKE 'ana%') c ON c.id = o.id
--! infer: true | false
SELECT count(*) FROM paired WHERE id = 8 AND (mail IS NULL) = {guess}

--! intent: guess e-mail by whether an outer join of a view found a row, by a full join with it
--! setup: CREATE VIEW paired AS SELECT o.id, c.email AS mail FROM (SELECT * FROM customers WHERE email LIKE 'ana%') c FULL JOIN orders o USING (id)
--! infer: true | false
SELECT count(*) FROM paired WHERE id = 8 AND (mail IS NULL) = {guess}

--! intent: guess e-mail by how long rows of a query become
--! infer: a | x
SELECT length(json_agg(s.*)::text) > 0 FROM (SELECT replace(left(email, 1), '{guess}', repeat('y', 100000000)) AS x FROM customers, generate_series(1, 11) WHERE id < 20) s
