package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"naru/internal/route/gateway"
)

// TestAnswersThatGoOnOutliveOrdinaryRequests ends a gateway that has a stream and
// a request without an answer: the deadline of ordinary requests cuts only that.
func TestAnswersThatGoOnOutliveOrdinaryRequests(t *testing.T) {
	for _, over := range protocols {
		t.Run(over.name, func(t *testing.T) {
			events, asked := make(chan string), make(chan struct{}, 1)
			at := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/never" {
					asked <- struct{}{}
					<-r.Context().Done()
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				for text := range events {
					fmt.Fprintf(w, "data: %s\n", text)
					if http.NewResponseController(w).Flush() != nil {
						return
					}
				}
			})
			r := startOver(t, over, at)
			go func() { events <- "before" }()
			res, err := r.ask(t, over, "/stream", nil)
			must(t, err)
			defer func() { _ = res.Body.Close() }()
			in := bufio.NewReader(res.Body)
			hears := func(text string) {
				t.Helper()
				if got, err := in.ReadString('\n'); got != "data: "+text+"\n" {
					t.Fatalf("read %q, %v, want %s", got, err, text)
				}
			}
			hears("before")
			cut := make(chan error, 1)
			go func() {
				never, err := r.ask(t, over, "/never", nil)
				if err == nil {
					_ = never.Body.Close()
					err = fmt.Errorf("status %d", never.StatusCode)
				}
				cut <- err
			}()
			<-asked
			stopped := make(chan error, 1)
			go func() { stopped <- r.stop() }()
			select {
			case err := <-cut:
				if err == nil {
					t.Error("a request without an answer was answered")
				}
			case <-time.After(limit):
				t.Fatal("the deadline of ordinary requests never came")
			}
			events <- "after"
			hears("after")
			close(events)
			if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
			must(t, <-stopped)
		})
	}
}

// startOver serves shop.test over a protocol, with little time for requests when
// it ends.
func startOver(t *testing.T, over protocol, at string) *running {
	t.Helper()
	ln := listen(t)
	listeners := []net.Listener{ln}
	if over.secure {
		listeners[0] = gateway.Secure(ln, certificate(t))
	}
	return start(t, tableOf(at), gateway.Config{Drain: 300 * time.Millisecond, DrainUpgrade: limit}, listeners...)
}

// ask sends a request on a connection of its own; with a body it is a call of
// gRPC.
func (r *running) ask(t *testing.T, over protocol, path string, body io.Reader) (*http.Response, error) {
	scheme, method := "http", http.MethodGet
	if over.secure {
		scheme = "https"
	}
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, scheme+"://"+r.addr+path, body)
	if err != nil {
		return nil, err
	}
	if req.Host = "shop.test"; body != nil {
		req.Header.Set("Content-Type", "application/grpc+proto")
	}
	return (&http.Client{Transport: over.transport()}).Do(req)
}

// TestACallThatGoesOnOutlivesOrdinaryRequests is the same for a gRPC call that is
// answered when its client has said everything.
func TestACallThatGoesOnOutlivesOrdinaryRequests(t *testing.T) {
	for _, over := range protocols {
		t.Run(over.name, func(t *testing.T) {
			asked := make(chan string, 2)
			at := serveApp(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- r.URL.Path
				if r.URL.Path == "/never" {
					<-r.Context().Done()
					return
				}
				said, err := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s, %v", said, err)
			})
			r := startOver(t, over, at)
			out, in := io.Pipe()
			answered := make(chan string, 1)
			go func() {
				res, err := r.ask(t, over, "/call", out)
				if err != nil {
					answered <- err.Error()
					return
				}
				defer func() { _ = res.Body.Close() }()
				text, err := io.ReadAll(res.Body)
				answered <- fmt.Sprint(string(text), ", ", err)
			}()
			_, err := io.WriteString(in, "begins ")
			must(t, err)
			<-asked
			cut := make(chan struct{})
			go func() {
				defer close(cut)
				if never, err := r.ask(t, over, "/never", nil); err == nil {
					_ = never.Body.Close()
				}
			}()
			<-asked
			stopped := make(chan error, 1)
			go func() { stopped <- r.stop() }()
			<-cut
			_, err = io.WriteString(in, "and ends")
			must(t, err)
			must(t, in.Close())
			if got := <-answered; got != "begins and ends, <nil>, <nil>" {
				t.Errorf("it was answered %q", got)
			}
			must(t, <-stopped)
		})
	}
}
