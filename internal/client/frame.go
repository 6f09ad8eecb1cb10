package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/coder/websocket"

	"naru/internal/fault"
)

// AttachProtocol is the WebSocket subprotocol of attach and exec. Every message
// is binary: one byte that says what it is, then the payload.
//
//	0 stdin    client to server: bytes; none of them: the end of the input
//	1 stdout   server to client: bytes
//	2 stderr   server to client: bytes
//	3 resize   client to server: {"columns":80,"rows":24}
//	4 exit     server to client: {"code":0}, or {"error":{...}} where the command
//	           did not run to its end; the last message
const AttachProtocol = "naru.attach.v1"

// Frame says what a message of an attached command is.
type Frame byte

// The frames.
const (
	FrameStdin  Frame = 0
	FrameStdout Frame = 1
	FrameStderr Frame = 2
	FrameResize Frame = 3
	FrameExit   Frame = 4
)

// MaxFrame bounds the payload of a frame that carries bytes.
const MaxFrame = 32 << 10

// Size is a terminal's.
type Size struct {
	Columns uint16 `json:"columns"`
	Rows    uint16 `json:"rows"`
}

// ExitFrame is how an attached command ended.
type ExitFrame struct {
	Code  int    `json:"code"`
	Error *Fault `json:"error,omitempty"`
}

// SendFrame sends a frame.
func SendFrame(ctx context.Context, conn *websocket.Conn, kind Frame, payload []byte) error {
	message := make([]byte, 1+len(payload))
	message[0] = byte(kind)
	copy(message[1:], payload)
	return conn.Write(ctx, websocket.MessageBinary, message)
}

// SendFrameJSON sends a frame whose payload is JSON.
func SendFrameJSON(ctx context.Context, conn *websocket.Conn, kind Frame, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame %d: %w", kind, err)
	}
	return SendFrame(ctx, conn, kind, payload)
}

// ReadFrame receives a frame.
func ReadFrame(ctx context.Context, conn *websocket.Conn) (Frame, []byte, error) {
	form, message, err := conn.Read(ctx)
	if err != nil {
		return 0, nil, err
	}
	if form != websocket.MessageBinary || len(message) == 0 {
		return 0, nil, fault.New(fault.Invalid, "", "a message of %s is binary and not empty", AttachProtocol)
	}
	return Frame(message[0]), message[1:], nil
}
