package cf

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/packs"
	"naru/internal/source"
)

func buildpackRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/buildpacks", do: (*Door).listBuildpacks},
		{pattern: "POST /v3/buildpacks", do: (*Door).createBuildpack},
		{pattern: "GET /v3/buildpacks/{guid}", do: (*Door).getBuildpack},
		{pattern: "PATCH /v3/buildpacks/{guid}", do: (*Door).changeBuildpack},
		{pattern: "DELETE /v3/buildpacks/{guid}", do: (*Door).deleteBuildpack},
		{pattern: "POST /v3/buildpacks/{guid}/upload", do: (*Door).uploadBuildpack},
	}
}

// builders are naru's own, without those whose name an uploaded buildpack has.
func (d *Door) builders(c *call, uploaded []source.Buildpack) ([]client.Builder, error) {
	all, err := d.Platform.Builders(c.ctx())
	return slices.DeleteFunc(all, func(b client.Builder) bool {
		return b.Uploaded || slices.ContainsFunc(uploaded, func(u source.Buildpack) bool { return u.Name == b.Name })
	}), err
}

// buildpacks are those that were uploaded, in their order, and behind them naru's
// builders, in the order in which they are tried.
func (d *Door) buildpacks(c *call) ([]item, error) {
	uploaded, err := d.Packs.All(c.ctx())
	if err != nil {
		return nil, err
	}
	out := each(uploaded, func(b source.Buildpack) item {
		return item{name: b.Name, position: b.Position, stack: b.Stack, pack: &b}
	})
	builders, err := d.builders(c, uploaded)
	for _, b := range builders {
		i := item{name: b.Name, position: len(out) + 1, about: b.Detects}
		if len(b.Foundations) > 0 {
			i.stack = b.Foundations[0]
		}
		out = append(out, i)
	}
	return out, err
}

func (c *call) buildpackResource(i item) any {
	type of struct {
		resource
		Name      string  `json:"name"`
		Stack     *string `json:"stack"`
		State     string  `json:"state"`
		Filename  *string `json:"filename"`
		Position  int     `json:"position"`
		Enabled   bool    `json:"enabled"`
		Locked    bool    `json:"locked"`
		Lifecycle string  `json:"lifecycle"`
	}
	guid := i.guid("buildpack")
	path := "/v3/buildpacks/" + guid
	created, updated := i.times()
	out := of{c.thing(guid, created, updated, path), i.name, textOrNull(i.stack), "READY", nil, i.position, true, true, "buildpack"}
	if b := i.pack; b != nil {
		out.Links["upload"] = link{c.at.api + path + "/upload", "POST"}
		out.Filename, out.Enabled, out.Locked = textOrNull(b.Filename), b.Enabled, b.Locked
		if b.Digest == "" {
			out.State = "AWAITING_UPLOAD"
		}
	}
	return out
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *call) packResource(b source.Buildpack) any {
	return c.buildpackResource(item{name: b.Name, position: b.Position, stack: b.Stack, pack: &b})
}

func (d *Door) listBuildpacks(c *call) error {
	all, err := d.buildpacks(c)
	if err != nil {
		return err
	}
	if q := c.r.URL.Query(); !q.Has("order_by") {
		q.Set("order_by", "position")
		c.r.URL.RawQuery = q.Encode()
	}
	return show(c, items("buildpack"), all, c.buildpackResource)
}

func (d *Door) getBuildpack(c *call) error {
	all, err := d.buildpacks(c)
	if err != nil {
		return err
	}
	return pick(c, "buildpack", "Buildpack", all, c.buildpackResource)
}

// packChange is what a client wants a buildpack to be. Its stack may be null.
type packChange struct {
	Name      *string         `json:"name"`
	Position  *int            `json:"position"`
	Enabled   *bool           `json:"enabled"`
	Locked    *bool           `json:"locked"`
	Stack     json.RawMessage `json:"stack"`
	Lifecycle string          `json:"lifecycle"`
}

func (in packChange) empty() bool {
	return in.Name == nil && in.Position == nil && in.Enabled == nil && in.Locked == nil && in.stackless() && in.Lifecycle == ""
}

func (in packChange) stackless() bool { return len(in.Stack) == 0 || string(in.Stack) == "null" }

// change is it in the words of the pipeline.
func (in packChange) change() (packs.Change, error) {
	out := packs.Change{Name: in.Name, Position: in.Position, Enabled: in.Enabled, Locked: in.Locked}
	switch in.Lifecycle {
	case "", "buildpack":
	case "cnb":
		return out, unprocessable.saying("naru has no Cloud Native Buildpacks: upload a classic buildpack, with the lifecycle buildpack")
	default:
		return out, unprocessable.saying("Lifecycle must be one of 'buildpack'")
	}
	if in.stackless() {
		return out, nil
	}
	var stack string
	if json.Unmarshal(in.Stack, &stack) != nil {
		return out, unprocessable.saying("Stack must be a string")
	}
	out.Stack = &stack
	return out, nil
}

func (d *Door) createBuildpack(c *call) error {
	if !c.can(auth.PlatformManage, place{}) {
		return notAuthorized
	}
	var in packChange
	if err := c.decode(&in); err != nil {
		return err
	}
	change, err := in.change()
	if err != nil {
		return err
	}
	b, err := d.Packs.Create(c.ctx(), c.by(), change)
	if err != nil {
		return err
	}
	return c.made(c.packResource(b))
}

// uploadedPack is the uploaded buildpack that the path names, for who may change it. own
// tells that it is one of naru's builders.
func (d *Door) uploadedPack(c *call) (b source.Buildpack, own bool, err error) {
	all, err := d.buildpacks(c)
	if err != nil {
		return b, false, err
	}
	at := slices.IndexFunc(all, func(i item) bool { return i.guid("buildpack") == c.guid() })
	switch {
	case at < 0:
		return b, false, missing("Buildpack")
	case !c.can(auth.PlatformManage, place{}):
		return b, false, notAuthorized
	case all[at].pack == nil:
		return b, true, nil
	}
	return *all[at].pack, false, nil
}

const ofNaru = "The buildpack is a builder of naru's own and stays as it is: upload one with cf create-buildpack, under its name if it is to stand in for it"

func (d *Door) changeBuildpack(c *call) error {
	b, own, err := d.uploadedPack(c)
	if err != nil {
		return err
	}
	var in packChange
	if err := c.decode(&in); err != nil {
		return err
	}
	switch {
	case own && !in.empty():
		return unprocessable.saying(ofNaru)
	case own:
		return d.getBuildpack(c)
	}
	change, err := in.change()
	if err != nil {
		return err
	}
	if b, err = d.Packs.Change(c.ctx(), c.by(), b.ID, change); err != nil {
		return err
	}
	return c.ok(c.packResource(b))
}

func (d *Door) deleteBuildpack(c *call) error {
	b, own, err := d.uploadedPack(c)
	if err != nil {
		return err
	}
	if own {
		return unprocessable.saying(ofNaru)
	}
	if err := d.Packs.Delete(c.ctx(), c.by(), b.ID); err != nil {
		return gone(err, "Buildpack")
	}
	return c.job(done("buildpack.delete", string(b.ID)))
}

const uploadJob = "buildpack.upload"

// uploadBuildpack takes the files of a buildpack in. They are there when it
// answers; what is wrong with them is told by the job.
func (d *Door) uploadBuildpack(c *call) error {
	b, own, err := d.uploadedPack(c)
	switch {
	case err != nil:
		return err
	case own:
		return unprocessable.saying(ofNaru)
	case b.Locked:
		return unprocessable.saying("The buildpack is locked: unlock it with cf update-buildpack " + b.Name + " --unlock")
	}
	in, err := c.upload()
	if err != nil {
		return err
	}
	if err := d.takePack(c, b, in); err != nil {
		return c.brokenOff(in, err)
	}
	return c.job(done(uploadJob, string(b.ID)))
}

// takePack reads the part of an upload that holds the buildpack.
func (d *Door) takePack(c *call, b source.Buildpack, in *body) error {
	c.r.Body = io.NopCloser(in)
	form, err := c.r.MultipartReader()
	if err != nil {
		return unprocessable.saying("Upload must include bits")
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return unprocessable.saying("Upload must include bits")
		}
		if err != nil {
			return err
		}
		if part.FormName() == "bits" {
			_, err := d.Packs.Upload(c.ctx(), c.by(), b.ID, part.FileName(), part)
			_ = in.control.SetReadDeadline(time.Time{})
			return err
		}
	}
}

// brokenOff explains why an upload did not come whole.
func (c *call) brokenOff(in *body, err error) error {
	switch {
	case errors.Is(in.err, errTooBig):
		return c.tooBig()
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return badRequest.saying("Nothing of the upload came for " + in.idle.String() + ": try again")
	case in.err != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest.saying("The upload was broken off: try again")
	}
	return err
}

// troubles are what may be wrong with a buildpack, in Cloud Foundry's words; the
// client has its own for some of the codes.
var troubles = map[source.Trouble]problem{
	source.BadArchive:   {http.StatusUnprocessableEntity, 390013, "CF-BuildpackZipError", ""},
	source.NoBuildpack:  {http.StatusUnprocessableEntity, 290003, "CF-BuildpackInvalid", ""},
	source.StackTaken:   {http.StatusUnprocessableEntity, 290000, "CF-BuildpackNameStackTaken", ""},
	source.StackUnknown: {http.StatusUnprocessableEntity, 390012, "CF-BuildpackStackDoesNotExist", ""},
	source.StackDiffers: {http.StatusUnprocessableEntity, 390011, "CF-BuildpackStacksDontMatch", ""},
}

// uploaded is the job of an upload, which has come to its end.
func (d *Door) uploaded(c *call, job string, id source.BuildpackID) error {
	if !c.can(auth.PlatformManage, place{}) {
		return missing("Job")
	}
	now := time.Now()
	out := jobResource{c.jobThing(job, now, now), uploadJob, "COMPLETE", []problem{}, []string{}}
	b, err := d.Packs.One(c.ctx(), id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if b.Trouble != source.NoTrouble {
		out.State, out.Errors = "FAILED", []problem{troubles[b.Trouble].saying("The buildpack cannot be used: " + b.Error)}
	}
	return c.ok(out)
}
