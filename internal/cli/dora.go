package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) dora() *cobra.Command {
	since, whole := "", false
	command := &cobra.Command{
		Use: "dora [APP]", Short: "Show how often and how well an app, a space or an organisation is delivered", Args: between("[APP]"),
		Long: `Deployment frequency, lead time from commit to live, the share of deployments that failed, the time to restore and the
share of unplanned fixes, each with what it is of, in the terms of the DORA reports. Without an app they are those of
the space; with --all, or with -o alone, those of the organisation.`,
		Example: "  naru dora my-shop\n  naru dora --since 28d\n  naru dora --all",
		RunE: func(cc *cobra.Command, args []string) error {
			d, err := c.delivered(cc, args, since, whole)
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(d)
			}
			return c.showDora(d)
		},
	}
	command.Flags().StringVar(&since, "since", "", "how far back to look: 28d, 90d (default 90d)")
	command.Flags().BoolVar(&whole, "all", false, "of the whole organisation")
	return command
}

func (c *cmd) delivered(cc *cobra.Command, args []string, since string, whole bool) (client.Delivered, error) {
	if len(args) > 0 {
		in, err := c.inApp(args[0])
		if err != nil {
			return client.Delivered{}, err
		}
		return in.Delivered(cc.Context(), since)
	}
	cl, t, err := c.connect()
	if err != nil {
		return client.Delivered{}, err
	}
	if whole || c.flags.org != "" && c.flags.space == "" {
		return cl.OrgDelivered(cc.Context(), t.Org, since)
	}
	return cl.In(t.Org, t.Space).Delivered(cc.Context(), since)
}

func (c *cmd) showDora(d client.Delivered) error {
	c.screen.say("%s, %s to %s, %s", c.screen.paint(strong, d.Of), d.From.Local().Format(time.DateOnly), d.To.Local().Format(time.DateOnly), count(d.Apps, "app"))
	f := d.Frequency
	often := fmt.Sprintf("%s days a week", digits(f.DaysPerWeek))
	if f.DaysPerWeek < 1 {
		often = digits(f.PerMonth) + " a month"
	}
	rows := [][]string{
		{"deployments", often, c.screen.band(f.Band), fmt.Sprintf("%d in %s  %s", f.N, count(f.Weeks, "week"), weeks(d.Weekly))},
		{"lead time", span(d.LeadTime), c.screen.band(d.LeadTime.Band), of(d.LeadTime, "commit") + leftOut(d.LeftOut)},
		{"failed", rate(d.Failures), c.screen.band(d.Failures.Band), fmt.Sprintf("%d of %s", d.Failures.N, count(d.Failures.Of, "deployment"))},
		{"restored in", span(d.Restore), c.screen.band(d.Restore.Band), of(d.Restore, "incident") + goOn(d.Open)},
		{"recovered in", span(d.Recovery), c.screen.band(d.Recovery.Band), of(d.Recovery, "failed deployment")},
		{"rework", rate(d.Rework), "", fmt.Sprintf("%d of %s", d.Rework.N, count(d.Rework.Of, "deployment"))},
	}
	if i := d.Incidents; i.N > 0 {
		rows = append(rows, []string{"incidents", fmt.Sprint(i.N), "", fmt.Sprintf("%s in all, %.4g %% of the time without; one every %s", coarse(i.Downtime), 100*i.Availability, coarse(i.MTBF))})
	}
	return c.screen.table(d, []string{"", "MEDIAN", "", "OF"}, rows)
}

// levels are the bands from the best.
var levels = [][]string{
	{"daily", "less than a day", "0-15%"}, {"weekly", "less than a week", "16-45%"}, {"monthly", "less than a month", "46% or more"},
	{"yearly", "less than six months", "six months or more"},
}

// band draws a band as a bar, longer where it is better.
func (s *Screen) band(band string) string {
	for i, names := range levels {
		if slices.Contains(names, band) {
			return s.paint([]string{good, good, warn, bad}[i], strings.Repeat("█", len(levels)-i)+strings.Repeat("░", i)) + " " + band
		}
	}
	return ""
}

// weeks draws the deployments of each week.
func weeks(n []int) string {
	values, most := make([]float64, len(n)), 0.0
	for i, v := range n {
		values[i] = float64(v)
		most = max(most, values[i])
	}
	return sparkline(values, most)
}

func span(s client.DoraSpan) string {
	if s.N == 0 {
		return "-"
	}
	return coarse(s.Median)
}

func of(s client.DoraSpan, thing string) string {
	if s.N == 0 {
		return "no " + thing
	}
	return fmt.Sprintf("%s, 90 %% in %s", count(s.N, thing), coarse(s.P90))
}

func rate(r client.DoraRate) string {
	if r.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g %%", 100*r.Share)
}

func leftOut(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s younger than its deployment", count(n, "commit"))
}

func goOn(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d go on", n)
}

// coarse prints a time in the two units that matter.
func coarse(d client.Duration) string {
	t := time.Duration(d)
	const day = 24 * time.Hour
	switch {
	case t >= 2*day:
		return fmt.Sprintf("%.1f d", t.Hours()/24)
	case t >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", t.Hours())
	case t >= 2*time.Minute:
		return fmt.Sprintf("%.1f min", t.Minutes())
	}
	return fmt.Sprintf("%.1f s", t.Seconds())
}
