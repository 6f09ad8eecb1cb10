package cli

import "github.com/spf13/cobra"

func (c *cmd) rename() *cobra.Command {
	return &cobra.Command{
		Use:     "rename APP NEW",
		Short:   "Give an app another name; its host stays",
		Long:    "Gives an app another name. Its host, its images and the names of its groups stay; an app that takes the old name gets another host.",
		Example: "  naru rename shop store",
		Args:    exactly("APP", "NEW"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			d, err := in.Rename(cc.Context(), args[1])
			if err != nil {
				return err
			}
			if d.URL == "" {
				return c.screen.done(d, "%s is called %s", args[0], d.Name)
			}
			return c.screen.done(d, "%s is called %s, and still at %s", args[0], d.Name, d.URL)
		},
	}
}

func (c *cmd) renameOrg() *cobra.Command {
	return &cobra.Command{
		Use: "rename ORG NEW", Short: "Give an organisation that has no apps another name", Args: exactly("ORG", "NEW"),
		Example: "  naru orgs rename acme acme-corp",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			o, err := cl.RenameOrg(cc.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if err := c.retarget(func(t *Target) bool { return t.Org == args[0] }, func(t *Target) { t.Org = o.Name }); err != nil {
				return err
			}
			return c.screen.done(o, "%s is called %s", args[0], o.Name)
		},
	}
}

func (c *cmd) renameSpace() *cobra.Command {
	return &cobra.Command{
		Use: "rename SPACE NEW", Short: "Give a space that has no apps another name", Args: exactly("SPACE", "NEW"),
		Example: "  naru spaces rename prod production",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, at, err := c.connect()
			if err != nil {
				return err
			}
			s, err := cl.In(at.Org, args[0]).Rename(cc.Context(), args[1])
			if err != nil {
				return err
			}
			if err := c.retarget(func(t *Target) bool { return t.Org == at.Org && t.Space == args[0] }, func(t *Target) { t.Space = s.Name }); err != nil {
				return err
			}
			return c.screen.done(s, "%s/%s is called %s", s.Org, args[0], s.Name)
		},
	}
}

// retarget keeps commands going to a place that was renamed, where they went to it.
func (c *cmd) retarget(there func(*Target) bool, to func(*Target)) error {
	t, err := loadTarget(c.world.Getenv)
	if err != nil || !there(&t) {
		return err
	}
	to(&t)
	return saveTarget(c.world.Getenv, t)
}
