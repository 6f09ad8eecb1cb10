// Command naru takes an application from source to a running, routed, watched
// service: the platform's processes and the command line that speaks to it are
// roles of this one program.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"naru/internal/cli"
)

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

func run(ctx context.Context, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal ends the command, a second one the program
	return cli.Run(ctx, cli.World{
		Args: args, Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Roles: roles(),
	})
}
