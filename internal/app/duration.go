package app

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that reads and writes as text ("60s") in JSON.
type Duration time.Duration

// Std returns the duration in the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String formats like time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the form of time.Duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads the form of time.Duration; negative durations are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 90s or 2m", text)
	}
	*d = Duration(v)
	return nil
}
