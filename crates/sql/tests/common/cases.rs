//! Statements and their facts, each line read and agreed with by a person.
//!
//! Facts read `kind: effects => (one origin per output column) sinks(…) code unresolved`. An effect
//! reads `verb object extent`, with `?` where it is assumed and `??` where it is unreadable; an
//! output column reads `-` where it depends on no column.

/// Where servers of some versions (first and last) know a name that others do not: the facts there.
pub(crate) const OTHERWISE: &[(u32, u32, &str, &str)] = &[
    (16, 18, "SELECT system_user", "select: control session: one => (-)"),
    (13, 13, "ANALYZE counted", "analyze: alter public.counted all => () code"),
    (
        13,
        13,
        "SELECT string_to_table(email, '_') FROM customers",
        "select: read public.customers, execute routine:?.string_to_table unknown? => (UNTRACED) sinks(customers.email) code unresolved",
    ),
];

/// `(statement, facts)`.
pub(crate) const CASES: &[(&str, &str)] = &[
    ("SELECT 1", "select: control session: one => (-)"),
    ("SELECT 'DROP TABLE customers'", "select: control session: one => (-)"),
    ("SELECT $$DELETE FROM customers$$", "select: control session: one => (-)"),
    (
        "SELECT * FROM customers",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "SELECT id, email FROM customers WHERE id = 1",
        "select: read public.customers => (customers.id | customers.email)",
    ),
    (
        "SELECT/**/email/* x */FROM/**/customers",
        "select: read public.customers => (customers.email)",
    ),
    ("SELECT email AS id FROM customers", "select: read public.customers => (customers.email)"),
    ("SELECT c FROM customers c", "select: read public.customers => (customers.*)"),
    ("SELECT (c).email FROM customers c", "select: read public.customers => (customers.email)"),
    ("SELECT (c.*)::text FROM customers c", "select: read public.customers => (customers.*)"),
    (
        "SELECT c.* FROM customers c",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    ("SELECT customers FROM customers", "select: read public.customers => (customers.*)"),
    ("SELECT row_to_json(c) FROM customers c", "select: read public.customers => (customers.*)"),
    ("SELECT to_jsonb(c.*) FROM customers c", "select: read public.customers => (customers.*)"),
    ("SELECT json_agg(customers) FROM customers", "select: read public.customers => (customers.*)"),
    ("SELECT email||'' AS x FROM customers", "select: read public.customers => (customers.email)"),
    (
        "SELECT x FROM (SELECT email AS x FROM customers) s",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT y FROM (SELECT email FROM customers) s(y)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT s FROM (SELECT email AS x, id FROM customers) s",
        "select: read public.customers => (customers.id+customers.email)",
    ),
    (
        "SELECT lower FROM (SELECT lower(email) FROM customers) s",
        "select: read public.customers => (customers.email)",
    ),
    (
        r#"SELECT "?column?" FROM (SELECT email||'x' FROM customers) s"#,
        "select: read public.customers => (customers.email)",
    ),
    (
        r#"SELECT "case" FROM (SELECT CASE WHEN id=1 THEN email END FROM customers) s"#,
        "select: read public.customers => (customers.id+customers.email)",
    ),
    (
        "SELECT email FROM customers JOIN (SELECT email FROM customers) b USING (email)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT b.email FROM notes n JOIN customers b ON true",
        "select: read public.notes?, read archive.notes?, read public.customers => (customers.email)",
    ),
    (
        "SELECT * FROM notes NATURAL JOIN products",
        "select: read public.notes?, read archive.notes?, read public.products => (products.id+notes.id+notes.id | notes.body+notes.body | products.title | products.price | products.title+products.title_size)",
    ),
    (
        "SELECT * FROM orders JOIN customers USING (id)",
        "select: read public.orders, read public.customers => (customers.id+orders.id | orders.customer_id | orders.product_id | orders.note | orders.status | customers.email | customers.card_number | customers.name)",
    ),
    (
        "SELECT j.email FROM (orders o JOIN customers c USING (id)) AS j",
        "select: read public.orders, read public.customers => (customers.email)",
    ),
    (
        "SELECT u.id FROM orders o JOIN customers c USING (id) AS u",
        "select: read public.orders, read public.customers => (customers.id+orders.id)",
    ),
    (
        "SELECT (SELECT email FROM customers LIMIT 1)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT ARRAY(SELECT email FROM customers)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT EXISTS (SELECT 1 FROM customers WHERE email LIKE 'a%')",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT 'x' IN (SELECT email FROM customers)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT array_agg(email), count(*), count(email), max(id) FROM customers",
        "select: read public.customers => (customers.email | - | - | customers.id)",
    ),
    (
        "SELECT count(*) FILTER (WHERE email LIKE 'a%') FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT string_agg('x', ',' ORDER BY email) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT first_value(email) OVER (PARTITION BY name ORDER BY id) FROM customers",
        "select: read public.customers => (customers.id+customers.email+customers.name)",
    ),
    (
        "SELECT row_number() OVER w FROM customers WINDOW w AS (ORDER BY email)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT l.e FROM notes n, LATERAL (SELECT n.body || c.email AS e FROM customers c) l",
        "select: read public.notes?, read archive.notes?, read public.customers => (customers.email+notes.body+notes.body)",
    ),
    (
        "SELECT (SELECT s.e FROM (VALUES ('x')) h(email), (SELECT email AS e) s) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT json_build_object('a', email, 'b', id) FROM customers",
        "select: read public.customers => (customers.id+customers.email)",
    ),
    (
        "SELECT JSON_OBJECT('a': email) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT JSON_QUERY(email, '$') FROM customers",
        "select: read public.customers, execute routine:public.json_query unknown? => (UNTRACED) sinks(customers.email) code unresolved",
    ),
    (
        "SELECT JSON_VALUE(email, '$.x') FROM customers",
        "select: read public.customers, execute routine:public.json_query unknown? => (UNTRACED) sinks(customers.email) code unresolved",
    ),
    (
        "SELECT * FROM XMLTABLE('/r' PASSING (SELECT email::xml FROM customers LIMIT 1) COLUMNS a text PATH 'a')",
        "select: read public.customers => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT xmlelement(name a, xmlattributes(email AS b), id) FROM customers",
        "select: read public.customers => (customers.id+customers.email)",
    ),
    (
        "SELECT CASE WHEN email = 'a' THEN 1 ELSE 0 END FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT coalesce(NULL, email), nullif(email, ''), greatest(email, 'a') FROM customers",
        "select: read public.customers => (customers.email | customers.email | customers.email)",
    ),
    (
        "SELECT email = 'x', email IS NULL, (email, id) FROM customers",
        "select: read public.customers => (customers.email | - | customers.id+customers.email)",
    ),
    ("SELECT ROW(c.*) FROM customers c", "select: read public.customers => (customers.*)"),
    (
        "SELECT (ROW(email, id)).f1 FROM customers",
        "select: read public.customers => (customers.id+customers.email)",
    ),
    (
        "SELECT (ARRAY[email])[1] FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    ("SELECT id FROM customers ORDER BY email", "select: read public.customers => (customers.id)"),
    (
        "SELECT DISTINCT ON (email) id FROM customers",
        "select: read public.customers => (customers.id)",
    ),
    (
        "SELECT email AS e FROM customers ORDER BY e",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT name FROM customers GROUP BY name HAVING max(email) > 'a'",
        "select: read public.customers => (customers.name)",
    ),
    (
        "TABLE customers",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    ("VALUES (1, 'a'), (2, 'b')", "select: control session: one => (- | -)"),
    (
        "VALUES ((SELECT email FROM customers LIMIT 1), 1)",
        "select: read public.customers => (customers.email | -)",
    ),
    (
        "(SELECT email FROM customers) UNION SELECT body FROM notes",
        "select: read public.customers, read public.notes?, read archive.notes? => (customers.email+notes.body+notes.body)",
    ),
    (
        "SELECT id FROM notes UNION ALL SELECT id FROM customers ORDER BY id LIMIT 1",
        "select: read public.notes?, read archive.notes?, read public.customers => (customers.id+notes.id+notes.id)",
    ),
    (
        "SELECT id FROM notes EXCEPT (SELECT id, email FROM customers)",
        "select: read public.notes?, read archive.notes?, read public.customers => ?",
    ),
    (
        "WITH c AS (SELECT email AS e FROM customers) SELECT e FROM c",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH customers AS (SELECT 'x' AS email) SELECT email FROM customers",
        "select: control session: one => (-)",
    ),
    (
        "WITH customers AS (SELECT 'x' AS email) SELECT email FROM public.customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM t WHERE n < 5) SELECT n FROM t",
        "select: control session: one => (-)",
    ),
    (
        "WITH RECURSIVE t(a, b) AS (SELECT email, 'x' FROM customers UNION ALL SELECT b, a FROM t) SELECT a, b FROM t",
        "select: read public.customers => (customers.email | customers.email)",
    ),
    (
        "WITH RECURSIVE a AS (SELECT email FROM b), b AS (SELECT email FROM customers) SELECT email FROM a",
        "select: read public.customers => (UNTRACED)",
    ),
    (
        "WITH RECURSIVE notes AS (SELECT email AS body FROM customers) SELECT body FROM notes",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
        "select: delete public.orders all, update public.payments some?, read public.orders => (orders.id | orders.customer_id | orders.product_id | orders.note | orders.status)",
    ),
    (
        "WITH x AS (DELETE FROM orders) SELECT 1",
        "select: delete public.orders all, update public.payments some? => (-)",
    ),
    (
        "WITH a AS (WITH b AS (UPDATE orders SET note = 'x' RETURNING id) SELECT id FROM b) SELECT * FROM a",
        "select: update public.orders all, read public.orders => (orders.id)",
    ),
    ("SELECT f()", "select: execute routine:public.f unknown? => (UNTRACED) code unresolved"),
    (
        "SELECT public.f()",
        "select: execute routine:public.f unknown? => (UNTRACED) code unresolved",
    ),
    ("SELECT nosuch()", "select: execute routine:?.nosuch unknown? => (UNTRACED) code unresolved"),
    (
        "SELECT nosuch(email) FROM customers",
        "select: read public.customers, execute routine:?.nosuch unknown? => (UNTRACED) sinks(customers.email) code unresolved",
    ),
    (
        "SELECT (SELECT f() FROM notes LIMIT 1)",
        "select: read public.notes?, read archive.notes?, execute routine:public.f unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT 1 FROM notes ORDER BY f()",
        "select: read public.notes?, read archive.notes?, execute routine:public.f unknown? => (-) code",
    ),
    (
        "SELECT 1 FROM notes LIMIT f()",
        "select: read public.notes?, read archive.notes?, execute routine:public.f unknown? => (-) sinks(UNTRACED) code unresolved",
    ),
    (
        "SELECT id FROM notes WHERE f() = 1",
        "select: read public.notes?, read archive.notes?, execute routine:public.f unknown? => (notes.id+notes.id) code",
    ),
    (
        "SELECT count(*) OVER (ROWS f() PRECEDING) FROM notes",
        "select: read public.notes?, read archive.notes?, execute routine:public.f unknown? => (-) sinks(UNTRACED) code unresolved",
    ),
    ("SELECT * FROM f()", "select: execute routine:public.f unknown? => ? code unresolved"),
    (
        "SELECT * FROM ROWS FROM (f(), generate_series(1, 2)) AS r",
        "select: execute routine:public.f unknown? => ? code unresolved",
    ),
    (
        "SELECT c.secret FROM customers c",
        "select: read public.customers, read routine:public.secret => (customers.*) sinks(customers.*) code",
    ),
    (
        "SELECT (c).secret FROM customers c",
        "select: read public.customers, read routine:public.secret => (customers.*) sinks(customers.*) code",
    ),
    (
        "SELECT secret(c) FROM customers c",
        "select: read public.customers, read routine:public.secret => (customers.*) sinks(customers.*) code",
    ),
    (
        "SELECT (SELECT c).secret FROM customers c",
        "select: read public.customers, read routine:public.secret => (customers.*) sinks(customers.*) code",
    ),
    (
        "SELECT email === 'x' FROM customers",
        "select: read public.customers, execute routine:public.same unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT email OPERATOR(public.===) 'x' FROM customers",
        "select: read public.customers, execute routine:public.same unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT email OPERATOR(pg_catalog.=) 'x' FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT '{a}'::checked[]",
        "select: execute type:public.checked unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT '(a,b)'::made_of_checked",
        "select: execute type:public.made_of_checked unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT '(1,a,,)'::made",
        "select: execute type:public.made unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT '{a}'::_checked",
        "select: execute type:public._checked unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT * FROM json_populate_record(NULL::made_of_checked, '{}')",
        "select: execute type:public.made_of_checked unknown? => ? code unresolved",
    ),
    (
        "SELECT id FROM made",
        "select: read public.made, execute type:public.made.marks unknown? => (made.id) code",
    ),
    (
        "SELECT m FROM made m",
        "select: read public.made, execute type:public.made.marks unknown?, execute type:public.made.mark unknown? => (made.*) code",
    ),
    (
        "SELECT what FROM far_away",
        "select: read public.far_away, forward public.far_away unknown? => (far_away.what)",
    ),
    (
        "SELECT what FROM far_view",
        "select: read public.far_view, forward public.far_away unknown?, read public.far_away => (far_away.what+far_view.what)",
    ),
    (
        "DELETE FROM far_away WHERE id = 1",
        "delete: forward public.far_away unknown?, delete public.far_away some => ()",
    ),
    (
        "SELECT * FROM spied",
        "select: read public.spied, read pg_catalog.pg_stat_activity => (UNTRACED) unresolved",
    ),
    (
        "SELECT 'a'::checked",
        "select: execute type:public.checked unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT CAST(email AS checked) FROM customers",
        "select: read public.customers, execute type:public.checked unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT 'new'::order_status, email::plain_text FROM customers",
        "select: read public.customers => (- | customers.email)",
    ),
    (
        "SELECT 'customers'::regclass, 1::int8, '{}'::text[]",
        "select: control session: one => (- | - | -)",
    ),
    (
        "SELECT now(), current_user, random(), gen_random_uuid(), version()",
        "select: control session: one => (- | - | - | - | -)",
    ),
    (
        "SELECT pg_read_file('/etc/passwd')",
        "select: transfer-in file:/etc/passwd one => (UNTRACED) unresolved",
    ),
    (
        "SELECT * FROM pg_read_file('/etc/passwd')",
        "select: transfer-in file:/etc/passwd one => (UNTRACED) unresolved",
    ),
    (
        "SELECT pg_catalog.pg_read_binary_file(chr(47)||'etc')",
        "select: transfer-in file:? one? => (UNTRACED) unresolved",
    ),
    ("SELECT pg_ls_dir('.')", "select: read file:. => (UNTRACED) unresolved"),
    (
        "SELECT * FROM pg_ls_waldir()",
        "select: read file:?? => (UNTRACED | UNTRACED | UNTRACED) unresolved",
    ),
    (
        "SELECT lo_import('/etc/passwd')",
        "select: transfer-in file:/etc/passwd one, create large-object:? one? => (-)",
    ),
    (
        "SELECT lo_export(1, '/tmp/x')",
        "select: transfer-out file:/tmp/x one, read large-object:?? => (-)",
    ),
    ("SELECT lo_get(1)", "select: read large-object:?? => (UNTRACED) unresolved"),
    ("SELECT lo_unlink(1)", "select: delete large-object:? one? => (-)"),
    (
        "SELECT nextval('tickets'), setval('public.tickets', 5), currval('tickets')",
        "select: update sequence:public.tickets one => (- | - | -)",
    ),
    ("SELECT pg_terminate_backend(1)", "select: control backend:? one? => (-)"),
    ("SELECT pg_sleep(10)", "select: control backend:? one? => (-)"),
    ("SELECT pg_advisory_lock(1)", "select: control lock:? one? => (-)"),
    ("SELECT pg_reload_conf()", "select: control connection: one => (-)"),
    (
        "SELECT pg_notify('c', email) FROM customers",
        "select: read public.customers, control channel:c one => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT set_config('search_path', 'x', false)",
        "select: control setting:search_path one => (-)",
    ),
    ("SELECT set_config('ROLE', 'postgres', false)", "select: control role:? one => (-)"),
    (
        "SELECT set_config('ro'||'le', 'postgres', false)",
        "select: control setting:? one?, control role:? one? => (-)",
    ),
    (
        "SELECT set_config(setting_name => 'role', new_value => 'x', is_local => false)",
        "select: control setting:? one?, control role:? one? => (-)",
    ),
    (
        "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'Application_Name'",
        "select: read pg_catalog.pg_settings, control setting:application_name one => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT set_config(b.name, 'x', false) FROM pg_settings a, pg_settings b WHERE b.name = 'jit'",
        "select: read pg_catalog.pg_settings, control setting:jit one => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT set_config(b.name, 'x', false) FROM pg_settings a, pg_settings b WHERE a.name = 'jit'",
        "select: read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT (SELECT set_config(b.name, 'x', false) FROM pg_settings a WHERE a.name = 'jit') FROM pg_settings b WHERE b.name > 'jit'",
        "select: read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT (SELECT set_config(b.name, 'x', false) FROM pg_settings a WHERE a.name = 'role') FROM pg_settings b WHERE b.name = 'jit'",
        "select: read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT set_config(b.name, 'x', false) FROM pg_settings b, LATERAL (SELECT FROM pg_settings a WHERE a.name = 'jit') l",
        "select: read pg_catalog.pg_settings, read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT (SELECT 1 FROM pg_settings b WHERE a.name = 'jit' AND set_config(b.name, 'x', false) <> '') FROM pg_settings a",
        "select: read pg_catalog.pg_settings, read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (pg_settings.name) sinks(pg_settings.name)",
    ),
    (
        "SELECT (SELECT set_config(a.name, 'x', false) FROM (SELECT 'role' AS b) a) FROM pg_settings a WHERE a.name = 'jit'",
        "select: read pg_catalog.pg_settings, control setting:? one?, control role:? one? => (-)",
    ),
    (
        "SELECT set_config('app.x', email, false) FROM customers",
        "select: read public.customers, control setting:app.x one => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT query_to_xml('select * from customers', true, true, '')",
        "select: execute routine:pg_catalog.query_to_xml unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT table_to_xml('customers', true, true, '')",
        "select: execute routine:pg_catalog.table_to_xml unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT database_to_xml(true, true, '')",
        "select: execute routine:pg_catalog.database_to_xml unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT ts_stat('select email from customers')",
        "select: execute routine:pg_catalog.ts_stat unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT ts_rewrite('a'::tsquery, 'select 1')",
        "select: execute routine:pg_catalog.ts_rewrite unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT * FROM pg_logical_slot_peek_changes('s', NULL, NULL)",
        "select: transfer-out connection:s all?, unknown unknown: unknown?? => (UNTRACED | UNTRACED | UNTRACED) code unresolved",
    ),
    (
        "SELECT pg_nextoid(1, 'x', 1)",
        "select: execute routine:pg_catalog.pg_nextoid unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT dblink('host=x', 'select 1')",
        "select: execute routine:?.dblink unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT * FROM dblink('host=x', 'select 1') AS t(a int)",
        "select: execute routine:?.dblink unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT * FROM json_to_record('{}') AS x(a int, b text)",
        "select: control session: one => (- | -)",
    ),
    (
        "SELECT * FROM json_each((SELECT to_json(c) FROM customers c LIMIT 1))",
        "select: read public.customers => (customers.* | customers.*) sinks(customers.*)",
    ),
    ("SELECT * FROM generate_series(1, 3) g", "select: control session: one => (-)"),
    ("SELECT x FROM unnest(ARRAY['a']) x", "select: control session: one => (-)"),
    (
        "SELECT e FROM customers, unnest(string_to_array(email, '@')) e",
        "select: read public.customers => (customers.email) sinks(customers.email)",
    ),
    ("SELECT * FROM unnest(ARRAY[1, 2]) WITH ORDINALITY", "select: control session: one => ?"),
    (
        "SELECT most_common_vals FROM pg_stats",
        "select: read pg_catalog.pg_stats => (UNTRACED) unresolved",
    ),
    (
        "SELECT pid, query FROM pg_stat_activity",
        "select: read pg_catalog.pg_stat_activity => (pg_stat_activity.pid | UNTRACED) unresolved",
    ),
    ("SELECT relname FROM pg_class", "select: read pg_catalog.pg_class => (pg_class.relname)"),
    (
        "SELECT * FROM customer_contacts",
        "select: read public.customer_contacts, read public.customers => (customers.id+customer_contacts.id | customers.email+customer_contacts.contact | customers.name+customer_contacts.name)",
    ),
    (
        "SELECT count(shout) FROM contact_list",
        "select: read public.contact_list, read public.customers, read public.customer_contacts => (customers.email+customer_contacts.contact+contact_list.shout)",
    ),
    (
        "SELECT count(card_number), card_number IS NULL FROM cards GROUP BY id",
        "select: read public.cards, read public.customers => (- | -)",
    ),
    (
        "SELECT count(email) FROM (SELECT email FROM customers) s",
        "select: read public.customers => (-)",
    ),
    (
        "SELECT (SELECT count(*) FROM orders o JOIN customers c ON c.email = o.note)",
        "select: read public.orders, read public.customers => (customers.email+orders.note)",
    ),
    (
        "SELECT set_config('default_transaction_read_only', 'on', false)",
        "select: control transaction: one => (-)",
    ),
    (
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "select: control setting:default_transaction_read_only one => (-)",
    ),
    (
        "SELECT shout FROM contact_list",
        "select: read public.contact_list, read public.customers, read public.customer_contacts => (customers.email+customer_contacts.contact+contact_list.shout)",
    ),
    (
        "SELECT * FROM loud",
        "select: read public.loud, execute routine:public.f unknown?, read public.notes, read archive.notes => (UNTRACED | notes.id+notes.id+loud.id) code unresolved",
    ),
    (
        "SELECT id FROM loud",
        "select: read public.loud, execute routine:public.f unknown?, read public.notes, read archive.notes => (notes.id+notes.id+loud.id) code",
    ),
    (
        "SELECT person FROM whole",
        "select: read public.whole, read public.customers => (customers.*+whole.person)",
    ),
    (
        "SELECT (person).email FROM whole",
        "select: read public.whole, read public.customers => (customers.*+whole.person)",
    ),
    (
        "SELECT card_number FROM cards",
        "select: read public.cards, read public.customers => (customers.card_number+cards.card_number)",
    ),
    (
        "SELECT what FROM events",
        "select: read public.events, read public.events_2024? => (events.what+events_2024.what)",
    ),
    (
        "SELECT what FROM events_2024",
        "select: read public.events_2024, read public.events? => (events.what+events_2024.what)",
    ),
    ("SELECT what FROM ONLY events", "select: read public.events => (events.what)"),
    (
        "SELECT * FROM notes",
        "select: read public.notes?, read archive.notes? => (notes.id+notes.id | notes.body+notes.body)",
    ),
    ("SELECT body FROM public.notes", "select: read public.notes => (notes.body)"),
    ("SELECT value FROM settings", "select: read app.settings => (settings.value)"),
    ("SELECT * FROM nosuch", "select: read ?.nosuch? => ? unresolved"),
    ("SELECT * FROM public.nosuch", "select: read public.nosuch?, read ?.nosuch? => ? unresolved"),
    (
        "DELETE FROM pg_temp_3.nosuch WHERE id = 1",
        "delete: delete pg_temp_3.nosuch all?, delete ?.nosuch all? => () unresolved",
    ),
    (
        "CREATE TABLE public.fresh (id int); INSERT INTO public.fresh VALUES (1)",
        "create table: create public.fresh one ;; insert: insert public.fresh one? => () unresolved",
    ),
    (
        "ALTER TABLE public.nosuch ADD x int",
        "alter table: alter public.nosuch all? => () code unresolved",
    ),
    (
        "SELECT type, options FROM pg_hba_file_rules()",
        "select: read pg_catalog.pg_hba_file_rules => (UNTRACED | UNTRACED) unresolved",
    ),
    (
        "SELECT pid FROM pg_stat_get_activity(NULL)",
        "select: read pg_catalog.pg_stat_activity => (UNTRACED) unresolved",
    ),
    (
        "SELECT (pg_show_all_file_settings()).setting",
        "select: read pg_catalog.pg_file_settings => (UNTRACED) unresolved",
    ),
    ("SELECT name FROM pg_settings", "select: read pg_catalog.pg_settings => (pg_settings.name)"),
    (
        "SELECT a, nosuch.b FROM nosuch, customers",
        "select: read ?.nosuch?, read public.customers => (UNTRACED | UNTRACED) unresolved",
    ),
    (
        "SELECT id FROM customers, nosuch",
        "select: read public.customers, read ?.nosuch? => (customers.id) unresolved",
    ),
    ("SELECT nosuch FROM customers", "select: read public.customers => (UNTRACED) unresolved"),
    ("SELECT c.nosuch FROM customers c", "select: read public.customers => (UNTRACED) unresolved"),
    ("SELECT x.email FROM customers c", "select: read public.customers => (UNTRACED) unresolved"),
    (
        "SELECT shop.public.customers.email FROM shop.public.customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT email FROM other.public.customers",
        "select: read public.customers?, read ?.customers? => (UNTRACED) unresolved",
    ),
    (r#"SELECT * FROM "Customers""#, "select: read ?.Customers? => ? unresolved"),
    (
        r#"SELECT U&"\0065mail" FROM U&"c\0075stomers""#,
        "select: read public.customers => (customers.email)",
    ),
    ("SELECT EMAIL FROM CUSTOMERS", "select: read public.customers => (customers.email)"),
    ("SELECT ctid, xmin FROM customers", "select: read public.customers => (- | -)"),
    (
        "SELECT * FROM customers TABLESAMPLE bernoulli (10)",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "SELECT * FROM customers TABLESAMPLE app.mine (10)",
        "select: read public.customers, execute routine:app.mine unknown? => (customers.id | customers.email | customers.card_number | customers.name) code",
    ),
    (
        "SELECT email FROM customers FOR UPDATE",
        "select: read public.customers, control lock:public.customers some => (customers.email)",
    ),
    (
        "SELECT email INTO copied FROM customers",
        "select into: read public.customers, create ?.copied one, insert ?.copied some => () makes copied(=customers.email)",
    ),
    (
        "SELECT email INTO TEMP copied FROM customers UNION SELECT 'x'",
        "select into: read public.customers, create pg_temp.copied one, insert pg_temp.copied some => () makes copied(customers.email)",
    ),
    (
        "CREATE TABLE copied AS SELECT email FROM customers",
        "create table as: read public.customers, create ?.copied one, insert ?.copied some => () makes copied(=customers.email)",
    ),
    (
        "CREATE TABLE copied AS EXECUTE p",
        r#"create table as: control session: one, create ?.copied one, insert ?.copied some => () makes copied(?) unresolved Execute { name: "p" }"#,
    ),
    (
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM notes",
        "create materialized view: read public.notes?, read archive.notes?, create ?.m one, insert ?.m some => () makes m(=notes.id+notes.id)",
    ),
    (
        "SELECT name INTO copied FROM customers UNION ALL SELECT email FROM customers",
        "select into: read public.customers, create ?.copied one, insert ?.copied some => () makes copied(=customers.email+customers.name)",
    ),
    (
        "SELECT 'x' INTO copied UNION ALL SELECT card_number FROM customers",
        "select into: read public.customers, create ?.copied one, insert ?.copied some => () makes copied(customers.card_number)",
    ),
    (
        "CREATE TEMP TABLE IF NOT EXISTS copied (a, b, c) AS SELECT x.email, lower(x.email), y FROM (SELECT email FROM customers) x, (SELECT upper(email) FROM customers) y(y)",
        "create table as: read public.customers, create pg_temp.copied one, insert pg_temp.copied some => () makes copied?(=customers.email | customers.email | customers.email)",
    ),
    (
        "CREATE TABLE copied AS SELECT email FROM customer_contacts LIMIT (SELECT length(email) FROM customers)",
        "create table as: read public.customer_contacts, read public.customers, read public.customers, create ?.copied one, insert ?.copied some => () sinks(customers.email | UNTRACED) makes copied(UNTRACED) unresolved",
    ),
    (
        "CREATE TABLE copied AS SELECT * FROM nosuch",
        "create table as: read ?.nosuch?, create ?.copied one, insert ?.copied some => () sinks(UNTRACED) makes copied(?) unresolved",
    ),
    (
        "ALTER TABLE customers ALTER name TYPE text USING email",
        "alter table: alter public.customers all => () sinks(customers.email) code",
    ),
    (
        "ALTER TABLE products ALTER title_size DROP EXPRESSION",
        "alter table: alter public.products all => () sinks(products.title) code",
    ),
    (
        "CREATE VIEW v AS SELECT email FROM customers",
        "create view: create ?.v one, read public.customers => () sinks(customers.email)",
    ),
    (
        "INSERT INTO notes VALUES (1, 'x')",
        "insert: insert public.notes one?, insert archive.notes one? => ()",
    ),
    ("INSERT INTO products VALUES (1, 'x'), (2, 'y')", "insert: insert public.products some => ()"),
    ("INSERT INTO products DEFAULT VALUES", "insert: insert public.products one => ()"),
    (
        "INSERT INTO products VALUES (generate_series(1, 1000), 'x')",
        "insert: insert public.products some => ()",
    ),
    (
        "INSERT INTO products VALUES (unnest('{1,2}'::int[]), upper('x'))",
        "insert: insert public.products some => ()",
    ),
    ("INSERT INTO products VALUES (1, upper('x'))", "insert: insert public.products one => ()"),
    (
        "INSERT INTO products (id, title) SELECT id, email FROM customers",
        "insert: read public.customers, insert public.products some => () sinks(customers.id | customers.email)",
    ),
    (
        "INSERT INTO products (id, title) SELECT id, email FROM customers RETURNING title, id",
        "insert: read public.customers, insert public.products some, read public.products => (customers.email+products.title | customers.id+products.id) sinks(customers.id | customers.email)",
    ),
    (
        "INSERT INTO orders (id, note) VALUES (1, (SELECT email FROM customers LIMIT 1)) ON CONFLICT (id) DO UPDATE SET note = excluded.note RETURNING *",
        "insert: read public.customers, insert public.orders one, update public.orders some, read public.orders => (orders.id | orders.customer_id | orders.product_id | customers.email+orders.note | orders.status) sinks(customers.email)",
    ),
    (
        "INSERT INTO orders AS o (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING o.id",
        "insert: insert public.orders one, read public.orders => (orders.id)",
    ),
    (
        "INSERT INTO customer_contacts (id) VALUES (1)",
        "insert: read public.customers, insert public.customer_contacts one, insert public.customers some? => ()",
    ),
    (
        "INSERT INTO events VALUES (now(), 'x')",
        "insert: insert public.events one, insert public.events_2024 some? => ()",
    ),
    (
        "INSERT INTO products VALUES (f(), 'x')",
        "insert: execute routine:public.f unknown?, insert public.products one => () sinks(UNTRACED) code unresolved",
    ),
    ("UPDATE orders SET note = 'x'", "update: update public.orders all => ()"),
    ("UPDATE orders SET note = 'x' WHERE id = 1", "update: update public.orders some => ()"),
    ("UPDATE orders SET note = 'x' WHERE true", "update: update public.orders all => ()"),
    ("UPDATE orders SET note = 'x' WHERE 1 = 1", "update: update public.orders all => ()"),
    ("UPDATE orders SET note = 'x' WHERE NOT false", "update: update public.orders all => ()"),
    ("UPDATE orders SET note = 'x' WHERE id = id", "update: update public.orders all => ()"),
    ("UPDATE orders SET note = 'x' WHERE id = 1 OR true", "update: update public.orders all => ()"),
    (
        "UPDATE orders SET note = 'x' WHERE id = 1 AND true",
        "update: update public.orders some => ()",
    ),
    ("UPDATE orders SET note = 'x' WHERE CURRENT OF c", "update: update public.orders one => ()"),
    (
        "UPDATE orders SET id = 2 WHERE id = 1",
        "update: update public.orders some, update public.payments some? => ()",
    ),
    (
        "UPDATE orders SET note = c.email FROM customers c WHERE c.id = customer_id RETURNING note, orders.id",
        "update: read public.customers, update public.orders some, read public.orders => (customers.email+orders.note | orders.id) sinks(customers.email)",
    ),
    (
        "UPDATE orders SET (note, id) = (SELECT email, id FROM customers LIMIT 1)",
        "update: read public.customers, update public.orders all, update public.payments some? => () sinks(customers.id+customers.email)",
    ),
    (
        "UPDATE products SET price = 1 WHERE id = 1",
        "update: update public.products some, execute routine:public.on_product unknown? => () code",
    ),
    (
        "UPDATE customer_contacts SET name = 'x' WHERE id = 1",
        "update: read public.customers, update public.customer_contacts some, update public.customers some? => ()",
    ),
    (
        "UPDATE customers SET name = 'x' WHERE id = 1 RETURNING email",
        "update: update public.customers some, read public.customers => (customers.email)",
    ),
    (
        "UPDATE customers c SET name = 'x' RETURNING (c).email, c",
        "update: update public.customers all, read public.customers => (customers.email | customers.*)",
    ),
    (
        "DELETE FROM customers WHERE id = 1",
        "delete: delete public.customers some, delete public.orders some?, update public.payments some? => ()",
    ),
    ("DELETE FROM orders", "delete: delete public.orders all, update public.payments some? => ()"),
    (
        "DELETE FROM orders o USING customers c WHERE c.id = o.customer_id RETURNING c.email",
        "delete: read public.customers, delete public.orders some, update public.payments some?, read public.orders => (customers.email)",
    ),
    (
        "DELETE FROM audit WHERE id = 1",
        "delete: delete public.audit some, execute routine:public.audit.rules unknown? => () code",
    ),
    ("DELETE FROM ONLY events", "delete: delete public.events all => ()"),
    (
        "DELETE FROM notes WHERE id IN (SELECT id FROM customers)",
        "delete: read public.customers, delete public.notes some?, delete archive.notes some? => ()",
    ),
    (
        "MERGE INTO products p USING customers c ON p.id = c.id WHEN MATCHED THEN UPDATE SET title = c.email WHEN NOT MATCHED THEN INSERT (id, title) VALUES (c.id, c.name)",
        "merge: read public.customers, update public.products some, execute routine:public.on_product unknown?, insert public.products some => () sinks(customers.email | customers.id+customers.name) code",
    ),
    (
        "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN DELETE",
        "merge: read public.customers, delete public.orders some, update public.payments some? => ()",
    ),
    ("TRUNCATE orders", "truncate table: truncate public.orders all"),
    (
        "TRUNCATE orders, customers CASCADE",
        "truncate table: truncate public.orders all, truncate public.payments all?, truncate public.customers all, truncate public.orders all?",
    ),
    ("EXPLAIN SELECT email FROM customers", "explain: read public.customers => (UNTRACED)"),
    (
        "EXPLAIN DELETE FROM orders",
        "explain: read public.orders, read public.payments? => (UNTRACED)",
    ),
    (
        "EXPLAIN ANALYZE DELETE FROM orders",
        "explain: delete public.orders all, update public.payments some? => (UNTRACED)",
    ),
    (
        "EXPLAIN (ANALYZE false) DELETE FROM orders",
        "explain: read public.orders, read public.payments? => (UNTRACED)",
    ),
    (
        "EXPLAIN (ANALYZE, COSTS off) WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
        "explain: delete public.orders all, update public.payments some?, read public.orders => (UNTRACED)",
    ),
    (
        "EXPLAIN ANALYZE EXECUTE p",
        r#"explain: control session: one => (UNTRACED) Execute { name: "p" }"#,
    ),
    ("EXPLAIN EXECUTE p", r#"explain: control session: one => (UNTRACED) Execute { name: "p" }"#),
    (
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT email FROM customers",
        "explain: read public.customers, create ?.x one, insert ?.x some => (UNTRACED) sinks(customers.email)",
    ),
    (
        "EXPLAIN SELECT f()",
        "explain: execute routine:public.f unknown? => (UNTRACED) code unresolved",
    ),
    (
        "PREPARE p AS DELETE FROM orders",
        "prepare: control session: one [p = delete: delete public.orders all, update public.payments some? => ()]",
    ),
    (
        "PREPARE p (int) AS SELECT email FROM customers WHERE id = $1",
        "prepare: control session: one [p = select: read public.customers => (customers.email)]",
    ),
    ("EXECUTE p(1)", r#"execute: control session: one => ? unresolved Execute { name: "p" }"#),
    (
        "EXECUTE p((SELECT f()))",
        r#"execute: execute routine:public.f unknown?, control session: one => ? sinks(UNTRACED) code unresolved Execute { name: "p" }"#,
    ),
    ("DEALLOCATE p", r#"deallocate: control session: one Deallocate { name: Some("p") }"#),
    ("DEALLOCATE ALL", "deallocate: control session: one Deallocate { name: None }"),
    (
        "DECLARE c CURSOR FOR SELECT email FROM customers",
        "declare cursor: control session: one [c = select: read public.customers => (customers.email)]",
    ),
    (
        "DECLARE c CURSOR WITH HOLD FOR SELECT f()",
        "declare cursor: control session: one, execute routine:public.f unknown? => () code unresolved [c = select: execute routine:public.f unknown? => (UNTRACED) code unresolved]",
    ),
    ("FETCH 5 FROM c", r#"fetch: control session: one => ? unresolved Fetch { name: "c" }"#),
    ("MOVE c", r#"move: control session: one => () unresolved Fetch { name: "c" }"#),
    ("CLOSE c", r#"close cursor: control session: one CloseCursor { name: Some("c") }"#),
    ("CLOSE ALL", "close cursor: control session: one CloseCursor { name: None }"),
    (
        "COPY customers TO STDOUT",
        "copy: read public.customers => (customers.id | customers.email | customers.card_number | customers.name) copy Out(Text { delimiter: 9, header: false, null: \"\\\\N\" })",
    ),
    (
        "COPY customers (id, email) TO STDOUT WITH (FORMAT csv, DELIMITER ';', HEADER)",
        "copy: read public.customers => (customers.id | customers.email) copy Out(Csv { delimiter: 59, quote: 34, escape: 34, header: true, null: \"\" })",
    ),
    (
        "COPY products TO STDOUT CSV QUOTE ''''",
        "copy: read public.products => (products.id | products.title | products.price) copy Out(Csv { delimiter: 44, quote: 39, escape: 39, header: false, null: \"\" })",
    ),
    (
        "COPY (SELECT email FROM customers) TO STDOUT",
        "copy: read public.customers => (customers.email) copy Out(Text { delimiter: 9, header: false, null: \"\\\\N\" })",
    ),
    (
        "COPY (DELETE FROM orders RETURNING *) TO STDOUT",
        "copy: delete public.orders all, update public.payments some?, read public.orders => (orders.id | orders.customer_id | orders.product_id | orders.note | orders.status) copy Out(Text { delimiter: 9, header: false, null: \"\\\\N\" })",
    ),
    (
        "COPY customers TO STDOUT WITH (ENCODING 'latin1')",
        "copy: read public.customers => (customers.id | customers.email | customers.card_number | customers.name) copy Out(Untold)",
    ),
    (
        "COPY customers TO STDOUT BINARY",
        "copy: read public.customers => (customers.id | customers.email | customers.card_number | customers.name) copy Out(Binary)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 'x')",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"x\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '')",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL x)",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"x\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 7)",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"7\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL -7)",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"-7\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL true)",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"true\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '\\N', DELIMITER 'A')",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 65, header: false, null: \"\\\\N\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 'x', DELIMITER 'N')",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 78, header: false, null: \"x\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 'x\\')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '\\.')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '\\n')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '0123456789012345678901234567891')",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 9, header: false, null: \"0123456789012345678901234567891\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '01234567890123456789012345678912')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 'é')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL E'a\\nb')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL E'a\\rb')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL 'a|b', DELIMITER '|')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER 'N')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER 'a')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER '5', NULL 'x')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER '.', NULL 'x')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER E'\\\\', NULL 'x')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER E'\\n')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (DELIMITER 'é')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, NULL 'x')",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 34, escape: 34, header: false, null: \"x\" })",
    ),
    (
        "COPY products (id) TO STDOUT (NULL '\\N', FORMAT csv)",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 34, escape: 34, header: false, null: \"\\\\N\" })",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, NULL '\\.')",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 34, escape: 34, header: false, null: \"\\\\.\" })",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, NULL 'x\\', ESCAPE '\\')",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 34, escape: 92, header: false, null: \"x\\\\\" })",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, DELIMITER 'a', QUOTE 'b', ESCAPE 'a')",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 97, quote: 98, escape: 97, header: false, null: \"\" })",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, FORCE_QUOTE *, HEADER off)",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 34, escape: 34, header: false, null: \"\" })",
    ),
    (
        "COPY products (id) TO STDOUT WITH NULL AS '-' CSV QUOTE AS '''' FORCE QUOTE id",
        "copy: read public.products => (products.id) copy Out(Csv { delimiter: 44, quote: 39, escape: 39, header: false, null: \"-\" })",
    ),
    (
        "COPY products (id) TO STDOUT WITH DELIMITER '|' NULL '-'",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 124, header: false, null: \"-\" })",
    ),
    (
        "COPY products (id) TO STDOUT USING DELIMITERS '|' WITH NULL AS '-'",
        "copy: read public.products => (products.id) copy Out(Text { delimiter: 124, header: false, null: \"-\" })",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, QUOTE E'\\n')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, QUOTE E'\\r')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, ESCAPE E'\\n')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, ESCAPE E'\\r')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, NULL 'a,b')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, NULL 'a\"b')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (FORMAT csv, DELIMITER '\"')",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL)",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY products (id) TO STDOUT (NULL *)",
        "copy: read public.products => (products.id) copy Out(Untold)",
    ),
    (
        "COPY customers TO '/tmp/x'",
        "copy: transfer-out file:/tmp/x all, read public.customers => () sinks(customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "COPY customers TO PROGRAM 'curl x'",
        "copy: execute program:curl x one?, transfer-out program:curl x all, read public.customers => () sinks(customers.id | customers.email | customers.card_number | customers.name)",
    ),
    ("COPY orders FROM STDIN", "copy: insert public.orders some => () copy In"),
    (
        "COPY orders FROM '/tmp/x'",
        "copy: transfer-in file:/tmp/x all, insert public.orders some => ()",
    ),
    (
        "COPY orders FROM PROGRAM 'cat x'",
        "copy: execute program:cat x one?, transfer-in program:cat x all, insert public.orders some => ()",
    ),
    (
        "COPY products (id) FROM STDIN WHERE f() = 1",
        "copy: insert public.products some, execute routine:public.f unknown? => () code copy In",
    ),
    (
        "DO $$BEGIN DELETE FROM orders; END$$",
        "do: execute routine:?.do unknown? => () code unresolved",
    ),
    ("CALL settle(1)", "call: execute routine:public.settle unknown? => ? code unresolved"),
    (
        "CALL settle((SELECT id FROM customers LIMIT 1))",
        "call: read public.customers, execute routine:public.settle unknown? => ? sinks(customers.id) code unresolved",
    ),
    ("LISTEN c", "listen: control channel:c one"),
    ("NOTIFY c, 'x'", "notify: control channel:c one"),
    ("UNLISTEN *", "unlisten: control channel: one"),
    ("LOCK TABLE orders", "lock table: control lock:public.orders all"),
    ("VACUUM FULL orders", "vacuum: alter public.orders all => () code"),
    ("VACUUM", "vacuum: alter database: all => () code"),
    ("ANALYZE orders", "analyze: alter public.orders all => () code"),
    ("CLUSTER", "cluster: alter database: all => () code unresolved"),
    ("REINDEX TABLE orders", "reindex: alter public.orders all => () code"),
    ("REINDEX DATABASE shop", "reindex: alter database: all => () code"),
    ("CHECKPOINT", "checkpoint: control connection: all"),
    (
        "REFRESH MATERIALIZED VIEW cards",
        "refresh materialized view: update public.cards all, read public.customers => () refills(=customers.id | =customers.card_number)",
    ),
    ("LOAD 'x.so'", "load: transfer-in file:x.so one, execute file:x.so unknown? => () code"),
    ("BEGIN", "begin: control transaction: one"),
    ("START TRANSACTION READ ONLY", "start transaction: control transaction: one"),
    ("COMMIT", "commit: control transaction: one => () unresolved"),
    ("END", "commit: control transaction: one => () unresolved"),
    ("ROLLBACK", "rollback: control transaction: one"),
    ("ABORT", "rollback: control transaction: one"),
    ("SAVEPOINT a", "savepoint: control transaction: one"),
    ("RELEASE a", "release: control transaction: one"),
    ("ROLLBACK TO a", "rollback: control transaction: one"),
    (
        "PREPARE TRANSACTION 'x'",
        "prepare transaction: control transaction:prepared.x one?, control transaction: one => () unresolved",
    ),
    ("COMMIT PREPARED 'x'", "commit prepared: control transaction:prepared.x one?"),
    ("SET search_path = x", "set: control setting:search_path one"),
    ("SET default_transaction_read_only = on", "set: control transaction: one"),
    ("RESET default_transaction_read_only", "reset: control transaction: one"),
    (
        "SET default_transaction_read_only = off",
        "set: control setting:default_transaction_read_only one",
    ),
    (r#"SET "Search_Path" = x"#, "set: control setting:search_path one"),
    ("SET LOCAL statement_timeout = 1", "set: control setting:statement_timeout one"),
    ("SET TIME ZONE 'UTC'", "set: control setting:timezone one"),
    ("SET NAMES 'latin1'", "set: control setting:client_encoding one"),
    ("SET ROLE postgres", "set: control role:postgres one"),
    ("SET ROLE NONE", "set: control role:none one"),
    ("RESET ROLE", "reset: control role: one"),
    ("SET SESSION AUTHORIZATION postgres", "set: control role:postgres one"),
    ("SET SESSION AUTHORIZATION DEFAULT", "set: control role: one"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "set: control transaction: one"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "set: control setting:session characteristics one",
    ),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "set: control transaction: one"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE",
        "set: control setting:default_transaction_isolation one, \
         control setting:default_transaction_deferrable one",
    ),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, READ ONLY",
        "set: control setting:session characteristics one",
    ),
    ("SET CONSTRAINTS ALL DEFERRED", "set constraints: control transaction: one => () unresolved"),
    ("RESET ALL", "reset: control setting: all"),
    ("RESET search_path", "reset: control setting:search_path one"),
    ("SHOW search_path", "show: read setting:search_path => (-)"),
    ("SHOW ALL", "show: read setting: => (- | - | -)"),
    ("DISCARD ALL", "discard all: control setting: all, control session: one DiscardAll"),
    ("DISCARD TEMP", "discard temp: drop schema:pg_temp all"),
    ("DISCARD PLANS", "discard: control session: one"),
    ("ALTER SYSTEM SET wal_level = minimal", "alter system: alter setting:wal_level one"),
    (
        "ALTER ROLE bob SET search_path = x",
        "alter role: alter role:bob one, alter setting:search_path one",
    ),
    (
        "ALTER ROLE ALL IN DATABASE shop RESET ALL",
        "alter role: alter role: all, alter setting: one",
    ),
    (
        "ALTER DATABASE shop SET search_path = x",
        "alter database: alter setting:search_path one, alter database: all",
    ),
    ("CREATE ROLE bob SUPERUSER", "create role: create role:bob one"),
    ("ALTER ROLE bob SUPERUSER", "alter role: alter role:bob one, grant role:bob one"),
    ("DROP ROLE bob, eve", "drop role: drop role:bob one, drop role:eve one"),
    (
        "GRANT ALL ON customers TO PUBLIC",
        "grant: grant role:public one, grant public.customers one",
    ),
    (
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bob",
        "grant: grant role:bob one, grant schema:public all",
    ),
    ("GRANT admin TO bob", "grant role: grant role:bob one, grant role:admin one"),
    (
        "REVOKE SELECT ON customers FROM bob",
        "revoke: grant role:bob one, grant public.customers one",
    ),
    (
        "GRANT EXECUTE ON FUNCTION f() TO bob",
        "grant: grant role:bob one, grant routine:public.f one",
    ),
    (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob",
        "alter default privileges: grant database: all",
    ),
    (
        "REASSIGN OWNED BY bob TO eve",
        "reassign owned: grant role:bob one, grant role:eve one, alter database: all?",
    ),
    ("DROP OWNED BY bob", "drop owned: grant role:bob one, drop database: all?"),
    ("CREATE TABLE t (id int)", "create table: create ?.t one"),
    ("CREATE TEMP TABLE t (id int)", "create table: create pg_temp.t one"),
    (
        "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "create table: create ?.events_2025 one, alter public.events some => ()",
    ),
    (
        "CREATE INDEX i ON orders (note)",
        "create index: alter public.orders all, create ?.i one => () code",
    ),
    (
        "CREATE SCHEMA s CREATE TABLE t (id int)",
        "create schema: create schema:s one, create ?.t one",
    ),
    (
        "SELECT read.mail_of(1)",
        "select: read routine:read.mail_of, read public.customers => (customers.id+customers.email) code",
    ),
    (
        "SELECT mail_of(id) FROM products",
        "select: read public.products, read routine:read.mail_of, read public.customers => (customers.id+customers.email+products.id) sinks(products.id) code",
    ),
    (
        "SELECT read.known('a@b')",
        "select: read routine:read.known, read public.customers => (customers.email) code",
    ),
    (
        "SELECT * FROM read.rows_of('x')",
        "select: read routine:read.rows_of, read public.customers => ? code",
    ),
    (
        "SELECT read.title_in_words(1)",
        "select: read routine:read.title_in_words, read routine:read.title_of, read public.products, execute routine:read.title_of unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT read.settled(1)",
        "select: read routine:read.settled, execute routine:public.f unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT read.told('app.secret'), read.told($1)",
        "select: read routine:read.told, read setting:?? => (- | -) code",
    ),
    (
        "SELECT read.guarded(1)",
        "select: execute routine:read.guarded unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT read.pinned(1)",
        "select: execute routine:read.pinned unknown? => (UNTRACED) code unresolved",
    ),
    ("SELECT read.once(1)", "select: read routine:read.once, update sequence:? one? => (-) code"),
    (
        "SELECT read.around(1)",
        "select: read routine:read.around, execute routine:read.around unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT read.title_of('x')",
        "select: read routine:read.title_of, read public.products, execute routine:read.title_of unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT id FROM read.whole(1)",
        "select: read routine:read.whole, read public.products => (products.id+products.title+products.price+products.title_size) code",
    ),
    (
        "SELECT read.mail_of(length(card)) FROM payments",
        "select: read public.payments, read routine:read.mail_of, read public.customers => (customers.id+customers.email+payments.card) sinks(payments.card) code",
    ),
    (
        "SELECT p.mail_of FROM products p",
        "select: read public.products, read routine:read.mail_of, read public.customers => (customers.id+customers.email+products.*) sinks(products.*) code",
    ),
    (
        "CREATE VIEW v AS SELECT read.mail_of(id) AS m FROM products",
        "create view: create ?.v one, read public.products, read routine:read.mail_of, read public.customers => () sinks(products.id | customers.id+customers.email+products.id) code",
    ),
    (
        "SELECT r FROM read.rows_of('x') r",
        "select: read routine:read.rows_of, read public.customers => (customers.*) code",
    ),
    (
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "create function: create routine:?.g one",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION on_product()",
        "create trigger: alter public.orders all, create routine:?.orders.trigger one",
    ),
    (
        "CREATE RULE r AS ON INSERT TO orders DO INSTEAD DELETE FROM customers",
        "create rule: alter public.orders all, create routine:?.orders.rule one",
    ),
    (
        "CREATE POLICY p ON orders USING (true)",
        "create policy: alter public.orders all, create routine:?.orders.policy one",
    ),
    ("CREATE TYPE t AS (a int)", "create type: create type:?.t one"),
    ("CREATE DOMAIN d AS int", "create domain: create type:?.d one"),
    (
        "CREATE EXTENSION dblink",
        "create extension: execute extension:dblink unknown?, create extension:dblink all => () code",
    ),
    ("CREATE SERVER s FOREIGN DATA WRAPPER w", "create server: create extension:s all"),
    ("CREATE USER MAPPING FOR bob SERVER s", "create user mapping: create extension:s all"),
    (
        "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
        "import foreign schema: create schema:public some, transfer-in host:x all?, alter extension:x all",
    ),
    ("CREATE PUBLICATION p FOR ALL TABLES", "create publication: create extension:p all"),
    (
        "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
        "create subscription: transfer-in host:? all?, create extension:s all",
    ),
    (
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()",
        "create event trigger: execute routine:?.f unknown?, create extension:e all => () code",
    ),
    ("CREATE CAST (text AS int) WITH FUNCTION f()", "cast: create type:cast one?"),
    (
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same)",
        "create: create type:?.=== one",
    ),
    ("CREATE DATABASE x", "create database: create database:x all"),
    ("DROP DATABASE x", "drop database: drop database:x all"),
    (
        "ALTER TABLE customers DROP COLUMN email",
        "alter table: alter public.customers all, drop column:public.customers.email all => () code",
    ),
    (
        "ALTER TABLE customers RENAME email TO e",
        "alter table: alter public.customers all => () moves names customers.email e",
    ),
    (
        "ALTER TABLE customers RENAME TO c",
        "alter table: alter public.customers all => () moves names customers c",
    ),
    (
        "ALTER TABLE customers SET SCHEMA app",
        "alter table: alter public.customers all => () moves names customers app.customers",
    ),
    (
        "ALTER INDEX customers_pkey RENAME TO c",
        "alter index: alter ?.customers_pkey all? => () unresolved",
    ),
    (
        "ALTER TABLE orders RENAME id TO x; ALTER TABLE orders RENAME TO o",
        "alter table: alter public.orders all => () moves names orders.id x ;; alter table: alter public.orders all => () sinks(UNTRACED) unresolved",
    ),
    (
        "ALTER TABLE orders RENAME TO o; ALTER TABLE customers RENAME TO c",
        "alter table: alter public.orders all => () moves names orders o ;; alter table: alter public.customers all => () moves names customers c unresolved",
    ),
    (
        "ALTER TYPE made_of_checked RENAME ATTRIBUTE mark TO m CASCADE",
        "alter: alter public.made_of_checked all => () moves names made.mark m moves names marked.mark m",
    ),
    ("ALTER TABLE customers OWNER TO bob", "alter table: alter public.customers all => () code"),
    ("ALTER TABLE nosuch ADD x int", "alter table: alter ?.nosuch all? => () code unresolved"),
    ("ALTER FUNCTION f() SECURITY DEFINER", "alter function: alter routine:public.f all"),
    (
        "ALTER SCHEMA app RENAME TO app2",
        "alter schema: alter schema:app all => () moves names app.* app2.*",
    ),
    ("ALTER TYPE order_status ADD VALUE 'x'", "alter type: alter type:order_status all"),
    (
        "DROP TABLE customers, app.settings",
        "drop table: drop public.customers all, drop app.settings all",
    ),
    (
        "DROP TABLE IF EXISTS customers CASCADE",
        "drop table: drop public.customers all, drop database: unknown?",
    ),
    ("DROP VIEW customer_contacts", "drop view: drop public.customer_contacts all"),
    ("DROP SCHEMA app CASCADE", "drop schema: drop schema:app all, drop database: unknown?"),
    ("DROP FUNCTION f()", "drop function: drop routine:public.f all"),
    ("DROP TRIGGER product_changed ON products", "drop trigger: alter public.products all"),
    ("DROP INDEX i", "drop index: drop ?.i all?"),
    ("DROP TYPE order_status", "drop type: drop type:order_status all"),
    ("DROP CAST (text AS int)", "drop: drop type:text all"),
    ("DROP EXTENSION x", "drop extension: drop extension:x all"),
    ("COMMENT ON TABLE customers IS 'x'", "comment: alter public.customers one"),
    ("SECURITY LABEL ON TABLE customers IS 'x'", "security label: alter public.customers one"),
    (
        "SELECT 1; DROP TABLE customers",
        "select: control session: one => (-) ;; drop table: drop public.customers all",
    ),
    (
        "ALTER TABLE customers RENAME email TO e; SELECT name || '' FROM customers",
        "alter table: alter public.customers all => () moves names customers.email e ;; select: read public.customers => (UNTRACED) unresolved",
    ),
    (
        "BEGIN; SELECT email FROM customers; COMMIT",
        "begin: control transaction: one ;; select: read public.customers => (customers.email) ;; commit: control transaction: one => () unresolved",
    ),
    ("--", ""),
    ("/* DROP TABLE x; */", ""),
    ("SELECT /* ; DROP TABLE x */ 1 -- ; DELETE", "select: control session: one => (-)"),
    ("SELECT 'a'';DROP TABLE x;--'", "select: control session: one => (-)"),
    (r#"SELECT E'\'; DROP TABLE x; --'"#, "select: control session: one => (-)"),
    ("SELECT", "select: control session: one => ()"),
    ("DELETE FROM", "ERROR syntax error: syntax error at end of input"),
    ("SELECT b FROM customers c(a, b)", "select: read public.customers => (customers.email)"),
    (
        "SELECT email FROM customers AS c(id, name, email, x)",
        "select: read public.customers => (customers.card_number)",
    ),
    (
        "SELECT b FROM (SELECT * FROM customers) s(a, b, c, d)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH c(a, b) AS (SELECT id, email FROM customers) SELECT b FROM c",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT (SELECT t FROM (SELECT email) t) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT (c).* FROM customers c",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "SELECT (s).x FROM (SELECT email AS x FROM customers) s",
        "select: read public.customers => (customers.email)",
    ),
    ("SELECT c::text FROM customers c", "select: read public.customers => (customers.*)"),
    (
        "SELECT c IS NULL, max(c.id) FROM customers c GROUP BY c",
        "select: read public.customers => (customers.* | customers.id)",
    ),
    (
        "SELECT email FROM customers, (VALUES ('x')) v(email)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT x.* FROM (customers c JOIN products p ON true) x",
        "select: read public.customers, read public.products => (customers.id | customers.email | customers.card_number | customers.name | products.id | products.title | products.price | products.title+products.title_size)",
    ),
    (
        "SELECT email FROM customers c LEFT JOIN LATERAL (SELECT c.email AS e2) l ON true",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT e2 FROM customers c LEFT JOIN LATERAL (SELECT c.email AS e2) l ON true",
        "select: read public.customers => (customers.email)",
    ),
    (
        "INSERT INTO archive.notes SELECT id, card_number FROM customers",
        "insert: read public.customers, insert archive.notes some => () sinks(customers.id | customers.card_number)",
    ),
    (
        "SELECT pg_temp.f()",
        "select: execute routine:pg_temp.f unknown? => (UNTRACED) code unresolved",
    ),
    (r#"SELECT "F"()"#, "select: execute routine:?.F unknown? => (UNTRACED) code unresolved"),
    (
        "SELECT pg_catalog.nosuch()",
        "select: execute routine:pg_catalog.nosuch unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT hr.upper('x')",
        "select: execute routine:hr.upper unknown? => (UNTRACED) code unresolved",
    ),
    ("SELECT information_schema._pg_expandarray(ARRAY[1])", "select: control session: one => (-)"),
    (r#"SELECT "pg_catalog"."set_config"('role', 'x', true)"#, "select: control role:? one => (-)"),
    ("SELECT current_setting('search_path')", "select: read setting:search_path => (-)"),
    (
        "SELECT extract(year FROM now()), position('a' IN email), substring(email FROM 1 FOR 3), trim(email), overlay(email PLACING 'x' FROM 1) FROM customers",
        "select: read public.customers => (- | customers.email | customers.email | customers.email | customers.email)",
    ),
    (
        r#"SELECT email COLLATE "C", now() AT TIME ZONE 'UTC' FROM customers"#,
        "select: read public.customers => (customers.email | -)",
    ),
    (
        "SELECT GROUPING(email), count(*) FROM customers GROUP BY ROLLUP (email)",
        "select: read public.customers => (- | -)",
    ),
    (
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY card_number) FROM customers",
        "select: read public.customers => (customers.card_number)",
    ),
    (
        "SELECT lower(VARIADIC ARRAY[email]) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "DECLARE c CURSOR FOR SELECT email FROM customers; FETCH ALL FROM c",
        r#"declare cursor: control session: one [c = select: read public.customers => (customers.email)] ;; fetch: control session: one => ? unresolved Fetch { name: "c" }"#,
    ),
    (
        "CREATE TABLE x (); SELECT email FROM customers",
        "create table: create ?.x one ;; select: read public.customers => (UNTRACED) unresolved",
    ),
    (
        "SELECT f(); SELECT email FROM customers",
        "select: execute routine:public.f unknown? => (UNTRACED) code unresolved ;; select: read public.customers => (UNTRACED) unresolved",
    ),
    ("CREATE TABLE t (LIKE customers)", "create table: create ?.t one, read public.customers"),
    (
        "CREATE TABLE t () INHERITS (customers)",
        "create table: create ?.t one, alter public.customers some",
    ),
    (
        "CREATE TABLE customers2 AS TABLE customers",
        "create table as: read public.customers, create ?.customers2 one, insert ?.customers2 some => () makes customers2(=customers.id | =customers.email | =customers.card_number | =customers.name)",
    ),
    (
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        "alter table: alter public.orders all => () code",
    ),
    (
        "ALTER TABLE products DISABLE TRIGGER ALL",
        "alter table: alter public.products all => () code",
    ),
    (
        "ALTER TABLE events DETACH PARTITION events_2024",
        "alter table: alter public.events all, alter public.events_2024 all => () sinks(events.at+events_2024.at | events.what+events_2024.what) code",
    ),
    (
        "DELETE FROM customers WHERE id = id OR id <> id",
        "delete: delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "DELETE FROM customers WHERE 'a' < 'b'",
        "delete: delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "DELETE FROM customers WHERE random() < 2",
        "delete: delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "DELETE FROM customers WHERE $1",
        "delete: delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "DELETE FROM customers WHERE EXISTS (SELECT 1)",
        "delete: delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "DELETE FROM customers WHERE false",
        "delete: delete public.customers some, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "UPDATE customers SET email = email || 'x' WHERE id = 1",
        "update: update public.customers some => () sinks(customers.email)",
    ),
    (
        "UPDATE customers SET name = card_number WHERE id = 1",
        "update: update public.customers some => () sinks(customers.card_number)",
    ),
    (
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'x'",
        "update: update pg_catalog.pg_settings some, execute routine:pg_catalog.pg_settings.rules unknown? => () sinks(UNTRACED) code \
         unresolved",
    ),
    (
        "DELETE FROM pg_class",
        "delete: delete pg_catalog.pg_class all => () sinks(UNTRACED) unresolved",
    ),
    (
        "INSERT INTO hr.people SELECT 1, email FROM customers RETURNING ssn",
        "insert: read public.customers, insert hr.people some, read hr.people => (customers.email+people.ssn) sinks(customers.email)",
    ),
    (
        "TRUNCATE customers CASCADE",
        "truncate table: truncate public.customers all, truncate public.orders all?, truncate public.payments all?",
    ),
    ("TRUNCATE ONLY events", "truncate table: truncate public.events all"),
    (
        "SELECT pg_stat_get_backend_activity(1)",
        "select: read pg_catalog.pg_stat_activity => (UNTRACED) unresolved",
    ),
    (
        "SELECT relname, reltuples FROM pg_catalog.pg_class WHERE relkind = 'r'",
        "select: read pg_catalog.pg_class => (pg_class.relname | pg_class.reltuples)",
    ),
    (
        "SELECT pg_relation_size('customers'), pg_size_pretty(pg_database_size('shop'))",
        "select: control session: one => (- | -)",
    ),
    (
        "SELECT loread(lo_open(1, 262144), 100)",
        "select: update large-object:? one?, read large-object:?? => (UNTRACED) unresolved",
    ),
    (
        "SELECT pg_logical_emit_message(true, 'p', email) FROM customers",
        "select: read public.customers, control connection: one => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
        "select: control connection: one => (-)",
    ),
    (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
        "select: read pg_catalog.pg_stat_activity, control backend:? one? => (pg_stat_activity.pid) sinks(pg_stat_activity.pid)",
    ),
    ("SELECT pg_stat_reset()", "select: control connection: one => (-)"),
    (
        "SELECT cursor_to_xml('c', 1, true, true, '')",
        "select: execute routine:pg_catalog.cursor_to_xml unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT JSON_ARRAYAGG(email ORDER BY id) FROM customers",
        "select: read public.customers => (customers.id+customers.email)",
    ),
    ("SELECT email IS JSON FROM customers", "select: read public.customers => (customers.email)"),
    (
        "SELECT xmlserialize(CONTENT email::xml AS text) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH RECURSIVE t AS (SELECT id, email FROM customers UNION SELECT id, email FROM t) SEARCH DEPTH FIRST BY id SET o CYCLE id SET m USING p SELECT * FROM t",
        "select: read public.customers => ?",
    ),
    (
        "WITH t AS MATERIALIZED (INSERT INTO orders SELECT id FROM customers RETURNING note) SELECT note FROM t",
        "select: read public.customers, insert public.orders some, read public.orders => (orders.note) sinks(customers.id)",
    ),
    ("COPY (SELECT 1) TO PROGRAM 'x'", "copy: execute program:x one?, transfer-out program:x all"),
    (
        "COPY (VALUES ((SELECT email FROM customers LIMIT 1))) TO STDOUT (FORMAT binary)",
        "copy: read public.customers => (customers.email) copy Out(Binary)",
    ),
    (
        "COPY orders (id, note) TO STDOUT DELIMITER '|'",
        "copy: read public.orders => (orders.id | orders.note) copy Out(Text { delimiter: 124, header: false, null: \"\\\\N\" })",
    ),
    (
        "EXPLAIN (ANALYZE off, ANALYZE on) DELETE FROM orders",
        "explain: delete public.orders all, update public.payments some? => (UNTRACED)",
    ),
    (
        "EXPLAIN (FORMAT json) UPDATE orders SET note = c.email FROM customers c",
        "explain: read public.customers, read public.orders => (UNTRACED)",
    ),
    (
        "EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT f()",
        "explain: execute routine:public.f unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT set_config('a.b', 'x', false), pg_notify('x', 'y')",
        "select: control setting:a.b one, control channel:x one => (- | -)",
    ),
    ("SELECT CASE WHEN pg_sleep(1) IS NULL THEN 1 END", "select: control backend:? one? => (-)"),
    (
        "SELECT * FROM customers WHERE id IN (SELECT pg_terminate_backend(1)::int)",
        "select: read public.customers, control backend:? one? => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    ("SELECT DISTINCT email FROM customers", "select: read public.customers => (customers.email)"),
    (
        "SELECT *, count(*) OVER () FROM customers",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name | -)",
    ),
    (
        "SELECT DISTINCT c.name, (SELECT string_agg(o.note, ',') FROM orders o WHERE o.customer_id = c.id) FROM customers c",
        "select: read public.customers, read public.orders => (customers.name | customers.id+orders.customer_id+orders.note)",
    ),
    (
        "SELECT o.id, c.name, p.title FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN products p ON p.id = o.product_id WHERE o.status = 'paid' ORDER BY 1 DESC LIMIT 10 OFFSET 5",
        "select: read public.orders, read public.customers, read public.products => (orders.id | customers.name | products.title)",
    ),
    (
        "SELECT date_trunc('day', now()) AS d, sum(amount) FROM payments GROUP BY 1 ORDER BY d",
        "select: read public.payments => (- | payments.amount)",
    ),
    (
        "SELECT 'please DROP TABLE customers; DELETE FROM orders' AS body, 'it''s'",
        "select: control session: one => (- | -)",
    ),
    (
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2",
        "select: read pg_catalog.pg_class, read pg_catalog.pg_namespace => (pg_namespace.nspname | pg_class.relname)",
    ),
    (
        "SELECT format('%s', email), concat(name, email), length(card_number), md5(email), encode(card_number::bytea, 'base64') FROM customers",
        "select: read public.customers => (customers.email | customers.email+customers.name | customers.card_number | customers.email | customers.card_number)",
    ),
    (
        "DELETE FROM orders WHERE EXISTS (SELECT 1 FROM customers WHERE email = 'x')",
        "delete: read public.customers, delete public.orders all, update public.payments some? => ()",
    ),
    (
        "DELETE FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id)",
        "delete: read public.customers, delete public.orders some, update public.payments some? => ()",
    ),
    (
        "DELETE FROM orders USING customers c WHERE c.id = 1",
        "delete: read public.customers, delete public.orders all, update public.payments some? => ()",
    ),
    (
        "DELETE FROM orders WHERE ctid = '(0,1)'",
        "delete: delete public.orders some, update public.payments some? => ()",
    ),
    (
        "DELETE FROM orders WHERE (SELECT true)",
        "delete: delete public.orders all, update public.payments some? => ()",
    ),
    (
        "DELETE FROM orders WHERE NOT EXISTS (SELECT 1 FROM customers WHERE id = customer_id)",
        "delete: read public.customers, delete public.orders some, update public.payments some? => ()",
    ),
    (
        "SELECT x FROM (SELECT email, id FROM customers) AS s(x)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT j FROM (customers c JOIN orders o ON true) AS j",
        "select: read public.customers, read public.orders => (customers.id+customers.email+customers.card_number+customers.name+orders.id+orders.customer_id+orders.product_id+orders.note+orders.status)",
    ),
    (
        "SELECT (j).email FROM (customers c JOIN orders o USING (id)) AS j",
        "select: read public.customers, read public.orders => (customers.email)",
    ),
    (
        "SELECT o.note FROM orders o JOIN customers c ON true, LATERAL (SELECT c.email AS note) n",
        "select: read public.orders, read public.customers => (orders.note)",
    ),
    (
        "SELECT n.note FROM orders o JOIN customers c ON true, LATERAL (SELECT c.email AS note) n",
        "select: read public.orders, read public.customers => (customers.email)",
    ),
    (
        "SELECT e FROM customers c, LATERAL unnest(ARRAY[c.email, c.name]) e",
        "select: read public.customers => (customers.email+customers.name) sinks(customers.email+customers.name)",
    ),
    (
        "SELECT v FROM customers c, LATERAL (VALUES (c.email), (c.name)) AS t(v)",
        "select: read public.customers => (customers.email+customers.name)",
    ),
    (
        "SELECT t FROM customers c, LATERAL (VALUES (c.email)) AS t",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT value FROM customers c, json_each_text(row_to_json(c))",
        "select: read public.customers => (customers.*) sinks(customers.*)",
    ),
    (
        "SELECT k, value FROM customers c, json_each_text(row_to_json(c)) AS j(k)",
        "select: read public.customers => (customers.* | customers.*) sinks(customers.*)",
    ),
    (
        "SELECT j FROM customers c, json_each(row_to_json(c)) AS j",
        "select: read public.customers => (customers.*) sinks(customers.*)",
    ),
    (
        "SELECT (json_each(row_to_json(c))).value FROM customers c",
        "select: read public.customers => (customers.*) sinks(customers.*)",
    ),
    (
        "SELECT (json_populate_record(NULL::customers, row_to_json(c))).email FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT x.email FROM customers c, json_populate_record(NULL::customers, row_to_json(c)) x",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT * FROM customers c, json_populate_record(NULL::customers, row_to_json(c)) x",
        "select: read public.customers => ?",
    ),
    (
        "SELECT r.a FROM customers c, json_to_record(row_to_json(c)) AS r(a text, email text)",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT r.email FROM customers c, json_to_record(row_to_json(c)) AS r(a text, email text)",
        "select: read public.customers => (customers.*)",
    ),
    (
        "WITH a AS (SELECT * FROM customers), b AS (SELECT * FROM a) SELECT (b).card_number, b.* FROM b",
        "select: read public.customers => (customers.card_number | customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "WITH a(x) AS (SELECT c FROM customers c) SELECT (x).email FROM a",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT (SELECT a.x FROM (SELECT c.email) a(x)) FROM customers c",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT (SELECT email FROM (SELECT 'a' AS name) z) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT (SELECT name FROM (SELECT 'a' AS name) z) FROM customers",
        "select: read public.customers => (-)",
    ),
    (
        "SELECT email FROM (SELECT name AS email, email AS name FROM customers) s",
        "select: read public.customers => (customers.name)",
    ),
    (
        "SELECT min(email) OVER (), lag(card_number) OVER (ORDER BY id) FROM customers",
        "select: read public.customers => (customers.email | customers.id+customers.card_number)",
    ),
    (
        "SELECT CASE id WHEN 1 THEN card_number END FROM customers",
        "select: read public.customers => (customers.id+customers.card_number)",
    ),
    (
        "SELECT (ARRAY[name, email])[2], (ARRAY[name, email])[1:2] FROM customers",
        "select: read public.customers => (customers.email+customers.name | customers.email+customers.name)",
    ),
    (
        "SELECT ROW(c.*)::customers FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT ((c::customers)).email FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT (c::customers).card_number FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT (CASE WHEN true THEN c END).email FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT (coalesce(c, c)).email FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    ("SELECT (array_agg(c))[1] FROM customers c", "select: read public.customers => (customers.*)"),
    (
        "SELECT ((array_agg(c))[1]).email FROM customers c",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT customers.email FROM customers JOIN orders USING (id) GROUP BY customers.id",
        "select: read public.customers, read public.orders => (customers.email)",
    ),
    (
        "SELECT jsonb_path_query(to_jsonb(c), '$.email') FROM customers c",
        "select: read public.customers => (customers.*) sinks(customers.*)",
    ),
    (
        "SELECT to_jsonb(c) -> 'email', to_jsonb(c) ->> 'email', to_jsonb(c) #>> '{email}' FROM customers c",
        "select: read public.customers => (customers.* | customers.* | customers.*)",
    ),
    (
        "SELECT string_to_table(email, '_') FROM customers",
        "select: read public.customers => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT regexp_replace(email, 's_', 's_'), (regexp_matches(email, '.*'))[1] FROM customers",
        "select: read public.customers => (customers.email | customers.email) sinks(customers.email)",
    ),
    (
        "SELECT xmlforest(email, card_number AS c) FROM customers",
        "select: read public.customers => (customers.email+customers.card_number)",
    ),
    (
        "SELECT query FROM (SELECT email AS query FROM customers) s WHERE query IS NOT NULL",
        "select: read public.customers => (customers.email)",
    ),
    ("SELECT email FROM (TABLE customers) s", "select: read public.customers => (customers.email)"),
    (
        "SELECT column2 FROM (VALUES (1, (SELECT email FROM customers))) s",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT c2 FROM (VALUES (1, (SELECT email FROM customers))) s(c1, c2)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT a.email, b.email FROM customers a NATURAL JOIN customers b",
        "select: read public.customers => (customers.email | customers.email)",
    ),
    (
        "SELECT email FROM customers a NATURAL JOIN (SELECT email, 1 AS z FROM customers) b",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT * FROM (SELECT id, email FROM customers) a FULL JOIN (SELECT id, note FROM orders) b USING (id)",
        "select: read public.customers, read public.orders => (customers.id+orders.id | customers.email | orders.note)",
    ),
    (
        "SELECT a FROM (SELECT email AS a, 1 AS b FROM customers UNION ALL SELECT 'x', 2) s",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT q.* FROM (SELECT 1 AS one, c.* FROM customers c) q",
        "select: read public.customers => (- | customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "INSERT INTO notes (id, body) SELECT 2, email FROM customers RETURNING *",
        "insert: read public.customers, insert public.notes some?, insert archive.notes some?, read public.notes?, read archive.notes? => (notes.id+notes.id | customers.email+notes.body+notes.body) sinks(customers.email)",
    ),
    (
        "INSERT INTO public.notes (id, body) SELECT 2, email FROM customers RETURNING body, notes, (notes).body",
        "insert: read public.customers, insert public.notes some, read public.notes => (customers.email+notes.body | customers.email+notes.* | customers.email+notes.body) sinks(customers.email)",
    ),
    (
        "UPDATE public.notes SET body = (SELECT email FROM customers) RETURNING body || ''",
        "update: read public.customers, update public.notes all, read public.notes => (customers.email+notes.body) sinks(customers.email)",
    ),
    (
        "UPDATE public.notes n SET body = c.card_number FROM customers c RETURNING n.body, n.*",
        "update: read public.customers, update public.notes all, read public.notes => (customers.card_number+notes.body | notes.id | customers.card_number+notes.body) sinks(customers.card_number)",
    ),
    (
        "INSERT INTO public.notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = (SELECT email FROM customers) RETURNING body",
        "insert: insert public.notes one, read public.customers, update public.notes some, read public.notes => (customers.email+notes.body) sinks(customers.email)",
    ),
    (
        "WITH u AS (UPDATE public.notes SET body = (SELECT email FROM customers) RETURNING *) SELECT body FROM u",
        "select: read public.customers, update public.notes all, read public.notes => (customers.email+notes.body) sinks(customers.email)",
    ),
    (
        "DELETE FROM orders RETURNING *, (SELECT email FROM customers)",
        "delete: delete public.orders all, update public.payments some?, read public.orders, read public.customers => (orders.id | orders.customer_id | orders.product_id | orders.note | orders.status | customers.email)",
    ),
    (
        "SELECT contact_list FROM contact_list",
        "select: read public.contact_list, read public.customers, read public.customer_contacts => (customers.id+customers.email+customer_contacts.id+customer_contacts.contact+contact_list.*+contact_list.shout+contact_list.id)",
    ),
    (
        "SELECT w FROM whole w",
        "select: read public.whole, read public.customers => (customers.*+customers.id+whole.*+whole.person+whole.id)",
    ),
    (
        "SELECT (w.person).card_number FROM whole w",
        "select: read public.whole, read public.customers => (customers.*+whole.person)",
    ),
    ("SELECT (person).* FROM whole", "select: read public.whole, read public.customers => ?"),
    (
        "SELECT person::text, row_to_json(person) FROM whole",
        "select: read public.whole, read public.customers => (customers.*+whole.person | customers.*+whole.person)",
    ),
    (
        "SELECT format_type(23, NULL), quote_literal(email), repeat(email, 2) FROM customers",
        "select: read public.customers => (- | customers.email | customers.email)",
    ),
    (
        "SELECT tableoid, ctid, c.xmin FROM customers c",
        "select: read public.customers => (- | - | -)",
    ),
    ("SELECT current_query()", "select: control session: one => (-)"),
    (
        "SELECT email INTO TEMPORARY x FROM customers",
        "select into: read public.customers, create pg_temp.x one, insert pg_temp.x some => () makes x(=customers.email)",
    ),
    (
        "SELECT DISTINCT ON (name) email FROM customers ORDER BY name, email",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT ts_headline(email, to_tsquery('x')) FROM customers",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT width_bucket(1, 0, 2, 3), string_agg(email, name) FROM customers",
        "select: read public.customers => (- | customers.email+customers.name)",
    ),
    (
        "WITH RECURSIVE t(a, b, c) AS (SELECT email, 'x', 'y' FROM customers UNION ALL SELECT 'z', a, b FROM t WHERE c <> 's_customers_email') SELECT c FROM t",
        "select: read public.customers => (customers.email)",
    ),
    (
        "WITH RECURSIVE t AS (SELECT 1 AS n, email AS e FROM customers UNION ALL (SELECT n + 1, e FROM t WHERE n < 3)) SELECT e FROM t",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT max(x) FROM (SELECT email FROM customers) s(x) HAVING count(*) > 0",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT s.* FROM customers c CROSS JOIN LATERAL (SELECT c.*) s",
        "select: read public.customers => (customers.id | customers.email | customers.card_number | customers.name)",
    ),
    (
        "SELECT s.email FROM customers c CROSS JOIN LATERAL (SELECT c.*) s",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT (s.c).email FROM (SELECT c FROM customers c) s",
        "select: read public.customers => (customers.*)",
    ),
    (
        "SELECT s.c FROM (SELECT c FROM customers c) s",
        "select: read public.customers => (customers.*)",
    ),
    ("SELECT email FROM ONLY customers", "select: read public.customers => (customers.email)"),
    ("SELECT email FROM customers *", "select: read public.customers => (customers.email)"),
    (
        "SELECT p.email FROM (SELECT (c).* FROM customers c) p",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT p.b FROM (SELECT (c).* FROM customers c) p(a, b)",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT p.b FROM (SELECT (ROW(c.email, c.name)).*) AS p(a, b), customers c",
        "select: read public.customers => (UNTRACED) unresolved",
    ),
    (
        "SELECT g.email FROM (SELECT id, email FROM customers GROUP BY GROUPING SETS ((id, email))) g",
        "select: read public.customers => (customers.email)",
    ),
    (
        "SELECT ('select 1'::text).ts_stat",
        "select: execute routine:pg_catalog.ts_stat unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT x.ts_stat FROM CAST('select 1' AS text) x",
        "select: execute routine:pg_catalog.ts_stat unknown?, unknown unknown: unknown?? => (UNTRACED) code unresolved",
    ),
    ("SELECT ('s'::regclass).nextval", "select: update sequence:? one? => (-)"),
    ("SELECT (1).pg_terminate_backend", "select: control backend:? one? => (-)"),
    ("SELECT x.current_setting FROM COALESCE('app.secret') x", "select: read setting:?? => (-)"),
    ("SELECT ('a.b'::text).current_setting", "select: read setting:?? => (-)"),
    (
        "SELECT (regexp_split_to_array(email, '')).unnest FROM customers",
        "select: read public.customers => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT (c).email, (c).upper FROM customers c",
        "select: read public.customers => (customers.email | customers.*)",
    ),
    // What came with PostgreSQL 15 to 18.
    (
        "UPDATE customers SET name = 'x' WHERE id = 1 RETURNING old.email, new.email, email",
        "update: update public.customers some, read public.customers => (customers.email | customers.email | customers.email)",
    ),
    (
        "UPDATE customers SET name = 'x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.email, n.id, o",
        "update: update public.customers some, read public.customers => (customers.email | customers.id | customers.*)",
    ),
    (
        "UPDATE customers SET name = email WHERE id = 1 RETURNING old.name, new.name",
        "update: update public.customers some, read public.customers => (customers.email+customers.name | customers.email+customers.name) sinks(customers.email)",
    ),
    (
        "DELETE FROM customers WHERE id = 1 RETURNING old, new.email",
        "delete: delete public.customers some, delete public.orders some?, update public.payments some?, read public.customers => (customers.* | customers.email)",
    ),
    (
        "INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x' RETURNING old.email",
        "insert: insert public.customers one, update public.customers some, read public.customers => (customers.email)",
    ),
    (
        "MERGE INTO customers c USING notes n ON c.id = n.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "merge: read public.notes?, read archive.notes?, delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "MERGE INTO customers c USING notes n ON c.id = n.id WHEN MATCHED THEN UPDATE SET name = 'x' RETURNING merge_action(), old.email",
        "merge: read public.notes?, read archive.notes?, update public.customers some, read public.customers => ?",
    ),
    (
        "SELECT j.e FROM customers c, JSON_TABLE(to_jsonb(c.email), '$' COLUMNS (e text PATH '$')) j",
        "select: read public.customers => (customers.email) sinks(customers.email)",
    ),
    (
        "SELECT JSON_VALUE(to_jsonb(email), '$'), JSON_EXISTS(to_jsonb(name), '$') FROM customers",
        "select: read public.customers, execute routine:public.json_query unknown? => (UNTRACED | UNTRACED) sinks(customers.email | customers.name) code unresolved",
    ),
    (
        "SELECT JSON_SCALAR(email), JSON_SERIALIZE(JSON(name)), email IS JSON FROM customers",
        "select: read public.customers => (customers.email | customers.name | customers.email)",
    ),
    (
        "EXPLAIN (ANALYZE, SERIALIZE text) DELETE FROM customers WHERE id = 1",
        "explain: delete public.customers some, delete public.orders some?, update public.payments some? => (UNTRACED)",
    ),
    (
        "EXPLAIN (MEMORY) DELETE FROM customers WHERE id = 1",
        "explain: read public.customers, read public.orders?, read public.payments? => (UNTRACED)",
    ),
    (
        "COPY customers FROM STDIN (FORMAT csv, ON_ERROR ignore, REJECT_LIMIT 3, LOG_VERBOSITY verbose)",
        "copy: insert public.customers some => () copy In",
    ),
    (
        "CREATE TABLE stays (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS))",
        "create table: create ?.stays one",
    ),
    (
        "ALTER TABLE customers ALTER CONSTRAINT c NOT ENFORCED",
        "alter table: alter public.customers all => () code",
    ),
    (
        "CREATE FOREIGN TABLE away (LIKE customers) SERVER s",
        "create foreign table: create ?.away one, read public.customers, read extension:s",
    ),
    ("VACUUM (FULL) ONLY customers", "vacuum: alter public.customers all => () code"),
    ("ALTER DATABASE shop REFRESH COLLATION VERSION", "alter database: alter database: all"),
    (
        "GRANT MAINTAIN ON customers TO PUBLIC",
        "grant: grant role:public one, grant public.customers one",
    ),
    (
        "CREATE EVENT TRIGGER e ON login EXECUTE FUNCTION f()",
        "create event trigger: execute routine:?.f unknown?, create extension:e all => () code",
    ),
    (
        "DELETE FROM notes WHERE id < 0x_F",
        "delete: delete public.notes some?, delete archive.notes some? => ()",
    ),
    (
        "SELECT id FROM (SELECT id FROM customers)",
        "select: read public.customers => (customers.id)",
    ),
    (
        "SELECT system_user",
        "select: execute routine:pg_catalog.system_user unknown? => (UNTRACED) code unresolved",
    ),
    ("SELECT id::json FROM customers", "select: read public.customers => (customers.id)"),
    (
        "MERGE INTO customers c USING products n ON true WHEN MATCHED THEN DELETE",
        "merge: read public.products, delete public.customers all, delete public.orders some?, update public.payments some? => ()",
    ),
    (
        "MERGE INTO customers c USING products n ON c.id = n.id WHEN NOT MATCHED BY SOURCE AND c.id > 7 THEN UPDATE SET name = 'x'",
        "merge: read public.products, update public.customers some => ()",
    ),
    // Code of users behind definitions.
    (
        "SELECT DISTINCT size FROM parcels",
        "select: read public.parcels, execute type:public.parcels.size unknown? => (parcels.size) code",
    ),
    (
        "SELECT id FROM parcels ORDER BY size",
        "select: read public.parcels, execute type:public.parcels.size unknown? => (parcels.id) code",
    ),
    (
        "SELECT ROW(1)::sized",
        "select: execute type:public.sized unknown? => (UNTRACED) code unresolved",
    ),
    (
        "INSERT INTO parcels VALUES (1, ROW(1))",
        "insert: execute type:public.parcels.size unknown?, insert public.parcels one => () code",
    ),
    (
        "INSERT INTO marked VALUES (1, 'x')",
        "insert: insert public.marked one, execute routine:public.same unknown? => () code",
    ),
    ("DELETE FROM marked WHERE id = 1", "delete: delete public.marked some => ()"),
    (
        "INSERT INTO stamps (id) VALUES (1)",
        "insert: insert public.stamps one, execute type:public.stamps.stamp unknown? => () code",
    ),
    (
        "INSERT INTO bookings VALUES (1, '[1,2]')",
        "insert: execute type:public.bookings.during unknown?, insert public.bookings one => () code",
    ),
    (
        "SELECT '[(1),(2)]'::app.sized_range",
        "select: execute type:app.sized_range unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT '[1,2]'::app.spans",
        "select: execute type:app.spans unknown? => (UNTRACED) code unresolved",
    ),
    (
        "SELECT what FROM shelves WHERE id = 1",
        "select: read public.shelves, execute routine:app.pick unknown?, read public.shelf? => (shelves.what+shelf.what) code",
    ),
    (
        "INSERT INTO shelves VALUES (1, 'x')",
        "insert: execute routine:app.pick unknown?, insert public.shelves one, insert public.shelf some? => () code",
    ),
    (
        "SELECT body FROM letters",
        "select: read public.letters, execute routine:app.may_see unknown? => (letters.body) code",
    ),
    ("SELECT body FROM sealed", "select: read public.sealed => (sealed.body) code"),
    (
        "REFRESH MATERIALIZED VIEW told",
        "refresh materialized view: update public.told all, control channel:? one? => () refills(-)",
    ),
    ("SELECT n FROM told", "select: read public.told => (told.n)"),
    (
        "ANALYZE counted",
        "analyze: alter public.counted all, execute routine:app.check_it unknown? => () code",
    ),
    (
        "REINDEX TABLE marked",
        "reindex: alter public.marked all, execute routine:public.same unknown? => () code",
    ),
    (
        "SELECT n.body FROM notes n JOIN archive.notes a USING (id)",
        "select: read public.notes?, read archive.notes?, read archive.notes => (notes.body+notes.body)",
    ),
    (
        "PREPARE p (checked) AS SELECT 1",
        "prepare: execute type:public.checked unknown?, control session: one => () code [p = select: control session: one, execute type:public.checked unknown? => (-) code]",
    ),
    (
        "LOCK TABLE contact_list IN EXCLUSIVE MODE",
        "lock table: control lock:public.contact_list all, control lock:public.customers all, control lock:public.customer_contacts all",
    ),
    (
        "CREATE INDEX ON notes ((app.check_it(body))) WHERE f() = 1",
        "create index: alter public.notes all?, alter archive.notes all?, create ?. one, read routine:app.check_it, execute routine:public.f unknown? => () sinks(notes.body+notes.body) code",
    ),
    (
        "ALTER TABLE notes ADD COLUMN n int DEFAULT f()",
        "alter table: alter public.notes all?, alter archive.notes all?, execute routine:public.f unknown? => () code",
    ),
    (
        "ALTER TABLE notes ALTER COLUMN id TYPE text USING f()::text",
        "alter table: alter public.notes all?, alter archive.notes all?, execute routine:public.f unknown? => () sinks(UNTRACED) code unresolved",
    ),
    (
        "ALTER TABLE notes ADD CHECK (app.check_it(body))",
        "alter table: alter public.notes all?, alter archive.notes all?, read routine:app.check_it => () sinks(notes.body+notes.body) code",
    ),
    (
        "ALTER TABLE notes ADD COLUMN m checked",
        "alter table: alter public.notes all?, alter archive.notes all?, execute type:public.checked unknown? => () code",
    ),
    (
        "ALTER TABLE customers ADD CHECK (email <> 'x')",
        "alter table: alter public.customers all => () code",
    ),
    (
        "CREATE TABLE t PARTITION OF events FOR VALUES FROM (MINVALUE) TO (f()::text::date)",
        "create table: execute routine:public.f unknown?, create ?.t one, alter public.events some => () sinks(UNTRACED) code unresolved",
    ),
    (
        "ALTER TABLE events ATTACH PARTITION notes FOR VALUES IN (f())",
        "alter table: alter public.events all, alter public.notes all?, alter archive.notes all?, execute routine:public.f unknown? => () sinks(UNTRACED) code unresolved",
    ),
    (
        "ALTER TABLE notes ADD COLUMN n int CHECK (n > f())",
        "alter table: alter public.notes all?, alter archive.notes all?, execute routine:public.f unknown? => () code",
    ),
    (
        "UPDATE events SET what = 'x'",
        "update: update public.events all, update public.events_2024 some? => ()",
    ),
    (
        "UPDATE events SET at = now()",
        "update: update public.events all, update public.events_2024 some? => () moves rows of events",
    ),
    (
        "UPDATE events_2024 SET at = now()",
        "update: update public.events_2024 all, update public.events some? => ()",
    ),
    (
        "MERGE INTO events e USING orders o ON o.id = 1 WHEN MATCHED THEN UPDATE SET at = now()",
        "merge: read public.orders, update public.events some, update public.events_2024 some? => () moves rows of events",
    ),
    (
        "DROP TABLE nosuch; UPDATE events SET at = now()",
        "drop table: drop ?.nosuch all? ;; update: update public.events all, update public.events_2024 some? => () sinks(UNTRACED) unresolved",
    ),
    (
        "ALTER TABLE nosuch RENAME TO x; UPDATE x SET at = 1",
        "alter table: alter ?.nosuch all? => () sinks(UNTRACED) unresolved ;; update: update ?.x all? => () sinks(UNTRACED) unresolved",
    ),
    (
        "CREATE TABLE x (at int); UPDATE x SET at = 1",
        "create table: create ?.x one ;; update: update ?.x all? => () unresolved",
    ),
    (
        "UPDATE articles SET id = 1",
        "update: update public.articles all => () moves articles.title+articles.Größe to articles.words",
    ),
    (
        "INSERT INTO articles VALUES (1, 'x')",
        "insert: insert public.articles one => () moves articles.title+articles.Größe to articles.words",
    ),
    ("DELETE FROM articles", "delete: delete public.articles all => ()"),
    (
        "CREATE TRIGGER w BEFORE UPDATE ON articles FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger_column('words', 'title', 'Größe')",
        "create trigger: alter public.articles all, create routine:?.articles.trigger one => () moves articles.title+articles.Größe to articles.words",
    ),
    (
        "CREATE TRIGGER w BEFORE UPDATE ON nosuch FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(words, 'pg_catalog.simple', title)",
        "create trigger: alter ?.nosuch all?, create routine:?.nosuch.trigger one => () sinks(UNTRACED) unresolved",
    ),
    (
        "REFRESH MATERIALIZED VIEW CONCURRENTLY cards",
        "refresh materialized view: update public.cards all, read public.customers => () refills(=customers.id | =customers.card_number)",
    ),
    (
        "REFRESH MATERIALIZED VIEW cards WITH NO DATA",
        "refresh materialized view: update public.cards all, read public.customers => ()",
    ),
    (
        "CREATE TABLE x (); REFRESH MATERIALIZED VIEW cards",
        "create table: create ?.x one ;; refresh materialized view: update public.cards all, read public.customers => () refills(?) unresolved",
    ),
    (
        "REFRESH MATERIALIZED VIEW nosuch",
        "refresh materialized view: update ?.nosuch all? => () refills(?) unresolved",
    ),
];
