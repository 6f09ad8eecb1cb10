package acme

import (
	"testing"
	"time"

	"naru/internal/route/certificate"
)

// However long a host fails, no hour holds more than five failures.
func TestPausesSpareTheAuthority(t *testing.T) {
	var tries []time.Duration
	for at, failures := time.Duration(0), 0; at < 48*time.Hour; failures++ {
		tries = append(tries, at)
		at += pause(failures)
	}
	for i, from := range tries {
		n := 0
		for _, at := range tries[i:] {
			if at < from+time.Hour {
				n += 2 // one for each way
			}
		}
		if n > 5 {
			t.Errorf("%d failures in the hour from %s on", n, from)
		}
	}
}

func TestACertificateIsDueWithAThirdOfItsLifeLeft(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e := &entry{pair: certificate.Pair{Chain: []byte("chain")}, facts: certificate.Facts{From: from, Until: from.Add(90 * 24 * time.Hour)}}
	for at, want := range map[time.Duration]bool{0: false, 59 * 24 * time.Hour: false, 61 * 24 * time.Hour: true, 91 * 24 * time.Hour: true} {
		if got := e.due(from.Add(at)); got != want {
			t.Errorf("after %s due is %v, want %v", at, got, want)
		}
	}
	if !new(entry).due(from) {
		t.Error("a host without a certificate is not due")
	}
}
