-- Freezes: what administrators keep agents from. Times are microseconds since the Unix epoch, in UTC.

CREATE TABLE freeze (
    id            TEXT    NOT NULL PRIMARY KEY,
    scope         TEXT    NOT NULL CHECK (scope IN ('writes', 'everything')),
    connection    TEXT,                        -- on all where NULL
    reason        TEXT    NOT NULL,            -- agents read it
    issuer        TEXT    NOT NULL,            -- who made it: issuer and subject
    subject       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    until         INTEGER NOT NULL CHECK (until > since),
    thawed        INTEGER,                     -- when it was taken back
    thawed_by     TEXT                         -- by whom: the subject
) STRICT;

CREATE INDEX freeze_standing ON freeze (until) WHERE thawed IS NULL;
