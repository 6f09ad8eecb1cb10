package cf

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/secret"
)

// SSH is what clients are told of the way into instances.
type SSH struct {
	Address     string // HOST:PORT; a host that means every address is shown as the name the client used; "": none
	Fingerprint string // of the host key: SHA-256 in base64 without padding
}

// Codes makes the passwords that work once; *ssh.Codes does.
type Codes interface {
	Issue(user auth.UserID) (secret.Secret, error)
}

// Features changes what apps and spaces allow; *store.Store does.
type Features interface {
	UpdateApp(ctx context.Context, a app.ID, change func(*app.App) error, evs ...event.Event) (app.App, error)
	UpdateSpace(ctx context.Context, space app.SpaceID, change func(*app.Space) error, evs ...event.Event) (app.Space, error)
}

func sshRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/apps/{guid}/ssh_enabled", do: (*Door).appSSH},
		{pattern: "GET /v3/apps/{guid}/features", do: (*Door).appFeatures},
		{pattern: "GET /v3/apps/{guid}/features/{name}", do: (*Door).appFeature},
		{pattern: "PATCH /v3/apps/{guid}/features/{name}", do: (*Door).changeAppFeature},
		{pattern: "GET /v3/spaces/{guid}/features", do: (*Door).spaceFeatures},
		{pattern: "GET /v3/spaces/{guid}/features/{name}", do: (*Door).spaceFeature},
		{pattern: "PATCH /v3/spaces/{guid}/features/{name}", do: (*Door).changeSpaceFeature},
	}
}

// sshClient is the client of the UAA that codes are made for.
const sshClient = "ssh-proxy"

// ssh says where the way into instances is; nil where there is none.
func (d *Door) ssh(c *call) *described {
	host, port, err := net.SplitHostPort(d.cfg.SSH.Address)
	if err != nil {
		return nil
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = hostname(c.r)
	}
	return &described{net.JoinHostPort(host, port), map[string]string{"host_key_fingerprint": d.cfg.SSH.Fingerprint, "oauth_client": sshClient}}
}

// authorize gives a one-time code for ssh, in the address of a redirection that
// clients read and do not follow.
func (d *Door) authorize(c *call) error {
	q := c.r.URL.Query()
	switch {
	case q.Get("response_type") != "code":
		return oauthError{http.StatusBadRequest, "unsupported_response_type", "Unsupported response types: naru gives codes"}
	case q.Get("client_id") != sshClient || d.cfg.SSH.Address == "":
		return oauthError{http.StatusUnauthorized, "invalid_client", "naru gives codes for ssh alone, where listen.ssh serves it"}
	}
	code, err := d.Codes.Issue(c.who.UserID)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", c.at.uaa+"/login?"+url.Values{"code": {code.Reveal()}}.Encode())
	c.w.WriteHeader(http.StatusFound)
	return nil
}

func (d *Door) appSSH(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	space, err := d.Places.Space(c.ctx(), a.Space)
	if err != nil {
		return err
	}
	reason := ""
	switch {
	case d.cfg.SSH.Address == "":
		reason = "Disabled globally"
	case space.NoSSH:
		reason = "Disabled for space"
	case a.NoSSH:
		reason = "Disabled for app"
	}
	return c.ok(map[string]any{"enabled": reason == "", "reason": reason})
}

// feature is something of an app or a space that is on or off.
type feature struct {
	Name    string `json:"name"`
	About   string `json:"description"`
	Enabled bool   `json:"enabled"`
}

// featuresOf are all of an app's; naru has revisions always and the last two never.
func featuresOf(a app.App) []feature {
	return []feature{
		{"ssh", "Enable SSHing into the app.", !a.NoSSH},
		{"revisions", "Enable versioning of an application", true},
		{"service-binding-k8s", "Enable k8s service bindings for the app", false},
		{"file-based-vcap-services", "Enable file-based VCAP service bindings for the app", false},
	}
}

func featuresOfSpace(s app.Space) []feature {
	return []feature{{"ssh", "Enable SSHing into apps in the space.", !s.NoSSH}}
}

// feature finds the one that the path names.
func (c *call) feature(all []feature) (feature, error) {
	for _, f := range all {
		if f.Name == c.r.PathValue("name") {
			return f, nil
		}
	}
	return feature{}, missing("Feature")
}

// wanted reads whether a feature is to be on.
func (c *call) wanted() (bool, error) {
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if err := c.decode(&in); err != nil {
		return false, err
	}
	if in.Enabled == nil {
		return false, unprocessable.saying("Enabled must be a boolean")
	}
	return *in.Enabled, nil
}

func (d *Door) appFeatures(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{"resources": featuresOf(a)})
}

func (d *Door) appFeature(c *call) error {
	a, err := d.app(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	f, err := c.feature(featuresOf(a))
	if err != nil {
		return err
	}
	return c.ok(f)
}

func (d *Door) changeAppFeature(c *call) error {
	a, err := d.app(c, c.guid(), auth.AppConfigure)
	if err != nil {
		return err
	}
	f, err := c.feature(featuresOf(a))
	if err != nil {
		return err
	}
	on, err := c.wanted()
	if err != nil {
		return err
	}
	if f.Name != "ssh" {
		if on != f.Enabled {
			return unprocessable.saying("naru cannot switch the feature " + f.Name)
		}
		return c.ok(f)
	}
	a, err = d.Features.UpdateApp(c.ctx(), a.ID, func(a *app.App) error { a.NoSSH = !on; return nil },
		event.Event{Kind: "app.configured", Actor: c.who.Name, Detail: map[string]any{"ssh": on}})
	if err != nil {
		return err
	}
	f, err = c.feature(featuresOf(a))
	if err != nil {
		return err
	}
	return c.ok(f)
}

func (d *Door) spaceFeatures(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return c.ok(map[string]any{"resources": featuresOfSpace(p.space)})
}

func (d *Door) spaceFeature(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	f, err := c.feature(featuresOfSpace(p.space))
	if err != nil {
		return err
	}
	return c.ok(f)
}

func (d *Door) changeSpaceFeature(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceManage)
	if err != nil {
		return err
	}
	if _, err := c.feature(featuresOfSpace(p.space)); err != nil {
		return err
	}
	on, err := c.wanted()
	if err != nil {
		return err
	}
	space, err := d.Features.UpdateSpace(c.ctx(), p.space.ID, func(s *app.Space) error { s.NoSSH = !on; return nil }, event.Event{
		Kind: "space.changed", Actor: c.who.Name, Space: string(p.space.ID), Subject: p.org.Name + "/" + p.space.Name, Detail: map[string]any{"ssh": on},
	})
	if err != nil {
		return err
	}
	return c.ok(featuresOfSpace(space)[0])
}
