// Command naru-log keeps the output of one instance in its spool. It is started
// beside the instance, needs nothing of naru to go on, and lives until the
// output has ended: containerd's shim starts it as a logging binary, naru-init
// starts it for the process driver.
//
// Contract, containerd's: file descriptor 3 is the instance's standard output,
// 4 its standard error, 5 is closed when the reading has begun.
package main

import (
	"flag"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"naru/internal/run/spool"
)

func main() { os.Exit(run(os.Args[1:], 3)) }

// run copies from the descriptors first, first+1 and signals by closing first+2.
func run(args []string, first uintptr) int {
	flags := flag.NewFlagSet("naru-log", flag.ContinueOnError)
	dir := flags.String("dir", "", "the instance's folder in the spool")
	bound := flags.Int64("bound", 0, "bytes kept until they are read; 0: 128 MiB")
	rate := flags.Int64("rate", 0, "bytes kept a second in the long run; 0: all")
	line := flags.Int("line", 0, "bytes of the longest line kept in one piece; 0: 16 KiB")
	if err := flags.Parse(args); err != nil || *dir == "" {
		return 2
	}

	// There is one such process for every instance: be small before being fast.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)

	// The output's end is the only thing that ends this program. Being asked to
	// stop would lose the last lines and kill the writer with a broken pipe.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	stdout := os.NewFile(first, "stdout")
	stderr := os.NewFile(first+1, "stderr")
	if ready := os.NewFile(first+2, "ready"); ready != nil {
		ready.Close() // closing is the message
	}
	if err := spool.Copy(*dir, reader(stdout), reader(stderr), spool.Options{Bound: *bound, Rate: *rate, Line: *line}); err != nil {
		return 1
	}
	return 0
}

// reader keeps a nil file from becoming a reader that is not nil.
func reader(f *os.File) io.Reader {
	if f == nil {
		return nil
	}
	return f
}
