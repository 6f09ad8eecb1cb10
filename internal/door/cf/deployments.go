package cf

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
)

func deploymentRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/deployments", do: (*Door).listDeployments},
		{pattern: "POST /v3/deployments", do: (*Door).createDeployment},
		{pattern: "GET /v3/deployments/{guid}", do: (*Door).getDeployment},
		{pattern: "POST /v3/deployments/{guid}/actions/continue", do: (*Door).continueDeployment},
		{pattern: "POST /v3/deployments/{guid}/actions/cancel", do: (*Door).cancelDeployment},
	}
}

// deployment is a rollout as clients know it, or an operation that has none yet,
// or never had.
type deployment struct {
	rollout.Rollout
	of            app.App
	value, reason string
	image         string // what comes, or came
}

func deploymentOf(a app.App, r rollout.Rollout) deployment {
	d := deployment{Rollout: r, of: a, value: "ACTIVE", reason: "DEPLOYING", image: a.Image}
	switch r.State {
	case rollout.Paused:
		d.reason = "PAUSED"
	case rollout.Aborting:
		d.reason = "CANCELING"
	case rollout.Done, rollout.Watching: // what ran before is kept ready for a while: naru's own affair
		d.value, d.reason = "FINALIZED", "DEPLOYED"
	case rollout.RolledBack, rollout.Failed:
		d.value, d.reason = "FINALIZED", "CANCELED"
	case rollout.Superseded:
		d.value, d.reason = "FINALIZED", "SUPERSEDED"
	}
	return d
}

// queued is the deployment of an operation that has no rollout.
func queued(a app.App, op operation.Operation, in deliver.Deployment) deployment {
	d := deployment{of: a, value: "ACTIVE", reason: "DEPLOYING", image: cmp.Or(string(in.Image), a.Image)}
	d.Rollout = rollout.Rollout{ID: rollout.ID(op.ID), App: a.ID, Spec: in.Strategy, MaxInFlight: in.Strategy.MaxInFlight, Created: op.Created, Moved: op.Started, Ended: op.Ended}
	switch op.State {
	case operation.Done: // what was left ready by an earlier one took over at once
		d.value, d.reason = "FINALIZED", "DEPLOYED"
	case operation.Failed:
		d.value, d.reason = "FINALIZED", "CANCELED"
		if op.Error != nil {
			d.Reason = told(op.Error)
			if strings.HasPrefix(op.Error.Message, "superseded") {
				d.reason = "SUPERSEDED"
			}
		}
	case operation.Canceled:
		d.value, d.reason, d.Reason = "FINALIZED", "CANCELED", "the deployment was canceled before it began"
	}
	return d
}

// strategy is canary where traffic moves in steps.
func (d deployment) strategy() string {
	if d.Spec.Kind == app.Canary {
		return "canary"
	}
	return "rolling"
}

var deploymentList = list[deployment]{
	filters: map[string]func(deployment) []string{
		"app_guids":      single(func(d deployment) string { return string(d.App) }),
		"status_values":  single(func(d deployment) string { return d.value }),
		"status_reasons": single(func(d deployment) string { return d.reason }),
		"states": single(func(d deployment) string {
			return map[string]string{"ACTIVE": "DEPLOYING", "FINALIZED": "DEPLOYED"}[d.value]
		}),
	},
	times: func(d deployment) (time.Time, time.Time) { return d.Created, later(d.Created, d.Moved) },
	guid:  func(d deployment) string { return string(d.ID) },
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// recent is how many rollouts of an app are shown.
const recent = 50

func (d *Door) listDeployments(c *call) error {
	apps, _, err := d.about(c)
	if err != nil {
		return err
	}
	var all []deployment
	for _, a := range apps {
		some, err := d.Rollouts.Rollouts(c.ctx(), a.ID, recent)
		if err != nil {
			return err
		}
		for _, r := range some {
			one := deploymentOf(a, r)
			if one.value == "ACTIVE" {
				op, err := d.Operations.Operation(c.ctx(), operation.ID(r.ID))
				if err != nil && !fault.Is(err, fault.NotFound) {
					return err
				}
				if restarts(op) { // the client would tell of it behind each push
					continue
				}
			}
			all = append(all, one)
		}
	}
	return show(c, deploymentList, all, c.deploymentResource)
}

// deployment finds the one that the path names, with whose app who asks may do
// something.
func (d *Door) deployment(c *call, do auth.Action) (deployment, error) {
	r, err := d.Rollouts.Rollout(c.ctx(), rollout.ID(c.guid()))
	if err == nil {
		a, err := d.app(c, string(r.App), do)
		return deploymentOf(a, r), renamed(err, "App", "Deployment")
	}
	if !fault.Is(err, fault.NotFound) {
		return deployment{}, err
	}
	op, err := d.Operations.Operation(c.ctx(), operation.ID(c.guid()))
	if err != nil {
		return deployment{}, gone(err, "Deployment")
	}
	var in deliver.Deployment
	if op.Kind != deliver.KindDeploy || json.Unmarshal(op.Request, &in) != nil {
		return deployment{}, missing("Deployment")
	}
	a, err := d.app(c, string(op.App), do)
	return queued(a, op, in), renamed(err, "App", "Deployment")
}

// renamed says of what is missing that it is another thing.
func renamed(err error, from, to string) error {
	if err == error(missing(from)) {
		return missing(to)
	}
	return err
}

// getDeployment waits a moment for one that is on its way, for clients look each 3 s.
func (d *Door) getDeployment(c *call) error {
	one, err := d.deployment(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	if one.moving() {
		op, err := d.Operations.Operation(c.ctx(), operation.ID(c.guid()))
		if err == nil {
			err = d.glance(c, op, func() (on bool, err error) {
				one, err = d.deployment(c, auth.SpaceRead)
				return err == nil && one.moving(), err
			})
		}
		if err != nil && !fault.Is(err, fault.NotFound) { // it is older than what is kept of operations
			return err
		}
	}
	return c.ok(c.deploymentResource(one))
}

// moving reports that there is nothing yet that clients wait for.
func (d deployment) moving() bool { return d.value == "ACTIVE" && d.reason != "PAUSED" }

type deploymentResource struct {
	resource
	Status        map[string]any   `json:"status"`
	Strategy      string           `json:"strategy"`
	Options       map[string]any   `json:"options"`
	Droplet       toOneBare        `json:"droplet"`
	NewProcesses  []map[string]any `json:"new_processes"`
	Relationships map[string]toOne `json:"relationships"`
}

// toOneBare is a reference that is no relationship.
type toOneBare struct {
	GUID *string `json:"guid"`
}

func (c *call) deploymentResource(d deployment) deploymentResource {
	id := string(d.ID)
	out := deploymentResource{
		resource: c.thing(id, d.Created, later(d.Created, d.Moved), "/v3/deployments/"+id).with(c, "app", "/v3/apps/"+string(d.App)),
		Strategy: d.strategy(), Options: map[string]any{"max_in_flight": max(1, d.MaxInFlight)},
		NewProcesses:  []map[string]any{{"guid": processGUID(string(d.App), app.Web), "type": app.Web}},
		Relationships: map[string]toOne{"app": one(string(d.App))},
	}
	if d.image != "" {
		out.Droplet.GUID = &d.image
	}
	details := map[string]any{"last_successful_healthcheck": nil, "last_status_change": stamp(later(d.Created, d.Moved))}
	if d.Reason != "" && d.reason != "DEPLOYED" {
		details["error"] = d.Reason
	}
	out.Status = map[string]any{"value": d.value, "reason": d.reason, "details": details}
	if steps := len(d.Spec.Steps); d.strategy() == "canary" && steps > 0 {
		out.Status["canary"] = map[string]any{"steps": map[string]int{"current": min(d.Step+1, steps), "total": steps}}
		weights := each(d.Spec.Steps, func(s app.Step) map[string]int { return map[string]int{"instance_weight": s.Weight} })
		out.Options["canary"] = map[string]any{"steps": weights}
	}
	return out
}
