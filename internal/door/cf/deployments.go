package cf

import (
	"cmp"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/pipeline/rollout"
)

func deploymentRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/deployments", do: (*Door).listDeployments},
		{pattern: "GET /v3/deployments/{guid}", do: (*Door).getDeployment},
	}
}

// deployment is a rollout as clients know it.
type deployment struct {
	rollout.Rollout
	of            app.App
	value, reason string
}

func deploymentOf(a app.App, r rollout.Rollout) deployment {
	d := deployment{Rollout: r, of: a, value: "ACTIVE", reason: "DEPLOYING"}
	switch r.State {
	case rollout.Paused:
		d.reason = "PAUSED"
	case rollout.Aborting:
		d.reason = "CANCELING"
	case rollout.Done:
		d.value, d.reason = "FINALIZED", "DEPLOYED"
	case rollout.RolledBack, rollout.Failed:
		d.value, d.reason = "FINALIZED", "CANCELED"
	case rollout.Superseded:
		d.value, d.reason = "FINALIZED", "SUPERSEDED"
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
		all = append(all, each(some, func(r rollout.Rollout) deployment { return deploymentOf(a, r) })...)
	}
	return show(c, deploymentList, all, c.deploymentResource)
}

func (d *Door) getDeployment(c *call) error {
	r, err := d.Rollouts.Rollout(c.ctx(), rollout.ID(c.guid()))
	if err != nil {
		return gone(err, "Deployment")
	}
	a, err := d.app(c, string(r.App), auth.SpaceRead)
	if err != nil {
		return missing("Deployment")
	}
	return c.ok(c.deploymentResource(deploymentOf(a, r)))
}

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
	if d.of.Image != "" {
		out.Droplet.GUID = &d.of.Image
	}
	details := map[string]any{"last_successful_healthcheck": nil, "last_status_change": stamp(later(d.Created, d.Moved))}
	if d.Reason != "" {
		details["error"] = d.Reason
	}
	out.Status = map[string]any{"value": d.value, "reason": d.reason, "details": details}
	if steps := len(d.Spec.Steps); d.strategy() == "canary" && steps > 0 {
		out.Status["canary"] = map[string]any{"steps": map[string]int{"current": min(cmp.Or(d.Step+1, 1), steps), "total": steps}}
	}
	return out
}
