-- User-provided services and their bindings.

CREATE TABLE services (
	id        TEXT   NOT NULL PRIMARY KEY,
	space_id  TEXT   NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
	name      TEXT   NOT NULL,
	tags      TEXT   NOT NULL,
	drain     TEXT   NOT NULL, -- receiver of the logs of bound apps, without what is secret in it
	route_url TEXT   NOT NULL,
	sealed    TEXT   NOT NULL, -- credentials, and the receiver as it was given
	set_by    TEXT   NOT NULL,
	created   BIGINT NOT NULL,
	updated   BIGINT NOT NULL,
	UNIQUE (space_id, name)
);

-- A binding that makes a log drain has its id in common with it.
CREATE TABLE bindings (
	id         TEXT   NOT NULL PRIMARY KEY,
	service_id TEXT   NOT NULL REFERENCES services (id) ON DELETE CASCADE,
	app_id     TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name       TEXT   NOT NULL, -- "": the service's
	set_by     TEXT   NOT NULL,
	created    BIGINT NOT NULL,
	UNIQUE (service_id, app_id)
);
CREATE INDEX bindings_by_app ON bindings (app_id);
