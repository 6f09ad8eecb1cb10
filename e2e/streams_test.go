package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"naru/internal/client"
)

// socket is a WebSocket at an app that sends everything back.
type socket struct{ *websocket.Conn }

func (p *platform) socket(t *testing.T, app string) socket {
	t.Helper()
	dialer := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.apps)
	}}}
	c, _, err := websocket.Dial(t.Context(), "ws://"+app+".localhost/socket", &websocket.DialOptions{HTTPClient: dialer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return socket{c}
}

func (s socket) echoes(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := s.Read(ctx)
	if err == nil && string(got) != text {
		err = fmt.Errorf("of %q came back %q", text, got)
	}
	return err
}

// groups are an app's server groups, youngest first.
func (p *platform) groups(t testing.TB, app string) (out []client.ServerGroup) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.admin.do(t, "groups", app, "--json")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A WebSocket holds nothing up, neither two rollouts nor a scale-down, and lives
// on past the deadline of ordinary requests and a killed control plane. At its own
// deadline it ends, and with it the group that was kept for it. What happened
// stands in the gateway's access log and in the metrics.
func TestAWebSocketOutlivesItsRelease(t *testing.T) {
	slow(t)
	t.Parallel()
	const drain, upgrade = 2 * time.Second, 75 * time.Second
	p := start(t, "NARU_GATEWAY_DRAIN_TIMEOUT="+drain.String(), "NARU_GATEWAY_DRAIN_UPGRADE_TIMEOUT="+upgrade.String(), "NARU_GATEWAY_ACCESS_LOG_FORMAT=cf")
	dir := compiled(t, "steady")
	push := func(release int) time.Duration {
		t.Helper()
		began := time.Now()
		p.admin.do(t, "push", "steady", "--path", dir, "--instances", "2", "--memory", "64M", "--keep-old", "0s", "--env", fmt.Sprint("RELEASE=", release))
		p.says(t, "steady", "/", fmt.Sprint("steady ", release))
		return time.Since(began)
	}
	push(1)
	old := p.groups(t, "steady")[0].Name
	s := p.socket(t, "steady")
	left := time.Now()
	for release := 2; release < 4; release++ {
		if took := push(release); took > upgrade/2 {
			t.Errorf("release %d took %s with a WebSocket at the first", release, took)
		}
		if err := s.echoes(fmt.Sprint("after release ", release)); err != nil {
			t.Fatal(err)
		}
	}
	lingers := func() bool {
		for _, g := range p.groups(t, "steady") {
			if g.Name == old {
				return g.Retired && g.Lingering == 1
			}
		}
		return false
	}
	if !lingers() {
		t.Errorf("groups are %+v, want %s with an instance that lingers", p.groups(t, "steady"), old)
	}
	p.kill(t, "naru", "server")
	began := time.Now()
	p.admin.do(t, "scale", "steady", "web=1")
	if took := time.Since(began); took > upgrade/2 {
		t.Errorf("a scale-down took %s", took)
	}
	if err := s.echoes("after kill -9 of the control plane"); err != nil {
		t.Fatal(err)
	}
	for tick := time.Tick(100 * time.Millisecond); time.Since(left) < 3*drain; <-tick {
		if err := s.echoes("longer than an ordinary request may take"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, upgrade+20*time.Second, "the WebSocket ends at its deadline", func() error {
		if err := s.echoes("still there"); err == nil {
			return fmt.Errorf("it lives on after %s", time.Since(left))
		}
		return nil
	})
	if lived := time.Since(left); lived < upgrade {
		t.Errorf("it lived for %s, want %s at least", lived, upgrade)
	}
	_ = s.CloseNow() // until then half of it is open
	eventually(t, 20*time.Second, "the old group goes", func() error {
		if groups := p.groups(t, "steady"); len(groups) != 1 || groups[0].Want != 1 {
			return fmt.Errorf("there are %+v", groups)
		}
		return nil
	})
	p.logged(t)
	p.measured(t)
	p.admin.do(t, "delete", "steady", "--yes")
}

// logged looks into the gateway's access log.
func (p *platform) logged(t *testing.T) {
	t.Helper()
	eventually(t, 10*time.Second, "the access log has all requests", func() error {
		text, err := os.ReadFile(filepath.Join(p.data(), "gateway", "access.log"))
		for _, has := range []string{`steady.localhost - [`, `"GET /socket HTTP/1.1" 101 `, `"GET / HTTP/1.1" 200 `, `x_cf_routererror:"-"`} {
			if err == nil && !strings.Contains(string(text), has) {
				err = fmt.Errorf("it has no %q:\n%s", has, lastLines(string(text), 5))
			}
		}
		return err
	})
}

// measured scrapes the platform as Prometheus does.
func (p *platform) measured(t *testing.T) {
	t.Helper()
	token := strings.TrimSpace(p.admin.do(t, "tokens", "create", "prometheus"))
	if lines := strings.Fields(token); len(lines) > 0 {
		token = lines[0]
	}
	var text string
	eventually(t, 10*time.Second, "the metrics have all requests", func() error { // the gateway tells of them a little later
		text = p.scraped(t, token)
		for _, has := range []string{`naru_gateway_requests_total{space="default/dev",app="steady",route="steady.localhost"`, `class="1xx"} 1`, "naru_gateway_processes 1"} {
			if !strings.Contains(text, has) {
				return fmt.Errorf("they have no %q:\n%s", has, text)
			}
		}
		return nil
	})
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("linted: %v, %v", problems, err)
	}
}

func (p *platform) scraped(t *testing.T, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.api+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", res.StatusCode, err, text)
	}
	return string(text)
}
