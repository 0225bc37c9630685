-- As step 14 of SQLite: see there for what each column is.

CREATE TABLE notification (
    id            text   NOT NULL PRIMARY KEY,
    channel       text   NOT NULL,
    review        text   NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    event         text   NOT NULL,
    state         text   NOT NULL,
    attempts      bigint NOT NULL DEFAULT 0,
    made          bigint NOT NULL,
    next          bigint NOT NULL,
    ended         bigint,
    error         text,
    answered      bigint NOT NULL DEFAULT 0,
    UNIQUE (channel, review, event)
);

CREATE INDEX notification_due ON notification (channel, next) WHERE state = 'due';
CREATE INDEX notification_review ON notification (review);
CREATE INDEX notification_open ON notification (channel, made)
    WHERE event = 'review.waiting' AND state = 'delivered' AND answered = 0;
