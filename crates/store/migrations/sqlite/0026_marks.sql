-- By which settings somebody was believed: what rests on others than those in force opens nothing.
ALTER TABLE credential ADD COLUMN vouched_as TEXT NOT NULL DEFAULT '[]';
ALTER TABLE browser_session ADD COLUMN vouched_as TEXT NOT NULL DEFAULT '';
