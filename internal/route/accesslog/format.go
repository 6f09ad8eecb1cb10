package accesslog

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"naru/internal/route"
	"naru/internal/route/encode"
)

// AppendJSON appends a request as an object of JSON, without a line break. Times
// are in seconds.
func AppendJSON(b []byte, a route.Access) []byte { return new(pen).json(b, &a) }

// AppendCF appends a request as gorouter writes it, without a line break:
// whatever reads those reads these.
func AppendCF(b []byte, a route.Access) []byte { return new(pen).cf(b, &a) }

func (p *pen) json(b []byte, a *route.Access) []byte {
	b = append(p.clock.Append(append(b, `{"time":"`...), a.Time), '"')
	b = text(b, `,"request_id":`, a.RequestID)
	b = text(b, `,"client":`, a.Client)
	b = textIf(b, `,"forwarded_for":`, a.ForwardedFor)
	b = text(b, `,"scheme":`, a.ForwardedProto)
	b = text(b, `,"method":`, a.Method)
	b = text(b, `,"host":`, a.Host)
	b = text(b, `,"uri":`, a.URI)
	b = text(b, `,"proto":`, a.Proto)
	b = textIf(b, `,"agent":`, a.Agent)
	b = textIf(b, `,"referer":`, a.Referer)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(a.Status), 10)
	b = strconv.AppendInt(append(b, `,"received":`...), a.Received, 10)
	b = strconv.AppendInt(append(b, `,"sent":`...), a.Sent, 10)
	b = encode.Seconds(append(b, `,"took":`...), a.Took)
	b = encode.Seconds(append(b, `,"header":`...), a.Header)
	b = p.common(b, a, jsonPlace)
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(a.Attempts), 10)
	if a.Upgrade {
		b = append(b, `,"upgrade":true`...)
	}
	b = textIf(b, `,"problem":`, a.Problem)
	return append(textIf(b, `,"trace":`, a.Trace), '}')
}

// jsonPlace says where a request went.
func jsonPlace(b []byte, a *route.Access) []byte {
	b = textIf(b, `,"route":`, a.Route)
	b = textIf(b, `,"app":`, a.App.Name)
	b = textIf(b, `,"app_id":`, a.App.ID)
	b = textIf(b, `,"group":`, a.Group)
	b = textIf(b, `,"instance":`, a.Instance)
	if a.Instance != "" {
		b = strconv.AppendInt(append(b, `,"index":`...), int64(a.Index), 10)
	}
	return textIf(b, `,"upstream":`, a.Upstream)
}

func textIf(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return text(b, name, value)
}

// text appends a field.
func text(b []byte, name, value string) []byte {
	b = append(b, name...)
	if encode.Ordinary(value) {
		return append(append(append(b, '"'), value...), '"')
	}
	from := len(b)
	b = encode.JSON(b, value)
	if !slices.ContainsFunc(b[from:], func(c byte) bool { return c >= 0x7f }) {
		return b
	}
	return printable(b[:from], bytes.Clone(b[from:]))
}

// printable appends JSON with what is not printable in it escaped: terminals take
// control characters of eight bits for orders, and readers cannot see letters that
// change the direction of others.
func printable(b, text []byte) []byte {
	for len(text) > 0 {
		plain := 0
		for plain < len(text) && text[plain] < 0x7f {
			plain++
		}
		b = append(b, text[:plain]...)
		if text = text[plain:]; len(text) == 0 {
			break
		}
		r, n := utf8.DecodeRune(text)
		if strconv.IsPrint(r) {
			b = append(b, text[:n]...)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				b = append(b, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			}
		}
		text = text[n:]
	}
	return b
}

const hexDigits = "0123456789abcdef"

func (p *pen) cf(b []byte, a *route.Access) []byte {
	from := len(b)
	b = encode.Quoted(b, a.Host)
	b = append(b[:from], b[from+1:len(b)-1]...) // without its quotes
	b = append(p.clock.AppendNanos(append(b, " - ["...), a.Time), "] "...)
	p.text = append(append(append(append(append(p.text[:0], a.Method...), ' '), a.URI...), ' '), a.Proto...)
	b = encode.Quoted(b, unsafe.String(unsafe.SliceData(p.text), len(p.text)))
	if a.Status == 0 {
		b = append(b, ` "-"`...)
	} else {
		b = strconv.AppendInt(append(b, ' '), int64(a.Status), 10)
	}
	b = strconv.AppendInt(append(b, ' '), a.Received, 10)
	b = strconv.AppendInt(append(b, ' '), a.Sent, 10)
	b = quoted(b, " ", a.Referer)
	b = quoted(b, " ", a.Agent)
	b = quoted(b, " ", a.Client)
	b = quoted(b, " ", a.Upstream)
	b = quoted(b, " x_forwarded_for:", a.ForwardedFor)
	b = quoted(b, " x_forwarded_proto:", a.ForwardedProto)
	b = quoted(b, " vcap_request_id:", a.RequestID)
	b = encode.Micros(append(b, " response_time:"...), a.Took)
	b = append(b, " gorouter_time:"...)
	switch {
	case a.Attempts == 0: // no instance was asked
		b = encode.Micros(b, a.Took)
	case a.Header == 0: // none has answered
		b = append(b, `"-"`...)
	default:
		b = encode.Micros(b, a.Took-a.Header)
	}
	b = p.common(b, a, cfPlace)
	return quoted(b, " x_cf_routererror:", routerError(a))
}

// cfPlace says where a request went.
func cfPlace(b []byte, a *route.Access) []byte {
	index := ""
	if a.Instance != "" {
		index = strconv.Itoa(a.Index)
	}
	b = quoted(b, " app_id:", a.App.ID)
	b = quoted(b, " app_index:", index)
	b = quoted(b, " instance_id:", a.Instance)
	return quoted(b, " route_service_url:", "") // there are none
}

func quoted(b []byte, name, value string) []byte {
	if value == "" {
		value = "-"
	}
	return encode.Quoted(append(b, name...), value)
}

// routerError is what gorouter calls the reason why it answered itself.
func routerError(a *route.Access) string {
	switch {
	case a.Route == "" && a.Status == 404:
		return "unknown_route"
	case a.Attempts == 0 && a.Status == 503:
		return "no_endpoints"
	case a.Problem != "" && a.Status >= 500:
		return "endpoint_failure (" + a.Problem + ")"
	}
	return ""
}
