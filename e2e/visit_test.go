package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answer is what an app, or the gateway in its place, says.
type answer struct {
	status int
	body   string
	header http.Header
}

// visitors dials the gateway whatever the host: names under localhost are
// resolved by browsers and curl, not by Go.
func (p *platform) visitors() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, p.apps)
		},
		DisableKeepAlives: true,
	}}
}

// visit asks http://APP.localhost for a path.
func (p *platform) visit(t testing.TB, app, path string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+app+".localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.visitors().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header}, err
}

// says checks that an app answers 200 with some words.
func (p *platform) says(t testing.TB, app, path, words string) {
	t.Helper()
	got, err := p.visit(t, app, path)
	if err != nil {
		t.Fatalf("visit %s: %v", app, err)
	}
	if got.status != http.StatusOK || !strings.Contains(got.body, words) {
		t.Fatalf("%s%s answers %d %q, want %q", app, path, got.status, got.body, words)
	}
}

// gone checks that the gateway knows no such app.
func (p *platform) gone(t testing.TB, app string) {
	t.Helper()
	got, err := p.visit(t, app, "/")
	if err != nil {
		t.Fatalf("visit %s: %v", app, err)
	}
	if got.status != http.StatusNotFound {
		t.Fatalf("%s answers %d %q after it was deleted", app, got.status, got.body)
	}
}

// reaches checks that visits come to n instances of an app, as its access log
// tells.
func (p *platform) reaches(t testing.TB, h home, app string, n int) {
	t.Helper()
	eventually(t, 20*time.Second, fmt.Sprintf("visits reach %d instances of %s", n, app), func() error {
		if _, err := p.visit(t, app, "/"); err != nil {
			return err
		}
		seen := map[string]bool{}
		out, _ := h.run(t, "", "logs", app)
		for _, line := range strings.Split(out, "\n") {
			if _, index, ok := strings.Cut(line, `app_index:"`); ok {
				seen[index[:1]] = true
			}
		}
		if len(seen) < n {
			return fmt.Errorf("only %v", seen)
		}
		return nil
	})
}
