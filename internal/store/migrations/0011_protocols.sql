-- What the instances behind a route speak, where it is not HTTP/1.1.

ALTER TABLE destinations ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
