package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) services() *cobra.Command {
	return &cobra.Command{
		Use:   "services [APP]",
		Short: "List the services of the space, or those that are bound to an app",
		Args:  between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error {
			app := ""
			if len(args) > 0 {
				app = args[0]
			}
			s, err := c.space()
			if err != nil {
				return err
			}
			all, err := s.Services(cc.Context(), app)
			if err != nil {
				return err
			}
			return list(c.screen, all, "no services; make one: naru service create NAME --ask uri", []string{"NAME", "CREDENTIALS", "TAGS", "BOUND TO"}, func(v client.Service) []string {
				return []string{v.Name, dash(strings.Join(v.Credentials, ", ")), dash(strings.Join(v.Tags, ", ")), dash(strings.Join(boundTo(v), ", "))}
			})
		},
	}
}

// boundTo names the apps of a service, each with its binding's name.
func boundTo(v client.Service) []string {
	var out []string
	for _, b := range v.Bound {
		text := b.App
		if b.Name != "" {
			text += " as " + b.Name
		}
		out = append(out, text)
	}
	return out
}

func (c *cmd) serviceFamily() *cobra.Command {
	return c.family(&cobra.Command{
		Use:   "service COMMAND",
		Short: "Tell apps of databases and the like: make, show, change and delete services",
	}, c.createService(), c.showService(), c.setService(), &cobra.Command{
		Use: "credentials NAME", Short: "Print what a service holds, in clear, as JSON", Args: exactly("NAME"), ValidArgsFunction: c.completeService,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			got, err := s.ServiceCredentials(cc.Context(), args[0])
			if err != nil {
				return err
			}
			return c.screen.data(got.Credentials)
		},
	}, &cobra.Command{
		Use: "delete NAME", Short: "Forget a service that is bound to no app", Args: exactly("NAME"), ValidArgsFunction: c.completeService,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			if err := s.DeleteService(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "deleted service %s", args[0])
		},
	})
}

// held are the flags that say what a service holds.
type held struct {
	file string
	ask  []string
	tags []string
	logs string
}

func (h *held) flags(command *cobra.Command) {
	f := command.Flags()
	f.StringVar(&h.file, "credentials", "", "file with a JSON object of credentials; - reads it from standard input")
	f.StringSliceVar(&h.ask, "ask", nil, "names of credentials to be asked for, as uri or user,password")
	f.StringSliceVar(&h.tags, "tag", nil, "word by which libraries find out what it is, as postgresql; may be repeated")
	f.StringVar(&h.logs, "log-drain", "", "pass the logs of bound apps on: syslog://HOST:PORT, syslog-tls://HOST:PORT, otlp+http://HOST or otlp+https://HOST")
}

// credentials reads what the flags name; nil where they name nothing.
func (h *held) credentials(ctx context.Context, c *cmd) (json.RawMessage, error) {
	if h.file == "" && len(h.ask) == 0 {
		return nil, nil
	}
	all := map[string]json.RawMessage{}
	if h.file != "" {
		text, err := c.readCredentials(h.file)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(text, &all) != nil || all == nil {
			return nil, fault.New(fault.Invalid, "credentials", "%s is no JSON object", named(h.file)).
				WithTry(`echo '{"uri": "postgres://db.example.com/shop"}' | naru service create NAME --credentials -`)
		}
		if len(h.ask) == 0 {
			return text, nil
		}
	}
	for _, name := range h.ask {
		value, err := c.password(ctx, name+": ", false, "naru service create NAME --credentials FILE, or --credentials - for standard input")
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		all[name] = text
	}
	return json.Marshal(all)
}

func named(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// maxCredentials is one more than what a server takes, in bytes.
const maxCredentials = 64<<10 + 1

func (c *cmd) readCredentials(file string) ([]byte, error) {
	in := c.world.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "credentials", "cannot read %s", file).WithTry("name a readable JSON file with --credentials").WithCause(err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCredentials))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", named(file), err)
	}
	return text, nil
}

func (c *cmd) createService() *cobra.Command {
	var h held
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a service of credentials that you provide",
		Long: `Keeps credentials encrypted under a name, for apps of the space to be bound to. They come from a file, from standard
input, or are asked for, so that they stay out of the shell's history; no command but naru service credentials prints
them. An app that is bound finds them in its environment: in VCAP_SERVICES as JSON, and the uri of a relational database
in DATABASE_URL too.`,
		Example: `  naru service create db --ask uri --tag postgresql
  naru service create db --credentials db.json
  naru service create logs --log-drain syslog-tls://logs.example.com:6514
  naru bind shop db`,
		Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			credentials, err := h.credentials(cc.Context(), c)
			if err != nil {
				return err
			}
			s, err := c.space()
			if err != nil {
				return err
			}
			v, err := s.CreateService(cc.Context(), client.NewService{Name: args[0], Credentials: credentials, Tags: h.tags, LogDrain: h.logs})
			if err != nil {
				return err
			}
			return c.screen.done(v, "made service %s; give it to an app: naru bind APP %s", v.Name, v.Name)
		},
	}
	h.flags(command)
	return command
}

func (c *cmd) showService() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a service, of its credentials the names", Args: exactly("NAME"), ValidArgsFunction: c.completeService,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			v, err := s.Service(cc.Context(), args[0])
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(v)
			}
			c.screen.say("%s  %s", c.screen.paint(strong, v.Name), v.Type)
			for _, row := range [][2]string{
				{"credentials", strings.Join(v.Credentials, ", ")}, {"tags", strings.Join(v.Tags, ", ")}, {"log drain", v.LogDrain},
				{"bound to", strings.Join(boundTo(v), ", ")}, {"made by", v.By + ", " + age(v.CreatedAt) + " ago"},
			} {
				c.screen.say("  %-12s %s", row[0], dash(row[1]))
			}
			return nil
		},
	}
}

func (c *cmd) setService() *cobra.Command {
	var h held
	var name string
	var quiet bool
	command := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a service: its credentials, tags, log drain or name",
		Long: `Changes what the flags name. Credentials replace those that are there as a whole; bound apps have them when they next
start, so the command says which to restart. Logs go to a new receiver at once.`,
		Example: `  naru service set db --ask uri
  naru service set db --name orders-db
  naru service set logs --no-log-drain`,
		Args: exactly("NAME"), ValidArgsFunction: c.completeService,
		RunE: func(cc *cobra.Command, args []string) error {
			credentials, err := h.credentials(cc.Context(), c)
			if err != nil {
				return err
			}
			in := client.ServiceChange{Credentials: credentials}
			if cc.Flags().Changed("name") {
				in.Name = &name
			}
			if cc.Flags().Changed("tag") {
				in.Tags = &h.tags
			}
			if none := ""; quiet {
				in.LogDrain = &none
			} else if h.logs != "" {
				in.LogDrain = &h.logs
			}
			if in.Name == nil && in.Tags == nil && in.LogDrain == nil && credentials == nil {
				return misused(cc, "say what to change: --credentials, --ask, --tag, --log-drain, --no-log-drain or --name")
			}
			s, err := c.space()
			if err != nil {
				return err
			}
			v, err := s.ChangeService(cc.Context(), args[0], in)
			if err != nil {
				return err
			}
			if len(v.Bound) == 0 || credentials == nil && in.Tags == nil && in.Name == nil {
				return c.screen.done(v, "changed service %s", v.Name)
			}
			var restarts []string
			for _, b := range v.Bound {
				restarts = append(restarts, "naru restart "+b.App)
			}
			return c.screen.done(v, "changed service %s; what runs has it after: %s", v.Name, strings.Join(restarts, "; "))
		},
	}
	h.flags(command)
	command.Flags().StringVar(&name, "name", "", "new name")
	command.Flags().BoolVar(&quiet, "no-log-drain", false, "pass no logs on any more")
	command.MarkFlagsMutuallyExclusive("log-drain", "no-log-drain")
	return command
}

func (c *cmd) bind() *cobra.Command {
	var in client.NewBinding
	command := &cobra.Command{
		Use:   "bind APP SERVICE",
		Short: "Give a service to an app, which has it when it next starts",
		Long: `Puts the service's credentials into VCAP_SERVICES of instances that start from now on. Those that run keep what they
have until the app is restarted or pushed. If the service has a log drain, the app's log goes there at once.`,
		Example: "  naru bind shop db\n  naru bind shop db --name primary\n  naru restart shop",
		Args:    exactly("APP", "SERVICE"), ValidArgsFunction: c.completeBinding,
		RunE: func(cc *cobra.Command, args []string) error {
			in.Service = args[1]
			s, err := c.space()
			if err != nil {
				return err
			}
			b, err := s.Bind(cc.Context(), args[0], in)
			if err != nil {
				return err
			}
			return c.screen.done(b, "%s is bound to %s; bring it to what runs: naru restart %s", args[1], args[0], args[0])
		},
	}
	command.Flags().StringVar(&in.Name, "name", "", "by which the app finds it (default: the service's name)")
	return command
}

func (c *cmd) unbind() *cobra.Command {
	return &cobra.Command{
		Use: "unbind APP SERVICE", Short: "Take a service from an app, which does without when it next starts", Args: exactly("APP", "SERVICE"), ValidArgsFunction: c.completeBinding,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			if err := s.Unbind(cc.Context(), args[0], args[1]); err != nil {
				return err
			}
			return c.screen.done(nil, "%s is not bound to %s any more; take it from what runs: naru restart %s", args[1], args[0], args[0])
		},
	}
}

// completeService names the services of the space.
func (c *cmd) completeService(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.serviceNames(cc.Context())
}

// completeBinding names apps, then services.
func (c *cmd) completeBinding(cc *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return c.completeApp(cc, args, typed)
	case 1:
		return c.serviceNames(cc.Context())
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (c *cmd) serviceNames(ctx context.Context) ([]string, cobra.ShellCompDirective) {
	c.screen, c.patience = newScreen(c.world, true, true), -1
	s, err := c.space()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	all, err := s.Services(ctx, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, v := range all {
		names = append(names, v.Name+"\t"+strings.Join(v.Tags, ", "))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

var variableGroups = []string{"running", "staging"}

func (c *cmd) variables() *cobra.Command {
	show := func(cc *cobra.Command, _ []string) error {
		cl, _, err := c.connect()
		if err != nil {
			return err
		}
		var all []client.Variables
		for _, g := range variableGroups {
			v, err := cl.Variables(cc.Context(), g)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		if c.screen.json {
			return c.screen.data(all)
		}
		for _, v := range all {
			c.screen.say("%s", c.screen.paint(strong, v.Group))
			for _, name := range slices.Sorted(maps.Keys(v.Env)) {
				c.screen.say("  %s=%s", name, v.Env[name])
			}
		}
		return nil
	}
	change := func(use, short string, read func(args []string) (client.VariablesChange, error)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: minimum(2, "GROUP and NAME"), ValidArgs: variableGroups,
			RunE: func(cc *cobra.Command, args []string) error {
				in, err := read(args[1:])
				if err != nil {
					return err
				}
				cl, _, err := c.connect()
				if err != nil {
					return err
				}
				v, err := cl.SetVariables(cc.Context(), args[0], in)
				if err != nil {
					return err
				}
				return c.screen.done(v, "%s has %s; apps have them when they next start, builds when they begin", v.Group, count(len(v.Env), "variable"))
			},
		}
	}
	set := change("set GROUP NAME=VALUE...", "Set variables of all apps: of running in instances, of staging in builds", func(args []string) (client.VariablesChange, error) {
		values := map[string]string{}
		for _, arg := range args {
			name, value, ok := strings.Cut(arg, "=")
			if !ok {
				return client.VariablesChange{}, fault.New(fault.Invalid, "env", "%q has no value", name).WithTry("naru variables set running NAME=VALUE")
			}
			values[name] = value
		}
		return client.VariablesChange{Set: values}, nil
	})
	set.Example = "  naru variables set running TZ=Europe/Berlin\n  naru variables set staging GOFLAGS=-mod=mod"
	return c.family(&cobra.Command{
		Use:   "variables [COMMAND]",
		Short: "List variables that all apps get unless they set them; set and unset them",
		RunE:  show,
	}, &cobra.Command{Use: "list", Short: "List them", Args: exactly(), RunE: show}, set,
		change("unset GROUP NAME...", "Take variables from all apps", func(args []string) (client.VariablesChange, error) {
			return client.VariablesChange{Unset: args}, nil
		}))
}
