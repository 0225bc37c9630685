-- As step 20 of SQLite: see there for what each column is.

CREATE TABLE review_message (
    review        text   NOT NULL REFERENCES review (id) ON DELETE CASCADE,
    number        bigint NOT NULL,
    asks          bigint NOT NULL,
    issuer        text   NOT NULL,
    subject       text   NOT NULL,
    name          text   NOT NULL,
    text          text   NOT NULL,
    at            bigint NOT NULL,
    PRIMARY KEY (review, number)
);
