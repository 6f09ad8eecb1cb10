package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) login() *cobra.Command {
	var user, code string
	var stdin bool
	command := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Log in to a naru server",
		Long:  "Logs in and keeps the login for later commands. naru up prints a line with a one-time code;\nwithout a code the password is asked for, or read from standard input with --password-stdin.",
		Example: `  naru login http://127.0.0.1:7070 --code 4f7k-…
  naru login http://127.0.0.1:7070 --user admin`,
		Args: maximum(1),
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
			if !strings.Contains(server, "://") {
				server = "http://" + server
			}
			cl, err := client.New(server, client.Options{Waiting: c.screen.waiting, Patience: -1})
			if err != nil {
				return err
			}
			tokens, err := c.authenticate(cc.Context(), cl, user, code, stdin)
			if err != nil {
				return err
			}
			session := newFileSession(c.world.Getenv, cl.Address())
			if _, err := session.Update(cc.Context(), func(client.Tokens) (client.Tokens, error) { return tokens, nil }); err != nil {
				return err
			}
			if kept.Server != cl.Address() {
				info, err := cl.Info(cc.Context())
				if err != nil {
					return err
				}
				kept = Target{Server: cl.Address(), Org: info.DefaultOrg, Space: info.DefaultSpace}
			}
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
	password, err := c.password(fmt.Sprintf("password of %s: ", user), stdin)
	if err != nil {
		return client.Tokens{}, err
	}
	return cl.Login(ctx, user, password)
}

// password reads a password without showing it.
func (c *cmd) password(prompt string, stdin bool) (string, error) {
	if stdin {
		text, err := io.ReadAll(io.LimitReader(c.world.In, 64<<10))
		return strings.TrimRight(string(text), "\r\n"), err
	}
	if f, ok := c.world.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.world.Err, prompt)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.world.Err)
		return string(text), err
	}
	return "", fault.New(fault.Invalid, "password", "there is no terminal to ask for the password").
		WithTry("use --password-stdin, or --code with the line that naru up printed")
}

// confirm asks a person; without a terminal the answer is no.
func (c *cmd) confirm(question string) (bool, error) {
	f, ok := c.world.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, nil
	}
	fmt.Fprint(c.world.Err, question+" [y/N] ")
	answer, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
