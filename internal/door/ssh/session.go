package ssh

import (
	"context"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"naru/internal/fault"
	"naru/internal/run"
)

// session is a channel for one command.
type session struct {
	*connection
	channel counted
	env     map[string]string
	tty     bool
	sizes   chan run.Size
	signals chan int
	started bool
}

// session runs what a client asks for on one channel.
func (c *connection) session(ctx context.Context, asked ssh.NewChannel) {
	channel, requests, err := asked.Accept()
	if err != nil {
		return // the client is gone
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &session{connection: c, channel: counted{channel, c.alive}, env: map[string]string{}, sizes: make(chan run.Size, 1), signals: make(chan int, 8)}
	var command sync.WaitGroup
	for r := range requests {
		argv, ok := s.request(r)
		if r.WantReply {
			_ = r.Reply(ok, nil) // it may be gone
		}
		if argv != nil {
			command.Go(func() { s.run(ctx, argv) })
		}
	}
	cancel() // the client closed the channel
	command.Wait()
	_ = channel.Close() // it is closed already where the command has ended
}

// request takes up what a client says about its session; argv is what it wants to
// run.
func (s *session) request(r *ssh.Request) (argv []string, ok bool) {
	if known, wanted := s.command(r); known {
		if wanted == nil || s.started { // one command for each channel
			return nil, false
		}
		s.started = true
		return wanted, true
	}
	switch r.Type {
	case "env":
		return nil, !s.started && s.setEnv(r.Payload)
	case "pty-req":
		return nil, !s.started && s.terminal(r.Payload)
	case "window-change":
		return nil, s.resize(r.Payload)
	case "signal":
		return nil, s.started && s.signal(r.Payload)
	}
	return nil, false
}

// shell is the best one that an image has.
const shell = "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh"

// sftp is the program that images with OpenSSH have; naru brings none into an
// instance.
const sftp = `for p in /usr/lib/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/openssh/sftp-server /usr/libexec/sftp-server; do
if [ -x "$p" ]; then exec "$p"; fi; done
echo 'naru: the image has no sftp-server; use scp -O where it has scp, or: cf ssh APP -c "tar c DIR" | tar x' >&2; exit 127`

// command tells whether a request is one for a command, and what it is; nil for
// one that cannot be run.
func (s *session) command(r *ssh.Request) (known bool, argv []string) {
	var in struct{ Text string }
	switch r.Type {
	case "shell":
		return true, []string{"/bin/sh", "-c", shell}
	case "exec":
		if ssh.Unmarshal(r.Payload, &in) != nil {
			return true, nil
		}
		return true, []string{"/bin/sh", "-c", in.Text}
	case "subsystem":
		if ssh.Unmarshal(r.Payload, &in) != nil || in.Text != "sftp" {
			return true, nil
		}
		return true, []string{"/bin/sh", "-c", sftp}
	}
	return false, nil
}

// run runs the command and tells the client how it ended.
func (s *session) run(ctx context.Context, argv []string) {
	stdin, feed := io.Pipe()
	var feeding sync.WaitGroup
	feeding.Go(func() {
		_, err := io.Copy(feed, s.channel) // ends with the client's input
		_ = feed.CloseWithError(err)       // never fails
	})
	code, err := s.runner.Exec(ctx, s.who, s.into, run.ExecSpec{
		Argv: argv, Env: run.PlainEnv(s.env),
		IO: run.IO{TTY: s.tty, Stdin: stdin, Stdout: s.channel, Stderr: errOutput{s.channel.Stderr(), s.alive}, Resize: s.sizes, Signals: s.signals},
	})
	_ = stdin.Close() // never fails; what the client still sends is not waited for
	if err != nil {
		code = exitOf(err)
		if ctx.Err() == nil {
			fmt.Fprintf(s.channel.Stderr(), "naru: %s\r\n", reason(err))
			if fault.Of(err).Kind == fault.Internal {
				s.log.ErrorContext(ctx, "command over ssh", "instance", s.into, "error", err)
			}
		}
	}
	// All of these fail only where the client is gone.
	_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(code)}))
	_ = s.channel.CloseWrite()
	_ = s.channel.Close()
	feeding.Wait()
}

// exitOf is the exit code that shells have for a command that did not run.
func exitOf(err error) int {
	if fault.Is(err, fault.Failed) {
		return 127
	}
	return 255
}

// reason is an error for the person at the terminal.
func reason(err error) string {
	f := fault.Of(err)
	if f.Try != "" {
		return f.Message + "; try: " + f.Try
	}
	return f.Message
}

// errOutput is the channel's second stream.
type errOutput struct {
	to    io.Writer
	alive func()
}

func (e errOutput) Write(p []byte) (int, error) {
	n, err := e.to.Write(p)
	e.alive()
	return n, err
}
