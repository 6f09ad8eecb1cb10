package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"naru/internal/route/gateway"
)

// TestBehaviour plays testdata/behaviour.txt, which says how it is written, on
// plain connections and on TLS.
func TestBehaviour(t *testing.T) {
	data, err := os.ReadFile("testdata/behaviour.txt")
	must(t, err)
	scenes := scenes(t, string(data))
	for _, over := range []string{"plain", "tls"} {
		t.Run(over, func(t *testing.T) {
			for _, s := range scenes {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					s.play(t, over == "tls")
				})
			}
		})
	}
}

// scene is one behaviour: lines of "who verb argument".
type scene struct {
	name  string
	steps []step
}

type step struct {
	line      int
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
			out = append(out, scene{name: line[3:]})
		default:
			who, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
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
			s.steps = append(s.steps, step{i + 1, who, verb, arg})
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

func (s scene) play(t *testing.T, secure bool) {
	app := listen(t)
	cfg := gateway.Config{BodyBytes: 100_000, HeaderBytes: 4096, Boot: "b"}
	in := listen(t)
	front := in
	if secure {
		front = gateway.Secure(in, certificate(t))
	}
	r := start(t, tableOf(app.Addr().String()), cfg, front)
	client := &end{Conn: dial(t, r.addr, secure)}
	var back *end
	for _, st := range s.steps {
		e := client
		if st.who == "app" {
			if st.verb == "accept" {
				must(t, app.(*net.TCPListener).SetDeadline(time.Now().Add(limit)))
				c, err := app.Accept()
				if err != nil {
					t.Fatalf("line %d: the app got no connection: %v; the client has %q", st.line, err, client.peek())
				}
				defer func() { _ = c.Close() }()
				back = &end{Conn: c}
				continue
			}
			if st.verb == "unreached" {
				must(t, app.(*net.TCPListener).SetDeadline(time.Now())) // what was dialed is in the queue
				if c, err := app.Accept(); err == nil {
					t.Fatalf("line %d: the app got a connection from %s", st.line, c.RemoteAddr())
				}
				continue
			}
			e = back
		}
		if err := e.do(st); err != nil {
			t.Fatalf("line %d: %s %s %q: %v\nit has %q", st.line, st.who, st.verb, st.arg, err, e.unread)
		}
	}
	_ = client.Close()
	if back != nil {
		_ = back.Close()
	}
}

// do carries out one step.
func (e *end) do(st step) error {
	if err := e.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	switch st.verb {
	case "send":
		_, err := io.WriteString(e, st.arg)
		return err
	case "expect":
		for {
			if i := strings.Index(string(e.unread), st.arg); i >= 0 {
				e.taken = string(e.unread[:i+len(st.arg)])
				e.unread = e.unread[i+len(st.arg):]
				return nil
			}
			if err := e.more(); err != nil {
				return err
			}
		}
	case "had":
		if !strings.Contains(e.taken, st.arg) {
			return fmt.Errorf("not in %q", e.taken)
		}
		return nil
	case "lacked":
		if strings.Contains(e.taken, st.arg) {
			return fmt.Errorf("it is in %q", e.taken)
		}
		return nil
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"}, DNSNames: []string{"shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
}
