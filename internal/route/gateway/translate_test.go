package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// http2Table is a route to an instance that speaks nothing but HTTP/2.
func http2Table(address string) route.Table {
	table := tableOf(address)
	table.Routes[0].Groups[0].Protocol = route.HTTP2
	return table
}

func TestGRPC(t *testing.T) {
	app := listen(t)
	state := health.NewServer()
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(app) }()
	t.Cleanup(server.Stop)
	r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))

	conn, err := grpc.NewClient("passthrough:///"+r.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("shop.test"))
	must(t, err)
	defer func() { _ = conn.Close() }()
	client := grpc_health_v1.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()

	for range 3 { // the connection behind is used again
		got, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		must(t, err)
		if got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("status %s", got.GetStatus())
		}
	}
	for range 100 { // the status stands in a head without a body: it must come as one, not soon after
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
			t.Fatalf("an unknown service: %v, want NotFound in the head", err)
		}
	}

	watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	must(t, err)
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING} {
		got, err := watch.Recv() // as it comes: the stream goes on
		must(t, err)
		if got.GetStatus() != want {
			t.Errorf("the stream says %s, want %s", got.GetStatus(), want)
		}
		state.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
}

// http2App serves on a listener, HTTP/2 without TLS only.
func http2App(t *testing.T, ln net.Listener, handler http.HandlerFunc) *http.Server {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols, ReadHeaderTimeout: limit}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func TestAClientOfHTTP1ReachesAnInstanceOfHTTP2(t *testing.T) {
	app := listen(t)
	http2App(t, app, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/about":
			if r.ProtoMajor != 2 || r.Host != "shop.test" || r.Header.Get("X-Request-Id") == "" || r.UserAgent() != "" {
				t.Errorf("the instance was sent %s of %s with %v", r.Proto, r.Host, r.Header)
			}
			w.Header().Set("X-App", "1")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		case "/early":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusOK)
		case "/echo":
			w.Header().Set(http.TrailerPrefix+"X-Sum", "whole")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(w, r.Body)
		case "/breaks":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))
	ask := func(method, path string, body io.Reader) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.addr+path, body)
		must(t, err)
		req.Host = "shop.test"
		req.Header["User-Agent"] = nil
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}

	res := ask("GET", "/about", nil)
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusTeapot || string(body) != "short and stout" || res.Header.Get("X-App") != "1" {
		t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
	}
	if res := ask("GET", "/early", nil); res.StatusCode != http.StatusOK {
		t.Errorf("after early hints: %d", res.StatusCode)
	}

	sent := make([]byte, 5<<20)
	_, _ = rand.Read(sent)
	res = ask("POST", "/echo", bytes.NewReader(sent))
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, sent) || res.Trailer.Get("X-Sum") != "whole" {
		t.Errorf("%d of %d bytes came back (%v), trailers %v", len(got), len(sent), err, res.Trailer)
	}

	res = ask("GET", "/breaks", nil)
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%q looks like the whole", got)
	}
}

func TestBothDirectionsOfHTTP2AtOnce(t *testing.T) {
	app := listen(t)
	http2App(t, app, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		buf := make([]byte, 64)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(bytes.ToUpper(buf[:n]))
			_ = rc.Flush()
			if err != nil {
				return
			}
		}
	})
	r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &h2c}}
	body, say := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+r.addr+"/", body)
	must(t, err)
	req.Host = "shop.test"
	res, err := client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	for _, word := range []string{"one", "two", "three"} {
		_, _ = io.WriteString(say, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("said %q, heard %q (%v)", word, got, err)
		}
	}
	_ = say.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

func TestAnInstanceOfHTTP2ThatIsGone(t *testing.T) {
	app := listen(t)
	server := http2App(t, app, func(http.ResponseWriter, *http.Request) {})
	r := start(t, http2Table(app.Addr().String()), gateway.Config{Boot: "b"}, listen(t))
	get := func() int {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.addr+"/", nil)
		req.Host = "shop.test"
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode
	}
	if got := get(); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	must(t, server.Close()) // the kept connection ends, and nobody accepts another one
	ended := time.Now()
	if got := get(); got != http.StatusBadGateway {
		t.Errorf("status %d, want 502", got)
	}
	if took := time.Since(ended); took > limit/2 {
		t.Errorf("it took %s to notice", took)
	}
	r.last(t)
	if a := r.last(t); a.Problem == "" || a.Status != http.StatusBadGateway {
		t.Errorf("recorded as %d, %q", a.Status, a.Problem)
	}
}
