package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// talker is a client of the app in testdata/lines.
type talker struct {
	net.Conn
	in *bufio.Reader
}

func talk(t testing.TB, c net.Conn, err error) *talker {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &talker{c, bufio.NewReader(c)}
}

// says sends a line and returns the answer.
func (c *talker) says(line string) (string, error) {
	err := c.SetDeadline(time.Now().Add(30 * time.Second))
	if err == nil {
		_, err = fmt.Fprintln(c, line)
	}
	if err != nil {
		return "", err
	}
	answer, err := c.in.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (c *talker) hears(t testing.TB, line, want string) {
	t.Helper()
	if got, err := c.says(line); err != nil || got != want {
		t.Fatalf("of %q came %q, %v; want %q", line, got, err, want)
	}
}

// An app that speaks no HTTP has ports of the gateway, and a name on its TLS
// address. New connections follow a rollout, none is refused while the gateway is
// replaced, and an open one stays with its instance until its deadline.
func TestConnectionsOfAnyProtocol(t *testing.T) {
	slow(t)
	t.Parallel()
	const drain, upgrade = 2 * time.Second, 45 * time.Second
	first := neighbouring(t, 3)
	var secure string
	free(t, &secure)
	p := start(t, "NARU_GATEWAY_DRAIN_TIMEOUT="+drain.String(), "NARU_GATEWAY_DRAIN_UPGRADE_TIMEOUT="+upgrade.String(),
		fmt.Sprintf("NARU_LISTEN_TCP=127.0.0.1:%d-%d", first, first+2), "NARU_LISTEN_APPS_TLS="+secure)
	dir := compiled(t, "lines")
	push := func(release string) {
		t.Helper()
		p.admin.do(t, "push", "lines", "--path", dir, "--no-route", "--health-check", "port", "--instances", "2", "--memory", "64M",
			"--keep-old", "0s", "--env", "RELEASE="+release)
	}
	push("one")
	at := func(port int) *talker {
		t.Helper()
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		return talk(t, c, err)
	}
	nobody := func(port int) {
		t.Helper()
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return // reset sooner than it looked
		}
		if answer, err := talk(t, c, err).says("nobody"); err == nil {
			t.Errorf("a port without a route answers %q", answer)
		}
	}
	nobody(first)
	for i, flags := range [][]string{{}, {"--proxy", "v1", "--port", strconv.Itoa(first + 2)}} {
		port := first + 2*i
		out := p.admin.do(t, append([]string{"map-route", "lines", "--tcp"}, flags...)...)
		if want := fmt.Sprintf("lines answers at tcp://localhost:%d", port); !strings.Contains(out, want) {
			t.Fatalf("map-route says %q, want %q", out, want)
		}
	}
	p.admin.do(t, "map-route", "lines", "--sni", "lines")
	p.admin.refused(t, []string{"map-route", "lines", "--tcp", "--port", "9"}, "is not one that TCP routes may have", strconv.Itoa(first))
	if out := p.admin.do(t, "routes"); !strings.Contains(out, fmt.Sprintf("tcp://localhost:%d", first)) || !strings.Contains(out, "sni:lines.localhost") {
		t.Errorf("routes:\n%s", out)
	}

	old := at(first)
	old.hears(t, "hello", "one hello")
	told := at(first + 2)
	told.hears(t, "hello", fmt.Sprintf("one PROXY TCP4 127.0.0.1 127.0.0.1 %d %d", told.LocalAddr().(*net.TCPAddr).Port, first+2))
	if answer, err := told.in.ReadString('\n'); err != nil || strings.TrimSpace(answer) != "one hello" {
		t.Errorf("behind the header: %q, %v", answer, err)
	}
	_ = told.Close()
	shown := func(name string) string {
		t.Helper()
		c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // whose it is, is the question
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := shown("lines.localhost"); got != "the app's own" {
		t.Errorf("the route's name shows the certificate of %q", got)
	}
	if got := shown("other.localhost"); got == "the app's own" {
		t.Error("another name shows the app's certificate")
	}

	push("two")
	left := time.Now()
	at(first).hears(t, "hello", "two hello")
	old.hears(t, "still", "one still")
	stop, visits := make(chan struct{}), make(chan error, 1)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				t.Logf("%d connections while the gateway was replaced", n)
				visits <- nil
				return
			default:
			}
			c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(first))
			if err == nil {
				v := &talker{c, bufio.NewReader(c)}
				answer, serr := v.says("hello")
				if err = errors.Join(serr, c.Close()); err == nil && answer != "two hello" {
					err = fmt.Errorf("answered %q", answer)
				}
			}
			if err != nil {
				visits <- fmt.Errorf("connection %d: %w", n, err)
				return
			}
		}
	}()
	p.admin.do(t, "gateway", "reload", "--data-dir", p.data())
	close(stop)
	if err := <-visits; err != nil {
		t.Error(err)
	}
	old.hears(t, "after the gateway", "one after the gateway")

	// Its instance has to go some day.
	if err := old.SetReadDeadline(time.Now().Add(3 * upgrade)); err != nil {
		t.Fatal(err)
	}
	if answer, err := old.in.ReadString('\n'); err == nil || errors.Is(err, net.ErrClosed) || time.Since(left) > 2*upgrade {
		t.Errorf("after %s it heard %q, %v", time.Since(left), answer, err)
	}
	t.Logf("the old connection ended %s after its release, the deadline is %s", time.Since(left).Round(time.Second), upgrade)
	eventually(t, 20*time.Second, "the log has the connections", func() error {
		if out := p.admin.do(t, "logs", "lines", "--tail", "500"); !strings.Contains(out, "CONNECT 127.0.0.1:") {
			return errors.New("no line of a connection")
		}
		return nil
	})
	p.admin.do(t, "unmap-route", "lines", fmt.Sprintf("tcp:%d", first))
	nobody(first)
}

// A manifest names TCP routes. The same push again keeps the ports it was given,
// and what the platform refuses is named with its line.
func TestConnectionsOfAManifest(t *testing.T) {
	t.Parallel()
	first := neighbouring(t, 3)
	p := start(t, fmt.Sprintf("NARU_LISTEN_TCP=127.0.0.1:%d-%d", first, first+2))
	dir := compiled(t, "lines")
	push := func(refused bool, routes ...string) string {
		t.Helper()
		text := "applications:\n- name: lines\n  memory: 64M\n  health-check-type: port\n  env: {RELEASE: one}\n  routes:\n"
		for _, r := range routes {
			text += "  - {route: \"" + r + "\"}\n"
		}
		if err := os.WriteFile(filepath.Join(dir, "manifest.yml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if refused {
			return ""
		}
		return p.admin.do(t, "push", "lines", "--path", dir)
	}
	named := fmt.Sprintf("tcp:%d", first)
	for range 2 {
		if out, want := push(false, "tcp:any", named), fmt.Sprintf("tcp://localhost:%d tcp://localhost:%d", first, first+1); !strings.Contains(out, want) {
			t.Fatalf("push says %q, want %q", out, want)
		}
		for port := first; port < first+2; port++ {
			c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
			visit := talk(t, c, err)
			visit.hears(t, "hello", "one hello")
			_ = visit.Close() // or deleting would wait for it
		}
	}
	push(true, "tcp:any", "tcp:9")
	p.admin.refused(t, []string{"push", "lines", "--path", dir}, "manifest.yml:8: routes[1].port: port 9 is not one that TCP routes may have", strconv.Itoa(first))
	push(false, named) // what leaves the manifest stays
	if out := p.admin.do(t, "routes", "lines"); !strings.Contains(out, fmt.Sprintf("tcp:%d ", first+1)) {
		t.Errorf("routes:\n%s", out)
	}
	p.admin.do(t, "delete", "lines", "--yes")
}
