-- Long work and what it reports. No foreign keys: the operation that deletes an
-- app outlives it.

CREATE TABLE operations (
	id       TEXT    NOT NULL PRIMARY KEY,
	number   BIGINT  NOT NULL UNIQUE,
	kind     TEXT    NOT NULL,
	space_id TEXT    NOT NULL,
	app_id   TEXT    NOT NULL,
	subject  TEXT    NOT NULL,
	actor    TEXT    NOT NULL,
	idem_key TEXT    NOT NULL,
	request  TEXT    NOT NULL,
	memory   TEXT    NOT NULL,
	state    TEXT    NOT NULL,
	error    TEXT    NOT NULL,
	result   TEXT    NOT NULL,
	cancel   BOOLEAN NOT NULL,
	attempts BIGINT  NOT NULL,
	lines    BIGINT  NOT NULL,
	created  BIGINT  NOT NULL,
	started  BIGINT  NOT NULL,
	ended    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX operations_once ON operations (actor, kind, idem_key) WHERE idem_key <> '';
CREATE UNIQUE INDEX operations_one_per_subject ON operations (subject) WHERE state = 'running';
CREATE INDEX operations_by_state ON operations (state, number);
CREATE INDEX operations_by_app ON operations (app_id, number);

CREATE TABLE progress (
	operation_id TEXT   NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
	seq          BIGINT NOT NULL,
	time         BIGINT NOT NULL,
	step         TEXT   NOT NULL,
	status       TEXT   NOT NULL,
	line         TEXT   NOT NULL,
	took         BIGINT NOT NULL,
	data         TEXT   NOT NULL,
	PRIMARY KEY (operation_id, seq)
);
