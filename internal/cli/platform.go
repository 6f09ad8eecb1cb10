package cli

import (
	"context"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/size"
	"naru/internal/version"
)

func (c *cmd) info() *cobra.Command {
	return &cobra.Command{
		Use:   "info",
		Short: "Show what the server is and where its parts are",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			i, err := cl.Info(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(i)
			}
			for _, line := range [][2]string{
				{"server", "naru " + i.Version + " at " + t.Server}, {"apps", i.Apps}, {"registry", i.Registry}, {"runs on", i.Driver},
			} {
				if line[1] != "" {
					c.screen.say("%s %s", pad(line[0]), line[1])
				}
			}
			if i.Notice != "" {
				c.screen.say("%s %s", pad("note"), c.screen.paint(warn, i.Notice))
			}
			return nil
		},
	}
}

func (c *cmd) builders() *cobra.Command {
	return &cobra.Command{
		Use:   "builders",
		Short: "List the ways to make an image of source",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			all, err := cl.Builders(cc.Context())
			if err != nil {
				return err
			}
			return list(c.screen, all, "no builders", []string{"BUILDER", "LOOKS FOR", "STANDS ON"}, func(b client.Builder) []string {
				return []string{b.Name, b.Detects, dash(strings.Join(b.Foundations, ", "))}
			})
		},
	}
}

// upkeep makes a command that starts long work on the platform and watches it.
func (c *cmd) upkeep(use, text string, begin func(*client.Client, context.Context) (client.Operation, error)) *cobra.Command {
	var verbose, detach bool
	command := &cobra.Command{
		Use: use, Short: text, Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			op, err := begin(cl, cc.Context())
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

func (c *cmd) gc() *cobra.Command {
	return c.upkeep("gc", "Remove images, layers and source that nothing needs", (*client.Client).CollectGarbage)
}

func (c *cmd) key() *cobra.Command {
	return c.family(&cobra.Command{Use: "key COMMAND", Short: "Look after the key that secrets are encrypted with"},
		c.upkeep("rotate", "Make a new key and encrypt all secrets with it", (*client.Client).RotateKey))
}

func (c *cmd) stats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats APP",
		Short: "Show what an app's instances use now",
		Args:  exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			all, err := app.Stats(cc.Context())
			if err != nil {
				return err
			}
			return list(c.screen, all, "no instance of "+args[0]+" runs", []string{"INSTANCE", "MEMORY", "DISK", "CPU TIME", "PROCESSES"}, func(u client.Usage) []string {
				return []string{instance(u.Process, u.Index), memory(u), size.Text(u.DiskBytes), seconds(u.CPUSeconds), itoa(u.PIDs)}
			})
		},
	}
}

func (c *cmd) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show which naru this is; naru info shows the server's",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			if c.screen.json {
				return c.screen.data(map[string]string{"version": version.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			c.screen.say("naru %s (%s, %s/%s)", version.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
