package meter

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"naru/internal/route"
)

// TestExemplarsAreTheNewest has spans of several routes of a group, one of them late.
func TestExemplarsAreTheNewest(t *testing.T) {
	m, c := newMeter(Limits{})
	m.Counters("g", []route.Counter{count("r1", "g1", 2, 3), count("r2", "g1", 2, 1), count("r3", "g3", 2, 1)})
	span := func(routeID, group, trace string, ago, took time.Duration) route.Span {
		return route.Span{Trace: strings.Repeat(trace, 32), Route: routeID, Group: group, Start: c.now.Add(-ago), Took: took}
	}
	m.Spans([]route.Span{
		span("r1", "g1", "1", time.Minute, 3*time.Millisecond), span("r2", "g1", "2", time.Second, 3*time.Millisecond),
		span("r1", "g1", "3", time.Hour, 3*time.Millisecond), span("r1", "g1", "4", time.Minute, time.Minute*2),
	}, 7)

	var text bytes.Buffer
	if err := m.Write(&text, Listed(shop, homes), Reader{All: true, OpenMetrics: true}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	p, err := textparse.New(text.Bytes(), OpenMetricsType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		what, err := p.Next()
		if err != nil {
			break
		}
		if what != textparse.EntrySeries {
			continue
		}
		var e exemplar.Exemplar
		var of labels.Labels
		p.Labels(&of)
		if p.Exemplar(&e) {
			got[of.Get("group")+" "+of.Get("le")] = e.Labels.Get("trace_id")[:1]
		}
	}
	if len(got) != 2 || got["shop-v001 0.004"] != "2" || got["shop-v001 +Inf"] != "4" {
		t.Errorf("exemplars %v in\n%s", got, &text)
	}
	all := scrape(t, m, Listed(shop, homes), Reader{All: true})
	if spans, lost := value(t, all, "naru_gateway_spans_total"), value(t, all, "naru_gateway_spans_dropped_total"); spans != 4 || lost != 7 {
		t.Errorf("%v spans, %v dropped", spans, lost)
	}
	if taken := m.Exemplars(); len(taken) != 3 {
		t.Errorf("taken: %+v", taken)
	}
	if taken := m.Exemplars(); len(taken) != 0 {
		t.Errorf("taken twice: %+v", taken)
	}
}
