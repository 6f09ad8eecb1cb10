package cf

import (
	"cmp"

	"naru/internal/auth"
)

// marketRoutes are what a marketplace has, which naru is without: its lists are
// among those that are empty.
func marketRoutes() []endpoint {
	// Who may do such things anywhere learns why they cannot, others that they may not.
	refusing := func(do auth.Action, text string) func(*Door, *call) error {
		return func(d *Door, c *call) error {
			if spaces, err := d.spaces(c, do); err != nil || len(spaces) == 0 {
				return cmp.Or(err, error(notAuthorized))
			}
			return unprocessable.saying(text)
		}
	}
	lacking := func(thing string) func(*Door, *call) error {
		return func(*Door, *call) error { return missing(thing) }
	}
	const offering, plan, broker, route = "/v3/service_offerings/{guid}", "/v3/service_plans/{guid}", "/v3/service_brokers/{guid}", "/v3/service_route_bindings/{guid}"
	all := []endpoint{
		{pattern: "POST /v3/service_brokers", do: refusing(auth.AppWrite, "naru asks no service brokers. Tell apps of what runs elsewhere: cf create-user-provided-service NAME -p CREDENTIALS")},
		// Cloud Foundry's own words where an operator has switched them off.
		{pattern: "POST /v3/service_route_bindings", do: refusing(auth.AppConfigure, "Support for route services is disabled")},
	}
	for _, one := range []struct{ pattern, thing string }{
		{"GET " + offering, "Service offering"}, {"PATCH " + offering, "Service offering"}, {"DELETE " + offering, "Service offering"},
		{"GET " + plan, "Service plan"}, {"PATCH " + plan, "Service plan"}, {"DELETE " + plan, "Service plan"},
		{"GET " + plan + "/visibility", "Service plan"}, {"POST " + plan + "/visibility", "Service plan"}, {"PATCH " + plan + "/visibility", "Service plan"},
		{"DELETE " + plan + "/visibility/{org_guid}", "Service plan"},
		{"GET " + broker, "Service broker"}, {"PATCH " + broker, "Service broker"}, {"DELETE " + broker, "Service broker"},
		{"GET " + route, "Service route binding"}, {"PATCH " + route, "Service route binding"}, {"DELETE " + route, "Service route binding"},
		{"GET " + route + "/parameters", "Service route binding"},
	} {
		all = append(all, endpoint{pattern: one.pattern, do: lacking(one.thing)})
	}
	return all
}
