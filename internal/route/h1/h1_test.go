package h1_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"naru/internal/route/h1"
)

var (
	none    = h1.Framing{}
	chunked = h1.Framing{Kind: h1.Chunked}
)

func sized(n int64) h1.Framing { return h1.Framing{Kind: h1.Sized, Length: n} }

// TestRequests holds what is let in, how its body ends, and what is refused:
// among them every way to smuggle a request that was published.
func TestRequests(t *testing.T) {
	post := func(fields string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	get := func(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	for name, tc := range map[string]struct {
		block string
		body  h1.Framing
		want  int // status of the refusal, 0: let in
	}{
		"plain":                            {get(""), none, 0},
		"length":                           {post("Content-Length: 12\r\n"), sized(12), 0},
		"length zero":                      {post("Content-Length: 0\r\n"), none, 0},
		"chunked in any case":              {post("transfer-ENCODING: Chunked\r\n"), chunked, 0},
		"IPv6 host":                        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", none, 0},
		"utf-8 target":                     {"GET /ä HTTP/1.1\r\nHost: a\r\n\r\n", none, 0},
		"utf-8 value":                      {get("X: ä\r\n"), none, 0},
		"tab in a value":                   {get("X: a\tb\r\n"), none, 0},
		"empty value":                      {get("X:\r\n"), none, 0},
		"URL in full":                      {"GET http://a/x HTTP/1.1\r\nHost: A\r\n\r\n", none, 0},
		"star for OPTIONS":                 {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", none, 0},
		"a method of its own":              {"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", none, 0},
		"HTTP/1.0":                         {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", none, 0},
		"CL.TE":                            {post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"), none, 400},
		"TE.CL":                            {post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"), none, 400},
		"TE.0":                             {post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), none, 400},
		"TE.TE":                            {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), none, 400},
		"TE.TE with identity":              {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), none, 400},
		"encoding identity":                {post("Transfer-Encoding: identity\r\n"), none, 501},
		"encoding xchunked":                {post("Transfer-Encoding: xchunked\r\n"), none, 501},
		"encoding list":                    {post("Transfer-Encoding: gzip, chunked\r\n"), none, 501},
		"encoding twice in a list":         {post("Transfer-Encoding: chunked, chunked\r\n"), none, 501},
		"encoding in quotes":               {post("Transfer-Encoding: \"chunked\"\r\n"), none, 501},
		"encoding with a parameter":        {post("Transfer-Encoding: chunked;a=b\r\n"), none, 501},
		"encoding with vertical tab":       {post("Transfer-Encoding:\x0bchunked\r\n"), none, 400},
		"encoding behind a form feed":      {post("Transfer-Encoding: \x0cchunked\r\n"), none, 400},
		"encoding before a form feed":      {post("Transfer-Encoding: chunked\x0c\r\n"), none, 400},
		"encoding before vertical tab":     {post("Transfer-Encoding: chunked\x0b\r\n"), none, 400},
		"encoding before NUL at end":       {post("Transfer-Encoding: chunked\x00\r\n"), none, 400},
		"encoding before a comma":          {post("Transfer-Encoding: chunked,\r\n"), none, 501},
		"encoding behind a comma":          {post("Transfer-Encoding: ,chunked\r\n"), none, 501},
		"encoding identity in a list":      {post("Transfer-Encoding: identity, chunked\r\n"), none, 501},
		"encoding behind a long space":     {post("Transfer-Encoding: \xa0chunked\r\n"), none, 501},
		"encoding with a long s":           {post("Tran\xc5\xbffer-Encoding: chunked\r\n"), none, 400},
		"encoding with a Kelvin sign":      {post("Transfer-Encoding: chun\xe2\x84\xaaed\r\n"), none, 501},
		"encoding in single quotes":        {post("Transfer-Encoding: 'chunked'\r\n"), none, 501},
		"encoding folded, empty before":    {post("Transfer-Encoding:\r\n\tchunked\r\n"), none, 400},
		"encoding folded behind":           {post("Transfer-Encoding: chunked\r\n x\r\n"), none, 400},
		"encoding folded, then length":     {post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n"), none, 400},
		"encoding hidden by a bare CR":     {post("X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"), none, 400},
		"encoding hidden by a bare LF":     {post("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"), none, 400},
		"0.CL: length before a space":      {get("Content-Length : 5\r\n"), none, 400},
		"0.CL: length behind a space":      {get(" Content-Length: 5\r\n"), none, 400},
		"0.CL: length of a HEAD":           {"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", sized(5), 0},
		"0.CL: length folded":              {get("Content-Length:\r\n 5\r\n"), none, 400},
		"0.CL: length with a comma":        {get("Content-Length: 5,\r\n"), none, 400},
		"0.CL: length with a semicolon":    {get("Content-Length: 5;a\r\n"), none, 400},
		"0.CL: length with a fraction":     {get("Content-Length: 5.0\r\n"), none, 400},
		"0.CL: length in quotes":           {get("Content-Length: \"5\"\r\n"), none, 400},
		"0.CL: length before vertical tab": {get("Content-Length: 5\x0b\r\n"), none, 400},
		"CL.0: length of OPTIONS":          {"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", sized(5), 0},
		"length zero twice":                {post("Content-Length: 0\r\nContent-Length: 5\r\n"), none, 400},
		"expectation in a list":            {post("Content-Length: 1\r\nExpect: 100-continue, x\r\n"), none, 417},
		"expectation empty":                {post("Content-Length: 1\r\nExpect:\r\n"), none, 417},
		"expectation folded":               {post("Content-Length: 1\r\nExpect:\r\n 100-continue\r\n"), none, 400},
		"expectation before a space":       {post("Content-Length: 1\r\nExpect : 100-continue\r\n"), none, 400},
		"host masked behind a space":       {"GET / HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n", none, 400},
		"host masked before a space":       {"GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n", none, 400},
		"encoding empty":                   {post("Transfer-Encoding:\r\n"), none, 501},
		"encoding behind a space":          {post(" Transfer-Encoding: chunked\r\n"), none, 400},
		"encoding before a space":          {post("Transfer-Encoding : chunked\r\n"), none, 400},
		"encoding before a tab":            {post("Transfer-Encoding\t: chunked\r\n"), none, 400},
		"encoding before NUL":              {post("Transfer-Encoding\x00: chunked\r\n"), none, 400},
		"encoding with underscore":         {post("Transfer_Encoding: chunked\r\n"), none, 400},
		"encoding in HTTP/1.0":             {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", none, 400},
		"encoding folded":                  {post("Transfer-Encoding:\r\n chunked\r\n"), none, 400},
		"fold":                             {post("X: a\r\n b\r\n"), none, 400},
		"fold with a tab":                  {post("X: a\r\n\tb\r\n"), none, 400},
		"fold of the first field":          {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", none, 400},
		"two lengths":                      {post("Content-Length: 4\r\nContent-Length: 5\r\n"), none, 400},
		"two equal lengths":                {post("Content-Length: 4\r\nContent-Length: 4\r\n"), none, 400},
		"length list":                      {post("Content-Length: 1, 1\r\n"), none, 400},
		"length with plus":                 {post("Content-Length: +5\r\n"), none, 400},
		"length with minus":                {post("Content-Length: -5\r\n"), none, 400},
		"length empty":                     {post("Content-Length:\r\n"), none, 400},
		"length in hexadecimal":            {post("Content-Length: 0x5\r\n"), none, 400},
		"length with a letter":             {post("Content-Length: 5a\r\n"), none, 400},
		"length with a space inside":       {post("Content-Length: 1 2\r\n"), none, 400},
		"length with underscore":           {post("Content_Length: 5\r\n"), none, 400},
		"length that overflows":            {post("Content-Length: 18446744073709551621\r\n"), none, 400},
		"length with other digits":         {post("Content-Length: \xd9\xa5\r\n"), none, 400},
		"length of a GET":                  {get("Content-Length: 5\r\n"), sized(5), 0},
		"bare LF after a field":            {"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", none, 400},
		"bare LF after the line":           {"GET / HTTP/1.1\nHost: a\r\n\r\n", none, 400},
		"bare LF at the end":               {"GET / HTTP/1.1\r\nHost: a\r\n\n", none, 400},
		"bare CR in a value":               {get("X: a\rY: b\r\n"), none, 400},
		"bare CR in a name":                {get("X\r: a\r\n"), none, 400},
		"CR CR LF":                         {get("X: a\r\r\n"), none, 400},
		"NUL in a value":                   {get("X: a\x00b\r\n"), none, 400},
		"NUL in a name":                    {get("X\x00: a\r\n"), none, 400},
		"DEL in a value":                   {get("X: 12345678\x7f\r\n"), none, 400},
		"control in a long value":          {get("X: 0123456789abcde\x01f\r\n"), none, 400},
		"no colon":                         {get("foo\r\n"), none, 400},
		"empty name":                       {get(": x\r\n"), none, 400},
		"name with a space":                {get("X Y: z\r\n"), none, 400},
		"name in brackets":                 {get("[X]: z\r\n"), none, 400},
		"name not ASCII":                   {get("X\xe4: z\r\n"), none, 400},
		"no host":                          {"GET / HTTP/1.1\r\n\r\n", none, 400},
		"no host in HTTP/1.0":              {"GET / HTTP/1.0\r\n\r\n", none, 400},
		"two hosts":                        {get("Host: b\r\n"), none, 400},
		"two equal hosts":                  {get("host: a\r\n"), none, 400},
		"list of hosts":                    {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", none, 400},
		"empty host":                       {"GET / HTTP/1.1\r\nHost:\r\n\r\n", none, 400},
		"user in the host":                 {"GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", none, 400},
		"path in the host":                 {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", none, 400},
		"port that is none":                {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", none, 400},
		"port too long":                    {"GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", none, 400},
		"brackets without an address":      {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", none, 400},
		"URL of another host":              {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"URL with a user":                  {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"URL of another scheme":            {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"URL without a host":               {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"name as target":                   {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"star for GET":                     {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"fragment":                         {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"percent without digits":           {"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"percent at the end":               {"GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"NUL in the target":                {"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"tab in the target":                {"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"CONNECT":                          {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", none, 405},
		"no method":                        {" / HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"method with NUL":                  {"GE\x00T / HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"method with a colon":              {"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"two spaces":                       {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"tab for a space":                  {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"space at the end":                 {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", none, 400},
		"space in the target":              {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", none, 400},
		"HTTP/0.9":                         {"GET /\r\n\r\n", none, 400},
		"lower case version":               {"GET / http/1.1\r\nHost: a\r\n\r\n", none, 400},
		"long version":                     {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", none, 505},
		"version nobody speaks":            {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", none, 505},
		"other expectation":                {post("Content-Length: 1\r\nExpect: y 100-continue\r\n"), none, 417},
		"two expectations":                 {post("Content-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"), none, 417},
		"Connection names the length":      {post("Content-Length: 3\r\nConnection: Content-Length\r\n"), sized(3), 0},
		"too many fields":                  {get(strings.Repeat("A: b\r\n", 300)), none, 431},
	} {
		t.Run(name, func(t *testing.T) {
			var r h1.Request
			got := 0
			if why := r.Parse([]byte(tc.block)); why != nil {
				got = why.Status
			}
			if got != tc.want {
				t.Fatalf("refused with %d, want %d", got, tc.want)
			}
			if got == 0 && r.Body != tc.body {
				t.Errorf("body %+v, want %+v", r.Body, tc.body)
			}
		})
	}
}

func TestWhatARequestSays(t *testing.T) {
	var r h1.Request
	block := "POST /a%2Fb//c%20?x=1?y HTTP/1.1\r\nhost: Shop.Test:80\r\nConnection: keep-alive, X-Secret , close\r\nX-Secret: 1\r\n" +
		"TE: gzip, trailers\r\nX_Forwarded_For: 6\r\nExpect: 100-Continue\r\nContent-Length:3 \r\n\r\n"
	if why := r.Parse([]byte(block)); why != nil {
		t.Fatal(why)
	}
	for what, pair := range map[string][2]string{
		"method": {string(r.Method), "POST"}, "path": {string(r.Path), "/a%2Fb//c%20"}, "query": {string(r.Query), "?x=1?y"},
		"decoded": {string(r.Decoded(nil)), "/a/b//c "}, "host": {string(r.Host()), "Shop.Test:80"},
		"length": {string(r.Get(h1.ContentLength)), "3"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if !r.Close() || !r.Trailers() || !r.Expect || r.Switch {
		t.Errorf("close %v, trailers %v, expect %v, switch %v", r.Close(), r.Trailers(), r.Expect, r.Switch)
	}
	if r.Count(h1.ForwardedFake) != 1 {
		t.Error("a forwarded field in disguise was not seen")
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		if want := string(r.Name(f)) == "X-Secret"; r.Named(f) != want {
			t.Errorf("%s is named by Connection: %v", r.Name(f), !want)
		}
	}
	if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, upgrade\r\nUpgrade: websocket\r\n\r\n")); why != nil || !r.Switch {
		t.Errorf("an upgrade is not seen: %v", why)
	}
	if why := r.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")); why != nil || r.Switch {
		t.Errorf("an upgrade without its token counts: %v", why)
	}
}

func TestEnd(t *testing.T) {
	const block = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for n := range len(block) {
		size, why := h1.End([]byte(block[:n]), max(0, n-1))
		if size != 0 || why != nil {
			t.Fatalf("the first %d bytes end after %d, %v", n, size, why)
		}
	}
	if size, why := h1.End([]byte(block+"more"), len(block)-1); size != len(block) || why != nil {
		t.Errorf("it ends after %d, %v", size, why)
	}
	if _, why := h1.End([]byte("GET / HTTP/1.1\nHost"), 0); why == nil {
		t.Error("bare line feeds are waited on")
	}
}

func TestResponses(t *testing.T) {
	for name, tc := range map[string]struct {
		block  string
		head   bool
		status int // 0: refused
		body   h1.Framing
		close  bool
	}{
		"plain":                 {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), false},
		"empty":                 {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, none, false},
		"no reason":             {"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), false},
		"empty reason":          {"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), false},
		"chunked":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, chunked, false},
		"until close":           {"HTTP/1.1 200 OK\r\n\r\n", false, 200, h1.Framing{Kind: h1.UntilClose}, true},
		"HEAD":                  {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, 200, none, false},
		"HEAD until close":      {"HTTP/1.1 200 OK\r\n\r\n", true, 200, none, false},
		"no content":            {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", false, 204, none, false},
		"not modified":          {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, none, false},
		"interim":               {"HTTP/1.1 103 Early Hints\r\n\r\n", false, 103, none, false},
		"close":                 {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), true},
		"HTTP/1.0":              {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), true},
		"HTTP/1.0 kept":         {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n", false, 200, sized(3), false},
		"both lengths":          {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, none, false},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", false, 0, none, false},
		"another protocol":      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", false, 0, none, false},
		"version 2":             {"HTTP/2.0 200 OK\r\n\r\n", false, 0, none, false},
		"four digits":           {"HTTP/1.1 2000 OK\r\n\r\n", false, 0, none, false},
		"no digits":             {"HTTP/1.1 OK\r\n\r\n", false, 0, none, false},
		"status below 100":      {"HTTP/1.1 099 OK\r\n\r\n", false, 0, none, false},
		"bare LF":               {"HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n", false, 0, none, false},
		"control in the line":   {"HTTP/1.1 200 O\x00K\r\n\r\n", false, 0, none, false},
		"split by a field":      {"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", false, 0, none, false},
		"HEAD with both":        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true, 0, none, false},
		"no content with both":  {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, none, false},
		"interim with a length": {"HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n", false, 103, none, false},
		"two encodings":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, none, false},
		"encoding in HTTP/1.0":  {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, none, false},
		"encoding, then comma":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n", false, 0, none, false},
		"length list":           {"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", false, 0, none, false},
		"length with plus":      {"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", false, 0, none, false},
		"fold":                  {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", false, 0, none, false},
		"NUL in a value":        {"HTTP/1.1 200 OK\r\nX: a\x00\r\n\r\n", false, 0, none, false},
		"an encoding we don't":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, 0, none, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r h1.Response
			if why := r.Parse([]byte(tc.block), tc.head); why != nil {
				if tc.status != 0 {
					t.Fatalf("refused: %v", why)
				}
				return
			}
			if r.Status != tc.status || r.Body != tc.body || r.Close() != tc.close {
				t.Errorf("status %d, body %+v, close %v", r.Status, r.Body, r.Close())
			}
		})
	}
}

// TestChunks reads bodies whole, and cut at every place.
func TestChunks(t *testing.T) {
	for name, tc := range map[string]struct{ in, kept, data, trailers string }{
		"one":               {"5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n", "hello", ""},
		"two":               {"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "5\r\nhello\r\n1\r\n!\r\n", "hello!", ""},
		"none":              {"0\r\n\r\n", "", "", ""},
		"zeros":             {"000\r\n\r\n", "", "", ""},
		"zeros before":      {"00a\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n", "0123456789", ""},
		"zeros inside":      {"10\r\n0123456789abcdef\r\n0\r\n\r\n", "10\r\n0123456789abcdef\r\n", "0123456789abcdef", ""},
		"extensions":        {"5;a=b;c=\"d\"\r\nhello\r\n1;x\r\n!\r\n0;end\r\n\r\n", "5\r\nhello\r\n1\r\n!\r\n", "hello!", ""},
		"trailers":          {"1\r\na\r\n0\r\nX-Sum: 7\r\nY: z\r\n\r\n", "1\r\na\r\n", "a", "X-Sum=7 Y=z "},
		"line ends as data": {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "4\r\n\r\n\r\n\r\n", "\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, bare := range []bool{false, true} {
				for cut := range len(tc.in) {
					c := h1.Chunks{Bare: bare}
					in := []byte(tc.in + "next")
					first, used, done, err := c.Next(in[:cut])
					got := string(first)
					if err != nil || done || used != cut {
						t.Fatalf("cut at %d: used %d, done %v, %v", cut, used, done, err)
					}
					rest, used, done, err := c.Next(in[cut:])
					got += string(rest)
					if err != nil || !done || string(in[cut+used:]) != "next" {
						t.Fatalf("cut at %d, then used %d, done %v, %v", cut, used, done, err)
					}
					want := tc.kept
					if bare {
						want = tc.data
					}
					if got != want || c.Data != int64(len(tc.data)) {
						t.Fatalf("cut at %d: %q with %d bytes, want %q", cut, got, c.Data, want)
					}
					var fields h1.Fields
					if why := c.Trailers(&fields); why != nil {
						t.Fatal(why)
					}
					said := ""
					for i := range fields.Fields {
						f := &fields.Fields[i]
						said += fmt.Sprintf("%s=%s ", fields.Name(f), fields.Value(f))
					}
					if said != tc.trailers {
						t.Fatalf("trailers %q, want %q", said, tc.trailers)
					}
				}
			}
		})
	}
}

func TestMalformedChunks(t *testing.T) {
	for name, body := range map[string]string{
		"no digits": "\r\n", "letters": "g\r\n", "space before": " 5\r\nhello\r\n", "space after": "5 \r\nhello\r\n", "minus": "-1\r\n",
		"plus": "+5\r\nhello\r\n", "prefix": "0x5\r\nhello\r\n", "underscore": "5_0\r\n",
		"no CR": "5\nhello\r\n", "only CR": "5\rhello\r\n", "data too long": "3\r\nhello\r\n", "bare LF after data": "5\r\nhello\n",
		"overflow": "ffffffffffffffff\r\n", "overflow by zeros": strings.Repeat("0", 16) + "5\r\nhello\r\n",
		"CR in an extension": "5;a\rb\r\nhello\r\n", "LF in an extension (TERM.EXT)": "5;a\nb\r\nhello\r\n",
		"LF ends the extension (EXT.TERM)": "5;\nhello\r\n0\r\n\r\n", "two chunks for one (SPILL)": "5\r\nhelloXX0\r\n\r\n",
		"NUL in an extension": "5;\x00\r\nhello\r\n", "endless size line": "5;" + strings.Repeat("a", 2000),
		"trailer behind a space": "0\r\n x: y\r\n\r\n", "trailer with LF": "0\r\nx: y\n\r\n", "last LF alone": "0\r\n\n",
		"endless extensions": strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 40) + "0\r\n\r\n",
		"LF in quotes":       "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "CR LF in quotes": "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
		"vertical tab": "5\x0b\r\nhello\r\n", "two bytes for the end of data": "5\r\nhelloab0\r\n\r\n", "CR and another for the end of data": "5\r\nhello\ra0\r\n\r\n",
		"CR and another for the end of the size": "5\rahello\r\n0\r\n\r\n", "trailer folded": "0\r\nx: y\r\n z\r\n\r\n", "trailer with bare CR": "0\r\nx: y\rz: a\r\n\r\n",
		"endless trailers": "0\r\n" + strings.Repeat("a: b\r\n", 4000),
	} {
		t.Run(name, func(t *testing.T) {
			var c h1.Chunks
			if _, _, done, err := c.Next([]byte(body)); !errors.Is(err, h1.ErrMalformed) || done {
				t.Errorf("done %v, err %v", done, err)
			}
		})
	}
	long := strings.Repeat("1;aaaaaaaa\r\nx\r\n", 1000) + "0\r\n\r\n"
	if _, _, done, err := new(h1.Chunks).Next([]byte(long)); !done || err != nil {
		t.Errorf("many small chunks with short extensions: done %v, err %v", done, err)
	}
	var c h1.Chunks
	if _, _, done, err := c.Next([]byte("0\r\nno colon\r\n\r\n")); !done || err != nil {
		t.Fatal(done, err)
	}
	if why := c.Trailers(new(h1.Fields)); why == nil {
		t.Error("a trailer without a colon is taken")
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	request := []byte("GET /a/b?c HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: x\r\nAccept: */*\r\nCookie: a=b\r\n\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1024\r\nDate: now\r\n\r\n")
	chunks := []byte("5;a\r\nhello\r\n0\r\n\r\n")
	body := bytes.Clone(chunks)
	var r h1.Request
	var s h1.Response
	if n := testing.AllocsPerRun(100, func() {
		var c h1.Chunks
		copy(body, chunks)
		_, _, done, err := c.Next(body)
		if r.Parse(request) != nil || s.Parse(response, false) != nil || !done || err != nil {
			t.Fatal("not taken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	block := []byte("GET /shop/cart?item=17 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de,en-US;q=0.7,en;q=0.3\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n")
	var r h1.Request
	b.ReportAllocs()
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if why := r.Parse(block); why != nil {
			b.Fatal(why)
		}
	}
}
