//! What decides which rows, groups and order an answer has, or whether it fails.

#[cfg(test)]
mod common;

use portcullis_core::mask::Origin;
use portcullis_sql::catalog::Catalog;
use portcullis_sql::{Limits, analyse};

/// The e-mail address decides.
const DECIDES: &[&str] = &[
    // How long it is, by the letters in it, in rows of queries as in their columns.
    "SELECT json_agg(s.*) FROM (SELECT btrim(left(email, 1), 'a') AS x FROM customers) s",
    "SELECT json_agg(s) FROM (SELECT translate(email, 'a', '') AS x FROM customers) s",
    "SELECT string_agg(s.x, '') FROM (SELECT replace(email, 'a', 'xx') AS x FROM customers) s",
    "SELECT json_agg((SELECT btrim(left(email, 1), 'a'))) FROM customers",
    "SELECT s.* || s.x::text FROM (SELECT email, repeat('x', 600000000) AS x FROM customers) s",
    "WITH RECURSIVE r(x, n) AS (SELECT email, 1 FROM customers UNION ALL SELECT x || x, n + 1 FROM r \
     WHERE n < 30) SELECT length(x) FROM r",
    // What is worked out is NULL by what it is worked out of.
    "SELECT id FROM customer_contacts WHERE contact IS NULL",
    "SELECT id FROM contact_list WHERE shout IS NOT NULL",
    "SELECT id FROM contact_list ORDER BY (shout IS NULL)",
    "SELECT id FROM customers WHERE email = 'a'",
    "SELECT id FROM customers WHERE 'a' = email AND id > 3",
    "SELECT id FROM customers WHERE email LIKE 'a%'",
    "SELECT id FROM customers WHERE NOT email ~ '^a'",
    "SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b'",
    "SELECT id FROM customers WHERE email IN ('a', 'b')",
    "SELECT id FROM customers WHERE email = ANY (ARRAY['a'])",
    "SELECT id FROM customers WHERE email IS DISTINCT FROM 'a'",
    "SELECT id FROM customers WHERE length(email) > 5",
    "SELECT id FROM customers WHERE left(email, 1) = 'a'",
    "SELECT id FROM customers WHERE (id, email) > (1, 'a')",
    "SELECT id FROM customers c WHERE c = ROW(1, 'a', 'b', 'c')",
    "SELECT id FROM customers c WHERE c::text LIKE '%a%'",
    "SELECT id FROM customers c WHERE to_jsonb(c) ->> 'email' = 'a'",
    "SELECT id FROM customers WHERE starts_with(email, 'a')",
    "SELECT id FROM customers WHERE nullif(email, 'a') IS NULL",
    "SELECT id FROM customer_contacts WHERE contact = 'a'",
    "SELECT id FROM contact_list WHERE shout = 'a!'",
    "SELECT id FROM (SELECT id, email AS x FROM customers) s WHERE x = 'a'",
    "WITH s AS (SELECT id, email AS x FROM customers) SELECT id FROM s WHERE x > 'a'",
    "SELECT id FROM customers ORDER BY email",
    "SELECT id, email AS x FROM customers ORDER BY x",
    "SELECT id, email FROM customers ORDER BY 2",
    "SELECT id, lower(email) FROM customers ORDER BY lower",
    "SELECT id FROM customers ORDER BY (email) USING <",
    "SELECT id FROM customers c ORDER BY c",
    "SELECT email FROM customers UNION ALL SELECT title FROM products ORDER BY 1",
    "SELECT id, email AS note FROM customers ORDER BY note",
    "SELECT count(*) FROM customers GROUP BY email",
    "SELECT count(*), email AS x FROM customers GROUP BY x",
    "SELECT count(*), email FROM customers GROUP BY 2",
    "SELECT count(*) FROM customers GROUP BY ROLLUP (name, email)",
    "SELECT count(*) FROM customers GROUP BY GROUPING SETS ((name), (email, id))",
    "SELECT count(*) FROM customers GROUP BY (name, email)",
    "SELECT name FROM customers GROUP BY name HAVING max(email) > 'a'",
    "SELECT DISTINCT email FROM customers",
    "SELECT DISTINCT ON (email) id FROM customers",
    "SELECT DISTINCT ON (2) id, email FROM customers ORDER BY 2, 1",
    "SELECT count(DISTINCT email) FROM customers",
    "SELECT email FROM customers UNION SELECT 'a'",
    "SELECT email FROM customers INTERSECT ALL SELECT 'a'",
    "SELECT 'a' EXCEPT SELECT email FROM customers",
    "SELECT 1 FROM customers a JOIN customers b ON a.email = b.name",
    "SELECT 1 FROM customers a JOIN customers b USING (email)",
    "SELECT 1 FROM customers a NATURAL JOIN customers b",
    "SELECT 1 FROM customers a NATURAL JOIN (SELECT title AS email FROM products) b",
    "SELECT 1 FROM orders o WHERE EXISTS (SELECT FROM customers WHERE email = o.note)",
    "SELECT 1 FROM orders WHERE note IN (SELECT email FROM customers)",
    "SELECT 1 FROM orders WHERE note > ALL (SELECT email FROM customers)",
    "SELECT (SELECT id FROM customers WHERE email = 'a')",
    "SELECT CASE WHEN email = 'a' THEN 1 END FROM customers",
    "SELECT CASE email WHEN 'a' THEN 1 END FROM customers",
    "SELECT 1 / (CASE WHEN email > 'a' THEN 0 ELSE 1 END) FROM customers",
    "SELECT nullif(email, 'a') FROM customers",
    "SELECT email = 'a' FROM customers",
    "SELECT email LIKE 'a%' FROM customers",
    "SELECT email::int FROM customers",
    "SELECT email::bytea FROM customers",
    "SELECT CAST(email AS json) FROM customers",
    "SELECT ascii(email) FROM customers",
    "SELECT 1 / ascii(email) FROM customers",
    "SELECT substring(email, 'a.*') FROM customers",
    "SELECT substring(email FROM 'a.*') FROM customers",
    "SELECT regexp_replace(email, 'a', '') FROM customers",
    "SELECT repeat('x', length(email)) FROM customers",
    "SELECT repeat('x', 1000000000) || email FROM customers",
    "SELECT concat(repeat('x', 1000000000), email) FROM customers",
    "SELECT concat(s.x, email) FROM customers, (SELECT repeat('x', 1000000000) AS x) s",
    "SELECT replace(email, 'a', repeat('x', 600000000)) FROM customers",
    "SELECT format('%*s', length(email), 'x') FROM customers",
    "SELECT format('%1073741818s%s', 'x', btrim(left(email, 1), 'a')) FROM customers",
    // What letters are in it, by how large it becomes.
    "SELECT replace(replace(replace(email, 'a', repeat_32), 'a', repeat_32), 'a', repeat_32) FROM customers",
    "SELECT format(repeat_f, format(repeat_f, format(repeat_f, email))) FROM customers",
    "SELECT concat(s.y, replace(replace(email, 'a', repeat_k), 'a', repeat_k)) FROM customers, (SELECT 'y' AS y) s",
    "SELECT string_agg(replace(email, 'a', 'xx'), '') FROM customers",
    "SELECT json_agg(btrim(left(email, 1), 'a')) FROM customers",
    "SELECT array_agg(upper(translate(email, 'a', ''))) FROM customers",
    "SELECT length(email, 'UTF8') FROM customers",
    "SELECT email::app.name FROM customers",
    "SELECT json_array(email FORMAT JSON) FROM customers",
    "SELECT json_object('a': email FORMAT JSON) FROM customers",
    "SELECT json_arrayagg(email FORMAT JSON) FROM customers",
    "SELECT json_objectagg('a': email FORMAT JSON) FROM customers",
    "SELECT json_array(SELECT email FROM customers FORMAT JSON)",
    "SELECT json_array(email RETURNING varchar(5)) FROM customers",
    "SELECT json_array(email RETURNING order_status) FROM customers",
    "SELECT json_object('a': email RETURNING int) FROM customers",
    "SELECT json_serialize(email) FROM customers",
    "SELECT xmlserialize(CONTENT xmlelement(name a, email) AS varchar(9)) FROM customers",
    "SELECT xmlserialize(DOCUMENT xmlelement(name a, email) AS text) FROM customers",
    "SELECT format('%s', VARIADIC ARRAY[email]) FROM customers",
    "SELECT to_jsonb(c) -> 'x' FROM customers c",
    "SELECT (ARRAY[email])[2] FROM customers",
    "SELECT (string_to_array(email, '@'))[2] FROM customers",
    "SELECT count(*) FILTER (WHERE email = 'a') FROM customers",
    "SELECT array_agg(id ORDER BY email) FROM customers",
    "SELECT mode() WITHIN GROUP (ORDER BY email) FROM customers",
    // Rows are compared field by field, and a field of which that cannot be done is come to only where
    // those before are equal.
    "SELECT max(ARRAY[ROW(left(coalesce(c.email, 'b'), 1), '{}'::json)]) \
     FROM generate_series(7, 9, 2) g LEFT JOIN customers c ON c.id = g",
    "SELECT min(ARRAY[ROW(email, null::point)]) FROM customers",
    "SELECT max(ROW(email, '{}'::json)) FROM customers",
    "SELECT max(ARRAY(SELECT ROW(email, '{}'::json))) FROM customers",
    "SELECT max(s.x) FROM (SELECT ARRAY[ROW(email, '{}'::json)] AS x FROM customers) s",
    "SELECT max(coalesce(ARRAY[ROW(email, '{}'::json)], null)) FROM customers",
    "SELECT max(ARRAY[ROW(email, '{}'::json)]) OVER () FROM customers",
    "SELECT concat('<', max(ARRAY[ROW(email, '{}'::json)])) FROM customers",
    "SELECT max(array_agg(ROW(email, '{}'::json))) OVER () FROM customers GROUP BY id",
    "SELECT max(c) FROM customers c",
    "SELECT max(c.*) FROM customers c",
    "SELECT max(v.x) FROM customers c, LATERAL (VALUES (ARRAY[ROW(c.email, '{}'::json)])) v(x)",
    "SELECT rank() OVER (ORDER BY email) FROM customers",
    "SELECT count(*) OVER (PARTITION BY email) FROM customers",
    "SELECT rank() OVER w FROM customers WINDOW w AS (ORDER BY email)",
    "SELECT id FROM customers WHERE to_tsvector(email) @@ to_tsquery('a')",
    "SELECT email IS TRUE FROM (SELECT email = 'a' AS email FROM customers) s",
    "SELECT id FROM customers WHERE (CASE WHEN email = 'a' THEN true END) IS NULL",
    "WITH RECURSIVE r(x) AS (SELECT email FROM customers UNION SELECT x FROM r) SELECT 1 FROM r",
    "WITH RECURSIVE r(x) AS (SELECT email FROM customers UNION ALL SELECT x FROM r WHERE x < 'a') SELECT 1 FROM r",
    "WITH RECURSIVE r(x) AS (SELECT email FROM customers UNION ALL SELECT x FROM r) CYCLE x SET c USING p SELECT 1 FROM r",
    "SELECT xmlparse(DOCUMENT email) FROM customers",
    "SELECT email IS JSON FROM customers",
    "SELECT json_object(email: 1 WITH UNIQUE KEYS) FROM customers",
    "DELETE FROM customers WHERE email = 'a'",
    "UPDATE customers SET name = 'x' WHERE email = 'a'",
    "UPDATE orders SET note = 'x' FROM customers c WHERE c.email = note",
    "MERGE INTO orders o USING customers c ON c.email = o.note WHEN MATCHED THEN DO NOTHING",
    "MERGE INTO orders o USING customers c ON c.id = o.id WHEN MATCHED AND c.email = 'a' THEN DO NOTHING",
    "INSERT INTO customers VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE customers.email = 'a'",
    "EXPLAIN SELECT id FROM customers WHERE email = 'a'",
    "COPY (SELECT id FROM customers WHERE email = 'a') TO STDOUT",
    "SELECT id FROM customers WHERE now() > now() AND coalesce(email, 'x') < 'b' OR id = 3",
    "SELECT l.x FROM orders o, LATERAL (SELECT c.email = o.note AS x FROM customers c) l",
    // Whether a definition can be made, or what follows it can be changed.
    "CREATE UNIQUE INDEX ON customers (email)",
    "CREATE UNIQUE INDEX ON customers (id) WHERE email LIKE 'a%'",
    "CREATE UNIQUE INDEX ON customers (left(email, 3))",
    "CREATE INDEX ON customers ((email || 'xxxx'))",
    "CREATE INDEX ON customers (id) WHERE email < 'm'",
    "ALTER TABLE customers ADD CHECK (email < 'm')",
    "ALTER TABLE customers ADD CHECK (email < 'm') NOT VALID",
    "ALTER TABLE customers ADD n int, ADD CHECK (n > 0 OR email < 'm')",
    "ALTER TABLE customers ADD n int CHECK (email < 'm')",
    "ALTER TABLE customers ADD UNIQUE (id, email)",
    "ALTER TABLE customers ADD PRIMARY KEY (email)",
    "ALTER TABLE customers ADD EXCLUDE USING hash (email WITH =)",
    "ALTER TABLE customers ADD EXCLUDE USING hash (id WITH =) WHERE (email < 'm')",
    "ALTER TABLE customers ADD FOREIGN KEY (email) REFERENCES products (title)",
    "ALTER TABLE products ADD FOREIGN KEY (title) REFERENCES customers (email)",
    "ALTER TABLE products ADD guess text DEFAULT 'a' REFERENCES customers (email)",
    "CREATE TABLE guesses (guess text REFERENCES customers (email))",
    "ALTER TABLE customers ALTER email TYPE int USING length(email)",
    "ALTER TABLE customers ALTER email TYPE varchar(12)",
    "ALTER TABLE customers ALTER email TYPE checked",
    "ALTER TABLE customers ADD g bool GENERATED ALWAYS AS (email < 'm') STORED",
    "ALTER TABLE customers ALTER name SET EXPRESSION AS (email)",
    "CREATE POLICY own ON customers USING (email < 'm')",
    "ALTER POLICY own ON customers WITH CHECK (email < 'm')",
    "CREATE STATISTICS s ON (length(email)), id FROM customers",
    "CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW WHEN (old.email < 'm') EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TABLE empty (n int); CREATE UNIQUE INDEX ON customers (email)",
    "CLUSTER customers USING customers_email",
    "CLUSTER customers",
    "ALTER TABLE customers CLUSTER ON customers_email",
    "ALTER TABLE orders ADD n int; CLUSTER customers",
    "ALTER TABLE orders ADD n int; ALTER TABLE customers ADD CHECK (email < 'm')",
    // Which key it is cannot be told.
    "ALTER TABLE customers DROP CONSTRAINT customers_pkey, ADD PRIMARY KEY USING INDEX other; \
     CREATE TABLE guesses (guess text REFERENCES customers)",
    "ALTER TABLE customers ADD PRIMARY KEY USING INDEX other, \
     ADD FOREIGN KEY (name) REFERENCES customers",
    // Of a table that is new, what is asked of others.
    "CREATE TABLE fresh (a text); ALTER TABLE fresh ADD FOREIGN KEY (a) REFERENCES customers (email)",
    "CREATE TABLE fresh (a int); CREATE POLICY own ON fresh USING ((SELECT email FROM customers WHERE id = 1) < 'm')",
    "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD b text DEFAULT 'a' REFERENCES customers (email)",
    "CREATE TABLE fresh (a int); CREATE POLICY own ON fresh USING (EXISTS (SELECT FROM customers c WHERE c.email = fresh.a::text))",
];

/// It is read, or only asked whether it is there, or nothing of it.
const PASSES: &[&str] = &[
    // By way of queries in it, as clients that make their SQL ask.
    "SELECT lower(x.email) FROM (SELECT email FROM customers) x",
    "WITH c AS (SELECT id, email FROM customers) SELECT count(email), max(email) FROM c",
    "SELECT json_agg(t), count(t) FROM (SELECT id, email FROM customers) t",
    "SELECT json_agg(t.*) FROM (SELECT id, upper(email) FROM customers) t",
    "SELECT lower(j.email) FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j(id, email)",
    "SELECT x FROM (SELECT email AS x FROM customers) s WHERE x IS NOT NULL",
    "WITH s AS (SELECT id, public.customers.email FROM customers LIMIT 9) SELECT coalesce(json_agg(p), '[]'), count(p) \
     FROM (SELECT * FROM s) p",
    "SELECT coalesce(json_agg(root), '[]') FROM (SELECT row_to_json((SELECT e FROM (SELECT b.id, b.email) e)) \
     AS root FROM (SELECT * FROM customers WHERE true) b) r",
    "SELECT o.id, d.data FROM orders o LEFT JOIN LATERAL (SELECT coalesce(jsonb_agg(data), '[]') AS data FROM \
     (SELECT t.data FROM (SELECT jsonb_build_object('id', c.id, 'email', c.email) AS data FROM \
     (SELECT s.* FROM customers s WHERE s.id = o.customer_id) c) t) u) d ON true",
    "SELECT o.id, d.data FROM orders o LEFT JOIN LATERAL (SELECT json_build_array(c.id, c.email) AS data FROM \
     (SELECT * FROM customers c WHERE c.id = o.customer_id LIMIT 1) c) d ON true",
    "SELECT * FROM customers",
    "SELECT * FROM customers WHERE id = 1 ORDER BY id",
    "SELECT id, email FROM customers ORDER BY 1",
    "SELECT id AS email FROM customers ORDER BY email",
    "SELECT email, name FROM customers ORDER BY name, id",
    "SELECT DISTINCT name FROM customers",
    "SELECT name, count(*), count(email) FROM customers GROUP BY name ORDER BY count(*) DESC",
    "SELECT id FROM customers WHERE email IS NULL",
    "SELECT count(*) FROM customers WHERE email IS NOT NULL AND id < 10",
    "SELECT upper(email), lower(email) || '!', email::text, concat('<', email, '>') FROM customers",
    "SELECT left(email, 3), substr(email, 2, 3), replace(email, 'a', 'b'), format('%s', email) FROM customers",
    "SELECT coalesce(email, name, 'none') FROM customers",
    "SELECT CASE WHEN id > 3 THEN email ELSE name END FROM customers",
    "SELECT row_to_json(c), to_jsonb(c), c, c::text FROM customers c",
    "SELECT json_agg(c), array_agg(email), string_agg(email, ','), min(email) FROM customers c",
    "SELECT json_build_object('id', id, 'email', email) FROM customers",
    "SELECT ROW(id, email), ARRAY[email, name] FROM customers",
    "SELECT (c).email, (c).* FROM customers c",
    "SELECT email FROM customers UNION ALL SELECT title FROM products",
    "SELECT c.email FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.note LIKE 'a%'",
    "SELECT email FROM customers WHERE id IN (SELECT customer_id FROM orders)",
    "SELECT first_value(email) OVER (PARTITION BY name ORDER BY id) FROM customers",
    "SELECT o.id, (SELECT email FROM customers c WHERE c.id = o.customer_id) FROM orders o",
    "SELECT contact FROM customer_contacts WHERE name = 'x'",
    "SELECT v.x FROM customers c JOIN LATERAL (VALUES (reverse(c.email))) v(x) ON true",
    "WITH s AS (SELECT id, email AS x FROM customers) SELECT x FROM s WHERE id = 4",
    "WITH RECURSIVE r(n, x) AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT n + 1, x FROM r WHERE n < 3) SELECT * FROM r",
    "SELECT xmlelement(name x, email) FROM customers",
    "SELECT json_object('a': email), json_array(email) FROM customers",
    "SELECT json_object('a': email RETURNING jsonb), json_array(email RETURNING text) FROM customers",
    "SELECT trim(email), replace(email, 'a', ''), string_agg(translate(email, 'ab', 'xy'), '') FROM customers GROUP BY id",
    "SELECT format('%s <%s>', name, email), string_agg(name || ' <' || email || '>', ', ') FROM customers GROUP BY id",
    "SELECT json_agg(json_build_object('id', id, 'who', json_build_object('e', email, 'n', upper(name)))) FROM customers",
    "SELECT json_agg(c) || '[]' FROM customers c",
    "SELECT min(email), max(lower(email)), max(email::text), min(coalesce(email, '')), max(email || '!'), \
     max(length(email)) FROM customers",
    "SELECT max(contact) FROM customer_contacts",
    "SELECT xmlserialize(CONTENT xmlelement(name a, email) AS text) FROM customers",
    "DELETE FROM customers WHERE id = 1",
    "UPDATE customers SET email = 'x' WHERE id = 1 RETURNING email",
    "INSERT INTO customers VALUES (1, 'x') RETURNING email",
    "COPY customers TO STDOUT",
    "EXPLAIN SELECT * FROM customers WHERE id = 3",
    "SELECT email FROM customers GROUP BY id",
    "CREATE TABLE fresh (id int PRIMARY KEY, email text); CLUSTER fresh USING fresh_pkey",
    "VACUUM FULL customers",
    "REINDEX TABLE customers",
    "CREATE INDEX ON customers (email)",
    "CREATE INDEX ON customers (lower(email))",
    "CREATE UNIQUE INDEX ON customers (name) WHERE email IS NOT NULL",
    "ALTER TABLE customers ALTER email SET NOT NULL",
    "ALTER TABLE customers ALTER email TYPE varchar",
    "ALTER TABLE customers ADD n int UNIQUE CHECK (n > 0), ADD UNIQUE (n, name)",
    "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers",
    "CREATE TABLE more PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
    "CREATE TABLE fresh (id int, email text); CREATE UNIQUE INDEX ON fresh (lower(email)); \
     ALTER TABLE fresh ADD n int; ALTER TABLE fresh ADD CHECK (email <> '' OR n > 0), ADD PRIMARY KEY (id)",
    "ALTER TABLE orders ADD n int; CREATE UNIQUE INDEX ON orders (n)",
    "ALTER TABLE orders ADD IF NOT EXISTS n int; CREATE UNIQUE INDEX IF NOT EXISTS x ON orders (n)",
    "DROP TABLE notes; ALTER TABLE orders ADD n int UNIQUE",
    "CREATE SCHEMA fresh; CREATE TABLE fresh.a (id int PRIMARY KEY, up int REFERENCES fresh.a); \
     CREATE TABLE fresh.b (a int REFERENCES fresh.a)",
];

/// Names mean something else behind these, as far as anybody can tell.
const UNTOLD: &[&str] = &[
    "ALTER TABLE customers RENAME email TO x; CREATE UNIQUE INDEX ON customers (x)",
    "ALTER TABLE orders RENAME TO old; CREATE UNIQUE INDEX ON customers (name)",
    "CREATE TABLE fresh (id int); ALTER TABLE fresh RENAME TO x; CREATE UNIQUE INDEX ON fresh (id)",
    "CREATE TABLE fresh (id int); ALTER TABLE customers INHERIT fresh; CREATE UNIQUE INDEX ON fresh (id)",
    "CREATE TABLE fresh (id int); DO ''; CREATE UNIQUE INDEX ON fresh (id)",
    "ALTER TABLE orders DROP note, ADD note text; CREATE UNIQUE INDEX ON orders (note)",
    "ALTER TABLE customers ADD n int; ALTER TABLE customers RENAME n TO z; \
     ALTER TABLE customers RENAME email TO n; CREATE UNIQUE INDEX ON customers (n)",
    "ALTER TABLE customers RENAME email TO n; \
     ALTER TABLE customers ADD IF NOT EXISTS n text, ADD UNIQUE (n)",
    "ALTER TABLE customers RENAME TO x; CREATE TABLE guesses (guess text REFERENCES x (email))",
    "CREATE TABLE x (n int); DROP TABLE x; ALTER TABLE customers RENAME TO x; \
     CREATE TABLE guesses (guess text REFERENCES x (email))",
    "ALTER DOMAIN checked RENAME TO x; ALTER DOMAIN x ADD CHECK (VALUE < 'm')",
];

#[test]
fn any_table_may_be_put_in_order() {
    assert_eq!(decided("CLUSTER"), ["UNTRACED"]);
    assert_eq!(decided("CLUSTER orders"), ["orders.*"]);
}

/// Tables that are made of a type are converted with it, in columns of the attribute's name.
#[test]
fn an_attribute_stands_for_the_columns_made_of_it() {
    let about = |sql: &str| decided(sql).contains(&"customers.name".to_owned());
    let alter = "ALTER TYPE made_of_checked ALTER ATTRIBUTE name TYPE";
    assert!(about(&format!("{alter} varchar(1) CASCADE")));
    assert!(about(&format!("ALTER TABLE orders ADD n int; {alter} int CASCADE")));
    assert!(!about(&format!("{alter} varchar(1)")), "the server lets no table be made of it");
    assert!(!about(&format!("{alter} text CASCADE")), "it takes any");
    let behind = format!("ALTER TABLE orders RENAME id TO x; {alter} varchar(1) CASCADE");
    assert!(decided(&behind).contains(&"UNTRACED".to_owned()));
}

fn decided(sql: &str) -> Vec<String> {
    decided_in(&common::shop(), &written_out(sql))
}

/// Long literals stand for their names.
fn written_out(sql: &str) -> String {
    let long = |unit: &str, times| format!("'{}'", unit.repeat(times));
    sql.replace("repeat_32", &long("a", 32))
        .replace("repeat_k", &long("a", 1_024))
        .replace("repeat_f", &long("%1$s", 256))
}

fn decided_in(catalog: &Catalog, sql: &str) -> Vec<String> {
    let analysis = common::with_stack(|| analyse(sql, catalog, &Limits::default())).unwrap();
    let mut names = Vec::new();
    for statement in &analysis.statements {
        match statement.lineage.as_ref().map(|l| &l.conditions) {
            Some(Origin::Columns(columns)) => names.extend(columns.iter().map(|c| {
                let relation = catalog.relation(c.relation).unwrap();
                let column = relation.columns.iter().find(|k| k.number == c.column);
                format!("{}.{}", relation.name, column.map_or("*", |k| &k.name))
            })),
            Some(Origin::Untraced) => names.push("UNTRACED".to_owned()),
            None => {}
        }
    }
    names
}

fn is_about_the_address(names: &[String]) -> bool {
    let about = ["customers.email", "customers.*", "UNTRACED"];
    names.iter().any(|n| about.contains(&n.as_str()))
}

#[test]
fn what_decides_is_told() {
    let missed: Vec<_> =
        DECIDES.iter().filter(|sql| !is_about_the_address(&decided(sql))).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_is_only_carried_does_not_decide() {
    let told = PASSES.iter().map(|sql| (sql, decided(sql)));
    let wrong: Vec<_> = told.filter(|(_, names)| is_about_the_address(names)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn behind_other_definitions_nothing_is_known() {
    let told = UNTOLD.iter().filter(|sql| !decided(sql).contains(&"UNTRACED".to_owned()));
    let told: Vec<_> = told.collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn a_foreign_key_without_columns_points_to_the_primary_key() {
    for sql in [
        "CREATE TABLE guesses (guess text REFERENCES registered)",
        "CREATE TABLE guesses (guess text, FOREIGN KEY (guess) REFERENCES registered)",
        "CREATE TABLE guesses (guess text); \
         ALTER TABLE guesses ADD FOREIGN KEY (guess) REFERENCES registered",
        "ALTER TABLE orders ADD guess text REFERENCES registered",
    ] {
        assert_eq!(decided(sql), ["registered.email"], "{sql}");
    }
    let outer = "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers";
    assert_eq!(decided(outer), ["customers.id", "orders.customer_id"]);
    assert_eq!(decided("CREATE TABLE t (s text REFERENCES hr.people)"), ["people.*"]);
}

#[test]
fn a_check_of_a_domain_is_made_of_its_values() {
    let decides = decided("ALTER DOMAIN checked ADD CHECK (VALUE < 'm')");
    assert_eq!(decides, ["made.mark", "made.marks", "made.whole"]);
    assert!(decided("ALTER DOMAIN checked SET DEFAULT 'x'").is_empty());
}

/// Lists in a list have to be of one size, bounds of ranges may be missing, and days may be none.
#[test]
fn what_is_carried_depends_on_what_it_is() {
    for sql in [
        "SELECT ARRAY[marks, '{a,b}'] FROM made",
        "SELECT array_agg(marks) FROM made",
        "SELECT marks || '{{a,b}}'::text[] FROM made",
        "SELECT ARRAY(SELECT marks FROM made)",
    ] {
        assert_eq!(decided(sql), ["made.marks"], "{sql}");
    }
    let grouped = "SELECT ARRAY[mark], array_agg(mark), mark || 'x' FROM made GROUP BY id";
    assert!(!decided(grouped).contains(&"made.mark".to_owned()));
    assert!(decided("SELECT xmlelement(name a, at) FROM events").contains(&"events.at".to_owned()));
    assert!(decided("SELECT xmlelement(name a, what) FROM events").is_empty());
}

/// A table with columns of types whose values may fail where others are only carried.
fn strange() -> Catalog {
    let mut rows = common::fixture();
    let table = ["99010", "public", "strange", "r", "-1", "f"].map(|f| Some(f.to_owned()));
    rows[2].push(table.into_iter().chain([None, None, None]).collect());
    let columns = [
        ("id", 23),
        ("doc", 114),
        ("days", 1182),
        ("pth", 602),
        ("big", 20),
        ("name", 25),
        ("docs", 199),
    ];
    for (number, (name, of)) in columns.into_iter().enumerate() {
        let column = ["99010", &(number + 1).to_string(), name, &of.to_string(), "f"];
        rows[3].push(column.map(|f| Some(f.to_owned())).to_vec());
    }
    Catalog::from_rows("shop", &rows).unwrap()
}

#[test]
fn what_some_values_of_a_type_cannot_be_made_decides() {
    let catalog = strange();
    for (sql, column) in [
        ("SELECT xmlelement(name x, days) FROM strange", "days"),
        ("SELECT to_jsonb(doc) FROM strange", "doc"),
        ("SELECT jsonb_agg(docs) FROM strange", "docs"),
        ("SELECT jsonb_build_object('a', ROW(doc)) FROM strange", "doc"),
        ("SELECT json_object('a': doc RETURNING jsonb) FROM strange", "doc"),
        ("SELECT json_array(SELECT doc FROM strange RETURNING jsonb)", "doc"),
        ("SELECT length(pth) FROM strange", "pth"),
        ("SELECT ARRAY[0::oid, big] FROM strange", "big"),
        ("SELECT coalesce(big, 0::oid) FROM strange", "big"),
        ("SELECT CASE WHEN id = 1 THEN big ELSE 0::oid END FROM strange", "big"),
        ("SELECT max(doc) FROM strange", "doc"),
        ("SELECT 0::oid UNION ALL SELECT big FROM strange", "big"),
        ("SELECT big FROM strange UNION ALL SELECT 1 UNION ALL SELECT 0::oid", "big"),
        ("SELECT * FROM (SELECT big FROM strange) s UNION ALL SELECT $1", "big"),
        ("VALUES (0::oid), ((SELECT big FROM strange LIMIT 1))", "big"),
        (
            "WITH RECURSIVE r(x) AS (SELECT 0::oid UNION ALL SELECT big FROM strange) SELECT x FROM r",
            "big",
        ),
        ("SELECT coalesce(upper(name), (1 / id)::text) FROM strange", "name"),
        ("SELECT coalesce(upper(name), (SELECT 'x' FROM strange)) FROM strange", "name"),
        ("SELECT substr(upper(name), 1, -1) FROM strange", "name"),
        ("SELECT format('%I', upper(name)) FROM strange", "name"),
        ("SELECT json_build_object(upper(name), 1) FROM strange", "name"),
    ] {
        assert!(decided_in(&catalog, sql).contains(&format!("strange.{column}")), "{sql}");
    }
    // Of a row, those fields alone.
    let mut fields = decided_in(&catalog, "SELECT to_jsonb(s) FROM strange s");
    fields.sort();
    assert_eq!(fields, ["strange.doc", "strange.docs"]);
    for sql in [
        "SELECT to_json(doc), json_agg(s), to_jsonb(doc::text), to_jsonb(name), length(name) FROM strange s GROUP BY id",
        "SELECT coalesce(big, 0), ARRAY[big, big], max(big), coalesce(max(big), 0) FROM strange GROUP BY id",
        "SELECT jsonb_build_object('a', big, 'b', upper(name)), xmlelement(name x, big) FROM strange",
        "SELECT big FROM strange UNION ALL SELECT s.big FROM (SELECT * FROM strange) s UNION ALL SELECT 1",
        "SELECT max(big) FROM strange UNION ALL SELECT count(*) FROM strange UNION ALL SELECT NULL",
        "SELECT upper(name) FROM strange UNION ALL SELECT 'x' UNION ALL SELECT concat(id, 1) FROM strange",
        "SELECT coalesce(upper(name), 'x', name), substr(name, 1, 3) FROM strange",
        "SELECT coalesce(json_agg(name), '[]') FROM strange",
        "SELECT format('%s', name), json_build_object('a', name, 'b', upper(name)) FROM strange",
        "WITH a AS (SELECT id, max(big) AS d FROM strange GROUP BY id) SELECT d FROM a UNION ALL SELECT d FROM a",
    ] {
        let decided: Vec<_> =
            decided_in(&catalog, sql).into_iter().filter(|name| name != "strange.id").collect();
        assert!(decided.is_empty(), "{sql}: {decided:?}");
    }
}

/// A table of a name that a type of the server has: its rows are another type of that name.
#[test]
fn a_type_goes_by_the_name_of_a_table_too() {
    let mut rows = common::fixture();
    let table = ["99000", "public", "name", "r", "-1", "f"].map(|f| Some(f.to_owned()));
    rows[2].push(table.into_iter().chain([None, None, None]).collect());
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let sql = "SELECT email::name FROM customers";
    assert!(decided(sql).is_empty());
    assert_eq!(decided_in(&catalog, sql), ["customers.email"]);
    assert!(decided_in(&catalog, "SELECT email::pg_catalog.name FROM customers").is_empty());
}

/// Operators of extensions may want their texts in a form of their own.
#[test]
fn putting_behind_each_other_may_be_more_than_that() {
    let mut rows = common::fixture();
    let operator = ["99001", "||", "public", "public", "ltree_addtext", "t"];
    rows[8].push(operator.map(|f| Some(f.to_owned())).to_vec());
    let catalog = Catalog::from_rows("shop", &rows).unwrap();
    let sql = "SELECT 'x'::ltree || email FROM customers";
    assert_eq!(decided_in(&catalog, sql), ["customers.email"]);
    for sql in ["SELECT 'x' || email FROM customers", "SELECT 'x'::text || email FROM customers"] {
        assert!(decided_in(&catalog, sql).is_empty(), "{sql}");
    }
}

/// Rows that become those of a table as well meet whatever was asked of its rows before.
#[test]
fn what_is_asked_of_a_parent_is_asked_of_its_children() {
    let asks = |asked: Option<&str>| {
        let mut rows = common::fixture();
        for (oid, name) in [("99002", "parent"), ("99003", "child")] {
            let table = [oid, "public", name, "r", "-1", "f"].map(|f| Some(f.to_owned()));
            let asked = asked.filter(|_| name == "parent").map(str::to_owned);
            rows[2].push(table.into_iter().chain([None, None, asked]).collect());
            for (number, column) in [("1", "id"), ("2", "secret")] {
                let column = [oid, number, column, "25", "f"].map(|f| Some(f.to_owned()));
                rows[3].push(column.to_vec());
            }
        }
        let catalog = Catalog::from_rows("shop", &rows).unwrap();
        decided_in(&catalog, "ALTER TABLE child INHERIT parent")
    };
    assert!(asks(None).is_empty());
    assert_eq!(asks(Some("1")), ["child.id"]);
    assert_eq!(asks(Some("1 2")), ["child.id", "child.secret"]);
    assert!(asks(Some("0")).contains(&"child.*".to_owned()));
}

#[test]
fn whether_a_row_changes_depends_on_what_it_was() {
    assert_eq!(decided("UPDATE steady SET body = 'x'"), ["steady.body"]);
    assert_eq!(decided("UPDATE steady SET id = 3"), ["steady.id"]);
    assert!(decided("INSERT INTO steady VALUES (1, 'x')").is_empty());
}

#[test]
fn what_decides_is_traced() {
    for sql in DECIDES {
        let names = decided(sql);
        assert!(!names.iter().any(|n| n == "UNTRACED"), "{sql}: {names:?}");
    }
}

#[test]
fn a_number_that_stands_for_a_column_is_kept_in_the_shape() {
    let shape = |text: &str| portcullis_sql::shape::shape(text).unwrap();
    for (text, expect) in [
        (
            "select id, email from c order by 2 limit 10",
            "select id, email from c order by 2 limit 10",
        ),
        (
            "select id, email from c where id = 5 order by id, 2",
            "select id, email from c where id = 0 order by id, 2",
        ),
        (
            "select 7, email from c group by rollup (1, 2)",
            "select 0, email from c group by rollup (1, 2)",
        ),
        (
            "select distinct on (2) 5, email from c where id=3",
            "select distinct on (2) 5, email from c where id=3",
        ),
        (
            "select a from (select 1, 2 order by 2) s where b = 4",
            "select a from (select 0, 0 order by 2) s where b = 0",
        ),
        (
            "select a order by (select 1 from t limit 3), 2 offset 9",
            "select a order by (select 1 from t limit 3), 2 offset 9",
        ),
        (
            "select rank() over (partition by a order by 1) , 5 from t where c = 6",
            "select rank() over (partition by a order by 1) , 0 from t where c = 0",
        ),
        ("select baby, 5 from t where by_ = 4", "select baby, 0 from t where by_ = 0"),
    ] {
        assert_eq!(shape(text), expect);
    }
}

#[test]
fn what_a_function_shows_is_hidden_as_in_the_view_that_it_stands_for() {
    let catalog = common::shop();
    let view = catalog.relations_named(Some("pg_catalog"), "pg_stat_activity")[0].oid;
    for sql in [
        "SELECT x.query FROM pg_stat_get_activity(NULL) x",
        "SELECT pid FROM pg_stat_get_activity(NULL) x WHERE x.query LIKE 'a%'",
        "SELECT json_agg(x) FROM pg_stat_get_activity(NULL) x",
        "SELECT pg_stat_get_backend_activity(i) FROM pg_stat_get_backend_idset() i",
        "COPY (SELECT pg_stat_get_backend_activity(1)) TO STDOUT",
    ] {
        let lineage = common::with_stack(|| {
            let analysis = analyse(sql, &catalog, &Limits::default()).unwrap();
            analysis.statements[0].lineage.clone().unwrap()
        });
        assert!(lineage.relations.contains(&view), "{sql}");
    }
}
