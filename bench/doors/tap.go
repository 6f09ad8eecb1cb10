package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// exchange is one request, from when its head had come until the last byte of its
// answer was passed on.
type exchange struct {
	method, path string
	began, ended time.Time
	answer       string // what a state was seen to be; "" for other requests
}

// waits reports a request whose answer is the end of some work: those of states, and
// the stream of naru's own.
func (e exchange) waits() bool {
	return e.answer != "" || strings.HasSuffix(strings.SplitN(e.path, "?", 2)[0], "/events")
}

// logs reports a request for an app's output, which clients read beside the work.
func (e exchange) logs() bool { return strings.HasPrefix(e.path, "/api/v1/") }

// tap stands before a door and times what goes through it. Where a client would
// pause between two looks at a state, the tap looks for it, without those pauses.
type tap struct {
	url  string // where clients find it
	door *url.URL
	srv  *http.Server

	open sync.WaitGroup // requests that are on their way
	mu   sync.Mutex     // guards seen
	seen []exchange
}

// between is the pause between two looks at a state, in place of the clients' three
// seconds. Of instances it is longer: what they serve does not wait for a look, and
// looks take processor time that clients would not.
func between(path string) time.Duration {
	if strings.HasSuffix(path, "/stats") {
		return 200 * time.Millisecond
	}
	return 10 * time.Millisecond
}

func newTap(ctx context.Context, door string) (*tap, error) {
	at, err := url.Parse(door)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{url: "http://" + l.Addr().String(), door: at}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }, // the client is told
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(at)
			r.Out.Host = r.In.Host // links in answers lead back here
		},
	}
	t.srv = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.open.Add(1)
		defer t.open.Done()
		if r.Method == http.MethodGet && polled.MatchString(r.URL.Path) {
			t.hold(w, r)
			return
		}
		began := time.Now()
		proxy.ServeHTTP(w, r)
		t.note(exchange{r.Method, r.URL.RequestURI(), began, time.Now(), ""})
	})}
	go func() { _ = t.srv.Serve(l) }() // it ends with the program at the latest
	return t, nil
}

func (t *tap) note(e exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, e)
}

// taken returns what went through since it was last called, once nothing is on its
// way: the client has gone.
func (t *tap) taken() []exchange {
	t.open.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.seen
	t.seen = nil
	return out
}

// polled are the addresses that clients look at again and again.
var polled = regexp.MustCompile(`^/v3/((jobs|packages|builds|deployments)/[^/]+|processes/[^/]+/stats)$`)

// hold answers with a state once the client would not ask for it again.
func (t *tap) hold(w http.ResponseWriter, r *http.Request) {
	for {
		began := time.Now()
		status, body, err := t.ask(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		state, settled := stateOf(body)
		t.note(exchange{r.Method, r.URL.RequestURI(), began, time.Now(), state})
		if settled || status != http.StatusOK {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write(body) // the client may have gone
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(between(r.URL.Path)):
		}
	}
}

func (t *tap) ask(r *http.Request) (status int, body []byte, err error) {
	req := r.Clone(r.Context())
	req.RequestURI, req.URL.Scheme, req.URL.Host = "", t.door.Scheme, t.door.Host
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// stateOf reads a state and whether the client goes on from it.
func stateOf(body []byte) (state string, settled bool) {
	var in struct {
		State     string `json:"state"`
		Resources []struct {
			State string `json:"state"`
		} `json:"resources"`
		Status struct {
			Value  string `json:"value"`
			Reason string `json:"reason"`
		} `json:"status"`
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&in) != nil {
		return "", true
	}
	if in.Status.Value != "" {
		return in.Status.Value + " " + in.Status.Reason, in.Status.Value == "FINALIZED" || in.Status.Reason == "PAUSED"
	}
	if in.State != "" {
		return in.State, in.State != "PROCESSING" && in.State != "STAGING" && in.State != "PROCESSING_UPLOAD"
	}
	crashed := 0
	for _, i := range in.Resources {
		if i.State == "RUNNING" {
			return i.State, true
		}
		if i.State == "CRASHED" {
			crashed++
		}
	}
	return fmt.Sprint(len(in.Resources), " not running"), crashed == len(in.Resources)
}
