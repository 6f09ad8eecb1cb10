-- Whether people may get into instances, by app and by space.

ALTER TABLE apps ADD COLUMN no_ssh BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE spaces ADD COLUMN no_ssh BOOLEAN NOT NULL DEFAULT FALSE;
