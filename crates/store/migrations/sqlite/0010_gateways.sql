-- Which gateway has filed what. In this database there is one at a time; in one that several share it
-- is told which of them are there. Times are microseconds since the Unix epoch, in UTC.

CREATE TABLE gateway (
    id            TEXT    NOT NULL PRIMARY KEY, -- anew with every start
    name          TEXT    NOT NULL,             -- what people call the machine
    started       INTEGER NOT NULL,
    seen          INTEGER NOT NULL              -- when it was heard of last
) STRICT;

-- Gateways at which somebody waits for a review: the last one that lets go takes it back.
CREATE TABLE review_holder (
    review        TEXT    NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    gateway       TEXT    NOT NULL,
    PRIMARY KEY (review, gateway)
) STRICT, WITHOUT ROWID;

-- Of reviews: by which gateway it was filed, and the groups asked, as JSON.
ALTER TABLE review ADD COLUMN gateway TEXT NOT NULL DEFAULT '';
ALTER TABLE review ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
UPDATE review SET groups = json_extract(ask, '$.groups');
-- And whom the caller acts for.
ALTER TABLE review ADD COLUMN person_issuer TEXT;
ALTER TABLE review ADD COLUMN person TEXT;
UPDATE review
SET person = json_extract(ask, '$.standing.principal.acting_for'),
    person_issuer = coalesce(json_extract(ask, '$.standing.principal.acting_for_issuer'), issuer)
WHERE json_extract(ask, '$.standing.principal.acting_for') IS NOT NULL;
-- Of patterns: at which gateway its session is.
ALTER TABLE pattern ADD COLUMN gateway TEXT NOT NULL DEFAULT '';

-- What changes, counted: so that whoever has missed a notification hears of it all the same.
CREATE TABLE revision (
    topic         TEXT    NOT NULL PRIMARY KEY,
    changes       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO revision (topic) VALUES ('reviews'), ('freezes'), ('credentials');

-- The public halves of the keys that gateways sign credentials with.
CREATE TABLE signing_key (
    id            TEXT    NOT NULL PRIMARY KEY, -- the JWK thumbprint
    x             TEXT    NOT NULL,             -- the key (RFC 8037), base64url
    gateway       TEXT    NOT NULL,             -- whose it is
    until         INTEGER NOT NULL              -- by then all it has signed is over
) STRICT;

-- Databases of targets in which somebody changes definitions through a gateway, and how often that
-- was done: what a gateway has read of them before is out of date.
CREATE TABLE definition (
    target        TEXT    NOT NULL,
    database      TEXT    NOT NULL,
    changes       INTEGER NOT NULL,
    PRIMARY KEY (target, database)
) STRICT, WITHOUT ROWID;

CREATE TABLE definition_change (
    target        TEXT    NOT NULL,
    database      TEXT    NOT NULL,
    gateway       TEXT    NOT NULL,
    session       TEXT    NOT NULL,
    PRIMARY KEY (target, database, gateway, session)
) STRICT, WITHOUT ROWID;
