-- What became of running a request for show, before anybody decided on it, as JSON: its rows are masked.

ALTER TABLE review ADD COLUMN rehearsal TEXT;
