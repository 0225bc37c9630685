-- Grants: access to a connection that people give for a time. Times are microseconds since the Unix epoch,
-- in UTC. `ask` is the whole request; what repeats of it is what is looked for.

CREATE TABLE access_grant (
    id            TEXT    NOT NULL PRIMARY KEY,
    digest        TEXT    NOT NULL,            -- what an approval binds
    status        TEXT    NOT NULL
        CHECK (status IN ('pending', 'active', 'rejected', 'expired', 'withdrawn', 'ended')),
    connection    TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,            -- for whom: kind, issuer, subject, and whom that acts for
    issuer        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    person_issuer TEXT,
    person        TEXT,
    ask           TEXT    NOT NULL,            -- as JSON
    repeats       INTEGER NOT NULL DEFAULT 0,  -- how often the same was asked again while it waited
    asked         INTEGER NOT NULL,
    lapses        INTEGER NOT NULL,            -- when it expires where nobody decides
    escalates     INTEGER,                     -- when a second group is asked, until that was recorded
    begun         INTEGER,                     -- when it was approved
    until         INTEGER,                     -- when it ends by itself
    ended         INTEGER,
    ending        TEXT,                        -- how
    ended_by      TEXT,                        -- by whom: the subject
    ended_who     TEXT,                        -- and the whole of it as JSON, for the record
    ended_why     TEXT,                        -- and what was said
    recorded      INTEGER NOT NULL DEFAULT 0,  -- whether the journal has what the status says
    recorder      TEXT    NOT NULL DEFAULT '', -- the gateway that brought it there, and is to record it
    groups        TEXT    NOT NULL DEFAULT '[]', -- the groups whose people may ever decide, as JSON
    CHECK (status <> 'active' OR (begun IS NOT NULL AND until IS NOT NULL AND until > begun))
) STRICT;

-- One request for the same waits at once: a repeat never asks twice.
CREATE UNIQUE INDEX access_grant_waiting ON access_grant (digest) WHERE status = 'pending';
CREATE INDEX access_grant_unrecorded ON access_grant (recorder) WHERE NOT recorded;
CREATE INDEX access_grant_holder ON access_grant (issuer, subject, connection);
CREATE INDEX access_grant_open ON access_grant (status) WHERE status IN ('pending', 'active');
CREATE INDEX access_grant_recent ON access_grant (asked);

CREATE TABLE access_decision (
    access_grant  TEXT    NOT NULL REFERENCES access_grant (id) ON DELETE CASCADE,
    verdict       TEXT    NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    issuer        TEXT    NOT NULL,            -- who decided
    subject       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    email         TEXT,                        -- the person's verified address, where one is known
    groups        TEXT    NOT NULL,            -- the asked groups this person is in, as JSON
    reason        TEXT    NOT NULL DEFAULT '',
    at            INTEGER NOT NULL,
    -- A person decides once: nobody counts as two people, by whatever issuer it is known.
    PRIMARY KEY (access_grant, verdict, subject)
) STRICT;

ALTER TABLE review_decision ADD COLUMN email TEXT;

INSERT INTO revision (topic) VALUES ('grants');
