package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) traces() *cobra.Command {
	var q client.TraceQuery
	var since, until string
	command := &cobra.Command{
		Use:   "traces APP",
		Short: "Find traces of requests that an app took part in",
		Long: `Lists traces, newest first, that have a span for which all conditions are true. Which requests are traced is up to their
visitors, then to the route and the platform (traces.sample). naru trace ID shows one of them.`,
		Example: `  naru traces shop --min-duration 500ms
  naru traces shop --error --tag http.route=/cart --since 24h`,
		Args: exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if q.Since, q.Until, err = spanOf(since, until, time.Now()); err != nil {
				return err
			}
			l, err := in.Traces(cc.Context(), q)
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(l)
			}
			if !l.Back.IsZero() {
				c.screen.warn(fmt.Sprintf("the search went back to %s, which is as much as one looks through (traces.search); for what was before: --until", l.Back.Local().Format(time.DateTime)))
			}
			return list(c.screen, l.Items, "no traces; look further back with --since, or let more requests be traced: traces.sample",
				[]string{"TRACE", "START", "TOOK", "SPANS", "ERRORS", "FIRST", "SERVICES"}, func(t client.Trace) []string {
					return []string{
						t.ID, t.Start.Local().Format("01-02 15:04:05.000"), fine(t.Took), strconv.Itoa(t.Spans), strconv.Itoa(t.Errors),
						t.Service + ": " + t.Operation, servicesOf(t),
					}
				})
		},
	}
	f := command.Flags()
	f.StringVar(&q.Service, "service", "", "with a span of this service")
	f.StringVar(&q.Operation, "operation", "", "with a span of this operation")
	f.DurationVar(&q.Least, "min-duration", 0, "with a span that took at least so long")
	f.DurationVar(&q.Most, "max-duration", 0, "with a span that took at most so long")
	f.BoolVar(&q.Error, "error", false, "with a span that failed")
	f.StringArrayVar(&q.Tags, "tag", nil, "with a span that has this tag: KEY=VALUE, or KEY; again for more")
	f.StringVar(&since, "since", "", "of the last 10m, 1h, ..., or since a time such as 2026-11-21T16:00:00Z (default: an hour before --until)")
	f.StringVar(&until, "until", "", "older than 5m, 1h, ..., or than a time")
	f.IntVarP(&q.Limit, "limit", "n", 20, "so many, at most")
	return command
}

// servicesOf names the services of a trace but its first.
func servicesOf(t client.Trace) string {
	var names []string
	for _, s := range t.Services {
		text := s.Service
		if s.Spans > 1 {
			text += " x" + strconv.Itoa(s.Spans)
		}
		names = append(names, text)
	}
	if len(names) > 6 {
		names = append(names[:6], "…")
	}
	return strings.Join(names, ", ")
}

// fine prints a duration with three digits or so.
func fine(d client.Duration) string {
	t := time.Duration(d)
	switch {
	case t < time.Microsecond:
		return t.String()
	case t < 10*time.Millisecond:
		return t.Round(10 * time.Microsecond).String()
	case t < time.Second:
		return t.Round(time.Millisecond).String()
	case t < time.Minute:
		return t.Round(10 * time.Millisecond).String()
	}
	return t.Round(time.Second).String()
}

func (c *cmd) trace() *cobra.Command {
	var tags bool
	command := &cobra.Command{
		Use:   "trace ID",
		Short: "Show where the time of one request went",
		Long:  "Draws the spans of a trace in the order of their start, each below its parent, as far as they are of spaces whose logs one may read.",
		Args:  exactly("ID"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			t, err := cl.Trace(cc.Context(), args[0])
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(t)
			}
			c.showTrace(t, tags)
			return nil
		},
	}
	command.Flags().BoolVar(&tags, "tags", false, "with the tags and events of each span")
	return command
}

// showTrace draws a trace.
func (c *cmd) showTrace(t client.TraceDetail, tags bool) {
	head := fmt.Sprintf("%s   %s   %s, %s", t.ID, fine(t.Took), count(t.Spans, "span"), count(len(t.Services), "service"))
	if t.Errors > 0 {
		head += ", " + c.screen.paint(bad, count(t.Errors, "error"))
	}
	c.screen.say("%s", head)
	c.screen.say("%s", c.screen.paint(faint, t.Start.Local().Format("2006-01-02 15:04:05.000")))
	c.screen.say("")
	rows := treeOf(t.Tree)
	names := make([]string, len(rows))
	wide := 0
	for i, r := range rows {
		names[i] = fitted(strings.Repeat("  ", min(r.depth, 12))+tame(r.span.Service+"  "+r.span.Operation), 60)
		wide = max(wide, columns(names[i]))
	}
	room := max(10, min(60, c.screen.width()-wide-14))
	for i, r := range rows {
		color, mark := plain, ""
		if r.span.Error {
			color, mark = bad, " ✗"
			if r.span.Message != "" {
				mark += " " + fitted(tame(r.span.Message), 80)
			}
		}
		if r.lost {
			mark += c.screen.paint(faint, "  (its parent did not arrive)")
		}
		name := names[i] + strings.Repeat(" ", wide-columns(names[i]))
		c.screen.say("%s  %s  %s%s", c.screen.paint(color, name), c.screen.paint(color, bar(t.Trace, r.span, room)), right(fine(r.span.Took), 8), c.screen.paint(color, mark))
		if tags {
			c.showTags(r, t.Start)
		}
	}
	if t.Over {
		c.screen.warn("there are more spans than are shown (traces.spans_per_trace)")
	}
}

func (c *cmd) showTags(r treeRow, start time.Time) {
	in := strings.Repeat("  ", min(r.depth, 12)+2)
	for _, k := range slices.Sorted(maps.Keys(r.span.Tags)) {
		c.screen.say("%s%s", in, c.screen.paint(faint, tame(k+"="+r.span.Tags[k])))
	}
	for _, e := range r.span.Events {
		text := fmt.Sprintf("+%s %s", fine(client.Duration(e.Time.Sub(start))), e.Name)
		for _, k := range slices.Sorted(maps.Keys(e.Tags)) {
			text += " " + k + "=" + e.Tags[k]
		}
		c.screen.say("%s%s", in, c.screen.paint(faint, tame(text)))
	}
}

// bar is where a span lies in its trace.
func bar(t client.Trace, s client.Span, room int) string {
	if t.Took <= 0 {
		return strings.Repeat("━", room)
	}
	at := func(d time.Duration) int {
		return min(room, max(0, int(float64(room)*float64(d)/float64(t.Took))))
	}
	from := min(room-1, at(s.Start.Sub(t.Start)))
	long := max(1, min(at(time.Duration(s.Took)), room-from))
	return strings.Repeat(" ", from) + strings.Repeat("━", long) + strings.Repeat(" ", room-from-long)
}

func right(text string, to int) string { return strings.Repeat(" ", max(0, to-columns(text))) + text }

// fitted cuts a text that has more columns than there is room for.
func fitted(text string, room int) string {
	r := []rune(text)
	if len(r) <= room {
		return text
	}
	return string(r[:room-1]) + "…"
}

// treeRow is a span and how deep it is.
type treeRow struct {
	span  client.Span
	depth int
	lost  bool // it has a parent that is not there
}

// treeOf puts spans below their parents. Spans that are each other's parents are
// shown once, at the end.
func treeOf(spans []client.Span) []treeRow {
	below := map[string][]int{}
	halves := map[string]int{} // spans by id: the client's half of two
	for i, s := range spans {
		if j, twice := halves[s.ID]; !twice || spans[j].Shared {
			halves[s.ID] = i
		}
	}
	var roots []int
	lost := map[int]bool{}
	for i, s := range spans {
		switch up, there := halves[s.Parent]; {
		case halves[s.ID] != i: // the other half is around it
			below["="+s.ID] = append(below["="+s.ID], i)
		case there && s.Parent != "" && up != i:
			below[s.Parent] = append(below[s.Parent], i)
		default:
			roots = append(roots, i)
			lost[i] = s.Parent != ""
		}
	}
	var out []treeRow
	seen := make([]bool, len(spans))
	var walk func(i, depth int)
	walk = func(i, depth int) {
		if seen[i] {
			return
		}
		seen[i] = true
		out = append(out, treeRow{spans[i], depth, lost[i]})
		id := spans[i].ID
		if halves[id] == i {
			for _, j := range below["="+id] {
				walk(j, depth+1)
			}
			if len(below["="+id]) > 0 {
				depth++
			}
		}
		for _, j := range below[id] {
			walk(j, depth+1)
		}
	}
	for _, i := range roots {
		walk(i, 0)
	}
	for i := range spans {
		walk(i, 0)
	}
	return out
}

func (c *cmd) dependencies() *cobra.Command {
	var since, until string
	command := &cobra.Command{
		Use:   "dependencies [APP]",
		Short: "Show which services call which, how often and with how many errors",
		Long:  "Counts calls in the traces of the space, or of one app: who called, who was called, per second and with which share of errors. They are the calls that were traced, which is a share of all (traces.sample).",
		Args:  between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			from, to, err := spanOf(since, until, time.Now())
			if err != nil {
				return err
			}
			app := ""
			if len(args) > 0 {
				app = args[0]
			}
			d, err := s.Dependencies(cc.Context(), app, from, to)
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(d)
			}
			if d.Over {
				c.screen.warn("there are more spans than are looked at: this is of the newest")
			}
			return list(c.screen, d.Items, "no calls between services; look further back with --since", []string{"FROM", "TO", "CALLS", "PER SECOND", "ERRORS", "MEAN", "SLOWEST"},
				func(d client.Dependency) []string {
					return []string{
						d.From, d.To, strconv.FormatInt(d.Calls, 10), strconv.FormatFloat(d.Rate, 'g', 3, 64),
						strconv.FormatFloat(100*d.Share, 'g', 3, 64) + " %", fine(d.Mean), fine(d.Slowest),
					}
				})
		},
	}
	f := command.Flags()
	f.StringVar(&since, "since", "", "calls of the last 10m, 1h, 7d, ..., or since a time such as 2026-11-21T16:00:00Z (default: an hour before --until)")
	f.StringVar(&until, "until", "", "calls older than 5m, 1h, ..., or than a time")
	return command
}
