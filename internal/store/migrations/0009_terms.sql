-- What routes ask of the gateway, and routes that take only some requests.
-- A naru that does not know of them would let everybody past a password.
-- serves: 9

CREATE TABLE routes_new (
	id       TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id),
	host     TEXT   NOT NULL,
	path     TEXT   NOT NULL,
	when_key TEXT   NOT NULL DEFAULT '', -- the condition as text, equal for equal ones
	when_doc TEXT   NOT NULL DEFAULT 'null',
	terms    TEXT   NOT NULL DEFAULT '{}',
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL,
	UNIQUE (host, path, when_key)
);
INSERT INTO routes_new (id, space_id, host, path, created, updated)
	SELECT id, space_id, host, path, created, updated FROM routes;

-- The destinations move, too: dropping the old routes would delete them.
CREATE TABLE destinations_new (
	id       TEXT   NOT NULL PRIMARY KEY,
	route_id TEXT   NOT NULL REFERENCES routes_new (id) ON DELETE CASCADE,
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	process  TEXT   NOT NULL,
	port     BIGINT NOT NULL,
	weight   BIGINT NOT NULL,
	position BIGINT NOT NULL
);
INSERT INTO destinations_new (id, route_id, app_id, process, port, weight, position)
	SELECT id, route_id, app_id, process, port, weight, position FROM destinations;

DROP TABLE destinations;
DROP TABLE routes;
ALTER TABLE routes_new RENAME TO routes;
ALTER TABLE destinations_new RENAME TO destinations;
CREATE INDEX routes_by_space ON routes (space_id);
CREATE INDEX destinations_by_route ON destinations (route_id, position);
CREATE INDEX destinations_by_app ON destinations (app_id);
