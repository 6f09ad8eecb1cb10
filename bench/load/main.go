// Command load puts a steady load on a gateway and measures what its clients
// see: requests are sent when their time has come whether or not the ones
// before were answered (an open loop), and time is counted from when they were
// to be sent. It also holds idle connections and speaks through WebSockets.
//
//	load open -rate 5000 -conns 32 -for 10s ADDRESS HOST PATH
//	load idle -conns 10000 ADDRESS HOST PATH    until its input ends
//	load sockets -conns 32 -for 10s ADDRESS HOST PATH    WebSockets that echo
//	load echo ADDRESS                           the app behind those
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("load open|idle|sockets [-rate N] [-conns N] [-for DURATION] ADDRESS HOST PATH, or load echo ADDRESS")

func run(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	rate := flags.Int("rate", 1000, "requests a second")
	conns := flags.Int("conns", 32, "connections")
	long := flags.Duration("for", 10*time.Second, "how long")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "echo" && flags.NArg() == 1 {
		return echo(context.Background(), flags.Arg(0))
	}
	if flags.NArg() != 3 || *conns < 1 || *rate < 1 {
		return errUsage
	}
	t := target{flags.Arg(0), fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", flags.Arg(2), flags.Arg(1))}
	switch args[0] {
	case "open":
		return t.open(*rate, *conns, *long)
	case "idle":
		return t.idle(*conns)
	case "sockets":
		t.request = fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", flags.Arg(2), flags.Arg(1))
		return t.sockets(*conns, *long)
	}
	return errUsage
}

type target struct{ address, request string }

// client is one connection.
type client struct {
	net.Conn
	in      *bufio.Reader
	request string
}

func (t target) dial() (*client, error) {
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", t.address)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 4096), t.request}, nil
}

func (c *client) ask() error {
	if _, err := io.WriteString(c, c.request); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// open sends at a steady rate over all connections, each of which was answered once
// before, and prints quantiles.
func (t target) open(rate, conns int, long time.Duration) error {
	var (
		sending sync.WaitGroup
		mu      sync.Mutex // guards what follows
		took    []time.Duration
		failed  error
	)
	clients := make([]*client, conns)
	for i := range clients { // before the time begins: making them is not what is measured
		c, err := t.dial()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := c.ask(); err != nil {
			return err
		}
		clients[i] = c
	}
	begin := time.Now().Add(100 * time.Millisecond)
	due, enough := int64(long)*int64(rate)/int64(time.Second), begin.Add(2*long) // who cannot keep up is not waited for
	step := time.Second * time.Duration(conns) / time.Duration(rate)
	for i, c := range clients {
		sending.Go(func() {
			var mine []time.Duration
			var err error
			for at := begin.Add(step * time.Duration(i) / time.Duration(conns)); err == nil && at.Before(begin.Add(long)) && time.Now().Before(enough); at = at.Add(step) {
				time.Sleep(time.Until(at))
				err = c.ask()
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			failed = errors.Join(failed, err)
		})
	}
	sending.Wait()
	if failed != nil {
		return failed
	}
	if len(took) == 0 {
		return errors.New("it was too short for a single request")
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	fmt.Printf("%d requests  p50 %.2f ms  p99 %.2f ms  p99.9 %.2f ms  of %d\n", len(took), at(0.5), at(0.99), at(0.999), due)
	return nil
}

// idle opens connections, has each answered once and holds them until its input
// ends.
func (t target) idle(conns int) error {
	for range conns {
		c, err := t.dial()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := c.ask(); err != nil {
			return err
		}
	}
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
