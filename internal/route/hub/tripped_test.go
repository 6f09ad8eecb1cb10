package hub_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/hub"
	"naru/internal/route/wire"
)

// TestTripsAreHandedOn has a gateway say a trip when it happens and when it
// dials. One that could not be stored ends the stream, so that it is said again.
func TestTripsAreHandedOn(t *testing.T) {
	got, answer := make(chan []route.Trip), make(chan error)
	_, socket := open(t, hub.Config{Tripped: func(_ context.Context, trips []route.Trip) error {
		got <- trips
		return <-answer
	}})
	taken := func(want string, err error) {
		t.Helper()
		select {
		case trips := <-got:
			if len(trips) != 1 || trips[0].Key != want || trips[0].Gateway != "g" {
				t.Errorf("got %+v, want %s of g", trips, want)
			}
			answer <- err
		case <-time.After(limit):
			t.Fatal("no trip arrived")
		}
	}
	trips := func(key string) []route.Trip { return []route.Trip{{Key: key, Group: "g42"}} }

	c, err := net.Dial("unix", socket)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, wire.Write(c, &wire.Message{Hello: &wire.Hello{Generation: "g", Trips: trips("old")}}))
	taken("old", nil)
	must(t, wire.Write(c, &wire.Message{Trips: trips("new")}))
	taken("new", errors.New("the disk is full"))
	must(t, c.SetReadDeadline(time.Now().Add(limit)))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || err != nil && !errors.Is(err, io.EOF) && errors.As(err, new(net.Error)) {
		t.Errorf("the stream goes on after a trip that was not stored: %v", err)
	}
	again, err := net.Dial("unix", socket)
	must(t, err)
	defer func() { _ = again.Close() }()
	must(t, wire.Write(again, &wire.Message{Hello: &wire.Hello{Generation: "g", Trips: trips("new")}}))
	taken("new", nil)
}
