package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/secret"
)

// people are who may come, by token. What each may is in the token's name.
type people struct{}

func (people) Verify(_ context.Context, token string) (auth.Identity, error) {
	if !strings.HasPrefix(token, "may-") {
		return auth.Identity{}, fault.New(fault.Unauthenticated, "", "the token is not valid")
	}
	return auth.Identity{UserID: "u", Name: strings.TrimPrefix(token, "may-"), Admin: token == "may-all"}, nil
}

func (p people) Authenticate(ctx context.Context, _ string, password secret.Secret) (auth.Identity, error) {
	return p.Verify(ctx, password.Reveal())
}

func (people) Reader(_ context.Context, who auth.Identity) (metrics.Reader, error) {
	return metrics.Reader{All: who.Admin, Spaces: strings.Fields(strings.ReplaceAll(who.Name, "+", " "))}, nil
}

func (people) Writable(_ context.Context, who auth.Identity, name string) (collect.Place, error) {
	if name == "" {
		name = "default/" + who.Name
	}
	_, space, _ := strings.Cut(name, "/")
	if space != who.Name && !who.Admin {
		return collect.Place{}, fault.New(fault.NotFound, "space", "space %q does not exist", name)
	}
	return collect.Place{Org: "default", Space: space, SpaceID: space}, nil
}

// door is an open door with a real store.
type door struct {
	*Door
	t     *testing.T
	store *metrics.Store
	url   string
	now   time.Time // of the last sample
}

func start(t *testing.T, cfg Config) *door {
	t.Helper()
	d := &door{t: t, now: time.Now().Truncate(time.Second)}
	d.store = metrics.New(metrics.Options{Dir: t.TempDir(), Series: 2000, SeriesPerApp: 50}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.store.Run(ctx) }()
	<-d.store.Ready()
	d.Door = New(cfg, people{}, people{}, d.store, slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(d.Door)
	d.url = srv.URL
	t.Cleanup(func() {
		srv.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for _, space := range []string{"s1", "s2"} {
		s := &metrics.Series{Labels: labels.FromStrings("__name__", "naru_requests_total", "space_id", space, "app", "of-"+space)}
		var points []metrics.Point
		for i := range 21 {
			points = append(points, metrics.Point{Series: s, At: d.now.Add(time.Duration(i-20) * 15 * time.Second).UnixMilli(), Value: float64(i * 30)})
		}
		if _, err := d.store.Write(t.Context(), d.now, points); err != nil {
			t.Fatal(err)
		}
	}
	d.store.Describe("s1", "naru_requests_total", metrics.Metadata{Type: "counter", Help: "requests"})
	return d
}

// do sends a request as somebody and returns status and body.
func (d *door) do(method, path, token, body string, fields ...string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// expected are the statuses of each route for nobody, somebody unknown, a reader
// of one space, and an admin.
var expected = map[string]string{
	"GET /api/v1/query":               "401 401 400 400",
	"POST /api/v1/query":              "401 401 400 400",
	"GET /api/v1/query_range":         "401 401 400 400",
	"POST /api/v1/query_range":        "401 401 400 400",
	"GET /api/v1/series":              "401 401 400 400",
	"POST /api/v1/series":             "401 401 400 400",
	"GET /api/v1/labels":              "401 401 200 200",
	"POST /api/v1/labels":             "401 401 200 200",
	"GET /api/v1/label/{name}/values": "401 401 200 200",
	"GET /api/v1/metadata":            "401 401 200 200",
	"GET /api/v1/query_exemplars":     "401 401 400 400",
	"POST /api/v1/query_exemplars":    "401 401 400 400",
	"GET /api/v1/rules":               "401 401 200 200",
	"GET /api/v1/alerts":              "401 401 200 200",
	"GET /api/v1/status/buildinfo":    "401 401 200 200",
	"GET /api/v1/status/runtimeinfo":  "401 401 200 200",
	"POST /api/v1/read":               "401 401 400 400",
	"POST /api/v1/write":              "401 401 400 400",
	"GET /-/healthy":                  "200 200 200 200",
	"GET /-/ready":                    "200 200 200 200",
}

func TestEveryRouteAsksWhoIsThere(t *testing.T) {
	d := start(t, Config{})
	for _, r := range d.routes() {
		row, ok := expected[r.pattern]
		if !ok {
			t.Errorf("%s: no row says who may", r.pattern)
			continue
		}
		method, path, _ := strings.Cut(strings.ReplaceAll(r.pattern, "{name}", "app"), " ")
		for i, token := range []string{"", "wrong", "may-s1", "may-all"} {
			status, text := d.do(method, path, token, "")
			if want := strings.Fields(row)[i]; fmt.Sprint(status) != want {
				t.Errorf("%s as %q: %d %s, want %s", r.pattern, token, status, text, want)
			}
			if token != "may-all" && strings.Contains(text, "s2") {
				t.Errorf("%s as %q tells of another space: %s", r.pattern, token, text)
			}
			if status >= 400 && !strings.HasPrefix(text, `{"status":"error","errorType":"`) {
				t.Errorf("%s: %s", r.pattern, text)
			}
		}
	}
	if status, text := d.do("GET", "/v1/apps", "", ""); status != 404 || !strings.Contains(text, "api.") {
		t.Errorf("elsewhere: %d %s", status, text)
	}
}

func TestAnswersAreThoseOfPrometheus(t *testing.T) {
	d := start(t, Config{Series: 3})
	at := fmt.Sprint(d.now.Unix())
	for name, c := range map[string]struct{ token, path, want string }{
		"vector":      {"may-s1", "query?query=naru_requests_total&time=" + at, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"naru_requests_total","app":"of-s1","space_id":"s1"},"value":[` + at + `,"600"]}]}}`},
		"of two":      {"may-s1+s2", "query?query=count(naru_requests_total)&time=" + at, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[` + at + `,"2"]}]}}`},
		"of all":      {"may-all", "query?query=count(naru_requests_total)&time=" + at, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[` + at + `,"2"]}]}}`},
		"of others":   {"may-s3", "query?query=naru_requests_total&time=" + at, `{"status":"success","data":{"resultType":"vector","result":[]}}`},
		"rate":        {"may-s1", "query?query=round(rate(naru_requests_total[2m]))&time=" + at, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"of-s1","space_id":"s1"},"value":[` + at + `,"2"]}]}}`},
		"scalar":      {"may-s1", "query?query=1e30&time=1.5", `{"status":"success","data":{"resultType":"scalar","result":[1.5,"1e+30"]}}`},
		"infinite":    {"may-s1", "query?query=1/0&time=1", `{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}`},
		"string":      {"may-s1", "query?query=%22a%5C%22b%22&time=1", `{"status":"success","data":{"resultType":"string","result":[1,"a\"b"]}}`},
		"matrix":      {"may-s1", "query_range?query=naru_requests_total/30&start=" + fmt.Sprint(d.now.Unix()-15) + "&end=" + at + "&step=15", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"of-s1","space_id":"s1"},"values":[[` + fmt.Sprint(d.now.Unix()-15) + `,"19"],[` + at + `,"20"]]}]}}`},
		"series":      {"may-s1", "series?match[]=naru_requests_total&match[]=%7Bspace_id=%22s2%22%7D", `{"status":"success","data":[{"__name__":"naru_requests_total","app":"of-s1","space_id":"s1"}]}`},
		"labels":      {"may-s1", "labels", `{"status":"success","data":["__name__","app","space_id"]}`},
		"few labels":  {"may-s1", "labels?limit=1", `{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}`},
		"values":      {"may-s1", "label/app/values", `{"status":"success","data":["of-s1"]}`},
		"all values":  {"may-all", "label/app/values?match[]=naru_requests_total", `{"status":"success","data":["of-s1","of-s2"]}`},
		"metadata":    {"may-s1", "metadata", `{"status":"success","data":{"naru_requests_total":[{"type":"counter","help":"requests","unit":""}]}}`},
		"not theirs":  {"may-s2", "metadata", `{"status":"success","data":{}}`},
		"exemplars":   {"may-s1", "query_exemplars?query=up", `{"status":"success","data":[]}`},
		"no time":     {"may-s1", "query?query=up&time=yesterday", `{"status":"error","errorType":"bad_data","error":"time: \"yesterday\" is no time; try: seconds since 1970, or 2026-03-01T12:00:00Z"}` + "\n"},
		"no PromQL":   {"may-s1", "query?query=up%7B", `{"status":"error","errorType":"bad_data","error":"query: 1:4: parse error: unexpected end of input inside braces"}` + "\n"},
		"no selector": {"may-s1", "series?match[]=up%2B1", `{"status":"error","errorType":"bad_data","error":"match[]: 1:3: parse error: unexpected \u003cop:+\u003e"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := d.do("GET", "/api/v1/"+c.path, c.token, ""); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	form := url.Values{"query": {"count(naru_requests_total)"}, "time": {at}}.Encode()
	if _, got := d.do("POST", "/api/v1/query", "may-s1", form, "Content-Type", "application/x-www-form-urlencoded"); !strings.Contains(got, `"1"]`) {
		t.Errorf("a form: %s", got)
	}
}

// packed is a write request as clients send it.
func packed(t *testing.T, m interface{ Marshal() ([]byte, error) }) string {
	t.Helper()
	text, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(snappy.Encode(nil, text))
}

func series(now time.Time, value float64, pairs ...string) prompb.TimeSeries {
	return prompb.TimeSeries{
		Labels: prompb.FromLabels(labels.FromStrings(pairs...), nil), Samples: []prompb.Sample{{Timestamp: now.UnixMilli(), Value: value}},
	}
}

func TestWritersCannotWriteInOthersNames(t *testing.T) {
	d := start(t, Config{})
	body := packed(t, &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			series(d.now, 7, "__name__", "temperature", "space_id", "s2", "org", "evil", "app", "sensor", "__secret", "x"),
			series(d.now, 9, "__name__", "naru_requests_total", "app", "of-s2", "space_id", "s2"),
		},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_GAUGE, MetricFamilyName: "temperature", Help: "warmth"}},
	})
	if status, text := d.do("POST", "/api/v1/write", "may-s1", body); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	at := "&time=" + fmt.Sprint(d.now.Unix())
	if _, got := d.do("GET", "/api/v1/query?query=temperature"+at, "may-s1", ""); !strings.Contains(got, `{"__name__":"temperature","app":"sensor","exported_org":"evil","exported_space_id":"s2","org":"default","space":"s1","space_id":"s1"}`) {
		t.Errorf("got %s", got)
	}
	if _, got := d.do("GET", "/api/v1/query?query=sum(naru_requests_total)"+at, "may-s2", ""); !strings.Contains(got, `"600"`) {
		t.Errorf("another space has %s", got)
	}
	if _, got := d.do("GET", "/api/v1/query?query=exported_naru_requests_total"+at, "may-s1", ""); !strings.Contains(got, `"9"`) {
		t.Errorf("got %s", got)
	}
	if _, got := d.do("GET", "/api/v1/metadata?metric=temperature", "may-s1", ""); !strings.Contains(got, "warmth") {
		t.Errorf("got %s", got)
	}
	if status, _ := d.do("POST", "/api/v1/write?space=default/s2", "may-s1", body); status != 404 {
		t.Errorf("into another space: %d", status)
	}
}

func TestWriteRequestsOfVersion2(t *testing.T) {
	d := start(t, Config{})
	v2 := func(refs ...uint32) string {
		return packed(t, &writev2.Request{
			Symbols: []string{"", "__name__", "speed", "help of it"},
			Timeseries: []writev2.TimeSeries{{
				LabelsRefs: refs, Samples: []writev2.Sample{{Timestamp: d.now.UnixMilli(), Value: 5}},
				Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_GAUGE, HelpRef: 3},
			}},
		})
	}
	kind := []string{"Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding", "snappy"}
	if status, text := d.do("POST", "/api/v1/write", "may-s1", v2(1, 2), kind...); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	if _, got := d.do("GET", "/api/v1/query?query=speed&time="+fmt.Sprint(d.now.Unix()), "may-s1", ""); !strings.Contains(got, `"5"]`) {
		t.Errorf("got %s", got)
	}
	for name, refs := range map[string][]uint32{"beyond the symbols": {1, 99}, "half a label": {1}, "no name": {3, 2}} {
		if status, text := d.do("POST", "/api/v1/write", "may-s1", v2(refs...), kind...); status != 400 {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestBadWrites(t *testing.T) {
	d := start(t, Config{BodyBytes: 64 << 10})
	one := func(pairs ...string) string {
		return packed(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(d.now, 1, pairs...)}})
	}
	many := &prompb.WriteRequest{}
	for i := range 60 {
		many.Timeseries = append(many.Timeseries, series(d.now, 1, "__name__", "m", "i", fmt.Sprint(i)))
	}
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"not packed":       {"hello", 400, "snappy"},
		"no message":       {string(snappy.Encode(nil, []byte("hello"))), 400, "no write request"},
		"a bomb":           {string(snappy.Encode(nil, bytes.Repeat([]byte{0}, 1<<20))), 422, "1048576 bytes"},
		"too long":         {strings.Repeat("x", 100<<10), 422, "more than 65536 bytes"},
		"no name":          {one("a", "b"), 400, "without a name"},
		"no UTF-8":         {one("__name__", "m", "a", "\xff"), 400, "UTF-8"},
		"a long value":     {one("__name__", "m", "a", strings.Repeat("x", 5000)), 400, "longer than"},
		"many series":      {packed(t, many), 400, "metrics.series_per_app"},
		"from the past":    {packed(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(d.now.AddDate(-1, 0, 0), 1, "__name__", "m")}}), 400, "too old"},
		"of no time":       {packed(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(time.UnixMilli(0), 1, "__name__", "m")}}), 400, "no time"},
		"labels of a name": {packed(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "__name__", Value: "m"}, {Name: "a", Value: "1"}, {Name: "a", Value: "2"}}}}}), 400, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			// A space for each: one that is full refuses what comes after.
			who := "may-" + strings.ReplaceAll(name, " ", "-")
			if status, text := d.do("POST", "/api/v1/write", who, c.body); status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
}

func TestAnotherPrometheusReads(t *testing.T) {
	d := start(t, Config{})
	body := packed(t, &prompb.ReadRequest{Queries: []*prompb.Query{{
		StartTimestampMs: d.now.Add(-time.Minute).UnixMilli(), EndTimestampMs: d.now.UnixMilli(),
		Matchers: []*prompb.LabelMatcher{{Type: prompb.LabelMatcher_RE, Name: "__name__", Value: ".+"}},
	}}})
	status, text := d.do("POST", "/api/v1/read", "may-s1", body)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	raw, err := snappy.Decode(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out prompb.ReadResponse
	if err := out.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != 1 || len(out.Results[0].Timeseries) != 1 || len(out.Results[0].Timeseries[0].Samples) != 5 {
		t.Errorf("got %+v", out)
	}
}

// TestPromtool lets the real client of Debian's package ask.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: apt-get install prometheus")
	}
	d := start(t, Config{})
	login := strings.Replace(d.url, "http://", "http://somebody:may-s1@", 1)
	at := d.now.Format(time.RFC3339)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"instant": {[]string{"instant", "--time=" + at, login, "round(rate(naru_requests_total[2m]))"}, `{app="of-s1", space_id="s1"} => 2 @[`},
		"range":   {[]string{"range", "--start=" + d.now.Add(-time.Minute).Format(time.RFC3339), "--end=" + at, "--step=15s", login, "naru_requests_total"}, "600 @["},
		"series":  {[]string{"series", "--match=naru_requests_total", login}, `{__name__="naru_requests_total", app="of-s1", space_id="s1"}`},
		"labels":  {[]string{"labels", login, "app"}, "of-s1"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), promtool, append([]string{"query"}, c.args...)...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "s2") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAnswersAreJSON(t *testing.T) {
	d := start(t, Config{})
	for _, path := range []string{"status/buildinfo", "status/runtimeinfo", "rules", "alerts", "query?query=vector(0)/0"} {
		_, text := d.do("GET", "/api/v1/"+path, "may-s1", "")
		if !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", path, text)
		}
	}
}
