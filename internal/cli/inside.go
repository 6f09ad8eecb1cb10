package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) run() *cobra.Command {
	var in client.NewTask
	var memory, disk string
	var detach, plain bool
	command := &cobra.Command{
		Use:   "run APP -- COMMAND...",
		Short: "Run a command once, in an instance of its own",
		Long: `Runs a command in a new instance of the app's current release, with its environment and without its routes. Input and
output are connected, and the command's exit code is naru's. With --detach it runs alone: its output goes to the
app's log (naru logs APP --source TASK), and naru tasks shows how it ends.

A command of one word that has spaces is run by a shell.`,
		Example: `  naru run my-shop -- node migrate.js
  naru run my-shop -- 'cat *.json | wc -c'
  naru run my-shop --detach -- ./nightly
  tar c data | naru run my-shop -- tar x -C /tmp`,
		Args: minimum(1, "APP -- COMMAND"),
		RunE: func(cc *cobra.Command, args []string) (err error) {
			if in.Command, err = commandOf(cc, args); err != nil {
				return err
			}
			if len(in.Command) == 0 {
				return misused(cc, "%s needs a COMMAND", cc.CommandPath())
			}
			if in.MemoryMiB, err = mebibytes("--memory", memory); err != nil {
				return err
			}
			if in.DiskMiB, err = mebibytes("--disk", disk); err != nil {
				return err
			}
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if detach {
				task, err := app.RunTask(cc.Context(), in)
				if err != nil {
					return err
				}
				return c.screen.done(task, "task %d started; see it with: naru tasks %s", task.Number, args[0])
			}
			in.Attach, in.TTY = true, c.both() && !plain
			task, err := app.RunTask(cc.Context(), in)
			if err != nil {
				return err
			}
			return c.attached(cc.Context(), in.TTY, func(ctx context.Context, std client.IO) (int, error) {
				return app.Attach(ctx, strconv.Itoa(task.Number), std)
			})
		},
	}
	f := command.Flags()
	f.BoolVar(&detach, "detach", false, "do not connect, and do not wait for the end")
	f.BoolVar(&plain, "no-tty", false, "no terminal inside, also where there is one outside")
	f.StringVar(&in.Name, "name", "", "name of the task (default: the command's first word)")
	f.StringVar(&in.Release, "release", "", "run it in this release: v3 (default: the current)")
	f.StringVarP(&memory, "memory", "m", "", "memory: 256M, 1G (default: as web has)")
	f.StringVarP(&disk, "disk", "k", "", "writable disk: 1G (default: as web has)")
	return command
}

func (c *cmd) exec() *cobra.Command {
	var x client.Exec
	var plain bool
	command := &cobra.Command{
		Use:   "exec APP [-- COMMAND...]",
		Short: "Run a command inside a running instance; without one, a shell",
		Example: `  naru exec my-shop
  naru exec my-shop -i 2 -- ps aux
  naru exec my-shop --process worker -- cat /proc/1/status`,
		Args: minimum(1, "APP"),
		RunE: func(cc *cobra.Command, args []string) (err error) {
			if x.Command, err = commandOf(cc, args); err != nil {
				return err
			}
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			x.TTY = c.both() && !plain
			return c.attached(cc.Context(), x.TTY, func(ctx context.Context, std client.IO) (int, error) {
				return app.Exec(ctx, x, std)
			})
		},
	}
	f := command.Flags()
	f.IntVarP(&x.Index, "instance", "i", 0, "index of the instance")
	f.StringVar(&x.Process, "process", "", "its process type (default web)")
	f.BoolVar(&plain, "no-tty", false, "no terminal inside, also where there is one outside")
	return command
}

// commandOf returns what follows the app's name: behind -- where there is one.
func commandOf(cc *cobra.Command, args []string) ([]string, error) {
	dash := cc.ArgsLenAtDash()
	if dash > 1 || dash == 0 {
		return nil, misused(cc, "%s takes one APP before --", cc.CommandPath())
	}
	command := args[1:]
	if len(command) == 1 && strings.ContainsAny(command[0], " \t\n") {
		return app.Shell(command[0]), nil
	}
	return command, nil
}

func (c *cmd) tasks() *cobra.Command {
	limit := 0
	command := &cobra.Command{
		Use:   "tasks APP",
		Short: "List the commands that ran once, newest first",
		Args:  exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			page, err := app.Tasks(cc.Context(), client.Page{Limit: limit})
			if err != nil {
				return err
			}
			return list(c.screen, page.Items, "no tasks yet; run a command: naru run "+args[0]+" -- COMMAND",
				[]string{"TASK", "STATE", "STARTED", "TOOK", "BY", "RELEASE", "COMMAND"}, c.taskRow)
		},
	}
	command.Flags().IntVarP(&limit, "limit", "n", 20, "how many at most")
	return command
}

func (c *cmd) taskRow(t client.Task) []string {
	state, started, ran := c.screen.health(t.State), "-", "-"
	if t.State == "failed" && t.Reason != "" {
		state += " (" + t.Reason + ")"
	}
	if !t.StartedAt.IsZero() {
		started = age(t.StartedAt) + " ago"
		if !t.EndedAt.IsZero() {
			ran = dash(took(client.Duration(t.EndedAt.Sub(t.StartedAt))))
		} else {
			ran = time.Since(t.StartedAt).Round(time.Second).String()
		}
	}
	return []string{strconv.Itoa(t.Number), state, started, ran, t.By, numbered(t.Release), strings.Join(t.Command, " ")}
}

func (c *cmd) task() *cobra.Command {
	return c.family(&cobra.Command{Use: "task COMMAND", Short: "End a command that runs once"}, &cobra.Command{
		Use:     "cancel APP TASK",
		Short:   "End a task",
		Example: "  naru task cancel my-shop 3",
		Args:    exactly("APP", "TASK"),
		RunE: func(cc *cobra.Command, args []string) error {
			if n, err := strconv.Atoi(args[1]); err == nil && n < 1 {
				return fault.New(fault.Invalid, "task", "%q is not a task", args[1]).WithTry("naru tasks %s", args[0])
			}
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			t, err := app.CancelTask(cc.Context(), args[1])
			if err != nil {
				return err
			}
			return c.screen.done(t, "task %d is %s", t.Number, t.State)
		},
	})
}
