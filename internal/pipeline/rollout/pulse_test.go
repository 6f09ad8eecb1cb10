package rollout

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPulseTellsWhenTheProcessStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pulse
		began := p.since(time.Now())
		time.Sleep(time.Hour) // nobody needs it: nothing is known, and nothing is feared
		done := p.need(t.Context())
		time.Sleep(time.Minute)
		if got := p.since(time.Now()); !got.Equal(began) {
			t.Errorf("awake since %s, want %s: it never stood still", got, began)
		}
		done()

		done = p.need(t.Context())
		defer done()
		stood := time.Now().Add(1500 * time.Millisecond) // as if no beat had come before
		if got := p.since(stood); !got.Equal(stood) {
			t.Errorf("awake since %s, want %s", got, stood)
		}
		if got := p.since(stood.Add(900 * time.Millisecond)); !got.Equal(stood) {
			t.Errorf("awake since %s, want %s: a busy machine is late, too", got, stood)
		}
	})
}
