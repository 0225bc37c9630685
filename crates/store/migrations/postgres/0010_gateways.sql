-- As step 10 of SQLite: see there for what each column is.

CREATE TABLE gateway (
    id            text   NOT NULL PRIMARY KEY,
    name          text   NOT NULL,
    started       bigint NOT NULL,
    seen          bigint NOT NULL
);

CREATE TABLE review_holder (
    review        text   NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    gateway       text   NOT NULL,
    PRIMARY KEY (review, gateway)
);

ALTER TABLE review ADD COLUMN gateway text NOT NULL DEFAULT '';
ALTER TABLE review ADD COLUMN groups text NOT NULL DEFAULT '[]';
ALTER TABLE review ADD COLUMN person_issuer text;
ALTER TABLE review ADD COLUMN person text;
ALTER TABLE pattern ADD COLUMN gateway text NOT NULL DEFAULT '';

CREATE TABLE revision (
    topic         text   NOT NULL PRIMARY KEY,
    changes       bigint NOT NULL DEFAULT 0
);
INSERT INTO revision (topic) VALUES ('reviews'), ('freezes'), ('credentials');

CREATE TABLE signing_key (
    id            text   NOT NULL PRIMARY KEY,
    x             text   NOT NULL,
    gateway       text   NOT NULL,
    until         bigint NOT NULL
);

CREATE TABLE definition (
    target        text   NOT NULL,
    database      text   NOT NULL,
    changes       bigint NOT NULL,
    PRIMARY KEY (target, database)
);

CREATE TABLE definition_change (
    target        text   NOT NULL,
    database      text   NOT NULL,
    gateway       text   NOT NULL,
    session       text   NOT NULL,
    PRIMARY KEY (target, database, gateway, session)
);
