-- Postgrex and Ecto, as they are known to ask.

--! Postgrex: types at first connection
SELECT t.oid, t.typname, t.typsend, t.typreceive, t.typoutput, t.typinput,
       coalesce(d.typelem, t.typelem), coalesce(r.rngsubtype, 0), ARRAY (
  SELECT a.atttypid
  FROM pg_attribute AS a
  WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum
)
FROM pg_type AS t
LEFT JOIN pg_type AS d ON t.typbasetype = d.oid
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid OR (t.typbasetype <> 0 AND r.rngtypid = t.typbasetype)
WHERE (t.typrelid = 0)
AND (t.typelem = 0 OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type s WHERE s.typrelid != 0 AND s.oid = t.typelem))
ORDER BY t.oid

--! Ecto: a query with a preload
--! bind: ["3","5"]
--! bind: ["{1,2,3}"]
SELECT o0."id", o0."status", o0."total", o0."placed_at" FROM "orders" AS o0 WHERE (o0."customer_id" = $1) ORDER BY o0."id" LIMIT $2
--;
SELECT c0."id", c0."name", c0."city", c0."id" FROM "customers" AS c0 WHERE (c0."id" = ANY($1)) ORDER BY c0."id"

--! Ecto: whether there is a row, and an aggregate
--! bind: ["paid"]
--! bind: []
SELECT TRUE FROM "orders" AS o0 WHERE (o0."status" = $1) LIMIT 1
--;
SELECT sum(o0."total"), count(*) FROM "orders" AS o0

--! Ecto: structure of a repository
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'schema_migrations'
--;
SELECT 1::integer WHERE pg_try_advisory_lock(123456789)
--;
SELECT pg_advisory_unlock(123456789)
