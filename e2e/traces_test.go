package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"naru/internal/client"
)

// traced compiles an app that reports spans. Its libraries are modules of its
// own, which have to be had.
func traced(t *testing.T) string {
	t.Helper()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = filepath.Join("testdata", "traced")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("mod", "download"); err != nil {
		t.Skipf("the modules of OpenTelemetry and Zipkin cannot be had: %v\n%s", err, out)
	}
	dir := t.TempDir()
	if out, err := run("build", "-o", filepath.Join(dir, "bin", "traced"), "."); err != nil {
		t.Fatalf("compile traced: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: ./bin/traced\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Apps that are instrumented with OpenTelemetry's SDK, over HTTP and over gRPC,
// and with zipkin-go find out by their environment where to send. One request
// through all of them is one trace, whose first span is the gateway's.
func TestTraces(t *testing.T) {
	t.Parallel()
	dir := traced(t)
	p := start(t, "NARU_TRACES_SAMPLE=1")
	at := map[string]string{}
	for app, env := range map[string]string{"front": "LIBRARY=otel", "middle": "LIBRARY=zipkin", "last": "PROTOCOL=grpc"} {
		p.admin.do(t, "push", app, "--path", dir, "--memory", "64M", "--env", env, "--health-check", "http", "--health-path", "/health")
		got, err := p.visit(t, app, "/address")
		if err != nil {
			t.Fatal(err)
		}
		at[app] = "http://" + got.body
	}
	got, err := p.visit(t, "front", "/cart?next="+url.QueryEscape(at["middle"]+"/stock?next="+url.QueryEscape(at["last"]+"/price")))
	if err != nil || got.status != http.StatusOK || got.body != "the end\n" {
		t.Fatalf("the visit: %+v, %v", got, err)
	}

	var one client.TraceDetail
	eventually(t, time.Minute, "the trace is whole", func() error {
		for _, found := range p.traces(t, "front", "--tag", "url.path=/cart").Items {
			one = client.TraceDetail{} // what an answer leaves out must not stay from the one before
			if err := p.quietly(t, &one, "trace", found.ID); err != nil {
				return err
			}
			if len(one.Services) == 4 && one.Spans == 6 {
				return nil
			}
		}
		return fmt.Errorf("it has %d spans of %v", one.Spans, one.Services)
	})
	// gateway > front > its call > middle > its call > last
	var way []string
	parents := map[string]client.Span{}
	for _, s := range one.Tree {
		parents[s.ID+s.Kind] = s
	}
	for _, s := range one.Tree {
		way = append(way, s.Service+" "+s.Kind)
		if s.Service == "gateway" && s.Parent != "" {
			t.Errorf("the gateway's span has parent %s", s.Parent)
		}
		if s.Service != "gateway" && !slices.ContainsFunc(one.Tree, func(up client.Span) bool { return up.ID == s.Parent }) {
			t.Errorf("span %s of %s has no parent %s", s.ID, s.Service, s.Parent)
		}
	}
	if want := []string{"gateway server", "front server", "front client", "middle server", "middle client", "last server"}; !slices.Equal(way, want) {
		t.Errorf("the way was %v, want %v", way, want)
	}
	if one.Service != "gateway" || one.Errors != 0 {
		t.Errorf("the trace is %+v", one.Trace)
	}
	drawn := p.admin.do(t, "trace", one.ID)
	t.Log("\n" + drawn)
	if strings.Contains(drawn, "\x1b") || len(regexp.MustCompile(`━`).FindAllString(drawn, -1)) < 6 {
		t.Errorf("drawn:\n%s", drawn)
	}
	for _, name := range []string{"gateway  GET front.localhost", "  front  ", "4 services"} {
		mustSay(t, drawn, name)
	}

	t.Run("found by what went wrong", func(t *testing.T) {
		if _, err := p.visit(t, "front", "/?next="+url.QueryEscape(at["last"]+"/fail")); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, "the failure is found", func() error {
			l := p.traces(t, "last", "--error")
			if len(l.Items) != 1 || l.Items[0].Errors < 3 {
				return fmt.Errorf("found %+v", l.Items)
			}
			return nil
		})
		if l := p.traces(t, "last", "--min-duration", "1h"); len(l.Items) > 0 {
			t.Errorf("found %+v", l.Items)
		}
	})
	t.Run("its lines are found", func(t *testing.T) {
		eventually(t, time.Minute, "all apps' lines name the trace", func() error {
			for app := range at {
				var line client.LogLine
				out := p.admin.do(t, "logs", app, "--trace", one.ID, "--json")
				first, _, _ := strings.Cut(out, "\n")
				if err := json.Unmarshal([]byte(first), &line); err != nil || line.Trace != one.ID {
					return fmt.Errorf("%s has %q: %v", app, out, err)
				}
			}
			return nil
		})
	})
	t.Run("who calls whom", func(t *testing.T) {
		var d client.Dependencies
		eventually(t, time.Minute, "the graph is whole", func() error {
			d = client.Dependencies{}
			if err := p.quietly(t, &d, "dependencies"); err != nil {
				return err
			}
			calls := map[string]int64{}
			for _, c := range d.Items {
				calls[c.From+">"+c.To] = c.Calls
				if c.To == "last" && c.From == "front" && c.Errors != 1 {
					return fmt.Errorf("%+v", c)
				}
			}
			for edge, n := range map[string]int64{"gateway>front": 3, "front>middle": 1, "middle>last": 1, "front>last": 1} {
				if calls[edge] != n {
					return fmt.Errorf("%s was called %d times, want %d", edge, calls[edge], n)
				}
			}
			return nil
		})
		t.Log("\n" + p.admin.do(t, "dependencies", "front"))
	})
	token := regexp.MustCompile(`(?m)^naru_\S+$`).FindString(p.admin.do(t, "tokens", "create", "traces"))
	t.Run("Zipkin's questions", func(t *testing.T) { p.zipkinAnswers(t, token, one) })
	t.Run("spans from elsewhere", func(t *testing.T) { p.takesSpans(t, token) })
}

// zipkinAnswers asks what Zipkin's user interface asks.
func (p *platform) zipkinAnswers(t *testing.T, token string, one client.TraceDetail) {
	ask := func(path string, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://zipkin.naru.localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("admin", token)
		res, err := p.visitors().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, res.Status, err)
		}
	}
	var names []string
	ask("/zipkin/api/v2/services", &names)
	if !slices.Equal(names, []string{"front", "gateway", "last", "middle"}) {
		t.Errorf("services %v", names)
	}
	type span struct{ TraceID, ParentID, ID, Kind, Name string }
	var found [][]span
	ask("/api/v2/traces?serviceName=middle&lookback=3600000&limit=10", &found)
	if len(found) != 1 || len(found[0]) != 6 || found[0][0].TraceID != one.ID {
		t.Errorf("found %v", found)
	}
	var spans []span
	if ask("/api/v2/trace/"+one.ID, &spans); len(spans) != 6 {
		t.Errorf("the trace is %v", spans)
	}
}

// takesSpans sends spans with an API token: through the gateway over HTTP and
// gRPC, and to the API's own address.
func (p *platform) takesSpans(t *testing.T, token string) {
	request := func(last byte) *tracepb.ExportTraceServiceRequest {
		now := uint64(time.Now().UnixNano())
		id := append([]byte("fifteen bytes.."), last)
		return &tracepb.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{ScopeSpans: []*otlp.ScopeSpans{{Spans: []*otlp.Span{{
			TraceId: id, SpanId: id[8:], Name: "elsewhere", StartTimeUnixNano: now, EndTimeUnixNano: now + 1000,
		}}}}}}}
	}
	for i, to := range []string{"http://otlp.naru.localhost/v1/traces", "http://" + p.api + "/otlp/v1/traces"} {
		body, err := proto.Marshal(request(byte('a' + i)))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/x-protobuf")
		who := p.visitors()
		if i > 0 {
			who = http.DefaultClient
		}
		res, err := who.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", to, res.Status)
		}
	}
	conn, err := grpc.NewClient("passthrough:///"+p.apps, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("otlp.naru.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if _, err := tracepb.NewTraceServiceClient(conn).Export(ctx, request('c')); err != nil {
		t.Error(err)
	}
	if _, err := tracepb.NewTraceServiceClient(conn).Export(t.Context(), request('d')); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	for _, last := range "abc" {
		p.admin.do(t, "trace", hex.EncodeToString([]byte("fifteen bytes.."+string(last))))
	}
	p.admin.refused(t, []string{"trace", hex.EncodeToString([]byte("fifteen bytes..d"))}, "there is no trace")
}

// traces are those that a search of an app finds.
func (p *platform) traces(t *testing.T, app string, more ...string) (l client.TraceList) {
	t.Helper()
	if err := p.quietly(t, &l, append([]string{"traces", app}, more...)...); err != nil {
		t.Fatal(err)
	}
	return l
}

// quietly is json for what is asked again and again.
func (p *platform) quietly(t testing.TB, into any, args ...string) error {
	t.Helper()
	out, code := p.admin.run(t, "", append(args, "--json")...)
	if code != 0 {
		return fmt.Errorf("naru %s ended with %d: %s", strings.Join(args, " "), code, out)
	}
	return json.Unmarshal([]byte(out), into)
}
