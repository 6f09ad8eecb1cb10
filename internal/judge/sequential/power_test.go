package sequential

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// errorsAlpha is what the default metrics leave for errors.
const errorsAlpha = 0.005

// found runs canaries that are times as bad until each has a verdict: the canary
// requests and the seconds that took, in order, and how many were Worse. Rate is
// that of requests to the canary, a second.
func found(runs uint64, base, times, share, rate, alpha float64) (requests, seconds []int, worse int) {
	for seed := range runs {
		// A second of this world is a block.
		w := &world{Rand: rand.New(rand.NewPCG(seed, 11)), rate: rate * blockSeconds / share, share: share, base: base, times: times}
		c, blocks := NewCounts(Limits{Alpha: alpha, Matters: times}), 0
		for c.State() == Unsure && blocks < 1_000_000 {
			c.Add(w.next())
			blocks++
		}
		if c.State() == Worse {
			worse++
		}
		requests, seconds = append(requests, int(c.canary.Requests)), append(seconds, blocks*blockSeconds)
	}
	slices.Sort(requests)
	slices.Sort(seconds)
	return requests, seconds, worse
}

// TestPower: half of all canaries have their verdict after fewer requests than a
// test needs that looks once. NARU_FULL=1 asks for all rows, NARU_UPDATE=1 writes
// them to the documentation.
func TestPower(t *testing.T) {
	const page = "../../../docs/judge.md"
	write := os.Getenv("NARU_UPDATE") != ""
	full := write || os.Getenv("NARU_FULL") != ""
	rows := &strings.Builder{}
	fmt.Fprintln(rows, "| canary's share | errors, baseline | canary | fixed size | median | 95 % of all | called worse | at 10/s | at 100/s |")
	fmt.Fprintln(rows, "|---|---|---|---|---|---|---|---|---|")
	for _, share := range []float64{0.5, 0.1} {
		for _, base := range []float64{0.001, 0.003, 0.01, 0.05} {
			for _, times := range []float64{1.5, 2, 5} {
				if !full && (times < 2 || base < 0.01) {
					continue // minutes of work together
				}
				runs := uint64(100)
				if full {
					runs = 1000
				}
				fixed := fixedSize(base, times, share)
				// At a rate that lets bad requests seldom share a block.
				requests, _, worse := found(runs, base, times, share, 0.02/base, errorsAlpha)
				median := requests[runs/2]
				if median > fixed {
					t.Errorf("%g times %g at %g: half took more than %d requests, one look needs %d", times, base, share, median, fixed)
				}
				if !full {
					continue
				}
				_, slow, _ := found(200, base, times, share, 10, errorsAlpha)
				_, fast, _ := found(200, base, times, share, 100, errorsAlpha)
				fmt.Fprintf(rows, "| %g %% | %g %% | %g x | %s | **%s** | %s | %.1f %% | %s | %s |\n", share*100, base*100, times, thousands(fixed),
					thousands(median), thousands(requests[runs*95/100]), 100*float64(worse)/float64(runs), span(slow[100]), span(fast[100]))
			}
		}
	}
	if full {
		t.Log("\n" + rows.String())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte("<!-- power: "))
	_, after, end := bytes.Cut(rest, []byte("<!-- end of power -->"))
	if !ok || !end {
		t.Fatalf("%s has no place for the table", page)
	}
	if write {
		out := fmt.Sprintf("%s<!-- power: written by NARU_UPDATE=1 go test ./internal/judge/sequential -run TestPower -->\n%s<!-- end of power -->%s", before, rows, after)
		if err := os.WriteFile(page, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func span(seconds int) string {
	switch {
	case seconds < 300:
		return fmt.Sprintf("%d s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%d min", (seconds+30)/60)
	}
	return fmt.Sprintf("%.1f h", float64(seconds)/3600)
}
