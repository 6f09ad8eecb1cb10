package search

import (
	"bytes"
	"slices"
	"strconv"
)

// Form is how a line is written.
type Form int

// The forms. A line of the gateway is written as Cloud Foundry's router writes
// it:
//
//	HOST - [TIME] "METHOD URI PROTOCOL" STATUS RECEIVED SENT "REFERER" "AGENT" "CLIENT" "UPSTREAM" NAME:VALUE …
const (
	Text   Form = iota // what an app wrote: an object of JSON, pairs, or anything
	Router             // of the gateway
)

// OfRouter are the fields of the gateway's lines that are written without their
// names, or under other ones. path is the URI without its query, duration the
// seconds until the answer had ended.
var OfRouter = []string{"host", "method", "uri", "path", "query", "protocol", "status", "received", "sent", "referer", "agent", "client", "upstream", "duration"}

// ofRouter is a word that each line of the gateway holds.
var ofRouter = []byte("gateway")

// routed is the value of one of OfRouter in a line of the gateway.
func routed(text []byte, name string) (string, bool) {
	if name == "duration" {
		return pair(text, "response_time")
	}
	host, rest, ok := bytes.Cut(text, []byte(" - ["))
	if !ok {
		return "", false
	}
	if name == "host" {
		return string(host), true
	}
	_, rest, ok = bytes.Cut(rest, []byte(`] "`))
	if !ok {
		return "", false
	}
	request, rest, ok := unquote(rest)
	if !ok {
		return "", false
	}
	switch name {
	case "method", "uri", "path", "query", "protocol":
		v := ofRequest(request, name)
		return v, v != ""
	}
	i := slices.Index([]string{"status", "received", "sent"}, name)
	parts := bytes.SplitN(bytes.TrimPrefix(rest, []byte(" ")), []byte(" "), 4)
	if len(parts) < 4 {
		return "", false
	}
	if i >= 0 {
		return string(parts[i]), true
	}
	rest = parts[3]
	for _, n := range []string{"referer", "agent", "client", "upstream"} {
		at := bytes.IndexByte(rest, '"')
		if at < 0 {
			return "", false
		}
		v, behind, ok := unquote(rest[at+1:])
		if !ok || n == name {
			return v, ok && v != "-"
		}
		rest = behind
	}
	return "", false
}

// ofRequest is a part of METHOD URI PROTOCOL. A URI that was too long is cut, and
// the protocol with it.
func ofRequest(request, name string) string {
	method, rest, _ := bytes.Cut([]byte(request), []byte(" "))
	uri, protocol := rest, []byte(nil)
	if at := bytes.LastIndexByte(rest, ' '); at >= 0 {
		uri, protocol = rest[:at], rest[at+1:]
	}
	path, query, _ := bytes.Cut(uri, []byte("?"))
	switch name {
	case "method":
		return string(method)
	case "uri":
		return string(uri)
	case "path":
		return string(path)
	case "query":
		return string(query)
	}
	return string(protocol)
}

// unquote reads what %q wrote, behind its first quote.
func unquote(text []byte) (value string, rest []byte, ok bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			if bytes.IndexByte(text[:i], '\\') < 0 {
				return string(text[:i]), text[i+1:], true
			}
			v, err := strconv.Unquote(`"` + string(text[:i]) + `"`)
			return v, text[i+1:], err == nil
		}
	}
	return "", nil, false
}
