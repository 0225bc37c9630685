-- As step 11 of SQLite: see there for what each column is.

CREATE TABLE assertion (
    issuer        text   NOT NULL,
    id            text   NOT NULL,
    until         bigint NOT NULL,
    PRIMARY KEY (issuer, id)
);

CREATE INDEX assertion_until ON assertion (until);
