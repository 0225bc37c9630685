-- Reviews: questions put to people, each bound to one exact request by its digest.
-- Times are microseconds since the Unix epoch, in UTC.

CREATE TABLE review (
    id            TEXT    NOT NULL PRIMARY KEY,
    digest        TEXT    NOT NULL,
    status        TEXT    NOT NULL
        CHECK (status IN ('pending', 'approved', 'used', 'rejected', 'expired', 'withdrawn')),
    issuer        TEXT    NOT NULL,            -- who asks: issuer and subject
    subject       TEXT    NOT NULL,
    connection    TEXT    NOT NULL,
    ask           TEXT    NOT NULL,            -- the whole question, as JSON
    filed         INTEGER NOT NULL,
    expires       INTEGER NOT NULL,
    ended         INTEGER,                     -- when it was used, rejected, expired, withdrawn
    withdrawal    TEXT,                        -- why it was taken back
    repeats       INTEGER NOT NULL DEFAULT 0   -- how often the same request came again
) STRICT;

-- One open review for one exact request: a repeat never asks twice.
CREATE UNIQUE INDEX review_open ON review (digest) WHERE status IN ('pending', 'approved');
CREATE INDEX review_due ON review (expires) WHERE status IN ('pending', 'approved');
CREATE INDEX review_waiting ON review (issuer, subject) WHERE status = 'pending';
CREATE INDEX review_recent ON review (filed);

CREATE TABLE review_decision (
    review        TEXT    NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    verdict       TEXT    NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    issuer        TEXT    NOT NULL,            -- who decided
    subject       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    groups        TEXT    NOT NULL,            -- the asked groups this person is in, as JSON
    reason        TEXT    NOT NULL DEFAULT '',
    at            INTEGER NOT NULL,
    -- A person decides once: nobody counts as two people.
    PRIMARY KEY (review, verdict, issuer, subject)
) STRICT, WITHOUT ROWID;
