-- As step 17 of SQLite: see there for what each column is.

CREATE TABLE passkey (
    id         text   NOT NULL PRIMARY KEY,
    credential bytea  NOT NULL UNIQUE,
    public_key bytea  NOT NULL,
    issuer     text   NOT NULL,
    subject    text   NOT NULL,
    name       text   NOT NULL,
    sign_count bigint NOT NULL,
    made       bigint NOT NULL,
    used       bigint
);

CREATE INDEX passkey_person ON passkey (issuer, subject);

CREATE TABLE passkey_challenge (
    challenge text   NOT NULL PRIMARY KEY,
    nonce     text   NOT NULL,
    matter    text   NOT NULL,
    issuer    text   NOT NULL,
    subject   text   NOT NULL,
    browser   text,
    made      bigint NOT NULL,
    until     bigint NOT NULL
);

CREATE INDEX passkey_challenge_until ON passkey_challenge (until);
CREATE INDEX passkey_challenge_person ON passkey_challenge (issuer, subject, made);
