-- Credentials of the gateway's own: who logs in with each, and where. Times are microseconds since
-- 1970. `principal` is what a session will show; issuer, subject, person and person_issuer repeat of it
-- what is looked for.

CREATE TABLE credential (
    id            TEXT PRIMARY KEY,
    connection    TEXT    NOT NULL,
    purpose       TEXT    NOT NULL,
    principal     TEXT    NOT NULL,
    actors        TEXT    NOT NULL,
    vouched_by    TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    person_issuer TEXT,
    person        TEXT,
    issued        INTEGER NOT NULL,
    expires       INTEGER NOT NULL,
    revoked       INTEGER,
    revoked_by    TEXT
) STRICT;

CREATE INDEX credential_holder ON credential (issuer, subject, expires);
CREATE INDEX credential_person ON credential (person_issuer, person, expires);
