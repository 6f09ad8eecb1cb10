package gateway_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route"
	"naru/internal/route/gateway"
)

// large is more of a head than is taken, in fields of a common size.
var large = slices.Repeat([]hpack.HeaderField{{Name: "x", Value: strings.Repeat("y", 1000)}}, 6)

// TestRequestsThatNobodyServesAreRecorded sends requests of HTTP/2 that net/http
// does not ask the gateway about, and others around them: each is recorded and
// counted once.
func TestRequestsThatNobodyServesAreRecorded(t *testing.T) {
	head := func(more ...hpack.HeaderField) []hpack.HeaderField {
		return append([]hpack.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/"},
		}, more...)
	}
	opens := func(pairs []hpack.HeaderField) func(e *h2end) error {
		return func(e *h2end) error { return e.open(pairs, true) }
	}
	for name, c := range map[string]struct {
		sends   func(e *h2end) error
		status  int
		problem string
		ends    bool // and the connection with it
		either  bool // it may have been served just before
	}{
		"a large head":            {opens(head(large...)), 431, "refused: ", false, false},
		"an answer to a HEAD":     {opens(append([]hpack.HeaderField{{Name: ":method", Value: "HEAD"}}, head(large...)[1:]...)), 431, "refused: ", false, false},
		"a field of a connection": {opens(head(hpack.HeaderField{Name: "connection", Value: "close"})), 400, "refused: a header field that HTTP/2", false, false},
		"TE":                      {opens(head(hpack.HeaderField{Name: "te", Value: "gzip"})), 400, "refused: a header field that HTTP/2", false, false},
		"several Expect":          {opens(head(hpack.HeaderField{Name: "expect", Value: "100-continue"}, hpack.HeaderField{Name: "expect", Value: "x"})), 0, "", false, false},
		"upper case":              {opens(head(hpack.HeaderField{Name: "X", Value: "y"})), 0, "refused: it is no request", false, false},
		"no path":                 {opens(head()[:3]), 0, "refused: it is no request", false, false},
		"it is taken back": {func(e *h2end) error {
			if err := e.open(head(), false); err != nil {
				return err
			}
			return e.frames.WriteRSTStream(e.stream, http2.ErrCodeCancel)
		}, 0, "the client left", false, true},
		"a field that is larger than all of a head may be": {opens(head(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 5000)})), 0, "refused: it is not HTTP/2", true, false},
		"a head that is none": {func(e *h2end) error {
			e.stream += 2
			return e.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: e.stream, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff}, EndStream: true, EndHeaders: true})
		}, 0, "refused: it is not HTTP/2", true, false},
		"half a head": {func(e *h2end) error {
			e.stream += 2
			if err := e.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: e.stream, BlockFragment: e.encode(head()), EndStream: true}); err != nil {
				return err
			}
			return e.Close()
		}, 0, "the client left", true, false},
	} {
		for _, over := range protocols[2:] {
			t.Run(name+" over "+over.name, func(t *testing.T) {
				at := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") })
				in := listen(t)
				r := start(t, tableOf(at), gateway.Config{HeaderBytes: 4096}, secured(t, in, over.secure))
				e := dialH2(t, r.addr, over.secure)
				must(t, e.SetDeadline(time.Now().Add(limit)))
				must(t, e.frames.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 8192})) // an encoder that has to say so first
				e.asks(t)
				if a := r.last(t); a.Status != 200 {
					t.Fatalf("recorded %+v", a)
				}
				must(t, c.sends(e))
				if c.problem != "" {
					a := r.last(t)
					served := c.either && a.Method == "GET"
					if a.Status != c.status || !strings.HasPrefix(a.Problem, c.problem) || a.Proto != "HTTP/2.0" || a.Client == "" || a.RequestID == "" || a.Method != "-" && !served {
						t.Errorf("recorded %+v", a)
					}
				} else if a := r.last(t); a.Proto != "HTTP/2.0" {
					t.Errorf("recorded %+v", a)
				}
				served := uint64(1)
				if !c.ends {
					for e.over == nil && c.problem != "the client left" {
						must(t, e.more())
					}
					e.unread = nil
					e.asks(t)
					if a := r.last(t); a.Status != 200 || a.Method != "GET" {
						t.Errorf("recorded %+v", a)
					}
					served++
				}
				_ = e.Close()
				must(t, r.stop())
				if len(r.records) > 0 {
					t.Errorf("recorded besides %+v", <-r.records)
				}
				counted := map[string]route.Counter{}
				for _, c := range r.Counters() {
					counted[c.Group] = c
				}
				if stray := counted[""]; c.problem != "" && !c.either && (stray.Requests() != 1 || stray.Classes[c.status/100] != 1 || counted["g1"].Requests() != served) {
					t.Errorf("counted %+v", counted)
				}
			})
		}
	}
}

// TestManyRequestsAreRecordedOnce has good and bad ones on one connection at once.
func TestManyRequestsAreRecordedOnce(t *testing.T) {
	at := serveApp(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") })
	r := start(t, tableOf(at), gateway.Config{HeaderBytes: 4096})
	e := dialH2(t, r.addr, false)
	must(t, e.SetDeadline(time.Now().Add(limit)))
	want := map[int]int{}
	for i := range 100 {
		pairs := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "shop.test"}, {Name: ":path", Value: "/"}}
		switch i % 4 {
		case 0:
			pairs = append(pairs, large...)
			want[431]++
		case 1:
			pairs = append(pairs, hpack.HeaderField{Name: "connection", Value: "close"})
			want[400]++
		case 2:
			pairs = append(pairs, hpack.HeaderField{Name: "X", Value: "y"})
			want[0]++
		default:
			want[200]++
		}
		must(t, e.open(pairs, true))
	}
	got := map[int]int{}
	for range 100 {
		got[r.last(t).Status]++
	}
	for status, n := range want {
		if got[status] != n {
			t.Errorf("%d recorded with %d, want %d", got[status], status, n)
		}
	}
	must(t, r.stop())
	if len(r.records) > 0 {
		t.Errorf("recorded besides %+v", <-r.records)
	}
}
