package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) users() *cobra.Command {
	return c.family(&cobra.Command{
		Use:   "users [COMMAND]",
		Short: "List users; make them, delete them, give them roles",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			var all []client.User
			for u, err := range client.All(cc.Context(), cl.Users) {
				if err != nil {
					return err
				}
				all = append(all, u)
			}
			return list(c.screen, all, "no users", []string{"USER", "MADE"}, func(u client.User) []string {
				return []string{u.Name, age(u.CreatedAt) + " ago"}
			})
		},
	}, c.createUser(), c.deleteUser(), c.userPassword(),
		c.role("grant USER ROLE", "Give a user a role", "%s is now %s %s", (*client.Client).Grant),
		c.role("ungrant USER ROLE", "Take a role from a user", "%s is no longer %s %s", (*client.Client).Revoke),
		c.roles())
}

func (c *cmd) createUser() *cobra.Command {
	var admin, stdin bool
	command := &cobra.Command{
		Use: "create USER", Short: "Make a user", Args: exactly("USER"),
		Example: "  naru users create ann\n  naru users create ci --password-stdin < password.txt",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			password, err := c.newPassword(cc.Context(), " of "+args[0], stdin, "naru users create "+args[0]+" --password-stdin < FILE")
			if err != nil {
				return err
			}
			u, err := cl.CreateUser(cc.Context(), client.NewUser{Name: args[0], Password: password, Admin: admin})
			if err != nil {
				return err
			}
			if admin {
				return c.screen.done(u, "made %s, who may do everything", u.Name)
			}
			return c.screen.done(u, "made %s; give them a role: naru users grant %s space_developer", u.Name, u.Name)
		},
	}
	command.Flags().BoolVar(&admin, "admin", false, "they may do everything")
	command.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return command
}

func (c *cmd) deleteUser() *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use: "delete USER", Short: "Delete a user and end their logins", Args: exactly("USER"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if err := c.sure(yes, "delete the user "+args[0]+"?", "naru users delete "+args[0]); err != nil {
				return err
			}
			if err := cl.DeleteUser(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "deleted %s", args[0])
		},
	}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

func (c *cmd) userPassword() *cobra.Command {
	var stdin bool
	command := &cobra.Command{
		Use: "passwd USER", Short: "Give a user another password", Args: exactly("USER"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			password, err := c.newPassword(cc.Context(), " of "+args[0], stdin, "naru users passwd "+args[0]+" --password-stdin < FILE")
			if err != nil {
				return err
			}
			if err := cl.SetPassword(cc.Context(), args[0], password); err != nil {
				return err
			}
			return c.screen.done(nil, "%s has another password", args[0])
		},
	}
	command.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return command
}

// role makes a command that changes a role. Where the role holds follows from
// its name, as in Cloud Foundry: admin on the platform, organization_… in the
// organisation, space_… in the space.
func (c *cmd) role(use, text, said string, change func(*client.Client, context.Context, client.Grant) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: text, Args: exactly("USER", "ROLE"),
		Long: text + `. Roles are Cloud Foundry's: admin, admin_read_only and global_auditor hold on the whole platform;
organization_manager, organization_auditor, organization_billing_manager and organization_user in the organisation (-o); space_developer, space_manager, space_auditor and space_supporter in the
space (-o, -s).`,
		Example: "  naru users " + strings.Fields(use)[0] + " ann space_developer\n  naru users " + strings.Fields(use)[0] + " ann organization_manager -o acme",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			g, where := client.Grant{User: args[0], Role: args[1]}, "on the platform"
			switch {
			case strings.HasPrefix(g.Role, "organization_"):
				g.Org, where = t.Org, "in "+t.Org
			case strings.HasPrefix(g.Role, "space_"):
				g.Org, g.Space, where = t.Org, t.Space, "in "+t.Org+"/"+t.Space
			}
			if err := change(cl, cc.Context(), g); err != nil {
				return err
			}
			return c.screen.done(g, said, g.User, g.Role, where)
		},
	}
}

func (c *cmd) roles() *cobra.Command {
	var platform bool
	command := &cobra.Command{
		Use: "roles", Short: "List who has which role in the space, or with --platform on the platform", Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			org, space := t.Org, t.Space
			if platform {
				org, space = "", ""
			}
			all, err := cl.Grants(cc.Context(), org, space)
			if err != nil {
				return err
			}
			return list(c.screen, all, "nobody has a role there", []string{"USER", "ROLE", "ORG", "SPACE"}, func(g client.Grant) []string {
				return []string{g.User, g.Role, dash(g.Org), dash(g.Space)}
			})
		},
	}
	command.Flags().BoolVar(&platform, "platform", false, "those that hold on the whole platform")
	return command
}
