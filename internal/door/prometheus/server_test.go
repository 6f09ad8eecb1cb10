package prometheus

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/serve/servetest"
)

// TestAPrometheusServerWritesAndReads lets Debian's Prometheus write what it
// scraped to naru, and answer a query from naru's samples.
func TestAPrometheusServerWritesAndReads(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: apt-get install prometheus")
	}
	if testing.Short() {
		t.Skip("another program takes its time to start")
	}
	d := start(t, Config{})
	shows := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pushed 42\n") }))
	defer shows.Close()
	address := servetest.Free(t)
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
- job_name: test
  static_configs: [{targets: [%q]}]
remote_write:
- url: %s/api/v1/write?space=default/s1
  basic_auth: {username: somebody, password: may-s1}
  queue_config: {batch_send_deadline: 100ms}
remote_read:
- url: %s/api/v1/read
  read_recent: true
  basic_auth: {username: somebody, password: may-s1}
`, shows.Listener.Addr(), d.url, d.url)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = cmd.Wait() // it was interrupted
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("prometheus says:\n%s", text)
		}
	}()
	until(ctx, t, "what it scraped is here", func() bool {
		_, got := d.do("GET", "/api/v1/query?query=pushed", "may-s1", "")
		return strings.Contains(got, `"space_id":"s1"`) && strings.Contains(got, `"42"]`)
	})
	if _, got := d.do("GET", "/api/v1/query?query=pushed", "may-s2", ""); strings.Contains(got, "42") {
		t.Errorf("another space sees %s", got)
	}
	until(ctx, t, "what is here is answered there", func() bool {
		return strings.Contains(get(ctx, "http://"+address+"/api/v1/query?query=naru_requests_total&time="+fmt.Sprint(d.now.Unix())), `"600"]`)
	})
}

// get returns what is answered, "" where nothing is.
func get(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return ""
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// until asks ten times a second.
func until(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
