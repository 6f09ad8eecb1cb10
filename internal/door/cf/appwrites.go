package cf

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
)

func appWriteRoutes() []endpoint {
	return []endpoint{
		{pattern: "DELETE /v3/apps/{guid}/processes/{type}/instances/{index}", do: (*Door).restartInstance},
		{pattern: "DELETE /v3/processes/{guid}/instances/{index}", do: (*Door).restartInstance},
		{pattern: "POST /v3/apps/{guid}/actions/clear_buildpack_cache", do: (*Door).clearCache},
		{pattern: "POST /v3/admin/actions/clear_buildpack_cache", do: (*Door).clearCaches},
	}
}

// lifeInput is how an app is to become an image; of a change, what is not said stays.
type lifeInput struct {
	Type string `json:"type"`
	Data struct {
		Buildpacks []string `json:"buildpacks"`
		Stack      *string  `json:"stack"`
	} `json:"data"`
}

// lifeWanted is what is asked for, over how it was.
func (d *Door) lifeWanted(c *call, in *lifeInput, was app.Build) (app.Build, error) {
	if in == nil {
		return was, nil
	}
	switch in.Type {
	case "docker":
		return app.Build{Docker: true}, nil
	case "cnb":
		return was, unprocessable.saying(noCNB)
	case "", "buildpack":
	default:
		return was, unprocessable.saying("Lifecycle type is not included in list: buildpack, cnb, docker")
	}
	check := &complaints{}
	if err := d.checkBuild(c, check, in.Data.Buildpacks, in.Data.Stack); err != nil {
		return was, err
	}
	if len(check.all) > 0 {
		_, text, _ := strings.Cut(check.all[0].Detail, ": ")
		return was, unprocessable.saying(text)
	}
	t := target{declared: declared{packs: in.Data.Buildpacks, stack: in.Data.Stack}}
	return *t.build(was), nil
}

// rename gives an app another name.
func (d *Door) rename(c *call, a app.App, name string) error {
	_, err := d.Declarer.Rename(c.ctx(), c.by(), a.ID, name)
	if err == nil {
		return nil
	}
	return taken(err, "App with the name '"+name+"' already exists.")
}

// restartInstance has one instance replaced.
func (d *Door) restartInstance(c *call) error {
	p, v, err := d.process(c, auth.AppOperate)
	if err != nil {
		return err
	}
	index, err := strconv.Atoi(c.r.PathValue("index"))
	if err != nil || index < 0 || index >= len(v.spots(p.of, p.Type)) {
		return missing("Instance")
	}
	if err := d.Deployer.RestartInstance(c.ctx(), c.by(), p.of.ID, p.Type, index); err != nil {
		return gone(err, "Instance")
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// clearCache empties what earlier builds of an app kept for the next.
func (d *Door) clearCache(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppConfigure)
	if err != nil {
		return err
	}
	if err := d.Stager.EmptyCache(c.ctx(), c.by(), a.ID); err != nil {
		return gone(err, "App")
	}
	return c.job(done("app.clear_buildpack_cache", string(a.ID)))
}

// clearCaches empties those of all apps.
func (d *Door) clearCaches(c *call) error {
	if !c.can(auth.PlatformManage, place{}) {
		return notAuthorized
	}
	if err := d.Stager.EmptyCaches(c.ctx(), c.by()); err != nil {
		return err
	}
	return c.job(done("admin.clear_buildpack_cache", "all"))
}

// plainly are the operations whose outcome clients read from the instances alone.
var plainly = []operation.Kind{deliver.KindStart, deliver.KindRestart, deliver.KindPush, deliver.KindDeploy}

// failure says why the last start of an app came to nothing, while clients that
// asked for it may still wait for its instances; "" where it did not. What ran
// before runs again by then, and would be taken for what was asked for.
func (d *Door) failure(c *call, a app.App) (string, error) {
	newest, err := d.Rollouts.Rollouts(c.ctx(), a.ID, 1)
	if err != nil || len(newest) == 0 {
		return "", err
	}
	r := newest[0]
	if r.State != rollout.RolledBack && r.State != rollout.Failed || time.Since(r.Ended) > d.cfg.FailureShown {
		return "", nil
	}
	op, err := d.Operations.Operation(c.ctx(), operation.ID(r.ID))
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil || op.Kind != deliver.KindPush && !restarts(op) {
		return "", err // whoever asked follows the deployment
	}
	return r.Reason, nil
}

const restartReason = "restart"

// restarts reports that an operation starts an app, or starts it again, and is no
// deployment to this door's clients.
func restarts(op operation.Operation) bool {
	var in deliver.Deployment
	switch op.Kind {
	case deliver.KindStart, deliver.KindRestart:
		return true
	case deliver.KindDeploy:
		return json.Unmarshal(op.Request, &in) == nil && in.Reason == restartReason
	}
	return false
}

func (d *Door) createApp(c *call) error {
	var in struct {
		Name          string            `json:"name"`
		Environment   map[string]string `json:"environment_variables"`
		Lifecycle     *lifeInput        `json:"lifecycle"`
		Relationships struct {
			Space toOne `json:"space"`
		} `json:"relationships"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	p, err := d.space(c, in.Relationships.Space.guid(), auth.AppWrite)
	if err == error(missing("Space")) {
		return unprocessable.saying("Invalid space. Ensure that the space exists and you have access to it.")
	}
	if err != nil {
		return err
	}
	if err := app.CheckName("name", in.Name); err != nil {
		return err
	}
	build, err := d.lifeWanted(c, in.Lifecycle, app.Build{})
	if err != nil {
		return err
	}
	a, err := d.Declarer.Skeleton(c.ctx(), c.by(), p.space.ID, in.Name, build)
	if err != nil {
		return taken(err, "App with the name '"+in.Name+"' already exists.")
	}
	if len(in.Environment) > 0 {
		if _, _, err := d.Drafts.SetEnv(c.ctx(), c.by(), a.ID, app.EnvChange{Set: in.Environment}, false); err != nil {
			return err
		}
	}
	return d.sendApp(c, 201, a.ID)
}

func (d *Door) changeApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	var in struct {
		Name      *string    `json:"name"`
		Lifecycle *lifeInput `json:"lifecycle"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	build, err := d.lifeWanted(c, in.Lifecycle, a.Build)
	if err != nil {
		return err
	}
	if build.Docker != a.Build.Docker {
		return unprocessable.saying("Lifecycle type cannot be changed")
	}
	if in.Name != nil {
		if err := d.rename(c, a, *in.Name); err != nil {
			return err
		}
	}
	if in.Lifecycle != nil {
		if _, err := d.Declarer.SetBuild(c.ctx(), c.by(), a.ID, build); err != nil {
			return err
		}
	}
	return d.sendApp(c, 200, a.ID)
}

func (d *Door) deleteApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	op, err := d.Lifecycle.Delete(c.ctx(), c.by(), a.ID)
	if err != nil {
		return err
	}
	if err := d.through(c.ctx(), op, quickly); err != nil {
		return err
	}
	return c.job(string(op.ID))
}

// startApp answers when the release that is to run has been cut: from then on its
// instances are to be seen.
func (d *Door) startApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppOperate)
	if err != nil {
		return err
	}
	if a.Image == "" {
		return unprocessable.saying("Assign a droplet before starting this app.")
	}
	if a.State == app.Started {
		return d.sendApp(c, 200, a.ID)
	}
	op, err := d.Lifecycle.Start(c.ctx(), c.by(), a.ID)
	return d.acted(c, a.ID, op, err, "release")
}

func (d *Door) stopApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppOperate)
	if err != nil {
		return err
	}
	if a.State == app.Stopped {
		return d.sendApp(c, 200, a.ID)
	}
	op, err := d.Deployer.Halt(c.ctx(), c.by(), a.ID)
	return d.acted(c, a.ID, op, err, "scale")
}

func (d *Door) restartApp(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppOperate)
	if err != nil {
		return err
	}
	if a.Image == "" {
		return unprocessable.saying("Assign a droplet before starting this app.")
	}
	op, err := d.Deployer.Deploy(c.ctx(), c.by(), a.ID, deliver.Deployment{Reason: restartReason})
	return d.acted(c, a.ID, op, err, "release")
}

// acted answers with the app once an operation has come to a step.
func (d *Door) acted(c *call, id app.ID, op operation.Operation, err error, step string) error {
	if err != nil {
		return err
	}
	if err := d.seen(c.ctx(), op, step); err != nil {
		return err
	}
	return d.sendApp(c, 200, id)
}
