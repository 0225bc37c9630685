-- As step 12 of SQLite: see there for what each column is.

CREATE TABLE access_grant (
    id            text   NOT NULL PRIMARY KEY,
    digest        text   NOT NULL,
    status        text   NOT NULL
        CHECK (status IN ('pending', 'active', 'rejected', 'expired', 'withdrawn', 'ended')),
    connection    text   NOT NULL,
    role          text   NOT NULL,
    kind          text   NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    person_issuer text,
    person        text,
    ask           text   NOT NULL,
    repeats       bigint NOT NULL DEFAULT 0,
    asked         bigint NOT NULL,
    lapses        bigint NOT NULL,
    escalates     bigint,
    begun         bigint,
    until         bigint,
    ended         bigint,
    ending        text,
    ended_by      text,
    ended_who     text,
    ended_why     text,
    recorded      boolean NOT NULL DEFAULT false,
    recorder      text   NOT NULL DEFAULT '',
    groups        text   NOT NULL DEFAULT '[]',
    CHECK (status <> 'active' OR (begun IS NOT NULL AND until IS NOT NULL AND until > begun))
);

CREATE UNIQUE INDEX access_grant_waiting ON access_grant (digest) WHERE status = 'pending';
CREATE INDEX access_grant_unrecorded ON access_grant (recorder) WHERE NOT recorded;
CREATE INDEX access_grant_holder ON access_grant (issuer, subject, connection);
CREATE INDEX access_grant_open ON access_grant (status) WHERE status IN ('pending', 'active');
CREATE INDEX access_grant_recent ON access_grant (asked);

CREATE TABLE access_decision (
    access_grant  text    NOT NULL REFERENCES access_grant (id) ON DELETE CASCADE,
    verdict       text   NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    name          text   NOT NULL,
    email         text,
    groups        text   NOT NULL,
    reason        text   NOT NULL DEFAULT '',
    at            bigint NOT NULL,
    -- A person decides once: nobody counts as two people, by whatever issuer it is known.
    PRIMARY KEY (access_grant, verdict, subject)
);

ALTER TABLE review_decision ADD COLUMN email text;

INSERT INTO revision (topic) VALUES ('grants');
