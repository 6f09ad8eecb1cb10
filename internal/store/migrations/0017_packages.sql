-- What is uploaded and not built yet, which images were made of it, and how
-- clients that keep it with an app want its source built.

ALTER TABLE apps ADD COLUMN build TEXT NOT NULL DEFAULT '{}';

CREATE TABLE packages (
	id       TEXT   NOT NULL PRIMARY KEY,
	app_id   TEXT   NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	space_id TEXT   NOT NULL,
	kind     TEXT   NOT NULL,
	state    TEXT   NOT NULL,
	snapshot TEXT   NOT NULL,
	image    TEXT   NOT NULL,
	username TEXT   NOT NULL,
	error    TEXT   NOT NULL,
	created  BIGINT NOT NULL,
	updated  BIGINT NOT NULL
);
CREATE INDEX packages_by_app ON packages (app_id, created);

CREATE TABLE package_images (
	package_id TEXT NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
	image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
	PRIMARY KEY (package_id, image_id)
);
CREATE INDEX package_images_by_image ON package_images (image_id);
