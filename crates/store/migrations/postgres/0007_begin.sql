-- The store in PostgreSQL, as that in SQLite stands after its step 7: see there for what each column
-- is. Times are microseconds since the Unix epoch, in UTC. Steps of one number change both alike.

CREATE TABLE review (
    id            text   NOT NULL PRIMARY KEY,
    digest        text   NOT NULL,
    status        text   NOT NULL
        CHECK (status IN ('pending', 'approved', 'used', 'rejected', 'expired', 'withdrawn')),
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    connection    text   NOT NULL,
    ask           text   NOT NULL,
    filed         bigint NOT NULL,
    expires       bigint NOT NULL,
    ended         bigint,
    withdrawal    text,
    repeats       bigint NOT NULL DEFAULT 0,
    rehearsal     text
);

-- One open review for one exact request: a repeat never asks twice.
CREATE UNIQUE INDEX review_open ON review (digest) WHERE status IN ('pending', 'approved');
CREATE INDEX review_due ON review (expires) WHERE status IN ('pending', 'approved');
CREATE INDEX review_waiting ON review (issuer, subject) WHERE status = 'pending';
CREATE INDEX review_recent ON review (filed);

CREATE TABLE review_decision (
    review        text   NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    verdict       text   NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    name          text   NOT NULL,
    groups        text   NOT NULL,
    reason        text   NOT NULL DEFAULT '',
    at            bigint NOT NULL,
    pattern_seconds bigint,
    pattern_count bigint,
    -- A person decides once: nobody counts as two people.
    PRIMARY KEY (review, verdict, issuer, subject)
);

CREATE TABLE pattern (
    id            text   NOT NULL PRIMARY KEY,
    review        text   NOT NULL,
    session       text   NOT NULL,
    digest        text   NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    name          text   NOT NULL,
    acting_for    text,
    connection    text   NOT NULL,
    groups        text   NOT NULL,
    shown         text   NOT NULL,
    used          bigint NOT NULL DEFAULT 0,
    most          bigint NOT NULL CHECK (most > 0),
    given         bigint NOT NULL,
    expires       bigint NOT NULL,
    ended         bigint,
    ending        text CHECK (ending IN ('revoked', 'session_ended')),
    CHECK (used <= most)
);

CREATE UNIQUE INDEX pattern_good ON pattern (session, digest) WHERE ended IS NULL;
CREATE INDEX pattern_recent ON pattern (given);

CREATE TABLE label (
    target        text   NOT NULL,
    database      text   NOT NULL,
    relation      bigint NOT NULL,
    attribute     bigint NOT NULL,
    connection    text   NOT NULL,
    kind          text   NOT NULL CHECK (kind IN ('plain', 'made', 'untraced')),
    sources       text   NOT NULL,
    made          bigint NOT NULL,
    issuer        text   NOT NULL DEFAULT '',
    subject       text   NOT NULL DEFAULT '',
    PRIMARY KEY (target, database, relation, attribute)
);

CREATE TABLE "freeze" (
    id            text   NOT NULL PRIMARY KEY,
    scope         text   NOT NULL CHECK (scope IN ('writes', 'everything')),
    connection    text,
    reason        text   NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    name          text   NOT NULL,
    since         bigint NOT NULL,
    until         bigint NOT NULL CHECK (until > since),
    thawed        bigint,
    thawed_by     text
);

CREATE INDEX freeze_standing ON "freeze" (until) WHERE thawed IS NULL;

CREATE TABLE credential (
    id            text   PRIMARY KEY,
    connection    text   NOT NULL,
    purpose       text   NOT NULL,
    principal     text   NOT NULL,
    actors        text   NOT NULL,
    vouched_by    text   NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    person_issuer text,
    person        text,
    issued        bigint NOT NULL,
    expires       bigint NOT NULL,
    revoked       bigint,
    revoked_by    text
);

CREATE INDEX credential_holder ON credential (issuer, subject, expires);
CREATE INDEX credential_person ON credential (person_issuer, person, expires);
