package cf

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
)

func eventRoutes() []endpoint {
	return []endpoint{{pattern: "GET /v3/audit_events", do: (*Door).listEvents}}
}

// auditTypes are naru's events in Cloud Foundry's words. Others keep their own,
// behind "naru.".
var auditTypes = map[event.Kind]string{
	"app.created": "audit.app.create", "app.deleted": "audit.app.delete-request", "app.stopped": "audit.app.stop",
	"app.scaled": "audit.app.process.scale", "env.changed": "audit.app.update", "app.configured": "audit.app.update", "release.cut": "audit.app.revision.create",
	"route.mapped": "audit.app.map-route", "route.unmapped": "audit.app.unmap-route", "image.built": "audit.app.droplet.create",
	"image.chosen": "audit.app.droplet.mapped", "image.copied": "audit.app.droplet.create", "image.deleted": "audit.app.droplet.delete",
	"package.added": "audit.app.package.create", "package.uploaded": "audit.app.package.upload", "package.deleted": "audit.app.package.delete",
	"rollout.started": "audit.app.deployment.create", "instance.crashed": "audit.app.process.crash", "app.exec": "audit.app.ssh-authorized", "ssh.opened": "audit.app.ssh-authorized", "ssh.refused": "audit.app.ssh-unauthorized",
	"task.started": "audit.app.task.create", "space.created": "audit.space.create", "space.deleted": "audit.space.delete-request",
	"service.created": "audit.user_provided_service_instance.create", "service.changed": "audit.user_provided_service_instance.update",
	"service.deleted": "audit.user_provided_service_instance.delete", "service.bound": "audit.service_binding.create",
	"service.unbound": "audit.service_binding.delete", "variables.changed": "audit.environment_variable_group.update",
	"space.renamed": "audit.space.update", "role.given": "audit.user.role_add", "role.taken": "audit.user.role_remove",
	"app.renamed": "audit.app.update", "org.renamed": "audit.organization.update",
	"app.labelled": "audit.app.update", "space.labelled": "audit.space.update", "org.labelled": "audit.organization.update", "route.labelled": "audit.route.update",
	"service.labelled": "audit.user_provided_service_instance.update",
}

func auditType(k event.Kind) string {
	if t, ok := auditTypes[k]; ok {
		return t
	}
	return "naru." + string(k)
}

// toldEvent is an event with where it happened.
type toldEvent struct {
	event.Event
	org app.OrgID
}

func (e toldEvent) target() string {
	if e.App != "" {
		return e.App
	}
	return e.Space
}

var eventList = list[toldEvent]{
	filters: map[string]func(toldEvent) []string{
		"types":              single(func(e toldEvent) string { return auditType(e.Kind) }),
		"target_guids":       single(toldEvent.target),
		"space_guids":        single(func(e toldEvent) string { return e.Space }),
		"organization_guids": single(func(e toldEvent) string { return string(e.org) }),
	},
	times: func(e toldEvent) (time.Time, time.Time) { return e.Time, e.Time },
	guid:  func(e toldEvent) string { return e.guid() },
	also:  []string{"target_guids[not]"},

	unlabelled: true,
}

func (e toldEvent) guid() string { return named("event", strconv.FormatInt(e.Seq, 10)) }

type actor struct {
	GUID string `json:"guid"`
	Type string `json:"type"`
	Name string `json:"name"`
}

type eventResource struct {
	resource
	Type   string         `json:"type"`
	Actor  actor          `json:"actor"`
	Target actor          `json:"target"`
	Data   map[string]any `json:"data"`
	Space  *ref           `json:"space"`
	Org    *ref           `json:"organization"`
}

func (c *call) eventResource(e toldEvent) eventResource {
	out := eventResource{
		resource: c.thing(e.guid(), e.Time, e.Time, "/v3/audit_events/"+e.guid()), Type: auditType(e.Kind),
		Actor: actor{e.Actor, "user", e.Actor}, Target: actor{e.target(), "app", e.Subject}, Data: map[string]any{},
	}
	out.Metadata = nil
	if e.App == "" {
		out.Target.Type = "space"
	}
	for name, v := range e.Detail {
		switch v.(type) {
		case string, float64, int, bool, json.Number:
			out.Data[name] = v
		default:
			text, _ := json.Marshal(v) // it came out of JSON
			out.Data[name] = string(text)
		}
	}
	if e.Space != "" {
		out.Space = &ref{e.Space}
	}
	if e.org != "" {
		out.Org = &ref{string(e.org)}
	}
	return out
}

// newest is how many events are looked at: those before are in naru's own log.
const newest = 1000

// listEvents tells what happened to an app, or in a space.
func (d *Door) listEvents(c *call) error {
	spaces, err := d.spaces(c, auth.EventRead)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	var all []toldEvent
	take := func(space app.SpaceID, a app.ID) error {
		some, err := d.Events.EventsBefore(c.ctx(), space, a, "", 0, newest)
		for _, e := range some {
			if s, seen := spaces[app.SpaceID(e.Space)]; seen {
				all = append(all, toldEvent{e, s.Org})
			}
		}
		return err
	}
	if q.Has("target_guids") {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(values(q, "target_guids")))) {
			if _, space := spaces[app.SpaceID(id)]; space {
				err = take(app.SpaceID(id), "")
			} else if id != "" {
				err = take("", app.ID(id))
			}
			if err != nil {
				return err
			}
		}
		return show(c, eventList, all, c.eventResource)
	}
	for id := range within(c, spaces) {
		if err := take(id, ""); err != nil {
			return err
		}
	}
	return show(c, eventList, all, c.eventResource)
}
