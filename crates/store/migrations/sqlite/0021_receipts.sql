-- Where a message is that was sent, for channels in which it is changed later; and a list that is read
-- from its newest row on.

ALTER TABLE notification ADD COLUMN receipt TEXT;
CREATE INDEX notification_made ON notification (made, id) WHERE state <> 'void';
