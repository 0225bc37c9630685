-- Assertions of SAML providers that were used, until the moment from which none would be taken anyway, so
-- that each is used once. Times are microseconds since 1970.

CREATE TABLE assertion (
    issuer TEXT    NOT NULL,
    id     TEXT    NOT NULL,            -- unique at its issuer
    until  INTEGER NOT NULL,
    PRIMARY KEY (issuer, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX assertion_until ON assertion (until);
