package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) login() *cobra.Command {
	var user, code, ca string
	var stdin bool
	command := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Log in to a naru server",
		Long:  "Logs in and keeps the login for later commands. naru up prints a line with a one-time code;\nwithout a code the password is asked for, or read from standard input with --password-stdin.",
		Example: `  naru login http://127.0.0.1:7070 --code 4f7k-…
  naru login http://127.0.0.1:7070 --user admin
  naru login https://api.naru.example.com --ca-cert naru-ca.pem`,
		Args: between("[SERVER]"),
		RunE: func(cc *cobra.Command, args []string) error {
			kept, err := loadTarget(c.world.Getenv)
			if err != nil {
				return err
			}
			server := c.flags.server
			if len(args) == 1 {
				server = args[0]
			}
			if server == "" {
				server = kept.Server
			}
			if server == "" {
				server = "http://127.0.0.1:7070"
			}
			var authority []byte
			options := client.Options{Waiting: c.screen.waiting, Patience: -1}
			if ca != "" {
				if authority, err = os.ReadFile(ca); err != nil {
					return fault.New(fault.Invalid, "ca-cert", "cannot read %s", ca).WithCause(err)
				}
				options.HTTP, err = trusting(ca, authority)
			} else {
				options.HTTP, err = trusted(c.world.Getenv, address(server))
			}
			if err != nil {
				return err
			}
			cl, err := client.New(address(server), options)
			if err != nil {
				return err
			}
			tokens, err := c.authenticate(cc.Context(), cl, user, code, stdin)
			if err != nil {
				return err
			}
			if err := keepTokens(cc.Context(), newFileSession(c.world.Getenv, cl.Address()), tokens); err != nil {
				return err
			}
			if ca != "" {
				if err := keepAuthority(c.world.Getenv, cl.Address(), authority); err != nil {
					return err
				}
			}
			if kept.Server != cl.Address() {
				info, err := cl.Info(cc.Context())
				if err != nil {
					return err
				}
				kept = Target{Server: cl.Address(), Org: info.DefaultOrg, Space: info.DefaultSpace}
			}
			kept.Org, kept.Space = cmp.Or(c.flags.org, kept.Org), cmp.Or(c.flags.space, kept.Space)
			if err := saveTarget(c.world.Getenv, kept); err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(kept)
			}
			c.screen.say("%s %s, working in %s/%s", c.screen.paint(good, "logged in to"), kept.Server, kept.Org, kept.Space)
			return nil
		},
	}
	f := command.Flags()
	f.StringVarP(&user, "user", "u", "", "user name (default admin)")
	f.StringVar(&code, "code", "", "one-time code, as naru up prints it")
	f.StringVar(&ca, "ca-cert", "", "PEM file of the authority that signed the server's certificate (naru ca prints it); kept for later commands")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	return command
}

// authenticate exchanges what a person has for tokens.
func (c *cmd) authenticate(ctx context.Context, cl *client.Client, user, code string, stdin bool) (client.Tokens, error) {
	if code != "" {
		return cl.Redeem(ctx, code)
	}
	if user == "" {
		user = "admin"
	}
	password, err := c.password(ctx, fmt.Sprintf("password of %s: ", user), stdin, "use --password-stdin, or --code with the line that naru up printed")
	if err != nil {
		return client.Tokens{}, err
	}
	return cl.Login(ctx, user, password)
}
