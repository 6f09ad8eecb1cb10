package cf

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth"
	"naru/internal/fault"
)

func serviceBindingRoutes() []endpoint {
	const one = "/v3/service_credential_bindings/{guid}"
	return []endpoint{
		{pattern: "GET /v3/service_credential_bindings", do: (*Door).listBindings},
		{pattern: "POST /v3/service_credential_bindings", do: (*Door).createBinding},
		{pattern: "GET " + one, do: (*Door).getBinding},
		{pattern: "PATCH " + one, do: (*Door).changeBinding},
		{pattern: "DELETE " + one, do: (*Door).deleteBinding},
		{pattern: "GET " + one + "/details", do: (*Door).getBindingDetails},
		{pattern: "GET " + one + "/parameters", do: (*Door).getBindingParameters},
	}
}

func noPlan(service.Standing) []string { return nil }

var bindingList = list[service.Standing]{
	filters: map[string]func(service.Standing) []string{
		"names":                  single(func(b service.Standing) string { return b.Name }),
		"type":                   single(func(service.Standing) string { return "app" }),
		"app_guids":              single(func(b service.Standing) string { return string(b.App) }),
		"app_names":              single(func(b service.Standing) string { return b.AppName }),
		"service_instance_guids": single(func(b service.Standing) string { return string(b.Service) }),
		"service_instance_names": single(func(b service.Standing) string { return b.ServiceName }),
		"service_plan_guids":     noPlan, "service_plan_names": noPlan, "service_offering_guids": noPlan, "service_offering_names": noPlan,
	},
	orders: map[string]func(service.Standing) string{"name": func(b service.Standing) string { return b.Name }},
	times:  func(b service.Standing) (time.Time, time.Time) { return b.Created, b.Created },
	guid:   func(b service.Standing) string { return string(b.ID) },

	includes: []string{"app", "service_instance"},
}

type bindingResource struct {
	resource
	Name          *string          `json:"name"`
	Type          string           `json:"type"`
	LastOperation lastOperation    `json:"last_operation"`
	Relationships map[string]toOne `json:"relationships"`
	Included      map[string]any   `json:"included,omitempty"`
}

func (c *call) bindingResource(b service.Standing) bindingResource {
	path := "/v3/service_credential_bindings/" + string(b.ID)
	return bindingResource{
		resource: c.thing(string(b.ID), b.Created, b.Created, path).with(c, "details", path+"/details").
			with(c, "service_instance", "/v3/service_instances/"+string(b.Service)).with(c, "app", "/v3/apps/"+string(b.App)),
		Name: orNull(b.Name), Type: "app", LastOperation: lastly(b.Created, b.Created),
		Relationships: map[string]toOne{"app": one(string(b.App)), "service_instance": one(string(b.Service))},
	}
}

func (d *Door) listBindings(c *call) error {
	spaces, err := d.spaces(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	all, err := d.Provided.Bindings(c.ctx(), service.Find{})
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b service.Standing) bool { _, seen := spaces[b.Space]; return !seen })
	return showing(c, bindingList, all, c.bindingResource, func(some []service.Standing) (map[string]any, error) {
		return d.endsOf(c, some, spaces)
	})
}

// endsOf are the apps and services of bindings, where they were asked for.
func (d *Door) endsOf(c *call, some []service.Standing, spaces map[app.SpaceID]app.Space) (map[string]any, error) {
	q := c.r.URL.Query()
	out := map[string]any{}
	if asked(q, "include", "app") {
		ids := slices.Compact(slices.Sorted(slices.Values(each(some, func(b service.Standing) app.ID { return b.App }))))
		apps, err := d.Apps.AppsByID(c.ctx(), ids...)
		if err != nil {
			return nil, err
		}
		shown, err := d.shown(c.ctx(), spaces, apps)
		if err != nil {
			return nil, err
		}
		out["apps"] = each(shown, c.appResource)
	}
	if asked(q, "include", "service_instance") {
		ids := slices.Compact(slices.Sorted(slices.Values(each(some, func(b service.Standing) service.ID { return b.Service }))))
		shown := []serviceResource{}
		if len(ids) > 0 {
			all, err := d.servicesByID(c, spaces, ids...)
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				shown = append(shown, c.serviceResource(all[id]))
			}
		}
		out["service_instances"] = shown
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // nothing was asked for
	}
	return out, nil
}

// binding finds a binding with which who asks may do something.
func (d *Door) binding(c *call, do auth.Action) (service.Standing, place, error) {
	const thing = "Service credential binding"
	all, err := d.Provided.Bindings(c.ctx(), service.Find{IDs: []service.BindingID{service.BindingID(c.guid())}})
	if err != nil || len(all) == 0 {
		return service.Standing{}, place{}, gone(err, thing)
	}
	p, err := d.placeOf(c.ctx(), all[0].Space)
	if err != nil {
		return all[0], p, gone(err, thing)
	}
	return all[0], p, c.allowed(do, p, thing)
}

func (d *Door) getBinding(c *call) error {
	b, p, err := d.binding(c, auth.SpaceRead)
	if err != nil {
		return err
	}
	out := c.bindingResource(b)
	if out.Included, err = d.endsOf(c, []service.Standing{b}, map[app.SpaceID]app.Space{p.space.ID: p.space}); err != nil {
		return err
	}
	return c.ok(out)
}

// createBinding binds at once, as Cloud Foundry does where no broker is asked.
func (d *Door) createBinding(c *call) error {
	var in struct {
		Type          string           `json:"type"`
		Name          string           `json:"name"`
		Parameters    json.RawMessage  `json:"parameters"`
		Strategy      string           `json:"strategy"`
		Relationships map[string]toOne `json:"relationships"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	of := in.Relationships["service_instance"].guid()
	if of == "" {
		return unprocessable.saying("Relationships can't be blank, Relationships Service instance can't be blank")
	}
	one, _, err := d.service(c, of, auth.SpaceRead)
	if err != nil {
		return unprocessable.saying("The service instance could not be found: '" + of + "'")
	}
	if in.Type == "key" {
		return unprocessable.saying("Service credential bindings of type 'key' are not supported for user-provided service instances.")
	}
	to := in.Relationships["app"].guid()
	if in.Type != "app" || to == "" {
		return unprocessable.saying("No app was specified")
	}
	a, err := d.app(c, to, auth.SpaceRead)
	if err != nil {
		return unprocessable.saying("The app could not be found: '" + to + "'")
	}
	if a, err = d.app(c, to, auth.AppConfigure); err != nil {
		return err
	}
	if a.Space != one.Space {
		return unprocessable.saying("The service instance and the app are in different spaces")
	}
	if len(in.Parameters) > 0 && !bytes.Equal(in.Parameters, null) {
		return unprocessable.saying("Binding parameters are not supported for user-provided service instances")
	}
	b, err := d.Provided.Bind(c.ctx(), c.by(), a.ID, one.ID, in.Name)
	if f := fault.Of(err); err != nil && f.Kind == fault.Conflict {
		switch {
		case f.Field == "service" && in.Strategy == "multiple":
			return unprocessable.saying("The app has too many bindings to this service instance (limit: 1). Consider deleting existing/orphaned bindings.")
		case f.Field == "service":
			return unprocessable.saying("The app is already bound to the service instance")
		case f.Field == "binding_name":
			return unprocessable.saying("The binding name is invalid. App binding names must be unique. The app already has a binding with name '" + in.Name + "'.")
		}
	}
	if err != nil {
		return err
	}
	return c.made(c.bindingResource(service.Standing{Binding: b, ServiceName: one.Name, AppName: a.Name, Space: a.Space}))
}

// changeBinding takes what clients send and naru has nowhere to put.
func (d *Door) changeBinding(c *call) error {
	b, _, err := d.binding(c, auth.AppWrite)
	if err != nil {
		return err
	}
	var in struct {
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.ok(c.bindingResource(b))
}

func (d *Door) deleteBinding(c *call) error {
	b, _, err := d.binding(c, auth.AppConfigure)
	if err != nil {
		return err
	}
	if err := d.Provided.Unbind(c.ctx(), c.by(), b); err != nil {
		return gone(err, "Service credential binding")
	}
	return c.nothing()
}

func (d *Door) getBindingDetails(c *call) error {
	b, _, err := d.binding(c, auth.CredentialRead)
	if err != nil {
		return err
	}
	content, err := d.Provided.Content(c.ctx(), b.Service)
	if err != nil {
		return err
	}
	out := map[string]any{"credentials": json.RawMessage(content.JSON()), "volume_mounts": []any{}}
	if content.Drain != "" {
		out["syslog_drain_url"] = content.Drain
	}
	return c.ok(out)
}

var noBindingParameters = problem{http.StatusBadRequest, 90007, "CF-ServiceFetchBindingParametersNotSupported", "This service does not support fetching service binding parameters."}

func (d *Door) getBindingParameters(c *call) error {
	if _, _, err := d.binding(c, auth.EnvRead); err != nil {
		return err
	}
	return noBindingParameters
}
