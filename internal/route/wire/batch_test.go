package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/wire"
)

// fill gives each field a value, so that one that is added and not packed is found.
func fill(t testing.TB, v reflect.Value, n int) {
	t.Helper()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") == "-" {
			continue
		}
		switch f := v.Field(i); f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(n), 5).UTC()))
		case route.App:
			fill(t, f, n)
		case string:
			f.SetString(fmt.Sprintf("%s %d\x00\"%*d", v.Type().Field(i).Name, n%40, n, 0))
		case int, int64, time.Duration:
			f.SetInt(int64(i+1) << (n % 40))
		case bool:
			f.SetBool(true)
		default:
			t.Fatalf("a field of type %s", f.Type())
		}
	}
}

// some are records and spans: full ones, empty ones, places that come again.
func some(t testing.TB) (records []route.Access, spans []route.Span) {
	for n := range 200 {
		a, s := route.Access{Time: time.Unix(0, 7).UTC()}, route.Span{Start: time.Unix(0, 7).UTC()}
		if n%3 > 0 {
			fill(t, reflect.ValueOf(&a).Elem(), n)
			fill(t, reflect.ValueOf(&s).Elem(), n)
		}
		if n%3 == 2 { // a place that stood before
			a.Route, a.App, a.Group, a.Instance, a.Upstream, a.Index = "r", route.App{ID: "a", Name: "shop"}, "g", "i", "u", n%2
		}
		records, spans = append(records, a), append(spans, s)
	}
	return records, spans
}

// TestBatchesAreMessages: what is put together comes through whole, also in memory
// that was used before, and between other messages.
func TestBatchesAreMessages(t *testing.T) {
	records, spans := some(t)
	var b wire.Batch
	for _, n := range []int{0, 1, 2, len(records), 3} {
		for dropped := range uint64(2) {
			want := []wire.Message{
				{Access: &wire.Access{Records: records[:n], Dropped: dropped}}, {Idle: &wire.Idle{Instances: []string{"i"}}},
				{Spans: &wire.Spans{Spans: spans[:n], Dropped: dropped}},
			}
			for i := range n {
				b.Access(&records[i])
			}
			if b.Len() != n {
				t.Fatalf("%d of %d", b.Len(), n)
			}
			var stream bytes.Buffer
			stream.Write(b.AccessFrame(dropped))
			b.Clear()
			if err := wire.Write(&stream, &want[1]); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				b.Span(&spans[i])
			}
			stream.Write(b.SpansFrame(dropped))
			b.Clear()
			for _, want := range want {
				got, err := wire.Read(&stream, wire.DefaultMaxFrame)
				if err != nil || !reflect.DeepEqual(*got, want) {
					t.Errorf("%d: read %+v, %v, want %+v", n, got, err, want)
				}
			}
		}
	}
}

// TestPlacesAreSaidOnce: what records have in common costs one of them only.
func TestPlacesAreSaidOnce(t *testing.T) {
	a := route.Access{Route: "0199c0de-7000-7000-8000-00000000000a", Group: "0199c0de-7000-7000-8000-00000000000b", Instance: "0199c0de-7000-7000-8000-00000000000c"}
	var b wire.Batch
	b.Access(&a)
	first := b.Size()
	b.Access(&a)
	if more := b.Size() - first; more > 40 {
		t.Errorf("another record takes %d bytes", more)
	}
}

// TestWhatANewerPeerSaysIsLeftAlone: messages of a kind that is new, and fields
// behind those that are known.
func TestWhatANewerPeerSaysIsLeftAlone(t *testing.T) {
	frame := func(body []byte) *bytes.Reader {
		return bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	}
	m, err := wire.Read(frame([]byte("\x03whatever it is")), 100)
	if err != nil || !reflect.DeepEqual(*m, wire.Message{}) {
		t.Errorf("another kind: %+v, %v", m, err)
	}
	records, _ := some(t)
	var b wire.Batch
	b.Access(&records[1])
	body := append(bytes.Clone(b.AccessFrame(0)[4:]), "more of it"...)
	binary.BigEndian.PutUint32(body[9:], uint32(len(body)-13))
	m, err = wire.Read(frame(body), wire.DefaultMaxFrame)
	if err != nil || len(m.Access.Records) != 1 || m.Access.Records[0] != records[1] {
		t.Errorf("another field: %+v, %v", m, err)
	}
}

// FuzzRead: whatever comes is read or refused.
func FuzzRead(f *testing.F) {
	records, spans := some(f)
	var b wire.Batch
	for i := range 5 {
		b.Access(&records[i])
	}
	f.Add(bytes.Clone(b.AccessFrame(1)))
	b.Clear()
	b.Span(&spans[1])
	f.Add(bytes.Clone(b.SpansFrame(0)))
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		for {
			m, err := wire.Read(in, 1<<20)
			if err != nil {
				return
			}
			if m.Access != nil {
				var b wire.Batch
				for i := range m.Access.Records {
					b.Access(&m.Access.Records[i])
				}
			}
		}
	})
}

// BenchmarkRecords is what a record costs on its way: the gateway, the control plane.
func BenchmarkRecords(b *testing.B) {
	const many = 128
	a := route.Access{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 60_000_000, time.UTC), RequestID: "8f3a9c52-0000-4000-8000-000000000001", Client: "198.51.100.7:51628",
		Method: "GET", Host: "shop.test", URI: "/cart?item=7", Proto: "HTTP/1.1", Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Referer: "https://shop.test/",
		Status: 200, Sent: 62, Took: 11962 * time.Microsecond, Header: 11495 * time.Microsecond, Route: "8f3a9c52-0000-4000-8000-000000000002",
		App: route.App{ID: "cabd9e08-384e-4689-b868-1ba3d5d838bf", Name: "shop"}, Group: "8f3a9c52-0000-4000-8000-000000000003",
		Instance: "8f3a9c52-0000-4000-8000-000000000004", Upstream: "10.64.0.7:8080", Attempts: 1, Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	var batch wire.Batch
	one := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/record")
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			batch.Clear()
			for range many {
				batch.Access(&a)
			}
			batch.AccessFrame(0)
		}
		one(b)
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if m, err := wire.Read(bytes.NewReader(batch.AccessFrame(0)), wire.DefaultMaxFrame); err != nil || len(m.Access.Records) != many {
				b.Fatal(err)
			}
		}
		one(b)
	})
}
