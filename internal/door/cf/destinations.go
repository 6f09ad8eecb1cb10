package cf

import (
	"fmt"
	"net/http"
	"slices"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
)

func destinationRoutes() []endpoint {
	return []endpoint{
		{pattern: "PATCH /v3/routes/{guid}/destinations", do: (*Door).replaceDestinations},
		{pattern: "PATCH /v3/routes/{guid}/destinations/{destination}", do: (*Door).changeDestination},
		{pattern: "GET /v3/routes/{guid}/relationships/shared_spaces", do: (*Door).sharedSpaces},
		{pattern: "POST /v3/routes/{guid}/relationships/shared_spaces", do: (*Door).noSharing},
		{pattern: "DELETE /v3/routes/{guid}/relationships/shared_spaces/{space}", do: (*Door).noSharing},
		{pattern: "PATCH /v3/routes/{guid}/relationships/space", do: (*Door).noMoving},
	}
}

// replaceDestinations gives a route these destinations and no others. Either all
// have weights, which come to 100, or none has.
func (d *Door) replaceDestinations(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	var in struct {
		Destinations []destinationInput `json:"destinations"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if err := destined(in.Destinations, 0); err != nil {
		return err
	}
	had := r.Destinations
	for _, to := range in.Destinations {
		if err := d.lead(c, r, to); err != nil {
			return err
		}
	}
	for _, old := range had {
		if slices.ContainsFunc(in.Destinations, func(to destinationInput) bool { return to.means(old) }) {
			continue
		}
		if err := d.Mapper.FreeRoute(c.ctx(), c.by(), r.ID, old.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return d.getDestinations(c)
}

// destined refuses destinations that no route can have, all at once: at least least of
// them, and weights only where all are replaced, which may leave none.
func destined(all []destinationInput, least int) error {
	if len(all) < least || len(all) > 100 {
		return unprocessable.saying(fmt.Sprintf("Destinations must be an array containing between %d and 100 destination objects.", least))
	}
	var wrong []string
	weights, sum := 0, 0
	for i, to := range all {
		say := func(text string) { wrong = append(wrong, fmt.Sprintf("Destinations[%d]: %s", i, text)) }
		switch {
		case to.Weight == nil:
		case least > 0:
			say("weighted destinations can only be used when replacing all destinations.")
		case *to.Weight < 1 || *to.Weight > 100:
			say("weight must be a positive integer between 1 and 100.")
		default:
			weights, sum = weights+1, sum+*to.Weight
		}
		if to.Port != nil && (*to.Port < 1 || *to.Port > 65535) { // an image may listen below 1024 here
			say("port must be a positive integer between 1024 and 65535 inclusive.")
		}
		if !slices.Contains([]string{"", "http1", "http2", "tcp"}, to.Protocol) {
			say("protocol must be 'http1', 'http2' or 'tcp'.")
		}
	}
	switch {
	case len(wrong) > 0:
	case weights > 0 && weights < len(all):
		wrong = append(wrong, "Destinations cannot contain both weighted and unweighted destinations.")
	case weights > 0 && sum != 100:
		wrong = append(wrong, "Destinations must have weights that sum to 100.")
	}
	return allWrong(wrong)
}

// means reports whether a destination is the one that is asked for.
func (in destinationInput) means(to route.Destination) bool {
	process, port := in.App.Process.Type, 0
	if process == "" {
		process = "web"
	}
	if in.Port != nil {
		port = *in.Port
	}
	have := to.Process
	if have == "" {
		have = "web"
	}
	return in.App.GUID == string(to.App) && process == have && port == to.Port
}

// changeDestination changes what the instances of a destination speak.
func (d *Door) changeDestination(c *call) error {
	r, err := d.writable(c)
	if err != nil {
		return err
	}
	var in struct {
		Protocol *string `json:"protocol"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	i := slices.IndexFunc(r.Destinations, func(to route.Destination) bool { return to.ID == c.r.PathValue("destination") })
	if i < 0 {
		return unprocessable.saying("Unable to update destination. Ensure the route has a destination with this guid.")
	}
	old := r.Destinations[i]
	to := client.NewRoute{Host: r.Host, Path: r.Path, Process: old.Process, Port: old.Port, Weight: int(old.Weight)}
	switch {
	case r.TCP != nil:
		return unprocessable.saying("Destination protocol must be 'tcp' for routes with ports")
	case in.Protocol == nil, *in.Protocol == "http1":
	case *in.Protocol == "http2":
		to.Protocol = route.HTTP2
	default:
		return unprocessable.saying("Destination protocol must be 'http1' or 'http2'")
	}
	now, err := d.Mapper.MapRoute(c.ctx(), c.by(), old.App, to)
	if err != nil {
		return err
	}
	i = slices.IndexFunc(now.Destinations, func(to route.Destination) bool { return to.ID == old.ID })
	if i < 0 {
		return missing("Destination")
	}
	return c.ok(r.destination(now.Destinations[i]))
}

func (d *Door) sharedSpaces(c *call) error {
	if _, err := d.route(c); err != nil {
		return err
	}
	return c.ok(map[string]any{"data": []ref{}, "links": map[string]link{"self": {Href: c.at.api + c.r.URL.Path}}})
}

// disabled is the answer where a feature of Cloud Foundry's is off.
func disabled(feature string) problem {
	return problem{http.StatusForbidden, 330002, "CF-FeatureDisabled", "Feature Disabled: " + feature}
}

func (d *Door) noSharing(c *call) error {
	if _, err := d.writable(c); err != nil {
		return err
	}
	return disabled("route_sharing")
}

// noMoving answers that a route stays in its space.
func (d *Door) noMoving(c *call) error {
	r, err := d.route(c)
	if err != nil {
		return err
	}
	if !auth.Can(c.who, auth.AppWrite, r.org, r.Space) {
		return notAuthorized
	}
	return unprocessable.saying("A route of naru's stays in its space: delete it here and create it there (cf delete-route, cf create-route)")
}
