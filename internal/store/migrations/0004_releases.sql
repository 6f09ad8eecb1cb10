-- From source to release: snapshots, images, foundations, releases.

CREATE TABLE snapshots (
	id       TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
	digest   TEXT   NOT NULL,
	files    BIGINT NOT NULL,
	bytes    BIGINT NOT NULL,
	origin   TEXT   NOT NULL,
	created  BIGINT NOT NULL
);
CREATE INDEX snapshots_by_digest ON snapshots (space_id, digest);

CREATE TABLE images (
	id         TEXT   NOT NULL PRIMARY KEY,
	app_id     TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	space_id   TEXT   NOT NULL,
	repository TEXT   NOT NULL,
	digest     TEXT   NOT NULL,
	snapshot   TEXT   NOT NULL,
	recipe_key TEXT   NOT NULL,
	origin     TEXT   NOT NULL,
	foundation TEXT   NOT NULL,
	processes  TEXT   NOT NULL,
	bytes      BIGINT NOT NULL,
	created    BIGINT NOT NULL
);
CREATE INDEX images_by_recipe ON images (space_id, recipe_key);
CREATE INDEX images_by_app ON images (app_id, created);

CREATE TABLE foundations (
	name       TEXT   NOT NULL PRIMARY KEY,
	repository TEXT   NOT NULL,
	digest     TEXT   NOT NULL,
	lock       TEXT   NOT NULL,
	abi        TEXT   NOT NULL,
	sbom       TEXT   NOT NULL,
	bytes      BIGINT NOT NULL,
	created    BIGINT NOT NULL
);

CREATE TABLE releases (
	id         TEXT   NOT NULL PRIMARY KEY,
	app_id     TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	number     BIGINT NOT NULL,
	repository TEXT   NOT NULL,
	digest     TEXT   NOT NULL,
	snapshot   TEXT   NOT NULL,
	env        TEXT   NOT NULL,
	secrets    TEXT   NOT NULL,
	overrides  TEXT   NOT NULL,
	processes  TEXT   NOT NULL,
	reason     TEXT   NOT NULL,
	cut_by     TEXT   NOT NULL,
	created    BIGINT NOT NULL,
	UNIQUE (app_id, number)
);
