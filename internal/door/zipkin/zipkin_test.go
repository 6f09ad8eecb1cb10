package zipkin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/door/sender"
	"naru/internal/fault"
	"naru/internal/observe/traces"
	"naru/internal/secret"
)

// people know "ann", who reads space1, and instances with a token of theirs.
type people struct{ tokens *sender.Tokens }

func (p people) Sender(_ context.Context, a sender.Asked) (sender.Sender, error) {
	id, instance, ok := p.tokens.Read(a.Token)
	if !ok {
		return sender.Sender{}, fault.New(fault.Unauthenticated, "", "a token is needed")
	}
	return sender.Sender{Owner: traces.Owner{Space: app.SpaceID("space-of-" + id), App: app.ID(id), Instance: instance}}, nil
}

func (people) Verify(_ context.Context, token string) (auth.Identity, error) {
	if token != "ann's" {
		return auth.Identity{}, fault.New(fault.Unauthenticated, "", "no such token")
	}
	return auth.Identity{UserID: "ann", Name: "ann"}, nil
}

func (p people) Authenticate(ctx context.Context, _ string, password secret.Secret) (auth.Identity, error) {
	return p.Verify(ctx, password.Reveal())
}

func (people) TraceReader(context.Context, auth.Identity) (traces.Reader, error) {
	return traces.Reader{Spaces: []app.SpaceID{"space-of-shop", "space-of-stock"}}, nil
}

type world struct {
	t      *testing.T
	url    string
	tokens *sender.Tokens
	store  *traces.Store
	now    time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := traces.Open(traces.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	p := people{sender.NewTokens([]byte("secret"))}
	srv := httptest.NewServer(New(Config{BodyBytes: 1 << 20}, p, p, p, st, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	return &world{t, srv.URL, p.tokens, st, time.Now().Truncate(time.Microsecond)}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send posts spans as an app, whose token is in the URL.
func (w *world) send(app, kind, body string) (int, string) {
	w.t.Helper()
	path := "/api/v2/spans"
	if app != "" {
		path = "/t/" + w.tokens.Sign(app, "i1") + path
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	must(w.t, err)
	return res.StatusCode, string(said) + res.Header.Get("Naru-Refused")
}

// ask gets an answer as ann.
func (w *world) ask(path string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	must(w.t, err)
	req.Header.Set("Authorization", "Bearer ann's")
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	must(w.t, err)
	return res.StatusCode, string(said)
}

const spansJSON = `[
 {"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"a2fb4a1d1a96d312","kind":"SERVER","name":"get /cart","timestamp":%d,"duration":120000,
  "localEndpoint":{"serviceName":"shop","ipv4":"10.64.0.7","port":8080},"tags":{"http.method":"GET","http.path":"/cart"}},
 {"traceId":"463ac35c9f6413ad48485a3953bb6124","parentId":"a2fb4a1d1a96d312","id":"0000000000000002","kind":"CLIENT","name":"get","timestamp":%d,"duration":50000,
  "localEndpoint":{"serviceName":"shop"},"remoteEndpoint":{"serviceName":"stock","ipv4":"10.64.0.8","port":9090},
  "annotations":[{"timestamp":%d,"value":"retry"}],"tags":{"error":"no stock","cache":"miss"},"debug":true}
]`

func (w *world) spans() string {
	us := w.now.UnixMicro()
	return fmt.Sprintf(spansJSON, us, us+1000, us+2000)
}

func TestSpansComeBack(t *testing.T) {
	w := newWorld(t)
	if code, said := w.send("shop", "application/json", w.spans()); code != http.StatusAccepted || said != "" {
		t.Fatalf("sent: %d, %s", code, said)
	}
	if code, said := w.send("stock", "application/json", fmt.Sprintf(`[{"traceId":"463ac35c9f6413ad48485a3953bb6124","parentId":"a2fb4a1d1a96d312","id":"2","kind":"SERVER","shared":true,"timestamp":%d,"duration":10,"localEndpoint":{"serviceName":"stock"}}]`, w.now.UnixMicro()+1500)); code != http.StatusAccepted {
		t.Fatalf("sent: %d, %s", code, said)
	}
	if code, _ := w.send("elsewhere", "application/json", fmt.Sprintf(`[{"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"3","timestamp":%d,"localEndpoint":{"serviceName":"secret"}}]`, w.now.UnixMicro())); code != http.StatusAccepted {
		t.Fatalf("sent: %d", code)
	}
	code, said := w.ask("/api/v2/trace/463ac35c9f6413ad48485a3953bb6124")
	var got []span
	if err := json.Unmarshal([]byte(said), &got); err != nil || code != http.StatusOK || len(got) != 3 {
		t.Fatalf("%d, %s", code, said)
	}
	want := span{
		TraceID: "463ac35c9f6413ad48485a3953bb6124", ParentID: "a2fb4a1d1a96d312", ID: "0000000000000002", Kind: "CLIENT", Name: "get",
		Timestamp: w.now.UnixMicro() + 1000, Duration: 50000, Local: &endpoint{Service: "shop"}, Remote: &endpoint{Service: "stock"},
		Annotations: []annotation{{w.now.UnixMicro() + 2000, "retry"}}, Tags: map[string]string{"error": "no stock", "cache": "miss", peerAddress: "10.64.0.8", peerPort: "9090"},
	}
	if !reflect.DeepEqual(got[1], want) {
		t.Errorf("got  %+v\nwant %+v", got[1], want)
	}
	if !got[2].Shared || got[2].ID != want.ID || got[2].Local.Service != "stock" {
		t.Errorf("the other half is %+v", got[2])
	}
}

func TestQuestions(t *testing.T) {
	w := newWorld(t)
	w.send("shop", "application/json", w.spans())
	end := "&endTs=" + fmt.Sprint(w.now.Add(time.Second).UnixMilli())
	for path, want := range map[string]struct {
		code int
		says string // all of it, where it begins with =
	}{
		"/api/v2/services":                                              {200, `=["shop"]`},
		"/zipkin/api/v2/services":                                       {200, `=["shop"]`},
		"/api/v2/spans?serviceName=shop":                                {200, `=["get","get /cart"]`},
		"/api/v2/spans":                                                 {200, `=[]`},
		"/api/v2/remoteServices?serviceName=shop":                       {200, `=["stock"]`},
		"/api/v2/traces?serviceName=shop" + end:                         {200, `"duration":120000`},
		"/api/v2/traces?serviceName=all&spanName=all" + end:             {200, `"duration":120000`},
		"/api/v2/traces?serviceName=nobody":                             {200, `=[]`},
		"/api/v2/traces?remoteServiceName=stock" + end:                  {200, `"duration":120000`},
		"/api/v2/traces?minDuration=120000" + end:                       {200, `"duration":120000`},
		"/api/v2/traces?minDuration=120001" + end:                       {200, `=[]`},
		"/api/v2/traces?minDuration=1000&maxDuration=49999":             {200, `=[]`},
		"/api/v2/traces?annotationQuery=error" + end:                    {200, `"duration":120000`},
		"/api/v2/traces?annotationQuery=retry+and+cache%3Dmiss" + end:   {200, `"duration":120000`},
		"/api/v2/traces?annotationQuery=cache%3Dhit" + end:              {200, `=[]`},
		"/api/v2/traces?endTs=1000":                                     {200, `=[]`},
		"/api/v2/traces?limit=x":                                        {400, "limit"},
		"/api/v2/traces?lookback=-1":                                    {400, "lookback"},
		"/api/v2/traces?endTs=999999999999999999999":                    {400, "endTs"},
		"/api/v2/trace/463ac35c9f6413ad48485a3953bb6124":                {200, `"http.path":"/cart"`},
		"/api/v2/trace/48485a3953bb6124":                                {200, `"http.path":"/cart"`},
		"/api/v2/trace/463ac35c9f6413ad48485a3953bb6125":                {404, "there is no trace"},
		"/api/v2/trace/nothing":                                         {400, "hexadecimal"},
		"/api/v2/traceMany?traceIds=463ac35c9f6413ad48485a3953bb6124,5": {200, `[[{"traceId":"463ac35c9f6413ad48485a3953bb6124"`},
		"/api/v2/traceMany":                                             {400, "traceIds"},
		"/api/v2/dependencies?" + end[1:]:                               {200, `=[{"parent":"shop","child":"stock","callCount":1,"errorCount":1}]`},
		"/api/v2/dependencies":                                          {400, "endTs"},
		"/api/v2/autocompleteKeys":                                      {200, `["cache","error","http.method"`},
		"/api/v2/autocompleteValues?key=cache":                          {200, `=["miss"]`},
		"/api/v2/autocompleteValues?key=none":                           {200, `=[]`},
		"/api/v2/autocompleteValues":                                    {400, "key"},
		"/zipkin/config.json":                                           {200, `"searchEnabled":true`},
		"/health":                                                       {200, "UP"},
		"/api/v1/services":                                              {404, "/api/v2"},
	} {
		code, said := w.ask(path)
		all, exact := strings.CutPrefix(want.says, "=")
		if code != want.code || exact && said != all || !strings.Contains(said, all) {
			t.Errorf("%s: %d, %s; want %d, %s", path, code, said, want.code, want.says)
		}
	}
}

func TestWhoMay(t *testing.T) {
	w := newWorld(t)
	if code, _ := w.send("", "application/json", "[]"); code != http.StatusUnauthorized {
		t.Errorf("spans of nobody: %d", code)
	}
	for name, header := range map[string]string{"nobody": "", "somebody else": "Bearer x", "an instance": "Bearer " + w.tokens.Sign("shop", "i1")} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v2/services", nil)
		must(t, err)
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		_ = res.Body.Close()
		if want := map[bool]int{true: http.StatusForbidden, false: http.StatusUnauthorized}[name == "an instance"]; res.StatusCode != want {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/t/"+w.tokens.Sign("shop", "i1")+"/api/v2/services", nil)
	rec := httptest.NewRecorder()
	p := people{w.tokens}
	New(Config{}, p, p, p, w.store, slog.New(slog.DiscardHandler)).Writer().ServeHTTP(rec, req)
	if rec.Code != http.StatusNotFound {
		t.Errorf("the writer answers a question with %d", rec.Code)
	}
}

func TestBadSpans(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		kind, body string
		code       int
		says       string
	}{
		"nothing":        {"application/json", "", 400, "no list"},
		"an object":      {"application/json", "{}", 400, "no list"},
		"not JSON":       {"application/json", "[{", 400, "no list"},
		"no trace":       {"application/json", `[{"id":"1"}]`, 400, "[0]"},
		"no id":          {"application/json", `[{"traceId":"1"}]`, 400, "16 hexadecimal digits"},
		"a long id":      {"application/json", `[{"traceId":"1","id":"12345678901234567"}]`, 400, "16 hexadecimal digits"},
		"of 1970":        {"application/json", `[{"traceId":"1","id":"1","timestamp":1000}]`, 202, "traces.days"},
		"for ever":       {"application/json", fmt.Sprintf(`[{"traceId":"1","id":"1","timestamp":%d,"duration":9223372036854775807}]`, w.now.UnixMicro()), 202, "takes more than"},
		"backwards":      {"application/json", fmt.Sprintf(`[{"traceId":"1","id":"1","timestamp":%d,"duration":-1}]`, w.now.UnixMicro()), 202, "before it starts"},
		"of no time":     {"application/json", `[{"traceId":"1","id":"1"}]`, 202, ""},
		"no protobuf":    {"application/x-protobuf", "hello", 400, "zipkin.proto"},
		"thrift":         {"application/x-thrift", "hello", 415, "application/json"},
		"none":           {"application/json", "[]", 202, ""},
		"empty protobuf": {"application/x-protobuf", "", 202, ""},
		"too large":      {"application/json", "[" + strings.Repeat(" ", 2<<20) + "]", 413, "more than"},
	} {
		if code, said := w.send("shop", tc.kind, tc.body); code != tc.code || !strings.Contains(said, tc.says) {
			t.Errorf("%s: %d, %s; want %d, %s", name, code, said, tc.code, tc.says)
		}
	}
}

// protobuf is what zipkin-go and brave send: a span by zipkin.proto.
func protobuf(now time.Time) []byte {
	sub := func(number protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
	}
	fixed := func(number protowire.Number, v uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), v)
	}
	varint := func(number protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
	}
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	us := uint64(now.UnixMicro())
	return sub(1, join(
		sub(1, []byte("0123456789abcdef")), sub(2, []byte("76543210")), sub(3, []byte("01234567")), varint(4, 1), sub(5, []byte("get")), fixed(6, us), varint(7, 5000),
		sub(8, sub(1, []byte("shop"))), sub(9, join(sub(1, []byte("stock")), sub(2, []byte{10, 64, 0, 8}), varint(4, 9090))),
		sub(10, join(fixed(1, us+1), sub(2, []byte("retry")))), sub(11, join(sub(1, []byte("http.method")), sub(2, []byte("GET")))), varint(12, 1), varint(13, 1), varint(99, 7),
	))
}

func TestProtobuf(t *testing.T) {
	w := newWorld(t)
	if code, said := w.send("shop", "application/x-protobuf", string(protobuf(w.now))); code != http.StatusAccepted {
		t.Fatalf("sent: %d, %s", code, said)
	}
	_, said := w.ask("/api/v2/trace/" + url.PathEscape("30313233343536373839616263646566"))
	var got []span
	must(t, json.Unmarshal([]byte(said), &got))
	want := []span{{
		TraceID: "30313233343536373839616263646566", ParentID: "3736353433323130", ID: "3031323334353637", Kind: "CLIENT", Name: "get", Timestamp: w.now.UnixMicro(), Duration: 5000,
		Shared: true, Local: &endpoint{Service: "shop"}, Remote: &endpoint{Service: "stock"}, Annotations: []annotation{{w.now.UnixMicro() + 1, "retry"}},
		Tags: map[string]string{"http.method": "GET", peerAddress: "10.64.0.8", peerPort: "9090"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func FuzzProtobuf(f *testing.F) {
	f.Add(protobuf(time.Now()))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = fromProto(b) })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(spansJSON, 1, 2, 3)))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = fromJSON(b) })
}
