package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"naru/internal/observe/logs"
)

const (
	floodFor = 20 * time.Second
	flood    = 1_000_000 // lines a second
	calm     = 100 * time.Millisecond
)

// fair has one app write a million lines a second, with the limits that are usual,
// and another ten, and tells how long those took to be seen.
func fair(ctx context.Context, dir, helper string) error {
	book, err := open(dir)
	if err != nil {
		return err
	}
	defer book.Close() //nolint:errcheck // it was read from last
	loud, err := start(dir, helper, "1-loud", "loud", "--rate", "8388608", "--bound", "134217728")
	if err != nil {
		return err
	}
	soft, err := start(dir, helper, "2-soft", "soft", "--rate", "8388608", "--bound", "134217728")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() {
		ran <- logs.NewImporter(filepath.Join(dir, "spool"), book, 200*time.Millisecond, 32<<20, quiet).Run(ctx)
	}()
	var written atomic.Int64
	end := time.Now().Add(floodFor)
	fed := make(chan error, 2)
	go func() { // a thousandth of a second at a time
		some := bytes.Repeat([]byte("a line that says that something has happened, again and again, as before it\n"), flood/100)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for time.Now().Before(end) {
			if _, err := loud.out.Write(some); err != nil {
				fed <- err
				return
			}
			written.Add(flood / 100)
			<-tick.C
		}
		fed <- loud.end()
	}()
	go func() {
		tick := time.NewTicker(calm)
		defer tick.Stop()
		for time.Now().Before(end) {
			<-tick.C
			if _, err := fmt.Fprintln(soft.out, time.Now().UnixNano()); err != nil {
				fed <- err
				return
			}
		}
		fed <- soft.end()
	}()
	delays, err := seen(ctx, book, end.Add(5*time.Second))
	if err != nil {
		return err
	}
	for range 2 {
		if err := <-fed; err != nil {
			return err
		}
	}
	stop()
	if err := <-ran; err != nil {
		return err
	}
	kept, dropped := int64(0), int64(0)
	for page := (logs.Page{More: true}); page.More; {
		if page, err = book.Read(context.Background(), logs.Query{App: "loud", After: page.Next, Limit: 100_000}); err != nil {
			return err
		}
		for _, l := range page.Lines {
			if dropped += l.Dropped; l.Dropped == 0 {
				kept++
			}
		}
	}
	fmt.Printf("%d lines/s written; %d kept, %d dropped and said so, of %d\n", written.Load()/int64(floodFor.Seconds()), kept, dropped, written.Load())
	if len(delays) == 0 {
		return fmt.Errorf("no line of the other app was seen")
	}
	slices.Sort(delays)
	fmt.Printf("the other app: %d lines, seen after %s (median), %s (99 of 100), %s (the last)\n", len(delays),
		at(delays, 0.5), at(delays, 0.99), delays[len(delays)-1].Round(time.Millisecond))
	return nil
}

func at(sorted []time.Duration, part float64) time.Duration {
	return sorted[int(part*float64(len(sorted)-1))].Round(time.Millisecond)
}

// seen follows the quiet app until a time, and returns how old its lines were.
func seen(ctx context.Context, book *logs.Book, until time.Time) (out []time.Duration, err error) {
	news, stop := book.Changed("soft")
	defer stop()
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	var after logs.Cursor
	for {
		page, err := book.Read(ctx, logs.Query{App: "soft", After: after})
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for _, l := range page.Lines {
			said, err := strconv.ParseInt(l.Text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("a line of the other app is %q", l.Text)
			}
			out = append(out, now.Sub(time.Unix(0, said)))
		}
		after = page.Next
		select {
		case <-news:
		case <-late.C:
			return out, nil
		}
	}
}
