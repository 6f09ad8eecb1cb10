package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"naru/internal/route/h1"
)

// h2end is a client of HTTP/2 for scenes written in HTTP/1: what it sends
// becomes frames, and the frames that come are written down as HTTP/1.
type h2end struct {
	end
	frames *http2.Framer
	block  bytes.Buffer
	fields *hpack.Encoder
	stream uint32

	out     []byte // sent by the scene, not yet in frames
	inBody  bool
	left    int64 // of a body of known length; -1: chunked
	chunks  h1.Chunks
	chunked bool // the answer's body is written down in chunks
	began   bool // its head was
	over    error
}

func newH2(t testing.TB, c net.Conn) *h2end {
	t.Helper()
	_, err := io.WriteString(c, http2.ClientPreface)
	must(t, err)
	e := &h2end{end: end{Conn: c}, frames: http2.NewFramer(c, c)}
	e.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	e.fields = hpack.NewEncoder(&e.block)
	must(t, e.frames.WriteSettings())
	return e
}

func dialH2(t testing.TB, addr string, secure bool) *h2end {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // made by the test
	}
	t.Cleanup(func() { _ = c.Close() })
	return newH2(t, c)
}

func (e *h2end) do(st step) error {
	if err := e.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	switch st.verb {
	case "send":
		return e.send(st.arg)
	case "headers": // as they are, with the end of the stream
		var pairs []hpack.HeaderField
		for _, line := range strings.Split(st.arg, "\n") {
			name, value, _ := strings.Cut(strings.ReplaceAll(line, "␊", "\n"), "=")
			pairs = append(pairs, hpack.HeaderField{Name: name, Value: value})
		}
		return e.open(pairs, true)
	case "ends":
		for e.over == nil {
			if err := e.more(); err != nil && e.over == nil {
				return err
			}
		}
		var timeout net.Error
		if errors.As(e.over, &timeout) && timeout.Timeout() {
			return e.over
		}
		if string(e.unread) != st.arg {
			return fmt.Errorf("ended with %q, want %q", e.unread, st.arg)
		}
		return nil
	case "close":
		return e.Close()
	}
	return e.look(st, e.more)
}

// send turns HTTP/1 into frames as far as it is whole.
func (e *h2end) send(text string) error {
	e.out = append(e.out, text...)
	for len(e.out) > 0 {
		if e.inBody {
			if err := e.sendBody(); err != nil {
				return err
			}
			continue
		}
		size := bytes.Index(e.out, []byte("\r\n\r\n"))
		if size < 0 {
			return nil
		}
		var r h1.Request
		if why := r.Parse(e.out[:size+4]); why != nil {
			return fmt.Errorf("this cannot be sent over HTTP/2: %w", why)
		}
		if err := e.sendHead(&r); err != nil {
			return err
		}
		e.out = e.out[size+4:]
	}
	return nil
}

func (e *h2end) sendHead(r *h1.Request) error {
	pairs := []hpack.HeaderField{
		{Name: ":method", Value: string(r.Method)}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: string(r.Host())}, {Name: ":path", Value: string(r.Path) + string(r.Query)},
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		name, value := strings.ToLower(string(r.Name(f))), string(r.Value(f))
		switch {
		case f.Kind == h1.TE && r.Trailers():
			value = "trailers"
		case f.Kind == h1.Host, f.Kind.Hop() && f.Kind != h1.Trailer:
			continue
		}
		pairs = append(pairs, hpack.HeaderField{Name: name, Value: value})
	}
	e.left, e.inBody = r.Body.Length, r.Body.Kind != h1.None
	if r.Body.Kind == h1.Chunked {
		e.left, e.chunks = -1, h1.Chunks{Bare: true}
	}
	return e.open(pairs, !e.inBody)
}

// open begins a stream.
func (e *h2end) open(pairs []hpack.HeaderField, last bool) error {
	if e.stream += 2; e.stream == 2 {
		e.stream = 1
	}
	e.over, e.began = nil, false
	return e.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: e.stream, BlockFragment: e.encode(pairs), EndStream: last, EndHeaders: true})
}

func (e *h2end) encode(pairs []hpack.HeaderField) []byte {
	e.block.Reset()
	for _, p := range pairs {
		_ = e.fields.WriteField(p)
	}
	return bytes.Clone(e.block.Bytes())
}

func (e *h2end) sendBody() error {
	if e.left >= 0 {
		n := min(e.left, int64(len(e.out)))
		e.left -= n
		e.inBody = e.left > 0
		data := e.out[:n]
		e.out = e.out[n:]
		return e.frames.WriteData(e.stream, !e.inBody, data)
	}
	data, used, done, err := e.chunks.Next(e.out)
	if err != nil {
		return err
	}
	data = bytes.Clone(data)
	e.out = e.out[used:]
	if len(data) > 0 {
		if err := e.frames.WriteData(e.stream, false, data); err != nil {
			return err
		}
	}
	if !done {
		return nil
	}
	e.inBody = false
	var trailers h1.Fields
	if why := e.chunks.Trailers(&trailers); why != nil {
		return why
	}
	if len(trailers.Fields) == 0 {
		return e.frames.WriteData(e.stream, true, nil)
	}
	var pairs []hpack.HeaderField
	for i := range trailers.Fields {
		f := &trailers.Fields[i]
		pairs = append(pairs, hpack.HeaderField{Name: strings.ToLower(string(trailers.Name(f))), Value: string(trailers.Value(f))})
	}
	return e.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: e.stream, BlockFragment: e.encode(pairs), EndStream: true, EndHeaders: true})
}

var errStreamOver = errors.New("the stream has ended")

// more reads a frame and writes it down.
func (e *h2end) more() error {
	if e.over != nil {
		return e.over
	}
	f, err := e.frames.ReadFrame()
	if err != nil {
		e.over = err
		return err
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return e.frames.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return e.frames.WritePing(true, f.Data)
		}
	case *http2.MetaHeadersFrame:
		e.head(f)
	case *http2.DataFrame:
		if len(f.Data()) > 0 {
			if e.chunked {
				e.unread = fmt.Appendf(e.unread, "%x\r\n%s\r\n", len(f.Data()), f.Data())
			} else {
				e.unread = append(e.unread, f.Data()...)
			}
			if err := errors.Join(e.frames.WriteWindowUpdate(0, uint32(len(f.Data()))), e.frames.WriteWindowUpdate(e.stream, uint32(len(f.Data())))); err != nil {
				return err
			}
		}
		if f.StreamEnded() {
			e.finish("0\r\n\r\n")
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == e.stream {
			e.over = errStreamOver
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo {
			e.over = fmt.Errorf("GOAWAY %s", f.ErrCode)
		}
	}
	return nil
}

// head writes down an answer's head, or its trailers.
func (e *h2end) head(f *http2.MetaHeadersFrame) {
	fields, length := "", false
	for _, h := range f.RegularFields() {
		fields += http.CanonicalHeaderKey(h.Name) + ": " + h.Value + "\r\n"
		length = length || h.Name == "content-length"
	}
	if e.began { // trailers
		e.chunked = true
		e.finish("0\r\n" + fields + "\r\n")
		return
	}
	status := f.PseudoValue("status")
	code, _ := strconv.Atoi(status)
	e.began = code >= 200
	e.chunked = e.began && !length && !f.StreamEnded()
	if e.chunked {
		fields += "Transfer-Encoding: chunked\r\n"
	}
	e.unread = append(e.unread, "HTTP/1.1 "+status+" "+http.StatusText(code)+"\r\n"+fields+"\r\n"...)
	if f.StreamEnded() {
		e.finish("")
	}
}

func (e *h2end) finish(end string) {
	if e.chunked {
		e.unread = append(e.unread, end...)
	}
	e.chunked = false
	e.over = errStreamOver
}
