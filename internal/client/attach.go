package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"naru/internal/fault"
)

// IO connects a person to a command. Nil readers are empty, nil writers discard.
type IO struct {
	Stdin          io.Reader // its end closes the command's input
	Stdout, Stderr io.Writer
	Resize         <-chan Size // with a terminal: the first value comes at once
}

// pingEvery is how often a sign of life is sent.
const pingEvery = 15 * time.Second

// Attach connects to a task that was made with Attach, which starts it, and
// returns its exit code. A connection that breaks ends the task: such a task has
// nobody else to speak to.
func (a *InApp) Attach(ctx context.Context, task string, io IO) (code int, err error) {
	return a.c.attach(ctx, join(a.path+"/tasks", task, "attach"), nil, io)
}

// Exec runs a command inside an instance of the app and returns its exit code.
func (a *InApp) Exec(ctx context.Context, x Exec, io IO) (code int, err error) {
	q := url.Values{"index": {strconv.Itoa(x.Index)}}
	set(q, "process", x.Process)
	if x.TTY {
		q.Set("tty", "true")
	}
	for _, word := range x.Command {
		q.Add("command", word)
	}
	return a.c.attach(ctx, a.path+"/exec", q, io)
}

// attach opens a connection and carries bytes both ways until the command ends.
func (c *Client) attach(ctx context.Context, path string, q url.Values, std IO) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.dial(ctx, path, q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.CloseNow() }() // after the exit frame nothing is left to say
	conn.SetReadLimit(1 << 20)
	go sendInput(ctx, conn, std)
	go keepAlive(ctx, conn)
	return receive(ctx, conn, std)
}

// dial opens the connection, once more where the token had ended.
func (c *Client) dial(ctx context.Context, path string, q url.Values) (*websocket.Conn, error) {
	target := c.base.String() + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	for again := true; ; again = false {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		header := http.Header{"User-Agent": {c.agent}}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		conn, res, err := websocket.Dial(ctx, target, &websocket.DialOptions{
			HTTPClient: c.http, HTTPHeader: header, Subprotocols: []string{AttachProtocol},
		})
		switch {
		case err == nil && conn.Subprotocol() != AttachProtocol:
			_ = conn.CloseNow() // it speaks something else
			return nil, fault.New(fault.Unsupported, "", "the server does not speak %s", AttachProtocol).
				WithTry("use a naru of the server's version")
		case err == nil:
			return conn, nil
		case res == nil:
			return nil, unreachable(ctx, c.base.Host, err)
		}
		err = readError(res)
		if !fault.Is(err, fault.Unauthenticated) || token == "" || !again {
			return nil, err
		}
		if _, renewErr := c.renew(ctx, token); renewErr != nil {
			return nil, err
		}
	}
}

// receive takes what the command says until it has ended.
func receive(ctx context.Context, conn *websocket.Conn, std IO) (int, error) {
	for {
		kind, payload, err := ReadFrame(ctx, conn)
		if err != nil {
			if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
				return 0, errors.Join(errBroken, ctx.Err())
			}
			return 0, errBroken.WithCause(err)
		}
		switch kind {
		case FrameStdout:
			err = writeTo(std.Stdout, payload)
		case FrameStderr:
			err = writeTo(std.Stderr, payload)
		case FrameExit:
			var exit ExitFrame
			if err := json.Unmarshal(payload, &exit); err != nil {
				return 0, fmt.Errorf("read how the command ended: %w", err)
			}
			return exit.Code, exit.Error.Err()
		}
		if err != nil {
			return 0, err
		}
	}
}

func writeTo(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	if _, err := w.Write(p); err != nil {
		return fmt.Errorf("write the command's output: %w", err)
	}
	return nil
}

// sendInput sends the input, its end, and changes of the terminal's size. An
// error shows at the other end of the connection too, where it is reported.
func sendInput(ctx context.Context, conn *websocket.Conn, std IO) {
	// The first size goes before all input: a command may not read before it
	// knows its terminal.
	if std.Resize != nil {
		sendSize(ctx, conn, std.Resize)
	}
	go func() {
		for sendSize(ctx, conn, std.Resize) {
			continue
		}
	}()
	if std.Stdin != nil {
		buf := make([]byte, MaxFrame)
		for {
			n, err := std.Stdin.Read(buf)
			if n > 0 && SendFrame(ctx, conn, FrameStdin, buf[:n]) != nil {
				return
			}
			if err != nil {
				break
			}
		}
	}
	_ = SendFrame(ctx, conn, FrameStdin, nil) // the end; see above
}

// sendSize sends the next size; false where there will be none.
func sendSize(ctx context.Context, conn *websocket.Conn, sizes <-chan Size) bool {
	select {
	case <-ctx.Done():
		return false
	case size, ok := <-sizes:
		return ok && SendFrameJSON(ctx, conn, FrameResize, size) == nil
	}
}

// keepAlive keeps proxies from forgetting a connection that carries nothing. An
// answer is not waited for: the other end reads on only when its command does,
// and one that is gone is noticed by TCP.
func keepAlive(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ping, cancel := context.WithTimeout(ctx, pingEvery)
			_ = conn.Ping(ping) // see above
			cancel()
		}
	}
}
