package cli

import (
	"testing"
	"time"

	"naru/internal/client"
)

func TestBurnInWords(t *testing.T) {
	rate := func(v float64) *float64 { return &v }
	for want, x := range map[string]client.Alert{
		"26.9 in 1h, 40 in 5m (limit 13.44)":    {BurnLong: rate(26.88), BurnShort: rate(40), Long: client.Duration(time.Hour), Short: client.Duration(5 * time.Minute), Limit: 13.44},
		"- in 4m17s, 0 in 21s (limit 13.45)":    {BurnShort: rate(0), Long: client.Duration(257 * time.Second), Short: client.Duration(21 * time.Second), Limit: 13.45},
		"- in 72h, - in 6h (limit 0.9333)":      {Long: client.Duration(72 * time.Hour), Short: client.Duration(6 * time.Hour), Limit: 0.93333},
		"1.2 in 1h30m, 1 in 10m (limit 100)":    {BurnLong: rate(1.2), BurnShort: rate(1), Long: client.Duration(90 * time.Minute), Short: client.Duration(10 * time.Minute), Limit: 100},
		"951 in 2m9s, 5.16 in 11s (limit 3.49)": {BurnLong: rate(951.3), BurnShort: rate(5.156), Long: client.Duration(129 * time.Second), Short: client.Duration(11 * time.Second), Limit: 3.49},
	} {
		if got := burnOf(x); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
