// Package cli is the command line: one file per command, each of which speaks to
// a server through package client and to a person through a Screen.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/version"
)

// World is what a command line runs in; tests bring their own.
type World struct {
	Args   []string // without the program's name
	Getenv func(string) string
	Dir    string // where relative paths start
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	// Roles are the commands of the server side (up, server, gateway, ...), which
	// this package does not link.
	Roles []*cobra.Command
}

// cmd is what every command has at hand.
type cmd struct {
	world World
	flags struct {
		server, org, space string
		json, noColor      bool
	}
	screen *Screen
}

// Run carries out a command line and returns the exit code: 0 done, 1 failed, 2
// used wrongly, 130 interrupted, or the exit code of a command that ran inside.
func Run(ctx context.Context, w World) int {
	c := &cmd{world: w}
	root := c.root()
	root.SetArgs(w.Args)
	root.SetIn(w.In)
	root.SetOut(w.Out)
	root.SetErr(w.Err)
	err := root.ExecuteContext(ctx)
	if c.screen == nil {
		c.screen = newScreen(w, false, false)
	}
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return 130
	}
	c.screen.fail(err)
	if fault.Is(err, fault.Invalid) {
		return 2
	}
	return 1
}

// exitCode ends the program with a code and says nothing.
type exitCode int

func (exitCode) Error() string { return "exit" }

func (c *cmd) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "naru",
		Short:         "Push code, get a URL",
		Long:          "naru takes an application from source to a running, routed, watched service.\nIf the new version is worse than the old one, it notices and goes back.",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			c.screen = newScreen(c.world, c.flags.json, c.flags.noColor)
		},
	}
	root.SetFlagErrorFunc(func(cc *cobra.Command, err error) error {
		return fault.New(fault.Invalid, "", "%s", err).WithTry("%s --help", cc.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&c.flags.server, "server", "", "address of the naru server (default: where you logged in, $NARU_SERVER)")
	f.StringVarP(&c.flags.org, "org", "o", "", "organisation (default: as targeted, $NARU_ORG)")
	f.StringVarP(&c.flags.space, "space", "s", "", "space (default: as targeted, $NARU_SPACE)")
	f.BoolVar(&c.flags.json, "json", false, "print JSON")
	f.BoolVar(&c.flags.noColor, "no-color", false, "print without colours (also $NO_COLOR)")

	groups := []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"apps", "Apps:", []*cobra.Command{c.push(), c.apps(), c.app(), c.logs(), c.scale(), c.start(), c.stop(), c.restart(), c.delete()}},
		{"releases", "Releases:", []*cobra.Command{c.releases(), c.rollback()}},
		{"account", "Logging in:", []*cobra.Command{c.login()}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, one := range g.commands {
			one.GroupID = g.id
			root.AddCommand(one)
		}
	}
	if len(w(c).Roles) > 0 {
		root.AddGroup(&cobra.Group{ID: "server", Title: "The platform:"})
		for _, one := range w(c).Roles {
			one.GroupID = "server"
			root.AddCommand(one)
		}
	}
	return root
}

func w(c *cmd) World { return c.world }

// connect makes a client with the login that was kept.
func (c *cmd) connect() (*client.Client, Target, error) {
	kept, err := loadTarget(c.world.Getenv)
	if err != nil {
		return nil, kept, err
	}
	t := kept
	for _, from := range []struct{ field, flag, env string }{
		{"server", c.flags.server, "NARU_SERVER"}, {"org", c.flags.org, "NARU_ORG"}, {"space", c.flags.space, "NARU_SPACE"},
	} {
		value := from.flag
		if value == "" {
			value = c.world.Getenv(from.env)
		}
		if value == "" {
			continue
		}
		switch from.field {
		case "server":
			t.Server = value
		case "org":
			t.Org = value
		case "space":
			t.Space = value
		}
	}
	if t.Server == "" {
		return nil, t, fault.New(fault.Unauthenticated, "", "not logged in to a server").
			WithTry("naru login http://HOST:PORT (naru up prints the whole line)")
	}
	opts := client.Options{UserAgent: "naru/" + version.Version, Waiting: c.screen.waiting}
	if token := c.world.Getenv("NARU_TOKEN"); token != "" {
		opts.Session = client.Static(token)
	} else {
		opts.Session = newFileSession(c.world.Getenv, t.Server)
	}
	cl, err := client.New(t.Server, opts)
	return cl, t, err
}

// space returns a client of the targeted space.
func (c *cmd) space() (*client.InSpace, error) {
	cl, t, err := c.connect()
	if err != nil {
		return nil, err
	}
	return cl.In(t.Org, t.Space), nil
}

// app returns a client of an app.
func (c *cmd) inApp(name string) (*client.InApp, error) {
	s, err := c.space()
	if err != nil {
		return nil, err
	}
	return s.App(name), nil
}

// dir returns where relative paths start.
func (c *cmd) dir() string {
	if c.world.Dir != "" {
		return c.world.Dir
	}
	if d, err := os.Getwd(); err == nil {
		return d
	}
	return "."
}

// age prints how long ago something was, in one unit.
func age(t time.Time) string {
	d := time.Since(t)
	switch {
	case t.IsZero():
		return "-"
	case d < time.Minute:
		return plural(int(d.Seconds()), "s")
	case d < time.Hour:
		return plural(int(d.Minutes()), "m")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "h")
	}
	return plural(int(d.Hours()/24), "d")
}
