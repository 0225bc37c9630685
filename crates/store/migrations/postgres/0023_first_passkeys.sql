-- Browser sessions whose provider has just asked anew who their person is: each vouches for their first one.
CREATE TABLE passkey_vouched (
    browser text   NOT NULL PRIMARY KEY,
    issuer  text   NOT NULL,
    subject text   NOT NULL,
    until   bigint NOT NULL
);

-- Passkeys that were removed past any gateway, until a journal has it.
CREATE TABLE passkey_removed (
    id      text   NOT NULL PRIMARY KEY,
    issuer  text   NOT NULL,
    subject text   NOT NULL,
    by_whom text   NOT NULL,
    at      bigint NOT NULL
);
