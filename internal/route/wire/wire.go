// Package wire is the language between the control plane and the gateway:
// length-prefixed messages on a stream, of JSON, or packed where there is one for
// each request.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"naru/internal/route"
	"naru/internal/route/certificate"
)

// DefaultMaxFrame bounds a message: a table of 100,000 routes fits.
const DefaultMaxFrame = 64 << 20

// Message is one frame. Exactly one field is set; a message with none that the
// reader knows comes from a newer peer and is left alone.
type Message struct {
	Hello    *Hello          `json:"hello,omitempty"`    // gateway: first on every connection
	Ack      *Ack            `json:"ack,omitempty"`      // gateway: answer to a table
	Idle     *Idle           `json:"idle,omitempty"`     // gateway: drained instances
	Counters []route.Counter `json:"counters,omitempty"` // gateway: those that changed
	Load     *route.Load     `json:"load,omitempty"`     // gateway: when it changed

	Journeys []route.JourneyCounter `json:"journeys,omitempty"` // gateway: those that changed
	Access   *Access                `json:"access,omitempty"`   // gateway, as a Batch
	Spans    *Spans                 `json:"spans,omitempty"`    // gateway, as a Batch
	Ejected  []route.Ejection       `json:"ejected,omitempty"`  // gateway
	Trips    []route.Trip           `json:"trips,omitempty"`    // gateway: guards that took a weight away
	Breakers []route.Breaking       `json:"breakers,omitempty"` // gateway: breakers that changed
	State    *State                 `json:"state,omitempty"`    // gateway: begins to drain, or leaves
	Table    json.RawMessage        `json:"table,omitempty"`    // control plane: a whole route.Table

	Certificates *certificate.Set `json:"certificates,omitempty"` // control plane: all there are
}

// Hello introduces a gateway process.
type Hello struct {
	Generation string `json:"generation"` // fresh per process
	Boot       string `json:"boot"`
	PID        int    `json:"pid"`
	Version    uint64 `json:"version"`            // of the table it serves; 0: none
	Draining   bool   `json:"draining,omitempty"` // it takes no new connections
	// Trips are those it holds to; each is also sent as a message when it happens.
	Trips []route.Trip `json:"trips,omitempty"`
	// Breakers are those that are not closed.
	Breakers []route.Breaking `json:"breakers,omitempty"`
}

// Ack says that new requests use a table, or why they do not.
type Ack struct {
	Version uint64   `json:"version"`
	Busy    []string `json:"busy,omitempty"`    // instances that are not in the table and still have requests
	Left    []Left   `json:"left,omitempty"`    // what kinds of requests those have; one that is not in it: ordinary ones
	Refused string   `json:"refused,omitempty"` // why the table was not taken
}

// Idle names instances that had left the table and have no request any more, and
// says where only one kind of them is left, or another kind began.
type Idle struct {
	Instances []string `json:"instances"`
	Left      []Left   `json:"left,omitempty"`
}

// Left is what an instance that left the table still has. Streams are what may
// take long: connections that were switched to another protocol, answers that
// have begun and go on, gRPC calls whose request goes on.
type Left struct {
	Instance string `json:"instance"`
	Requests bool   `json:"requests,omitempty"` // that are no streams
	Streams  bool   `json:"streams,omitempty"`
}

// Access is a batch of records. Dropped counts those that were lost since the
// last batch because nobody took them.
type Access struct {
	Records []route.Access `json:"records"`
	Dropped uint64         `json:"dropped,omitempty"`
}

// Spans is a batch of the gateway's own spans. Dropped counts those that were lost
// since the last batch because nobody took them.
type Spans struct {
	Spans   []route.Span `json:"spans"`
	Dropped uint64       `json:"dropped,omitempty"`
}

// State is how a gateway process takes its leave.
type State struct {
	Draining bool `json:"draining,omitempty"` // it stopped accepting, its last requests finish
	Gone     bool `json:"gone,omitempty"`     // it has no request any more and exits
}

// Write sends one message.
func Write(w io.Writer, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	return WriteFrame(w, body)
}

// WriteFrame sends an encoded message.
func WriteFrame(w io.Writer, body []byte) error {
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	_, err := w.Write(append(frame, body...))
	return err
}

// Read receives one message of at most limit bytes.
func Read(r io.Reader, limit int) (*Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if uint64(size) > uint64(limit) {
		return nil, fmt.Errorf("a message of %d bytes is over the limit of %d", size, limit)
	}
	body, err := readAll(r, int(size))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 && body[0] < ' ' && body[0] != '\n' && body[0] != '\t' && body[0] != '\r' { // no JSON begins so
		m, err := unpack(body)
		if err != nil {
			return nil, fmt.Errorf("decode message: %w", err)
		}
		return m, nil
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	return &m, nil
}

// readAll grows with what arrives, so that a claimed size alone takes no memory.
func readAll(r io.Reader, size int) ([]byte, error) {
	const step = 64 << 10
	body := make([]byte, 0, min(size, step))
	for len(body) < size {
		n := min(size-len(body), max(step, len(body)))
		start := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(r, body[start:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return body, nil
}
