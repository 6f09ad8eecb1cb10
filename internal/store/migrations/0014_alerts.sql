-- Alerts on burning budgets, who is told, and what was told.

-- What does not fire and was told has no row. No foreign key: the end of an alert
-- is told also when its app is gone.
CREATE TABLE alerts (
	app_id    TEXT NOT NULL,
	objective TEXT NOT NULL,
	rule      TEXT NOT NULL,
	state     TEXT NOT NULL,
	doc       TEXT NOT NULL,
	PRIMARY KEY (app_id, objective, rule)
);

-- The one book of who was told what.
CREATE TABLE alert_book (
	id   BIGINT NOT NULL PRIMARY KEY,
	body TEXT   NOT NULL
);

-- scope is "platform", "org/ID" or "space/ID".
CREATE TABLE receivers (
	id         TEXT   NOT NULL PRIMARY KEY,
	scope      TEXT   NOT NULL,
	org_id     TEXT   REFERENCES orgs (id) ON DELETE CASCADE,
	space_id   TEXT   REFERENCES spaces (id) ON DELETE CASCADE,
	name       TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	severities TEXT   NOT NULL,
	shown      TEXT   NOT NULL, -- where it leads, without what is secret
	addresses  TEXT   NOT NULL, -- of mail
	sealed     TEXT   NOT NULL,
	set_by     TEXT   NOT NULL,
	created    BIGINT NOT NULL,
	UNIQUE (scope, name)
);

CREATE TABLE silences (
	id       BIGINT NOT NULL PRIMARY KEY,
	scope    TEXT   NOT NULL,
	org_id   TEXT   REFERENCES orgs (id) ON DELETE CASCADE,
	space_id TEXT   REFERENCES spaces (id) ON DELETE CASCADE,
	matchers TEXT   NOT NULL,
	begins   BIGINT NOT NULL,
	ends     BIGINT NOT NULL,
	set_by   TEXT   NOT NULL,
	reason   TEXT   NOT NULL
);
CREATE INDEX silences_ends ON silences (ends);

CREATE TABLE deliveries (
	seq      BIGINT  NOT NULL PRIMARY KEY,
	scope    TEXT    NOT NULL,
	org_id   TEXT    REFERENCES orgs (id) ON DELETE CASCADE,
	space_id TEXT    REFERENCES spaces (id) ON DELETE CASCADE,
	receiver TEXT    NOT NULL, -- its name
	time     BIGINT  NOT NULL,
	message  TEXT    NOT NULL,
	title    TEXT    NOT NULL,
	alerts   BIGINT  NOT NULL,
	try      BIGINT  NOT NULL,
	took     BIGINT  NOT NULL,
	error    TEXT    NOT NULL,
	final    BOOLEAN NOT NULL
);
CREATE INDEX deliveries_scope ON deliveries (scope, seq);
