package cli

import (
	"testing"

	"naru/internal/client"
)

func TestLastMinute(t *testing.T) {
	for want, traffic := range map[string]*client.Traffic{
		"-":                   nil,
		"1234/s":              {RequestsPerSecond: 1234.4},
		"12/s, 5 % failed":    {RequestsPerSecond: 12.4, ErrorShare: 0.05},
		"2.5/s, 100 % failed": {RequestsPerSecond: 2.46, ErrorShare: 1},
		"0.017/s":             {RequestsPerSecond: 1.0 / 60},
	} {
		if got := lastMinute(traffic); got != want {
			t.Errorf("%+v is told as %q, want %q", traffic, got, want)
		}
	}
}
