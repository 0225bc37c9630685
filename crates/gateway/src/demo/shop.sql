-- The shop: made-up people, test card numbers, nothing real.
CREATE TABLE customers (
    id          integer PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL UNIQUE,
    card_number text,
    city        text NOT NULL,
    created_at  timestamptz NOT NULL
);
CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers (id),
    status      text NOT NULL,
    total       numeric(10, 2) NOT NULL,
    note        text,
    placed_at   timestamptz NOT NULL
);
CREATE TABLE payments (
    id       integer PRIMARY KEY,
    order_id integer NOT NULL REFERENCES orders (id),
    iban     text,
    amount   numeric(10, 2) NOT NULL,
    paid_at  timestamptz
);
CREATE VIEW customer_contacts AS SELECT id, name, email FROM customers;

INSERT INTO customers
SELECT i,
       (ARRAY['Ana Lima','Bo Chen','Cleo Dahl','Dev Patel','Eva Novak','Finn Berg','Gia Rossi','Hal Moore'])[1 + i % 8]
           || ' ' || i,
       lower((ARRAY['ana','bo','cleo','dev','eva','finn','gia','hal'])[1 + i % 8]) || i || '@example.com',
       (ARRAY['4111 1111 1111 1111','5555 5555 5555 4444','4012 8888 8888 1881','5105 1051 0510 5100'])[1 + i % 4],
       (ARRAY['Lisbon','Oslo','Prague','Rome','Delft'])[1 + i % 5],
       timestamptz '2026-01-01 00:00:00+00' + i * interval '3 hours'
FROM generate_series(1, 200) AS i;

INSERT INTO orders
SELECT i, 1 + i % 200,
       (ARRAY['open','paid','shipped','returned','test'])[1 + i % 5],
       round((5 + (i * 37 % 4000) / 10.0)::numeric, 2),
       CASE WHEN i % 50 = 0 THEN 'call back at customer' || i || '@example.org' END,
       timestamptz '2026-03-01 00:00:00+00' + i * interval '40 minutes'
FROM generate_series(1, 1000) AS i;

INSERT INTO payments
SELECT i, i, 'DE89370400440532013000', round((5 + (i * 37 % 4000) / 10.0)::numeric, 2),
       timestamptz '2026-03-02 00:00:00+00' + i * interval '40 minutes'
FROM generate_series(1, 800) AS i;

CREATE ROLE shop_app LOGIN PASSWORD :'app_password';
GRANT USAGE ON SCHEMA public TO shop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app;
ANALYZE;
