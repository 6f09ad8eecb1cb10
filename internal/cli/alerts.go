package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

// alertPoll is how often watching looks for what changed.
const alertPoll = 2 * time.Second

func (c *cmd) alerts() *cobra.Command {
	var all, watch bool
	command := &cobra.Command{
		Use:   "alerts [APP]",
		Short: "Show which error budgets go too fast, since when, and what that means",
		Long: `Each objective has up to four alerts: two that wake somebody (page) and two that can wait for the morning (ticket). Each
looks at a long time, which says that it matters, and at a short one, which says that it is still so. A burn of 1 spends the
error budget exactly at the end of its period.`,
		Example: "  naru alerts\n  naru alerts my-shop --watch",
		Args:    between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			app := ""
			if len(args) > 0 {
				app, all = args[0], true
			}
			if watch {
				return c.watchAlerts(cc.Context(), s, app)
			}
			a, err := s.Alerts(cc.Context(), app)
			if err != nil {
				return err
			}
			return c.showAlerts(a, all)
		},
	}
	f := command.Flags()
	f.BoolVarP(&all, "all", "a", false, "also those that are quiet")
	f.BoolVarP(&watch, "watch", "w", false, "stay and show every change")
	return command
}

func (c *cmd) showAlerts(a client.Alerts, all bool) error {
	if c.screen.json {
		return c.screen.data(a)
	}
	shown := slices.DeleteFunc(slices.Clone(a.Items), func(x client.Alert) bool { return !all && !loud(x) })
	quiet := len(a.Items) - len(shown)
	switch {
	case len(a.Items) == 0 && a.Looked.IsZero():
		c.screen.say("nothing was looked at yet: naru has just started")
		return nil
	case len(a.Items) == 0:
		c.screen.say("no app here has objectives, so there is nothing to alarm about; declare some: naru slo --help")
		return nil
	case len(shown) == 0:
		c.screen.say("%s; %s, looked at %s ago", c.screen.paint(good, "all is quiet"), count(quiet, "alert"), age(a.Looked))
		return nil
	}
	rows := make([][]string, len(shown))
	for i, x := range shown {
		rows[i] = []string{
			c.screen.alertState(x), x.Severity, x.App, x.Objective, x.Rule, since(x.Since), burnOf(x), leftOf(x),
		}
	}
	if err := c.screen.table(a, []string{"STATE", "SEVERITY", "APP", "OBJECTIVE", "RULE", "SINCE", "BURN", "LEFT"}, rows); err != nil {
		return err
	}
	for _, x := range shown {
		if loud(x) {
			c.tellAlert(x)
		}
	}
	if quiet > 0 {
		c.screen.say("\n%s quiet: naru alerts --all", count(quiet, "alert"))
	}
	return nil
}

// tellAlert says in words what an alert is about.
func (c *cmd) tellAlert(x client.Alert) {
	c.screen.say("\n%s %s", c.screen.paint(strong, x.App+" "+x.Objective+" "+x.Rule+":"), x.Means)
	for _, line := range []struct{ name, text string }{{"", x.Text}, {"not told: ", x.NotFired}, {"not looked at: ", x.Trouble}, {"just before: ", x.Change}} {
		if line.text != "" {
			c.screen.say("  %s", tame(line.name+line.text))
		}
	}
	if x.State == "firing" {
		c.screen.say("  %s", c.screen.paint(faint, "naru slo "+x.App+"; naru why "+x.App))
	}
}

// loud reports an alert that somebody may want to see.
func loud(x client.Alert) bool {
	return x.State != "inactive" || x.NotFired != "" || x.Trouble != ""
}

func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(t) + " ago"
}

// burnOf is how fast a budget goes, in both windows.
func burnOf(x client.Alert) string {
	rate := func(v *float64, d client.Duration) string {
		if v == nil {
			return "- in " + window(d)
		}
		return fmt.Sprintf("%.3g in %s", *v, window(d))
	}
	return fmt.Sprintf("%s, %s (limit %.4g)", rate(x.BurnLong, x.Long), rate(x.BurnShort, x.Short), x.Limit)
}

// window is a duration without zeros at its end: "1h", "5m", "4m17s".
func window(d client.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func leftOf(x client.Alert) string {
	if x.Left == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", *x.Left*100)
}

// alertState paints what an alert is in.
func (s *Screen) alertState(x client.Alert) string {
	switch {
	case x.Trouble != "":
		return s.paint(warn, x.State+"?")
	case x.State == "firing" && x.Severity == "page":
		return s.paint(bad, x.State)
	case x.State == "firing", x.State == "pending":
		return s.paint(warn, x.State)
	case x.State == "resolved":
		return s.paint(good, x.State)
	}
	return s.paint(faint, x.State)
}

// watchAlerts shows every change of a state until it is interrupted.
func (c *cmd) watchAlerts(ctx context.Context, s *client.InSpace, app string) error {
	last := map[string]string{}
	tick := time.NewTicker(alertPoll)
	defer tick.Stop()
	for first := true; ; first = false {
		a, err := s.Alerts(ctx, app)
		if err != nil {
			return err
		}
		for _, x := range a.Items {
			key := x.App + "\x00" + x.Objective + "\x00" + x.Rule
			state := x.State + x.Trouble
			was, known := last[key]
			last[key] = state
			if was == state || !known && !loud(x) {
				continue
			}
			if err := c.alertChange(x); err != nil {
				return err
			}
		}
		if first && !c.screen.json {
			c.screen.say("%s", c.screen.paint(faint, fmt.Sprintf("watching %s; Ctrl-C ends it", count(len(a.Items), "alert"))))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (c *cmd) alertChange(x client.Alert) error {
	if c.screen.json {
		return c.screen.line(x)
	}
	text := x.Text
	if x.Trouble != "" {
		text = x.Trouble
	}
	if text != "" {
		text = ": " + tame(text)
	}
	c.screen.say("%s  %s %s %s %s%s", time.Now().Format(time.TimeOnly), c.screen.alertState(x), x.App, x.Objective, x.Rule, text)
	return nil
}
