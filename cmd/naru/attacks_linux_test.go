package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"naru/internal/route"
)

// programEnv makes the test binary the program itself.
const programEnv = "NARU_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience bounds waits that end much sooner.
const patience = 30 * time.Second

// alone is a gateway that stands alone, in a process of its own.
type alone struct {
	addr, log string // log: its access log
	cmd       *exec.Cmd
	ended     chan error
}

// standAlone starts naru gateway --table FILE, with settings as NARU_*=VALUE.
func standAlone(t *testing.T, table route.Table, settings ...string) *alone {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "routes.json")
	text, err := json.Marshal(table)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o600))
	a := &alone{log: filepath.Join(dir, "access.log"), ended: make(chan error, 1)}
	a.cmd = exec.Command(os.Args[0], "gateway", "--table", file, "--listen", "127.0.0.1:0", "--data-dir", dir)
	a.cmd.Env = append(append(os.Environ(), programEnv+"=1", "NARU_GATEWAY_ACCESS_LOG_PATH="+a.log), settings...)
	says, err := a.cmd.StderrPipe()
	must(t, err)
	must(t, a.cmd.Start())
	t.Cleanup(func() { _ = a.cmd.Process.Kill() })
	lines := bufio.NewScanner(says)
	serving := regexp.MustCompile(`msg=serving .*address=(\S+)`)
	for a.addr == "" {
		if !lines.Scan() {
			t.Fatalf("the gateway does not serve: %v", a.cmd.Wait())
		}
		if found := serving.FindStringSubmatch(lines.Text()); found != nil {
			a.addr = found[1]
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, says)
		a.ended <- a.cmd.Wait()
	}()
	return a
}

// stop ends the gateway in order and returns the lines of its access log.
func (a *alone) stop(t *testing.T) []string {
	t.Helper()
	must(t, a.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-a.ended:
		must(t, err)
	case <-time.After(2 * patience):
		t.Fatal("the gateway does not end")
	}
	text, err := os.ReadFile(a.log)
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// says sends bytes on a connection of its own and returns all that comes back.
func (a *alone) says(t *testing.T, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", a.addr)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, _ = io.WriteString(c, text) // what is refused is not read to its end
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("no end after %q", got)
	}
	return string(got)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// appAt serves an app on a port of its own.
func appAt(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String()
}

// tableTo leads hosts to instances.
func tableTo(hosts map[string]string) route.Table {
	table := route.Table{Version: 1, Written: time.Now()}
	for host, address := range hosts {
		table.Routes = append(table.Routes, route.Entry{
			ID: host, Host: host, Path: "/", App: route.App{ID: host, Name: "shop"},
			Groups: []route.Group{{ID: "g-" + host, Name: "shop-v001", Weight: 1, Instances: []route.Instance{{ID: "i-" + host, Address: address}}}},
		})
	}
	return table
}

// The fields of a request that are logged, filled with what log readers stumble
// over: each request is one line, whatever it says.
func TestNothingAClientSaysBreaksTheAccessLog(t *testing.T) {
	app := appAt(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") })
	nasty := map[string]string{
		"a line end": "a\r\nHTTP/1.1 200 OK", "a line feed": "a\nb", "a return": "a\rb", "NUL": "a\x00b", "an escape sequence": "\x1b[2J\x1b]0;evil\x07",
		"quotes": `a" 200 "b`, "a backslash at the end": `a\`, "JSON": `","status":200,"x":"`, "no UTF-8": "\xff\xfe\xc0\x80", "half a rune": "\xe2\x82",
		"a control sequence of eight bits": "\u009b2J", "the other direction": "\u202eevil", "a line separator": "a\u2028b", "DEL": "a\x7fb",
		"a tab": "a\tb", "a format": "%s%n%!d(MISSING)", "markup": "<script>alert(1)</script>", "a lookup": "${jndi:ldap://evil}",
		"2 KiB of runes": strings.Repeat("€", 700), "32 KiB": strings.Repeat("x", 32<<10), "a megabyte": strings.Repeat("x", 1<<20),
	}
	fields := map[string]func(v string) string{
		"method":            func(v string) string { return v + " / HTTP/1.1\r\nHost: shop.test\r\n" },
		"target":            func(v string) string { return "GET /" + v + " HTTP/1.1\r\nHost: shop.test\r\n" },
		"query":             func(v string) string { return "GET /?" + v + " HTTP/1.1\r\nHost: shop.test\r\n" },
		"version":           func(v string) string { return "GET / HTTP/1.1" + v + "\r\nHost: shop.test\r\n" },
		"host":              func(v string) string { return "GET / HTTP/1.1\r\nHost: " + v + "\r\n" },
		"User-Agent":        func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: " + v + "\r\n" },
		"Referer":           func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nReferer: " + v + "\r\n" },
		"X-Request-Id":      func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Request-Id: " + v + "\r\n" },
		"traceparent":       func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nTraceparent: " + v + "\r\n" },
		"X-B3-TraceId":      func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nX-B3-TraceId: " + v + "\r\n" },
		"X-Forwarded-For":   func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: " + v + "\r\n" },
		"X-Forwarded-Proto": func(v string) string { return "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: " + v + "\r\n" },
	}
	for format, whole := range map[string]func(string) bool{
		"json": func(line string) bool {
			var said map[string]any
			return json.Unmarshal([]byte(line), &said) == nil && said["status"] != nil && said["client"] != nil
		},
		"cf": regexp.MustCompile(`^\S+ - \[[0-9T:.Z-]+\] "([^"\\]|\\.)*" (\d+|"-") \d+ \d+( "([^"\\]|\\.)*"){4}( [a-z_]+:("([^"\\]|\\.)*"|[0-9.]+))+$`).MatchString,
	} {
		t.Run(format, func(t *testing.T) {
			a := standAlone(t, tableTo(map[string]string{"shop.test": app}), "NARU_GATEWAY_ACCESS_LOG_FORMAT="+format, "NARU_GATEWAY_TRUSTED_PROXIES=127.0.0.0/8")
			asked := 0
			for where, request := range fields {
				for what, value := range nasty {
					if got := a.says(t, request(value)+"Connection: close\r\n\r\n"); got != "" && !strings.HasPrefix(got, "HTTP/1.1 ") {
						t.Errorf("%s in %s: answered %q", what, where, got)
					}
					asked++
				}
			}
			lines := a.stop(t)
			if len(lines) < asked {
				t.Errorf("%d lines of %d requests", len(lines), asked)
			}
			// A line end in a field begins the next one, and in a request line a request
			// of its own. No more than the two can come of it.
			if len(lines) > 2*asked {
				t.Errorf("%d lines of %d requests", len(lines), asked)
			}
			for _, line := range lines {
				switch {
				case !utf8.ValidString(line), strings.ContainsFunc(line, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }):
					t.Errorf("not printable: %q", line)
				case !whole(line):
					t.Errorf("not a whole line: %q", line)
				case len(line) > 32<<10:
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
}

// Headers of balancers that are none, or too much of one: the connection ends, and
// the next one is served.
func TestMalformedPROXYHeadersEndTheirConnection(t *testing.T) {
	told := make(chan string, 1)
	app := appAt(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("X-Forwarded-For")
		_, _ = io.WriteString(w, "app")
	})
	table := tableTo(map[string]string{"shop.test": app})
	const (
		ask = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
		two = "\r\n\r\n\x00\r\nQUIT\n"
	)
	four := "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50"
	a := standAlone(t, table, "NARU_GATEWAY_PROXY_PROTOCOL=127.0.0.0/8", "NARU_GATEWAY_ACCESS_LOG_FORMAT=json")
	for name, tc := range map[string]struct{ header, client string }{ // client "": refused
		"none":                           {"", ""},
		"version 1":                      {"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n", "192.0.2.1"},
		"version 1 without an end":       {"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80", ""},
		"version 1 that is overlong":     {"PROXY TCP4 192.0.2.1 " + strings.Repeat("1", 1<<20), ""},
		"version 1 with a bare feed":     {"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\n", ""},
		"version 1 with words":           {"PROXY TCP4 localhost localhost 4711 80\r\n", ""},
		"version 1 with a field":         {"PROXY TCP4 192.0.2.1\r\nX-Evil: 1 198.51.100.2 4711 80\r\n", ""},
		"version 1 of another family":    {"PROXY UDP4 192.0.2.1 198.51.100.2 4711 80\r\n", ""},
		"version 1 twice":                {"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\nPROXY TCP4 192.0.2.9 198.51.100.2 4711 80\r\n", ""},
		"version 1 unknown":              {"PROXY UNKNOWN\r\n", "127.0.0.1"},
		"version 2":                      {two + "\x21\x11\x00\x0c" + four, "192.0.2.1"},
		"version 2 with huge TLVs":       {two + "\x21\x11\xff\xff" + four + strings.Repeat("x", 65523), ""},
		"version 2 with a TLV too long":  {two + "\x21\x11\x00\x0f" + four + "\x04\xff\xff", "192.0.2.1"},
		"version 2 of an unknown family": {two + "\x21\x51\x00\x0c" + four, ""},
		"version 2 with short addresses": {two + "\x21\x21\x00\x0c" + four, ""},
		"version 2 of another command":   {two + "\x2f\x11\x00\x0c" + four, ""},
		"version 3":                      {two + "\x31\x11\x00\x0c" + four, ""},
		"version 2 local":                {two + "\x20\x00\x00\x00", "127.0.0.1"},
		"version 2 local with addresses": {two + "\x20\x11\x00\x0c" + four, "127.0.0.1"},
		"version 2 local with much":      {two + "\x20\x00\xff\xff" + strings.Repeat("x", 65535), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.says(t, tc.header+ask)
			switch answered := strings.HasPrefix(got, "HTTP/1.1 200 "); {
			case answered != (tc.client != ""):
				t.Errorf("answered %q", got)
			case answered:
				if client := <-told; client != tc.client {
					t.Errorf("the app was told of %q, want %q", client, tc.client)
				}
			}
		})
	}
	t.Run("halves that stay do not stand in the way", func(t *testing.T) {
		for _, half := range []string{"P", "PROXY TCP4 192", two[:5], two + "\x21\x11\x0f\xff" + four} {
			c, err := net.Dial("tcp", a.addr)
			must(t, err)
			defer func() { _ = c.Close() }()
			_, err = io.WriteString(c, half)
			must(t, err)
		}
		if got := a.says(t, "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"+ask); !strings.HasPrefix(got, "HTTP/1.1 200 ") || <-told != "192.0.2.1" {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("somebody who is no balancer", func(t *testing.T) {
		a := standAlone(t, table, "NARU_GATEWAY_PROXY_PROTOCOL=192.0.2.0/24", "NARU_GATEWAY_ACCESS_LOG_FORMAT=json")
		for _, header := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n", two + "\x21\x11\x00\x0c" + four} {
			if got := a.says(t, header+ask); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("answered %q", got)
			}
		}
		for _, line := range a.stop(t) {
			if strings.Contains(line, "192.0.2.1") {
				t.Errorf("the log believes it: %s", line)
			}
		}
	})
}

// A group that requests are copied to may be gone, or answer without end or sense:
// nobody else sees it. Copies have no more than the request has at its instance.
func TestCopiesHurtNobody(t *testing.T) {
	app := appAt(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "app")
	})
	copied := make(chan http.Header, 1)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, gone.Close())
	for name, to := range map[string]string{
		"gone": gone.Addr().String(),
		"an answer without end": appAt(t, func(w http.ResponseWriter, _ *http.Request) {
			for piece := make([]byte, 64<<10); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}),
		"no HTTP":                  saying(t, "\x00\x01\x02\r\n\r\n"),
		"a head without end":       saying(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 1<<18)),
		"answers before an answer": saying(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000)),
		"two lengths":              saying(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		"a switch":                 saying(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
		"a redirect to the app":    saying(t, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://"+app+"/\r\nContent-Length: 0\r\n\r\n"),
		"in order": appAt(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case copied <- r.Header:
			default:
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			table := tableTo(map[string]string{"shop.test": app})
			table.Routes[0].Groups = append(table.Routes[0].Groups, route.Group{ID: "copies", Name: "shop-v002", Instances: []route.Instance{{ID: "c", Address: to}}})
			table.Routes[0].Policy = &route.Policy{Mirror: &route.Mirror{Group: "copies"}}
			a := standAlone(t, table, "NARU_GATEWAY_ACCESS_LOG_FORMAT=json")
			const ask = "POST /a HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 6.6.6.6\r\nProxy-Authorization: evil\r\nX-Inner: evil\r\nTE: gzip\r\nContent-Length: 5\r\nConnection: X-Inner, close\r\n\r\nhello"
			for range 100 {
				if got := a.says(t, ask); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "app") {
					t.Fatalf("answered %q", got)
				}
			}
			if name == "in order" {
				h := <-copied
				for field, want := range map[string]string{"X-Naru-Mirror": "1", "X-Forwarded-For": "127.0.0.1", "Proxy-Authorization": "", "X-Inner": "", "Te": "", "Connection": ""} {
					if got := h.Get(field); got != want {
						t.Errorf("%s of the copy is %q, want %q", field, got, want)
					}
				}
			}
			if lines := a.stop(t); len(lines) != 100 {
				t.Errorf("%d lines of 100 requests", len(lines))
			}
		})
	}
}

// saying answers every connection with the same bytes once something has come, and
// ends it.
func saying(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := c.Read(make([]byte, 4096)); err == nil {
					_, _ = io.WriteString(c, text)
				}
			}()
		}
	}()
	return ln.Addr().String()
}
