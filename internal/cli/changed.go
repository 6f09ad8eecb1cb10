package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) whatChanged() *cobra.Command {
	since := ""
	command := &cobra.Command{
		Use: "what-changed APP", Short: "Line up what was changed with errors and latency, the most suspicious first", Args: exactly("APP"),
		Long: `Shows releases, settings, scaling, restarts, crashes, routes, rollouts with their ends, maintenance and alerts in the
order of time, each with the share of failed requests, the requests per second and the latency before and after it,
and draws errors and latency over the whole time with a mark for each change.`,
		Example: "  naru what-changed my-shop\n  naru what-changed my-shop --since 2h",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			t, err := in.Changes(cc.Context(), since)
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(t)
			}
			return c.timeline(t)
		},
	}
	command.Flags().StringVar(&since, "since", "", "how far back to look: 30m, 24h, 7d (default 24h)")
	return command
}

// timeline shows the suspect, the plot, and the changes.
func (c *cmd) timeline(t client.Timeline) error {
	color := plain
	if t.Suspect != "" {
		color = warn
	}
	c.screen.say("%s", c.screen.paint(color, tame(t.Sentence)))
	for _, note := range t.Notes {
		c.screen.say("note: %s", tame(note))
	}
	if t.All.Requests > 0 {
		c.screen.say("")
		c.screen.plot(t)
	}
	if len(t.Changes) == 0 {
		return nil
	}
	c.screen.say("")
	rows := make([][]string, 0, len(t.Changes))
	for _, one := range t.Changes {
		mark, what := one.Mark, one.Text
		if one.End != "" {
			what += ": " + one.End
		}
		if one.Mark == t.Suspect {
			mark = c.screen.paint(warn, mark+" !")
		}
		rows = append(rows, []string{
			mark, one.At.Local().Format(time.DateTime), one.Kind, one.Actor, pair(one, errorsOf), pair(one, rateOf), pair(one, func(f client.Figures) string { return latencyOf(f.P50) }),
			pair(one, func(f client.Figures) string { return latencyOf(f.P99) }), what,
		})
	}
	return c.screen.table(t, []string{"", "AT", "KIND", "BY", "ERRORS", "REQUESTS", "P50", "P99", "WHAT"}, rows)
}

// pair shows a figure before and after a change.
func pair(c client.Change, of func(client.Figures) string) string {
	before, after := of(c.Before), of(c.After)
	if before == "-" && after == "-" {
		return "-"
	}
	return before + " → " + after
}

func errorsOf(f client.Figures) string {
	if f.Errors == nil {
		return "-"
	}
	return digits(100**f.Errors) + " %"
}

func rateOf(f client.Figures) string {
	if f.Requests == 0 {
		return "-"
	}
	return digits(f.PerSec) + "/s"
}

func latencyOf(seconds *float64) string {
	switch {
	case seconds == nil:
		return "-"
	case *seconds >= 1:
		return digits(*seconds) + " s"
	}
	return digits(1000**seconds) + " ms"
}

// bars are the heights of a sparkline.
var bars = []rune("▁▂▃▄▅▆▇█")

// plot draws errors and latency over the time, with the marks of changes below.
func (s *Screen) plot(t client.Timeline) {
	width := min(s.width()-24, 100, len(t.Course))
	if width < 10 {
		width = min(10, len(t.Course))
	}
	total := t.To.Sub(t.From)
	if width < 1 || total <= 0 {
		return
	}
	begin := t.To.Add(-time.Duration(len(t.Course)) * time.Duration(t.Step))
	column := func(at time.Time) int {
		return max(0, min(width-1, int(float64(at.Sub(begin))/float64(t.To.Sub(begin))*float64(width))))
	}
	for _, row := range []struct {
		name, color string
		of          func(client.Figures) *float64
		show        func(float64) string
	}{
		{"errors", bad, func(f client.Figures) *float64 { return f.Errors }, func(v float64) string { return digits(100*v) + " %" }},
		{"p99", warn, func(f client.Figures) *float64 { return f.P99 }, func(v float64) string { return latencyOf(&v) }},
		{"requests", plain, func(f client.Figures) *float64 { return &f.PerSec }, func(v float64) string { return digits(v) + "/s" }},
	} {
		values, most := worst(t.Course, width, row.of)
		s.say("%-9s%s  %s", row.name, s.paint(row.color, sparkline(values, most)), "most "+row.show(most))
	}
	line := []rune(strings.Repeat(" ", width))
	for _, one := range t.Changes {
		r := []rune(one.Mark)[0]
		if i := column(one.At); line[i] == ' ' && len(one.Mark) == 1 {
			line[i] = r
		} else {
			line[i] = '*'
		}
	}
	s.say("%-9s%s", "changes", strings.TrimRight(string(line), " "))
	from, to := t.From.Local().Format("15:04"), t.To.Local().Format("15:04")
	if total > 24*time.Hour {
		from, to = t.From.Local().Format("01-02 15:04"), t.To.Local().Format("01-02 15:04")
	}
	s.say("%-9s%s", "", s.paint(faint, from+strings.Repeat(" ", max(1, width-len(from)-len(to)))+to))
}

// worst is the largest value of each of so many columns; a column without a value
// is below 0.
func worst(course []client.Figures, width int, of func(client.Figures) *float64) (values []float64, most float64) {
	values = make([]float64, width)
	for i := range values {
		values[i] = -1
	}
	for i, f := range course {
		if v := of(f); v != nil {
			k := i * width / len(course)
			values[k] = max(values[k], *v)
			most = max(most, *v)
		}
	}
	return values, most
}

// sparkline draws values as bars; a space is nothing known, a dot nought.
func sparkline(values []float64, most float64) string {
	var b strings.Builder
	for _, v := range values {
		switch {
		case v < 0:
			b.WriteRune(' ')
		case v == 0 || most == 0:
			b.WriteRune('·')
		default:
			b.WriteRune(bars[min(len(bars)-1, int(v/most*float64(len(bars))))])
		}
	}
	return b.String()
}
