package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"naru/internal/route/strict"
)

// join connects both ends after the protocol was switched, until each has ended
// its direction or one of them breaks.
func (f *forwarder) join(w http.ResponseWriter, r *http.Request, x *Exchange, res *http.Response) {
	protocol, asked := upgradeOf(res.Header), ""
	if r.ProtoMajor == 1 {
		asked = upgradeOf(r.Header)
	}
	back, ok := res.Body.(io.ReadWriteCloser)
	if !ok || asked == "" || !strings.EqualFold(protocol, asked) {
		f.failed(w, r, x, fmt.Errorf("it switched to %q where %q was asked for", protocol, asked), nil)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		f.failed(w, r, x, err, nil)
		return
	}
	defer func() { _ = client.Close() }()
	if c, ok := client.(*strict.Conn); ok {
		c.Switch()
	}
	x.record.Status, x.record.Upgrade, x.record.Header = res.StatusCode, true, time.Since(x.start)
	if err := switched(client, res, x.record.RequestID); err != nil {
		x.record.Problem = "the client left"
		return
	}

	up := make(chan error, 1)
	go func() {
		n, err := move(back, client)
		x.received(n)
		if err != nil { // the other direction has nobody left to speak to
			_ = client.Close()
			_ = back.Close()
		}
		up <- err
	}()
	n, err := move(client, back)
	x.record.Sent += n
	if err != nil {
		_ = client.Close()
		_ = back.Close()
	}
	if uerr := <-up; err == nil {
		err = uerr
	}
	if err != nil {
		x.record.Problem = "the connection broke: " + err.Error()
	}
}

// received counts what the client sent after the switch.
func (x *Exchange) received(n int64) { x.record.Received = n }

// move copies one direction and passes its end on.
func move(dst io.Writer, src io.Reader) (int64, error) {
	buf, _ := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	// Hidden behind plain interfaces, so that the copy uses the pooled buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buf[:])
	if err != nil {
		return n, err
	}
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err == nil {
			return n, nil
		}
	}
	// No way to end one direction: end both, as the peer expects its end to be seen.
	if c, ok := dst.(io.Closer); ok {
		return n, c.Close()
	}
	return n, nil
}

// switched sends the 101 answer.
func switched(client net.Conn, res *http.Response, id string) error {
	h := http.Header{}
	passOn(h, res.Header)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	if _, ok := h["X-Request-Id"]; !ok {
		h["X-Request-Id"] = []string{id}
	}
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := h.Write(&b); err != nil {
		return err
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(client, b.String())
	return err
}
