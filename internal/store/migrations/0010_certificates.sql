-- Certificates that people brought for their hosts; a host has one.
CREATE TABLE certificates (
	host     TEXT   NOT NULL PRIMARY KEY,
	space_id TEXT   NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
	chain    TEXT   NOT NULL, -- PEM
	sealed   TEXT   NOT NULL, -- the private key, in PEM form before it was sealed
	set_by   TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL
);
CREATE INDEX certificates_space ON certificates (space_id);
