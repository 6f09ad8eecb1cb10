package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) rollouts() *cobra.Command {
	limit := 0
	command := &cobra.Command{
		Use: "rollouts APP", Short: "List an app's rollouts with their reasons, newest first", Args: exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			page, err := in.Rollouts(cc.Context(), client.Page{Limit: limit})
			if err != nil {
				return err
			}
			return list(c.screen, page.Items, "no rollout yet; push the app: naru push "+args[0],
				[]string{"BEGAN", "RELEASE", "FROM", "STRATEGY", "STATE", "TOOK", "REASON"}, func(r client.Rollout) []string {
					took := "-"
					if !r.EndedAt.IsZero() {
						took = r.EndedAt.Sub(r.CreatedAt).Round(100 * time.Millisecond).String()
					}
					return []string{age(r.CreatedAt) + " ago", numbered(r.Release), numbered(r.From), r.Strategy, c.screen.rolloutState(r.State), took, because(r)}
				})
		},
	}
	command.Flags().IntVarP(&limit, "limit", "n", 20, "how many at most")
	return command
}

func (c *cmd) rollout() *cobra.Command {
	watch := false
	command := &cobra.Command{
		Use: "rollout APP", Short: "Show how far an app's rollout is, and steer it", Args: exactly("APP"),
		Example: "  naru rollout my-shop --watch\n  naru rollout resume my-shop",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if !watch {
				r, err := in.Rollout(cc.Context(), "current")
				if err != nil {
					return err
				}
				return c.showRollout(r, args[0])
			}
			return c.watchRollout(cc.Context(), in, args[0])
		},
	}
	command.Flags().BoolVarP(&watch, "watch", "w", false, "stay and show every change until it has ended")
	for _, one := range []struct{ action, short, said string }{
		{"pause", "Stay at the present step", "paused; go on with: naru rollout resume %s"},
		{"resume", "Go on from a step", "goes on"},
		{"promote", "Skip the steps, or the watch, that are left", "promoted"},
		{"abort", "Go back; on the way back: stop there", "goes back; see: naru rollout %s"},
	} {
		command.AddCommand(&cobra.Command{
			Use: one.action + " APP", Short: one.short, Args: exactly("APP"),
			RunE: func(cc *cobra.Command, args []string) error {
				in, err := c.inApp(args[0])
				if err != nil {
					return err
				}
				r, err := in.Steer(cc.Context(), "current", one.action)
				if err != nil {
					return err
				}
				said := one.said
				if r.State == "failed" { // it went back already
					said = "stopped on its way back, and the rest is yours; see: naru groups %s"
				}
				if strings.Contains(said, "%s") {
					said = fmt.Sprintf(said, args[0])
				}
				return c.screen.done(r, "rollout of %s %s", numbered(r.Release), said)
			},
		})
	}
	return command
}

// showRollout shows a rollout and its groups.
func (c *cmd) showRollout(r client.Rollout, app string) error {
	if c.screen.json {
		return c.screen.data(r)
	}
	c.screen.say("%s", c.rolloutLine(r))
	if r.Requests != nil {
		c.screen.say("requests  %d answered by the new release so far", *r.Requests)
	}
	switch r.State {
	case "paused":
		c.screen.say("try       naru rollout resume %s, or promote, or abort", app)
	case "watching":
		c.screen.say("try       naru rollback %s, or naru rollout promote %s to let the old instances go", app, app)
	}
	if v := r.Verdict; v != nil {
		c.screen.say("verdict   %s", c.screen.verdict(*v))
	}
	if r.Trip != nil {
		c.screen.say("guard     %s", r.Trip.Text)
	}
	if r.Reason != "" && (r.Trip == nil || r.Trip.Text != r.Reason) && (r.Verdict == nil || !strings.HasSuffix(r.Verdict.Text, r.Reason)) {
		c.screen.say("reason    %s", r.Reason)
	}
	if len(r.Groups) == 0 {
		return nil
	}
	c.screen.say("")
	return c.groupTable(r.Groups)
}

// rolloutLine is a rollout in a line.
func (c *cmd) rolloutLine(r client.Rollout) string {
	text := fmt.Sprintf("%s  %s %s", numbered(r.Release), r.Strategy, c.screen.rolloutState(r.State))
	if r.From > 0 {
		text = fmt.Sprintf("%s in place of %s  %s %s", numbered(r.Release), numbered(r.From), r.Strategy, c.screen.rolloutState(r.State))
	}
	if n := len(r.Steps); n > 0 && (r.State == "shifting" || r.State == "paused") {
		text += fmt.Sprintf(", step %d of %d: %d %% of traffic", r.Step+1, n+1, r.Weight)
	}
	if r.Next != nil {
		text += ", goes on in " + max(0, time.Until(*r.Next)).Round(time.Second).String()
	}
	return text
}

// watchRollout shows every change of the newest rollout until it has ended. One
// that went back is an error.
func (c *cmd) watchRollout(ctx context.Context, in *client.InApp, app string) error {
	r, err := in.Rollout(ctx, "current")
	last, so := "", soFar{}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if err != nil {
			return err
		}
		if text := c.watchLine(r, &so); text != last {
			last = text
			if err := c.say(r, text); err != nil {
				return err
			}
		}
		switch r.State {
		case "done":
			return nil
		case "rolledback", "superseded", "failed":
			return fault.New(fault.Failed, "", "%s is %s: %s", numbered(r.Release), r.State, r.Reason).WithTry("naru rollouts %s", app)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			r, err = in.Rollout(ctx, r.ID)
		}
	}
}

func (c *cmd) say(r client.Rollout, text string) error {
	if c.screen.json {
		return c.screen.data(r)
	}
	c.screen.say("%s", text)
	return nil
}

// soFar is what was last shown of a comparison.
type soFar struct {
	step, blocks int
	text         string
}

// watchLine is what of a rollout is worth a new line.
// While it is judged, what is known so far is worth one as often as the blocks that
// were compared have doubled.
func (c *cmd) watchLine(r client.Rollout, so *soFar) string {
	r.Next = nil
	parts := []string{c.rolloutLine(r)}
	for _, g := range r.Groups {
		parts = append(parts, fmt.Sprintf("%s %d/%d healthy %d %%", g.Name, g.Healthy, g.Want, g.Weight))
	}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	if v := r.Verdict; v != nil {
		if v.Act != "" || v.Step != so.step || v.Blocks >= 2*so.blocks {
			*so = soFar{v.Step, max(1, v.Blocks), fmt.Sprintf("step %d %s", v.Step+1, v.Text)}
		}
		parts = append(parts, so.text)
	}
	return strings.Join(parts, "; ")
}

func (s *Screen) rolloutState(state string) string {
	switch state {
	case "done":
		return s.paint(good, state)
	case "rolledback", "failed", "aborting":
		return s.paint(bad, state)
	}
	return state
}

func (c *cmd) groups() *cobra.Command {
	return &cobra.Command{
		Use: "groups APP", Short: "List an app's server groups with their traffic, youngest first", Args: exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			groups, err := in.Groups(cc.Context())
			if err != nil {
				return err
			}
			return c.groupTable(groups)
		},
	}
}

func (c *cmd) groupTable(groups []client.ServerGroup) error {
	return list(c.screen, groups, "no server group: nothing runs",
		[]string{"GROUP", "RELEASE", "PROCESS", "WEIGHT", "INSTANCES", "HEALTH", "LAST MINUTE", "AGE", ""}, func(g client.ServerGroup) []string {
			note := g.Rollout
			if g.Disabled && !g.Retired {
				note += " disabled"
			}
			if g.Breaker != "" {
				note += " breaker " + g.Breaker
			}
			if g.Lingering > 0 {
				note += fmt.Sprintf(" %d with streams only", g.Lingering)
			}
			note = strings.TrimSpace(note)
			weight := strconv.Itoa(g.Weight) + " %"
			if g.Process != "web" {
				weight = "-"
			}
			return []string{g.Name, numbered(g.Release), g.Process, weight, fmt.Sprintf("%d/%d", g.Healthy, g.Want), c.screen.health(g.Health), lastMinute(g.Traffic), age(g.CreatedAt), note}
		})
}

// lastMinute says what a group had to do: "12.5/s, 0.4 % failed".
func lastMinute(t *client.Traffic) string {
	if t == nil {
		return "-"
	}
	text := digits(t.RequestsPerSecond) + "/s"
	if t.ErrorShare > 0 {
		text += ", " + digits(100*t.ErrorShare) + " % failed"
	}
	return text
}

// digits has two at least: 1234, 12, 2.5, 0.017.
func digits(n float64) string {
	if n >= 10 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2g", n)
}
