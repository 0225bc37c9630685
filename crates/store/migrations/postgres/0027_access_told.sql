-- As step 27 of SQLite: see there for what each column is.

ALTER TABLE notification
    ALTER COLUMN review DROP NOT NULL,
    ADD COLUMN access_grant text REFERENCES access_grant (id) ON DELETE CASCADE,
    ADD CHECK ((review IS NULL) <> (access_grant IS NULL)),
    ADD UNIQUE (channel, access_grant, event);

CREATE INDEX notification_grant ON notification (access_grant);
CREATE INDEX notification_asked ON notification (channel, made)
    WHERE event = 'access_request.waiting' AND state = 'delivered' AND answered = 0;
