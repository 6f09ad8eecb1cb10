package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/run"
)

// command runs with somebody attached and returns its exit code.
type command func(ctx context.Context, std run.IO) (code int, err error)

// attaches answers with a WebSocket that carries the input and output of the
// command that fn prepares; see client.AttachProtocol.
func attaches[I any](fn func(context.Context, *I) (command, error)) answer {
	return func(s *server, op huma.Operation) {
		op.Responses["101"] = &huma.Response{Description: "a WebSocket that speaks " + client.AttachProtocol}
		op.DefaultStatus = http.StatusSwitchingProtocols
		register(s, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
			run, err := fn(ctx, in)
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				r, w := humago.Unwrap(hc)
				if r.Header.Get("Upgrade") == "" {
					s.refuse(hc, fault.New(fault.Invalid, "Upgrade", "this is a WebSocket").WithTry("naru exec, or a WebSocket client"))
					return
				}
				conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{client.AttachProtocol}})
				if err != nil {
					return // Accept has answered
				}
				s.serveCommand(ctx, conn, run)
			}}, nil
		})
	}
}

// serveCommand runs a command until it has ended or its client is gone, which
// kills it.
func (s *server) serveCommand(ctx context.Context, conn *websocket.Conn, do command) {
	defer func() { _ = conn.CloseNow() }() // nothing is left to say
	conn.SetReadLimit(client.MaxFrame + 1)
	if conn.Subprotocol() != client.AttachProtocol {
		_ = conn.Close(websocket.StatusPolicyViolation, "speak "+client.AttachProtocol)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stdin, feed := io.Pipe()
	resize := make(chan run.Size, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer cancel() // nobody is there any more
		receiveInput(ctx, conn, feed, resize)
	})
	code, err := do(ctx, run.IO{
		Stdin:  stdin,
		Stdout: frames{ctx, conn, client.FrameStdout}, Stderr: frames{ctx, conn, client.FrameStderr},
		Resize: resize,
	})
	_ = stdin.Close() // never fails; a client that still sends is not waited for
	exit := client.ExitFrame{Code: code}
	if err != nil && ctx.Err() == nil {
		p := s.problemOf(ctx, err)
		exit.Error = &client.Fault{Kind: p.Kind, Field: p.Field, Message: p.Message, Try: p.Try}
	}
	if ctx.Err() == nil && client.SendFrameJSON(ctx, conn, client.FrameExit, exit) == nil {
		_ = conn.Close(websocket.StatusNormalClosure, "") // the exit frame has arrived or never will
	}
	cancel()
	reader.Wait()
}

// maxInput is how many frames of input wait for a command that does not read;
// above it the client is stopped from sending, and its resizes wait too.
const maxInput = 32

// receiveInput hands on what the client sends until it is gone.
func receiveInput(ctx context.Context, conn *websocket.Conn, feed *io.PipeWriter, resize chan run.Size) {
	input := make(chan []byte, maxInput)
	var feeder sync.WaitGroup
	defer feeder.Wait()
	defer close(input)
	feeder.Go(func() { feedInput(input, feed) })
	for {
		kind, payload, err := client.ReadFrame(ctx, conn)
		switch {
		case err != nil:
			_ = feed.CloseWithError(errGone) // never fails
			return
		case kind == client.FrameStdin:
			select {
			case <-ctx.Done():
			case input <- payload:
			}
		case kind == client.FrameResize:
			var size client.Size
			if json.Unmarshal(payload, &size) == nil {
				latest(resize, run.Size(size))
			}
		}
	}
}

// feedInput writes input to the command; an empty piece is its end. A command
// that has closed its input is written to in vain.
func feedInput(input <-chan []byte, feed *io.PipeWriter) {
	for piece := range input {
		if len(piece) == 0 {
			_ = feed.Close() // never fails
			continue
		}
		_, _ = feed.Write(piece) // see above
	}
}

var errGone = errors.New("the client is gone")

// latest puts a size into the channel in place of one that nobody took.
func latest(resize chan run.Size, size run.Size) {
	select {
	case <-resize:
	default:
	}
	select {
	case resize <- size:
	default: // cannot be full: this is its only sender
	}
}

// frames sends what is written in frames of one kind.
type frames struct {
	ctx  context.Context //nolint:containedctx // of the connection, for io.Writer has none
	conn *websocket.Conn
	kind client.Frame
}

// writeTimeout is how long a client may take to accept one frame of output: a
// person may have stopped their terminal for a while.
const writeTimeout = time.Hour

func (f frames) Write(p []byte) (n int, err error) {
	ctx, cancel := context.WithTimeout(f.ctx, writeTimeout)
	defer cancel()
	for len(p) > 0 {
		part := p[:min(len(p), client.MaxFrame)]
		if err := client.SendFrame(ctx, f.conn, f.kind, part); err != nil {
			return n, err
		}
		n, p = n+len(part), p[len(part):]
	}
	return n, nil
}
