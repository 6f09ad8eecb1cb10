-- What apps promise, what is asked of them to see it, and announced maintenance.

CREATE TABLE objectives (
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name     TEXT   NOT NULL,
	origin   TEXT   NOT NULL, -- manifest, or applied
	position BIGINT NOT NULL, -- within its origin, from 0
	doc      TEXT   NOT NULL,
	since    BIGINT NOT NULL, -- when what it counts was first asked for
	updated  BIGINT NOT NULL,
	PRIMARY KEY (app_id, name)
);

CREATE TABLE probes (
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	name     TEXT   NOT NULL,
	position BIGINT NOT NULL,
	doc      TEXT   NOT NULL,
	since    BIGINT NOT NULL,
	PRIMARY KEY (app_id, name)
);

CREATE TABLE maintenance (
	id        TEXT   NOT NULL PRIMARY KEY,
	app_id    TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	begins    BIGINT NOT NULL,
	ends      BIGINT NOT NULL,
	reason    TEXT   NOT NULL,
	hit       TEXT   NOT NULL, -- share of the users that it hits, a JSON number; 0: all
	announcer TEXT   NOT NULL,
	announced BIGINT NOT NULL,
	cancelled BIGINT NOT NULL  -- 0: it is not
);
CREATE INDEX maintenance_by_app ON maintenance (app_id, begins);
