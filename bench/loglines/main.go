// Command loglines measures what keeping and searching logs costs.
//
//	loglines make N                 N lines as apps write them, always the same, to standard output
//	loglines append FILE DIR        the lines of a file into a log in a folder, as a library
//	loglines spool FILE DIR HELPER  the same through naru-log, its spool and the importer
//	loglines search DIR QUERY...    how long each search of that log takes, and what it finds
//	loglines send FILE ADDRESS      the lines to a syslog receiver, RFC 5424 over TCP
//	loglines fair DIR HELPER        one app writes a million lines a second, another ten: when those are seen
//
// Each prints one row: lines, seconds, seconds of processors, bytes on disk.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: loglines make|append|spool|search|send|fair …"))
	}
	ctx, args := context.Background(), os.Args[2:]
	var err error
	switch os.Args[1] {
	case "make":
		var n int
		if n, err = strconv.Atoi(args[0]); err == nil {
			err = write(os.Stdout, n)
		}
	case "append":
		err = library(ctx, args[0], args[1])
	case "spool":
		err = whole(ctx, args[0], args[1], args[2])
	case "search":
		err = searched(ctx, args[0], args[1:])
	case "send":
		err = send(args[0], args[1])
	case "fair":
		err = fair(ctx, args[0], args[1])
	}
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "loglines:", err)
		os.Exit(1)
	}
}

// begun is when something began, and what the processors had done by then, or do
// for others.
type begun struct {
	at       time.Time
	own, all time.Duration
}

func begin() begun { return begun{time.Now(), cpu(syscall.RUSAGE_SELF), cpu(syscall.RUSAGE_CHILDREN)} }

func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		fail(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// row prints what came of it; dir is measured where it is named.
func (b begun) row(what string, lines int, dir string) error {
	took := time.Since(b.at)
	used := cpu(syscall.RUSAGE_SELF) - b.own + cpu(syscall.RUSAGE_CHILDREN) - b.all
	fmt.Printf("%-44s %9d lines %8.2f s %8.2f s CPU %9.0f lines/s", what, lines, took.Seconds(), used.Seconds(), float64(lines)/took.Seconds())
	if dir != "" {
		size, err := sizeOf(dir)
		if err != nil {
			return err
		}
		fmt.Printf(" %7.1f MiB", float64(size)/(1<<20))
	}
	fmt.Println()
	return nil
}

func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// lines calls do with each line of a file.
func lines(path string, do func(text string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read from
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<20), 1<<20)
	for s.Scan() {
		if err := do(s.Text()); err != nil {
			return err
		}
	}
	return s.Err()
}
