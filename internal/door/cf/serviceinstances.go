package cf

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
)

// Provided keeps services and their bindings, and the variables that all apps get;
// *provide.Desk does.
type Provided interface {
	Services(ctx context.Context, spaces ...app.SpaceID) ([]service.Service, error)
	Service(ctx context.Context, id service.ID) (service.Service, error)
	Content(ctx context.Context, id service.ID) (service.Content, error)
	CreateService(ctx context.Context, by operation.Ask, space app.SpaceID, c provide.Change) (service.Service, error)
	ChangeService(ctx context.Context, by operation.Ask, id service.ID, c provide.Change) (service.Service, error)
	// DropService refuses one that is bound.
	DropService(ctx context.Context, by operation.Ask, id service.ID) error

	Bindings(ctx context.Context, f service.Find) ([]service.Standing, error)
	Bound(ctx context.Context, a app.ID) ([]service.Bound, error)
	Bind(ctx context.Context, by operation.Ask, a app.ID, of service.ID, name string) (service.Binding, error)
	Unbind(ctx context.Context, by operation.Ask, b service.Standing) error

	Variables(ctx context.Context, g provide.Group) (map[string]string, error)
	SetVariables(ctx context.Context, by operation.Ask, g provide.Group, change app.EnvChange) (map[string]string, error)
}

func serviceInstanceRoutes() []endpoint {
	const one = "/v3/service_instances/{guid}"
	return []endpoint{
		{pattern: "GET /v3/service_instances", do: (*Door).listServices},
		{pattern: "POST /v3/service_instances", do: (*Door).createService},
		{pattern: "GET " + one, do: (*Door).getService},
		{pattern: "PATCH " + one, do: (*Door).changeService},
		{pattern: "DELETE " + one, do: (*Door).deleteService},
		{pattern: "GET " + one + "/credentials", do: (*Door).getServiceCredentials},
		{pattern: "GET " + one + "/parameters", do: (*Door).getServiceParameters},
		{pattern: "GET " + one + "/permissions", do: (*Door).getServicePermissions},
		{pattern: "GET " + one + "/relationships/shared_spaces", do: (*Door).getSharedSpaces},
		{pattern: "GET " + one + "/relationships/shared_spaces/usage_summary", do: (*Door).getSharedUsage},
		{pattern: "POST " + one + "/relationships/shared_spaces", do: (*Door).shareService},
		{pattern: "DELETE " + one + "/relationships/shared_spaces/{space_guid}", do: (*Door).unshareService},
	}
}

// shownService is a service with where it is.
type shownService struct {
	service.Service
	org app.OrgID
}

func nobody(shownService) []string { return nil }

var serviceList = list[shownService]{
	filters: map[string]func(shownService) []string{
		"names":              single(func(s shownService) string { return s.Name }),
		"type":               single(func(shownService) string { return service.UserProvided }),
		"space_guids":        single(func(s shownService) string { return string(s.Space) }),
		"organization_guids": single(func(s shownService) string { return string(s.org) }),
		"service_plan_guids": nobody, "service_plan_names": nobody,
	},
	orders: map[string]func(shownService) string{"name": func(s shownService) string { return s.Name }},
	times:  func(s shownService) (time.Time, time.Time) { return s.Created, s.Updated },
	guid:   func(s shownService) string { return string(s.ID) },

	fields: []string{
		"space", "space.organization", "service_plan", "service_plan.service_offering", "service_plan.service_offering.service_broker",
	},
}

// lastOperation says how making or changing something went: at once.
type lastOperation struct {
	Type        string `json:"type"`
	State       string `json:"state"`
	Description string `json:"description"`
	CreatedAt   stamp  `json:"created_at"`
	UpdatedAt   stamp  `json:"updated_at"`
}

func lastly(created, updated time.Time) lastOperation {
	kind := "create"
	if updated.After(created) {
		kind = "update"
	}
	return lastOperation{kind, "succeeded", "Operation succeeded", stamp(updated), stamp(updated)}
}

type serviceResource struct {
	resource
	Name          string           `json:"name"`
	Type          string           `json:"type"`
	Tags          []string         `json:"tags"`
	LastOperation lastOperation    `json:"last_operation"`
	Drain         *string          `json:"syslog_drain_url"`
	RouteURL      *string          `json:"route_service_url"`
	Relationships map[string]toOne `json:"relationships"`
	Included      map[string]any   `json:"included,omitempty"`
}

func (c *call) serviceResource(s shownService) serviceResource {
	path := "/v3/service_instances/" + string(s.ID)
	out := serviceResource{
		resource: c.thing(string(s.ID), s.Created, s.Updated, path).with(c, "space", "/v3/spaces/"+string(s.Space)).with(c, "credentials", path+"/credentials").
			with(c, "service_credential_bindings", "/v3/service_credential_bindings?service_instance_guids="+string(s.ID)).
			with(c, "service_route_bindings", "/v3/service_route_bindings?service_instance_guids="+string(s.ID)),
		Name: s.Name, Type: service.UserProvided, Tags: s.Tags, LastOperation: lastly(s.Created, s.Updated),
		Drain: orNull(s.Drain), RouteURL: orNull(s.RouteURL), Relationships: map[string]toOne{"space": one(string(s.Space))},
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	return out
}

// services are those of the spaces that who asks may see.
func (d *Door) services(c *call, spaces map[app.SpaceID]app.Space) ([]shownService, error) {
	all, err := d.Provided.Services(c.ctx())
	if err != nil {
		return nil, err
	}
	var out []shownService
	for _, s := range all {
		if space, seen := spaces[s.Space]; seen {
			out = append(out, shownService{s, space.Org})
		}
	}
	return out, nil
}

func (d *Door) listServices(c *call) error {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	all, err := d.services(c, spaces)
	if err != nil {
		return err
	}
	return showing(c, serviceList, all, c.serviceResource, func(some []shownService) (map[string]any, error) {
		return d.fieldsOf(c, some, spaces)
	})
}

// fieldsOf are what services belong to, with the fields that were asked for.
func (d *Door) fieldsOf(c *call, some []shownService, spaces map[app.SpaceID]app.Space) (map[string]any, error) {
	q := c.r.URL.Query()
	out := map[string]any{}
	for _, name := range []string{"service_plan", "service_plan.service_offering", "service_plan.service_offering.service_broker"} {
		if q.Has("fields[" + name + "]") {
			out[name[strings.LastIndex(name, ".")+1:]+"s"] = []any{}
		}
	}
	if want := values(q, "fields[space]"); q.Has("fields[space]") {
		shown := []map[string]any{}
		seen := map[app.SpaceID]bool{}
		for _, s := range some {
			if at := spaces[s.Space]; !seen[s.Space] {
				seen[s.Space] = true
				shown = append(shown, only(map[string]any{
					"guid": at.ID, "name": at.Name, "relationships.organization": nil, "relationships": map[string]toOne{"organization": one(string(at.Org))},
				}, want))
			}
		}
		out["spaces"] = shown
	}
	if want := values(q, "fields[space.organization]"); q.Has("fields[space.organization]") {
		shown := []map[string]any{}
		seen := map[app.OrgID]bool{}
		for _, s := range some {
			if seen[s.org] {
				continue
			}
			seen[s.org] = true
			org, err := d.Places.Org(c.ctx(), s.org)
			if err != nil {
				return nil, err
			}
			shown = append(shown, only(map[string]any{"guid": org.ID, "name": org.Name}, want))
		}
		out["organizations"] = shown
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	return out, nil
}

// only keeps the fields that were asked for. The one below relationships brings
// those.
func only(all map[string]any, want []string) map[string]any {
	out := map[string]any{}
	for _, name := range want {
		if v, ok := all[name]; ok && v != nil {
			out[name] = v
		}
		if strings.HasPrefix(name, "relationships.") {
			out["relationships"] = all["relationships"]
		}
	}
	return out
}

// service finds a service with which who asks may do something.
func (d *Door) service(c *call, guid string, do auth.Action) (shownService, place, error) {
	s, err := d.Provided.Service(c.ctx(), service.ID(guid))
	if err != nil {
		return shownService{}, place{}, gone(err, "Service instance")
	}
	p, err := d.placeOf(c.ctx(), s.Space)
	if err != nil {
		return shownService{}, p, gone(err, "Service instance")
	}
	return shownService{s, p.org.ID}, p, c.allowed(do, p, "Service instance")
}

func (d *Door) getService(c *call) error {
	s, p, err := d.service(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	out := c.serviceResource(s)
	if out.Included, err = d.fieldsOf(c, []shownService{s}, map[app.SpaceID]app.Space{p.space.ID: p.space}); err != nil {
		return err
	}
	return c.ok(out)
}

func (d *Door) getServiceCredentials(c *call) error {
	s, _, err := d.service(c, c.guid(), auth.CredentialRead)
	if err != nil {
		return err
	}
	content, err := d.Provided.Content(c.ctx(), s.ID)
	if err != nil {
		return err
	}
	return c.ok(json.RawMessage(content.JSON()))
}

var noParameters = problem{http.StatusBadRequest, 120004, "CF-ServiceFetchInstanceParametersNotSupported", "This service does not support fetching service instance parameters."}

func (d *Door) getServiceParameters(c *call) error {
	if _, _, err := d.service(c, c.guid(), auth.SpaceRead); err != nil {
		return err
	}
	return noParameters
}

// getServicePermissions tells dashboards of services what somebody may do.
func (d *Door) getServicePermissions(c *call) error {
	s, err := d.Provided.Service(c.ctx(), service.ID(c.guid()))
	if err != nil {
		return gone(err, "Service instance")
	}
	p, err := d.placeOf(c.ctx(), s.Space)
	if err != nil {
		return gone(err, "Service instance")
	}
	return c.ok(map[string]bool{"manage": c.can(auth.AppWrite, p), "read": c.can(auth.SpaceRead, p)})
}

func (d *Door) getSharedSpaces(c *call) error {
	s, _, err := d.service(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{"data": []ref{}, "links": map[string]link{"self": {Href: c.at.api + "/v3/service_instances/" + string(s.ID) + "/relationships/shared_spaces"}}})
}

func (d *Door) getSharedUsage(c *call) error {
	s, _, err := d.service(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	path := c.at.api + "/v3/service_instances/" + string(s.ID)
	return c.ok(map[string]any{"usage_summary": []any{}, "links": map[string]link{
		"self": {Href: path + "/relationships/shared_spaces/usage_summary"}, "shared_spaces": {Href: path + "/relationships/shared_spaces"}, "service_instance": {Href: path},
	}})
}

func (d *Door) shareService(c *call) error {
	if _, _, err := d.service(c, c.guid(), auth.AppWrite); err != nil {
		return err
	}
	return unprocessable.saying("User-provided services cannot be shared. Make one of the same credentials in the other space: cf create-user-provided-service NAME -p CREDENTIALS")
}

func (d *Door) unshareService(c *call) error {
	if _, _, err := d.service(c, c.guid(), auth.AppWrite); err != nil {
		return err
	}
	return unprocessable.saying("Unable to unshare service instance from space " + c.r.PathValue("space_guid") +
		". Ensure the space exists and the service instance has been shared to this space.")
}

// servicesByID are services of spaces that who asks may see.
func (d *Door) servicesByID(c *call, spaces map[app.SpaceID]app.Space, want ...service.ID) (map[service.ID]shownService, error) {
	all, err := d.services(c, spaces)
	out := map[service.ID]shownService{}
	for _, s := range all {
		if len(want) == 0 || slices.Contains(want, s.ID) {
			out[s.ID] = s
		}
	}
	return out, err
}
