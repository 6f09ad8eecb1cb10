-- What runs: groups, instances, rollouts, tasks, and how far their logs were read.

CREATE TABLE server_groups (
	id         TEXT   NOT NULL PRIMARY KEY,
	app_id     TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	space_id   TEXT   NOT NULL,
	process    TEXT   NOT NULL,
	name       TEXT   NOT NULL,
	sequence   BIGINT NOT NULL,
	release_id TEXT   NOT NULL,
	size       BIGINT NOT NULL,
	created    BIGINT NOT NULL,
	UNIQUE (app_id, process, sequence)
);

CREATE TABLE instances (
	id        TEXT    NOT NULL PRIMARY KEY,
	group_id  TEXT    NOT NULL REFERENCES server_groups (id) ON DELETE CASCADE,
	app_id    TEXT    NOT NULL,
	position  BIGINT  NOT NULL,
	state     TEXT    NOT NULL,
	addr      TEXT    NOT NULL,
	restarts  BIGINT  NOT NULL,
	crashes   BIGINT  NOT NULL,
	created   BIGINT  NOT NULL,
	started   BIGINT  NOT NULL,
	since     BIGINT  NOT NULL,
	drained   BOOLEAN NOT NULL,
	last_exit TEXT    NOT NULL
);
CREATE INDEX instances_by_group ON instances (group_id);
CREATE INDEX instances_by_app ON instances (app_id, state);
CREATE INDEX instances_by_state ON instances (state, since);

CREATE TABLE rollouts (
	id            TEXT   NOT NULL PRIMARY KEY,
	app_id        TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	number        BIGINT NOT NULL,
	release_id    TEXT   NOT NULL,
	from_id       TEXT   NOT NULL,
	strategy      TEXT   NOT NULL,
	max_in_flight BIGINT NOT NULL,
	state         TEXT   NOT NULL,
	old_groups    TEXT   NOT NULL,
	new_groups    TEXT   NOT NULL,
	reason        TEXT   NOT NULL,
	created       BIGINT NOT NULL,
	ended         BIGINT NOT NULL,
	active        BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX rollouts_one_per_app ON rollouts (app_id) WHERE active;
CREATE INDEX rollouts_by_app ON rollouts (app_id, number);

CREATE TABLE tasks (
	id         TEXT   NOT NULL PRIMARY KEY,
	app_id     TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	release_id TEXT   NOT NULL,
	number     BIGINT NOT NULL,
	name       TEXT   NOT NULL,
	command    TEXT   NOT NULL,
	memory_mib BIGINT NOT NULL,
	disk_mib   BIGINT NOT NULL,
	attach     BOOLEAN NOT NULL,
	tty        BOOLEAN NOT NULL,
	instance   TEXT   NOT NULL,
	state      TEXT   NOT NULL,
	exit_code  BIGINT NOT NULL,
	reason     TEXT   NOT NULL,
	run_by     TEXT   NOT NULL,
	created    BIGINT NOT NULL,
	started    BIGINT NOT NULL,
	ended      BIGINT NOT NULL,
	UNIQUE (app_id, number)
);
CREATE INDEX tasks_by_state ON tasks (state);

-- No foreign key: what an instance wrote is read after it is gone.
CREATE TABLE log_offsets (
	instance TEXT   NOT NULL PRIMARY KEY,
	position BIGINT NOT NULL,
	updated  BIGINT NOT NULL
);
