package cf

import (
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/source"
)

func packageRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/packages", do: (*Door).listPackages},
		{pattern: "POST /v3/packages", do: (*Door).createPackage},
		{pattern: "GET /v3/packages/{guid}", do: (*Door).getPackage},
		{pattern: "DELETE /v3/packages/{guid}", do: (*Door).deletePackage},
		{pattern: "GET /v3/packages/{guid}/download", do: (*Door).downloadPackage},
		{pattern: "POST /v3/packages/{guid}/upload", do: (*Door).uploadPackage},
		{pattern: "GET /v3/packages/{guid}/droplets", do: (*Door).packageDroplets},
		{pattern: "GET /v3/apps/{guid}/packages", do: (*Door).listPackages},
		{pattern: "POST /v3/resource_matches", do: (*Door).matchResources},
	}
}

// pack is a package of an app and where it is.
type pack struct {
	source.Package
	org app.OrgID
}

// packageStates are the states as clients know them.
var packageStates = map[source.PackageState]string{
	source.Awaiting: "AWAITING_UPLOAD", source.Ready: "READY", source.Spoilt: "FAILED", source.Expired: "EXPIRED",
}

var packList = list[pack]{
	filters: map[string]func(pack) []string{
		"app_guids":          single(func(p pack) string { return string(p.App) }),
		"space_guids":        single(func(p pack) string { return string(p.Space) }),
		"organization_guids": single(func(p pack) string { return string(p.org) }),
		"types":              single(func(p pack) string { return string(p.Kind) }),
		"states":             single(func(p pack) string { return packageStates[p.State] }),
	},
	times: func(p pack) (time.Time, time.Time) { return p.Created, p.Updated },
	guid:  func(p pack) string { return string(p.ID) },
}

type packageResource struct {
	resource
	Type          string           `json:"type"`
	State         string           `json:"state"`
	Data          map[string]any   `json:"data"`
	Relationships map[string]toOne `json:"relationships"`
}

func (c *call) packageResource(p pack) packageResource {
	path := "/v3/packages/" + string(p.ID)
	out := packageResource{
		resource: c.thing(string(p.ID), p.Created, p.Updated, path).with(c, "app", "/v3/apps/"+string(p.App)),
		Type:     string(p.Kind), State: packageStates[p.State], Relationships: map[string]toOne{"app": one(string(p.App))},
	}
	if p.Kind == source.Docker {
		out.Data = map[string]any{"image": p.Image, "username": nil, "password": nil}
		if p.Username != "" {
			out.Data["username"], out.Data["password"] = p.Username, "***"
		}
		return out
	}
	out.Links["upload"], out.Links["download"] = link{c.at.api + path + "/upload", "POST"}, link{c.at.api + path + "/download", "GET"}
	algorithm, value, _ := strings.Cut(p.Snapshot, ":")
	sum := map[string]any{"type": "sha256", "value": nil}
	if value != "" {
		sum = map[string]any{"type": algorithm, "value": value}
	}
	out.Data = map[string]any{"error": nil, "checksum": sum}
	if p.Error != "" {
		out.Data["error"] = p.Error
	}
	return out
}

// packOf is what an image was made of that did not come by this door: it stands
// for its package, under its own id.
func packOf(i artifact.Image, space app.SpaceID) source.Package {
	p := source.Package{
		ID: source.PackageID(i.ID), App: i.App, Space: space, Kind: source.Bits, State: source.Ready, Snapshot: i.Snapshot, Created: i.Created, Updated: i.Created,
	}
	if i.Snapshot == "" {
		p.Kind, p.Image = source.Docker, i.Origin
	}
	return p
}

// packs are the packages of the apps that a query is about.
func (d *Door) packs(c *call) ([]pack, error) {
	apps, spaces, err := d.about(c)
	if err != nil {
		return nil, err
	}
	ids := each(apps, func(a app.App) app.ID { return a.ID })
	kept, err := d.Packages.Packages(c.ctx(), ids...)
	if err != nil {
		return nil, err
	}
	made, err := d.Packages.PackageImages(c.ctx(), ids...)
	if err != nil {
		return nil, err
	}
	out, known := []pack{}, map[source.PackageID]bool{}
	for _, p := range kept {
		out, known[p.ID] = append(out, pack{p, spaces[p.Space].Org}), true
	}
	for _, a := range apps {
		images, err := d.Images.Images(c.ctx(), a.ID)
		if err != nil {
			return nil, err
		}
		for _, i := range images {
			if _, ok := made[i.ID]; !ok && !known[source.PackageID(i.ID)] {
				out = append(out, pack{packOf(i, a.Space), spaces[a.Space].Org})
			}
		}
	}
	return out, nil
}

func (d *Door) listPackages(c *call) error {
	all, err := d.packs(c)
	if err != nil {
		return err
	}
	return show(c, packList, all, c.packageResource)
}

// pack finds a package with which who asks may do something.
func (d *Door) pack(c *call, guid string, do auth.Action) (pack, error) {
	p, at, err := d.packAt(c, guid)
	if err != nil {
		return pack{}, err
	}
	return p, c.allowed(do, at, "Package")
}

// packAt finds a package and where it is, whoever asks.
func (d *Door) packAt(c *call, guid string) (pack, place, error) {
	p, err := d.Packages.Package(c.ctx(), source.PackageID(guid))
	if fault.Is(err, fault.NotFound) {
		var img artifact.Image
		if img, err = d.Images.Image(c.ctx(), artifact.ID(guid)); err == nil {
			p = packOf(img, "")
		}
	}
	if err != nil {
		return pack{}, place{}, gone(err, "Package")
	}
	a, err := d.Apps.App(c.ctx(), p.App)
	if err != nil {
		return pack{}, place{}, gone(err, "Package")
	}
	at, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return pack{}, place{}, gone(err, "Package")
	}
	p.Space = a.Space
	return pack{p, at.org.ID}, at, nil
}

func (d *Door) getPackage(c *call) error {
	p, err := d.pack(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(c.packageResource(p))
}

// packageData is what a package is of that is an image.
type packageData struct {
	Image    string `json:"image"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (d *Door) packageDroplets(c *call) error {
	p, err := d.pack(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	made, err := d.Packages.ImagesOfPackage(c.ctx(), p.ID)
	if err != nil {
		return err
	}
	if len(made) == 0 { // an image that came by another way is its own package
		if i, err := d.Images.Image(c.ctx(), artifact.ID(p.ID)); err == nil {
			made = append(made, i)
		}
	}
	return show(c, dropletList, each(made, func(i artifact.Image) built { return built{i, p.org, p.Space, p.ID} }), c.dropletResource)
}

// downloadPackage leads to the files of a package as a zip.
func (d *Door) downloadPackage(c *call) error {
	p, err := d.pack(c, c.guid(), auth.AppWrite)
	switch {
	case err != nil:
		return err
	case p.Kind != source.Bits:
		return unprocessable.saying("Package type must be bits.")
	case p.State != source.Ready:
		return unprocessable.saying("Package has no bits to download.")
	}
	return d.leadTo(c, "packages", string(p.ID))
}

// sourceSpaces are the spaces whose files who asks may send by naming them, those
// in which they did something last first. They are few: each is looked through for
// every file.
func (d *Door) sourceSpaces(c *call) ([]app.SpaceID, error) {
	mine, err := d.spaces(c, auth.SourceWrite)
	if err != nil {
		return nil, err
	}
	var out []app.SpaceID
	add := func(s app.SpaceID) {
		if _, ok := mine[s]; ok && len(out) < lookedThrough && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(mine) > 1 {
		last, err := d.Operations.Operations(c.ctx(), lately)
		if err != nil {
			return nil, err
		}
		for _, op := range last {
			if op.Actor == c.who.Name {
				add(op.Space)
			}
		}
	}
	for _, s := range sortedSpaces(mine) {
		add(s)
	}
	return out, nil
}
