package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Debian's promtool asks naru; Debian's Prometheus writes to it, reads from it, and
// is written to by it, also what happened before it was there. An app shows
// metrics, and sends others with OpenTelemetry's SDK.
func TestMetricsWithRealClients(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: scripts/install-deps test", program)
		}
	}
	var asked, receiver string
	free(t, &asked, &receiver)
	p := start(t, "NARU_LISTEN_PROMETHEUS="+asked, "NARU_METRICS_INTERVAL=1s", "NARU_METRICS_REMOTE_WRITE_URL=http://"+receiver+"/api/v1/write",
		"NARU_METRICS_REMOTE_WRITE_DELAY=2s", `NARU_METRICS_REMOTE_WRITE_SERIES={app="measured"} or {job="naru"}`)
	token := strings.Fields(p.admin.do(t, "tokens", "create", "grafana"))[0]
	dir := compiled(t, "measured")
	manifest := "applications:\n- name: measured\n  instances: 2\n  memory: 64M\n  naru:\n    metrics: /metrics\n"
	if err := os.WriteFile(filepath.Join(dir, "manifest.yml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	p.admin.do(t, "push", "measured", "--path", dir, "--env", "RELEASE=1")
	p.says(t, "measured", "/", "measured 1")
	m := promtool{t, "http://admin:" + token + "@" + asked}

	for query, want := range map[string]string{
		`sum by (space, app, release) (visits_total)`:                                    `{app="measured", release="v1", space="dev"} => `,
		`count(visits_total{process="web", group="measured-v001", instance=~"0|1"})`:     `{} => 2 @`,
		`count(orders_total{release="v1", group="measured-v001", instance=~"0|1"}) `:     `{} => `,
		`sum(orders_total) / sum(visits_total)`:                                          `{} => 2 @`,
		`count by (class) (naru_gateway_requests_total{app="measured", class="2xx"})`:    `{class="2xx"} => 1 @`,
		`count(naru_instance_memory_bytes{app="measured"})`:                              `{} => 2 @`,
		`up{app="measured", instance="1"}`:                                               `=> 1 @`,
		`max_over_time(naru_event{app="measured", kind="rollout.done"}[5m])`:             `kind="rollout.done"`,
		`naru_instances{job="naru", state="healthy"}`:                                    `=> 2 @`,
		`naru_remote_write_failing`:                                                      `=> 1 @`,
		`sum(rate(naru_gateway_request_duration_seconds_count{app="measured"}[1m])) > 0`: `{} => `,
	} {
		m.wants(want, "instant", m.url, query)
	}
	now := time.Now()
	m.wants(`{__name__="visits_total", app="measured"`, "series", "--match=visits_total", m.url)
	m.wants("measured", "labels", m.url, "app")
	m.wants("visits_total", "range", "--start="+now.Add(-time.Minute).Format(time.RFC3339), "--end="+now.Add(time.Minute).Format(time.RFC3339), "--step=5s", m.url, "visits_total")
	if out, err := m.run("instant", m.url, `{__name__=~".+"`); err == nil || !strings.Contains(out, "parse error") {
		t.Errorf("a broken query: %v %s", err, out)
	}

	// The Prometheus that was not there yet gets everything.
	prometheus(t, receiver, asked, token)
	there := promtool{t, "http://" + receiver}
	there.wants(`release="v1"`, "instant", there.url, `visits_total{app="measured", instance="0"}`)
	p.admin.do(t, "push", "measured", "--path", dir, "--env", "RELEASE=2")
	p.says(t, "measured", "/", "measured 2")
	there.wants(`=> 2 @`, "instant", there.url, `count(up{app="measured", release="v2"} == 1)`)
	there.wants(`=> 2 @`, "instant", there.url, `sum(count_over_time(naru_event{app="measured", kind="rollout.started"}[10m]))`)
	first := func(of promtool, query string) string {
		var got struct {
			Data struct{ Result []struct{ Values [][2]any } }
		}
		raw := fetch(t, of.url+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), "")
		if err := json.Unmarshal([]byte(raw), &got); err != nil || len(got.Data.Result) != 1 || len(got.Data.Result[0].Values) < 2 {
			return fmt.Sprint(err, raw)
		}
		return fmt.Sprint(got.Data.Result[0].Values[:2])
	}
	if here, far := first(m, `up{app="measured", instance="0", release="v1"}[10m]`), first(there, `up{app="measured", instance="0", release="v1"}[10m]`); here != far || !strings.HasPrefix(here, "[[") {
		t.Errorf("the first samples are %s, the receiver has %s", here, far)
	}
	// What it measures itself is written to naru, and what naru has is read there.
	m.wants(`space="dev"`, "instant", m.url, `prometheus_build_info{job="prometheus"}`)
	there.wants(`release="v2"`, "instant", there.url, `naru_gateway_active_requests{app="measured", space="dev", group="measured-v002"}`)
	m.wants(`=> 0 @`, "instant", m.url, `naru_remote_write_failing`)
	if out := fetch(t, "http://"+p.api+"/v1/doctor", "Bearer "+token); !strings.Contains(out, "samples were sent on") {
		t.Errorf("the doctor says %s", out)
	}
	p.documented(t, token)
	p.admin.do(t, "delete", "measured", "--yes")
}

// documented compares what /metrics serves with what docs/metrics.md says.
func (p *platform) documented(t *testing.T, token string) {
	t.Helper()
	doc, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^# TYPE (naru_\S+)`).FindAllStringSubmatch(p.scraped(t, token), -1)
	for _, name := range all {
		if !strings.Contains(string(doc), "`"+name[1]+"`") {
			t.Errorf("docs/metrics.md does not say what %s is", name[1])
		}
	}
	if len(all) < 20 {
		t.Errorf("/metrics has %d metrics of naru", len(all))
	}
}

// promtool is Debian's, with the server that it asks.
type promtool struct {
	t   *testing.T
	url string
}

func (m promtool) run(args ...string) (string, error) {
	out, err := exec.CommandContext(m.t.Context(), "promtool", append([]string{"query"}, args...)...).CombinedOutput()
	return string(out), err
}

// wants asks until the answer has what is wanted.
func (m promtool) wants(want string, args ...string) {
	m.t.Helper()
	eventually(m.t, 45*time.Second, "promtool "+strings.Join(args, " "), func() error {
		out, err := m.run(args...)
		if err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("no %q", want)
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, lastLines(out, 5))
		}
		return err
	})
}

// prometheus is Debian's Prometheus server: it takes what naru sends, writes what it
// measures of itself to naru, and reads from it.
func prometheus(t *testing.T, address, naru, token string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
- job_name: prometheus
  static_configs: [{targets: [%q]}]
remote_write:
- url: http://%s/api/v1/write?space=default/dev
  authorization: {credentials: %s}
  write_relabel_configs: [{source_labels: [job], regex: prometheus, action: keep}]
remote_read:
- url: http://%s/api/v1/read
  authorization: {credentials: %s}
  read_recent: true
  required_matchers: {space: dev}
storage: {tsdb: {out_of_order_time_window: 30m}}
`, address, naru, token, naru, token)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--web.enable-remote-write-receiver")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it was interrupted
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("prometheus says:\n%s", lastLines(string(text), 20))
		}
	})
}

// fetch asks with a login, or with what the URL has.
func fetch(t *testing.T, address, login string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if login != "" {
		req.Header.Set("Authorization", login)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
