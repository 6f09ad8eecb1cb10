package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/objective"
)

// announced are the commands on maintenance that people announce.
func (c *cmd) announced() *cobra.Command {
	past := false
	command := &cobra.Command{
		Use:   "maintenance APP",
		Short: "List, announce or cancel maintenance, which is allowed out of the error budgets",
		Long: `Maintenance that is announced is reserved in the error budget of every objective of the app, and one that needs more than is free
is refused. It does not stop the clock: what goes wrong in it is spent, and the ledger says that it was expected. It changes nothing
about the app; a page for its visitors is set with the route: naru route set HOST --maintenance.`,
		Example: "  naru maintenance my-shop\n  naru maintenance announce my-shop --from 22:00 --for 30m --reason 'move to the new database'",
		Args:    exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			l, err := in.Maintenance(cc.Context(), past)
			if err != nil {
				return err
			}
			return list(c.screen, l.Items, "no maintenance is announced", []string{"ID", "FROM", "TO", "STATE", "BY", "REASON"}, func(m client.PlannedMaintenance) []string {
				reason := m.Reason
				if m.Hit > 0 {
					reason += fmt.Sprintf(" (hits %s of the users)", objective.Percent(m.Hit))
				}
				return []string{m.ID, moments(m.From), moments(m.To), m.State, m.By, reason}
			})
		},
	}
	command.Flags().BoolVar(&past, "past", false, "also what is over")
	command.AddCommand(c.announce(), &cobra.Command{
		Use: "cancel APP ID", Short: "Call maintenance off; what is going on ends now", Args: exactly("APP", "ID"), ValidArgsFunction: c.completeMaintenance,
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			m, err := in.CancelMaintenance(cc.Context(), args[1])
			if err != nil {
				return err
			}
			return c.screen.done(m, "cancelled: %s, from %s to %s", tame(m.Reason), moments(m.From), moments(m.To))
		},
	})
	return command
}

func (c *cmd) announce() *cobra.Command {
	var from, to, hit string
	var lasts time.Duration
	var in client.NewMaintenance
	command := &cobra.Command{
		Use: "announce APP", Short: "Announce maintenance of an app", Args: exactly("APP"),
		Long:    "A time is 22:00 (the next time the clock shows it), 2026-12-24T22:00, both of this machine's zone, RFC 3339, or how long until then: 2h.",
		Example: "  naru maintenance announce my-shop --from 22:00 --to 22:30 --reason 'new database'\n  naru maintenance announce my-shop --for 10m --hit 20% --reason 'moving a shard'",
		RunE: func(cc *cobra.Command, args []string) error {
			now := time.Now()
			var err error
			if from != "" {
				if in.From, err = coming("--from", from, now); err != nil {
					return err
				}
			}
			begin := in.From
			if begin.IsZero() {
				begin = now
			}
			switch {
			case (to == "") == (lasts == 0):
				return misused(cc, "say when it ends: --to TIME, or --for DURATION")
			case to == "":
				in.To = begin.Add(lasts)
			default:
				if in.To, err = coming("--to", to, begin); err != nil {
					return err
				}
			}
			if hit != "" {
				if in.Hit, err = app.ParseShare(hit); err != nil {
					return fault.Wrap(fault.Invalid, "--hit", err)
				}
			}
			a, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			out, err := a.Announce(cc.Context(), in)
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(out)
			}
			c.screen.say("announced: %s, from %s to %s", tame(out.Reason), moments(out.From), moments(out.To))
			for _, o := range out.Objectives {
				c.screen.say("  %s: %s of the budget is reserved, %s is left", tame(o.Objective), objective.Percent(round(o.Reserved)), objective.Percent(round(o.Left)))
			}
			c.screen.say("call it off with: naru maintenance cancel %s %s", args[0], out.ID)
			return nil
		},
	}
	f := command.Flags()
	f.StringVar(&from, "from", "", "when it begins (default: now)")
	f.StringVar(&to, "to", "", "when it ends")
	f.DurationVar(&lasts, "for", 0, "how long it takes, in place of --to")
	f.StringVar(&in.Reason, "reason", "", "what is done, for whoever reads the ledger")
	f.StringVar(&hit, "hit", "", "share of the users that it hits: 20% (default: all)")
	return command
}

func moments(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// coming reads a time that is to come, as people write it.
func coming(flag, text string, after time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "+")); err == nil && d >= 0 {
		return after.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", text); err == nil {
		y, m, d := after.Local().Date()
		at := time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.Local)
		if !at.After(after) {
			at = time.Date(y, m, d+1, t.Hour(), t.Minute(), 0, 0, time.Local)
		}
		return at, nil
	}
	return time.Time{}, fault.New(fault.Invalid, flag, "%q is no time", text).WithTry("22:00, 2026-12-24T22:00, or 2h for in two hours")
}

// completeMaintenance completes an app, and then what may be cancelled of it.
func (c *cmd) completeMaintenance(cc *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return c.completeApp(cc, args, word)
	}
	return c.completed(cc, func(in *client.InApp) (names []string) {
		l, err := in.Maintenance(cc.Context(), false)
		for _, m := range l.Items {
			if err == nil && m.CancelledAt.IsZero() {
				names = append(names, m.ID+"\t"+m.Reason)
			}
		}
		return names
	}, args[0])
}
