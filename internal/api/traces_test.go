package api_test

import (
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/observe/traces"
)

// one is a span of a trace of the tests, a millisecond after start for each id.
func one(trace, id, parent byte, service string, start time.Time) traces.Span {
	return traces.Span{
		Trace: traces.ID{15: trace}, ID: traces.SpanID{7: id}, Parent: traces.SpanID{7: parent}, Service: service, Name: "GET /" + service, Kind: traces.Server,
		Start: start.Add(time.Duration(id) * time.Millisecond), Took: time.Duration(id) * 10 * time.Millisecond, Tags: []traces.Tag{{Key: "http.route", Value: "/" + service}},
	}
}

func TestTracesOfAnApp(t *testing.T) {
	w := newWorld(t, api.Config{})
	ctx := t.Context()
	other, err := w.store.CreateSpace(ctx, w.org.ID, "other", event.Event{Kind: "space.created", Actor: "test", Subject: "other"})
	must(t, err)
	shop := w.app("shop")
	now := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Minute)
	keep := func(space app.SpaceID, a app.ID, spans ...traces.Span) {
		t.Helper()
		_, err := w.traces.Append(ctx, traces.Owner{Space: space, App: a, Instance: "i1"}, spans)
		must(t, err)
	}
	failed := one(2, 3, 0, "shop", now)
	failed.Error, failed.Message = true, "boom"
	keep(w.space.ID, shop.ID, one(1, 1, 0, "shop", now), failed)
	keep(other.ID, "elsewhere", one(1, 2, 1, "stock", now))

	in := auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID}
	w.user("developer", in)
	w.user("both", in, auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: other.ID})
	w.user("manager", auth.Grant{Role: auth.OrgManager, Org: w.org.ID})
	dev, both := w.client("developer").In("default", "dev"), w.client("both").In("default", "dev")

	l, err := dev.App("shop").Traces(ctx, client.TraceQuery{})
	must(t, err)
	if len(l.Items) != 2 || l.Items[0].ID != strings.Repeat("0", 31)+"2" || l.Items[0].Errors != 1 || l.Items[1].Spans != 1 || l.Items[1].Service != "shop" || l.More {
		t.Errorf("found %+v", l)
	}
	for name, tc := range map[string]struct {
		q    client.TraceQuery
		want int
	}{
		"failed":         {client.TraceQuery{Error: true}, 1},
		"slow":           {client.TraceQuery{Least: 20 * time.Millisecond}, 1},
		"quick":          {client.TraceQuery{Most: 20 * time.Millisecond}, 1},
		"a tag":          {client.TraceQuery{Tags: []string{"http.route=/shop"}}, 2},
		"two tags":       {client.TraceQuery{Tags: []string{"http.route=/shop", "other=1"}}, 0},
		"a key":          {client.TraceQuery{Tags: []string{"http.route"}}, 2},
		"an operation":   {client.TraceQuery{Service: "shop", Operation: "GET /shop"}, 2},
		"another's span": {client.TraceQuery{Service: "stock"}, 0},
		"one":            {client.TraceQuery{Limit: 1}, 1},
		"since":          {client.TraceQuery{Since: now.Add(2 * time.Millisecond)}, 1},
		"until":          {client.TraceQuery{Until: now.Add(2 * time.Millisecond)}, 1},
	} {
		if l, err := dev.App("shop").Traces(ctx, tc.q); err != nil || len(l.Items) != tc.want {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	if _, err := dev.App("shop").Traces(ctx, client.TraceQuery{Tags: []string{"=x"}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a tag without a key: %v", err)
	}
	if _, err := dev.App("shop").Traces(ctx, client.TraceQuery{Since: now, Until: now}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no time: %v", err)
	}

	got, err := w.client("developer").Trace(ctx, "1")
	must(t, err)
	if len(got.Tree) != 1 || got.Tree[0].Service != "shop" || got.Tree[0].Tags["http.route"] != "/shop" || got.Tree[0].Instance != "i1" {
		t.Errorf("one's own half: %+v", got)
	}
	if got, err = w.client("both").Trace(ctx, got.ID); err != nil || len(got.Tree) != 2 || got.Tree[1].Parent != got.Tree[0].ID {
		t.Errorf("both halves: %+v, %v", got, err)
	}
	if _, err := w.client("manager").Trace(ctx, "1"); !fault.Is(err, fault.NotFound) { // may see the spaces, not their logs
		t.Errorf("without the role: %v", err)
	}
	if _, err := w.client("developer").Trace(ctx, "9"); !fault.Is(err, fault.NotFound) {
		t.Errorf("no such trace: %v", err)
	}
	if _, err := w.client("developer").Trace(ctx, "nothing"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no trace at all: %v", err)
	}

	d, err := both.Dependencies(ctx, "", time.Time{}, time.Time{})
	must(t, err)
	if len(d.Items) != 1 || d.Items[0].From != "shop" || d.Items[0].To != "stock" || d.Items[0].Calls != 1 || time.Duration(d.Items[0].Mean) != 20*time.Millisecond || d.Spans != 3 {
		t.Errorf("calls %+v", d)
	}
	if d, err = dev.Dependencies(ctx, "shop", now.Add(-time.Hour), now.Add(time.Hour)); err != nil || len(d.Items) != 0 {
		t.Errorf("calls to what one may not see: %+v, %v", d, err)
	}
	if _, err := dev.Dependencies(ctx, "nothing", time.Time{}, time.Time{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("of no app: %v", err)
	}
}

func TestALogLineNamesItsTrace(t *testing.T) {
	w := newWorld(t, api.Config{})
	a := w.app("shop")
	must(t, w.book.Append(t.Context(), []logs.Line{
		{Time: time.Now(), App: a.ID, Source: logs.App, Text: `{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","msg":"hello"}`},
		{Time: time.Now(), App: a.ID, Source: logs.App, Text: "no trace"},
	}, nil))
	var said []string
	for l, err := range w.client("root").In("default", "dev").App("shop").Logs(t.Context(), client.LogQuery{Instance: -1}) {
		must(t, err)
		said = append(said, l.Trace)
	}
	if len(said) != 2 || said[0] != "4bf92f3577b34da6a3ce929d0e0e4736" || said[1] != "" {
		t.Errorf("the lines name %q", said)
	}
}
