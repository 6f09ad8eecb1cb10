package cf

import (
	"compress/gzip"
	"io"
	"strings"

	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/fault"
)

// chosen is the relationship of an app to its droplet.
func (c *call) chosen(a, droplet string) any {
	path := c.at.api + "/v3/apps/" + a
	return struct {
		toOne
		Links map[string]link `json:"links"`
	}{one(droplet), map[string]link{"self": {Href: path + "/relationships/current_droplet"}, "related": {Href: path + "/droplets/current"}}}
}

// chooseDroplet makes a droplet what the app's next start runs, and starts nothing.
func (d *Door) chooseDroplet(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppConfigure)
	if err != nil {
		return err
	}
	var in toOne
	if err := c.decode(&in); err != nil {
		return err
	}
	if _, err = d.Stager.SetImage(c.ctx(), c.by(), a.ID, artifact.ID(in.guid())); fault.Is(err, fault.NotFound) {
		return unprocessable.saying("Unable to assign current droplet. Ensure the droplet exists and belongs to this app.")
	}
	if err != nil {
		return err
	}
	return c.ok(c.chosen(string(a.ID), in.guid()))
}

// copyDroplet gives an app an image of another's. There is no other way to make
// one: naru runs images that it has built or fetched.
func (d *Door) copyDroplet(c *call) error {
	var in struct {
		Relationships struct {
			App toOne `json:"app"`
		} `json:"relationships"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	a, err := d.appOf(c, in.Relationships.App)
	if err != nil {
		return err
	}
	from := c.r.URL.Query().Get("source_guid")
	if from == "" {
		return noDropletUpload
	}
	b, err := d.image(c, from, auth.AppWrite)
	if err != nil {
		return unprocessable.saying("Source droplet is invalid. Ensure it exists and you have access to it.")
	}
	img, err := d.Stager.CopyImage(c.ctx(), c.by(), b.ID, a.ID)
	if err != nil {
		return err
	}
	return c.made(c.dropletResource(built{Image: img, space: a.Space, pack: madeOf(img, nil)}))
}

var noDropletUpload = unprocessable.saying("naru takes no droplets that were made elsewhere: push the source, or an image with cf push -o")

func (d *Door) uploadDroplet(c *call) error {
	if _, err := d.image(c, c.guid(), auth.AppWrite); err != nil {
		return err
	}
	return noDropletUpload
}

// deleteDroplet forgets an image that nothing runs.
func (d *Door) deleteDroplet(c *call) error {
	b, err := d.image(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	if err := d.Stager.DeleteImage(c.ctx(), c.by(), b.ID); err != nil {
		return err
	}
	return c.job(done("droplet.delete", string(b.ID)))
}

// downloadDroplet sends what a build added to its foundation: the app's files as
// they lie in its image, from the root, as a tar in gzip.
func (d *Door) downloadDroplet(c *call) error {
	b, err := d.image(c, c.guid(), auth.SpaceRead)
	switch {
	case err != nil:
		return err
	case b.kind() == "docker":
		return unprocessable.saying("Cannot download droplets with 'docker' lifecycle.")
	}
	return d.leadTo(c, "droplets", string(b.ID))
}

// sendFiles sends what a build added to its foundation.
func (d *Door) sendFiles(c *call, img artifact.Image) error {
	files, err := d.Files.Files(c.ctx(), img.Ref, foundationOf(img.Foundation))
	if err != nil {
		return err
	}
	defer files.Close()
	out := c.file("application/gzip", string(img.ID)+".tgz")
	z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // a level that there is
	if _, err = io.Copy(z, files); err == nil {
		err = z.Close()
	}
	return d.sent(c, out, err)
}

// foundationOf reads the image that another stands on, which is written with the
// host of naru's registry; zero where it is none of naru's.
func foundationOf(s string) artifact.Ref {
	_, rest, _ := strings.Cut(s, "/")
	ref, err := artifact.ParseRef(rest)
	if err != nil {
		return artifact.Ref{}
	}
	return ref
}
