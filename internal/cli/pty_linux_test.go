package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"naru/internal/cli"
	"naru/internal/client"
	"naru/internal/run"
)

// desk is a person's terminal: what they see is kept, what they type is sent.
type desk struct {
	t       testing.TB
	keys    *os.File // the person's side
	program *os.File // the program's side

	mu   sync.Mutex // guards seen
	seen bytes.Buffer
	more *sync.Cond
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminal on this machine: %v", err)
	}
	must(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	must(t, err)
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	d := &desk{t: t, keys: keys, program: program}
	d.more = sync.NewCond(&d.mu)
	d.resize(100, 30)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			d.mu.Lock()
			d.seen.Write(buf[:n])
			d.more.Broadcast()
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = program.Close(); _ = keys.Close() })
	return d
}

func (d *desk) resize(columns, rows uint16) {
	d.t.Helper()
	must(d.t, unix.IoctlSetWinsize(int(d.program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}))
}

func (d *desk) types(text string) {
	d.t.Helper()
	_, err := d.keys.WriteString(text)
	must(d.t, err)
}

// waitFor returns what was seen once text is part of it.
func (d *desk) waitFor(text string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !strings.Contains(d.seen.String(), text) {
		d.more.Wait()
	}
	return d.seen.String()
}

// naru runs a command at the terminal.
func (d *desk) naru(p *platform, home string, args ...string) int {
	return cli.Run(d.t.Context(), cli.World{Args: args, Dir: home, In: d.program, Out: d.program, Err: d.program, Getenv: func(name string) string {
		return map[string]string{"NARU_HOME": home, "NARU_SERVER": p.url(), "NARU_TOKEN": p.token()}[name]
	}})
}

func TestTerminalShowsALivingLine(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	folder(t, home, "shop")
	release := p.hold("push")
	defer release()
	end := make(chan int, 1)
	go func() { end <- d.naru(p, home, "push", "shop", "--path", "shop") }()
	d.waitFor("⠋")
	release()
	if got := <-end; got != 0 {
		t.Errorf("exit code %d", got)
	}
	seen := d.waitFor("http://shop.localhost/")
	for _, want := range []string{"\x1b[32m✓\x1b[0m source ", "\r\x1b[2K", "\x1b[32m✓\x1b[0m live "} {
		if !strings.Contains(seen, want) {
			t.Errorf("the terminal never showed %q:\n%q", want, seen)
		}
	}
	if strings.Contains(seen, "· build") {
		t.Errorf("plain lines on a terminal:\n%q", seen)
	}
}

func TestNoColor(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	folder(t, home, "shop")
	if got := d.naru(p, home, "push", "shop", "--path", "shop", "--no-color"); got != 0 {
		t.Errorf("exit code %d", got)
	}
	if seen := d.waitFor("http://shop.localhost/"); strings.Contains(seen, "\x1b[3") {
		t.Errorf("colours although none were wanted:\n%q", seen)
	}
}

func TestExecHandsTheTerminalOver(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	folder(t, home, "shop")
	if got := d.naru(p, home, "push", "shop", "--path", "shop"); got != 0 {
		t.Fatalf("exit code %d", got)
	}
	p.mu.Lock()
	p.inner = func(x run.ExecSpec) (int, error) {
		first := <-x.Resize
		fmt.Fprintf(x.Stdout, "size %dx%d\r\n", first.Columns, first.Rows)
		key := make([]byte, 1)
		if _, err := x.Stdin.Read(key); err != nil {
			return 1, err
		}
		fmt.Fprintf(x.Stdout, "key %d\r\n", key[0])
		again := <-x.Resize
		fmt.Fprintf(x.Stdout, "size %dx%d\r\n", again.Columns, again.Rows)
		return 7, nil
	}
	p.mu.Unlock()
	before, err := term.GetState(int(d.program.Fd()))
	must(t, err)

	end := make(chan int, 1)
	go func() { end <- d.naru(p, home, "exec", "shop") }()
	d.waitFor("size 100x30")
	d.types("\x03") // Ctrl-C belongs to the command
	d.waitFor("key 3")
	d.resize(120, 40)
	must(t, unix.Kill(os.Getpid(), unix.SIGWINCH)) // as the kernel tells the foreground process
	d.waitFor("size 120x40")
	if got := <-end; got != 7 {
		t.Errorf("exit code %d, want the command's own 7", got)
	}
	after, err := term.GetState(int(d.program.Fd()))
	must(t, err)
	if *after != *before {
		t.Errorf("the terminal is not as it was: %+v, before %+v", after, before)
	}
}

func TestSecretsAreAskedForWithoutEcho(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	_, err := p.CreateApp(t.Context(), ask, p.space.ID, "shop")
	must(t, err)
	end := make(chan int, 1)
	go func() { end <- d.naru(p, home, "set-env", "shop", "--secret", "TOKEN") }()
	d.waitFor("value of TOKEN: ")
	d.types("hunter2\n")
	if got := <-end; got != 0 {
		t.Errorf("exit code %d", got)
	}
	if seen := d.waitFor("kept for the next release"); strings.Contains(seen, "hunter2") {
		t.Errorf("the secret was shown:\n%q", seen)
	}
	a, err := p.store.AppNamed(t.Context(), p.space.ID, "shop")
	must(t, err)
	if len(a.Draft.Secrets) != 1 || a.Draft.Secrets[0] != "TOKEN" {
		t.Errorf("secrets of the draft: %v", a.Draft.Secrets)
	}
}

func TestInterruptAtAPromptGivesTheTerminalBack(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	before, err := term.GetState(int(d.program.Fd()))
	must(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	end := make(chan int, 1)
	go func() {
		end <- cli.Run(ctx, cli.World{Args: []string{"login", p.url()}, In: d.program, Out: d.program, Err: d.program, Getenv: func(name string) string {
			return map[string]string{"NARU_HOME": home}[name]
		}})
	}()
	d.waitFor("password of admin: ")
	interrupt()
	if got := <-end; got != 130 {
		t.Errorf("exit code %d, want 130", got)
	}
	after, err := term.GetState(int(d.program.Fd()))
	must(t, err)
	if *after != *before {
		t.Errorf("the terminal is not as it was: %+v, before %+v", after, before)
	}
}

func TestPasswordsOfARouteAreAskedForTwice(t *testing.T) {
	p, d, home := newPlatform(t), newDesk(t), t.TempDir()
	a, err := p.CreateApp(t.Context(), ask, p.space.ID, "shop")
	must(t, err)
	_, err = p.MapRoute(t.Context(), ask, a.ID, client.NewRoute{Host: "shop"})
	must(t, err)
	end := make(chan int, 1)
	go func() { end <- d.naru(p, home, "route", "set", "shop", "auth.user=ann", "https=on") }()
	d.waitFor("new password of ann: ")
	d.types("correct horse\n")
	d.waitFor("once more: ")
	d.types("correct horse\n")
	if got := <-end; got != 0 {
		t.Errorf("exit code %d", got)
	}
	if seen := d.waitFor("shop.localhost has rules for https, auth"); strings.Contains(seen, "correct horse") {
		t.Errorf("the password was shown:\n%q", seen)
	}
}
