// Command doors measures what one push takes through each of the two doors of a
// platform that runs: naru's own, by its client, and Cloud Foundry's, by the
// requests that its client sends or by that client. Both go through a tap that
// times every request; both end when the gateway is first answered by an
// instance that the push started.
//
//	doors -api URL -cf URL -apps ADDRESS -naru PROGRAM -source FOLDER -pid N [-client PROGRAM] [-rounds N]
//
// NARU_HOME is a login at the platform, in the space default/dev.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "doors:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("doors -api URL -cf URL -apps ADDRESS -naru PROGRAM -source FOLDER -pid N [-client PROGRAM] [-rounds N]")

func run(ctx context.Context, args []string) error {
	var b bench
	flags := flag.NewFlagSet("doors", flag.ContinueOnError)
	api := flags.String("api", "", "naru's own API")
	cf := flags.String("cf", "", "the API of Cloud Foundry")
	client := flags.String("client", "", "a client of Cloud Foundry's; absent: its requests are played")
	flags.StringVar(&b.apps, "apps", "", "where the gateway answers")
	flags.StringVar(&b.naru, "naru", "", "naru's client")
	flags.StringVar(&b.source, "source", "", "the app, a folder with server.js")
	flags.IntVar(&b.pid, "pid", 0, "the control plane, whose processor time is counted")
	flags.IntVar(&b.rounds, "rounds", 6, "how often each door is pushed through")
	flags.BoolVar(&b.where, "where", false, "print what each request takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *api == "" || *cf == "" || b.apps == "" || b.naru == "" || b.source == "" || b.pid == 0 || b.rounds < 1 || flags.NArg() > 0 {
		return errUsage
	}
	return b.measure(ctx, *api, *cf, *client)
}
