package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// push is what one push took.
type push struct {
	sent   []exchange
	begun  time.Time     // there were an image and a release to bring
	served time.Time     // the gateway was answered by the new release
	cpu    time.Duration // of the control plane, until then
}

// began is when its first request came.
func (p push) began() time.Time {
	return slices.MinFunc(p.sent, func(x, y exchange) int { return x.began.Compare(y.began) }).began
}

// wall is from the first request until the new instance served, without what the
// client took for itself.
func (p push) wall() time.Duration { return p.served.Sub(p.began()) - p.own() }

// before is how much of that came before there was something to bring: from there on
// the doors take the same way.
func (p push) before() time.Duration { return p.begun.Sub(p.began()) - p.own() }

// own is how long no request was at the server before the one that starts what
// serves: what the client does, and pauses of its own.
func (p push) own() time.Duration {
	last := p.began()
	for _, e := range p.sent {
		if e.method == http.MethodPost && e.began.After(last) && e.began.Before(p.served) {
			last = e.began
		}
	}
	return last.Sub(p.began()) - p.covered(last)
}

// inside is how much of the time until it served at least one request was at the
// server, those for output aside.
func (p push) inside() time.Duration { return p.covered(p.served) }

func (p push) covered(end time.Time) (sum time.Duration) {
	sent := slices.Clone(p.sent)
	slices.SortFunc(sent, func(x, y exchange) int { return x.began.Compare(y.began) })
	var until time.Time
	for _, e := range sent {
		if e.logs() || !e.began.Before(end) {
			continue
		}
		from, to := e.began, e.ended
		if from.Before(until) {
			from = until
		}
		if to.After(end) {
			to = end
		}
		if to.After(from) {
			sum, until = sum+to.Sub(from), to
		}
	}
	return sum
}

// quick is what the requests until then took that wait for no work.
func (p push) quick() (sum time.Duration) {
	for _, e := range p.sent {
		if e.began.Before(p.served) && !e.waits() && !e.logs() {
			sum += e.ended.Sub(e.began)
		}
	}
	return sum
}

// after is what requests took that were sent when the new release served already:
// for what the client prints.
func (p push) after() (sum time.Duration) {
	for _, e := range p.sent {
		if !e.began.Before(p.served) && !e.logs() {
			sum += e.ended.Sub(e.began)
		}
	}
	return sum
}

// table holds the pushes of both doors, round by round.
type table struct{ own, cf []push }

func (t *table) add(cf bool, p push) {
	if cf {
		t.cf = append(t.cf, p)
		return
	}
	t.own = append(t.own, p)
}

func (t *table) print(title string) {
	fmt.Printf("-- %s; ms, median (least to most)\n", title)
	fmt.Printf("%-22s %-18s %-18s %-18s %-18s %-16s %-16s %-14s %s\n", "", "until it serves", "until it is begun", "in requests", "that wait for none", "client's own", "sent after that", "processor", "requests")
	for _, row := range []struct {
		name   string
		pushes []push
	}{{"naru push", t.own}, {"cf push", t.cf}} {
		fmt.Printf("%-22s %-18s %-18s %-18s %-18s %-16s %-16s %-14s %.0f\n", row.name,
			spread(row.pushes, push.wall), spread(row.pushes, push.before), spread(row.pushes, push.inside), spread(row.pushes, push.quick), spread(row.pushes, push.own), spread(row.pushes, push.after),
			spread(row.pushes, func(p push) time.Duration { return p.cpu }), middle(each(row.pushes, func(p push) float64 { return float64(len(p.sent)) })))
	}
	fmt.Printf("%-22s %s, and in requests %s (round by round; goal +10 %%)\n", "cf push over naru push", t.over(push.wall), t.over(push.inside))
}

// over is how much more one door takes than the other in the same round.
func (t *table) over(of func(push) time.Duration) string {
	var all []float64
	for i := range min(len(t.own), len(t.cf)) {
		all = append(all, 100*(float64(of(t.cf[i]))/float64(of(t.own[i]))-1))
	}
	return fmt.Sprintf("%+.0f (%+.0f to %+.0f) %%", middle(all), slices.Min(all), slices.Max(all))
}

// printWhere prints what each request took, those that are sent again and again
// together.
func (t *table) printWhere(title string) {
	for _, row := range []struct {
		name   string
		pushes []push
	}{{"naru push", t.own}, {"cf push", t.cf}} {
		fmt.Printf("-- %s, %s: when a request is first sent and what all like it take, ms, medians\n", title, row.name)
		var order []string
		took, at := map[string][]float64{}, map[string][]float64{}
		for _, p := range row.pushes {
			sums := map[string]float64{}
			slices.SortFunc(p.sent, func(x, y exchange) int { return x.began.Compare(y.began) })
			for _, e := range p.sent {
				path, _, _ := strings.Cut(e.path, "?")
				what := e.method + " " + ids.ReplaceAllString(path, "ID")
				if !slices.Contains(order, what) {
					order = append(order, what)
				}
				if _, again := sums[what]; !again {
					at[what] = append(at[what], ms(e.began.Sub(p.began())))
				}
				sums[what] += ms(e.ended.Sub(e.began))
			}
			for what, sum := range sums {
				took[what] = append(took[what], sum)
			}
		}
		for _, what := range order {
			fmt.Printf("%8.0f %+8.1f  %s\n", middle(at[what]), middle(took[what]), what)
		}
	}
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

func each[A, B any](in []A, of func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, of(a))
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func middle(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func spread(pushes []push, of func(push) time.Duration) string {
	all := each(pushes, func(p push) float64 { return ms(of(p)) })
	return fmt.Sprintf("%.0f (%.0f-%.0f)", middle(all), slices.Min(all), slices.Max(all))
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg") // "" where there is none
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// processor is what a process has used.
func processor(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11]) // the kernel wrote them
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
