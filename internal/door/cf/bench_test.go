package cf_test

import (
	"fmt"
	"net/http"
	"testing"
)

// BenchmarkApps is what the server does for "cf apps" in a space of 1,000 apps
// that run: the list, its processes page by page, its routes in batches.
func BenchmarkApps(b *testing.B) {
	w := newWorld(b)
	for i := range 1000 {
		w.shop(fmt.Sprintf("app-%04d", i))
	}
	w.login("admin")
	space := string(w.space.ID)
	b.ResetTimer()
	for range b.N {
		apps := w.ask(http.StatusOK, "GET", "/v3/apps?order_by=name&per_page=5000&space_guids="+space, "")
		for page := 1; page <= 20; page++ {
			w.ask(http.StatusOK, "GET", fmt.Sprintf("/v3/processes?embed=process_instances&space_guids=%s&page=%d&per_page=50", space, page), "")
		}
		all, _ := apps["resources"].([]any)
		for from := 0; from < len(all); from += 200 {
			ids := ""
			for _, a := range all[from : from+200] {
				one, _ := a.(map[string]any)
				ids += fmt.Sprint(one["guid"]) + ","
			}
			w.ask(http.StatusOK, "GET", "/v3/routes?per_page=5000&app_guids="+ids[:len(ids)-1], "")
		}
	}
}
