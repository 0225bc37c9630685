-- Names are few and come up again, in several schemas and as names of columns, so that a random name is
-- often one of several things.
CREATE TYPE address AS (street text, zip int);
CREATE TABLE people (
    id int PRIMARY KEY, name text, email text, born date, pay numeric(9, 2), tags text[], doc jsonb,
    home address, kin int[]
);
CREATE TABLE bills (id int, person int, email text, total int, note text);
CREATE TABLE staff (boss int) INHERITS (people);
CREATE TABLE a (id int, b text, email text);
CREATE SCHEMA other;
CREATE TABLE other.a (id int, b text, email text);
CREATE TABLE parts (id int, region int, label text) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
-- Only a column of the one below is masked.
CREATE TABLE notes (id int, text text);
CREATE TABLE memos (by int) INHERITS (notes);
CREATE VIEW contacts AS SELECT id, name, email AS contact, pay FROM people;
CREATE VIEW wide AS SELECT p.*, o.total FROM people p JOIN bills o ON o.person = p.id;
CREATE VIEW columns (id, name, email) AS SELECT p.id, p.email, p.name FROM people p;
CREATE FUNCTION mail(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT email FROM people WHERE id = $1';
CREATE FUNCTION folk() RETURNS SETOF people STABLE LANGUAGE sql AS 'SELECT * FROM people';
CREATE FUNCTION pairs(OUT id int, OUT name text) RETURNS SETOF record STABLE LANGUAGE sql
    AS 'SELECT id, email FROM people';
CREATE FUNCTION same(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
-- Types that not every value is of.
CREATE DOMAIN brief AS text CHECK (length(VALUE) < 5);
CREATE TYPE mood AS ENUM ('ann', 'x', 'cy');
CREATE TYPE slim AS (street varchar(3), zip numeric(3, 1));
CREATE TYPE tagged AS (label brief, feeling mood);
