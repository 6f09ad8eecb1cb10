package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) policy() *cobra.Command {
	command := &cobra.Command{
		Use: "policy [SPACE]", Short: "Show at which remaining error budget what may be changed, and where apps stand", Args: between("[SPACE]"),
		Long: `While there is error budget, change; when it is spent, make it reliable first. Below "warn" pushes say how little is
left, below "canary" new releases go out as canaries only, and at "freeze" new features are refused. Rollbacks and
what is pushed with --reliability-fix pass always; an override lets an app's changes pass for some time.`,
		Example: "  naru policy\n  naru policy set --warn 50 --canary 10 --freeze 0\n  naru policy override my-shop --reason \"the law begins today\" --for 2h",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.spaceNamed(args)
			if err != nil {
				return err
			}
			p, err := in.Policy(cc.Context())
			if err != nil {
				return err
			}
			return c.showPolicy(p)
		},
	}
	command.AddCommand(c.policySet(), c.policyClear(), c.policyOverride())
	return command
}

// spaceNamed is the space of an argument, else the present one.
func (c *cmd) spaceNamed(args []string) (*client.InSpace, error) {
	if len(args) > 0 {
		c.flags.space = args[0]
	}
	return c.space()
}

func (c *cmd) showPolicy(p client.SpacePolicy) error {
	if c.screen.json {
		return c.screen.data(p)
	}
	whose := ""
	if p.Standard {
		whose = " (the standard; naru policy set changes it)"
	}
	c.screen.say("%s%s", policyText(p.BudgetPolicy), whose)
	if len(p.Apps) == 0 {
		c.screen.say("no app here has an objective")
		return nil
	}
	c.screen.say("")
	var rows [][]string
	for _, a := range p.Apps {
		if a.Problem != "" {
			rows = append(rows, []string{a.App, "-", "-", a.Problem})
		}
		for _, o := range a.Objectives {
			rows = append(rows, []string{a.App, o.Name, c.screen.tier(o.Tier), o.Text})
		}
	}
	if err := c.screen.table(p, []string{"APP", "OBJECTIVE", "TIER", "STANDING"}, rows); err != nil {
		return err
	}
	for _, a := range p.Apps {
		if o := a.Override; o != nil {
			c.screen.say("%s may be changed all the same until %s: %s (%s)", a.App, o.Until.Local().Format(time.DateTime), tame(o.Reason), o.By)
		}
	}
	return nil
}

func (s *Screen) tier(tier string) string {
	switch tier {
	case "freeze":
		return s.paint(bad, tier)
	case "canary", "warn":
		return s.paint(warn, tier)
	}
	return s.paint(good, tier)
}

// policyText is a policy in a sentence.
func policyText(p client.BudgetPolicy) string {
	var parts []string
	for _, t := range []struct {
		at   float64
		text string
	}{{p.Warn, "warn below "}, {p.Canary, "canaries only below "}, {p.Freeze, "freeze at "}} {
		if t.at >= 0 {
			parts = append(parts, t.text+points(t.at))
		}
	}
	if len(parts) == 0 {
		return "everything may be changed, however little of a budget is left"
	}
	return strings.Join(parts, ", ") + " of the budget; each is left when " + points(p.Margin) + " more is left again"
}

func points(share float64) string { return strconv.FormatFloat(100*share, 'g', 4, 64) + " %" }

func (c *cmd) policySet() *cobra.Command {
	var given [4]string
	command := &cobra.Command{
		Use: "set", Short: "Give the space an error-budget policy of its own", Args: exactly(),
		Example: "  naru policy set --warn 50 --canary 10 --freeze 0\n  naru policy set --canary off",
		RunE: func(cc *cobra.Command, _ []string) error {
			in, err := c.space()
			if err != nil {
				return err
			}
			have, err := in.Policy(cc.Context())
			if err != nil {
				return err
			}
			p := have.BudgetPolicy
			for i, one := range []struct {
				name string
				to   *float64
			}{{"warn", &p.Warn}, {"canary", &p.Canary}, {"freeze", &p.Freeze}, {"margin", &p.Margin}} {
				if cc.Flags().Changed(one.name) {
					if *one.to, err = pointsOf(one.name, given[i]); err != nil {
						return err
					}
				}
			}
			if p, err = in.SetPolicy(cc.Context(), p); err != nil {
				return err
			}
			return c.screen.done(p, "%s", policyText(p))
		},
	}
	fl := command.Flags()
	fl.StringVar(&given[0], "warn", "", "percent of the budget left below which pushes are warned, or off")
	fl.StringVar(&given[1], "canary", "", "below which new releases go out as canaries only, or off")
	fl.StringVar(&given[2], "freeze", "", "at which new features are refused, or off")
	fl.StringVar(&given[3], "margin", "", "percent that must be left above these before a tier is left")
	return command
}

// pointsOf reads percent as a share; "off" is -1.
func pointsOf(flag, text string) (float64, error) {
	if text == "off" && flag != "margin" {
		return -1, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return 0, fault.New(fault.Invalid, "--"+flag, "%q is not a percentage from 0 to 100", text).WithTry("naru policy set --warn 50 --canary 10 --freeze 0, or off")
	}
	return v / 100, nil
}

func (c *cmd) policyClear() *cobra.Command {
	return &cobra.Command{
		Use: "clear", Short: "Give the space the standard policy back", Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			in, err := c.space()
			if err != nil {
				return err
			}
			if err := in.ClearPolicy(cc.Context()); err != nil {
				return err
			}
			return c.screen.done(nil, "the standard policy holds: naru policy")
		},
	}
}

func (c *cmd) policyOverride() *cobra.Command {
	reason, end := "", false
	length := time.Duration(0)
	command := &cobra.Command{
		Use: "override APP", Short: "Let an app's changes pass though its budget forbids it; recorded, by managers", Args: exactly("APP"),
		Example: "  naru policy override my-shop --reason \"the law begins today\" --for 2h\n  naru policy override my-shop --end",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if end {
				if err := in.EndOverride(cc.Context()); err != nil {
					return err
				}
				return c.screen.done(nil, "the override of %s has ended", args[0])
			}
			if reason == "" {
				return fault.New(fault.Invalid, "--reason", "an override needs a reason: it is recorded").WithTry("naru policy override %s --reason \"WHY\"", args[0])
			}
			o, err := in.OverrideBudget(cc.Context(), client.NewOverride{Reason: reason, For: client.Duration(length)})
			if err != nil {
				return err
			}
			return c.screen.done(o, "%s may be changed until %s; it is recorded, with your name", args[0], o.Until.Local().Format(time.DateTime))
		},
	}
	fl := command.Flags()
	fl.StringVar(&reason, "reason", "", "why; 10 characters or more")
	fl.DurationVar(&length, "for", 0, "how long it holds (default 2h, at most 168h)")
	fl.BoolVar(&end, "end", false, "end the override that holds")
	return command
}

// mayPush asks before anything is sent. A refusal ends the push.
func (c *cmd) mayPush(ctx context.Context, in *client.InSpace, p client.Push) error {
	permit, err := in.MayPush(ctx, client.PushCheck{App: p.App, Strategy: p.Strategy, NoStart: p.NoStart, ReliabilityFix: p.ReliabilityFix})
	if err != nil {
		return err
	}
	if permit.Tier != "free" {
		for _, warning := range permit.Warnings {
			c.screen.warn("error budget: " + tame(warning))
		}
	}
	return nil
}
