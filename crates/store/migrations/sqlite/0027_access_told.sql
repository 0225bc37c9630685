-- Requests for access are told as held requests are: a notification is of one or the other. SQLite makes no
-- column of a table optional, so the table is made anew.

CREATE TABLE notification_anew (
    id            TEXT    NOT NULL PRIMARY KEY,
    channel       TEXT    NOT NULL,             -- its name in the configuration
    review        TEXT    REFERENCES review (id) ON DELETE CASCADE,
    access_grant  TEXT    REFERENCES access_grant (id) ON DELETE CASCADE,
    event         TEXT    NOT NULL,             -- review.waiting, access_request.ended, …
    state         TEXT    NOT NULL,             -- due, delivered, failed, void
    attempts      INTEGER NOT NULL DEFAULT 0,
    made          INTEGER NOT NULL,
    next          INTEGER NOT NULL,             -- not to be tried before
    ended         INTEGER,
    error         TEXT,                         -- of the last attempt
    answered      INTEGER NOT NULL DEFAULT 0,   -- it waits no longer, and that is to be told as well
    receipt       TEXT,                         -- where the message is, where it is changed later
    CHECK ((review IS NULL) <> (access_grant IS NULL)),
    UNIQUE (channel, review, event),
    UNIQUE (channel, access_grant, event)
) STRICT;

INSERT INTO notification_anew (id, channel, review, event, state, attempts, made, next, ended, error,
                               answered, receipt)
SELECT id, channel, review, event, state, attempts, made, next, ended, error, answered, receipt
FROM notification;
DROP TABLE notification;
ALTER TABLE notification_anew RENAME TO notification;

CREATE INDEX notification_due ON notification (channel, next) WHERE state = 'due';
CREATE INDEX notification_review ON notification (review);
CREATE INDEX notification_grant ON notification (access_grant);
CREATE INDEX notification_open ON notification (channel, made)
    WHERE event = 'review.waiting' AND state = 'delivered' AND answered = 0;
CREATE INDEX notification_asked ON notification (channel, made)
    WHERE event = 'access_request.waiting' AND state = 'delivered' AND answered = 0;
CREATE INDEX notification_made ON notification (made, id) WHERE state <> 'void';
