package objective_test

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/judge/objective"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPeriods(t *testing.T) {
	for name, tc := range map[string]struct {
		window, now, from, to string
		length                time.Duration
	}{
		"rolling":                          {"28d", "2026-03-29T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-29T12:00:00Z", 28 * day},
		"month":                            {"month", "2026-02-14T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", 28 * day},
		"month of a leap year":             {"month", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", 29 * day},
		"first moment belongs to it":       {"month", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 31 * day},
		"last moment before":               {"month", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", 28 * day},
		"clocks go forward in Berlin":      {"month in Europe/Berlin", "2026-03-15T00:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", 743 * time.Hour},
		"clocks go back in New York":       {"month in America/New_York", "2026-11-21T00:00:00Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", 721 * time.Hour},
		"still October there":              {"month in America/New_York", "2026-11-01T03:59:59Z", "2026-10-01T04:00:00Z", "2026-11-01T04:00:00Z", 31 * day},
		"week begins on Monday":            {"week", "2026-11-21T13:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", 7 * day},
		"week with 23 hours on its Sunday": {"week in Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z", 167 * time.Hour},
		"quarter":                          {"quarter", "2026-11-21T13:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z", 92 * day},
		"year":                             {"year", "2026-11-21T13:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 365 * day},
		"day without midnight":             {"day in America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z", 23 * time.Hour},
		"two weeks from a Monday":          {"2 weeks from 2026-01-05T12:00", "2026-01-19T11:59:59Z", "2026-01-05T12:00:00Z", "2026-01-19T12:00:00Z", 14 * day},
		"the next two weeks":               {"2 weeks from 2026-01-05T12:00", "2026-01-19T12:00:00Z", "2026-01-19T12:00:00Z", "2026-02-02T12:00:00Z", 14 * day},
		"before its start":                 {"2 weeks from 2026-01-05T12:00", "2025-12-31T00:00:00Z", "2025-12-22T12:00:00Z", "2026-01-05T12:00:00Z", 14 * day},
		"from the 31st":                    {"month from 2026-01-31T00:00", "2026-03-15T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", 31 * day},
		"from the 31st, a year before":     {"month from 2026-01-31T00:00", "2025-02-10T00:00:00Z", "2025-01-31T00:00:00Z", "2025-02-28T00:00:00Z", 28 * day},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := app.ParseWindow(tc.window)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Check("window"); err != nil {
				t.Fatal(err)
			}
			got, err := objective.Period(w, at(t, tc.now))
			if err != nil {
				t.Fatal(err)
			}
			if !got.From.Equal(at(t, tc.from)) || !got.To.Equal(at(t, tc.to)) || got.Length() != tc.length {
				t.Errorf("got %s to %s, %s; want %s to %s, %s", got.From.UTC(), got.To.UTC(), got.Length(), tc.from, tc.to, tc.length)
			}
		})
	}
}

// Periods follow each other without a gap, whatever clocks are changed to.
func TestPeriodsAreSideBySide(t *testing.T) {
	for _, text := range []string{"week in Europe/Berlin", "month in America/Santiago", "month from 2026-01-31T02:30 in Europe/Berlin", "quarter in Asia/Kathmandu", "day in Africa/Cairo"} {
		w, err := app.ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		now := at(t, "2024-12-01T00:00:00Z")
		last, err := objective.Period(w, now)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			next, err := objective.Period(w, last.To)
			if err != nil {
				t.Fatal(err)
			}
			if !next.From.Equal(last.To) || next.Length() <= 0 {
				t.Fatalf("%s: after %v comes %v", text, last, next)
			}
			last = next
		}
	}
}
