-- As step 21 of SQLite.

ALTER TABLE notification ADD COLUMN receipt text;
CREATE INDEX notification_made ON notification (made, id) WHERE state <> 'void';
