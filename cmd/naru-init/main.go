//go:build unix

// Command naru-init is the parent of one instance of the process driver. It
// outlives naru, so that how the instance ended is known afterwards, and takes
// all of the instance's processes with it when it goes.
//
//	naru-init --dir DIR [--log NARU-LOG --spool DIR ...] [--tty] [--signal N] -- COMMAND [ARGUMENTS]
//
// It holds a lock on DIR/lock while it lives, writes DIR/state when the command
// runs and DIR/exit when it has ended, each at once or not at all. Descriptor 3
// takes what went wrong before the command ran, and is closed when it runs. TERM
// passes the stop signal on; USR1 kills. Its environment is the command's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"naru/internal/run/process/ward"
)

func main() { os.Exit(run(os.Args[1:])) }

type options struct {
	dir, log, spool string
	bound, rate     int64
	line            int
	tty, attached   bool
	signal          int
	chdir           string
	argv            []string
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("naru-init", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "folder of the instance")
	flags.StringVar(&o.chdir, "chdir", "", "working directory of the command")
	flags.StringVar(&o.log, "log", "", "path of naru-log")
	flags.StringVar(&o.spool, "spool", "", "folder of the instance's output")
	flags.Int64Var(&o.bound, "bound", 0, "bytes of output kept")
	flags.Int64Var(&o.rate, "rate", 0, "bytes of output kept a second")
	flags.IntVar(&o.line, "line", 0, "bytes of the longest line kept in one piece")
	flags.BoolVar(&o.attached, "attached", false, "the command has this program's input and output")
	flags.BoolVar(&o.tty, "tty", false, "they are a terminal")
	flags.IntVar(&o.signal, "signal", int(syscall.SIGTERM), "signal that asks the command to stop")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.argv = flags.Args()
	if o.dir == "" || len(o.argv) == 0 {
		return o, errors.New("a folder and a command are needed")
	}
	return o, nil
}

func run(args []string) int {
	ready := os.NewFile(3, "ready")
	syscall.CloseOnExec(3)
	o, err := parse(args)
	if err == nil {
		err = serve(o, ready)
	}
	if err != nil {
		fmt.Fprint(ready, err) // nobody may be listening any more
		return 1
	}
	return 0
}

// serve runs the command and writes down its end.
func serve(o options, ready io.Closer) error {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread() // on Linux a child is killed when the thread that made it ends
	lock, err := ward.Lock(o.dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := adoptOrphans(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGINT, syscall.SIGHUP)

	cmd := exec.Command(o.argv[0], o.argv[1:]...)
	cmd.Dir = o.chdir
	cmd.SysProcAttr = childAttr(o.tty)
	logger, err := connect(cmd, o)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, finish(logger))
	}
	for _, f := range []any{cmd.Stdout, cmd.Stderr} {
		if f, ok := f.(*os.File); ok && !o.attached {
			f.Close() // ours; the command has its own
		}
	}
	state := ward.State{Init: os.Getpid(), PID: cmd.Process.Pid, Started: time.Now().UTC()}
	if err := ward.WriteState(o.dir, state); err != nil {
		killAll(cmd.Process.Pid)
		return errors.Join(err, cmd.Wait())
	}
	ready.Close()

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for waiting := true; waiting; {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGTERM:
				_ = syscall.Kill(-cmd.Process.Pid, syscall.Signal(o.signal)) // it may have ended meanwhile
			case syscall.SIGUSR1:
				killAll(cmd.Process.Pid)
			}
		case <-ended: // how is in cmd.ProcessState
			waiting = false
		}
	}
	exit := ward.Exit{At: time.Now().UTC()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		exit.Code = status.ExitStatus()
		if status.Signaled() {
			exit.Signal = int(status.Signal())
			exit.Code = 128 + exit.Signal
		}
	}
	killAll(cmd.Process.Pid)
	if err := finish(logger); err != nil {
		return errors.Join(err, ward.WriteExit(o.dir, exit))
	}
	return ward.WriteExit(o.dir, exit)
}

// connect gives the command its output: the log helper, or this program's own.
func connect(cmd *exec.Cmd, o options) (logger *exec.Cmd, err error) {
	if o.attached {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return nil, nil
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
	logger = exec.Command(o.log, "--dir", o.spool, "--bound", strconv.FormatInt(o.bound, 10), "--rate", strconv.FormatInt(o.rate, 10), "--line", strconv.Itoa(o.line))
	logger.ExtraFiles = []*os.File{outR, errR, readyW}
	logger.Env = []string{}
	logger.SysProcAttr = loggerAttr()
	if err := logger.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(o.log), err)
	}
	outR.Close()
	errR.Close()
	readyW.Close()
	_, _ = io.ReadAll(readyR) // its end is the message
	readyR.Close()
	cmd.Stdout, cmd.Stderr = outW, errW
	return logger, nil
}

// finish waits for the log helper to have written all there is; what holds the
// output open beyond the instance is not waited for.
func finish(logger *exec.Cmd) error {
	if logger == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- logger.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Second):
		return errors.Join(errors.New("the log helper does not end"), logger.Process.Kill())
	}
}
