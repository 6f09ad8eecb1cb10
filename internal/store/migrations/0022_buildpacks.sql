-- Buildpacks that people uploaded. Their files are kept beside the source of apps.

CREATE TABLE buildpacks (
	id       TEXT    NOT NULL PRIMARY KEY,
	name     TEXT    NOT NULL,
	stack    TEXT    NOT NULL, -- "": any
	position INTEGER NOT NULL, -- from 1 on, without gaps
	enabled  BOOLEAN NOT NULL,
	locked   BOOLEAN NOT NULL,
	digest   TEXT    NOT NULL, -- of the files, "" before they are there
	filename TEXT    NOT NULL,
	trouble  TEXT    NOT NULL, -- what was wrong with the last upload, "": nothing
	error    TEXT    NOT NULL, -- the same, for people
	created  BIGINT  NOT NULL,
	updated  BIGINT  NOT NULL,
	UNIQUE (name, stack)
);
