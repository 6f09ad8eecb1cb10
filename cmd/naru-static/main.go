// Command naru-static serves a folder of files over HTTP. naru puts it into the
// images of static sites; it reads $PORT and stops at SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"naru/internal/build/static"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stderr)) }

func run(ctx context.Context, args []string, getenv func(string) string, errs io.Writer) int {
	flags := flag.NewFlagSet("naru-static", flag.ContinueOnError)
	flags.SetOutput(errs)
	root := flags.String("root", ".", "folder with the files")
	spa := flags.Bool("spa", false, "answer unknown paths with index.html")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal drains; a second one kills

	port := getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := serve(ctx, net.JoinHostPort("", port), *root, *spa); err != nil {
		fmt.Fprintln(errs, "naru-static:", err)
		return 1
	}
	return 0
}

// serve answers until ctx ends, then finishes what it began.
func serve(ctx context.Context, address, root string, spa bool) error {
	handler, err := static.New(root, static.Options{SPA: spa})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
