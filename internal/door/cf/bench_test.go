package cf_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkApps is what the server does for "cf apps" in a space of 1,000 apps
// that run: the list, its processes page by page, its routes in batches. What the
// client makes of the answers is not in it.
func BenchmarkApps(b *testing.B) {
	w := newWorld(b)
	var ids []string
	for i := range 1000 {
		ids = append(ids, string(w.shop(fmt.Sprintf("app-%04d", i)).ID))
	}
	w.login("admin")
	space := string(w.space.ID)
	var asked []*http.Request
	get := func(path string) {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, w.url+path, http.NoBody)
		r.Header.Set("Authorization", "bearer "+w.token)
		asked = append(asked, r)
	}
	get("/v3/apps?order_by=name&per_page=5000&space_guids=" + space)
	for page := 1; page <= 20; page++ {
		get(fmt.Sprintf("/v3/processes?embed=process_instances&space_guids=%s&page=%d&per_page=50", space, page))
	}
	for from := 0; from < len(ids); from += 200 {
		get("/v3/routes?per_page=5000&app_guids=" + strings.Join(ids[from:from+200], ","))
	}
	for b.Loop() {
		for _, r := range asked {
			answer := httptest.NewRecorder()
			if w.door.ServeHTTP(answer, r); answer.Code != http.StatusOK {
				b.Fatalf("%s: got %d %s", r.URL, answer.Code, answer.Body)
			}
		}
	}
}
