-- Sealed secrets: passwords of targets that only a master key opens, which is not here. Times are
-- microseconds since the Unix epoch, in UTC.

CREATE TABLE secret (
    name          TEXT    NOT NULL PRIMARY KEY,
    connection    TEXT    NOT NULL,            -- the only one that may use it
    purpose       TEXT    NOT NULL,
    value         BLOB    NOT NULL,            -- encrypted under a data key of its own
    since         INTEGER NOT NULL             -- when it was set
) STRICT;

-- The data key of each, encrypted under a master key: under two of them while that is changed.
CREATE TABLE secret_wrap (
    secret        TEXT    NOT NULL REFERENCES secret (name) ON DELETE CASCADE,
    master        TEXT    NOT NULL,            -- the master key's id
    wrapped       BLOB    NOT NULL,
    PRIMARY KEY (secret, master)
) STRICT, WITHOUT ROWID;
