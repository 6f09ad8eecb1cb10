package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) operations() *cobra.Command {
	var q client.OperationQuery
	var app string
	var all, verbose bool
	command := &cobra.Command{
		Use:   "operations [ID]",
		Short: "List long work, newest first, or follow one to its end",
		Long: `Lists the pushes, scalings, bakes and other long work of the space. With an ID it shows how that one went, and follows
it while it goes on: the way back to a push that was left with Ctrl-C.`,
		Example: `  naru operations
  naru operations --app my-shop --state running
  naru operations 0197…
  naru operations cancel 0197…`,
		Args: between("[ID]"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				op, err := cl.Operation(cc.Context(), args[0])
				if err != nil {
					return err
				}
				_, err = c.follow(cc.Context(), cl, op, verbose)
				return err
			}
			in := cl.In(t.Org, t.Space)
			if app != "" {
				a, err := in.App(app).Get(cc.Context())
				if err != nil {
					return err
				}
				q.App = a.ID
			}
			fetch := in.Operations
			if all {
				fetch = cl.Operations
			}
			page, err := fetch(cc.Context(), q)
			if err != nil {
				return err
			}
			return list(c.screen, page.Items, "no long work yet", []string{"ID", "KIND", "STATE", "BEGAN", "TOOK", "BY", "WHY"}, c.operationRow)
		},
	}
	f := command.Flags()
	f.StringVar(&app, "app", "", "only of this app")
	f.StringVar(&q.State, "state", "", "only queued, running, done, failed or canceled")
	f.BoolVar(&all, "all", false, "of the whole platform")
	f.IntVarP(&q.Limit, "limit", "n", 20, "how many at most")
	f.BoolVarP(&verbose, "verbose", "v", false, "show all output of the one that is followed")
	command.AddCommand(c.cancelOperation())
	return command
}

func (c *cmd) operationRow(o client.Operation) []string {
	why, ran := "", "-"
	if o.Error != nil {
		why = o.Error.Message
	}
	if !o.StartedAt.IsZero() && !o.EndedAt.IsZero() {
		ran = dash(took(client.Duration(o.EndedAt.Sub(o.StartedAt))))
	}
	state := c.screen.health(o.State)
	if o.Canceling && !o.Ended() {
		state += " (canceling)"
	}
	return []string{o.ID, o.Kind, state, age(o.CreatedAt) + " ago", ran, o.Actor, why}
}

func (c *cmd) cancelOperation() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID",
		Short: "Ask long work to stop and to put back what it changed",
		Args:  exactly("ID"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			op, err := cl.CancelOperation(cc.Context(), args[0])
			if err != nil {
				return err
			}
			if op.Ended() {
				return c.screen.done(op, "%s is %s", op.Kind, op.State)
			}
			return c.screen.done(op, "asked; see how it ends: naru operations %s", op.ID)
		},
	}
}

func (c *cmd) events() *cobra.Command {
	var q client.EventQuery
	var app string
	var all bool
	command := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, newest first: who, what, when",
		Example: `  naru events --app my-shop
  naru events --kind app. -n 100`,
		Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			in := cl.In(t.Org, t.Space)
			if app != "" {
				a, err := in.App(app).Get(cc.Context())
				if err != nil {
					return err
				}
				q.App = a.ID
			}
			fetch := in.Events
			if all {
				fetch = cl.Events
			}
			page, err := fetch(cc.Context(), q)
			if err != nil {
				return err
			}
			return list(c.screen, page.Items, "nothing happened yet", []string{"WHEN", "WHO", "WHAT", "SUBJECT"}, func(e client.Event) []string {
				return []string{e.Time.Local().Format("2006-01-02 15:04:05"), e.Actor, e.Kind, fmt.Sprint(e.Subject)}
			})
		},
	}
	f := command.Flags()
	f.StringVar(&app, "app", "", "only of this app")
	f.StringVar(&q.Kind, "kind", "", "only of this kind: app.created, or all with app.")
	f.BoolVar(&all, "all", false, "of the whole platform")
	f.IntVarP(&q.Limit, "limit", "n", 20, "how many at most")
	return command
}
