// Package secret holds values that must not be read by accident, and seals them
// for the store.
package secret

import "log/slog"

// Secret is a value that cannot print itself. The pointer matters: fmt reaches
// into unexported string fields without asking String.
type Secret struct{ v *string }

// New hides a value.
func New(v string) Secret { return Secret{&v} }

// Reveal returns the value. Reviewers search for this name.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether there is nothing to hide.
func (s Secret) IsZero() bool { return s.v == nil || *s.v == "" }

// String prints stars.
func (Secret) String() string { return "***" }

// GoString prints stars.
func (Secret) GoString() string { return "***" }

// LogValue logs stars.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText writes stars; a Secret never leaves through an encoder.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
