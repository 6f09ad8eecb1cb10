package cf

import (
	"strings"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/id"
	"naru/internal/secret"
	"naru/internal/source"
)

// newPackage is the request for one.
type newPackage struct {
	Type          string      `json:"type"`
	Data          packageData `json:"data"`
	Relationships struct {
		App toOne `json:"app"`
	} `json:"relationships"`
}

// appOf is the app that a package or a droplet is to be of.
func (d *Door) appOf(c *call, of toOne) (app.App, error) {
	a, err := d.app(c, of.guid(), auth.AppWrite)
	if err == error(missing("App")) {
		err = unprocessable.saying("App is invalid. Ensure it exists and you have access to it.")
	}
	return a, err
}

// createPackage makes an empty package, names an image, or copies a package.
func (d *Door) createPackage(c *call) error {
	var in newPackage
	if err := c.decode(&in); err != nil {
		return err
	}
	a, err := d.appOf(c, in.Relationships.App)
	if err != nil {
		return err
	}
	p := source.Package{ID: source.PackageID(id.New()), App: a.ID, Space: a.Space}
	if q := c.r.URL.Query(); q.Has("source_guid") {
		return d.copyPackage(c, q.Get("source_guid"), p)
	}
	switch in.Type {
	case string(source.Bits):
		if in.Data != (packageData{}) {
			return unprocessable.saying("Data Data must be empty if provided for bits packages")
		}
		p.Kind, p.State = source.Bits, source.Awaiting
	case string(source.Docker):
		p.Kind, p.State, p.Image, p.Username = source.Docker, source.Ready, in.Data.Image, in.Data.Username
		if err := checkImage(in); err != nil {
			return err
		}
	default:
		return unprocessable.saying("Type must be one of 'bits, docker'")
	}
	if p, err = d.Stager.AddPackage(c.ctx(), c.by(), p, secret.New(in.Data.Password)); err != nil {
		return err
	}
	return c.made(c.packageResource(pack{p, ""}))
}

// checkImage refuses a reference that no registry could know.
func checkImage(in newPackage) error {
	switch {
	case strings.TrimSpace(in.Data.Image) == "":
		return unprocessable.saying("Data Image required")
	case len(in.Data.Image) > 512:
		return unprocessable.saying("Image must have at most 512 characters")
	case (in.Data.Username == "") != (in.Data.Password == ""):
		return unprocessable.saying("Username and password are needed together")
	}
	return artifact.CheckReference(in.Data.Image)
}

// copyPackage makes a package of an app out of another's.
func (d *Door) copyPackage(c *call, guid string, to source.Package) error {
	from, err := d.pack(c, guid, auth.AppWrite)
	if err != nil {
		return unprocessable.saying("Source package is invalid. Ensure it exists and you have access to it.")
	}
	if from.Kind == source.Docker {
		if from.Username != "" {
			return unprocessable.saying("The package's image is fetched with a password, which is not copied: make a package with the image and its password")
		}
		to.Kind, to.State, to.Image = source.Docker, source.Ready, from.Image
		if to, err = d.Stager.AddPackage(c.ctx(), c.by(), to, secret.Secret{}); err != nil {
			return err
		}
		return c.made(c.packageResource(pack{to, ""}))
	}
	if to, err = d.Intake.Copy(c.ctx(), c.by(), from.Package, to); err != nil {
		return err
	}
	return c.made(c.packageResource(pack{to, ""}))
}

// deletePackage forgets a package at once; its droplets stay.
func (d *Door) deletePackage(c *call) error {
	p, err := d.pack(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	if err := d.Stager.DeletePackage(c.ctx(), c.by(), p.Package); err != nil {
		return err
	}
	return c.job(done("package.delete", string(p.ID)))
}
