package api

import (
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(Rate{Burst: 2, PerMinute: 60})
	now := time.Unix(1000, 0)
	for i, tc := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"a", 0, true}, {"a", 0, true}, {"a", 0, false},
		{"b", 0, true}, // others are not held back
		{"a", time.Second, true}, {"a", 0, false},
		{"a", time.Hour, true}, {"a", 0, true}, {"a", 0, false}, // never more than the burst
	} {
		now = now.Add(tc.after)
		if got := l.allow(tc.name, now); got != tc.want {
			t.Errorf("step %d: allow(%s) = %v, want %v", i, tc.name, got, tc.want)
		}
	}
	l.allow("c", now.Add(time.Hour))
	if len(l.names) != 1 {
		t.Errorf("%d names are kept of those that are idle", len(l.names))
	}
}

func TestRepliesAreBounded(t *testing.T) {
	r := newReplies(2, time.Minute)
	now := time.Unix(1000, 0)
	keep := func(key string, at time.Time) bool {
		rep, mine := r.begin(replyKey{"u", key}, "POST /x", at)
		if mine {
			rep.status = 200
			r.end(replyKey{"u", key}, rep)
		}
		return mine
	}
	for i, tc := range []struct {
		key  string
		at   time.Time
		mine bool
	}{
		{"a", now, true}, {"a", now, false}, {"b", now, true},
		{"c", now, true},                   // the oldest goes
		{"a", now, true},                   // it was forgotten
		{"a", now.Add(time.Second), false}, // and is known again
		{"a", now.Add(2 * time.Minute), true},
	} {
		if got := keep(tc.key, tc.at); got != tc.mine {
			t.Errorf("step %d: %s is new: %v, want %v", i, tc.key, got, tc.mine)
		}
	}
	if len(r.byKey) > 2 {
		t.Errorf("%d replies are kept, at most 2", len(r.byKey))
	}
}
