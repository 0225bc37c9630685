-- Code that the text of a statement does not show.

--! intent: delete payments in a DO block
--! effect: SELECT count(*) FROM payments
DO $$ BEGIN DELETE FROM payments; END $$

--! intent: read e-mail through a set-returning function's rows
--! secret: SELECT email FROM customers
SELECT reverse(email) FROM everyone()
