-- Prisma Client 7.10.1 with its adapter for pg.

--! select from public.customers, public . customers . id , public . cust
--! bind: ["Oslo", "3", "1"]
SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."city", "public"."customers"."created_at" FROM "public"."customers" WHERE "public"."customers"."city" = $1 ORDER BY "public"."customers"."id" ASC LIMIT $2 OFFSET $3

--! select from public.customers, public . customers . id , public . cust (2)
--! bind: ["3", "1", "0"]
SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."city", "public"."customers"."created_at" FROM "public"."customers" WHERE ("public"."customers"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3

--! select from public.orders, public . orders . id , public . orders
--! bind: ["3", "0"]
SELECT "public"."orders"."id", "public"."orders"."customer_id", "public"."orders"."status", "public"."orders"."total", "public"."orders"."placed_at" FROM "public"."orders" WHERE "public"."orders"."customer_id" = $1 OFFSET $2

--! select from public.customers, public . customers . id , public . cust (3)
--! bind: ["ana", "1", "0"]
SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."city", "public"."customers"."created_at" FROM "public"."customers" WHERE "public"."customers"."name" ILIKE ('%' || $1 || '%') ORDER BY "public"."customers"."id" ASC LIMIT $2 OFFSET $3

--! select from public.orders, public . orders . id , public . orders (2)
--! bind: ["Rome", "400", "2", "0"]
SELECT "public"."orders"."id", "public"."orders"."customer_id", "public"."orders"."status", "public"."orders"."total", "public"."orders"."placed_at" FROM "public"."orders" LEFT JOIN "public"."customers" AS "j0" ON ("j0"."id") = ("public"."orders"."customer_id") WHERE (("j0"."city" = $1 AND ("j0"."id" IS NOT NULL)) AND "public"."orders"."total" > $2) ORDER BY "public"."orders"."id" ASC LIMIT $3 OFFSET $4

--! select from public.customers, public . customers . id , public . cust (4)
--! bind: ["108", "33", "0"]
SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."city", "public"."customers"."created_at" FROM "public"."customers" WHERE "public"."customers"."id" IN ($1,$2) OFFSET $3

--! select from SELECT, MAX( total ) AS _max$total , MIN( place
--! bind: ["open", "paid", "0"]
SELECT MAX("total") AS "_max$total", MIN("placed_at") AS "_min$placed_at", COUNT(*) AS "_count$_all" FROM (SELECT "public"."orders"."total", "public"."orders"."placed_at", "public"."orders"."id" FROM "public"."orders" WHERE "public"."orders"."status" IN ($1,$2) OFFSET $3) AS "sub"

--! select from SELECT, COUNT(*) AS _count$_all FROM (SELECT pu
--! bind: ["open", "0"]
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."customers"."id" FROM "public"."customers" WHERE EXISTS(SELECT "t0"."customer_id" FROM "public"."orders" AS "t0" WHERE ("t0"."status" = $1 AND ("public"."customers"."id") = ("t0"."customer_id") AND "t0"."customer_id" IS NOT NULL)) OFFSET $2) AS "sub"

--! select from public.customers, public . customers . id , COALESCE( agg
--! bind: ["0"]
SELECT "public"."customers"."id", COALESCE("aggr_selection_0_orders"."_aggr_count_orders", 0) AS "_aggr_count_orders" FROM "public"."customers" LEFT JOIN (SELECT "public"."orders"."customer_id", COUNT(*) AS "_aggr_count_orders" FROM "public"."orders" WHERE 1=1 GROUP BY "public"."orders"."customer_id") AS "aggr_selection_0_orders" ON ("public"."customers"."id" = "aggr_selection_0_orders"."customer_id") WHERE NOT EXISTS(SELECT "t0"."customer_id" FROM "public"."orders" AS "t0" WHERE (1=1 AND ("public"."customers"."id") = ("t0"."customer_id") AND "t0"."customer_id" IS NOT NULL)) OFFSET $1

--! select from public.orders, public . orders . id , public . orders (3)
--! bind: ["5", "0"]
SELECT "public"."orders"."id", "public"."orders"."customer_id", "public"."orders"."status", "public"."orders"."total", "public"."orders"."placed_at" FROM "public"."orders" WHERE "public"."orders"."id" >= (SELECT "public"."orders"."id" FROM "public"."orders" WHERE ("public"."orders"."id") = ($1)) ORDER BY "public"."orders"."id" ASC OFFSET $2

--! select from public.orders, public . orders . id , public . orders (4)
--! bind: ["test", "10", "1", "2", "2026-03-05 00:00:00+00", "2", "0"]
SELECT "public"."orders"."id", "public"."orders"."customer_id", "public"."orders"."status", "public"."orders"."total", "public"."orders"."placed_at" FROM "public"."orders" WHERE (("public"."orders"."status" <> $1 OR "public"."orders"."total" <= $2) AND (NOT "public"."orders"."id" IN ($3,$4)) AND "public"."orders"."placed_at" >= $5) ORDER BY "public"."orders"."status" DESC, "public"."orders"."id" ASC LIMIT $6 OFFSET $7

--! select from orders, count(*)::int AS n FROM orders WHERE st
--! bind: ["paid"]
SELECT count(*)::int AS n FROM orders WHERE status = $1

--! transaction: begin, set, select, commit
--! bind: null
--! bind: null
--! bind: ["0"]
--! bind: ["1", "0"]
--! bind: null
BEGIN
--;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
--;
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."orders"."id" FROM "public"."orders" WHERE 1=1 OFFSET $1) AS "sub"
--;
SELECT "public"."customers"."id", "public"."customers"."name", "public"."customers"."city", "public"."customers"."created_at" FROM "public"."customers" WHERE 1=1 LIMIT $1 OFFSET $2
--;
COMMIT

--! transaction: begin, select, commit
--! bind: null
--! bind: ["0"]
--! bind: ["0"]
--! bind: null
BEGIN
--;
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."orders"."id" FROM "public"."orders" WHERE 1=1 OFFSET $1) AS "sub"
--;
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."customers"."id" FROM "public"."customers" WHERE 1=1 OFFSET $1) AS "sub"
--;
COMMIT

--! a masked column in the document of a relation
--! masked: customer
--! bind: ["3"]
SELECT "t1"."id", "orders_customer"."__prisma_data__" AS "customer" FROM "public"."orders" AS "t1" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t4"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t3"."id", 'email', "t3"."email") AS "__prisma_data__" FROM (SELECT "t2".* FROM "public"."customers" AS "t2" WHERE "t1"."customer_id" = "t2"."id") AS "t3") AS "t4") AS "t5") AS "orders_customer" ON TRUE LIMIT $1
