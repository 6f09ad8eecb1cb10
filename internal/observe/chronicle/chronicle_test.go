package chronicle_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/observe/chronicle"
	"naru/internal/observe/logs"
)

// record is what happened, two events at once for a reader.
type record []event.Event

func (r *record) EventsAfter(_ context.Context, after int64, _ []event.Kind) (out []event.Event, _ error) {
	for _, e := range *r {
		if e.Seq > after && len(out) < 2 {
			out = append(out, e)
		}
	}
	return out, nil
}

func (r *record) LastEvent(context.Context) (int64, error) { return int64(len(*r)), nil }

func (r *record) add(kind event.Kind, detail map[string]any) {
	*r = append(*r, event.Event{
		Seq: int64(len(*r)) + 1, Time: time.Date(2026, 3, 1, 12, 0, len(*r), 0, time.UTC), Kind: kind, Actor: "ada", App: "a", Subject: "shop", Detail: detail,
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachEventIsThereOnce(t *testing.T) {
	dir := t.TempDir()
	var happened record
	happened.add("release.cut", nil) // before there was a log
	play := func(until int) []logs.Line {
		t.Helper()
		book, err := logs.Open(dir, logs.Limits{Days: 3}, time.Now, slog.New(slog.DiscardHandler))
		must(t, err)
		defer func() { must(t, book.Close()) }()
		news, stopNews := book.Changed("a")
		defer stopNews()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		changed := make(chan struct{}, 1)
		changed <- struct{}{} // the first look notes where it begins
		go func() { done <- chronicle.New(&happened, book, slog.New(slog.DiscardHandler)).Run(ctx, changed) }()
		var page logs.Page
		for {
			page, err = book.Read(ctx, logs.Query{App: "a"})
			must(t, err)
			if at, err := book.Offset(ctx, "events"); len(page.Lines) >= until && err == nil && at.Seq > 0 {
				break
			}
			select {
			case <-news:
			case changed <- struct{}{}:
			}
		}
		stop()
		must(t, <-done)
		return page.Lines
	}
	if got := play(0); len(got) != 0 {
		t.Errorf("what was before: %+v", got)
	}
	happened.add("rollout.started", map[string]any{"release": 3.0, "strategy": "canary 1%"})
	happened.add("rollout.shifting", map[string]any{"weight": 1.0})
	happened.add("rollout.rolledback", map[string]any{"reason": "5xx\n12 %"})
	happened.add("instance.crashed", map[string]any{"process": "web", "index": 2.0, "instance": "i-7", "exit": 3})
	play(4)
	happened.add("app.scaled", map[string]any{"to": 3, "why": "more of it"})
	happened = append(happened, event.Event{Seq: 7, Kind: "drain.added", Actor: "ada"}) // of no app
	got := play(5)
	var texts []string
	for _, l := range got {
		texts = append(texts, l.Source+" "+l.Stream+" "+l.Text)
	}
	want := []string{
		"NARU stdout rollout of v3 begins (canary 1%), asked by ada",
		"NARU stdout rollout: 1 % of the traffic go to the new release",
		"NARU stderr rollout: it went back: 5xx 12 %",
		"NARU stderr instance crashed: shop exit=3, by ada",
		`NARU stdout app scaled: shop to=3 why="more of it", by ada`,
	}
	if len(texts) != len(want) {
		t.Fatalf("got %q", texts)
	}
	for i := range want {
		if texts[i] != want[i] {
			t.Errorf("line %d is %q, want %q", i, texts[i], want[i])
		}
	}
	if c := got[3]; c.Process != "web" || c.Index != 2 || c.Instance != "i-7" || !c.Time.Equal(happened[4].Time) {
		t.Errorf("a crash is %+v", c)
	}
}
