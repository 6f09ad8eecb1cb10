package cf_test

import (
	"net/http"
	"strings"
	"testing"
)

// A download leads to an address that serves the file without a login, that file
// alone, and only as the door made it.
func TestDownloadsLeadToAnAddress(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(url, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		if token != "" {
			req.Header.Set("Authorization", "bearer "+token)
		}
		res, err := stay.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		return res.StatusCode, res.Header.Get("Location")
	}
	status, at := get(w.url+"/v3/droplets/"+a.Image+"/download", w.token)
	if status != 302 || !strings.HasPrefix(at, w.url+"/v3/blobs/droplets/"+a.Image+"?") {
		t.Fatalf("got %d to %q", status, at)
	}
	path, query, _ := strings.Cut(at, "?")
	for name, c := range map[string]struct {
		url  string
		want int
	}{
		"as it is":         {at, 200},
		"without a ticket": {path, 404},
		"another file":     {strings.Replace(at, "droplets", "packages", 1), 404},
		"another time":     {path + "?" + strings.Replace(query, "until=", "until=9", 1), 404},
		"another ticket":   {strings.Replace(at, "signature=", "signature=0", 1), 404},
		"no time":          {path + "?until=x&" + query, 404},
	} {
		if status, _ := get(c.url, ""); status != c.want {
			t.Errorf("%s: got %d, want %d", name, status, c.want)
		}
	}
	if status, _ := get(w.url+"/v3/droplets/"+a.Image+"/download", ""); status != 401 {
		t.Errorf("without a login: got %d", status)
	}
}
