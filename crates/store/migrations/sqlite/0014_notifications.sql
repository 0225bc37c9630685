-- What was to be told to whom, and whether it was. A row is there before anything is sent, so that nothing
-- is told anew for a restart, and what was not delivered is seen. Times are microseconds since the Unix
-- epoch, in UTC.

CREATE TABLE notification (
    id            TEXT    NOT NULL PRIMARY KEY,
    channel       TEXT    NOT NULL,             -- its name in the configuration
    review        TEXT    NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    event         TEXT    NOT NULL,             -- review.waiting, review.ended
    state         TEXT    NOT NULL,             -- due, delivered, failed, void
    attempts      INTEGER NOT NULL DEFAULT 0,
    made          INTEGER NOT NULL,
    next          INTEGER NOT NULL,             -- not to be tried before
    ended         INTEGER,
    error         TEXT,                         -- of the last attempt
    answered      INTEGER NOT NULL DEFAULT 0,   -- its review is over, and that is to be told as well
    UNIQUE (channel, review, event)
) STRICT;

CREATE INDEX notification_due ON notification (channel, next) WHERE state = 'due';
CREATE INDEX notification_review ON notification (review);
CREATE INDEX notification_open ON notification (channel, made)
    WHERE event = 'review.waiting' AND state = 'delivered' AND answered = 0;
