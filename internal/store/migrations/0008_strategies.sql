-- How what runs is replaced, and the weights that come with it.

-- -1: the share of the process type's healthy instances.
ALTER TABLE server_groups ADD COLUMN weight BIGINT NOT NULL DEFAULT -1;

ALTER TABLE apps ADD COLUMN strategy TEXT NOT NULL DEFAULT '{}';

ALTER TABLE rollouts ADD COLUMN spec TEXT NOT NULL DEFAULT '{}';
ALTER TABLE rollouts ADD COLUMN step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN reached BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN moved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN superseded BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE rollouts ADD COLUMN trip TEXT NOT NULL DEFAULT 'null';
