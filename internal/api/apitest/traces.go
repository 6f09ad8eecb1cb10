package apitest

import (
	"log/slog"
	"testing"

	"naru/internal/observe/traces"
)

// Traces is an empty store of spans.
func Traces(t testing.TB) *traces.Store {
	t.Helper()
	s, err := traces.Open(traces.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
