package hub_test

import (
	"context"
	"net"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/hub"
	"naru/internal/route/wire"
)

// TestBreakersAreKnown has gateways say what their breakers do, when it happens
// and when they dial.
func TestBreakersAreKnown(t *testing.T) {
	heard := make(chan struct{})
	h, socket := open(t, hub.Config{Tripped: func(context.Context, []route.Trip) error {
		heard <- struct{}{} // what was said before is known
		return nil
	}})
	at := time.Now()
	breaking := func(group string, state route.BreakerState, after time.Duration) route.Breaking {
		return route.Breaking{Time: at.Add(after), Route: "r", Group: group, State: state}
	}
	trips := []route.Trip{{Key: "k"}}
	dial := func(hello wire.Hello) net.Conn {
		t.Helper()
		c, err := net.Dial("unix", socket)
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		hello.Trips = trips
		must(t, wire.Write(c, &wire.Message{Hello: &hello}))
		<-heard
		return c
	}
	says := func(c net.Conn, b ...route.Breaking) {
		t.Helper()
		must(t, wire.Write(c, &wire.Message{Breakers: b}))
		must(t, wire.Write(c, &wire.Message{Trips: trips}))
		<-heard
	}
	want := func(when string, want ...string) {
		t.Helper()
		got := h.Breakers()
		if len(got) != len(want) {
			t.Fatalf("%s: %+v, want %v", when, got, want)
		}
		for i, b := range got {
			if is := b.Group + " " + string(b.State); is != want[i] {
				t.Errorf("%s: %s, want %s", when, is, want[i])
			}
		}
	}
	one := dial(wire.Hello{Generation: "one", Breakers: []route.Breaking{breaking("b", route.BreakerOpen, 0)}})
	want("when it dials", "b open")
	says(one, breaking("a", route.BreakerOpen, 1), breaking("b", route.BreakerHalfOpen, 2))
	want("when they change", "a open", "b half-open")
	two := dial(wire.Hello{Generation: "two", Breakers: []route.Breaking{breaking("b", route.BreakerOpen, 3)}})
	want("with another gateway", "a open", "b open")
	says(two, breaking("b", route.BreakerClosed, 4))
	says(one, breaking("a", route.BreakerClosed, 5))
	want("when the other one closes it", "b half-open")
	_ = one.Close()
	_ = dial(wire.Hello{Generation: "one"})
	want("when it dials again and has none")
}
