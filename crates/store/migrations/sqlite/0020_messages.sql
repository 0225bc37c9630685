-- What is asked about a held request before somebody decides, and what is answered.

CREATE TABLE review_message (
    review        TEXT    NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,            -- among those about the review, from 1
    asks          INTEGER NOT NULL,            -- 1: a reviewer asks; 0: the caller answers
    issuer        TEXT    NOT NULL,            -- who says it
    subject       TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (review, number)
) STRICT, WITHOUT ROWID;
