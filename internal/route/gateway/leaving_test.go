package gateway

import (
	"slices"
	"testing"

	"naru/internal/route/wire"
)

// TestWhatIsLeftIsTold follows an instance that leaves with three requests, of
// which two become streams.
func TestWhatIsLeftIsTold(t *testing.T) {
	ts := tablesWith(t, Config{}, groupOf("g", 1, 1))
	b := ts.entryOf("shop.test").groups[0].backends[0]
	for range 3 {
		if !b.acquire() {
			t.Fatal("not let in")
		}
	}
	b.streams()
	if b.busy() != 3 {
		t.Errorf("%d requests in flight, want 3", b.busy())
	}
	if err := ts.apply(oneRoute(groupOf("g", 1, 0))); err != nil {
		t.Fatal(err)
	}
	left := func(requests, streams bool) []wire.Left {
		return []wire.Left{{Instance: "g-0", Requests: requests, Streams: streams}}
	}
	ack, idle, _ := ts.reports.urgent()
	if !slices.Equal(ack.Busy, []string{"g-0"}) || !slices.Equal(ack.Left, left(true, true)) || idle != nil {
		t.Errorf("ack %+v, then %+v", ack, idle)
	}
	for _, step := range []struct {
		name string
		do   func()
		want []wire.Left // nil: nothing is to be said
		idle bool
	}{
		{"a second stream", b.streams, nil, false},
		{"the ordinary one ends", b.release, left(false, true), false},
		{"a stream ends", b.streamed, nil, false},
		{"the last one ends", b.streamed, nil, true},
	} {
		step.do()
		_, said, _ := ts.reports.urgent()
		switch {
		case step.want == nil && !step.idle:
			if said != nil {
				t.Errorf("%s: said %+v", step.name, said)
			}
		case said == nil || !slices.Equal(said.Left, step.want) || step.idle != slices.Equal(said.Instances, []string{"g-0"}):
			t.Errorf("%s: said %+v, want %+v, idle %v", step.name, said, step.want, step.idle)
		}
	}
}
