package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/observe/meter"
	"naru/internal/route"
)

// TestMetricsAsOpenMetrics asks as a Prometheus server does, and gets exemplars.
func TestMetricsAsOpenMetrics(t *testing.T) {
	w := newWorld(t, api.Config{})
	g := w.counted()
	trace := strings.Repeat("ab", 16)
	w.meter.Spans([]route.Span{{Trace: trace, Route: "r1", Group: string(g.ID), Start: time.Now(), Took: time.Millisecond}}, 0)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/metrics", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.token("root"))
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	if kind := res.Header.Get("Content-Type"); kind != meter.OpenMetricsType {
		t.Errorf("it is %s", kind)
	}
	if text := string(body); !strings.Contains(text, `# {trace_id="`+trace+`"} 0.001`) || !strings.HasSuffix(text, "# EOF\n") {
		t.Errorf("no exemplar in\n%s", text)
	}
}
