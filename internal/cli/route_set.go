package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/client/rule"
	"naru/internal/fault"
)

func (c *cmd) routeSet() *cobra.Command {
	var only whenFlags
	var file string
	var fromInput bool
	command := &cobra.Command{
		Use:   "set HOST[/PATH] KEY=VALUE...",
		Short: "Change what a route asks of the gateway",
		Long: `Sets rules of a route; the others stay. The gateways follow them when the command has ended. KEY=off takes a rule away.

With --file the rules are those of a file and no others: naru route HOST --json shows them in its form. Passwords are shown
as ***, which in a file means that they stay.

The rules:

` + ruleHelp(),
		Example: `  naru route set shop.example.com https=true hsts=180d
  naru route set shop.example.com rate=100/s rate.client=10/s timeout.total=30s
  naru route set shop.example.com maintenance="Back at 10" maintenance.except=192.0.2.0/24
  naru route set shop.example.com auth.user=ann
  naru route set shop.example.com --file rules.json`,
		Args:              minimum(1, "HOST[/PATH] and KEY=VALUE"),
		ValidArgsFunction: c.completeRoute(func() []string { return ruleCompletions("=") }),
		RunE: func(cc *cobra.Command, args []string) error {
			if (file == "") == (len(args) == 1) {
				return misused(cc, "%s needs either KEY=VALUE or --file", cc.CommandPath())
			}
			pairs, err := rulePairs(args[1:])
			if err != nil {
				return err
			}
			if file != "" {
				return c.changeRoute(cc.Context(), args[0], only, func(_ context.Context, have client.Terms) (client.TermsChange, error) {
					return c.fromFile(file, have)
				})
			}
			return inKeys(c.changeRoute(cc.Context(), args[0], only, func(ctx context.Context, have client.Terms) (client.TermsChange, error) {
				change := rule.Over(have)
				if err := c.setRules(ctx, change, pairs, fromInput, args[0]); err != nil {
					return client.TermsChange{}, err
				}
				return change.Patch()
			}))
		},
	}
	f := command.Flags()
	f.StringVarP(&file, "file", "f", "", "JSON file with all rules of the route; - is standard input")
	f.BoolVar(&fromInput, "password-stdin", false, "read the password of auth.user from standard input")
	only.register(f)
	return command
}

func (c *cmd) routeUnset() *cobra.Command {
	var only whenFlags
	command := &cobra.Command{
		Use:   "unset HOST[/PATH] KEY...",
		Short: "Take rules of a route away",
		Long: `Takes rules of a route away, with what belongs to them: redirect takes redirect.status along. Beside the keys of naru
route set there are addresses, auth, fault, rates, request, response and timeout for all of their kind, and auth.user.NAME.`,
		Example: `  naru route unset shop.example.com maintenance
  naru route unset shop.example.com rate.client auth.user.ann`,
		Args:              minimum(2, "HOST[/PATH] and KEY"),
		ValidArgsFunction: c.completeRoute(func() []string { return ruleCompletions("") }),
		RunE: func(cc *cobra.Command, args []string) error {
			return inKeys(c.changeRoute(cc.Context(), args[0], only, func(_ context.Context, have client.Terms) (client.TermsChange, error) {
				change := rule.Over(have)
				for _, key := range args[1:] {
					if err := change.Unset(key); err != nil {
						return client.TermsChange{}, knownRule(key, err)
					}
				}
				return change.Patch()
			}))
		},
	}
	only.register(command.Flags())
	return command
}

// changeRoute changes a route as it is now.
func (c *cmd) changeRoute(ctx context.Context, text string, only whenFlags, change func(context.Context, client.Terms) (client.TermsChange, error)) error {
	s, name, err := c.routeNamed(ctx, text, only)
	if err != nil {
		return err
	}
	have, err := s.Route(ctx, name)
	if err != nil {
		return err
	}
	patch, err := change(ctx, have.Terms)
	if err != nil {
		return err
	}
	r, err := s.ChangeRoute(ctx, have.ID, patch)
	if err != nil {
		return err
	}
	if names := ruleNames(r); names != "" {
		return c.screen.done(r, "%s has rules for %s", r.Name, names)
	}
	return c.screen.done(r, "%s has no rules", r.Name)
}

// inKeys names the key where the server names a field.
func inKeys(err error) error {
	f := fault.Of(err)
	if f == nil || rule.KeyOf(f.Field) == f.Field {
		return err
	}
	named := *f
	named.Field = rule.KeyOf(f.Field)
	return &named
}

// rulePair is a rule as a person wrote it.
type rulePair struct{ key, value string }

// rulePairs reads KEY=VALUE, and refuses keys that do not exist before anything
// is asked for.
func rulePairs(args []string) (pairs []rulePair, err error) {
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fault.New(fault.Invalid, "KEY=VALUE", "%q is not of that form", arg).WithTry("naru route set HOST https=true")
		}
		if !rule.Known(key) {
			return nil, knownRule(key, rule.Over(client.Terms{}).Set(key, value))
		}
		pairs = append(pairs, rulePair{key, value})
	}
	return pairs, nil
}

// knownRule says which rule was meant, if one is near.
func knownRule(key string, err error) error {
	f := fault.Of(err)
	if rule.Known(key) || f == nil || f.Kind != fault.Invalid {
		return err
	}
	best := nearest(key, rule.Names())
	if best == "" {
		return err
	}
	if strings.HasSuffix(best, ".") {
		best += "NAME"
	}
	return fault.New(fault.Invalid, f.Field, "%s, did you mean %s?", f.Message, best).WithTry("%s", f.Try)
}

// setRules sets rules, and asks for what is not to be written on a command line.
func (c *cmd) setRules(ctx context.Context, change *rule.Change, pairs []rulePair, fromInput bool, host string) error {
	asked := 0
	for _, p := range pairs {
		if p.key == "auth.user" && p.value != "off" {
			asked++
		}
	}
	if fromInput && asked != 1 {
		return fault.New(fault.Invalid, "--password-stdin", "standard input has the password of one auth.user, not of %d", asked).
			WithTry("naru route set %s auth.user=NAME --password-stdin < FILE", host)
	}
	for _, p := range pairs {
		switch {
		case p.key == "auth.user" && p.value == "off":
			if err := change.Unset("auth"); err != nil {
				return err
			}
		case p.key == "auth.user":
			password, err := c.newPassword(ctx, " of "+p.value, fromInput, fmt.Sprintf("naru route set %s auth.user=%s --password-stdin < FILE", host, p.value))
			if err != nil {
				return err
			}
			change.User(p.value, password)
		default:
			value, err := c.contents(p)
			if err != nil {
				return err
			}
			if err := change.Set(p.key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// contents is the value of a rule, or what is in the file that it names.
func (c *cmd) contents(p rulePair) (string, error) {
	name, ok := strings.CutPrefix(p.value, "@")
	if !ok || p.key != "maintenance.page" {
		return p.value, nil
	}
	text, err := os.ReadFile(c.absolute(name))
	if err != nil {
		return "", fault.Wrap(fault.Invalid, p.key, err)
	}
	return string(text), nil
}

// ruleHelp lists all rules.
func ruleHelp() string {
	var b strings.Builder
	for _, k := range rule.Keys() {
		name := k.Name
		if strings.HasSuffix(name, ".") {
			name += "NAME"
		}
		if k.Sample == "" { // only to unset
			continue
		}
		fmt.Fprintf(&b, "    %-42s %s\n", name+"="+typed(k.Sample), k.Doc)
	}
	return strings.TrimRight(b.String(), "\n")
}

func ruleCompletions(end string) (all []string) {
	for _, k := range rule.Keys() {
		if end == "=" && k.Sample == "" { // only to unset
			continue
		}
		name := k.Name + end
		if strings.HasSuffix(k.Name, ".") {
			name = k.Name
		}
		all = append(all, name+"\t"+k.Doc)
	}
	return all
}
