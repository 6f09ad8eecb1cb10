package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) drains() *cobra.Command {
	show := func(cc *cobra.Command, args []string) error {
		app := ""
		if len(args) > 0 {
			app = args[0]
		}
		s, err := c.space()
		if err != nil {
			return err
		}
		all, err := s.Drains(cc.Context(), app)
		if err != nil {
			return err
		}
		return list(c.screen, all, "no log drains; add one: naru drain add NAME syslog-tls://HOST:6514",
			[]string{"NAME", "OF", "URL", "STATE", "SENT", "DROPPED"}, func(d client.Drain) []string {
				return []string{d.Name, drainedOf(d), d.URL, drainState(d), strconv.FormatInt(d.Sent, 10), strconv.FormatInt(d.Dropped, 10)}
			})
	}
	return &cobra.Command{
		Use:   "drains [APP]",
		Short: "List where logs are passed on to, and how that goes",
		Args:  between("[APP]"),
		RunE:  show,
	}
}

func (c *cmd) drain() *cobra.Command {
	return c.family(&cobra.Command{
		Use:   "drain COMMAND",
		Short: "Pass logs on to a receiver of your own: syslog or OTLP",
	}, c.addDrain(), &cobra.Command{
		Use: "test NAME", Short: "Send one line to a receiver and show what it says", Args: exactly("NAME"), ValidArgsFunction: c.completeDrain,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			t, err := s.TestDrain(cc.Context(), args[0])
			if err != nil {
				return err
			}
			if !t.Took {
				if c.screen.json {
					if err := c.screen.data(t); err != nil {
						return err
					}
				}
				return fault.New(fault.Unavailable, "drain", "no line got through: %s", t.Said).WithTry("naru drains")
			}
			return c.screen.done(t, "%s, in %s", t.Said, took(t.In))
		},
	}, &cobra.Command{
		Use: "delete NAME", Short: "Stop passing logs on; what waits for the receiver stays in naru's log", Args: exactly("NAME"), ValidArgsFunction: c.completeDrain,
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			if err := s.DeleteDrain(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "deleted log drain %s", args[0])
		},
	})
}

func (c *cmd) addDrain() *cobra.Command {
	var in client.NewDrain
	var ca string
	var headers []string
	var wide bool
	command := &cobra.Command{
		Use:   "add NAME URL",
		Short: "Pass on the log of an app, or of all apps of the space",
		Long: `Passes on every line from now on: what the app says, its requests, its builds, its tasks, and what naru says about it.
URL is syslog://HOST[:PORT], syslog-tls://HOST[:PORT] (RFC 5424 over TCP and TLS), otlp+http://HOST[:PORT][/PATH] or
otlp+https://HOST[:PORT][/PATH] (OTLP over HTTP). Lines wait in naru's log while the receiver is away. A password in the
URL, its query and the values of header fields are kept encrypted and never shown.`,
		Example: `  naru drain add central syslog-tls://logs.example.com:6514 --ca ca.pem --all-apps
  naru drain add errors otlp+https://collector.example.com --app shop --search 'status>=500' --header @token.txt`,
		Args: exactly("NAME", "URL"),
		RunE: func(cc *cobra.Command, args []string) error {
			if wide == (in.App != "") {
				return misused(cc, "say whose log: --app APP, or --all-apps for the whole space")
			}
			in.Name, in.URL = args[0], args[1]
			if ca != "" {
				text, err := os.ReadFile(ca)
				if err != nil {
					return fault.New(fault.Invalid, "ca", "cannot read %s", ca).WithTry("name a readable PEM file with --ca").WithCause(err)
				}
				in.CA = string(text)
			}
			var err error
			if in.Headers, err = headerFields(headers); err != nil {
				return err
			}
			s, err := c.space()
			if err != nil {
				return err
			}
			d, err := s.AddDrain(cc.Context(), in)
			if err != nil {
				return err
			}
			return c.screen.done(d, "the log of %s goes to %s from now on; try it: naru drain test %s", drainedOf(d), d.URL, d.Name)
		},
	}
	f := command.Flags()
	f.StringVar(&in.App, "app", "", "whose log")
	f.BoolVar(&wide, "all-apps", false, "the logs of all apps of the space, also of apps made later")
	f.StringVar(&in.Search, "search", "", `only lines that hold this, as naru logs --search has it`)
	f.StringVar(&ca, "ca", "", "PEM file: certificates of the authority that vouches for the receiver")
	f.StringArrayVar(&headers, "header", nil, "header field for an OTLP receiver, as 'NAME: VALUE', or @FILE with one on each line; may be repeated")
	return command
}

// headerFields reads fields, and files of them.
func headerFields(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, one := range given {
		lines := []string{one}
		if file, ok := strings.CutPrefix(one, "@"); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fault.New(fault.Invalid, "header", "cannot read %s", file).WithTry("--header @FILE").WithCause(err)
			}
			lines = strings.Split(strings.TrimSpace(string(text)), "\n")
		}
		for _, line := range lines {
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fault.New(fault.Invalid, "header", "a header field has a name and a value").WithTry("--header 'X-Api-Key: VALUE'")
			}
			out[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return out, nil
}

// drainedOf says whose log it is.
func drainedOf(d client.Drain) string {
	if d.App == "" {
		return "all apps"
	}
	return d.App
}

// drainState says in words how a drain is doing.
func drainState(d client.Drain) string {
	text := d.State
	if d.Behind > 0 {
		text = fmt.Sprintf("%s, %s wait", text, count(int(d.Behind), "line"))
		if !d.Oldest.IsZero() {
			text += " for " + age(d.Oldest)
		}
	}
	switch {
	case !d.Failing.IsZero():
		text += fmt.Sprintf("; no line got through for %s: %s", age(d.Failing), d.Error)
	case d.Error != "":
		text += "; refused: " + d.Error
	}
	return text
}

// completeDrain names the drains of the space.
func (c *cmd) completeDrain(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.screen, c.patience = newScreen(c.world, true, true), -1
	s, err := c.space()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := s.Drains(cc.Context(), "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, d := range all {
		names = append(names, d.Name+"\t"+d.URL)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
