-- How many rows a request may change that was approved in a chat: what was judged at a glance goes no further.
ALTER TABLE review ADD COLUMN most INTEGER;
