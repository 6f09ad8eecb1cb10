package cli

import (
	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) credentials() *cobra.Command {
	show := func(cc *cobra.Command, _ []string) error {
		s, err := c.space()
		if err != nil {
			return err
		}
		all, err := s.Credentials(cc.Context())
		if err != nil {
			return err
		}
		return list(c.screen, all, "no credentials; keep some: naru credentials set HOST", []string{"HOST", "KIND", "USER", "SET"}, func(k client.Credential) []string {
			return []string{k.Host, k.Kind, dash(k.User), age(k.UpdatedAt) + " ago"}
		})
	}
	return c.family(&cobra.Command{
		Use:   "credentials [COMMAND]",
		Short: "List the private hosts that the space may use; set and delete them",
		RunE:  show,
	}, &cobra.Command{
		Use: "list", Short: "List the hosts; passwords are never shown", Args: exactly(), RunE: show,
	}, c.setCredential(), &cobra.Command{
		Use: "delete HOST", Short: "Forget what opens a host", Args: exactly("HOST"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			if err := s.DeleteCredential(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "forgot %s", args[0])
		},
	})
}

func (c *cmd) setCredential() *cobra.Command {
	var in client.NewCredential
	var stdin bool
	command := &cobra.Command{
		Use:   "set HOST",
		Short: "Try and keep what opens a private git host or registry",
		Long: `Asks for a password or token, tries it against the host, and keeps it encrypted for pushes of this space with --git or
--image. It is never shown again.`,
		Example: `  naru credentials set registry.example.com --user ann
  naru credentials set git.example.com --user token --password-stdin < token.txt`,
		Args: exactly("HOST"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			// Without a terminal a pipe is the only way, so it need not be asked for.
			if _, person := c.person(); !person {
				stdin = true
			}
			if in.Password, err = c.password(cc.Context(), "password or token for "+args[0]+": ", stdin, "naru credentials set HOST --password-stdin < FILE"); err != nil {
				return err
			}
			if in.Password == "" {
				return misused(cc, "the password is empty")
			}
			k, err := s.SetCredential(cc.Context(), args[0], in)
			if err != nil {
				return err
			}
			return c.screen.done(k, "%s lets us in; kept as a %s credential", k.Host, k.Kind)
		},
	}
	f := command.Flags()
	f.StringVarP(&in.User, "user", "u", "", "user name; none where a token is enough")
	f.StringVar(&in.Kind, "kind", "", "git or registry (default: found out by trying)")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return command
}
