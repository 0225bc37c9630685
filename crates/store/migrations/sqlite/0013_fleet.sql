-- What gateways that share a store know of each other. In this database there is one.

-- Until when a gateway that is gone counts as changing these definitions: what it had sent may reach the
-- target yet. NULL while it is there.
ALTER TABLE definition_change ADD COLUMN until INTEGER;

-- What the server of a target says of itself: its number and that of the database. Empty where it was
-- not asked.
ALTER TABLE label ADD COLUMN server TEXT NOT NULL DEFAULT '';
CREATE INDEX label_server ON label (server);

-- Which store this is, and how often each part of it was changed: by less than was seen before it
-- shows that it has gone back.
INSERT INTO revision (topic, changes)
VALUES ('id', random() & 9007199254740991), ('writes', 0), ('definitions', 0), ('stops', 0);
