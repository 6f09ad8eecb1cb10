package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"naru/internal/client"
	"naru/internal/client/rule"
	"naru/internal/fault"
)

func (c *cmd) route() *cobra.Command {
	var only whenFlags
	command := &cobra.Command{
		Use:   "route HOST[/PATH]",
		Short: "Show a route and its rules, and change them",
		Long: `Shows a route: where it leads, and what it asks of the gateway, in words. With --json it is what naru route set --file
takes.`,
		Example: `  naru route shop.example.com
  naru route set shop.example.com https=true rate.client=10/s`,
		Args:              exactly("HOST[/PATH]"),
		ValidArgsFunction: c.completeRoute(nil),
		RunE: func(cc *cobra.Command, args []string) error {
			s, name, err := c.routeNamed(cc.Context(), args[0], only)
			if err != nil {
				return err
			}
			r, err := s.Route(cc.Context(), name)
			if err != nil {
				return err
			}
			return c.showRoute(r)
		},
	}
	only.register(command.Flags())
	command.AddCommand(c.routeSet(), c.routeUnset())
	return command
}

// routeNamed is the space, and the name that a route has there.
func (c *cmd) routeNamed(ctx context.Context, text string, only whenFlags) (*client.InSpace, string, error) {
	cl, t, err := c.connect()
	if err != nil {
		return nil, "", err
	}
	name, err := only.named(ctx, cl, text)
	return cl.In(t.Org, t.Space), name, err
}

func (c *cmd) showRoute(r client.Route) error {
	if c.screen.json {
		return c.screen.data(r)
	}
	c.screen.say("%s leads to %s", c.screen.paint(strong, placeOf(r)), destinations(r))
	if r.When != nil {
		c.screen.say("only for %s", rule.WhenText(r.When))
	}
	c.screen.say("%s", r.URL)
	if r.TCP != nil {
		c.screen.say("%s", tcpWords(r.TCP))
		return nil
	}
	lines := rule.Lines(r.Terms)
	if len(lines) == 0 {
		c.screen.say("no rules; set one: naru route set %s https=true", placeOf(r))
		return nil
	}
	c.screen.say("")
	return list(c.screen, lines, "", []string{"RULE", "MEANS"}, func(l rule.Line) []string {
		if l.Key == "" {
			return []string{"(a file's)", l.Words}
		}
		return []string{l.Key + "=" + typed(l.Value), l.Words}
	})
}

// typed is a value as a shell takes it; what is too long for a line is left out.
func typed(value string) string {
	switch {
	case len(value) > 60 || strings.ContainsAny(value, "\n\r"):
		return "..."
	case value == "" || strings.ContainsAny(value, " \t\"'\\$&|;<>(){}*?!#`~"):
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return value
}

// placeOf is the host and path of a route.
func placeOf(r client.Route) string {
	if r.TCP != nil {
		return r.Name
	}
	return r.Host + strings.TrimSuffix(r.Path, "/")
}

// ruleNames are the first words of a route's rules: "https, rate".
func ruleNames(r client.Route) string {
	var names []string
	for _, l := range rule.Lines(r.Terms) {
		name, _, _ := strings.Cut(l.Key, ".")
		if l.Key == "" {
			name = "fault"
		}
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// whenFlags say which requests a route is for.
type whenFlags struct {
	methods, headers, cookies []string
}

func (f *whenFlags) register(fl *pflag.FlagSet) {
	fl.StringSliceVar(&f.methods, "method", nil, "the route only for requests with one of these methods")
	fl.StringArrayVar(&f.headers, "header", nil, "the route only for requests with this header, NAME=VALUE or NAME")
	fl.StringArrayVar(&f.cookies, "cookie", nil, "the route only for requests with this cookie, NAME=VALUE or NAME")
}

// when is the condition; nil for none.
func (f whenFlags) when() (*client.When, error) {
	if len(f.methods)+len(f.headers)+len(f.cookies) == 0 {
		return nil, nil
	}
	var w client.When
	for _, m := range f.methods {
		w.Methods = append(w.Methods, strings.ToUpper(m))
	}
	for flag, values := range map[string][]string{"--header": f.headers, "--cookie": f.cookies} {
		for _, text := range values {
			name, value, _ := strings.Cut(text, "=")
			if name == "" {
				return nil, fault.New(fault.Invalid, flag, "%q has no name", text).WithTry("%s NAME=VALUE", flag)
			}
			m := client.Match{Header: name, Value: value}
			if flag == "--cookie" {
				m = client.Match{Cookie: name, Value: value}
			}
			w.Match = append(w.Match, m)
		}
	}
	return &w, nil
}

// named is the name of a route: host and path as a person wrote them, and the
// condition.
func (f whenFlags) named(ctx context.Context, cl *client.Client, text string) (string, error) {
	w, err := f.when()
	if err != nil {
		return "", err
	}
	if name, ok, err := tcpName(ctx, cl, text); ok || err != nil {
		return name, err
	}
	host, path, err := hostAndPath(text)
	if err != nil {
		return "", err
	}
	if host, err = wholeHost(ctx, cl, host); err != nil {
		return "", err
	}
	name := host + strings.TrimSuffix(path, "/")
	if w == nil {
		return name, nil
	}
	if len(w.Methods) > 0 {
		name += " method:" + strings.Join(w.Methods, ",")
	}
	for _, m := range w.Match {
		kind, what := " header:", m.Header
		if m.Cookie != "" {
			kind, what = " cookie:", m.Cookie
		}
		if name += kind + what; m.Value != "" {
			name += "=" + m.Value
		}
	}
	return name, nil
}

// completeRoute names the routes of the space, and behind one what the command
// takes.
func (c *cmd) completeRoute(further func() []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if further == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return further(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		c.screen, c.patience = newScreen(c.world, true, true), -1
		s, err := c.space()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
		defer cancel()
		var names []string
		for r, err := range client.All(ctx, s.Routes) {
			if err != nil {
				break
			}
			if r.When == nil {
				names = append(names, placeOf(r)+"\t"+destinations(r))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
