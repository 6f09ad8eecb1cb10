-- Organisations and spaces, the platform's settings, and what happened.
--
-- Rules for migrations (docs/decisions/0070-one-store-two-engines.md): numbered,
-- never edited once released, additive, in the SQL that SQLite and PostgreSQL
-- share. Times are nanoseconds since 1970 in UTC, 0 where there is none. A line
-- "-- serves: N" names the oldest schema number a naru must know to work on the
-- database after this migration; without it every older one can.

CREATE TABLE orgs (
	id      TEXT   NOT NULL PRIMARY KEY,
	name    TEXT   NOT NULL UNIQUE,
	created BIGINT NOT NULL
);

CREATE TABLE spaces (
	id         TEXT    NOT NULL PRIMARY KEY,
	org_id     TEXT    NOT NULL REFERENCES orgs (id),
	name       TEXT    NOT NULL,
	allow_root BOOLEAN NOT NULL,
	created    BIGINT  NOT NULL,
	UNIQUE (org_id, name)
);

CREATE TABLE settings (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- The last number given out, so that a number is never given out again even
-- when what had it is gone.
CREATE TABLE counters (
	owner TEXT   NOT NULL,
	name  TEXT   NOT NULL,
	value BIGINT NOT NULL,
	PRIMARY KEY (owner, name)
);

-- No foreign keys: events outlive what they are about.
CREATE TABLE events (
	seq      BIGINT NOT NULL PRIMARY KEY,
	time     BIGINT NOT NULL,
	kind     TEXT   NOT NULL,
	actor    TEXT   NOT NULL,
	space_id TEXT   NOT NULL,
	app_id   TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	detail   TEXT   NOT NULL
);
CREATE INDEX events_by_app ON events (app_id, seq);
CREATE INDEX events_by_space ON events (space_id, seq);
CREATE INDEX events_by_time ON events (time);
