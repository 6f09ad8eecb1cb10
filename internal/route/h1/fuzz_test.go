package h1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"naru/internal/route/h1"
)

// FuzzRequests holds the promise of the package: what is let in, net/http reads
// alike, to the last byte of the body and the first of the next request. Where
// net/http refuses, we may be the more lenient only in what is listed.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET http://a/%20x?y HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nxyz",
		"GET / HTTP/1.0\r\nHost: [::1]:80\r\n\r\n", "\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST //x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for rest := data; ; {
			rest = bytes.TrimLeft(rest, "\r\n")
			end, why := h1.End(rest, 0)
			if end == 0 || why != nil {
				return
			}
			var ours h1.Request
			if ours.Parse(bytes.Clone(rest[:end])) != nil || ours.Switch {
				return
			}
			raw := bytes.NewReader(rest)
			in := bufio.NewReaderSize(raw, 16)
			theirs, err := http.ReadRequest(in)
			if err != nil {
				t.Fatalf("net/http refuses %q: %v", rest, err)
			}
			same(t, rest, &ours, theirs)
			data, left, ok := body(bytes.Clone(rest[end:]), ours.Body)
			read, err := io.ReadAll(theirs.Body)
			if !ok {
				return // malformed or cut short: the connection ends here
			}
			if err != nil {
				t.Fatalf("net/http cannot read the body of %q: %v", rest, err)
			}
			if !bytes.Equal(data, read) {
				t.Fatalf("the body of %q is %q, for net/http %q", rest, data, read)
			}
			if theirs := raw.Len() + in.Buffered(); theirs != len(left) {
				t.Fatalf("after %q we have %d bytes left, net/http %d", rest, len(left), theirs)
			}
			rest = left
		}
	})
}

// same compares what decides where a request goes.
func same(t *testing.T, block []byte, ours *h1.Request, theirs *http.Request) {
	length := int64(0)
	if ours.Body.Kind == h1.Sized {
		length = ours.Body.Length
	}
	chunked := len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked"
	if chunked != (ours.Body.Kind == h1.Chunked) || !chunked && max(theirs.ContentLength, 0) != length {
		t.Fatalf("net/http sees length %d %v, we see %+v in %q", theirs.ContentLength, theirs.TransferEncoding, ours.Body, block)
	}
	path := theirs.URL.Path
	if path == "" {
		path = "/"
	}
	if string(ours.Method) != theirs.Method || !strings.EqualFold(string(ours.Host()), theirs.Host) || string(ours.Target) != theirs.RequestURI ||
		string(ours.Decoded(nil)) != path {
		t.Fatalf("we see %s %s %s, net/http %s %s %s in %q", ours.Method, ours.Host(), ours.Decoded(nil), theirs.Method, theirs.Host, path, block)
	}
}

// body reads a body; ok is false where it is malformed or not whole.
func body(b []byte, framing h1.Framing) (data, left []byte, ok bool) {
	switch framing.Kind {
	case h1.Sized:
		if int64(len(b)) < framing.Length {
			return nil, nil, false
		}
		return b[:framing.Length], b[framing.Length:], true
	case h1.Chunked:
		c := h1.Chunks{Bare: true}
		data, used, done, err := c.Next(b)
		if err != nil || !done || c.Trailers(new(h1.Fields)) != nil {
			return nil, nil, false
		}
		return data, b[used:], true
	}
	return nil, b, true
}

// FuzzResponses does the same for answers.
func FuzzResponses(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 204\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, head bool) {
		end, why := h1.End(data, 0)
		if end == 0 || why != nil {
			return
		}
		var ours h1.Response
		if ours.Parse(bytes.Clone(data[:end]), head) != nil || ours.Status < 200 {
			return
		}
		req := &http.Request{Method: http.MethodGet}
		if head {
			req.Method = http.MethodHead
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), req)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data, err)
		}
		if theirs.StatusCode != ours.Status {
			t.Fatalf("status %d, for net/http %d in %q", ours.Status, theirs.StatusCode, data)
		}
		read, err := io.ReadAll(theirs.Body)
		want, _, ok := body(bytes.Clone(data[end:]), ours.Body)
		if ours.Body.Kind == h1.UntilClose {
			want, ok = data[end:], true
		}
		if ours.Body.Kind == h1.None {
			want, ok = nil, true
		}
		if !ok {
			return
		}
		if err != nil || !bytes.Equal(read, want) {
			t.Fatalf("the body of %q is %q, for net/http %q, %v", data, want, read, err)
		}
	})
}
