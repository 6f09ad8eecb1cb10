package cli

import (
	"context"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) target() *cobra.Command {
	return &cobra.Command{
		Use:   "target",
		Short: "Show where commands go, or change it with -o and -s",
		Example: `  naru target
  naru target -o acme -s production`,
		Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			if c.flags.org != "" || c.flags.space != "" || c.flags.server != "" {
				if _, err := cl.In(t.Org, t.Space).Get(cc.Context()); err != nil {
					return err
				}
				if err := saveTarget(c.world.Getenv, t); err != nil {
					return err
				}
			}
			if c.screen.json {
				return c.screen.data(t)
			}
			c.screen.say("%s %s", pad("server"), t.Server)
			c.screen.say("%s %s", pad("org"), t.Org)
			c.screen.say("%s %s", pad("space"), t.Space)
			return nil
		},
	}
}

func (c *cmd) orgs() *cobra.Command {
	var sel selectFlags
	command := c.family(&cobra.Command{
		Use:   "orgs [COMMAND]",
		Short: "List organisations; make, rename and delete them",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			all, err := narrowed(cc.Context(), sel, cl.Orgs)
			if err != nil {
				return err
			}
			return selectedList(c.screen, sel, all, "no organisation that you may see", []string{"ORG", "MADE"}, func(o client.Org) []string {
				return []string{c.marked(o.Name, o.Name == t.Org), age(o.CreatedAt) + " ago"}
			}, func(o client.Org) map[string]string { return o.Labels })
		},
	}, c.renameOrg(), &cobra.Command{
		Use: "create ORG", Short: "Make an organisation", Args: exactly("ORG"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			o, err := cl.CreateOrg(cc.Context(), args[0])
			if err != nil {
				return err
			}
			return c.screen.done(o, "made %s; give it a space: naru spaces create SPACE -o %s", o.Name, o.Name)
		},
	}, &cobra.Command{
		Use: "delete ORG", Short: "Delete an organisation that has no spaces", Args: exactly("ORG"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.DeleteOrg(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "deleted %s", args[0])
		},
	})
	sel.register(command)
	return command
}

// marked marks the one that is targeted.
func (c *cmd) marked(name string, targeted bool) string {
	if targeted {
		return c.screen.paint(good, name+" *")
	}
	return name
}

func (c *cmd) spaces() *cobra.Command {
	var sel selectFlags
	command := c.family(&cobra.Command{
		Use:   "spaces [COMMAND]",
		Short: "List the spaces of the organisation; make, rename and delete them",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			all, err := narrowed(cc.Context(), sel, func(ctx context.Context, p client.Page) (client.List[client.Space], error) {
				return cl.Spaces(ctx, t.Org, p)
			})
			if err != nil {
				return err
			}
			return selectedList(c.screen, sel, all, "no space that you may see; make one: naru spaces create SPACE", []string{"SPACE", "ROOT ALLOWED", "MADE"}, func(s client.Space) []string {
				return []string{c.marked(s.Name, s.Name == t.Space), yesNo(s.AllowRoot), age(s.CreatedAt) + " ago"}
			}, func(s client.Space) map[string]string { return s.Labels })
		},
	}, c.renameSpace(), &cobra.Command{
		Use: "create SPACE", Short: "Make a space in the organisation", Args: exactly("SPACE"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			s, err := cl.CreateSpace(cc.Context(), t.Org, args[0])
			if err != nil {
				return err
			}
			return c.screen.done(s, "made %s/%s; work in it: naru target -o %s -s %s", s.Org, s.Name, s.Org, s.Name)
		},
	}, &cobra.Command{
		Use: "delete SPACE", Short: "Delete a space that has no apps", Args: exactly("SPACE"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.In(t.Org, args[0]).Delete(cc.Context()); err != nil {
				return err
			}
			return c.screen.done(nil, "deleted %s/%s", t.Org, args[0])
		},
	})
	sel.register(command)
	return command
}

func (c *cmd) spaceSettings() *cobra.Command {
	var off bool
	allow := &cobra.Command{
		Use:   "allow-root SPACE",
		Short: "Let images without a numeric user run as their root in a space",
		Long: `Many public images run as root. In a space that allows it they do so with few of root's powers; elsewhere naru refuses
them. Images that naru builds need none of this.`,
		Example: "  naru space allow-root dev\n  naru space allow-root dev --off",
		Args:    exactly("SPACE"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			on := !off
			s, err := cl.In(t.Org, args[0]).Change(cc.Context(), client.SpaceChange{AllowRoot: &on})
			if err != nil {
				return err
			}
			verb := "may"
			if !s.AllowRoot {
				verb = "may not"
			}
			return c.screen.done(s, "images %s run as root in %s/%s", verb, t.Org, s.Name)
		},
	}
	allow.Flags().BoolVar(&off, "off", false, "no longer")
	return c.family(&cobra.Command{Use: "space COMMAND", Short: "Change what a space allows"}, allow)
}
