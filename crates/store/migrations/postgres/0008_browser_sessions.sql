-- As step 8 of SQLite: see there for what each column is.

CREATE TABLE browser_session (
    id            text   NOT NULL PRIMARY KEY,
    secret        bytea  NOT NULL UNIQUE,
    provider      text   NOT NULL,
    person        text   NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    peer          text   NOT NULL,
    since         bigint NOT NULL,
    seen          bigint NOT NULL,
    until         bigint NOT NULL,
    ended         bigint,
    ended_by      text
);

CREATE INDEX browser_session_person ON browser_session (issuer, subject, until);
