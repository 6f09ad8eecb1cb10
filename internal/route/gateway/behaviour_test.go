package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"naru/internal/route"
	certificates "naru/internal/route/certificate"
	"naru/internal/route/gateway"
)

// TestBehaviour plays testdata/behaviour.txt, which says how it is written, over
// every protocol.
func TestBehaviour(t *testing.T) {
	data, err := os.ReadFile("testdata/behaviour.txt")
	must(t, err)
	scenes := scenes(t, string(data))
	for _, over := range protocols {
		t.Run(over.name, func(t *testing.T) {
			for _, s := range scenes {
				if over.plays(s) {
					t.Run(s.name, func(t *testing.T) {
						t.Parallel()
						s.play(t, over)
					})
				}
			}
		})
	}
}

// protocol is a way for a client to speak to the gateway.
type protocol struct {
	name, version string
	secure        bool
}

var protocols = []protocol{
	{"HTTP 1", "http1", false}, {"TLS and HTTP 1", "http1", true}, {"h2c", "http2", false}, {"TLS and HTTP 2", "http2", true},
}

// plays reports whether a scene is about the protocol.
func (p protocol) plays(s scene) bool {
	return s.only == "" || s.only == p.version || s.only == "tls" && p.secure || s.only == "plain" && !p.secure
}

// dial connects a client.
func (p protocol) dial(t testing.TB, addr string) actor {
	if p.version == "http2" {
		return dialH2(t, addr, p.secure)
	}
	return &end{Conn: dial(t, addr, p.secure)}
}

// actor is a client or an app in a scene.
type actor interface {
	do(st step) error
	rest() string
	Close() error
}

// scene is one behaviour: lines of "who verb argument".
type scene struct {
	name  string
	only  string // "http1", "http2", "tls", "plain", or all
	route string // JSON over the route of the table
	also  []string
	tours string // JSON: the journeys of the table
	steps []step
}

type step struct {
	line      int
	only      string // as a scene's
	who, verb string
	arg       string
}

func scenes(t *testing.T, text string) []scene {
	t.Helper()
	var out []scene
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "== "):
			name, only, _ := strings.Cut(line[3:], " | only ")
			out = append(out, scene{name: name, only: only})
		case strings.HasPrefix(line, "route "):
			out[len(out)-1].route = line[6:]
		case strings.HasPrefix(line, "journeys "):
			out[len(out)-1].tours = line[9:]
		case strings.HasPrefix(line, "also "):
			out[len(out)-1].also = append(out[len(out)-1].also, line[5:])
		default:
			who, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			only := ""
			if strings.HasPrefix(who, "http") {
				only = who
				if who, rest, _ = strings.Cut(rest, " "); who != "app" && who != "other" && who != "second" {
					who, rest = "client", who+" "+rest
				}
			}
			verb, arg, _ := strings.Cut(strings.TrimSpace(rest), " ")
			arg = strings.TrimSpace(arg)
			if arg != "" {
				unquoted, err := strconv.Unquote(arg)
				if err != nil {
					t.Fatalf("line %d: %s: %v", i+1, arg, err)
				}
				arg = unquoted
			}
			s := &out[len(out)-1]
			s.steps = append(s.steps, step{i + 1, only, who, verb, arg})
		}
	}
	if len(out) == 0 {
		t.Fatal("no scene")
	}
	return out
}

// end is one socket of a scene.
type end struct {
	net.Conn
	unread []byte // received, not yet expected
	taken  string // what the last expect went over
}

func (s scene) play(t *testing.T, over protocol) {
	app := listen(t)
	cfg := gateway.Config{BodyBytes: 100_000, HeaderBytes: 4096, Boot: "b", Certificates: beingAsked(t)}
	in := listen(t)
	front := in
	if over.secure {
		front = gateway.Secure(in, certificate(t))
	}
	other := listen(t)
	table := s.table(t, app.Addr().String(), other.Addr().String())
	if strings.Contains(s.route, `"tracing"`) { // spans are made for a control plane
		cfg.Control = filepath.Join(t.TempDir(), "nobody.sock")
	}
	r := start(t, table, cfg, front)
	if cfg.Control != "" {
		must(t, r.Apply(&table))
	}
	actors := map[string]actor{"client": over.dial(t, r.addr)}
	apps := map[string]net.Listener{"app": app, "other": other}
	for _, st := range s.steps {
		if st.only != "" && st.only != over.version {
			continue
		}
		if st.who == "second" && actors["second"] == nil {
			actors["second"] = over.dial(t, r.addr)
		}
		if st.who == "gateway" {
			r.counted(t, st)
			continue
		}
		switch app := apps[st.who]; st.verb {
		case "accept":
			must(t, app.(*net.TCPListener).SetDeadline(time.Now().Add(limit)))
			c, err := app.Accept()
			if err != nil {
				t.Fatalf("line %d: the %s got no connection: %v; the client has %q", st.line, st.who, err, actors["client"].rest())
			}
			defer func() { _ = c.Close() }()
			actors[st.who] = &end{Conn: c}
			continue
		case "unreached":
			must(t, app.(*net.TCPListener).SetDeadline(time.Now())) // what was dialed is in the queue
			if c, err := app.Accept(); err == nil {
				t.Fatalf("line %d: the %s got a connection from %s", st.line, st.who, c.RemoteAddr())
			}
			continue
		}
		if err := actors[st.who].do(st); err != nil {
			t.Fatalf("line %d: %s %s %q: %v\nit has %q", st.line, st.who, st.verb, st.arg, err, actors[st.who].rest())
		}
	}
	for _, a := range actors {
		_ = a.Close()
	}
}

// beingAsked is a shelf while an authority asks shop.test for the token "token".
func beingAsked(t *testing.T) *certificates.Shelf {
	t.Helper()
	shelf, err := certificates.Open("")
	must(t, err)
	must(t, shelf.Use(&certificates.Set{Version: 1, Answers: certificates.Answers{Tokens: map[string]string{"shop.test/token": "token.thumb"}}}))
	return shelf
}

// table is the route of the scene: its app, and a group without weight where the
// other app is.
func (s scene) table(t *testing.T, app, other string) route.Table {
	t.Helper()
	table := tableOf(app)
	e := &table.Routes[0]
	if s.route != "" || len(s.also) > 0 {
		e.Groups = append(e.Groups, route.Group{ID: "other", Name: "shop-v002", Instances: []route.Instance{{ID: "o1", Address: other}}})
	}
	over := func(e *route.Entry, text string) {
		d := json.NewDecoder(strings.NewReader(strings.ReplaceAll(text, "OTHER", other)))
		d.DisallowUnknownFields()
		must(t, d.Decode(e))
	}
	if s.route != "" {
		over(e, s.route)
	}
	if s.tours != "" {
		must(t, json.Unmarshal([]byte(s.tours), &table.Journeys))
	}
	for i, text := range s.also {
		more := route.Entry{ID: fmt.Sprint("also", i), Host: e.Host, Path: e.Path, App: e.App}
		over(&more, text)
		table.Routes = append(table.Routes, more)
	}
	return table
}

func (e *end) rest() string { return string(e.unread) }

// do carries out one step.
func (e *end) do(st step) error {
	if err := e.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	switch st.verb {
	case "send":
		_, err := io.WriteString(e, st.arg)
		return err
	case "ends": // nothing but what was expected, then the end
		for {
			err := e.more()
			if err == nil {
				continue
			}
			if string(e.unread) != st.arg {
				return fmt.Errorf("ended with %q, want %q", e.unread, st.arg)
			}
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return err
			}
			return nil
		}
	case "half":
		return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
	case "close":
		return e.Close()
	}
	return e.look(st, e.more)
}

// look carries out the steps about what was received. Names of fields may have
// any case.
func (e *end) look(st step, more func() error) error {
	has := func() bool { return strings.Contains(strings.ToLower(e.taken), strings.ToLower(st.arg)) }
	switch st.verb {
	case "expect":
		for {
			if i := strings.Index(string(e.unread), st.arg); i >= 0 {
				e.taken = string(e.unread[:i+len(st.arg)])
				e.unread = e.unread[i+len(st.arg):]
				return nil
			}
			if err := more(); err != nil {
				return err
			}
		}
	case "had":
		if !has() {
			return fmt.Errorf("not in %q", e.taken)
		}
		return nil
	case "lacked":
		if has() {
			return fmt.Errorf("it is in %q", e.taken)
		}
		return nil
	}
	return fmt.Errorf("no such verb")
}

func (e *end) more() error {
	buf := make([]byte, 64<<10)
	n, err := e.Read(buf)
	e.unread = append(e.unread, buf[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

func (e *end) peek() string {
	_ = e.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_ = e.more()
	return string(e.unread)
}

func dial(t testing.TB, addr string, secure bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // made by the test
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// certificate makes one for shop.test.
func certificate(t testing.TB) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.Helper()
	return certificateFor(t, "shop.test")
}

func certificateFor(t testing.TB, name string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
}
