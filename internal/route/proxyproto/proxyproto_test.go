package proxyproto_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"naru/internal/route/proxyproto"
)

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

func TestParse(t *testing.T) {
	four := "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50" // 192.0.2.1:4711, 198.51.100.2:80
	six := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x12\x67\x01\xbb"
	mapped := strings.Repeat("\x00", 10) + "\xff\xff\xc0\x00\x02\x01" + strings.Repeat("\x00", 10) + "\xff\xff\xc6\x33\x64\x02" + "\x12\x67\x00\x50"
	for _, tc := range []struct {
		name, in string
		from, to string // "": none
		rest     string
		err      error
	}{
		{name: "v1 IPv4", in: "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\nGET /", from: "192.0.2.1:4711", to: "198.51.100.2:80", rest: "GET /"},
		{name: "v1 IPv6", in: "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", from: "[2001:db8::1]:4711", to: "[2001:db8::2]:443"},
		{name: "v1 IPv4 in IPv6", in: "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 0 65535\r\n", from: "192.0.2.1:0", to: "[2001:db8::2]:65535"},
		{name: "v1 the longest", in: "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535" + strings.Repeat(" ", 48) + "\r\n"},
		{name: "v1 unknown", in: "PROXY UNKNOWN\r\nhello", rest: "hello"},
		{name: "v1 unknown with words", in: "PROXY UNKNOWN 1 2 3 4 5 6\r\n"},
		{name: "v1 too long", in: "PROXY TCP4 " + strings.Repeat("1", 200), err: proxyproto.ErrTooLarge},
		{name: "v1 bare line feed", in: "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\n", err: proxyproto.ErrMalformed},
		{name: "v1 two blanks", in: "PROXY TCP4  192.0.2.1 198.51.100.2 4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 a word too many", in: "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80 1\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 family and address differ", in: "PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 IPv4 called IPv6", in: "PROXY TCP6 192.0.2.1 198.51.100.2 4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 zone", in: "PROXY TCP6 fe80::1%eth0 fe80::2 4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 port with a sign", in: "PROXY TCP4 192.0.2.1 198.51.100.2 +4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 port with a nought before it", in: "PROXY TCP4 192.0.2.1 198.51.100.2 0471 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 port too high", in: "PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 no port", in: "PROXY TCP4 192.0.2.1 198.51.100.2  80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 another family", in: "PROXY UDP4 192.0.2.1 198.51.100.2 4711 80\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 a control character", in: "PROXY UNKNOWN \x00\r\n", err: proxyproto.ErrMalformed},
		{name: "v1 a return within", in: "PROXY UNKNOWN \r \r\n", err: proxyproto.ErrMalformed},
		{name: "v1 small letters", in: "proxy TCP4 192.0.2.1 198.51.100.2 4711 80\r\n", err: proxyproto.ErrMissing},
		{name: "none", in: "GET / HTTP/1.1\r\n", err: proxyproto.ErrMissing},
		{name: "a hello of TLS", in: "\x16\x03\x01\x02\x00\x01", err: proxyproto.ErrMissing},
		{name: "an empty line", in: "\r\n\r\nGET", err: proxyproto.ErrMissing},

		{name: "v2 IPv4", in: v2 + "\x21\x11\x00\x0c" + four + "GET /", from: "192.0.2.1:4711", to: "198.51.100.2:80", rest: "GET /"},
		{name: "v2 IPv6", in: v2 + "\x21\x21\x00\x24" + six, from: "[2001:db8::1]:4711", to: "[2001:db8::2]:443"},
		{name: "v2 IPv4 in IPv6", in: v2 + "\x21\x21\x00\x24" + mapped, from: "192.0.2.1:4711", to: "198.51.100.2:80"},
		{name: "v2 with TLVs", in: v2 + "\x21\x11\x00\x13" + four + "\x02\x00\x04shop" + "rest", from: "192.0.2.1:4711", to: "198.51.100.2:80", rest: "rest"},
		{name: "v2 local", in: v2 + "\x20\x00\x00\x00x", rest: "x"},
		{name: "v2 local with addresses", in: v2 + "\x20\x11\x00\x0c" + four + "x", rest: "x"},
		{name: "v2 of an unknown family", in: v2 + "\x21\x00\x00\x03abcx", rest: "x"},
		{name: "v2 unix", in: v2 + "\x21\x31\x00\xd8" + strings.Repeat("u", 216) + "x", rest: "x"},
		{name: "v2 unix too short", in: v2 + "\x21\x31\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 datagrams", in: v2 + "\x21\x12\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 addresses cut off", in: v2 + "\x21\x11\x00\x0b" + four[:11], err: proxyproto.ErrMalformed},
		{name: "v2 another version", in: v2 + "\x11\x11\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 another command", in: v2 + "\x22\x11\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 another family", in: v2 + "\x21\x41\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 a family without a protocol", in: v2 + "\x21\x10\x00\x0c" + four, err: proxyproto.ErrMalformed},
		{name: "v2 too large", in: v2 + "\x21\x11\xff\xff", err: proxyproto.ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, size, err := proxyproto.Parse([]byte(tc.in))
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			if size == 0 || tc.in[size:] != tc.rest {
				t.Fatalf("size %d of %d leaves %q, want %q", size, len(tc.in), tc.in[size:], tc.rest)
			}
			if got := [2]netip.AddrPort{h.From, h.To}; got != [2]netip.AddrPort{at(tc.from), at(tc.to)} {
				t.Fatalf("from and to %v, want %s, %s", got, tc.from, tc.to)
			}
			for n := range size { // piece by piece it is the same
				if _, size, err := proxyproto.Parse([]byte(tc.in[:n])); size != 0 || err != nil {
					t.Fatalf("of %d bytes: size %d, %v", n, size, err)
				}
			}
		})
	}
}

func at(text string) netip.AddrPort {
	if text == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(text)
}

func TestAppend(t *testing.T) {
	for _, tc := range []struct {
		name     string
		version  proxyproto.Version
		from, to string
		want     string // "": whatever Parse reads again
	}{
		{"none", proxyproto.None, "192.0.2.1:1", "192.0.2.2:2", ""},
		{"v1 IPv4", proxyproto.V1, "192.0.2.1:4711", "198.51.100.2:80", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"},
		{"v1 IPv6", proxyproto.V1, "[2001:db8::1]:4711", "[2001:db8::2]:80", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n"},
		{"v1 both", proxyproto.V1, "[2001:db8::1]:4711", "192.0.2.2:80", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 4711 80\r\n"},
		{"v1 unknown", proxyproto.V1, "", "192.0.2.2:80", "PROXY UNKNOWN\r\n"},
		{"v2 IPv4", proxyproto.V2, "192.0.2.1:4711", "198.51.100.2:80", v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50"},
		{"v2 both", proxyproto.V2, "[2001:db8::1]:4711", "192.0.2.2:80", ""},
		{"v2 unknown", proxyproto.V2, "", "", v2 + "\x20\x00\x00\x00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := proxyproto.Header{From: at(tc.from), To: at(tc.to)}
			got := proxyproto.Append([]byte("before"), tc.version, h)
			if !bytes.HasPrefix(got, []byte("before")) {
				t.Fatalf("%q", got)
			}
			got = got[len("before"):]
			if tc.want != "" && string(got) != tc.want {
				t.Fatalf("%q, want %q", got, tc.want)
			}
			if tc.version == proxyproto.None {
				if len(got) > 0 {
					t.Fatalf("%q", got)
				}
				return
			}
			if !h.From.IsValid() || !h.To.IsValid() {
				h = proxyproto.Header{}
			}
			if back, size, err := proxyproto.Parse(got); err != nil || size != len(got) || back != h {
				t.Fatalf("read again: %v, %d of %d, %v", back, size, len(got), err)
			}
		})
	}
}

// FuzzParse: whatever comes, a header is read the same in pieces, is bounded, and
// what was read can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\nGET / HTTP/1.1\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2 + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x50"))
	f.Add([]byte(v2 + "\x20\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, size, err := proxyproto.Parse(in)
		if size < 0 || size > len(in) || size > proxyproto.MaxV2 || err != nil && size != 0 {
			t.Fatalf("size %d of %d, %v", size, len(in), err)
		}
		if err == nil && size == 0 && len(in) >= proxyproto.MaxV2 {
			t.Fatal("it wants more than the bound")
		}
		if size == 0 {
			return
		}
		if again, n, err := proxyproto.Parse(in[:size]); again != h || n != size || err != nil {
			t.Fatalf("alone it is %v, %d, %v", again, n, err)
		}
		if _, n, err := proxyproto.Parse(in[:size-1]); n != 0 || err != nil {
			t.Fatalf("without its last byte it is %d, %v", n, err)
		}
		if h.From.IsValid() != h.To.IsValid() {
			t.Fatalf("half known: %v", h)
		}
		for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
			if back, _, err := proxyproto.Parse(proxyproto.Append(nil, v, h)); err != nil || back != h {
				t.Fatalf("%s: %v came back as %v, %v", v, h, back, err)
			}
		}
	})
}
