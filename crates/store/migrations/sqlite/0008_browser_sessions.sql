-- People's sessions in browsers. Of the secret in the cookie only its SHA-256 is here. Times are
-- microseconds since 1970. `person` is the principal as its provider vouches for it; issuer and subject
-- repeat of it what is looked for.

CREATE TABLE browser_session (
    id       TEXT PRIMARY KEY,
    secret   BLOB    NOT NULL UNIQUE,
    provider TEXT    NOT NULL,
    person   TEXT    NOT NULL,
    issuer   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    peer     TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    seen     INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    ended    INTEGER,
    ended_by TEXT
) STRICT;

CREATE INDEX browser_session_person ON browser_session (issuer, subject, until);
