package cf_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"naru/internal/auth"
)

// names are those of the things of a list.
func names(answer map[string]any) string {
	var out []string
	all, _ := answer["resources"].([]any)
	for _, r := range all {
		one, _ := r.(map[string]any)
		out = append(out, fmt.Sprint(one["name"]))
	}
	return strings.Join(out, " ")
}

func TestListsAreFilteredOrderedAndCutIntoPages(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for _, name := range []string{"cherry", "apple", "b,c"} {
		w.ask(http.StatusCreated, "POST", "/v3/organizations", `{"name":"`+name+`"}`)
	}
	for _, c := range []struct{ query, want string }{
		{"", "default cherry apple b,c"},
		{"order_by=name", "apple b,c cherry default"},
		{"order_by=-name", "default cherry b,c apple"},
		{"order_by=%2Bname&page=2&per_page=3", "default"},
		{"names=apple,cherry", "cherry apple"},
		{"names=b%252Cc", "b,c"},
		{"names=", ""},
		{"names=apple&guids=" + string(w.org.ID), ""},
		{"guids=" + string(w.org.ID), "default"},
		{"label_selector=a", ""},
		{"label_selector=!a,b!=c,d%20notin%20(e,f)", "default cherry apple b,c"},
		{"created_ats[gt]=2020-01-01T00:00:00Z", "default cherry apple b,c"},
		{"created_ats[lt]=2020-01-01T00:00:00Z", ""},
		{"page=9", ""},
	} {
		t.Run(c.query, func(t *testing.T) {
			if got := names(w.ask(http.StatusOK, "GET", "/v3/organizations?"+c.query, "")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPagesLeadToTheNext(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for i := range 6 {
		w.ask(http.StatusCreated, "POST", "/v3/organizations", fmt.Sprintf(`{"name":"org-%d"}`, i))
	}
	next, seen := w.url+"/v3/organizations?order_by=name&per_page=3", []string{}
	for next != "" {
		u, err := url.Parse(next)
		must(t, err)
		if u.Host != strings.TrimPrefix(w.url, "http://") {
			t.Fatalf("%s is no address of the door's", next)
		}
		answer := w.ask(http.StatusOK, "GET", u.RequestURI(), "")
		seen = append(seen, strings.Fields(names(answer))...)
		next = ""
		if at, ok := answer["pagination"].(map[string]any)["next"].(map[string]any); ok {
			next, _ = at["href"].(string)
		}
	}
	if len(seen) != 7 || !slices.IsSorted(seen) {
		t.Errorf("pages held %v", seen)
	}
}

func TestWrongQueries(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	for _, query := range []string{
		"page=0", "page=x", "per_page=5001", "per_page=0", "order_by=size", "nonsense=1", "label_selector=a+b", "label_selector=a%20in%20b",
		"created_ats[about]=2020-01-01T00:00:00Z", "created_ats=yesterday", "names[not]=a",
	} {
		t.Run(query, func(t *testing.T) {
			if got := title(w.ask(http.StatusBadRequest, "GET", "/v3/organizations?"+query, "")); got != "CF-BadQueryParameter" {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestIncludedThingsComeOnce(t *testing.T) {
	w := newWorld(t)
	w.shop("one")
	w.shop("two")
	w.login("admin")
	answer := w.ask(http.StatusOK, "GET", "/v3/apps?include=space.organization", "")
	included, _ := answer["included"].(map[string]any)
	for _, kind := range []string{"spaces", "organizations"} {
		if all, _ := included[kind].([]any); len(all) != 1 {
			t.Errorf("%s: %v", kind, included[kind])
		}
	}
}

func TestWhoMaySeeWhat(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.user("stranger")
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	w.user("developer", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	one, space, org := "/v3/apps/"+string(a.ID), "/v3/spaces/"+string(w.space.ID), "/v3/organizations/"+string(w.org.ID)
	for _, c := range []struct {
		method, path, body             string
		stranger, auditor, dev, nobody int
	}{
		{"GET", one, "", 404, 200, 200, 401},
		{"GET", one + "/env", "", 404, 403, 200, 401},
		{"GET", one + "/processes/web/stats", "", 404, 200, 200, 401},
		{"PATCH", one + "/environment_variables", `{"var":{"A":"1"}}`, 404, 403, 200, 401},
		{"POST", one + "/processes/web/actions/scale", `{"instances":1}`, 404, 403, 202, 401},
		{"GET", "/api/v1/read/" + string(a.ID), "", 404, 200, 200, 401},
		{"GET", space, "", 404, 200, 200, 401},
		{"PATCH", space, `{"name":"x"}`, 404, 403, 403, 401},
		{"DELETE", space, "", 404, 403, 403, 401},
		{"GET", org, "", 404, 200, 200, 401},
		{"PATCH", org, `{"name":"x"}`, 404, 403, 403, 401},
		{"POST", "/v3/organizations", `{"name":"x"}`, 403, 403, 403, 401},
		{"POST", "/v3/spaces", `{"name":"x","relationships":{"organization":{"data":{"guid":"` + string(w.org.ID) + `"}}}}`, 422, 403, 403, 401},
		{"POST", "/uaa/Users", `{"userName":"x","password":"long enough for it"}`, 403, 403, 403, 401},
		{"GET", "/v3/jobs/" + string(a.ID), "", 404, 404, 404, 401},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			for name, want := range map[string]int{"stranger": c.stranger, "auditor": c.auditor, "developer": c.dev, "": c.nobody} {
				if w.token = ""; name != "" {
					w.login(name)
				}
				if status, _, answer := w.do(c.method, c.path, c.body); status != want {
					t.Errorf("%q: got %d %v, want %d", name, status, answer, want)
				}
			}
		})
	}
	w.login("stranger")
	for _, kind := range []string{"apps", "spaces", "organizations", "routes", "processes", "droplets", "roles", "audit_events", "deployments"} {
		answer := w.ask(http.StatusOK, "GET", "/v3/"+kind, "")
		if all, _ := answer["resources"].([]any); len(all) != 0 {
			t.Errorf("a stranger sees %s: %v", kind, all)
		}
	}
}
