-- Features that somebody has switched; those that are not here are as they come.

CREATE TABLE features (
	name    TEXT    NOT NULL PRIMARY KEY,
	enabled BOOLEAN NOT NULL,
	message TEXT    NOT NULL, -- told to whom it is refused, "": the platform's own words
	updated BIGINT  NOT NULL
);
