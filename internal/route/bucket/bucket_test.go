package bucket

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestBucketsGiveAsManyAsTheySay(t *testing.T) {
	for name, tc := range map[string]struct {
		tokens float64
		per    time.Duration
		burst  int
		first  int           // at once
		second time.Duration // until the next one after that
		hour   int           // more of them in an hour, asked without a pause
	}{
		"ten a second":         {10, time.Second, 0, 10, 100 * time.Millisecond, 36_000},
		"one in two seconds":   {0.5, time.Second, 0, 1, 2 * time.Second, 1800},
		"a burst of its own":   {60, time.Minute, 3, 3, time.Second, 3600},
		"a million in an hour": {1_000_000, time.Hour, 1, 1, 3600 * time.Microsecond, 1_000_000},
	} {
		for of, take := range map[string]func(*Buckets, int64) time.Duration{
			"all":   (*Buckets).Take,
			"a key": func(b *Buckets, now int64) time.Duration { return b.TakeOf([]byte("a"), now) },
		} {
			t.Run(name+", of "+of, func(t *testing.T) {
				b := New(tc.tokens, tc.per, tc.burst, true)
				now := int64(time.Hour)
				for i := range tc.first {
					if wait := take(b, now); wait != 0 {
						t.Fatalf("request %d waits %s", i, wait)
					}
				}
				if wait := take(b, now); wait != tc.second {
					t.Errorf("then it takes %s, want %s", wait, tc.second)
				}
				got := 0
				for end := now + int64(time.Hour); now <= end; {
					wait := take(b, now)
					if now += int64(wait); wait == 0 {
						got++
					}
				}
				if got < tc.hour || got > tc.hour+1 {
					t.Errorf("%d in an hour, want %d", got, tc.hour)
				}
			})
		}
	}
}

func TestEachKeyHasABucket(t *testing.T) {
	b := New(1, time.Hour, 0, true)
	now := int64(time.Hour)
	for _, key := range []string{"a", "b"} {
		if b.TakeOf([]byte(key), now) != 0 {
			t.Errorf("the first request of %s waits", key)
		}
		if b.TakeOf([]byte(key), now) != time.Hour {
			t.Errorf("the second request of %s does not wait an hour", key)
		}
	}
	if b.Take(now) != 0 {
		t.Error("keys took from the bucket of all")
	}
}

func TestNobodyGetsRidOfABucketByInventingKeys(t *testing.T) {
	b := New(1, time.Hour, 0, true)
	now := int64(time.Hour)
	invented := uint64(0)
	invent := func(now int64) time.Duration {
		invented++
		return b.TakeOf(binary.LittleEndian.AppendUint64(nil, invented), now)
	}
	mine := []byte("mine")
	if b.TakeOf(mine, now) != 0 {
		t.Fatal("the first request waits")
	}
	for i := range 3 * shardsOf * shardKeys {
		invent(now + int64(i))
		if i%100 == 0 && b.TakeOf(mine, now+int64(i)) == 0 {
			t.Fatalf("the bucket was forgotten after %d others", i)
		}
	}
	keys := 0
	for i := range b.shards {
		keys += len(b.shards[i].full)
	}
	if keys > shardsOf*shardKeys {
		t.Errorf("%d keys are kept", keys)
	}
	// When all are full again there is room for others.
	now += 2 * int64(time.Hour)
	for i := range 100 {
		if invent(now) != 0 {
			t.Fatalf("key %d waits", i)
		}
	}
}
