package cf

import (
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/build"
	"naru/internal/source"
)

func dropletRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps/{guid}/droplets/current", do: (*Door).currentDroplet},
		{pattern: "GET /v3/apps/{guid}/relationships/current_droplet", do: (*Door).currentDropletRef},
		{pattern: "GET /v3/apps/{guid}/droplets", do: (*Door).listDroplets},
		{pattern: "GET /v3/droplets", do: (*Door).listDroplets},
		{pattern: "GET /v3/droplets/{guid}", do: (*Door).getDroplet},
		{pattern: "POST /v3/droplets", do: (*Door).copyDroplet},
		{pattern: "DELETE /v3/droplets/{guid}", do: (*Door).deleteDroplet},
		{pattern: "GET /v3/droplets/{guid}/download", do: (*Door).downloadDroplet},
		{pattern: "POST /v3/droplets/{guid}/upload", do: (*Door).uploadDroplet},
		{pattern: "PATCH /v3/apps/{guid}/relationships/current_droplet", do: (*Door).chooseDroplet},
	}
}

// built is an image of an app: to clients a droplet.
type built struct {
	artifact.Image
	org   app.OrgID
	space app.SpaceID
	pack  source.PackageID // that it was made of
}

func (b built) kind() string {
	if b.Snapshot == "" {
		return "docker"
	}
	return "bits"
}

var dropletList = list[built]{
	filters: map[string]func(built) []string{
		"app_guids":          single(func(b built) string { return string(b.App) }),
		"package_guids":      single(func(b built) string { return string(b.pack) }),
		"space_guids":        single(func(b built) string { return string(b.space) }),
		"organization_guids": single(func(b built) string { return string(b.org) }),
		"types":              single(built.kind),
		"states":             func(built) []string { return []string{"STAGED"} },
	},
	times: func(b built) (time.Time, time.Time) { return b.Created, b.Created },
	guid:  func(b built) string { return string(b.ID) },
	also:  []string{"current"},
}

type buildpackUsed struct {
	Name          string  `json:"name"`
	DetectOutput  string  `json:"detect_output"`
	BuildpackName string  `json:"buildpack_name"`
	Version       *string `json:"version"`
}

type dropletResource struct {
	resource
	State         string            `json:"state"`
	Error         *string           `json:"error"`
	Lifecycle     lifecycle         `json:"lifecycle"`
	Image         *string           `json:"image"`
	Checksum      map[string]string `json:"checksum"`
	Stack         *string           `json:"stack"`
	Buildpacks    []buildpackUsed   `json:"buildpacks"`
	ProcessTypes  map[string]string `json:"process_types"`
	Execution     string            `json:"execution_metadata"`
	Relationships map[string]toOne  `json:"relationships"`
}

func (c *call) dropletResource(b built) dropletResource {
	id := string(b.ID)
	out := dropletResource{
		resource: c.thing(id, b.Created, b.Created, "/v3/droplets/"+id).with(c, "app", "/v3/apps/"+string(b.App)).with(c, "package", "/v3/packages/"+string(b.pack)),
		State:    "STAGED", Buildpacks: []buildpackUsed{}, ProcessTypes: map[string]string{},
		Lifecycle: lifecycle{"buildpack", map[string]any{}}, Relationships: map[string]toOne{"app": one(string(b.App))},
		Checksum: map[string]string{"type": "sha256", "value": strings.TrimPrefix(b.Ref.Digest, "sha256:")},
	}
	for _, p := range b.Processes {
		if line := commandLine(p.Command); line != nil {
			out.ProcessTypes[p.Type] = *line
		}
	}
	if b.kind() == "docker" {
		out.Lifecycle.Type, out.Image = "docker", &b.Origin
		return out
	}
	name, _, _ := strings.Cut(strings.ReplaceAll(b.Origin, ",", " "), " ")
	out.Buildpacks = []buildpackUsed{{Name: name, DetectOutput: b.Origin, BuildpackName: name}}
	if used := build.UsedOf(b.Origin); len(used) > 0 {
		out.Buildpacks = each(used, func(u build.Used) buildpackUsed {
			return buildpackUsed{Name: u.Name, DetectOutput: u.Detected, BuildpackName: u.Reports, Version: textOrNull(u.Version)}
		})
	}
	if stack := stackOf(b.Foundation); stack != "" {
		out.Stack = &stack
	}
	return out
}

// stackOf is the last part of a foundation's repository: its name.
func stackOf(foundation string) string {
	repository, _, _ := strings.Cut(foundation, "@")
	return repository[strings.LastIndex(repository, "/")+1:]
}

// images are those of the apps that a query is about, or of all that may be seen.
func (d *Door) images(c *call) ([]built, error) {
	apps, spaces, err := d.about(c)
	if err != nil {
		return nil, err
	}
	made, err := d.Packages.PackageImages(c.ctx(), each(apps, func(a app.App) app.ID { return a.ID })...)
	if err != nil {
		return nil, err
	}
	current := c.r.URL.Query().Get("current") == "true"
	var out []built
	for _, a := range apps {
		some, err := d.Images.Images(c.ctx(), a.ID)
		if err != nil {
			return nil, err
		}
		for _, i := range some {
			if !current || a.Image == string(i.ID) {
				out = append(out, built{i, spaces[a.Space].Org, a.Space, madeOf(i, made)})
			}
		}
	}
	return out, nil
}

// madeOf is the package that an image was made of: one under its own id where it
// came by another way.
func madeOf(i artifact.Image, made map[artifact.ID]source.PackageID) source.PackageID {
	if p, ok := made[i.ID]; ok {
		return p
	}
	return source.PackageID(i.ID)
}

// about are the apps that a list is about: that of the path, those of app_guids,
// or all that may be seen.
func (d *Door) about(c *call) ([]app.App, map[app.SpaceID]app.Space, error) {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return nil, nil, err
	}
	if c.guid() != "" {
		a, err := d.app(c, c.guid(), auth.SpaceRead)
		return []app.App{a}, spaces, err
	}
	q := c.r.URL.Query()
	if !q.Has("app_guids") {
		apps, err := d.appsIn(c.ctx(), within(c, spaces))
		return apps, spaces, err
	}
	apps, err := d.Apps.AppsByID(c.ctx(), each(values(q, "app_guids"), func(s string) app.ID { return app.ID(s) })...)
	apps = slices.DeleteFunc(apps, func(a app.App) bool { _, ok := spaces[a.Space]; return !ok })
	return apps, spaces, err
}

func (d *Door) listDroplets(c *call) error {
	all, err := d.images(c)
	if err != nil {
		return err
	}
	return show(c, dropletList, all, c.dropletResource)
}

// image finds an image with which who asks may do something.
func (d *Door) image(c *call, id string, do auth.Action) (built, error) {
	img, err := d.Images.Image(c.ctx(), artifact.ID(id))
	if err != nil {
		return built{}, gone(err, "Droplet")
	}
	a, err := d.Apps.App(c.ctx(), img.App)
	if err != nil {
		return built{}, gone(err, "Droplet")
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return built{}, gone(err, "Droplet")
	}
	if err := c.allowed(do, p, "Droplet"); err != nil {
		return built{}, err
	}
	made, err := d.Packages.PackageImages(c.ctx(), a.ID)
	return built{img, p.org.ID, a.Space, madeOf(img, made)}, err
}

func (d *Door) getDroplet(c *call) error {
	b, err := d.image(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(c.dropletResource(b))
}

func (d *Door) currentImage(c *call) (built, error) {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return built{}, err
	}
	if a.Image == "" {
		return built{}, missing("Droplet")
	}
	return d.image(c, a.Image, auth.SpaceRead)
}

func (d *Door) currentDroplet(c *call) error {
	b, err := d.currentImage(c)
	if err != nil {
		return err
	}
	return c.ok(c.dropletResource(b))
}

func (d *Door) currentDropletRef(c *call) error {
	b, err := d.currentImage(c)
	if err != nil {
		return err
	}
	return c.ok(c.chosen(string(b.App), string(b.ID)))
}
