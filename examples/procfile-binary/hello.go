// Command hello greets over HTTP, or with -work counts without a port.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	work := flag.Bool("work", false, "count instead of listening")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *work {
		count(ctx)
		return
	}
	serve(ctx)
}

func count(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		log.Printf("work %d", n)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func serve(ctx context.Context) {
	port := os.Getenv("PORT")
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Hello from a program of your own")
	})
	srv := &http.Server{Addr: ":" + port}
	context.AfterFunc(ctx, func() { _ = srv.Shutdown(context.Background()) })
	log.Printf("listening on %s", port)
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
