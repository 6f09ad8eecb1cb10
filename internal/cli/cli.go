// Package cli is the command line: one file per command, each of which speaks to
// a server through package client and to a person through a Screen.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
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
	screen   *Screen
	patience time.Duration // for a server that does not answer; 0: the client's own
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
		c.screen = newScreen(w, c.flags.json, c.flags.noColor)
	}
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil: // whatever the command makes of it, the person knows why it ended
		c.screen.rest()
		return 130
	}
	c.screen.fail(err)
	var ended endedBadly
	if fault.Is(err, fault.Invalid) && !errors.As(err, &ended) {
		return 2
	}
	return 1
}

// endedBadly says that the command was right and what it began went wrong.
type endedBadly struct{ error }

func (e endedBadly) Unwrap() error { return e.error }

// exitCode ends the program with a code and says nothing.
type exitCode int

func (exitCode) Error() string { return "exit" }

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
	t.Server = address(t.Server)
	opts := client.Options{UserAgent: "naru/" + version.Version, Waiting: c.screen.waiting, Patience: c.patience}
	if token := c.world.Getenv("NARU_TOKEN"); token != "" {
		opts.Session = client.Static(token)
	} else {
		opts.Session = newFileSession(c.world.Getenv, t.Server)
	}
	if opts.HTTP, err = trusted(c.world.Getenv, t.Server); err != nil {
		return nil, t, err
	}
	cl, err := client.New(t.Server, opts)
	return cl, t, err
}

// address completes what a person writes for a server.
func address(text string) string {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	return strings.TrimSuffix(text, "/")
}

// space returns a client of the targeted space.
func (c *cmd) space() (*client.InSpace, error) {
	cl, t, err := c.connect()
	if err != nil {
		return nil, err
	}
	return cl.In(t.Org, t.Space), nil
}

// inApp returns a client of an app.
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
