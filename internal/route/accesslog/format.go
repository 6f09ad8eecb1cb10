package accesslog

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"naru/internal/route"
)

// line is a request as JSON. Times are in seconds.
type line struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"request_id"`
	Client    string    `json:"client"`
	Forwarded string    `json:"forwarded_for,omitempty"`
	Scheme    string    `json:"scheme"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	URI       string    `json:"uri"`
	Proto     string    `json:"proto"`
	Agent     string    `json:"agent,omitempty"`
	Referer   string    `json:"referer,omitempty"`
	Status    int       `json:"status"`
	Received  int64     `json:"received"`
	Sent      int64     `json:"sent"`
	Took      float64   `json:"took"`
	Header    float64   `json:"header"`
	Route     string    `json:"route,omitempty"`
	App       string    `json:"app,omitempty"`
	AppID     string    `json:"app_id,omitempty"`
	Group     string    `json:"group,omitempty"`
	Instance  string    `json:"instance,omitempty"`
	Index     *int      `json:"index,omitempty"`
	Upstream  string    `json:"upstream,omitempty"`
	Attempts  int       `json:"attempts"`
	Upgrade   bool      `json:"upgrade,omitempty"`
	Problem   string    `json:"problem,omitempty"`
	Trace     string    `json:"trace,omitempty"`
}

// AppendJSON appends a request as an object of JSON, without a line break.
func AppendJSON(b []byte, a route.Access) []byte {
	l := line{
		Time: a.Time.UTC(), RequestID: a.RequestID, Client: a.Client, Forwarded: a.ForwardedFor, Scheme: a.ForwardedProto, Method: a.Method, Host: a.Host, URI: a.URI,
		Proto: a.Proto, Agent: a.Agent, Referer: a.Referer, Status: a.Status, Received: a.Received, Sent: a.Sent,
		Took: a.Took.Seconds(), Header: a.Header.Seconds(), Route: a.Route, App: a.App.Name, AppID: a.App.ID,
		Group: a.Group, Instance: a.Instance, Upstream: a.Upstream, Attempts: a.Attempts, Upgrade: a.Upgrade, Problem: a.Problem, Trace: a.Trace,
	}
	if a.Instance != "" {
		l.Index = &a.Index
	}
	text, err := json.Marshal(l)
	if err != nil { // numbers and texts always can
		return b
	}
	return printable(b, text)
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
