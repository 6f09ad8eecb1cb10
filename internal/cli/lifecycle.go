package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

// act makes a command that starts an operation on an app and watches it.
func (c *cmd) act(use, short string, args cobra.PositionalArgs, begin func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error)) *cobra.Command {
	var verbose, detach bool
	command := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			op, err := begin(cc.Context(), cl.In(t.Org, t.Space).App(args[0]), args[1:])
			if err != nil {
				return err
			}
			if detach {
				return c.detached(op)
			}
			_, err = c.follow(cc.Context(), cl, op, verbose)
			return err
		},
	}
	command.Flags().BoolVarP(&verbose, "verbose", "v", false, "show all output as it comes")
	command.Flags().BoolVar(&detach, "detach", false, "do not wait for the end")
	return command
}

// detached says how to come back to work that nobody waits for.
func (c *cmd) detached(op client.Operation) error {
	return c.screen.done(op, "started; follow it with: naru operations %s", op.ID)
}

func (c *cmd) start() *cobra.Command {
	return c.act("start APP", "Start a stopped app", exactly("APP"), func(ctx context.Context, in *client.InApp, _ []string) (client.Operation, error) {
		return in.Start(ctx)
	})
}

func (c *cmd) stop() *cobra.Command {
	return c.act("stop APP", "Stop an app; it keeps releases, routes and settings", exactly("APP"), func(ctx context.Context, in *client.InApp, _ []string) (client.Operation, error) {
		return in.Stop(ctx)
	})
}

func (c *cmd) restart() *cobra.Command {
	return c.act("restart APP", "Replace what runs by a release of the app's present settings", exactly("APP"), func(ctx context.Context, in *client.InApp, _ []string) (client.Operation, error) {
		return in.Restart(ctx)
	})
}

func (c *cmd) scale() *cobra.Command {
	command := c.act("scale APP N | PROCESS=N...", "Change how many instances run", minimum(2, "APP and a number, or PROCESS=N"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
		processes := map[string]int{}
		for _, a := range args {
			process, number, ok := strings.Cut(a, "=")
			if !ok {
				process, number = "web", a
			}
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 {
				return client.Operation{}, fault.New(fault.Invalid, "instances", "%q is not a number of instances", a).WithTry("naru scale APP 3, or naru scale APP worker=2")
			}
			processes[process] = n
		}
		return in.Scale(ctx, processes)
	})
	command.Example = "  naru scale my-shop 3\n  naru scale my-shop web=3 worker=2"
	return command
}

func (c *cmd) rollback() *cobra.Command {
	command := c.act("rollback APP [RELEASE]", "Go back to an earlier release", between("APP", "[RELEASE]"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
		if len(args) == 0 {
			return in.Rollback(ctx, 0)
		}
		n, err := strconv.Atoi(strings.TrimPrefix(args[0], "v"))
		if err != nil || n < 1 {
			return client.Operation{}, fault.New(fault.Invalid, "release", "%q is not a release", args[0]).WithTry("naru releases APP lists them: v1, v2, ...")
		}
		return in.Rollback(ctx, n)
	})
	command.Long = "Makes a release equal to an earlier one and replaces what runs by it. Without RELEASE: the one that ran before."
	return command
}

func (c *cmd) delete() *cobra.Command {
	var yes bool
	command := c.act("delete APP", "Remove an app and everything of it", exactly("APP"), func(ctx context.Context, in *client.InApp, _ []string) (client.Operation, error) {
		return in.Delete(ctx)
	})
	remove := command.RunE
	command.RunE = func(cc *cobra.Command, args []string) error {
		if err := c.sure(yes, "remove "+args[0]+" with its releases, routes, settings and logs?", "naru delete "+args[0]); err != nil {
			return err
		}
		return remove(cc, args)
	}
	command.SuggestFor = []string{"rm", "remove", "destroy"}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

func (c *cmd) releases() *cobra.Command {
	limit := 0
	command := &cobra.Command{
		Use: "releases APP", Short: "List an app's releases, newest first", Args: exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			page, err := in.Releases(cc.Context(), client.Page{Limit: limit})
			if err != nil {
				return err
			}
			return list(c.screen, page.Items, "no release yet; push the app: naru push "+args[0],
				[]string{"RELEASE", "CUT", "BY", "REASON", "CHANGED", "IMAGE"}, func(r client.Release) []string {
					name := r.Name
					if r.Current {
						name = c.screen.paint(good, name+" *")
					}
					return []string{name, age(r.CreatedAt) + " ago", r.By, r.Reason, strings.Join(r.Changes, ", "), short(r.Image)}
				})
		},
	}
	command.Flags().IntVarP(&limit, "limit", "n", 50, "how many at most")
	return command
}
