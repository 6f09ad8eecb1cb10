package ssh_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"naru/internal/auth"
	"naru/internal/door/ssh"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/run"
)

const alice auth.UserID = "alice"

// house lets alice in, and runs commands on this machine.
type house struct {
	t      testing.TB
	codes  *ssh.Codes
	key    gossh.Signer
	addr   string
	shop   string // her app
	echo   string // address of a server that answers what it is told
	stop   func()
	mu     sync.Mutex
	denied []error
}

func open(t *testing.T, limits ssh.Limits) *house {
	t.Helper()
	key, err := ssh.LoadKey(filepath.Join(t.TempDir(), "keys", "host"))
	must(t, err)
	h := &house{t: t, codes: ssh.NewCodes(time.Minute, time.Now), key: key, shop: id.New()}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	srv := ssh.New(key, h.codes, h, h, limits, slog.New(slog.NewTextHandler(t.Output(), nil)))
	go func() { done <- srv.Run(ctx, ln) }()
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			cancel()
			must(t, <-done)
		})
	}
	t.Cleanup(h.stop)
	back, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = back.Close() })
	h.echo = back.Addr().String()
	go func() {
		for {
			conn, err := back.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	return h
}

func (h *house) Admit(_ context.Context, user auth.UserID, into ssh.Instance) (auth.Identity, error) {
	if user != alice || string(into.App) != h.shop {
		return auth.Identity{}, fault.New(fault.Denied, "", "%s may not", user)
	}
	return auth.Identity{UserID: user, Name: string(user)}, nil
}

func (h *house) Refused(_ context.Context, _ auth.UserID, _ ssh.Instance, _ string, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.denied = append(h.denied, why)
}

func (h *house) Exec(ctx context.Context, _ auth.Identity, in ssh.Instance, x run.ExecSpec) (int, error) {
	if in.Index > 0 {
		return 0, fault.New(fault.NotFound, "instance", "no instance %d of %s runs", in.Index, in.Process)
	}
	cmd := exec.CommandContext(ctx, x.Argv[0], x.Argv[1:]...)
	cmd.Env = append(os.Environ(), x.Env.Reveal()...)
	cmd.Stdout, cmd.Stderr = x.Stdout, x.Stderr
	feed, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if x.TTY { // as far as a pipe shows it
		size := <-x.Resize
		fmt.Fprintf(x.Stdout, "%dx%d\r\n", size.Columns, size.Rows)
		cmd.Env = append(cmd.Env, fmt.Sprintf("COLUMNS=%d", (<-x.Resize).Columns))
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() { _, _ = io.Copy(feed, x.Stdin); _ = feed.Close() }()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
		case <-x.Signals:
			_ = cmd.Process.Kill()
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 0 {
		return 137, nil
	}
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func (h *house) Dial(ctx context.Context, _ auth.Identity, _ ssh.Instance, addr string) (net.Conn, error) {
	if addr != "localhost:7777" {
		return nil, fault.New(fault.NotFound, "address", "nothing listens at %s", addr)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", h.echo)
}

func (h *house) code() string {
	h.t.Helper()
	code, err := h.codes.Issue(alice)
	must(h.t, err)
	return code.Reveal()
}

func (h *house) dial(user, code string) (*gossh.Client, error) {
	return gossh.Dial("tcp", h.addr, &gossh.ClientConfig{
		User: user, Auth: []gossh.AuthMethod{gossh.Password(code)}, HostKeyCallback: gossh.FixedHostKey(h.key.PublicKey()), Timeout: 10 * time.Second,
	})
}

func (h *house) in() *gossh.Client {
	h.t.Helper()
	c, err := h.dial("cf:"+h.shop+"/0", h.code())
	must(h.t, err)
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

func session(t *testing.T, c *gossh.Client) *gossh.Session {
	t.Helper()
	s, err := c.NewSession()
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestACodeWorksOnceAndForItsOwner(t *testing.T) {
	h := open(t, ssh.Limits{})
	code := h.code()
	c, err := h.dial("cf:"+h.shop+"/0", code)
	must(t, err)
	_ = c.Close()
	stranger, err := h.codes.Issue("bob")
	must(t, err)
	for name, try := range map[string][2]string{
		"a used code": {"cf:" + h.shop + "/0", code}, "no code": {"cf:" + h.shop + "/0", ""}, "a guess": {"cf:" + h.shop + "/0", "AAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"another's":      {"cf:" + h.shop + "/0", stranger.Reveal()},
		"another app":    {"cf:" + id.New() + "/0", h.code()},
		"no index":       {"cf:" + h.shop, h.code()},
		"a wrong index":  {"cf:" + h.shop + "/-1", h.code()},
		"another scheme": {"diego:" + h.shop + "/0", h.code()},
		"a path":         {"cf:../../" + h.shop + "/0", h.code()},
	} {
		if c, err := h.dial(try[0], try[1]); err == nil {
			_ = c.Close()
			t.Errorf("%s lets in", name)
		}
	}
	if len(h.denied) < 9 {
		t.Errorf("%d refusals were noted", len(h.denied))
	}
}

func TestCodesEnd(t *testing.T) {
	now := time.Now()
	codes := ssh.NewCodes(time.Minute, func() time.Time { return now })
	first, err := codes.Issue(alice)
	must(t, err)
	now = now.Add(time.Minute)
	if _, ok := ssh.Redeem(codes, first.Reveal()); ok {
		t.Error("it works after its time")
	}
	for range 100 {
		_, err = codes.Issue(alice)
		must(t, err)
	}
	if _, err := codes.Issue(alice); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the 101st waits too: %v", err)
	}
	if _, err := codes.Issue("bob"); err != nil {
		t.Errorf("one user takes all: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := codes.Issue(alice); err != nil {
		t.Errorf("old ones are in the way: %v", err)
	}
}

func TestCommands(t *testing.T) {
	h := open(t, ssh.Limits{})
	c := h.in()
	t.Run("output, errors and the exit code", func(t *testing.T) {
		s := session(t, c)
		var out, errs bytes.Buffer
		s.Stdout, s.Stderr = &out, &errs
		must(t, s.Setenv("GREETING", "it's fine"))
		err := s.Run(`echo "$GREETING"; echo bad >&2; exit 7`)
		var exit *gossh.ExitError
		if !errors.As(err, &exit) || exit.ExitStatus() != 7 || out.String() != "it's fine\n" || errs.String() != "bad\n" {
			t.Errorf("%v, %q, %q", err, &out, &errs)
		}
	})
	t.Run("10 MB through and the end of the input", func(t *testing.T) {
		data := make([]byte, 10_000_000)
		_, _ = rand.Read(data)
		s := session(t, c)
		var out bytes.Buffer
		s.Stdin, s.Stdout = bytes.NewReader(data), &out
		must(t, s.Run("cat"))
		if !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%d bytes came back of %d", out.Len(), len(data))
		}
	})
	t.Run("a signal", func(t *testing.T) {
		s := session(t, c)
		in, err := s.StdinPipe() // stays open
		must(t, err)
		out, err := s.StdoutPipe()
		must(t, err)
		must(t, s.Start("echo here; exec cat"))
		_, err = io.ReadFull(out, make([]byte, 5))
		must(t, err)
		must(t, s.Signal(gossh.SIGKILL))
		var exit *gossh.ExitError
		if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 137 {
			t.Errorf("ended with %v", err)
		}
		_ = in.Close()
	})
	t.Run("a terminal and its sizes", func(t *testing.T) {
		s := session(t, c)
		must(t, s.RequestPty("vt100", 31, 90, nil))
		out, err := s.StdoutPipe()
		must(t, err)
		must(t, s.Start(`echo $TERM $COLUMNS`))
		_, err = io.ReadFull(out, make([]byte, len("90x31\r\n")))
		must(t, err)
		must(t, s.WindowChange(42, 120))
		rest, err := io.ReadAll(out)
		must(t, err)
		if string(rest) != "vt100 120\n" {
			t.Errorf("told %q", rest)
		}
	})
	t.Run("a shell", func(t *testing.T) {
		s := session(t, c)
		var out bytes.Buffer
		s.Stdin, s.Stdout = strings.NewReader("echo $((6*7))\nexit 3\n"), &out
		must(t, s.Shell())
		var exit *gossh.ExitError
		if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 || out.String() != "42\n" {
			t.Errorf("%v, %q", err, &out)
		}
	})
	t.Run("sftp without a server in the image says so", func(t *testing.T) {
		if _, err := os.Stat("/usr/lib/openssh/sftp-server"); err == nil {
			t.Skip("this machine, which stands for the image, has one")
		}
		channel, requests, err := c.OpenChannel("session", nil)
		must(t, err)
		go gossh.DiscardRequests(requests)
		ok, err := channel.SendRequest("subsystem", true, gossh.Marshal(struct{ Name string }{"sftp"}))
		must(t, err)
		said, err := io.ReadAll(channel.Stderr())
		must(t, err)
		if !ok || !strings.Contains(string(said), "scp -O") {
			t.Errorf("%v, %q", ok, said)
		}
	})
	t.Run("what is refused", func(t *testing.T) {
		s := session(t, c)
		if err := s.RequestSubsystem("netconf"); err == nil {
			t.Error("another subsystem is served")
		}
		if err := s.Setenv("A=B", "x"); err == nil {
			t.Error("a wrong name is taken")
		}
		if _, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
			t.Error("the instance can be made to listen")
		}
		if ch, _, err := c.OpenChannel("x11", nil); err == nil {
			_ = ch.Close()
			t.Error("another channel is served")
		}
	})
	t.Run("keepalive", func(t *testing.T) {
		if ok, _, err := c.SendRequest("keepalive@cloudfoundry.org", true, nil); err != nil || !ok {
			t.Errorf("%v, %v", ok, err)
		}
	})
}

func TestAnInstanceThatDoesNotRun(t *testing.T) {
	h := open(t, ssh.Limits{})
	c, err := h.dial("cf:"+h.shop+"-worker/4", h.code())
	must(t, err)
	defer c.Close()
	s := session(t, c)
	var errs bytes.Buffer
	s.Stderr = &errs
	var exit *gossh.ExitError
	if err := s.Run("true"); !errors.As(err, &exit) || exit.ExitStatus() != 255 || !strings.Contains(errs.String(), "no instance 4 of worker runs") {
		t.Errorf("%v, %q", err, &errs)
	}
}

func TestForwardedConnections(t *testing.T) {
	h := open(t, ssh.Limits{})
	c := h.in()
	conn, err := c.Dial("tcp", "localhost:7777")
	must(t, err)
	data := make([]byte, 1_000_000)
	_, _ = rand.Read(data)
	go func() {
		_, _ = conn.Write(data)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	back, err := io.ReadAll(conn)
	must(t, err)
	if !bytes.Equal(back, data) {
		t.Errorf("%d bytes came back of %d", len(back), len(data))
	}
	_ = conn.Close()
	if _, err := c.Dial("tcp", "localhost:7778"); err == nil || !strings.Contains(err.Error(), "nothing listens") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestLimits(t *testing.T) {
	h := open(t, ssh.Limits{Connections: 3, PerAddress: 2, Channels: 1, Tries: 2})
	first := h.in()
	second := h.in()
	if c, err := h.dial("cf:"+h.shop+"/0", h.code()); err == nil {
		_ = c.Close()
		t.Error("a third connection from one address")
	}
	s := session(t, first)
	in, err := s.StdinPipe()
	must(t, err)
	must(t, s.Start("cat"))
	if s, err := first.NewSession(); err == nil {
		_ = s.Close()
		t.Error("a second channel")
	}
	must(t, in.Close())
	must(t, s.Wait())
	// A place is free again as soon as the server has seen the end.
	_ = second.Close()
	for {
		c, err := h.dial("cf:"+h.shop+"/0", h.code())
		if err == nil {
			_ = c.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestASilentConnectionEnds(t *testing.T) {
	h := open(t, ssh.Limits{Idle: 100 * time.Millisecond})
	if err := h.in().Wait(); err == nil {
		t.Error("it ended without saying so")
	}
}

func TestTheEndOfTheServerEndsCommands(t *testing.T) {
	h := open(t, ssh.Limits{})
	c := h.in()
	s := session(t, c)
	in, err := s.StdinPipe() // stays open
	must(t, err)
	must(t, s.Start("cat"))
	h.stop()
	if err := s.Wait(); err == nil {
		t.Error("the command ended by itself")
	}
	_ = in.Close()
}

func TestTheHostKeyIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "host")
	first, err := ssh.LoadKey(path)
	must(t, err)
	again, err := ssh.LoadKey(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if f := ssh.Fingerprint(first); f != ssh.Fingerprint(again) || len(f) != 43 || info.Mode().Perm() != 0o600 {
		t.Errorf("fingerprints %q, %q, mode %v", f, ssh.Fingerprint(again), info.Mode())
	}
	must(t, os.WriteFile(path, []byte("nothing"), 0o600))
	if _, err := ssh.LoadKey(path); !fault.Is(err, fault.Invalid) {
		t.Errorf("a spoilt key: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
