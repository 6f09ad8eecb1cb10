package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"naru/internal/route/wire"
)

func TestMessagesComeThroughWhole(t *testing.T) {
	var b bytes.Buffer
	for _, version := range []uint64{1, 2} {
		if err := wire.Write(&b, &wire.Message{Ack: &wire.Ack{Version: version, Busy: []string{strings.Repeat("x", 200_000)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []uint64{1, 2} {
		m, err := wire.Read(&b, wire.DefaultMaxFrame)
		if err != nil || m.Ack == nil || m.Ack.Version != version || len(m.Ack.Busy[0]) != 200_000 {
			t.Fatalf("Read = %v, %v", m, err)
		}
	}
	if _, err := wire.Read(&b, 100); err != io.EOF {
		t.Errorf("at the end %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	frame := func(size uint32, body string) string {
		return string(binary.BigEndian.AppendUint32(nil, size)) + body
	}
	for name, in := range map[string]string{
		"a size over the limit": frame(101, strings.Repeat(" ", 101)),
		"a cut off size":        "\x00\x00",
		"a cut off body":        frame(50, "{}"),
		"no JSON":               frame(3, "abc"),
		"another type":          frame(11, `{"hello":3}`),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := wire.Read(strings.NewReader(in), 100); err == nil || errors.Is(err, io.EOF) && name != "a cut off size" {
				t.Errorf("Read = %+v, %v", m, err)
			}
		})
	}
	m, err := wire.Read(strings.NewReader(frame(14, `{"tomorrow":1}`)), 100)
	if err != nil || m.Ack != nil || m.Table != nil {
		t.Errorf("a message of a newer peer: %+v, %v", m, err)
	}
}
