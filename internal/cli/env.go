package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) env() *cobra.Command {
	return &cobra.Command{
		Use:   "env APP",
		Short: "Show the environment of an app's next release",
		Long:  "Shows the environment that the next release of the app will have. Secret values are never shown again: they print as ***.",
		Args:  exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			e, err := in.Env(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(e)
			}
			if len(e.Env) == 0 {
				c.screen.say("nothing is set; set something: naru set-env %s NAME=VALUE", args[0])
			}
			for _, name := range slices.Sorted(maps.Keys(e.Env)) {
				value := e.Env[name]
				if slices.Contains(e.Secrets, name) {
					value = c.screen.paint(faint, "***")
				}
				c.screen.say("%s=%s", c.screen.paint(strong, name), value)
			}
			return nil
		},
	}
}

func (c *cmd) setEnv() *cobra.Command {
	var secret bool
	command := c.envChange(&cobra.Command{
		Use:   "set-env APP NAME=VALUE...",
		Short: "Set environment values of an app, and restart it with them",
		Long: `Sets values in the app's environment, cuts a release and replaces what runs by it.

With --secret the values are encrypted, never printed again, and always the present ones, also after a rollback. A
secret given as NAME alone is asked for, or read from standard input; unlike NAME=VALUE that leaves nothing in the
shell's history.`,
		Example: `  naru set-env my-shop GREETING=hello LEVEL=debug
  naru set-env my-shop --secret DB_PASSWORD
  naru set-env my-shop --secret DB_PASSWORD < password.txt
  naru set-env my-shop GREETING=hello --no-restart`,
		Args: minimum(2, "APP and NAME=VALUE"),
	}, func(ctx context.Context, args []string) (client.EnvChange, error) {
		values, err := c.values(ctx, args, secret)
		if secret {
			return client.EnvChange{Secret: values}, err
		}
		return client.EnvChange{Set: values}, err
	})
	command.Flags().BoolVar(&secret, "secret", false, "keep the values encrypted, never to be shown again")
	return command
}

func (c *cmd) unsetEnv() *cobra.Command {
	return c.envChange(&cobra.Command{
		Use:     "unset-env APP NAME...",
		Short:   "Remove environment values of an app, and restart it without them",
		Example: "  naru unset-env my-shop GREETING",
		Args:    minimum(2, "APP and NAME"),
	}, func(_ context.Context, args []string) (client.EnvChange, error) {
		return client.EnvChange{Unset: args}, nil
	})
}

// envChange makes a command that changes the environment and, unless told
// otherwise, brings the change to what runs.
func (c *cmd) envChange(command *cobra.Command, change func(ctx context.Context, args []string) (client.EnvChange, error)) *cobra.Command {
	var stay, verbose, detach bool
	command.RunE = func(cc *cobra.Command, args []string) error {
		in, err := change(cc.Context(), args[1:])
		if err != nil {
			return err
		}
		cl, t, err := c.connect()
		if err != nil {
			return err
		}
		in.Restart = !stay
		got, err := cl.In(t.Org, t.Space).App(args[0]).ChangeEnv(cc.Context(), in)
		switch {
		case err != nil:
			return err
		case got.Operation == nil && stay:
			return c.screen.done(got, "kept for the next release; bring it to the instances: naru restart %s", args[0])
		case got.Operation == nil:
			return c.screen.done(got, "kept for the next release; nothing of %s runs that would need it now", args[0])
		case detach:
			return c.detached(*got.Operation)
		}
		_, err = c.follow(cc.Context(), cl, *got.Operation, verbose)
		return err
	}
	f := command.Flags()
	f.BoolVar(&stay, "no-restart", false, "keep it for the next release; what runs stays as it is")
	f.BoolVarP(&verbose, "verbose", "v", false, "show all output as it comes")
	f.BoolVar(&detach, "detach", false, "do not wait for the end")
	return command
}

// values reads NAME=VALUE arguments. A secret without a value is asked for. What
// cannot be read is named by its place only, for it may be a secret.
func (c *cmd) values(ctx context.Context, args []string, secret bool) (map[string]string, error) {
	values := map[string]string{}
	if err := c.oneFromInput(args, secret); err != nil {
		return nil, err
	}
	for i, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case name == "" || !ok && !secret:
			return nil, notAPair(i + 1)
		case !ok:
			var err error
			if value, err = c.secretValue(ctx, name); err != nil {
				return nil, err
			}
		}
		if _, twice := values[name]; twice {
			return nil, fault.New(fault.Invalid, name, "it is set twice").WithTry("name it once")
		}
		values[name] = value
	}
	return values, nil
}

// oneFromInput refuses to read several secrets from one standard input.
func (c *cmd) oneFromInput(args []string, secret bool) error {
	_, person := c.person()
	bare := 0
	for _, arg := range args {
		if !strings.Contains(arg, "=") {
			bare++
		}
	}
	if secret && bare > 1 && !person {
		return fault.New(fault.Invalid, "NAME", "standard input has the value of one secret only").WithTry("set one secret at a time")
	}
	return nil
}

func (c *cmd) secretValue(ctx context.Context, name string) (string, error) {
	if f, ok := c.person(); ok {
		return c.hidden(ctx, f, "value of "+name+": ")
	}
	value, err := c.readSecret()
	if err == nil && value == "" {
		err = fault.New(fault.Invalid, name, "standard input is empty").WithTry("naru set-env APP --secret %s < FILE", name)
	}
	return value, err
}

func notAPair(place int) error {
	return fault.New(fault.Invalid, "NAME=VALUE", "value %d is not of the form NAME=VALUE", place).
		WithTry("write it as GREETING=hello, in quotes where the shell would change it")
}
