package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) logout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the login, here and on the server",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			c.patience = -1
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			// The login is forgotten here whatever the server says; there it ends by itself.
			told := cl.Logout(cc.Context())
			if err := newFileSession(c.world.Getenv, t.Server).forget(); err != nil {
				return err
			}
			if told != nil && !fault.Is(told, fault.Unauthenticated) {
				c.screen.warn("the server could not be told: " + fault.Of(told).Message)
			}
			return c.screen.done(nil, "logged out of %s", t.Server)
		},
	}
}

func (c *cmd) whoami() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are to the server, and what you may do where",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			me, err := cl.Me(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(me)
			}
			c.screen.say("%s at %s", c.screen.paint(strong, me.User.Name), t.Server)
			for _, g := range me.Grants {
				where := "on the platform"
				if g.Org != "" {
					where = "in " + strings.TrimSuffix(g.Org+"/"+g.Space, "/")
				}
				c.screen.say("%s %s", g.Role, where)
			}
			if len(me.Grants) == 0 {
				c.screen.say("no role anywhere; an admin gives one: naru users grant %s space_developer", me.User.Name)
			}
			return nil
		},
	}
}

func (c *cmd) passwd() *cobra.Command {
	var stdin bool
	command := &cobra.Command{
		Use:   "passwd",
		Short: "Change your password",
		Long:  "Changes your password and ends every login but this one. With --password-stdin the first line of standard input is the present one, the second the new one.",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			me, err := cl.Me(cc.Context())
			if err != nil {
				return err
			}
			old, now, err := c.passwords(cc.Context(), stdin)
			if err != nil {
				return err
			}
			if err := cl.ChangePassword(cc.Context(), old, now); err != nil {
				return err
			}
			// The change ended every login of the user, this one too.
			tokens, err := cl.Login(cc.Context(), me.User.Name, now)
			if err != nil {
				return err
			}
			if err := keepTokens(cc.Context(), newFileSession(c.world.Getenv, t.Server), tokens); err != nil {
				return err
			}
			return c.screen.done(nil, "your password is changed, and your other logins have ended")
		},
	}
	command.Flags().BoolVar(&stdin, "password-stdin", false, "read both passwords from standard input")
	return command
}

// keepTokens keeps what a login gave in place of what there was.
func keepTokens(ctx context.Context, session *fileSession, tokens client.Tokens) error {
	_, err := session.Update(ctx, func(client.Tokens) (client.Tokens, error) { return tokens, nil })
	return err
}

// passwords reads the present password and the new one.
func (c *cmd) passwords(ctx context.Context, stdin bool) (old, now string, err error) {
	const otherwise = "naru passwd --password-stdin < FILE, with the present and the new password on a line each"
	if stdin {
		both, err := c.readSecret()
		old, now, ok := strings.Cut(strings.ReplaceAll(both, "\r\n", "\n"), "\n")
		if err == nil && (!ok || now == "" || strings.Contains(now, "\n")) {
			err = fault.New(fault.Invalid, "standard input", "it has not two lines").WithTry("%s", otherwise)
		}
		return old, now, err
	}
	if old, err = c.password(ctx, "present password: ", false, otherwise); err != nil {
		return "", "", err
	}
	now, err = c.newPassword(ctx, "", false, otherwise)
	return old, now, err
}

func (c *cmd) tokens() *cobra.Command {
	return c.family(&cobra.Command{
		Use:   "tokens [COMMAND]",
		Short: "List your API tokens; make and revoke them",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			all, err := cl.APITokens(cc.Context())
			if err != nil {
				return err
			}
			return list(c.screen, all, "no tokens; make one: naru tokens create NAME", []string{"NAME", "MADE", "ENDS"}, func(t client.APIToken) []string {
				return []string{t.Name, age(t.CreatedAt) + " ago", t.ExpiresAt.Local().Format("2006-01-02 15:04")}
			})
		},
	}, c.createToken(), &cobra.Command{
		Use: "revoke NAME", Short: "End a token at once", Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.DeleteAPIToken(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "%s works no longer", args[0])
		},
	})
}

func (c *cmd) createToken() *cobra.Command {
	var lifetime time.Duration
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token for a program, and print it once",
		Long:  "Makes a token that may do what you may, and prints it on standard output, this once. Programs give it as NARU_TOKEN, or as the header Authorization: Bearer.",
		Example: `  naru tokens create ci --lifetime 720h
  NARU_TOKEN=$(naru tokens create once) naru apps`,
		Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			if lifetime < 0 {
				return fault.New(fault.Invalid, "--lifetime", "%s is not a lifetime", lifetime).WithTry("write it as 720h")
			}
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			t, err := cl.CreateAPIToken(cc.Context(), client.NewAPIToken{Name: args[0], Lifetime: client.Duration(lifetime)})
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(t)
			}
			c.screen.say("%s", t.Token)
			fmt.Fprintf(c.world.Err, "%s works until %s and is not shown again; end it with: naru tokens revoke %s\n", t.Name, t.ExpiresAt.Local().Format("2006-01-02 15:04"), t.Name)
			return nil
		},
	}
	command.Flags().DurationVar(&lifetime, "lifetime", 0, "how long it works: 720h (default: the server's)")
	return command
}
