package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// buffers are what answers are copied through.
type buffer [32 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// bring passes an answer to the client as it comes. An answer that breaks off is
// broken off towards the client too, so that nobody takes a part for the whole.
func (f *forwarder) bring(w http.ResponseWriter, r *http.Request, x *Exchange, res *http.Response, wait *patience) {
	h := w.Header()
	passOn(h, res.Header)
	if _, ok := h["X-Request-Id"]; !ok {
		h["X-Request-Id"] = []string{x.record.RequestID}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http guesses one
	}
	announced := announce(h, res.Trailer)
	w.WriteHeader(res.StatusCode)
	wait.stop()

	if err := f.copy(w, r, x, res); err != nil {
		if x.record.Problem == "" {
			x.record.Problem = "the answer broke off: " + err.Error()
		}
		panic(http.ErrAbortHandler)
	}
	trailers(w, res.Trailer, announced)
}

// copy moves the body, flushed whenever more is to come.
func (f *forwarder) copy(w http.ResponseWriter, r *http.Request, x *Exchange, res *http.Response) error {
	if res.ContentLength == 0 || r.Method == http.MethodHead {
		return nil
	}
	flush := http.NewResponseController(w).Flush
	if res.ContentLength < 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	buf, _ := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	var moved int64
	for {
		n, rerr := res.Body.Read(buf[:])
		if n > 0 {
			moved += int64(n)
			_, err := w.Write(buf[:n])
			if err == nil && rerr == nil && moved != res.ContentLength {
				err = flush()
			}
			if err != nil {
				x.record.Problem = "the client left"
				return err
			}
		}
		switch {
		case rerr == io.EOF:
			return nil
		case rerr != nil:
			_ = flush() // what came is the client's to see
			if r.Context().Err() != nil {
				x.record.Problem = "the client left"
			}
			return rerr
		}
	}
}

// announce names the trailers that follow the body.
func announce(h http.Header, trailer http.Header) int {
	if len(trailer) == 0 {
		return 0
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	h["Trailer"] = []string{strings.Join(names, ", ")}
	return len(names)
}

// trailers passes on what came after the body.
func trailers(w http.ResponseWriter, trailer http.Header, announced int) {
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		if !hopByHop[name] {
			w.Header()[prefix+name] = values
		}
	}
}
