package cf_test

import (
	"fmt"
	"strings"
	"testing"
)

// A name that is taken is told as when something new would have it, and not in
// place of another reason.
func TestNamesThatAreTaken(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	ofOrg := func(o any) string {
		return fmt.Sprintf(`"relationships":{"organization":{"data":{"guid":%q}}}`, o)
	}
	acme := w.ask(201, "POST", "/v3/organizations", `{"name":"acme"}`)["guid"]
	empty := w.ask(201, "POST", "/v3/spaces", `{"name":"empty",`+ofOrg(acme)+`}`)["guid"]
	w.ask(201, "POST", "/v3/spaces", `{"name":"full",`+ofOrg(acme)+`}`)
	w.ask(201, "POST", "/v3/domains", `{"name":"acme.example",`+ofOrg(acme)+`}`)
	w.shop("shop")
	for _, c := range []struct{ method, path, body, want string }{
		{"PATCH", "/v3/organizations/" + fmt.Sprint(acme), fmt.Sprintf(`{"name":%q}`, w.org.Name), "Organization '" + w.org.Name + "' already exists."},
		{"PATCH", "/v3/spaces/" + fmt.Sprint(empty), `{"name":"full"}`, "Name must be unique per organization"},
		{"PATCH", "/v3/spaces/" + string(w.space.ID), `{"name":"other"}`, "there are 1 apps in it, and their images are kept below its present name"},
		{"POST", "/v3/domains", `{"name":"acme.example",` + ofOrg(acme) + `}`, `The domain name "acme.example" is already in use`},
	} {
		if got := fmt.Sprint(details(w.ask(422, c.method, c.path, c.body))); !strings.Contains(got, "CF-UnprocessableEntity "+c.want) {
			t.Errorf("%s %s: got %s\nwant %s", c.method, c.path, got, c.want)
		}
	}
}
