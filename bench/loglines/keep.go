package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/observe/logs/search"
	"naru/internal/run/spool"
)

var quiet = slog.New(slog.DiscardHandler)

// turn is how many lines are kept at once, as the importer takes them.
const turn = 5000

func open(dir string) (*logs.Book, error) {
	return logs.Open(filepath.Join(dir, "days"), logs.Limits{Days: 3}, time.Now, quiet)
}

// library appends the lines of a file.
func library(ctx context.Context, file, dir string) error {
	book, err := open(dir)
	if err != nil {
		return err
	}
	began := begin()
	n, some := 0, make([]logs.Line, 0, turn)
	flush := func() error {
		n += len(some)
		err := book.Append(ctx, some, nil)
		some = some[:0]
		return err
	}
	err = lines(file, func(text string) error {
		some = append(some, logs.Line{App: "a", Source: logs.App, Process: "web", Instance: "i-1", Stream: "stdout", Time: time.Now(), Text: text})
		if len(some) < turn {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	if err := book.Close(); err != nil {
		return err
	}
	return began.row("naru, as a library", n, dir)
}

// instance is naru-log with the end of the pipe that an app writes to.
type instance struct {
	cmd *exec.Cmd
	out *os.File
}

func start(dir, helper, name, app string, args ...string) (*instance, error) {
	spoolDir := filepath.Join(dir, "spool", name)
	if err := os.MkdirAll(filepath.Dir(spoolDir), 0o700); err != nil {
		return nil, err
	}
	if err := spool.Create(spoolDir, spool.Meta{Instance: name, App: app, Process: "web"}); err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(helper, append([]string{"--dir", spoolDir, "--line", "65536"}, args...)...)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{outR, errR, readyW}, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for _, f := range []*os.File{outR, errR, readyW, errW} {
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	if _, err := io.ReadAll(readyR); err != nil {
		return nil, err
	}
	return &instance{cmd, outW}, readyR.Close()
}

func (i *instance) end() error {
	if err := i.out.Close(); err != nil {
		return err
	}
	return i.cmd.Wait()
}

// whole has a process of its own write the lines of a file to naru-log, whose spool
// is imported meanwhile. The helper's bound makes it drop nothing. What it takes to
// write is the app's affair, as what it takes to send is of those who log to rsyslog.
func whole(ctx context.Context, file, dir, helper string) error {
	book, err := open(dir)
	if err != nil {
		return err
	}
	defer book.Close() //nolint:errcheck // it was read from last
	i, err := start(dir, helper, "i-1", "a", "--bound", fmt.Sprint(int64(64)<<30))
	if err != nil {
		return err
	}
	began := begin()
	app := exec.Command("cat", file)
	app.Stdout, app.Stderr = i.out, os.Stderr
	fed := make(chan error, 1)
	go func() {
		err := app.Run()
		if err == nil {
			err = i.end()
		}
		fed <- err
	}()
	im := logs.NewImporter(filepath.Join(dir, "spool"), book, time.Millisecond, 0, quiet)
	for {
		more, err := im.Import(ctx)
		if err != nil {
			return err
		}
		if left, err := spool.Instances(filepath.Join(dir, "spool")); err != nil || len(left) == 0 {
			break
		}
		if !more {
			time.Sleep(time.Millisecond)
		}
	}
	if err := <-fed; err != nil {
		return err
	}
	n, err := book.Behind(ctx, "a", logs.Cursor{})
	if err != nil {
		return err
	}
	began.all += app.ProcessState.UserTime() + app.ProcessState.SystemTime()
	return began.row("naru, pipe to naru-log to spool to importer", int(n), filepath.Join(dir, "days"))
}

// searched times searches, each three times; the best counts.
func searched(ctx context.Context, dir string, asks []string) error {
	book, err := open(dir)
	if err != nil {
		return err
	}
	defer book.Close() //nolint:errcheck // it was only read from
	for _, ask := range asks {
		e, err := search.Parse(ask)
		if err != nil {
			return err
		}
		best, cost, found := time.Hour, time.Duration(0), 0
		for range 3 {
			b, n := begin(), 0
			page := logs.Page{More: true}
			for page.More {
				if page, err = book.Read(ctx, logs.Query{App: "a", After: page.Next, Search: e, Limit: 100_000}); err != nil {
					return err
				}
				n += len(page.Lines)
			}
			if took := time.Since(b.at); took < best {
				best, cost, found = took, cpu(0)-b.own, n
			}
		}
		fmt.Printf("%-44s %9d found %8.3f s %8.3f s CPU\n", "naru: "+ask, found, best.Seconds(), cost.Seconds())
	}
	return nil
}
