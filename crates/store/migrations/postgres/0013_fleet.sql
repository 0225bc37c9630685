-- As step 13 of SQLite: see there for what each column is.

ALTER TABLE definition_change ADD COLUMN until bigint;

ALTER TABLE label ADD COLUMN server text NOT NULL DEFAULT '';
CREATE INDEX label_server ON label (server);

INSERT INTO revision (topic, changes)
VALUES ('id', (random() * 9007199254740991)::bigint), ('writes', 0), ('definitions', 0), ('stops', 0);
