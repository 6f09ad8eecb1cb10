package cf_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"naru/internal/auth"
)

// guids are those of the things of a list.
func guids(answer map[string]any) []string {
	var out []string
	all, _ := answer["resources"].([]any)
	for _, r := range all {
		one, _ := r.(map[string]any)
		out = append(out, fmt.Sprint(one["guid"]))
	}
	return out
}

// A client that pages meets every process that was there at its first page once,
// whatever comes and goes meanwhile; what went is left out, and a first page shows
// what is there now.
func TestPagesAreCutFromOneList(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	var ids []string
	for _, name := range []string{"a", "b", "c", "d"} {
		ids = append(ids, string(w.shop(name).ID))
	}
	at := func(page int) []string {
		return guids(w.ask(http.StatusOK, "GET", fmt.Sprintf("/v3/processes?per_page=2&page=%d&order_by=-created_at", page), ""))
	}
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	same("first page", at(1), ids[3], ids[2])
	late := string(w.shop("e").ID) // comes before all others, and would push c onto the second page
	same("second page", at(2), ids[1], ids[0])
	same("read to its end, the list is read anew", at(2), ids[2], ids[1])
	same("first page again", at(1), late, ids[3])
	w.ask(http.StatusAccepted, "DELETE", "/v3/apps/"+ids[2], "")
	same("what went is left out", at(2), ids[1])
}

// Routes are cut so too, and from the list of one query alone.
func TestPagesAreThoseOfOneQuery(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	one, other := string(w.shop("one").ID), string(w.shop("other").ID)
	at := func(page int, apps string) int {
		return len(guids(w.ask(http.StatusOK, "GET", fmt.Sprintf("/v3/routes?per_page=1&page=%d&app_guids=%s", page, apps), "")))
	}
	for _, c := range []struct {
		page int
		apps string
		want int
	}{
		{1, one + "," + other, 1}, {2, one, 0}, {2, one + "," + other, 1}, {3, one + "," + other, 0},
	} {
		if got := at(c.page, c.apps); got != c.want {
			t.Errorf("page %d of %s has %d routes, want %d", c.page, c.apps, got, c.want)
		}
	}
}

// Who loses a role between two pages sees no more, and nobody gets another's list.
func TestPagesAreForThoseWhoMaySeeThem(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.shop(name)
	}
	role := auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID}
	dev := w.user("dev", role)
	w.user("stranger")
	const first, second = "/v3/processes?per_page=1&page=1", "/v3/processes?per_page=1&page=2"
	w.login("dev")
	if got := guids(w.ask(http.StatusOK, "GET", first, "")); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
	w.login("stranger")
	if got := guids(w.ask(http.StatusOK, "GET", second, "")); len(got) != 0 {
		t.Errorf("a stranger got %v", got)
	}
	must(t, w.store.Ungrant(t.Context(), dev.ID, role))
	w.login("dev")
	if got := guids(w.ask(http.StatusOK, "GET", second, "")); len(got) != 0 {
		t.Errorf("without the role there are %v", got)
	}
}
