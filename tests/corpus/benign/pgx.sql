-- pgx 5 and lib/pq: batches, transactions, types, COPY TO STDOUT.

--! select from orders, id, total, placed_at from orders where
--! bind: ["paid", "{1,2,3,6}"]
select id, total, placed_at from orders where status = $1 and id = any($2) order by id

--! select from orders, count(*) from orders where placed_at >=
--! bind: ["2026-11-21"]
select count(*) from orders where placed_at >= $1::date

--! select 1
--! bind: []
select 1

--! select $1::text
--! bind: ["x"]
select $1::text

--! transaction: begin, savepoint, select, release, rollback
begin isolation level repeatable read read only deferrable
--;
savepoint sp_1
--;
select 1
--;
release savepoint sp_1
--;
rollback

--! select $1::text::regtype::oid;
--! bind: ["orders"]
select $1::text::regtype::oid;

--! select from pg_type, typtype::text, typbasetype from pg_type
--! bind: ["16396"]
select typtype::text, typbasetype from pg_type where oid=$1

--! select from pg_type, typrelid from pg_type where oid=$1
--! bind: ["16396"]
select typrelid from pg_type where oid=$1

--! select from pg_attribute, attname, atttypid from pg_attribute whe
--! bind: ["16394"]
select attname, atttypid
from pg_attribute
where attrelid=$1
	and not attisdropped
	and attnum > 0
order by attnum

--! select 1; select 2
select 1; select 2

--! copy (select id, status from orders order by id limit 5) to stdout
copy (select id, status from orders order by id limit 5) to stdout

--! select from orders, id from orders where id = $1
--! bind: ["3"]
select id from orders where id = $1

--! transaction: begin, select, rollback
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
--;
select 1
--;
ROLLBACK
