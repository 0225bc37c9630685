-- As step 15 of SQLite: see there for what each column is.

CREATE TABLE document_set (
    one           bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    revision      bigint NOT NULL
);
INSERT INTO document_set (one, revision) VALUES (1, 0);

CREATE TABLE document (
    kind          text   NOT NULL,
    name          text   NOT NULL,
    text          text   NOT NULL,
    revision      bigint NOT NULL,
    changed       bigint NOT NULL,
    changed_by    text   NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE document_change (
    kind          text   NOT NULL,
    name          text   NOT NULL,
    revision      bigint NOT NULL,
    text          text,
    changed       bigint NOT NULL,
    changed_by    text   NOT NULL,
    PRIMARY KEY (kind, name, revision)
);

INSERT INTO revision (topic) VALUES ('documents');
