package strict_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"naru/internal/route/strict"
)

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		block   string
		framing strict.Framing
		status  int
	}{
		"plain":                     {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 0},
		"length":                    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", strict.Framing{Length: 12}, 0},
		"chunked":                   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", strict.Framing{Chunked: true}, 0},
		"upgrade":                   {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, upgrade\r\nUpgrade: y\r\n\r\n", strict.Framing{Upgrade: true}, 0},
		"upgrade without the token": {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: y\r\n\r\n", strict.Framing{}, 0},
		"upgrade with a body":       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: y\r\nContent-Length: 1\r\n\r\n", strict.Framing{Length: 1}, 0},
		"IPv6 host":                 {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", strict.Framing{}, 0},
		"utf-8 target":              {"GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 0},
		"list of lengths":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", strict.Framing{}, 400},
		"empty length":              {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", strict.Framing{}, 400},
		"huge length":               {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1111111111111111111\r\n\r\n", strict.Framing{}, 400},
		"hex length":                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", strict.Framing{}, 400},
		"encoding list":             {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", strict.Framing{}, 501},
		"encoding in HTTP/1.0":      {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", strict.Framing{}, 400},
		"imitated length":           {"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n", strict.Framing{}, 400},
		"two spaces":                {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 400},
		"tab in the request line":   {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 400},
		"no colon":                  {"GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n", strict.Framing{}, 400},
		"empty name":                {"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", strict.Framing{}, 400},
		"NUL":                       {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", strict.Framing{}, 400},
		"user in the host":          {"GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", strict.Framing{}, 400},
		"list of hosts":             {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", strict.Framing{}, 400},
		"empty host":                {"GET / HTTP/1.1\r\nHost:\r\n\r\n", strict.Framing{}, 400},
		"port that is none":         {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", strict.Framing{}, 400},
		"HTTP/2 preface":            {"PRI * HTTP/2.0\r\n\r\n", strict.Framing{}, 505},
		"lower case version":        {"GET / http/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 400},
		"star for GET":              {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 400},
		"other scheme":              {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", strict.Framing{}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			framing, refusal := strict.Check([]byte(tc.block))
			status := 0
			if refusal != nil {
				status = refusal.Status
			}
			if framing != tc.framing || status != tc.status {
				t.Errorf("Check = %+v, %d, want %+v, %d", framing, status, tc.framing, tc.status)
			}
		})
	}
}

// pipe is a connection that brings bytes and swallows what is written.
type pipe struct {
	net.Conn
	in io.Reader
}

func (p pipe) Read(b []byte) (int, error)         { return p.in.Read(b) }
func (p pipe) Write(b []byte) (int, error)        { return len(b), nil }
func (p pipe) Close() error                       { return nil }
func (p pipe) SetReadDeadline(time.Time) error    { return nil }
func (p pipe) SetWriteDeadline(t time.Time) error { return nil }

var limits = strict.Limits{Head: 4096, Read: time.Minute, Write: time.Minute, Linger: time.Nanosecond}

// TestReadKeepsRequestsApart sees that no Read goes over the end of a request,
// however the bytes come in.
func TestReadKeepsRequestsApart(t *testing.T) {
	parts := []string{
		"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hello",
		"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5;x=y\r\nhello\r\n00a\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
		"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	all := strings.Join(parts, "")
	for name, in := range map[string]io.Reader{
		"at once": strings.NewReader(all), "byte by byte": iotest.OneByteReader(strings.NewReader(all)),
		"by halves": iotest.HalfReader(strings.NewReader(all)), "end with data": iotest.DataErrReader(strings.NewReader(all)),
	} {
		t.Run(name, func(t *testing.T) {
			c := strict.NewConn(pipe{in: in}, limits)
			for _, part := range parts {
				got := ""
				for len(got) < len(part) {
					buf := make([]byte, 1000)
					n, err := c.Read(buf)
					if err != nil && n == 0 {
						t.Fatalf("after %q: %v", got, err)
					}
					got += string(buf[:n])
				}
				if got != part {
					t.Errorf("read %q, want %q", got, part)
				}
			}
			if n, err := c.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				t.Errorf("at the end %d, %v", n, err)
			}
		})
	}
}

func TestRefusedIsHarmlessAndLast(t *testing.T) {
	c := strict.NewConn(pipe{in: strings.NewReader("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")}, limits)
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	r = r.WithContext(strict.With(t.Context(), c))
	if why := strict.Refused(r); why == nil || why.Status != 400 {
		t.Errorf("Refused = %v", why)
	}
	if r.URL.Path != "/" || r.Host != "refused.invalid" || !r.Close {
		t.Errorf("request %+v", r)
	}
	if n, err := c.Read(make([]byte, 100)); n != 0 || err != io.EOF {
		t.Errorf("after it %d, %v", n, err)
	}
	forged := r.Clone(r.Context())
	forged.Header.Set("Naru-Refused", "guess")
	if strict.Refused(forged) != nil {
		t.Error("a guessed mark counts")
	}
}

func TestAbortedGivesNothingMore(t *testing.T) {
	c := strict.NewConn(pipe{in: strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")}, limits)
	if _, err := http.ReadRequest(bufio.NewReaderSize(c, 16)); err != nil {
		t.Fatal(err)
	}
	c.Abort()
	if n, err := c.Read(make([]byte, 100)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

func TestMalformedChunks(t *testing.T) {
	for name, body := range map[string]string{
		"no digits": "\r\n", "letters": "g\r\n", "space before": " 5\r\nhello\r\n", "space after": "5 \r\nhello\r\n", "minus": "-1\r\n", "prefix": "0x5\r\nhello\r\n",
		"no CR": "5\nhello\r\n", "data too long": "3\r\nhello\r\n", "bare LF after data": "5\r\nhello\n", "overflow": "ffffffffffffffff\r\n",
		"CR in an extension": "5;a\rb\r\nhello\r\n", "LF in an extension": "5;a\nb\r\nhello\r\n", "endless size line": "5;" + strings.Repeat("a", 2000),
		"trailer that is none": "0\r\n x: y\r\n\r\n", "endless trailers": "0\r\n" + strings.Repeat("a: b\r\n", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			c := strict.NewConn(pipe{in: strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)}, limits)
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, strict.ErrMalformed) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// FuzzAgainstNetHTTP holds the promise of the package: what gets through, this
// reader and net/http understand alike. The requests net/http makes of the
// filtered stream must be those of the raw stream, with the same bodies.
func FuzzAgainstNetHTTP(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nxyz",
		"GET / HTTP/1.0\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for {
			for bytes.HasPrefix(rest, []byte("\r\n")) {
				rest = rest[2:]
			}
			end := bytes.Index(rest, []byte("\n\r\n"))
			if end < 0 {
				return
			}
			framing, refusal := strict.Check(rest[:end+3])
			if refusal != nil || framing.Upgrade {
				return
			}
			raw := bytes.NewReader(rest)
			in := bufio.NewReaderSize(raw, 16)
			r, err := http.ReadRequest(in)
			if err != nil {
				return // net/http is the stricter one: it answers 400 itself
			}
			chunked := len(r.TransferEncoding) == 1 && r.TransferEncoding[0] == "chunked"
			if chunked != framing.Chunked || !chunked && max(r.ContentLength, 0) != framing.Length {
				t.Fatalf("net/http sees length %d %v, we see %+v in %q", r.ContentLength, r.TransferEncoding, framing, rest)
			}
			body, err := io.ReadAll(r.Body)
			c := strict.NewConn(pipe{in: bytes.NewReader(rest)}, limits)
			r2, err2 := http.ReadRequest(bufio.NewReader(c))
			if err2 != nil {
				if end+3 > limits.Head {
					return
				}
				t.Fatalf("filtered, net/http reads nothing: %v in %q", err2, rest)
			}
			body2, err2 := io.ReadAll(r2.Body)
			if err != nil || err2 != nil {
				return // one of them found the body malformed: the connection ends there
			}
			if r.Method != r2.Method || r.RequestURI != r2.RequestURI || r.Host != r2.Host || !bytes.Equal(body, body2) {
				t.Fatalf("%q: %s %s %q and filtered %s %s %q", rest, r.Method, r.Host, body, r2.Method, r2.Host, body2)
			}
			rest = rest[len(rest)-raw.Len()-in.Buffered():]
		}
	})
}
