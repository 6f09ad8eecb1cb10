package wire_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// TestBatchesAreMessages: what is put together is what Write would have written.
func TestBatchesAreMessages(t *testing.T) {
	at := time.Unix(1_700_000_000, 5).UTC()
	a := route.Access{Time: at, Method: "GET", URI: "/?a=\"&b", App: route.App{ID: "a", Name: "shop"}, Status: 200, Took: 5}
	s := route.Span{Trace: "1", ID: "2", Start: at, Path: "/<", Took: 7}
	var b wire.Batch
	for n := range 3 {
		for dropped := range uint64(2) {
			want := []wire.Message{{Access: &wire.Access{Records: []route.Access{}, Dropped: dropped}}, {Spans: &wire.Spans{Spans: []route.Span{}, Dropped: dropped}}}
			for range n {
				b.Access(&a)
				want[0].Access.Records = append(want[0].Access.Records, a)
			}
			if b.Len() != n {
				t.Fatalf("%d of %d", b.Len(), n)
			}
			stream := bytes.Clone(b.AccessFrame(dropped))
			for range n {
				b.Span(&s)
				want[1].Spans.Spans = append(want[1].Spans.Spans, s)
			}
			stream = append(stream, b.SpansFrame(dropped)...)
			in := bytes.NewReader(stream)
			for _, want := range want {
				got, err := wire.Read(in, wire.DefaultMaxFrame)
				if err != nil || !reflect.DeepEqual(*got, want) {
					t.Errorf("read %+v, %v, want %+v", got, err, want)
				}
			}
		}
	}
}
