-- What happens at which remaining budget, and who overrode it.

CREATE TABLE policies (
	space_id TEXT   NOT NULL PRIMARY KEY REFERENCES spaces (id) ON DELETE CASCADE,
	policy   TEXT   NOT NULL,
	by_name  TEXT   NOT NULL,
	updated  BIGINT NOT NULL
);

-- The tier of each objective, which is left later than it was entered.
CREATE TABLE budget_tiers (
	app_id    TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	objective TEXT   NOT NULL,
	tier      TEXT   NOT NULL,
	since     BIGINT NOT NULL,
	PRIMARY KEY (app_id, objective)
);

CREATE TABLE budget_overrides (
	app_id  TEXT   NOT NULL PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
	by_name TEXT   NOT NULL,
	reason  TEXT   NOT NULL,
	created BIGINT NOT NULL,
	until   BIGINT NOT NULL
);
