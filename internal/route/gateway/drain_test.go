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
			ln := listen(t)
			listeners := []net.Listener{ln}
			if over.secure {
				listeners[0] = gateway.Secure(ln, certificate(t))
			}
			r := start(t, tableOf(at), gateway.Config{Drain: 300 * time.Millisecond, DrainUpgrade: limit}, listeners...)
			get := func(path string) (*http.Response, error) {
				scheme := "http"
				if over.secure {
					scheme = "https"
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+r.addr+path, nil)
				must(t, err)
				req.Host = "shop.test"
				return (&http.Client{Transport: over.transport()}).Do(req)
			}
			go func() { events <- "before" }()
			res, err := get("/stream")
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
				never, err := get("/never")
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
