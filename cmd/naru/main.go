// Command naru takes an application from source to a running, routed, watched
// service: the platform's processes and the command line that speaks to it are
// roles of this one program.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"naru/internal/cli"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the command, a second one the program
	return cli.Run(ctx, cli.World{Args: args, Getenv: getenv, In: in, Out: out, Err: errs, Roles: roles()})
}
