package cf

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"naru/internal/app/service"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/provide"
	"naru/internal/secret"
)

// givenService is what a request says of a service. What is null is taken away,
// what is absent stays.
type givenService struct {
	Type          string           `json:"type"`
	Name          *string          `json:"name"`
	Tags          *[]string        `json:"tags"`
	Credentials   json.RawMessage  `json:"credentials"`
	Drain         json.RawMessage  `json:"syslog_drain_url"`
	RouteURL      json.RawMessage  `json:"route_service_url"`
	Relationships map[string]toOne `json:"relationships"`
}

var null = []byte("null")

func (in givenService) change() (provide.Change, error) {
	out := provide.Change{Name: in.Name, Tags: in.Tags}
	for _, one := range []struct {
		raw json.RawMessage
		to  **string
	}{{in.Drain, &out.Drain}, {in.RouteURL, &out.RouteURL}} {
		if len(one.raw) == 0 {
			continue
		}
		text := ""
		if !bytes.Equal(one.raw, null) && json.Unmarshal(one.raw, &text) != nil {
			return out, badMessage
		}
		*one.to = &text
	}
	if len(in.Credentials) > 0 {
		text := secret.New(string(in.Credentials))
		if bytes.Equal(in.Credentials, null) {
			text = secret.New("{}")
		}
		out.Credentials = &text
	}
	return out, nil
}

// warn says what is kept and has no effect; the client shows it.
func (c *call) warn(in provide.Change) {
	if in.RouteURL != nil && *in.RouteURL != "" {
		c.w.Header().Set("X-Cf-Warnings", "naru%20keeps%20the%20route%20service%20URL%20and%20sends%20no%20request%20there")
	}
}

const noManaged = "naru has no marketplace, so there is no plan to make a service of. Run it yourself, or take one that runs, and tell apps of it: cf create-user-provided-service NAME -p CREDENTIALS"

func (d *Door) createService(c *call) error {
	var in givenService
	if err := c.decode(&in); err != nil {
		return err
	}
	space := in.Relationships["space"].guid()
	if space == "" || in.Name == nil || in.Type == "" {
		return unprocessable.saying("A service instance needs type, name and relationships.space")
	}
	p, err := d.space(c, space, auth.SpaceRead)
	if err != nil {
		return unprocessable.saying("Invalid space. Ensure that the space exists and you have access to it.")
	}
	if err := c.allowed(auth.AppWrite, p, "Space"); err != nil {
		return err
	}
	if in.Type != service.UserProvided {
		return unprocessable.saying(noManaged)
	}
	change, err := in.change()
	if err != nil {
		return err
	}
	s, err := d.Provided.CreateService(c.ctx(), c.by(), p.space.ID, change)
	if err != nil {
		return takenName(err, *in.Name)
	}
	c.warn(change)
	return c.made(c.serviceResource(shownService{s, p.org.ID}))
}

// takenName says in the client's words that a service's name is in use.
func takenName(err error, name string) error {
	if f := fault.Of(err); f.Kind == fault.Conflict && f.Field == "name" && strings.Contains(f.Message, "already") {
		return unprocessable.saying("The service instance name is taken: " + name + ".")
	}
	return err
}

func (d *Door) changeService(c *call) error {
	s, p, err := d.service(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	var in givenService
	if err := c.decode(&in); err != nil {
		return err
	}
	change, err := in.change()
	if err != nil {
		return err
	}
	changed, err := d.Provided.ChangeService(c.ctx(), c.by(), s.ID, change)
	if err != nil {
		if in.Name != nil {
			err = takenName(err, *in.Name)
		}
		return err
	}
	c.warn(change)
	return c.ok(c.serviceResource(shownService{changed, p.org.ID}))
}

// deleteService takes a service from the apps that have it and forgets it, as in
// Cloud Foundry.
func (d *Door) deleteService(c *call) error {
	s, _, err := d.service(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	bound, err := d.Provided.Bindings(c.ctx(), service.Find{Services: []service.ID{s.ID}})
	if err != nil {
		return err
	}
	for _, b := range bound {
		if err := d.Provided.Unbind(c.ctx(), c.by(), b); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if err := d.Provided.DropService(c.ctx(), c.by(), s.ID); err != nil {
		return err
	}
	return c.nothing()
}

// nothing answers that it is done.
func (c *call) nothing() error { c.w.WriteHeader(http.StatusNoContent); return nil }
