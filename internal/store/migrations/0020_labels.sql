-- Labels and annotations of whatever has an id. The things that an owner takes
-- with it lose theirs with the owner; where there is none they stay until they are
-- taken away: ids are never given out again.

CREATE TABLE labels (
	kind        TEXT NOT NULL,
	thing_id    TEXT NOT NULL,
	app_id      TEXT REFERENCES apps (id) ON DELETE CASCADE,
	space_id    TEXT REFERENCES spaces (id) ON DELETE CASCADE,
	org_id      TEXT REFERENCES orgs (id) ON DELETE CASCADE,
	labels      TEXT NOT NULL,
	annotations TEXT NOT NULL,
	PRIMARY KEY (kind, thing_id)
);
CREATE INDEX labels_by_app ON labels (app_id);
CREATE INDEX labels_by_space ON labels (space_id);
CREATE INDEX labels_by_org ON labels (org_id);
