-- Who has made a table with labels, so that nobody takes the room of others. Empty where that was not
-- kept yet.

ALTER TABLE label ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE label ADD COLUMN subject TEXT NOT NULL DEFAULT '';
