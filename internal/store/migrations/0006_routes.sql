-- Routes, and the processes of apps that answer for them.

CREATE TABLE routes (
	id       TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id),
	host     TEXT   NOT NULL,
	path     TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL,
	UNIQUE (host, path)
);
CREATE INDEX routes_by_space ON routes (space_id);

CREATE TABLE destinations (
	id       TEXT   NOT NULL PRIMARY KEY,
	route_id TEXT   NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	process  TEXT   NOT NULL,
	port     BIGINT NOT NULL,
	weight   BIGINT NOT NULL,
	position BIGINT NOT NULL
);
CREATE INDEX destinations_by_route ON destinations (route_id, position);
CREATE INDEX destinations_by_app ON destinations (app_id);
