package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/objective"
)

func (c *cmd) slo() *cobra.Command {
	var ledger, watch bool
	every := 2 * time.Second
	command := &cobra.Command{
		Use:   "slo [APP]",
		Short: "Show how far objectives are met and what is left of their error budgets",
		Long: `Shows each objective of an app: what is wanted, what was measured, what is left of the error budget, how fast it goes, and who
spent it. Without an app: a line for each objective of the space. Objectives are declared in the app's manifest, or applied from
OpenSLO files.`,
		Example: "  naru slo\n  naru slo my-shop --ledger\n  naru slo my-shop --watch\n  naru slo apply -f slo.yml --dry-run",
		Args:    between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error {
			if ledger && len(args) == 0 {
				return fault.New(fault.Invalid, "--ledger", "a ledger is of one app").WithTry("naru slo my-shop --ledger")
			}
			get, show, err := c.sloOf(args, ledger)
			if err != nil {
				return err
			}
			if watch {
				return c.watchSLO(cc.Context(), get, show, every)
			}
			all, err := get(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(all)
			}
			c.screen.say("%s", show(all))
			return nil
		},
	}
	command.Flags().BoolVar(&ledger, "ledger", false, "show every debit with its cause")
	command.Flags().BoolVarP(&watch, "watch", "w", false, "stay and show the figures as they change")
	command.Flags().DurationVar(&every, "every", every, "how often --watch looks")
	command.AddCommand(c.applySLO(), c.exportSLO(), c.deleteSLO())
	return command
}

type getReports func(ctx context.Context) ([]client.ObjectiveReport, error)

// sloOf is where the reports of an app, or of the space, come from, and their page.
func (c *cmd) sloOf(args []string, ledger bool) (getReports, func([]client.ObjectiveReport) string, error) {
	items := func(l client.List[client.ObjectiveReport], err error) ([]client.ObjectiveReport, error) {
		if l.Items == nil {
			l.Items = []client.ObjectiveReport{}
		}
		return l.Items, err
	}
	if len(args) == 0 {
		s, err := c.space()
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) ([]client.ObjectiveReport, error) { return items(s.Reports(ctx)) }, c.screen.sloTable, nil
	}
	in, err := c.inApp(args[0])
	if err != nil {
		return nil, nil, err
	}
	page := func(all []client.ObjectiveReport) string { return c.screen.sloPage(args[0], all, ledger) }
	return func(ctx context.Context) ([]client.ObjectiveReport, error) { return items(in.Reports(ctx)) }, page, nil
}

// watchSLO shows the page again whenever it has changed, until somebody has enough.
func (c *cmd) watchSLO(ctx context.Context, get getReports, show func([]client.ObjectiveReport) string, every time.Duration) error {
	tick := time.NewTicker(max(every, 500*time.Millisecond))
	defer tick.Stop()
	before := ""
	for {
		all, err := get(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		switch page := show(all); {
		case c.screen.json:
			if err := c.screen.line(all); err != nil {
				return err
			}
		case page == before:
		case c.screen.live:
			c.screen.say("\x1b[H\x1b[2J%s", page)
			before = page
		default:
			c.screen.say("%s\n", page)
			before = page
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sloTable is a line for each objective.
func (s *Screen) sloTable(all []client.ObjectiveReport) string {
	if len(all) == 0 {
		return "no objectives in this space; declare them below  naru: objectives:  of a manifest, or: naru slo apply -f FILE"
	}
	rows := [][]string{{"APP", "OBJECTIVE", "TARGET", "MEASURED", "", "LEFT", "", "BURN 1H"}}
	for _, r := range all {
		left := []string{"", "-", "-"}
		if r.Known {
			left = []string{s.bar(r, 10), s.leftOf(r), objective.Minutes(budgetTime(r.LeftSeconds))}
		}
		rows = append(rows, []string{tame(r.App), tame(r.Objective.Name), objective.Percent(r.Target), s.measured(r), left[0], left[1], left[2], s.burnOf(r, time.Hour)})
	}
	return s.columns(rows)
}

// columns sets rows, some of which may be painted, one below the other.
func (s *Screen) columns(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var lines []string
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-columns(cell)+2)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return strings.Join(lines, "\n")
}

// sloPage is all there is to know about an app's objectives.
func (s *Screen) sloPage(name string, all []client.ObjectiveReport, ledger bool) string {
	if len(all) == 0 {
		return fmt.Sprintf("%s promises nothing yet; declare objectives below  naru: objectives:  of its manifest, or: naru slo apply -f FILE", tame(name))
	}
	missed, silent := 0, 0
	for _, r := range all {
		switch {
		case !r.Known:
			silent++
		case !r.Met:
			missed++
		}
	}
	head := fmt.Sprintf("%s  %s", s.paint(strong, tame(name)), count(len(all), "objective"))
	switch {
	case missed > 0:
		head += ", " + s.paint(bad, fmt.Sprintf("%d not met", missed))
	case silent < len(all):
		head += ", " + s.paint(good, "met")
	}
	if silent > 0 {
		head += ", " + s.paint(warn, fmt.Sprintf("of %d nothing is known", silent))
	}
	out := []string{head}
	for _, r := range all {
		out = append(out, "", s.sloOne(r, ledger))
	}
	return strings.Join(out, "\n")
}

func (s *Screen) sloOne(r client.ObjectiveReport, ledger bool) string {
	lines := []string{s.paint(strong, tame(r.Objective.Name)) + "  " + tame(r.Text)}
	say := func(what, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("  %-9s ", what)+fmt.Sprintf(format, args...))
	}
	if r.Objective.Description != "" {
		say("", "%s", s.paint(faint, tame(r.Objective.Description)))
	}
	if r.Known {
		what := "requests"
		switch {
		case r.Objective.Slice != nil:
			what = "slices of " + app.Days(time.Duration(r.Objective.Slice.Length))
		case r.Objective.Probe != "":
			what = "runs"
		case len(r.Objective.TotalQuery) > 0:
			what = "events"
		}
		say("measured", "%s   %s of %s %s", s.measured(r), number(r.Good), number(r.Total), what)
	} else {
		say("measured", "%s", s.paint(warn, "nothing is known"))
	}
	if r.Known {
		say("budget", "%s %s left: %s of %s", s.bar(r, 20), s.leftOf(r), objective.Minutes(budgetTime(r.LeftSeconds)), objective.Minutes(budgetTime(r.Budget)))
	} else {
		say("budget", "%s, of which nothing is known to be spent", objective.Minutes(budgetTime(r.Budget)))
	}
	if r.Reserved > 0 {
		say("reserved", "%s for announced maintenance", objective.Percent(round(r.Reserved)))
	}
	burns := make([]string, 0, len(r.Burns))
	for _, b := range r.Burns {
		burns = append(burns, app.Days(time.Duration(b.Window))+" "+s.rate(b))
	}
	if len(burns) > 0 && r.Known {
		say("burn rate", "%s", strings.Join(burns, "  "))
	}
	switch {
	case !r.Known:
	case r.Left <= 0:
		say("spent by", "%s", s.paint(bad, "now: there is nothing left"))
	case !r.Exhausted.IsZero():
		say("spent by", "%s, in %s, at the rate of the last 6 hours", s.paint(warn, r.Exhausted.Local().Format("2006-01-02 15:04")), about(r.Exhausted.Sub(r.Now)))
	default:
		say("spent by", "not in this period, at the rate of the last 6 hours")
	}
	for _, p := range r.Parts {
		say("journey", "%s (weight %g): %s of %s", tame(p.Journey), p.Weight, map[bool]string{true: objective.Percent(round(p.Measured)), false: "nothing is known"}[p.Known], objective.Percent(p.Target))
	}
	if ledger {
		lines = append(lines, s.ledger(r)...)
	} else if spent := s.spenders(r); spent != "" {
		say("spent", "%s", spent)
	}
	for _, n := range r.Notes {
		say("note", "%s", tame(n))
	}
	return strings.Join(lines, "\n")
}

// spenders names the three that spent most.
func (s *Screen) spenders(r client.ObjectiveReport) string {
	var out []string
	for _, d := range mostFirst(r.Ledger) {
		if d.Budget <= 0 || len(out) == 3 {
			break
		}
		out = append(out, debited(d)+" "+objective.Percent(round(d.Budget)))
	}
	return strings.Join(out, ", ")
}

func (s *Screen) ledger(r client.ObjectiveReport) []string {
	rows := [][]string{{"    FROM", "TO", "CAUSE", "BAD", "BUDGET", ""}}
	line := func(d client.Debit, bad string) {
		rows = append(rows, []string{"    " + d.From.Local().Format("01-02 15:04"), d.To.Local().Format("01-02 15:04"), debited(d), bad, objective.Percent(round(d.Budget)), objective.Minutes(budgetTime(d.Seconds))})
	}
	for _, d := range r.Ledger {
		line(d, number(d.Bad))
	}
	for _, d := range r.Ahead {
		line(d, "to come")
	}
	switch {
	case len(rows) == 1 && !r.Known:
		return []string{"  ledger    nothing is known"}
	case len(rows) == 1:
		return []string{"  ledger    nothing was spent"}
	}
	return append([]string{"  ledger"}, strings.Split(s.columns(rows), "\n")...)
}

func debited(d client.Debit) string {
	if d.Name == "" {
		return d.Kind
	}
	return tame(d.Kind + " " + d.Name)
}

func (s *Screen) measured(r client.ObjectiveReport) string {
	switch {
	case !r.Known:
		return s.paint(warn, "unknown")
	case r.Met:
		return s.paint(good, objective.Percent(round(r.Measured)))
	}
	return s.paint(bad, objective.Percent(round(r.Measured)))
}

func (s *Screen) leftOf(r client.ObjectiveReport) string {
	return s.paint(budgetColor(r), objective.Percent(round(r.Left)))
}

func budgetColor(r client.ObjectiveReport) string {
	switch {
	case !r.Known:
		return faint
	case r.Left <= 0:
		return bad
	case r.Left < 0.25:
		return warn
	}
	return good
}

// bar is what is left of a budget.
func (s *Screen) bar(r client.ObjectiveReport, width int) string {
	full := int(math.Round(min(max(r.Left, 0), 1) * float64(width)))
	if full == 0 && r.Left > 0 {
		full = 1
	}
	return s.paint(budgetColor(r), strings.Repeat("█", full)) + s.paint(faint, strings.Repeat("░", width-full))
}

func (s *Screen) burnOf(r client.ObjectiveReport, window time.Duration) string {
	for _, b := range r.Burns {
		if time.Duration(b.Window) == window {
			return s.rate(b)
		}
	}
	return "-"
}

func (s *Screen) rate(b client.Burn) string {
	text, color := fmt.Sprintf("%.3g", b.Rate), plain
	switch {
	case !b.Known:
		return s.paint(faint, "?")
	case b.Rate >= 10:
		text, color = fmt.Sprintf("%.0f", b.Rate), bad
	case b.Rate > 1:
		color = warn
	}
	return s.paint(color, text)
}

func budgetTime(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// round keeps the digits of a share that people read.
func round(share float64) float64 { return math.Round(share*1e7) / 1e7 }

// number writes how many events there were: 4,032,000.
func number(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// about writes how long something is in two units at most.
func about(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int(d/(24*time.Hour)), "day")
	case d >= time.Hour:
		return d.Round(time.Minute).String()[:len(d.Round(time.Minute).String())-2]
	}
	return d.Round(time.Second).String()
}
