-- Patterns: leave for requests of one session that are alike in everything but some values.
-- Times are microseconds since the Unix epoch, in UTC.

-- For how long and how often whoever approved lets requests like it follow; not at all where NULL.
ALTER TABLE review_decision ADD COLUMN pattern_seconds INTEGER;
ALTER TABLE review_decision ADD COLUMN pattern_count INTEGER;

CREATE TABLE pattern (
    id            TEXT    NOT NULL PRIMARY KEY,
    review        TEXT    NOT NULL,            -- where it was given
    session       TEXT    NOT NULL,            -- for requests of this session alone
    digest        TEXT    NOT NULL,            -- what they must have in common
    issuer        TEXT    NOT NULL,            -- who asks: issuer and subject
    subject       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    acting_for    TEXT,
    connection    TEXT    NOT NULL,
    groups        TEXT    NOT NULL,            -- whose approval it stands for, as JSON
    shown         TEXT    NOT NULL,            -- the text with what may vary marked
    used          INTEGER NOT NULL DEFAULT 0,
    most          INTEGER NOT NULL CHECK (most > 0),
    given         INTEGER NOT NULL,
    expires       INTEGER NOT NULL,
    ended         INTEGER,                     -- when it was revoked, or its session ended
    ending        TEXT CHECK (ending IN ('revoked', 'session_ended')),
    CHECK (used <= most)
) STRICT;

-- One that is good for one shape of one session: a newer one takes the place of an older one.
CREATE UNIQUE INDEX pattern_good ON pattern (session, digest) WHERE ended IS NULL;
CREATE INDEX pattern_recent ON pattern (given);
