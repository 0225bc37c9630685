-- What the gateway goes by beside its configuration file: documents, each with the texts it had. Times are
-- microseconds since the Unix epoch, in UTC.

-- One row: how often the set of documents was changed.
CREATE TABLE document_set (
    one           INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision      INTEGER NOT NULL
) STRICT;
INSERT INTO document_set (one, revision) VALUES (1, 0);

CREATE TABLE document (
    kind          TEXT    NOT NULL,             -- connection, policy
    name          TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    revision      INTEGER NOT NULL,             -- of the set, by which it is as it is
    changed       INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE TABLE document_change (
    kind          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    revision      INTEGER NOT NULL,             -- of the set
    text          TEXT,                         -- NULL: it was removed
    changed       INTEGER NOT NULL,
    changed_by    TEXT    NOT NULL,
    PRIMARY KEY (kind, name, revision)
) STRICT;

INSERT INTO revision (topic) VALUES ('documents');
