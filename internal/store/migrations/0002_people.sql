-- Who may ask, and the tokens they ask with. Tokens are kept as hashes.

CREATE TABLE users (
	id       TEXT    NOT NULL PRIMARY KEY,
	name     TEXT    NOT NULL,
	origin   TEXT    NOT NULL,
	password TEXT    NOT NULL,
	disabled BOOLEAN NOT NULL,
	created  BIGINT  NOT NULL,
	updated  BIGINT  NOT NULL,
	UNIQUE (name, origin)
);

-- org_id and space_id are '' where the role holds in no such place, so they
-- cannot be foreign keys; deleting a place deletes its grants.
CREATE TABLE grants (
	user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	role     TEXT NOT NULL,
	org_id   TEXT NOT NULL,
	space_id TEXT NOT NULL,
	PRIMARY KEY (user_id, role, org_id, space_id)
);
CREATE INDEX grants_by_place ON grants (org_id, space_id);

CREATE TABLE refresh_tokens (
	hash    TEXT   NOT NULL PRIMARY KEY,
	session TEXT   NOT NULL,
	user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	used    BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session);
CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);

CREATE TABLE login_codes (
	hash    TEXT   NOT NULL PRIMARY KEY,
	user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);

CREATE TABLE api_tokens (
	id        TEXT   NOT NULL PRIMARY KEY,
	hash      TEXT   NOT NULL UNIQUE,
	user_id   TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	name      TEXT   NOT NULL,
	created   BIGINT NOT NULL,
	expires   BIGINT NOT NULL,
	last_used BIGINT NOT NULL,
	UNIQUE (user_id, name)
);

-- Ids of access tokens and sessions that ended before their time; forgotten
-- when the last token that could carry them has expired.
CREATE TABLE revoked (
	id      TEXT   NOT NULL PRIMARY KEY,
	expires BIGINT NOT NULL
);
