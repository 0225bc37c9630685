-- Knex with pg: schema helpers and query builder.

--! select version();
select version();

--! select from information_schema.tables, * from information_schema.tables where
--! bind: ["orders"]
select * from information_schema.tables where table_name = $1 and table_schema = current_schema()

--! select from information_schema.columns, * from information_schema.columns where
--! bind: ["orders", "id"]
select * from information_schema.columns where table_name = $1 and column_name = $2 and table_schema = current_schema()

--! select from information_schema.columns, * from information_schema.columns where (2)
--! bind: ["orders"]
select * from information_schema.columns where table_name = $1 and table_catalog = current_database() and table_schema = current_schema()

--! select from customers, id , city from customers where city = $
--! bind: ["Oslo", "3", "1"]
select "id", "city" from "customers" where "city" = $1 order by "id" asc limit $2 offset $3

--! select from orders, customers . city , count(*) as n , sum(
--! bind: ["2"]
select "customers"."city", count(*) as "n", sum("total") as "s" from "orders" inner join "customers" on "customers"."id" = "orders"."customer_id" group by "customers"."city" having count(*) > $1 order by "customers"."city" asc

--! with from orders, with w as (select id from orders where t
--! bind: ["400", "2"]
with "w" as (select "id" from "orders" where "total" > $1) select * from "w" order by "id" asc limit $2

--! select from customers, id from customers where id in ($1, $2)
--! bind: ["1", "2"]
select "id" from "customers" where "id" in ($1, $2) or "card_number" is null order by "id" asc

--! select from customers, count(*) from customers where exists (s
select count(*) from "customers" where exists (select 1 from "orders" where orders.customer_id = customers.id)

--! select from customers, id from customers where name ilike $1 l
--! bind: ["%bo%", "1"]
select "id" from "customers" where "name" ilike $1 limit $2

--! select from orders, row_number() over (partition by status
--! bind: ["3"]
select row_number() over (partition by "status" order by "id") as "rn", "id" from "orders" order by "id" asc limit $1

--! select from orders, on ( status ) status , id from orders o
select distinct on ("status") "status", "id" from "orders" order by "status" asc, "id" asc

--! transaction: begin, select, commit
BEGIN TRANSACTION READ ONLY;
--;
select count(*) from "orders"
--;
COMMIT;

--! select $1::jsonb -> $2 as v
--! bind: ["{\"a\": 1}", "a"]
select $1::jsonb -> $2 as v

--! SELECT 1
SELECT 1
