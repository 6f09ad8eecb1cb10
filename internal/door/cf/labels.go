package cf

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
)

// Labels keeps what people write on things.
type Labels interface {
	// LabelsOf leaves out things that nothing is written on.
	LabelsOf(ctx context.Context, kind string, ids ...string) (map[string]label.Set, error)
	SetLabels(ctx context.Context, on label.Thing, change label.Change, evs ...event.Event) (label.Set, error)
}

// labelled are the things that can be written on, by their place in the API.
var labelled = []string{
	"apps", "builds", "buildpacks", "deployments", "domains", "droplets", "isolation_segments", "organizations", "packages", "processes",
	"revisions", "route_policies", "routes", "service_brokers", "service_credential_bindings", "service_instances", "service_offerings",
	"service_plans", "service_route_bindings", "spaces", "stacks", "tasks", "users",
}

// kindOf is what a path of one thing is about: "/v3/apps/ID" is of "apps".
func kindOf(path string) (kind, id string) {
	kind, id, _ = strings.Cut(strings.TrimPrefix(path, "/v3/"), "/")
	id, _, _ = strings.Cut(id, "/")
	return kind, id
}

// listed is what a path of a list is about.
func listed(path string) string {
	last := path[strings.LastIndex(path, "/")+1:]
	if last == "deployed" {
		return "revisions"
	}
	return last
}

// preload reads what is written on things that will be shown.
func (c *call) preload(kind string, ids []string) error {
	if !slices.Contains(labelled, kind) || len(ids) == 0 {
		return nil
	}
	ask := ids
	if len(ids) > 500 { // fewer questions than for each
		ask = nil
	}
	written, err := c.door.Labels.LabelsOf(c.ctx(), kind, ask...)
	if err != nil {
		return err
	}
	if c.written == nil {
		c.written = map[string]label.Set{}
	}
	for _, id := range ids {
		c.written[kind+"/"+id] = written[id]
	}
	return nil
}

// writtenOn is what is written on the thing at a path.
func (c *call) writtenOn(path string) *metadata {
	kind, id := kindOf(path)
	if !slices.Contains(labelled, kind) {
		return &metadata{map[string]string{}, map[string]string{}}
	}
	set, known := c.written[kind+"/"+id]
	if !known {
		if err := c.preload(kind, []string{id}); err != nil {
			c.fail(err)
		}
		set = c.written[kind+"/"+id]
	}
	return shownMetadata(set)
}

func shownMetadata(s label.Set) *metadata {
	m := metadata{s.Labels, s.Annotations}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	return &m
}

// selecting leaves those things of a list that its label selector means.
func selecting[T any](c *call, l list[T], all []T) ([]T, error) {
	q := c.r.URL.Query()
	if !q.Has("label_selector") {
		return all, nil
	}
	selector, err := label.ParseSelector(q.Get("label_selector"))
	if err != nil {
		return nil, badQuery.saying("The query parameter is invalid: Invalid label_selector value")
	}
	kind := listed(c.r.URL.Path)
	if err := c.preload(kind, each(all, l.guid)); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(v T) bool { return !selector.Selects(c.written[kind+"/"+l.guid(v)].Labels) }), nil
}

// metadataOf reads what a request wants written. Null takes a key away.
func metadataOf(body []byte) (label.Change, error) {
	var change label.Change
	var request struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if json.Unmarshal(body, &request) != nil || len(request.Metadata) == 0 { // a list, which has none
		return change, nil
	}
	var in struct{ Labels, Annotations json.RawMessage }
	if json.Unmarshal(request.Metadata, &in) != nil {
		return change, unprocessable.saying("Metadata must be an object")
	}
	for text, to := range map[string]struct {
		raw  json.RawMessage
		into *map[string]*string
	}{"labels": {in.Labels, &change.Labels}, "annotations": {in.Annotations, &change.Annotations}} {
		if len(to.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(to.raw, to.into); err != nil {
			return change, unprocessable.saying("Metadata '" + text + "' is not an object of texts")
		}
	}
	return change, change.Check()
}

// identified is what an answer about one thing can be asked.
type identified interface {
	self() string // its path in the API
	meta() *metadata
}

func (r resource) self() string {
	href := r.Links["self"].Href
	return href[max(0, strings.Index(href, "/v3/")):]
}

func (r resource) meta() *metadata { return r.Metadata }

// write keeps what the request wanted written, on the thing that is its answer, and
// lets the answer say so.
func (c *call) write(v any) error {
	thing, ok := v.(identified)
	if c.writes.Empty() && c.relabels == "" || !ok || thing.meta() == nil {
		return nil
	}
	kind, id := kindOf(thing.self())
	if !slices.Contains(labelled, kind) {
		return nil
	}
	on, called, err := owned(kind, id, v)
	if err != nil {
		return err
	}
	if err := c.mayWrite(on); err != nil {
		return err
	}
	set, err := c.door.Labels.SetLabels(c.ctx(), on, c.writes, c.writes.Events(on, c.who.Name, called)...)
	if err != nil {
		return err
	}
	*thing.meta() = *shownMetadata(set)
	return nil
}

// owned finds what a thing that is shown goes with, the app, space or organisation
// that its relationships name, and what people call it.
func owned(kind, id string, v any) (on label.Thing, called string, err error) {
	on = label.Thing{Kind: kind, ID: id}
	text, err := json.Marshal(v)
	if err != nil {
		return on, "", err
	}
	var of struct {
		Name          string `json:"name"`
		URL           string `json:"url"` // of a route
		Relationships struct {
			App, Space, Organization toOne
		} `json:"relationships"`
		App ref `json:"app"`
	}
	if err := json.Unmarshal(text, &of); err != nil {
		return on, "", err
	}
	r := of.Relationships
	switch {
	case kind == label.Apps:
		on.App = app.ID(id)
	case kind == label.Spaces:
		on.Space = app.SpaceID(id)
	case kind == label.Orgs:
		on.Org = app.OrgID(id)
	case kind == "processes":
		a, _ := processOf(id)
		on.App = app.ID(a)
	case kind == "users", kind == "stacks", kind == "buildpacks":
	case r.App.guid() != "":
		on.App = app.ID(r.App.guid())
	case of.App.GUID != "":
		on.App = app.ID(of.App.GUID)
	case r.Space.guid() != "":
		on.Space = app.SpaceID(r.Space.guid())
	case r.Organization.guid() != "":
		on.Org = app.OrgID(r.Organization.guid())
	}
	return on, cmp.Or(of.Name, of.URL), nil
}

// mayWrite refuses who may not write on a thing. What was changed in the same
// request was checked by it; here it is checked for what only shows things.
func (c *call) mayWrite(on label.Thing) error {
	if c.relabels == "" {
		return nil
	}
	var p place
	var err error
	switch {
	case on.App != "":
		var a app.App
		if a, err = c.door.Apps.App(c.ctx(), on.App); err == nil {
			p, err = c.door.placeOf(c.ctx(), a.Space)
		}
	case on.Space != "":
		p, err = c.door.placeOf(c.ctx(), on.Space)
	case on.Org != "":
		p.org.ID = on.Org
	}
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case !c.can(c.relabels, p):
		return notAuthorized
	}
	return nil
}

// relabelled is a change of nothing but what is written on the thing that show
// answers with, by who may do something where it is.
func relabelled(do auth.Action, show func(*Door, *call) error) func(*Door, *call) error {
	return func(d *Door, c *call) error {
		var in struct{}
		if err := c.decode(&in); err != nil {
			return err
		}
		c.relabels = do // where nothing is written, who may not write is told so all the same
		return show(d, c)
	}
}

func labelRoutes() []endpoint {
	return []endpoint{
		{pattern: "PATCH /v3/droplets/{guid}", do: relabelled(auth.AppWrite, (*Door).getDroplet)},
		{pattern: "PATCH /v3/packages/{guid}", do: relabelled(auth.AppWrite, (*Door).getPackage)},
		{pattern: "PATCH /v3/deployments/{guid}", do: relabelled(auth.AppWrite, (*Door).getDeployment)},
		{pattern: "PATCH /v3/tasks/{guid}", do: relabelled(auth.AppExec, (*Door).getTask)},
		{pattern: "PATCH /v3/domains/{guid}", do: relabelled(auth.OrgManage, (*Door).getDomain)},
		{pattern: "PATCH /v3/stacks/{guid}", do: relabelled(auth.PlatformManage, (*Door).getStack)},
		{pattern: "PATCH /v3/users/{guid}", do: relabelled(auth.UserManage, (*Door).getUser)},
	}
}
