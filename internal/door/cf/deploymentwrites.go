package cf

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
)

// Deployer replaces what apps run; *deliver.Service does.
type Deployer interface {
	// Deploy sends a rollout that is on its way back first.
	Deploy(ctx context.Context, by operation.Ask, a app.ID, in deliver.Deployment) (operation.Operation, error)
	// Halt stops an app, whatever is on its way.
	Halt(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	RestartInstance(ctx context.Context, by operation.Ask, a app.ID, process string, index int) error
}

// Steerer steers rollouts that are on their way, and ends operations early.
type Steerer interface {
	SteerRollout(ctx context.Context, r rollout.ID, action rollout.Action, actor string) (rollout.Rollout, error)
	CancelOperation(ctx context.Context, by operation.Ask, o operation.ID) (operation.Operation, error)
}

type deploymentInput struct {
	Droplet  *ref   `json:"droplet"`
	Revision *ref   `json:"revision"`
	Strategy string `json:"strategy"`
	Options  struct {
		MaxInFlight *int `json:"max_in_flight"`
		Canary      *struct {
			Steps []struct {
				Weight json.Number `json:"instance_weight"`
			} `json:"steps"`
		} `json:"canary"`
		Instances *int `json:"web_instances"`
		MemoryMiB *int `json:"memory_in_mb"`
		DiskMiB   *int `json:"disk_in_mb"`
		LogRate   *int `json:"log_rate_limit_in_bytes_per_second"`
	} `json:"options"`
	Relationships struct {
		App toOne `json:"app"`
	} `json:"relationships"`
}

// check refuses what Cloud Foundry refuses, and what would be lost.
func (in deploymentInput) check() error {
	o := in.Options
	positive := func(name string, n *int, least int) error {
		if n != nil && *n < least {
			return unprocessable.saying(fmt.Sprintf("%s must be greater than or equal to %d", name, least))
		}
		return nil
	}
	switch {
	case in.Droplet != nil && in.Revision != nil:
		return unprocessable.saying("Cannot set both fields 'droplet' and 'revision'")
	case !slices.Contains([]string{"", "rolling", "canary"}, in.Strategy):
		return unprocessable.saying(fmt.Sprintf("Strategy '%s' is not a supported deployment strategy", in.Strategy))
	case o.Canary != nil && in.Strategy != "canary":
		return unprocessable.saying("Options.canary are only valid for Canary deployments")
	case o.LogRate != nil && *o.LogRate != -1:
		return unprocessable.saying("naru limits logs for all apps alike (logs.rate), not app by app")
	}
	for _, err := range []error{
		positive("Options.max in flight", o.MaxInFlight, 1), positive("Options.web instances", o.Instances, 0),
		positive("Options.memory in mb", o.MemoryMiB, 1), positive("Options.disk in mb", o.DiskMiB, 1),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// strategy is how an app with some instances of web is replaced. A canary holds at
// each of its steps and is judged there: it goes back by itself when it is worse.
func (in deploymentInput) strategy(instances int) (app.Strategy, error) {
	out := app.Strategy{Kind: app.Rolling}
	if n := in.Options.MaxInFlight; n != nil {
		out.MaxInFlight = *n
	}
	if in.Strategy != "canary" {
		return out, nil
	}
	out.Kind = app.Canary
	if c := in.Options.Canary; c != nil {
		last := 0
		for _, step := range c.Steps {
			w, err := step.Weight.Int64()
			switch {
			case err != nil || w < 1 || w > 100:
				return out, unprocessable.saying("Options.canary.steps instance_weight must be an Integer between 1-100 (inclusive)")
			case int(w) <= last:
				return out, unprocessable.saying("Options.canary.steps instance_weight must be sorted in ascending order")
			}
			last = int(w)
			out.Steps = append(out.Steps, app.Step{Weight: min(last, 99), Hold: true, Judge: true}) // the old ones must be there to compare with
		}
	}
	if len(out.Steps) == 0 { // one instance beside the old ones
		out.Steps = []app.Step{{Weight: max(1, 100/(max(instances, 1)+1)), Hold: true, Judge: true}}
	}
	return out, nil
}

// createDeployment begins to replace what an app runs, and answers before it has.
func (d *Door) createDeployment(c *call) error {
	var in deploymentInput
	if err := c.decode(&in); err != nil {
		return err
	}
	a, err := d.app(c, in.Relationships.App.guid(), auth.AppConfigure)
	if err == error(missing("App")) {
		return unprocessable.saying("Unable to use app. Ensure that the app exists and you have access to it.")
	}
	if err != nil {
		return err
	}
	want, err := d.deploymentWanted(c, in, a)
	if err != nil {
		return err
	}
	op, err := d.Deployer.Deploy(c.ctx(), c.by(), a.ID, want)
	if err != nil {
		return err
	}
	one := queued(a, op, want)
	if r, err := d.Rollouts.Rollout(c.ctx(), rollout.ID(op.ID)); err == nil {
		one = deploymentOf(a, r)
		one.image = cmp.Or(string(want.Image), one.image)
	}
	return c.made(c.deploymentResource(one))
}

// deploymentWanted is what a request asks for.
func (d *Door) deploymentWanted(c *call, in deploymentInput, a app.App) (deliver.Deployment, error) {
	want := deliver.Deployment{Reason: "deployment"}
	count := a.Count(app.Web)
	if n := in.Options.Instances; n != nil {
		want.Scale, count = map[string]int{app.Web: *n}, *n
	}
	var err error
	if want.Strategy, err = in.strategy(count); err != nil {
		return want, err
	}
	o := app.Overrides{}
	set(&o.MemoryMiB, in.Options.MemoryMiB)
	set(&o.DiskMiB, in.Options.DiskMiB)
	if o != (app.Overrides{}) {
		want.Processes = map[string]app.Overrides{app.Web: o}
	}
	switch {
	case in.Revision != nil:
		rel, err := d.Past.Release(c.ctx(), release.ID(in.Revision.GUID))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return want, err
		}
		if err != nil || rel.App != a.ID {
			return want, unprocessable.saying("The revision does not exist")
		}
		if kept, err := d.deployable(c.ctx(), rel); err != nil || !kept {
			return want, cmp.Or[error](err, unprocessable.saying("Unable to deploy this revision, the droplet for this revision no longer exists."))
		}
		want.Release, want.Reason = rel.ID, "rollback to "+rel.Name()
		if want.Strategy.Kind == app.Rolling {
			want.Strategy.Guard.Off = true // what ran before is known
		}
	case in.Droplet != nil:
		img, err := d.Images.Image(c.ctx(), artifact.ID(in.Droplet.GUID))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return want, err
		}
		if err != nil || img.App != a.ID {
			return want, unprocessable.saying("Unable to assign current droplet. Ensure the droplet exists and belongs to this app.")
		}
		want.Image = img.ID
	case a.Image == "":
		return want, unprocessable.saying("Invalid droplet. Please specify a droplet in the request or set a current droplet for the app.")
	}
	return want, nil
}

func (d *Door) continueDeployment(c *call) error {
	one, err := d.deployment(c, auth.AppConfigure)
	if err != nil {
		return err
	}
	refused := func(one deployment) error {
		return unprocessable.saying(fmt.Sprintf("Cannot continue a deployment with status: %s and reason: %s", one.value, one.reason))
	}
	if one.reason != "PAUSED" {
		return refused(one)
	}
	return d.steer(c, one, rollout.Resume, refused)
}

func (d *Door) cancelDeployment(c *call) error {
	one, err := d.deployment(c, auth.AppConfigure)
	if err != nil {
		return err
	}
	refused := func(one deployment) error {
		return unprocessable.saying("Cannot cancel a deployment with status: " + one.value + " and reason: " + one.reason)
	}
	switch {
	case one.value != "ACTIVE":
		return refused(one)
	case one.reason == "CANCELING":
		return c.ok(c.deploymentResource(one))
	case one.State == "": // nothing has begun
		if _, err := d.Steerer.CancelOperation(c.ctx(), c.by(), operation.ID(one.ID)); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		return d.getDeployment(c)
	}
	return d.steer(c, one, rollout.Abort, refused)
}

// steer does something with a deployment; what is no longer possible since it was
// looked at is refused.
func (d *Door) steer(c *call, one deployment, action rollout.Action, refused func(deployment) error) error {
	r, err := d.Steerer.SteerRollout(c.ctx(), one.Rollout.ID, action, c.who.Name)
	if fault.Is(err, fault.Conflict) {
		if r, err := d.Rollouts.Rollout(c.ctx(), one.Rollout.ID); err == nil {
			return refused(deploymentOf(one.of, r))
		}
	}
	if err != nil {
		return err
	}
	return c.ok(c.deploymentResource(deploymentOf(one.of, r)))
}
