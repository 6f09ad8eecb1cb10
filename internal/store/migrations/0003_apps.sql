-- Apps, and what people entrust to naru for them, sealed.

CREATE TABLE apps (
	id       TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id),
	name     TEXT   NOT NULL,
	slug     TEXT   NOT NULL,
	state    TEXT   NOT NULL,
	draft    TEXT   NOT NULL,
	image_id TEXT   NOT NULL,
	scale    TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL,
	UNIQUE (space_id, name),
	UNIQUE (space_id, slug)
);
CREATE INDEX apps_by_name ON apps (name, id);

CREATE TABLE app_secrets (
	app_id  TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name    TEXT   NOT NULL,
	sealed  TEXT   NOT NULL,
	updated BIGINT NOT NULL,
	PRIMARY KEY (app_id, name)
);

CREATE TABLE credentials (
	space_id TEXT   NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
	host     TEXT   NOT NULL,
	kind     TEXT   NOT NULL,
	username TEXT   NOT NULL,
	sealed   TEXT   NOT NULL,
	set_by   TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL,
	PRIMARY KEY (space_id, host, kind)
);
