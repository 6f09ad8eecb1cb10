-- Quotas, and domains that are known before a route is below them.

-- org_id: '' for quotas of organisations, else the organisation whose spaces it is
-- for. limits: a document, resource by resource; what is absent is not limited.
CREATE TABLE quotas (
	id      TEXT   NOT NULL PRIMARY KEY,
	org_id  TEXT   NOT NULL,
	name    TEXT   NOT NULL,
	limits  TEXT   NOT NULL,
	created BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	UNIQUE (org_id, name)
);
INSERT INTO quotas (id, org_id, name, limits, created, updated)
VALUES ('590e345f-c940-5512-af16-b7856b94c356', '', 'default', '{}', 1767225600000000000, 1767225600000000000);

-- place_id is an organisation or a space, so it cannot be a foreign key; deleting a
-- place deletes it here.
CREATE TABLE quota_holders (
	place_id TEXT NOT NULL PRIMARY KEY,
	quota_id TEXT NOT NULL REFERENCES quotas (id)
);

-- org_id: '' for domains that all organisations share. shared: a document of the
-- further organisations that may use it.
CREATE TABLE domains (
	id      TEXT   NOT NULL PRIMARY KEY,
	name    TEXT   NOT NULL UNIQUE,
	org_id  TEXT   NOT NULL,
	shared  TEXT   NOT NULL,
	created BIGINT NOT NULL
);
