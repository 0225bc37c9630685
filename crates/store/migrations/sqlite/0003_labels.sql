-- Labels that follow data: columns of tables made through the gateway, and the columns whose values
-- they hold. Times are microseconds since the Unix epoch, in UTC.

CREATE TABLE label (
    target        TEXT    NOT NULL,            -- where the database is
    database      TEXT    NOT NULL,
    relation      INTEGER NOT NULL,            -- numbers of the target's catalog, which outlive names
    attribute     INTEGER NOT NULL,
    connection    TEXT    NOT NULL,            -- by which it was made
    kind          TEXT    NOT NULL CHECK (kind IN ('plain', 'made', 'untraced')),
    sources       TEXT    NOT NULL,            -- the columns it came from, as JSON
    made          INTEGER NOT NULL,
    PRIMARY KEY (target, database, relation, attribute)
) STRICT, WITHOUT ROWID;
