-- Where apps' logs are passed on to.
CREATE TABLE drains (
	id       TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
	app_id   TEXT   REFERENCES apps (id) ON DELETE CASCADE, -- NULL: all apps of the space
	name     TEXT   NOT NULL,
	shown    TEXT   NOT NULL, -- the receiver's URL without what is secret in it
	fields   TEXT   NOT NULL, -- names of the header fields that go with it
	search   TEXT   NOT NULL, -- only lines that hold this
	ca       TEXT   NOT NULL, -- PEM
	sealed   TEXT   NOT NULL, -- the URL and the values of the fields
	set_by   TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	UNIQUE (space_id, name)
);
CREATE INDEX drains_by_app ON drains (app_id);

-- How far each app's log was passed on.
CREATE TABLE drained (
	drain_id TEXT   NOT NULL REFERENCES drains (id) ON DELETE CASCADE,
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	day      BIGINT NOT NULL, -- of the last line taken
	line     BIGINT NOT NULL, -- its number in that day
	sent     BIGINT NOT NULL,
	dropped  BIGINT NOT NULL,
	failing  BIGINT NOT NULL, -- since when; 0: it does not
	error    TEXT   NOT NULL,
	PRIMARY KEY (drain_id, app_id)
);
CREATE INDEX drained_by_app ON drained (app_id);
