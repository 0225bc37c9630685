-- As step 9 of SQLite: see there for what each column is.

CREATE TABLE secret (
    name          text   NOT NULL PRIMARY KEY,
    connection    text   NOT NULL,
    purpose       text   NOT NULL,
    value         bytea  NOT NULL,
    since         bigint NOT NULL
);

CREATE TABLE secret_wrap (
    secret        text   NOT NULL REFERENCES secret (name) ON DELETE CASCADE,
    master        text   NOT NULL,
    wrapped       bytea  NOT NULL,
    PRIMARY KEY (secret, master)
);
