-- Browser sessions whose provider has just asked anew who their person is: each vouches for their first one.
CREATE TABLE passkey_vouched (
    browser TEXT PRIMARY KEY,
    issuer  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

-- Passkeys that were removed past any gateway, until a journal has it.
CREATE TABLE passkey_removed (
    id      TEXT PRIMARY KEY,
    issuer  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    by_whom TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
