// Command steady is an app that is visited while it is replaced. $FLAW makes a
// bad release of it.
package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

func main() {
	app := &app{release: os.Getenv("RELEASE"), flaw: os.Getenv("FLAW")}
	if ms, err := strconv.Atoi(os.Getenv("WORK_MS")); err == nil {
		app.work = time.Duration(ms) * time.Millisecond
	}
	if n, err := strconv.Atoi(os.Getenv("FLAW_AFTER")); err == nil {
		app.after = int64(n)
	}
	app.fails, _ = strconv.ParseFloat(os.Getenv("FAILS"), 64)
	if app.flaw == "never" {
		fmt.Println("waiting for something that never comes")
		time.Sleep(time.Hour)
	}
	http.HandleFunc("/{$}", app.page)
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "fine") })
	http.HandleFunc("/up", app.up)
	http.HandleFunc("/slow", slow)
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/socket", socket)
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}

type app struct {
	release, flaw string
	work          time.Duration // of a page
	after         int64         // pages that are fine before the flaw shows
	fails         float64       // share of pages, by chance
	asked         atomic.Int64
}

// up is what the gateway asks.
func (a *app) up(w http.ResponseWriter, _ *http.Request) {
	if a.flaw == "unwell" && a.asked.Load() >= a.after {
		http.Error(w, "unwell", http.StatusServiceUnavailable)
	}
}

// page answers with the release, which is how a test knows who did.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	n := a.asked.Add(1) - a.after
	took := a.work
	cannot := func() { http.Error(w, "steady "+a.release+" cannot", http.StatusInternalServerError) }
	switch {
	case n <= 0:
	case rand.Float64() < a.fails:
		cannot()
		return
	case a.flaw == "slow":
		took *= 5
	case a.flaw == "errors" && n%2 == 0, a.flaw == "lies": // the health check of both is fine
		cannot()
		return
	case a.flaw == "crash":
		fmt.Println("out of luck")
		os.Exit(3)
	}
	wait(r, took)
	fmt.Fprintf(w, "steady %s\n", a.release)
}

func slow(w http.ResponseWriter, r *http.Request) {
	if d, err := time.ParseDuration(r.URL.Query().Get("for")); err == nil {
		wait(r, d)
	}
	fmt.Fprint(w, "slow")
}

func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

func socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, text); err != nil {
			return
		}
	}
}
