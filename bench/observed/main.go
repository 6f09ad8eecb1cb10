// Command observed is a gateway, and a control plane that drops what gateways tell
// unread: what the gateway takes more when it is observed is what observing costs on
// its path, and nothing else.
//
//	observed hub SOCKET TABLE
//	observed gateway [-control SOCKET] [-table FILE] [-log FILE -sample SHARE] [-spans SHARE] LISTEN
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"naru/internal/route/accesslog"
	"naru/internal/route/gateway"
	"naru/internal/route/hub"
	"naru/internal/route/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observed:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("observed hub SOCKET TABLE, or observed gateway [-control SOCKET] [-table FILE] [-log FILE -sample SHARE] [-spans SHARE] LISTEN")

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "hub":
		return plane(ctx, args[1], args[2])
	case len(args) > 1 && args[0] == "gateway":
		return serve(ctx, args[1:])
	}
	return errUsage
}

// plane gives each gateway the table, and reads no more of what it tells than it
// takes to throw it away.
func plane(ctx context.Context, socket, file string) error {
	table, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	ln, err := hub.Listen(socket, 0)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			if _, err := wire.Read(conn, wire.DefaultMaxFrame); err != nil {
				return
			}
			if err := wire.Write(conn, &wire.Message{Table: table}); err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("observed gateway", flag.ContinueOnError)
	cfg := gateway.Config{TraceFirst: -1, TraceShare: -1}
	flags.StringVar(&cfg.Control, "control", "", "socket of the control plane")
	flags.StringVar(&cfg.TableFile, "table", "", "table to serve without one")
	path := flags.String("log", "", "access log")
	sample := flags.Float64("sample", 1, "share of the requests it has")
	share := flags.Float64("spans", 0, "share of the requests that have a span")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errUsage
	}
	if *share > 0 {
		cfg.TraceShare = *share
	}
	debug.SetGCPercent(200) // as naru gateway does
	log := slog.New(slog.DiscardHandler)
	if *path != "" {
		to, err := accesslog.New(accesslog.Options{Format: accesslog.JSON, Path: *path, Sample: *sample}, log)
		if err != nil {
			return err
		}
		cfg.Recorder = to
		written := make(chan error, 1)
		go func() { written <- to.Run(ctx) }()
		defer func() { <-written }()
	}
	g, err := gateway.New(cfg, log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", flags.Arg(0))
	if err != nil {
		return err
	}
	return g.Run(ctx, []net.Listener{ln})
}
