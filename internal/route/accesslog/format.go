package accesslog

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"naru/internal/route"
	"naru/internal/route/encode"
)

// AppendJSON appends a request as an object of JSON, without a line break. Times
// are in seconds.
func AppendJSON(b []byte, a route.Access) []byte {
	o := encode.Object{B: b}
	o.Begin()
	o.Time("time", a.Time.UTC())
	o.String("request_id", a.RequestID)
	o.String("client", a.Client)
	o.StringIf("forwarded_for", a.ForwardedFor)
	o.String("scheme", a.ForwardedProto)
	o.String("method", a.Method)
	o.String("host", a.Host)
	o.String("uri", a.URI)
	o.String("proto", a.Proto)
	o.StringIf("agent", a.Agent)
	o.StringIf("referer", a.Referer)
	o.Int("status", int64(a.Status))
	o.Int("received", a.Received)
	o.Int("sent", a.Sent)
	o.Float("took", a.Took.Seconds())
	o.Float("header", a.Header.Seconds())
	o.StringIf("route", a.Route)
	o.StringIf("app", a.App.Name)
	o.StringIf("app_id", a.App.ID)
	o.StringIf("group", a.Group)
	o.StringIf("instance", a.Instance)
	if a.Instance != "" {
		o.Int("index", int64(a.Index))
	}
	o.StringIf("upstream", a.Upstream)
	o.Int("attempts", int64(a.Attempts))
	if a.Upgrade {
		o.True("upgrade")
	}
	o.StringIf("problem", a.Problem)
	o.StringIf("trace", a.Trace)
	o.End()
	if !slices.ContainsFunc(o.B[len(b):], func(c byte) bool { return c >= 0x7f }) {
		return o.B
	}
	return printable(b, bytes.Clone(o.B[len(b):]))
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

// AppendCF appends a request as gorouter writes it, without a line break:
// whatever reads those reads these.
func AppendCF(b []byte, a route.Access) []byte {
	host := strconv.Quote(a.Host)
	b = append(append(b, host[1:len(host)-1]...), " - ["...)
	b = append(a.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000000Z"), "] "...)
	b = strconv.AppendQuote(b, a.Method+" "+a.URI+" "+a.Proto)
	if a.Status == 0 {
		b = append(b, ` "-"`...)
	} else {
		b = strconv.AppendInt(append(b, ' '), int64(a.Status), 10)
	}
	b = strconv.AppendInt(append(b, ' '), a.Received, 10)
	b = strconv.AppendInt(append(b, ' '), a.Sent, 10)
	index := ""
	if a.Instance != "" {
		index = strconv.Itoa(a.Index)
	}
	for _, f := range [...]struct{ name, value string }{
		{" ", a.Referer}, {" ", a.Agent}, {" ", a.Client}, {" ", a.Upstream},
		{" x_forwarded_for:", a.ForwardedFor}, {" x_forwarded_proto:", a.ForwardedProto}, {" vcap_request_id:", a.RequestID},
	} {
		b = quoted(b, f.name, f.value)
	}
	b = strconv.AppendFloat(append(b, " response_time:"...), a.Took.Seconds(), 'f', 6, 64)
	b = append(b, " gorouter_time:"...)
	switch {
	case a.Attempts == 0: // no instance was asked
		b = strconv.AppendFloat(b, a.Took.Seconds(), 'f', 6, 64)
	case a.Header == 0: // none has answered
		b = append(b, `"-"`...)
	default:
		b = strconv.AppendFloat(b, (a.Took - a.Header).Seconds(), 'f', 6, 64)
	}
	b = quoted(b, " app_id:", a.App.ID)
	b = quoted(b, " app_index:", index)
	b = quoted(b, " instance_id:", a.Instance)
	b = quoted(b, " route_service_url:", "") // there are none
	return quoted(b, " x_cf_routererror:", routerError(a))
}

func quoted(b []byte, name, value string) []byte {
	if value == "" {
		value = "-"
	}
	return strconv.AppendQuote(append(b, name...), value)
}

// routerError is what gorouter calls the reason why it answered itself.
func routerError(a route.Access) string {
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
