// Package drain passes an app's log on to a receiver of its owner: syslog (RFC
// 5424) over TCP or TLS, or OTLP over HTTP.
//
// The log itself is what waits for a receiver that is slow or away: a drain is a
// cursor that moves when lines were taken. So it loses nothing while they are
// kept, and counts what it had to pass over.
package drain

import (
	"context"
	"net/url"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/observe/logs"
)

// Source says whose lines they are.
type Source struct{ Org, Space, App, ID string }

// Sender passes lines on to a receiver.
type Sender interface {
	// Send returns when the receiver has the lines, as far as its protocol
	// tells: OTLP answers, of syslog the kernel of the receiver has them. Lines
	// of a call that failed are sent again, so some can come twice.
	Send(ctx context.Context, from Source, lines []logs.Line) error
	Close() error
}

// Kind of a receiver.
type Kind string

// The kinds, which are the schemes of their URLs.
const (
	Syslog    Kind = "syslog"     // syslog://HOST:PORT, frames counted in octets (RFC 6587, 3.4.1)
	SyslogTLS Kind = "syslog-tls" // the same through TLS (RFC 5425)
	OTLP      Kind = "otlp+https" // otlp+https://HOST[:PORT][/v1/logs], protobuf over HTTP
	PlainOTLP Kind = "otlp+http"
)

// Check reads a receiver's URL. A password in it is none of ours to print: what
// goes to people is Shown.
func Check(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, refuse("it is no URL")
	}
	switch Kind(u.Scheme) {
	case Syslog, SyslogTLS:
		if u.Port() == "" && u.Host != "" {
			port := "514"
			if Kind(u.Scheme) == SyslogTLS {
				port = "6514"
			}
			u.Host += ":" + port
		}
		if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
			return nil, refuse("syslog knows a host and a port, and nothing else")
		}
	case OTLP, PlainOTLP:
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/logs" // OTLP 1.5, OTLP/HTTP request
		}
	default:
		return nil, refuse("%q is none of syslog, syslog-tls, otlp+http and otlp+https", u.Scheme)
	}
	if u.Hostname() == "" || u.Fragment != "" {
		return nil, refuse("it names no host")
	}
	return u, nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Invalid, "url", "lines cannot be drained there: "+format, args...).
		WithTry("syslog-tls://logs.example.com:6514, or otlp+https://collector.example.com")
}

// Shown is a receiver as people see it.
func Shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "***"
	}
	if u.User != nil {
		u.User = url.User("***")
	}
	if u.RawQuery != "" {
		u.RawQuery = "***"
	}
	return strings.ReplaceAll(u.String(), "%2A%2A%2A", "***")
}

// New makes the sender of a receiver that Check has read. Each attempt may take
// as long as timeout. header are fields that go with OTLP's requests.
func New(u *url.URL, header map[string]string, way Way, timeout time.Duration) Sender {
	switch Kind(u.Scheme) {
	case Syslog:
		return &syslog{address: u.Host, connect: way.Dial, timeout: timeout}
	case SyslogTLS:
		return &syslog{address: u.Host, connect: way.dialTLS(u.Hostname()), timeout: timeout}
	}
	return newOTLP(u, header, way, timeout)
}
