package gateway_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"naru/internal/route/gateway"
	"naru/internal/route/routetest"
)

func TestControlStream(t *testing.T) {
	for _, over := range protocols {
		t.Run(over.name, func(t *testing.T) { controlStream(t, over) })
	}
}

func controlStream(t *testing.T, over protocol) {
	routetest.Suite(t, func(t *testing.T, socket string) routetest.Made {
		s := &subject{names: [2]string{"one", "two"}, over: over, asked: make(chan string), answer: make(chan struct{})}
		var addresses [2]string
		for i, name := range s.names {
			addresses[i] = askedApp(t, name, s.asked, s.answer)
		}
		ln := listen(t)
		s.addr, s.ln = ln.Addr().String(), ln
		if over.secure {
			s.ln = gateway.Secure(ln, certificate(t))
		}
		g, err := gateway.New(gateway.Config{Control: socket, TableFile: filepath.Join(t.TempDir(), "table.json"), Boot: "b"}, testLog(t))
		must(t, err)
		s.g = g
		return routetest.Made{Subject: s, Addresses: addresses}
	})
}

// subject drives a real gateway with real requests.
type subject struct {
	g     *gateway.Gateway
	ln    net.Listener
	addr  string
	names [2]string
	over  protocol

	asked  chan string   // instances that have a request of Ask
	answer chan struct{} // they begin to answer
}

func (s *subject) Run(ctx context.Context) error { return s.g.Run(ctx, []net.Listener{s.ln}) }

// transport speaks the protocol with a connection for each request.
func (p protocol) transport() *http.Transport {
	t := &http.Transport{
		DisableKeepAlives: true, Protocols: new(http.Protocols),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // made by the test
	}
	t.Protocols.SetHTTP1(p.version != "http2")
	t.Protocols.SetHTTP2(p.version == "http2" && p.secure)
	t.Protocols.SetUnencryptedHTTP2(p.version == "http2" && !p.secure)
	return t
}

// Begin sends a request whose answer has begun and does not end before end.
func (s *subject) Begin(host, path string) (string, func(), error) { return s.begin(host, path, false) }

// Ask sends a request whose answer has not begun before answer.
func (s *subject) Ask(host, path string) (instance string, answer, end func(), err error) {
	type begun struct {
		end func()
		err error
	}
	came := make(chan begun, 1)
	go func() {
		_, end, err := s.begin(host, path, true)
		came <- begun{end, err}
	}()
	select {
	case b := <-came:
		return "", nil, nil, cmp.Or(b.err, errors.New("it was answered at once"))
	case instance = <-s.asked:
	}
	answer = func() {
		s.answer <- struct{}{}
		b := <-came
		end, err = b.end, b.err
	}
	return instance, answer, func() {
		if err == nil {
			end()
		}
	}, nil
}

func (s *subject) begin(host, path string, ask bool) (string, func(), error) {
	r, w := io.Pipe()
	scheme := "http"
	if s.over.secure {
		scheme = "https"
	}
	req, err := http.NewRequest(http.MethodPost, scheme+"://"+s.addr+path, r)
	if err != nil {
		return "", nil, err
	}
	req.Host = host
	if ask {
		req.Header.Set("X-Ask", "yes")
	}
	client := &http.Client{Transport: s.over.transport()}
	res, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = w.Close()
		_ = res.Body.Close()
		return "", nil, fmt.Errorf("status %d", res.StatusCode)
	}
	return res.Header.Get("X-Instance"), sync.OnceFunc(func() {
		_ = w.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}), nil
}

// slowApp begins to answer at once and goes on until its request's body ends.
func slowApp(t testing.TB, name string) string { return askedApp(t, name, nil, nil) }

// askedApp is a slowApp that says when it has a request of Ask, and does not begin
// to answer that before it is told to.
func askedApp(t testing.TB, name string, asked chan<- string, answer <-chan struct{}) string {
	t.Helper()
	ln := listen(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		if r.Header.Get("X-Ask") != "" {
			asked <- name
			<-answer
		}
		w.Header().Set("X-Instance", name)
		w.WriteHeader(http.StatusOK)
		_ = rc.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "done\n")
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}
