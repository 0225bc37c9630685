-- node-postgres.

--! SELECT $1::text as m
--! bind: ["x"]
SELECT $1::text as m

--! select from orders, id,status from orders where id=$1
--! bind: ["5"]
select id,status from orders where id=$1

--! select now()
--! volatile: now
select now()
