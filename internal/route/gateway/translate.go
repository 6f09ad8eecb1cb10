package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// translator stands between the upstream side, which speaks HTTP/1.1, and
// instances that speak HTTP/2 only, without TLS (gRPC servers do). Each upstream
// connection to such an instance ends here and has one of HTTP/2 behind it, with
// one request at a time. So every rule of the path holds for them too, at the
// price of a second hop inside the process.
type translator struct {
	intake *intake
	server *http.Server
	out    *http.Transport
}

func newTranslator(cfg Config, log *slog.Logger) *translator {
	t := &translator{intake: newIntake()}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	t.out = &http.Transport{
		Protocols: &h2c, DisableCompression: true, MaxResponseHeaderBytes: maxAnswerHead,
		DialContext: (&net.Dialer{KeepAlive: -1}).DialContext, // the context has the limit
	}
	t.server = &http.Server{
		Handler: t, DisableGeneralOptionsHandler: true, MaxHeaderBytes: 2*cfg.HeaderBytes + 64<<10, // the gateway adds to what it has let in
		ReadHeaderTimeout: 0, // who sends here is the gateway itself
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, legKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			l, ok := c.(*leg)
			switch {
			case ok && state == http.StateIdle:
				l.rests()
			case ok && state == http.StateClosed:
				_ = l.beyond.Close()
			}
		},
	}
	return t
}

// run serves until ctx ends.
func (t *translator) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = t.server.Close() })()
	if err := t.server.Serve(t.intake); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// leg is the far end of an upstream connection, and what is beyond it.
type leg struct {
	net.Conn
	beyond *http.ClientConn

	mu    sync.Mutex // guards what follows
	busy  bool       // with a request
	ended bool       // the instance takes no further ones
}

// works begins a request.
func (l *leg) works() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = true
}

// rests is told that the answer is through.
func (l *leg) rests() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy = false; l.ended {
		_ = l.Close()
	}
}

// ends is told that the instance takes no further requests. The one it has may
// still be answered.
func (l *leg) ends() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended = true; !l.busy {
		_ = l.Close()
	}
}

type legKey struct{}

// dial connects to an instance and returns the near end.
func (t *translator) dial(limit time.Duration, address string) (duplex, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	beyond, err := t.out.NewClientConn(ctx, "http", address)
	if err != nil {
		return nil, err
	}
	near, far, err := pair()
	if err != nil {
		return nil, errors.Join(err, beyond.Close())
	}
	l := &leg{Conn: far, beyond: beyond}
	beyond.SetStateHook(func(c *http.ClientConn) {
		if c.Err() != nil { // as the upstream side is to see
			l.ends()
		}
	})
	t.intake.give(l)
	return near, nil
}

// ServeHTTP carries one request over.
func (t *translator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l, _ := r.Context().Value(legKey{}).(*leg)
	l.works()
	rc := http.NewResponseController(w)
	if err := rc.EnableFullDuplex(); err != nil {
		panic(http.ErrAbortHandler)
	}
	before := &interims{w: w}
	defer before.end()
	res, err := l.beyond.RoundTrip(outgoing(r, before))
	if err != nil {
		panic(http.ErrAbortHandler) // without an answer: the upstream side knows what that means
	}
	defer func() { _ = res.Body.Close() }()
	h := w.Header()
	for name, values := range res.Header {
		if name != "Connection" && name != "Transfer-Encoding" && name != "Trailer" {
			h[name] = values
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http guesses one
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = nil // the gateway adds one
	}
	if len(res.Trailer) > 0 {
		h.Del("Content-Length") // HTTP/1 has trailers only behind chunks
	}
	w.WriteHeader(res.StatusCode)
	if r.Method == http.MethodHead || res.ContentLength == 0 && len(res.Trailer) == 0 { // known from the head on, and gRPC's clients want to know it as early
		return
	}
	if err := carryOver(w, rc, res.Body); err != nil {
		panic(http.ErrAbortHandler) // a part must not look like the whole
	}
	for name, values := range res.Trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// interims passes the answers before the answer on. net/http tells of them in a
// goroutine of the connection, which may be late: then nobody is there any more.
type interims struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil: it is over
}

// errSwitched is an instance that switches protocols, which HTTP/2 cannot.
var errSwitched = errors.New("the instance switched protocols inside HTTP/2")

func (i *interims) pass(code int, fields textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case code == http.StatusSwitchingProtocols: // else it would be taken for the answer
		return errSwitched
	case code == http.StatusContinue || i.w == nil:
		return nil
	}
	h := i.w.Header()
	for name, values := range fields {
		h[name] = values
	}
	i.w.WriteHeader(code)
	clear(h)
	return nil
}

func (i *interims) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.w = nil
}

// outgoing makes the request for the instance.
func outgoing(r *http.Request, before *interims) *http.Request {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: before.pass})
	out := r.WithContext(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", r.Host, ""
	out.Header = r.Header.Clone()
	for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding", "Expect"} {
		delete(out.Header, name)
	}
	if !strings.EqualFold(out.Header.Get("Te"), "trailers") {
		delete(out.Header, "Te")
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else net/http names itself
	}
	if r.ContentLength == 0 {
		out.Body = nil
	}
	return out
}

// carryOver copies an answer's body as it comes.
func carryOver(w io.Writer, rc *http.ResponseController, body io.Reader) error {
	if err := rc.Flush(); err != nil {
		return err
	}
	buf := getLarge()
	defer larges.Put(buf)
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if err := rc.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// either is net/http towards instances, in the protocol that they speak.
type either struct{ http1, http2 *http.Transport }

func eitherOf(t *http.Transport) *either {
	h2 := t.Clone()
	h2.Protocols = new(http.Protocols)
	h2.Protocols.SetUnencryptedHTTP2(true)
	return &either{t, h2}
}

type spokenKey struct{}

// spoken is a context for requests to the backend by way of either.
func (b *backend) spoken(ctx context.Context) context.Context {
	if b.http2 {
		return context.WithValue(ctx, spokenKey{}, true)
	}
	return ctx
}

// RoundTrip sends a request.
func (e *either) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(spokenKey{}) != nil {
		return e.http2.RoundTrip(r)
	}
	return e.http1.RoundTrip(r)
}

// CloseIdleConnections closes what is unused.
func (e *either) CloseIdleConnections() {
	e.http1.CloseIdleConnections()
	e.http2.CloseIdleConnections()
}
