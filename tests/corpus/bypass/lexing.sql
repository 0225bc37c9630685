-- Texts that could be read in two ways: strings, comments, encodings, settings that change reading.

--! intent: delete payments behind a comment
--! effect: SELECT count(*), sum(amount) FROM payments
/* SELECT */ DELETE /**/ FROM/*x*/payments

--! intent: delete payments behind nested comments
--! effect: SELECT count(*), sum(amount) FROM payments
/* a /* b */ ' */ DELETE FROM payments

--! intent: delete payments behind a line comment that ends
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 -- 
; DELETE FROM payments

--! intent: delete payments behind a carriage return in a line comment
--! effect: SELECT count(*), sum(amount) FROM payments
--! bytes: yes
SELECT 1 -- \x0d; DELETE FROM payments

--! intent: delete payments with a form feed for a blank
--! effect: SELECT count(*), sum(amount) FROM payments
--! bytes: yes
DELETE\x0cFROM\x0cpayments

--! intent: delete payments with quoted identifiers
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM "payments"

--! intent: delete payments with Unicode escapes in the name
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM U&"p\0061yments"

--! intent: delete payments with another escape character
--! effect: SELECT count(*), sum(amount) FROM payments
DELETE FROM U&"p!0061yments" UESCAPE '!'

--! intent: delete payments in capitals and mixed case
--! effect: SELECT count(*), sum(amount) FROM payments
dElEtE FrOm PaYmEnTs

--! intent: delete payments after a string with a backslash at its end
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 'a\'; DELETE FROM payments; SELECT '1'

--! intent: delete payments where backslashes escape
--! effect: SELECT count(*), sum(amount) FROM payments
SET standard_conforming_strings = off
--;
SELECT '\'; DELETE FROM payments; --'
--;
SELECT 'a\'' ; DELETE FROM payments; --'

--! intent: delete payments where backslashes escape, set by set_config
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT set_config('standard_conforming_strings', 'off', false)
--;
SELECT 'a\'' ; DELETE FROM payments; --'

--! intent: delete payments where backslashes escape, set by what another row of pg_settings names, and back
--! protocol: pipeline
--! effect: SELECT count(*) FROM payments
SELECT set_config(b.name, 'off', false) FROM pg_settings a, pg_settings b WHERE a.name = 'application_name' AND b.name = 'standard_conforming_strings'
--;
WITH q AS (SELECT '\' AS a, ' ), d AS (DELETE FROM payments WHERE id < 100 RETURNING id) SELECT 1, id FROM d --' AS b) SELECT a, b FROM q
--;
SELECT set_config(b.name, 'on', false) FROM pg_settings a, pg_settings b WHERE a.name = 'application_name' AND b.name = 'standard_conforming_strings'

--! intent: read e-mails where backslashes escape, set by what another row of pg_settings names, and back
--! protocol: pipeline
--! secret: SELECT reverse(email) FROM customers WHERE id = 3
SELECT set_config(b.name, 'off', false) FROM pg_settings a, pg_settings b WHERE a.name = 'application_name' AND b.name = 'standard_conforming_strings'
--;
SELECT '\' AS a, ' , reverse(email) FROM customers WHERE id = 3 --' AS b
--;
SELECT set_config(b.name, 'on', false) FROM pg_settings a, pg_settings b WHERE a.name = 'application_name' AND b.name = 'standard_conforming_strings'

--! intent: the same, by the row that the condition names
--! protocol: pipeline
--! secret: SELECT reverse(email) FROM customers WHERE id = 3
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'standard_conforming_strings'
--;
SELECT '\' AS a, ' , reverse(email) FROM customers WHERE id = 3 --' AS b
--;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'standard_conforming_strings'

--! intent: read a text otherwise behind set_config of the name in a row of a query around it
--! protocol: pipeline
--! secret: SELECT reverse(email) FROM customers WHERE id = 3
SELECT (SELECT set_config(b.name, 'off', false) FROM pg_settings a WHERE a.name = 'application_name') FROM pg_settings b WHERE b.name = 'standard_conforming_strings'
--;
SELECT '\' AS a, ' , reverse(email) FROM customers WHERE id = 3 --' AS b
--;
SELECT (SELECT set_config(b.name, 'on', false) FROM pg_settings a WHERE a.name = 'application_name') FROM pg_settings b WHERE b.name = 'standard_conforming_strings'

--! intent: the same, by statements that were prepared
--! protocol: pipeline
--! secret: SELECT reverse(email) FROM customers WHERE id = 3
PREPARE off AS SELECT set_config('standard_conforming_strings', 'off', false)
--;
EXECUTE off
--;
SELECT '\' AS a, ' , reverse(email) FROM customers WHERE id = 3 --' AS b
--;
SET standard_conforming_strings = on

--! intent: the same, by views
--! setup: CREATE VIEW turns_off AS SELECT set_config('standard_conforming_strings', 'off', false)
--! setup: CREATE VIEW turns_on AS SELECT set_config('standard_conforming_strings', 'on', false)
--! protocol: pipeline
--! secret: SELECT reverse(email) FROM customers WHERE id = 3
SELECT * FROM turns_off
--;
SELECT '\' AS a, ' , reverse(email) FROM customers WHERE id = 3 --' AS b
--;
SELECT * FROM turns_on

--! intent: delete payments where backslashes escape, set at log-in
--! effect: SELECT count(*), sum(amount) FROM payments
--! startup: standard_conforming_strings=off
--! ends: the log-in is refused
SELECT 'a\'' ; DELETE FROM payments; --'

--! intent: delete payments where backslashes escape, set by options at log-in
--! effect: SELECT count(*), sum(amount) FROM payments
--! startup: options=-c standard_conforming_strings=off
--! ends: the log-in is refused
SELECT 'a\'' ; DELETE FROM payments; --'

--! intent: delete payments where backslashes escape, set for the role
--! setup: ALTER DATABASE {db} SET standard_conforming_strings = off
--! cleanup: ALTER DATABASE {db} RESET standard_conforming_strings
--! effect: SELECT count(*), sum(amount) FROM payments
--! ends: the log-in is refused
SELECT 'a\'' ; DELETE FROM payments; --'

--! intent: delete payments behind an escape string
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT E'\''; DELETE FROM payments; --'

--! intent: delete payments behind a dollar quote
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT $a$ $b$ $a$; DELETE FROM payments; SELECT $b$ $b$

--! intent: delete payments behind a dollar quote with a letter that is not ASCII
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT $é$ ' $é$; DELETE FROM payments; --'

--! intent: delete payments behind a string continued on the next line
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 'a'
'b'; DELETE FROM payments

--! intent: delete payments behind a national string
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT N'x'; DELETE FROM payments

--! intent: delete payments behind a bit string
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT B'1', X'F'; DELETE FROM payments

--! intent: delete payments behind an operator that looks like a comment
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 +-- x
1; DELETE FROM payments

--! intent: delete payments in Latin-1, where a quote hides in two bytes
--! effect: SELECT count(*), sum(amount) FROM payments
--! bytes: yes
SET client_encoding = 'SJIS'
--;
SELECT '\x95\x5c'; DELETE FROM payments; --'

--! intent: delete payments in Big5, set at log-in
--! effect: SELECT count(*), sum(amount) FROM payments
--! startup: client_encoding=BIG5
--! bytes: yes
--! ends: the log-in is refused
SELECT '\xa4\x5c'; DELETE FROM payments; --'

--! intent: delete payments in GB18030, set by SET NAMES
--! effect: SELECT count(*), sum(amount) FROM payments
--! bytes: yes
SET NAMES 'GB18030'
--;
SELECT '\x95\x5c'; DELETE FROM payments; --'

--! intent: delete payments behind a very long string
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT length('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'); DELETE FROM payments

--! intent: delete payments behind many statements
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;SELECT 1;DELETE FROM payments

--! intent: delete payments deep inside parentheses
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((wipe()))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))

--! intent: delete payments behind an escaped quote in an identifier
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 AS "a""; --"; DELETE FROM payments

--! intent: delete payments behind a semicolon in a rule-like body
--! effect: SELECT count(*), sum(amount) FROM payments
BEGIN; DELETE FROM payments; COMMIT

--! intent: read e-mail behind a byte that is no text
--! secret: SELECT email FROM customers
--! bytes: yes
SELECT reverse(email) AS "\xc3\xa9" FROM customers

--! intent: read e-mail with the wide form of a letter in a name
--! secret: SELECT email FROM customers
SELECT reverse(email) AS "ｅmail" FROM customers

--! intent: read e-mail with the name in Unicode escapes
--! secret: SELECT email FROM customers
SELECT U&"e\006dail" FROM customers

--! intent: read e-mail with the table in Unicode escapes
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM U&"\0063ustomers"

--! intent: read e-mail in Latin-1
--! secret: SELECT email FROM customers
SET client_encoding = 'LATIN1'
--;
SELECT reverse(email) FROM customers

--! intent: read e-mail with a name cut to 63 bytes
--! setup: CREATE VIEW long_names AS SELECT email AS llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll FROM customers
--! secret: SELECT email FROM customers
SELECT reverse(llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll) FROM long_names

--! intent: delete payments through a function with a name cut to 63 bytes
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE FUNCTION wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.payments; RETURN 1; END'
SELECT wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww()

--! intent: delete payments through a view with a name cut between two letters of two bytes
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE VIEW "ééééééééééééééééééééééééééééééé" AS SELECT wipe()
SELECT * FROM "éééééééééééééééééééééééééééééééééééééééé"

--! intent: delete payments by a prepared statement with a name cut to 63 bytes
--! effect: SELECT count(*), sum(amount) FROM payments
PREPARE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS DELETE FROM payments
--;
EXECUTE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa

--! intent: delete payments through a view with a name in capitals with accents
--! effect: SELECT count(*), sum(amount) FROM payments
--! setup: CREATE VIEW "ÉtÉ" AS SELECT wipe()
SELECT * FROM ÉTÉ

--! intent: delete payments behind a vertical tab
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1;DELETEFROMpayments

--! intent: delete payments behind a dollar quote in a dollar quote
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT $a$ $b$ ; $a$; DELETE FROM payments; SELECT $b$ $a$ $b$

--! intent: delete payments behind a column that is named by a semicolon
--! effect: SELECT count(*), sum(amount) FROM payments
SELECT 1 AS ";"; DELETE FROM payments
