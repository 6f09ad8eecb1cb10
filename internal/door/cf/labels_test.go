package cf_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"naru/internal/auth"
	"naru/internal/event"
)

// What is written on things is recorded, as what naru's own client writes is.
func TestLabelsAreRecorded(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.user("developer", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.login("developer")
	w.ask(http.StatusOK, "PATCH", "/v3/apps/"+string(a.ID), `{"metadata":{"labels":{"team":"checkout"},"annotations":{"note":"x"}}}`)
	w.ask(http.StatusOK, "PATCH", "/v3/apps/"+string(a.ID), `{"metadata":{}}`)
	if got, want := fmt.Sprint(w.recorded("app.labelled")), "[developer shop "+string(w.space.ID)+"]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	answer := w.ask(http.StatusOK, "GET", "/v3/audit_events?types=audit.app.update&target_guids="+string(a.ID), "")
	if all, _ := answer["resources"].([]any); len(all) != 1 {
		t.Errorf("told: %v", answer["resources"])
	}

	w.login("admin")
	domains, _ := w.ask(http.StatusOK, "GET", "/v3/domains?names=localhost", "")["resources"].([]any)
	path := "/v3/domains/" + domains[0].(map[string]any)["guid"].(string)
	w.ask(http.StatusOK, "PATCH", path, `{}`)
	if got := w.recorded("domain.labelled"); len(got) != 0 {
		t.Errorf("nothing was written: %v", got)
	}
	w.ask(http.StatusOK, "PATCH", path, `{"metadata":{"labels":{"a":"b"}}}`)
	if got := fmt.Sprint(w.recorded("domain.labelled")); got != "[admin localhost ]" {
		t.Errorf("got %s", got)
	}
	w.login("developer")
	for _, body := range []string{`{}`, `{"metadata":{"labels":{"a":null}}}`} {
		if got := title(w.ask(http.StatusForbidden, "PATCH", path, body)); got != "CF-NotAuthorized" {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestMetadataThatIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	for body, want := range map[string]string{
		`{"metadata":"x"}`: "Metadata must be an object", `{"metadata":[]}`: "Metadata must be an object",
		`{"metadata":{"labels":["a"]}}`: "Metadata 'labels' is not an object of texts", `{"metadata":{"annotations":{"a":1}}}`: "Metadata 'annotations' is not an object of texts",
		`{"metadata":{"labels":{"a b":""}}}`: "Metadata label key error: 'a b' contains invalid characters",
	} {
		for _, path := range []string{"/v3/apps/" + string(a.ID), "/v3/organizations/" + string(w.org.ID)} {
			answer := w.ask(http.StatusUnprocessableEntity, "PATCH", path, body)
			if got := fmt.Sprint(answer["errors"]); !strings.Contains(got, want) {
				t.Errorf("%s %s: %s, want %s", path, body, got, want)
			}
		}
	}
	for _, body := range []string{`{"metadata":null}`, `{"metadata":{"labels":null}}`, `{"metadata":{}}`} {
		w.ask(http.StatusOK, "PATCH", "/v3/apps/"+string(a.ID), body)
	}
}

// recorded are who did something of a kind to what, and where.
func (w *world) recorded(kind event.Kind) (out []string) {
	w.t.Helper()
	all, err := w.store.EventsBefore(w.t.Context(), "", "", kind, 0, 100)
	must(w.t, err)
	for _, ev := range all {
		out = append(out, ev.Actor+" "+ev.Subject+" "+ev.Space)
	}
	return out
}
