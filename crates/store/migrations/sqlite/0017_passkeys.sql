-- People's passkeys, and what they were asked to sign with them. Times are microseconds since the Unix
-- epoch, in UTC. No secret is kept: of a passkey its public key alone.

CREATE TABLE passkey (
    id         TEXT    NOT NULL PRIMARY KEY,
    credential BLOB    NOT NULL UNIQUE,          -- the id its authenticator knows it by
    public_key BLOB    NOT NULL,                 -- a COSE_Key
    issuer     TEXT    NOT NULL,                 -- whose it is
    subject    TEXT    NOT NULL,
    name       TEXT    NOT NULL,                 -- the person's own
    sign_count INTEGER NOT NULL,                 -- the authenticator's counter; 0 where it has none
    made       INTEGER NOT NULL,
    used       INTEGER                           -- when it last signed
) STRICT;

CREATE INDEX passkey_person ON passkey (issuer, subject);

-- A challenge is there until it is used, once, or until nobody would take its answer.
CREATE TABLE passkey_challenge (
    challenge TEXT    NOT NULL PRIMARY KEY,
    nonce     TEXT    NOT NULL,
    matter    TEXT    NOT NULL,                  -- what it is for, in JSON
    issuer    TEXT    NOT NULL,                  -- who was asked
    subject   TEXT    NOT NULL,
    browser   TEXT,                              -- in which browser session, where in one
    made      INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;

CREATE INDEX passkey_challenge_until ON passkey_challenge (until);
CREATE INDEX passkey_challenge_person ON passkey_challenge (issuer, subject, made);
