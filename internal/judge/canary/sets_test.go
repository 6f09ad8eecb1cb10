package canary

import (
	"strconv"
	"strings"
	"testing"
)

// The published sets of 30, rounded to two decimals.
const (
	e10 = "9.78 10.59 7.84 9.32 8.38 8.94 8.27 9.75 11.62 9.28 8.15 10.56 13.5 11.05 6.95 12.52 9.02 4.92 11.25 11.6 8.44 11.11 10.7 8.92 10.09 11.42 9.38 7.8 10.62 11.91"
	c10 = "11.15 9.96 7.07 7.3 9.79 9.6 6.19 12.35 10.37 8.61 9.91 10.36 14.21 10.95 10.22 11.74 10.91 12.82 8.1 8.5 12.11 13.27 10.11 6.95 6.21 10.16 8.35 8.38 7 10.76"
	e20 = "20.88 21.79 19.71 15.86 19.51 19.39 22.93 17.16 18.66 23.42 24.06 22.63 21.98 21.66 20.07 22.12 16.44 21.56 21 17.78 17.81 18.54 20.56 19.55 21.77 21.81 20.96 20.98 19.11 16.98"
	c20 = "20.76 22.8 20.61 20.97 23.47 21.53 21.77 18.31 19.06 25.88 18.98 19.39 19 24.23 20.05 18.23 17.87 23.06 18.4 16.97 19.47 17.9 17.55 16.1 24.38 15.92 20.48 19.08 17.46 18.85"
	el  = "24.25 26.13 22.5 24.37 23.2 19.44 21 18.91 21.32 21.84 21.64 23.13 21.09 19.46 20.75 22.26 19.82 20.99 19.94 23.29 18.18 22.14 19.43 19.84 23.92 21.01 21.86 23.12 22.96 17.8"
	cl  = "25.1 26.15 24.88 24.19 22.15 28.02 21.3 27.25 28.64 27.04 24.68 22.35 27.42 26 23.02 26 22.77 25.57 25.57 21.27 23.13 24.59 27.49 27.22 23.6 22.54 25.83 23.32 24.39 25.11"
)

// set reads numbers; "5x0" is five zeros, "1..4" is 1 2 3 4, and a third number
// of "1..4*2" multiplies each.
func set(t testing.TB, text string) []float64 {
	t.Helper()
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var out []float64
	for word := range strings.FieldsSeq(text) {
		if times, what, ok := strings.Cut(word, "x"); ok {
			for range int(number(times)) {
				out = append(out, number(what))
			}
			continue
		}
		span, factor, ok := strings.Cut(word, "*")
		if !ok {
			factor = "1"
		}
		from, to, ok := strings.Cut(span, "..")
		if !ok {
			to = from
		}
		for f := number(from); f <= number(to); f++ {
			out = append(out, f*number(factor))
		}
	}
	return out
}
