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

// labelled are the kinds of things that can be written on.
var labelled = []string{"app", "space", "org", "route", "domain", "service"}

func (c *cmd) labels() *cobra.Command {
	return &cobra.Command{
		Use:   "labels KIND NAME",
		Short: "Show the labels and annotations of a thing",
		Long: `KIND is one of ` + strings.Join(labelled, ", ") + `; NAME as its own commands take it.
Lists are narrowed by labels: naru apps -l team=checkout.`,
		Example:           "  naru labels app shop\n  naru labels route shop.example.com/cart\n  naru labels space production",
		Args:              exactly("KIND", "NAME"),
		ValidArgsFunction: c.completeLabelled,
		RunE: func(cc *cobra.Command, args []string) error {
			on, err := c.labelsOn(cc.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			written, err := on.Get(cc.Context())
			if err != nil {
				return err
			}
			return c.showLabels(written, args[0], args[1])
		},
	}
}

func (c *cmd) label() *cobra.Command {
	return c.labelling(&cobra.Command{
		Use:   "label KIND NAME KEY=VALUE|KEY- [...]",
		Short: "Label a thing, to find it by: KEY=VALUE sets, KEY- removes",
		Long: `KIND is one of ` + strings.Join(labelled, ", ") + `. A key is NAME or PREFIX/NAME, where PREFIX is a DNS name; NAME and value
have at most 63 of A-Z a-z 0-9 _ . - and begin and end with a letter or digit. A value may be empty. A thing has at most 50.`,
		Example: "  naru label app shop team=checkout stage-\n  naru apps -l team=checkout",
	}, func(change map[string]*string) client.LabelChange { return client.LabelChange{Labels: change} })
}

func (c *cmd) annotate() *cobra.Command {
	return c.labelling(&cobra.Command{
		Use:   "annotate KIND NAME KEY=VALUE|KEY- [...]",
		Short: "Write a note on a thing: KEY=VALUE sets, KEY- removes",
		Long: `An annotation is text of at most 5,000 characters under a key, for people and their programs to read; unlike a label it is
not searched for. KIND and KEY are those of naru label. A thing has at most 200.`,
		Example: `  naru annotate app shop contact="Kim, ext. 12" runbook=https://wiki.example.com/shop`,
	}, func(change map[string]*string) client.LabelChange { return client.LabelChange{Annotations: change} })
}

func (c *cmd) labelling(command *cobra.Command, change func(map[string]*string) client.LabelChange) *cobra.Command {
	command.Args = minimum(3, "KIND NAME KEY=VALUE")
	command.ValidArgsFunction = c.completeLabelled
	command.RunE = func(cc *cobra.Command, args []string) error {
		keys, err := keysOf(args[2:])
		if err != nil {
			return err
		}
		on, err := c.labelsOn(cc.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		written, err := on.Change(cc.Context(), change(keys))
		if err != nil {
			return err
		}
		return c.showLabels(written, args[0], args[1])
	}
	return command
}

// keysOf reads KEY=VALUE, and KEY- for a key that is to go.
func keysOf(args []string) (map[string]*string, error) {
	out := map[string]*string{}
	for _, arg := range args {
		key, value, set := strings.Cut(arg, "=")
		var to *string
		if set {
			to = &value
		} else if key, set = strings.CutSuffix(arg, "-"); !set {
			return nil, fault.New(fault.Invalid, "", "%q neither sets a key nor removes one", arg).WithTry("KEY=VALUE sets, KEY- removes: %s=VALUE, %s-", arg, arg)
		}
		if _, twice := out[key]; twice {
			return nil, fault.New(fault.Invalid, key, "it is named twice")
		}
		out[key] = to
	}
	return out, nil
}

// labelsOn is the client for what is written on a thing.
func (c *cmd) labelsOn(ctx context.Context, kind, name string) (*client.InLabels, error) {
	cl, t, err := c.connect()
	if err != nil {
		return nil, err
	}
	in := cl.In(t.Org, t.Space)
	switch strings.TrimSuffix(kind, "s") {
	case "app":
		return in.App(name).Labels(), nil
	case "space":
		return cl.In(t.Org, name).Labels(), nil
	case "org":
		return cl.OrgLabels(name), nil
	case "route":
		name, err := whenFlags{}.named(ctx, cl, name)
		return in.RouteLabels(name), err
	case "domain":
		return cl.DomainLabels(t.Org, name), nil
	case "service":
		return in.ServiceLabels(name), nil
	}
	return nil, fault.New(fault.Invalid, "KIND", "%q is nothing that has labels", kind).WithTry("one of %s", strings.Join(labelled, ", "))
}

func (c *cmd) showLabels(l client.Labels, kind, name string) error {
	if c.screen.json {
		return c.screen.data(l)
	}
	if len(l.Labels)+len(l.Annotations) == 0 {
		c.screen.say("nothing is written on the %s %s; label it: naru label %s %s KEY=VALUE", kind, name, kind, name)
		return nil
	}
	var rows [][]string
	for _, part := range []struct {
		what string
		of   map[string]string
	}{{"label", l.Labels}, {"annotation", l.Annotations}} {
		for _, key := range slices.Sorted(maps.Keys(part.of)) {
			rows = append(rows, []string{part.what, key, part.of[key]})
		}
	}
	return c.screen.table(l, []string{"WHAT", "KEY", "VALUE"}, rows)
}

// completeLabelled completes kinds, and the names of apps.
func (c *cmd) completeLabelled(cc *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return labelled, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 1 && args[0] == "app":
		return c.completeApp(cc, nil, typed)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
